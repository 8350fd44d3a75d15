fz_test(host SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_host.c DEPS fz::host LABELS netns)
