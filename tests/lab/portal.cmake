# The lab's portal by itself, and the shape of the lab's scripts: no network, no root.
add_test(NAME lab_portal COMMAND /usr/bin/python3 ${CMAKE_CURRENT_LIST_DIR}/test_portal.py)
set_tests_properties(lab_portal PROPERTIES SKIP_RETURN_CODE 77 LABELS unit TIMEOUT 120)
