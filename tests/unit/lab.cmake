fz_test(portal_recorded SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_portal_recorded.c DEPS fz::control)
if(FZ_TESTS)
  target_compile_definitions(test_portal_recorded PRIVATE TEST_DATA="${CMAKE_CURRENT_LIST_DIR}/data")
endif()
