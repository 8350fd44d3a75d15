fz_test(offload_kernel
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_offload_kernel.c ${PROJECT_SOURCE_DIR}/tests/support/packet.c
  DEPS fz::offload LABELS netns)
