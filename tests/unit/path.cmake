# Ways to peers. sim/path_relay.c is a TURN server, sim/path_net.c an internet with NATs, both in virtual time.
foreach(name stun candidate ice turn paths recorded)
  fz_test(${name} SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_${name}.c ${CMAKE_CURRENT_LIST_DIR}/../sim/path_relay.c
    DEPS fz::path)
endforeach()
if(TARGET test_stun)
  target_compile_definitions(test_stun PRIVATE TEST_DATA="${CMAKE_CURRENT_LIST_DIR}/data")
endif()
