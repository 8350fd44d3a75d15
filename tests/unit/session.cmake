fz_test(session_parts SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_session_parts.c DEPS fz_link_world fz::session)
