# Two nodes in namespaces of their own, with NATs and coturn between them.
if(FZ_TESTS)
  add_executable(node_driver ${CMAKE_CURRENT_LIST_DIR}/node_driver.c)
  target_link_libraries(node_driver PRIVATE fz::strict fz::node)
  target_include_directories(node_driver PRIVATE "${PROJECT_SOURCE_DIR}/engine")
  set_target_properties(node_driver PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  find_package(Python3 3.11 COMPONENTS Interpreter)
  # With io_uring only the scenarios in which packets flow: the others ask nothing of the backend.
  set(node_epoll_scenarios "")
  set(node_uring_scenarios "carries|hooks|ipv6|relay_alone|lying|reset")
  foreach(io epoll uring)
    add_test(NAME node_${io}
      COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/test_node.py $<TARGET_FILE:node_driver> ${io}
        "${node_${io}_scenarios}")
    set_tests_properties(node_${io} PROPERTIES SKIP_RETURN_CODE 77 LABELS netns TIMEOUT 900
      ENVIRONMENT "${FZ_TEST_ENVIRONMENT}")
  endforeach()
endif()
