# Recorded conversations: each parser and the portal's machine, then whole devices with a portal, a node, a host and a clock of the
# test's.
fz_test(portal_recorded SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_portal_recorded.c ${CMAKE_CURRENT_LIST_DIR}/recording.c
  DEPS fz::control)
fz_test(devices_recorded
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_devices_recorded.c ${CMAKE_CURRENT_LIST_DIR}/recording.c
    ${CMAKE_CURRENT_LIST_DIR}/link_fake.c ${CMAKE_CURRENT_LIST_DIR}/node_fake.c
  DEPS fz::session fz::gateway)
if(FZ_TESTS)
  target_compile_definitions(test_portal_recorded PRIVATE TEST_DATA="${CMAKE_CURRENT_LIST_DIR}/data")
  target_compile_definitions(test_devices_recorded PRIVATE TEST_DATA="${CMAKE_CURRENT_LIST_DIR}/data")
endif()
