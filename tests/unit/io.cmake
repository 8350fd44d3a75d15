fz_test(io SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_io.c DEPS fz::io seccomp LABELS netns)
fz_test(plane SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_plane.c DEPS fz::io LABELS "netns;matrix")
fz_test(crew SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_crew.c DEPS fz::io LABELS "unit;matrix")
