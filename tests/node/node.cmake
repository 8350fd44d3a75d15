# Two nodes in namespaces of their own, with NATs and coturn between them.
if(FZ_TESTS)
  add_executable(node_driver ${CMAKE_CURRENT_LIST_DIR}/node_driver.c)
  target_link_libraries(node_driver PRIVATE fz::strict fz::node)
  target_include_directories(node_driver PRIVATE "${PROJECT_SOURCE_DIR}/engine")
  set_target_properties(node_driver PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  find_package(Python3 3.11 COMPONENTS Interpreter)
  foreach(io epoll uring)
    add_test(NAME node_${io}
      COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/test_node.py $<TARGET_FILE:node_driver> ${io})
    set_tests_properties(node_${io} PROPERTIES SKIP_RETURN_CODE 77 LABELS netns TIMEOUT 600
      ENVIRONMENT "${FZ_TEST_ENVIRONMENT}")
  endforeach()
endif()
