# FZ_SANITIZE=address,undefined | thread | fuzzer-no-link,address,undefined. Nothing recovers: a finding ends the test.
if(FZ_SANITIZE)
  target_compile_options(fz_strict INTERFACE -fsanitize=${FZ_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_compile_options(fz_strict INTERFACE -Wno-stack-usage) # red zones are not ours
  endif()
  target_link_options(fz_strict INTERFACE -fsanitize=${FZ_SANITIZE})
endif()
