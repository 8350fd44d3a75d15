fz_test(session_parts SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_session_parts.c DEPS fz_link_world fz::session)
# The session against a scripted portal; the data plane is a fake that writes down what it is told.
fz_test(session SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_session.c ${CMAKE_CURRENT_LIST_DIR}/session_fake.c DEPS fz_link_world fz::session)
fz_test(session_map SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_session_map.c ${CMAKE_CURRENT_LIST_DIR}/test_session_map_set.c
  DEPS fz::session_tunnel)
