# Our TURN client and relayed ICE with Debian's coturn, in a network namespace of its own.
if(FZ_TESTS)
  add_executable(coturn_driver ${CMAKE_CURRENT_LIST_DIR}/coturn_driver.c)
  target_link_libraries(coturn_driver PRIVATE fz::strict fz::path)
  target_include_directories(coturn_driver PRIVATE "${PROJECT_SOURCE_DIR}/engine")
  set_target_properties(coturn_driver PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  add_test(NAME coturn_relay COMMAND ${CMAKE_CURRENT_LIST_DIR}/coturn_relay.sh $<TARGET_FILE:coturn_driver>)
  set_tests_properties(coturn_relay PROPERTIES SKIP_RETURN_CODE 77 LABELS netns TIMEOUT 120)
endif()
