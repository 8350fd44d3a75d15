fz_test(offload
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_csum.c ${CMAKE_CURRENT_LIST_DIR}/test_split.c
    ${CMAKE_CURRENT_LIST_DIR}/test_coalesce.c ${CMAKE_CURRENT_LIST_DIR}/test_split_coalesce.c
    ${PROJECT_SOURCE_DIR}/tests/support/packet.c
  DEPS fz::offload)
