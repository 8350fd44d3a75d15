set(fz_ipc_tests "${PROJECT_SOURCE_DIR}/tests/ipc")

# A daemon with canned answers on the real socket server.
fz_program(fake_daemon SOURCES ${fz_ipc_tests}/fake_daemon.c DEPS fz::ipc_server)
