# The few functions every CMakeLists.txt below uses.
include(CMakeParseArguments)
find_package(PkgConfig REQUIRED)

# fz_library(name SOURCES ... [DEPS ...] [PRIVATE_DEPS ...]): static library fz::name; its headers are reached
# as "<directory>/<noun>.h" from the component's root (engine/ for engine libraries, the top for the rest).
function(fz_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(fz_${name} STATIC ${arg_SOURCES})
  add_library(fz::${name} ALIAS fz_${name})
  target_include_directories(fz_${name} PUBLIC "${PROJECT_SOURCE_DIR}/engine" "${PROJECT_SOURCE_DIR}")
  target_link_libraries(fz_${name} PUBLIC ${arg_DEPS} PRIVATE fz::strict ${arg_PRIVATE_DEPS})
endfunction()

# fz_program(name SOURCES ... DEPS ...): an executable in build/<preset>/bin.
function(fz_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE fz::strict ${arg_DEPS})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/engine" "${PROJECT_SOURCE_DIR}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
endfunction()

# fz_test(name SOURCES ... DEPS ... [LABELS ...]): one Criterion binary test_<name>, run by ctest. Exit 77 is a skip.
function(fz_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT FZ_TESTS)
    return()
  endif()
  add_executable(test_${name} ${arg_SOURCES})
  target_include_directories(test_${name} PRIVATE "${PROJECT_SOURCE_DIR}/engine" "${PROJECT_SOURCE_DIR}")
  target_link_libraries(test_${name} PRIVATE fz::strict fz::test_support ${arg_DEPS})
  set_target_properties(test_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  add_test(NAME ${name} COMMAND ${FZ_TEST_RUNNER} $<TARGET_FILE:test_${name}>)
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  # What has a backend, an AEAD or threads in it is run in every combination of them (./dev test --full, .ci/run).
  if("${arg_DEPS}" MATCHES "fz::(crypto|wg|engine_io|wgdev)")
    list(APPEND arg_LABELS matrix)
  endif()
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 LABELS "${arg_LABELS}" TIMEOUT 300
    ENVIRONMENT "${FZ_TEST_ENVIRONMENT}")
endfunction()

# fz_fuzz(name SOURCES ... DEPS ...): fuzz/fuzz_<name>.c defines LLVMFuzzerTestOneInput. With clang and FZ_FUZZ a
# libFuzzer binary; always a replay binary that runs the committed corpus as a test.
function(fz_fuzz name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  if(FZ_FUZZ)
    add_executable(fuzz_${name} ${arg_SOURCES})
    target_include_directories(fuzz_${name} PRIVATE "${PROJECT_SOURCE_DIR}/engine" "${PROJECT_SOURCE_DIR}")
    target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer -Wno-missing-prototypes)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    target_link_libraries(fuzz_${name} PRIVATE fz::strict ${arg_DEPS})
    set_target_properties(fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz")
  endif()
  if(FZ_TESTS)
    add_executable(replay_${name} ${arg_SOURCES} "${PROJECT_SOURCE_DIR}/fuzz/replay_main.c")
    target_include_directories(replay_${name} PRIVATE "${PROJECT_SOURCE_DIR}/engine" "${PROJECT_SOURCE_DIR}")
    target_compile_options(replay_${name} PRIVATE -Wno-missing-prototypes)
    target_link_libraries(replay_${name} PRIVATE fz::strict ${arg_DEPS})
    set_target_properties(replay_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz")
    add_test(NAME replay_${name} COMMAND ${FZ_TEST_RUNNER} $<TARGET_FILE:replay_${name}> "${PROJECT_SOURCE_DIR}/fuzz/corpus/${name}")
    set_tests_properties(replay_${name} PROPERTIES LABELS replay TIMEOUT 300 ENVIRONMENT "${FZ_TEST_ENVIRONMENT}")
  endif()
endfunction()
