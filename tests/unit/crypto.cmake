fz_test(crypto
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_aead.c ${CMAKE_CURRENT_LIST_DIR}/test_aead_train.c ${CMAKE_CURRENT_LIST_DIR}/test_blake2s.c
    ${CMAKE_CURRENT_LIST_DIR}/test_handshake_aead.c ${CMAKE_CURRENT_LIST_DIR}/test_kdf.c
    ${CMAKE_CURRENT_LIST_DIR}/test_selftest.c ${CMAKE_CURRENT_LIST_DIR}/test_x25519.c
  DEPS fz::crypto)
