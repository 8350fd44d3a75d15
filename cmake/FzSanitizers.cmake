# FZ_SANITIZE=address,undefined | thread | fuzzer-no-link,address,undefined. Nothing recovers: a finding ends the test.
if(FZ_SANITIZE)
  target_compile_options(fz_strict INTERFACE -fsanitize=${FZ_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_compile_options(fz_strict INTERFACE -Wno-stack-usage) # red zones are not ours
  endif()
  target_link_options(fz_strict INTERFACE -fsanitize=${FZ_SANITIZE})
endif()

# What tests run with. Criterion calls a test with a leak "passing": abort_on_error makes its exit code tell.
set(FZ_TEST_ENVIRONMENT
  "ASAN_OPTIONS=abort_on_error=1:detect_stack_use_after_return=1:allocator_may_return_null=1"
  "UBSAN_OPTIONS=print_stacktrace=1"
  "TSAN_OPTIONS=halt_on_error=1:allocator_may_return_null=1")
