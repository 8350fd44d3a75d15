# Real processes under the real filter; under valgrind it would confine valgrind.
fz_test(sandbox SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_sandbox.c DEPS fz::sandbox fz::io seccomp LABELS netns)
