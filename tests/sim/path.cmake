# Two devices' ways to each other through simulated NATs and relays, in virtual time.
fz_test(path_nat SOURCES ${CMAKE_CURRENT_LIST_DIR}/path_nat.c ${CMAKE_CURRENT_LIST_DIR}/path_net.c
  ${CMAKE_CURRENT_LIST_DIR}/path_relay.c DEPS fz::path LABELS sim)
fz_test(path_wg SOURCES ${CMAKE_CURRENT_LIST_DIR}/path_wg.c ${CMAKE_CURRENT_LIST_DIR}/path_net.c
  ${CMAKE_CURRENT_LIST_DIR}/path_relay.c ${CMAKE_CURRENT_LIST_DIR}/engine.c DEPS fz::path fz::wg fz::crypto LABELS sim)
