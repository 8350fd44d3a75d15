# protoc-gen-fzctl, and what it and protoc-c make of ipc/firezone.proto in ${CMAKE_BINARY_DIR}/gen.
find_program(PROTOC protoc REQUIRED)
find_program(PROTOC_C protoc-c REQUIRED)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c>=1.4)
find_path(PROTOBUF_INCLUDE google/protobuf/compiler/plugin.proto REQUIRED)
find_path(PROTOBUF_C_PROTO protobuf-c/protobuf-c.proto REQUIRED)

set(FZ_GEN "${CMAKE_BINARY_DIR}/gen")
file(MAKE_DIRECTORY "${FZ_GEN}/ipc" "${FZ_GEN}/firezone" "${FZ_GEN}/cli")

# Generated code: its own flags, its headers as SYSTEM, so that only our code answers for warnings.
function(fz_generated target)
  target_include_directories(${target} SYSTEM PUBLIC "${FZ_GEN}")
  target_link_libraries(${target} PUBLIC PkgConfig::PROTOBUF_C)
  target_compile_options(${target} PRIVATE -w -fvisibility=hidden -fstack-protector-strong)
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  if(FZ_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${FZ_SANITIZE} -fno-sanitize-recover=all)
  endif()
endfunction()

set(pb_protos google/protobuf/descriptor google/protobuf/compiler/plugin)
set(pb_out)
foreach(p ${pb_protos})
  list(APPEND pb_out "${FZ_GEN}/${p}.pb-c.c" "${FZ_GEN}/${p}.pb-c.h")
endforeach()
add_custom_command(OUTPUT ${pb_out}
  COMMAND ${PROTOC_C} -I${PROTOBUF_INCLUDE} --c_out=${FZ_GEN} google/protobuf/descriptor.proto google/protobuf/compiler/plugin.proto
  VERBATIM)
add_custom_command(OUTPUT "${FZ_GEN}/ipc/options.pb-c.c" "${FZ_GEN}/ipc/options.pb-c.h"
  COMMAND ${PROTOC_C} -I${PROJECT_SOURCE_DIR} -I${PROTOBUF_INCLUDE} --c_out=${FZ_GEN} ipc/options.proto
  DEPENDS "${PROJECT_SOURCE_DIR}/ipc/options.proto" VERBATIM)
add_library(fz_gen_descriptor STATIC ${pb_out} "${FZ_GEN}/ipc/options.pb-c.c" "${FZ_GEN}/ipc/options.pb-c.h")
fz_generated(fz_gen_descriptor)

add_executable(protoc-gen-fzctl
  ${CMAKE_CURRENT_LIST_DIR}/gen/main.c ${CMAKE_CURRENT_LIST_DIR}/gen/text.c ${CMAKE_CURRENT_LIST_DIR}/gen/model.c
  ${CMAKE_CURRENT_LIST_DIR}/gen/lint.c ${CMAKE_CURRENT_LIST_DIR}/gen/emit_golden.c
  ${CMAKE_CURRENT_LIST_DIR}/gen/emit_server.c
  ${CMAKE_CURRENT_LIST_DIR}/gen/emit_cli.c
  ${CMAKE_CURRENT_LIST_DIR}/gen/emit_complete.c ${CMAKE_CURRENT_LIST_DIR}/gen/emit_docs.c
  ${CMAKE_CURRENT_LIST_DIR}/gen/emit_client.c)
target_include_directories(protoc-gen-fzctl PRIVATE "${PROJECT_SOURCE_DIR}/engine" "${PROJECT_SOURCE_DIR}/cli")
target_link_libraries(protoc-gen-fzctl PRIVATE fz::strict fz_gen_descriptor)
# A host tool that never frees: leaks are not its business.
set_target_properties(protoc-gen-fzctl PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

set(FZ_GEN_OUT ipc/methods.h ipc/methods.c ipc/handlers.h ipc/handlers.c ipc/meta.c cli/verbs.c cli/firezonectl.bash cli/_firezonectl
  cli/firezonectl.fish cli/completions.c cli/firezonectl.1 cli/firezonectl.schema.json firezone/messages.h
  firezone/calls.c golden.txt)
list(TRANSFORM FZ_GEN_OUT PREPEND "${FZ_GEN}/")
set(fz_gen_env)
if(FZ_SANITIZE)
  set(fz_gen_env ${CMAKE_COMMAND} -E env ASAN_OPTIONS=detect_leaks=0)
endif()
add_custom_command(OUTPUT ${FZ_GEN_OUT}
  COMMAND ${fz_gen_env} ${PROTOC} -I${PROJECT_SOURCE_DIR} -I${PROTOBUF_INCLUDE} -I${PROTOBUF_C_PROTO}
    --plugin=protoc-gen-fzctl=$<TARGET_FILE:protoc-gen-fzctl>
    --fzctl_out=golden=${PROJECT_SOURCE_DIR}/ipc/golden/firezone.txt:${FZ_GEN} ipc/firezone.proto
  DEPENDS protoc-gen-fzctl "${PROJECT_SOURCE_DIR}/ipc/firezone.proto" "${PROJECT_SOURCE_DIR}/ipc/options.proto"
    "${PROJECT_SOURCE_DIR}/ipc/golden/firezone.txt" VERBATIM)
add_custom_command(OUTPUT "${FZ_GEN}/ipc/firezone.pb-c.c" "${FZ_GEN}/ipc/firezone.pb-c.h"
  COMMAND ${PROTOC_C} -I${PROJECT_SOURCE_DIR} -I${PROTOBUF_INCLUDE} -I${PROTOBUF_C_PROTO} --c_out=${FZ_GEN} ipc/firezone.proto
  DEPENDS "${PROJECT_SOURCE_DIR}/ipc/firezone.proto" "${PROJECT_SOURCE_DIR}/ipc/options.proto" VERBATIM)
