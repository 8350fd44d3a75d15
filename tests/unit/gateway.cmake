fz_test(gateway
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_gateway.c ${CMAKE_CURRENT_LIST_DIR}/test_gateway_health.c
    ${CMAKE_CURRENT_LIST_DIR}/test_gateway_table.c
  DEPS fz::gateway)

# In namespaces: the packet filter by itself, the process with a portal of a few lines, traffic of a client.
if(FZ_TESTS)
  add_executable(gateway_host_driver ${PROJECT_SOURCE_DIR}/tests/gateway/host_driver.c)
  target_link_libraries(gateway_host_driver PRIVATE fz::strict fz::gateway)
  target_include_directories(gateway_host_driver PRIVATE "${PROJECT_SOURCE_DIR}/engine")
  set_target_properties(gateway_host_driver PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  set(gateway_tests "${PROJECT_SOURCE_DIR}/tests/gateway")
  add_test(NAME gateway_packet_filter
    COMMAND ${gateway_tests}/packet_filter.sh "${CMAKE_BINARY_DIR}/tests/gateway_host_driver")
  add_test(NAME gateway_process COMMAND ${gateway_tests}/process.sh "${CMAKE_BINARY_DIR}/bin")
  find_package(Python3 3.11 COMPONENTS Interpreter)
  add_test(NAME gateway_traffic COMMAND ${Python3_EXECUTABLE} ${gateway_tests}/test_traffic.py
    "${CMAKE_BINARY_DIR}/bin" "${CMAKE_BINARY_DIR}/tests/node_driver")
  set_tests_properties(gateway_packet_filter gateway_process gateway_traffic PROPERTIES
    SKIP_RETURN_CODE 77 LABELS netns TIMEOUT 600)
endif()

# Many clients on one gateway, by hand: tests/gateway/bench_clients.py BIN_DIR CLIENTS_DRIVER [CLIENTS [PINGS]]
if(FZ_TESTS)
  add_executable(gateway_clients_driver ${PROJECT_SOURCE_DIR}/tests/gateway/clients_driver.c)
  target_link_libraries(gateway_clients_driver PRIVATE fz::strict fz::io fz::path fz::wg fz::crypto)
  target_include_directories(gateway_clients_driver PRIVATE "${PROJECT_SOURCE_DIR}/engine")
  set_target_properties(gateway_clients_driver PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
endif()
