# fz::strict carries every compile flag of ours; it is linked PRIVATE by each target (docs/architecture.md).
include(CheckCCompilerFlag)
add_library(fz_strict INTERFACE)
add_library(fz::strict ALIAS fz_strict)

set(common -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes
  -Wold-style-definition -Wcast-qual -Wpointer-arith -Wwrite-strings -Wvla -Walloca -Wundef -Wswitch-enum -Wformat=2
  -Wnull-dereference -Wredundant-decls -Wdate-time)
set(gcc_only -Warith-conversion -Wcast-align=strict -Wduplicated-cond -Wduplicated-branches -Wlogical-op
  -Wimplicit-fallthrough=5 -Wjump-misses-init -Wbidi-chars=any -Wstack-usage=8192)
# glibc's fortified headers and byte-order macros use extensions that clang reports under -Wpedantic.
set(clang_only -Wshorten-64-to-32 -Wunreachable-code-aggressive -Wcomma -Wimplicit-fallthrough
  -Wno-gnu-statement-expression -Wno-gnu-zero-variadic-macro-arguments -Wno-gnu-auto-type)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  target_compile_options(fz_strict INTERFACE ${common} ${gcc_only})
else()
  target_compile_options(fz_strict INTERFACE ${common} ${clang_only})
endif()
if(FZ_WERROR)
  target_compile_options(fz_strict INTERFACE -Werror)
endif()

target_compile_definitions(fz_strict INTERFACE _GNU_SOURCE)
target_compile_options(fz_strict INTERFACE -fno-common -fvisibility=hidden)
# Zeroed locals would hide from valgrind and the sanitizers what they are there to find: release builds only.
if(CMAKE_BUILD_TYPE MATCHES "Rel" AND NOT FZ_SANITIZE)
  target_compile_options(fz_strict INTERFACE -fstack-protector-strong -ftrivial-auto-var-init=zero
    -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
  if(CMAKE_C_COMPILER_ID STREQUAL "Clang" AND CMAKE_C_COMPILER_VERSION VERSION_LESS 16)
    target_compile_options(fz_strict INTERFACE -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang)
  endif()
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_compile_options(fz_strict INTERFACE -fstack-clash-protection)
  endif()
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_compile_options(fz_strict INTERFACE -fcf-protection=full)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64")
    target_compile_options(fz_strict INTERFACE -mbranch-protection=standard)
  endif()
endif()
target_link_options(fz_strict INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
if(NOT CMAKE_BUILD_TYPE MATCHES "Rel")
  target_compile_definitions(fz_strict INTERFACE FZ_SLOW_ASSERTS)
endif()
if(NOT FZ_POOL)
  target_compile_definitions(fz_strict INTERFACE FZ_NO_POOL)
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_STANDARD 23)
set(CMAKE_C_EXTENSIONS ON)
include(CheckPIESupported)
check_pie_supported()
