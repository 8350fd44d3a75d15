set(fz_ipc_tests "${PROJECT_SOURCE_DIR}/tests/ipc")

fz_test(ipc SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_ipc.c DEPS fz::ipc)
fz_test(ipc_machines SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_ipc_machines.c DEPS fz::ipc)
fz_test(ipc_golden SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_ipc_golden.c DEPS fz::ipc)
target_compile_definitions(test_ipc_machines PRIVATE FZ_IPC_GOLDEN="${fz_ipc_tests}/golden")
target_compile_definitions(test_ipc_golden PRIVATE FZ_IPC_GOLDEN="${fz_ipc_tests}/golden")

# A daemon with canned answers on the real socket server.
fz_program(fake_daemon SOURCES ${fz_ipc_tests}/fake_daemon.c DEPS fz::ipc_server)

find_package(Python3 COMPONENTS Interpreter)
function(fz_ipc_python name)
  if(NOT Python3_FOUND)
    return()
  endif()
  add_test(NAME ipc_${name} COMMAND ${Python3_EXECUTABLE} ${fz_ipc_tests}/test_${name}.py)
  set_tests_properties(ipc_${name} PROPERTIES SKIP_RETURN_CODE 77 LABELS ipc TIMEOUT 300
    ENVIRONMENT "FZ_BUILD=${CMAKE_BINARY_DIR};FZ_SOURCE=${PROJECT_SOURCE_DIR};PYTHONDONTWRITEBYTECODE=1")
endfunction()
fz_ipc_python(matrix)
fz_ipc_python(hostile)
fz_ipc_python(cli)
fz_ipc_python(completion)
fz_ipc_python(generator)
