fz_test(control
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_url.c ${CMAKE_CURRENT_LIST_DIR}/test_http1.c ${CMAKE_CURRENT_LIST_DIR}/test_sign_in.c
    ${CMAKE_CURRENT_LIST_DIR}/test_portal.c
    ${CMAKE_CURRENT_LIST_DIR}/test_portal_devices.c ${CMAKE_CURRENT_LIST_DIR}/test_portal_messages.c
  DEPS fz::control)
