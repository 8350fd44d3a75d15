# firezoned: its pure parts and its readers of files as unit tests; the program itself in namespaces of each test's own.
fz_test(daemon_config SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_daemon_config.c DEPS fz::config)
fz_test(daemon_files SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_daemon_files.c DEPS fz::daemon)

find_package(Python3 COMPONENTS Interpreter)
function(fz_daemon_python name)
  if(NOT Python3_FOUND)
    return()
  endif()
  add_test(NAME daemon_${name} COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/daemon/test_${name}.py)
  set_tests_properties(daemon_${name} PROPERTIES SKIP_RETURN_CODE 77 LABELS netns TIMEOUT 300
    ENVIRONMENT "FZ_BUILD=${CMAKE_BINARY_DIR};FZ_SOURCE=${PROJECT_SOURCE_DIR};PYTHONDONTWRITEBYTECODE=1")
endfunction()
fz_daemon_python(hostile)
fz_daemon_python(life)
fz_daemon_python(rights)
fz_daemon_python(session)
fz_daemon_python(settings)
fz_daemon_python(token)
