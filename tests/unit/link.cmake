# The portal link needs a network namespace of its own, Python 3 and the openssl command for the other ends.
add_library(fz_link_world STATIC ${CMAKE_CURRENT_LIST_DIR}/link/support.c)
target_include_directories(fz_link_world PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}")
target_compile_definitions(fz_link_world PRIVATE FZ_LINK_SERVERS="${CMAKE_CURRENT_LIST_DIR}/link/servers.py")
target_link_libraries(fz_link_world PUBLIC fz::test_support fz::control_io PRIVATE fz::strict)
foreach(name dial names link device_id)
  fz_test(link_${name} SOURCES ${CMAKE_CURRENT_LIST_DIR}/link/test_${name}.c DEPS fz_link_world fz::control_io)
endforeach()
