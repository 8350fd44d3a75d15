fz_test(base
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_base.c ${CMAKE_CURRENT_LIST_DIR}/test_addr.c ${CMAKE_CURRENT_LIST_DIR}/test_bytes.c
  DEPS fz::base)
