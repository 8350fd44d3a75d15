fz_test(node SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_node.c DEPS fz::node)
