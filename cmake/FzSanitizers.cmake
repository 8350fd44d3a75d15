# FZ_SANITIZE=address,undefined | thread | fuzzer-no-link,address,undefined. Nothing recovers: a finding ends the test.
if(FZ_SANITIZE)
  target_compile_options(fz_strict INTERFACE -fsanitize=${FZ_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(fz_strict INTERFACE -fsanitize=${FZ_SANITIZE})
endif()
