#!/usr/bin/env python3
"""The matrix of tests/ipc/test_matrix.py once more, against the real daemon: every method x {root, the owner, another
member, somebody else} x {service mode, signed in, signed out}, with real users; somebody else with the socket open to all,
so that the daemon alone refuses."""
import os
import sys

import real
from real import fz

import test_matrix as matrix

real.enter()

# No portal answers here; all the same there is a session, and it has an owner.
NOWHERE = {"FIREZONE_API_URL": "wss://127.0.0.1:9/", "FIREZONE_ID": "a-test"}


def sign_in(d):
    result = d.cli("provide-token", input="some.token", preexec_fn=fz.as_user(fz.MEMBER, [fz.GROUP]))
    assert result.returncode == 0, result
    assert d.status()["owner_uid"] == fz.MEMBER


def check(service_mode, signed_in):
    real.reset()
    if service_mode:
        real.put(real.ETC + "/token", "a.token", 0o600)
    n = 0
    with real.Daemon(env=NOWHERE) as d:
        os.chmod(real.SOCKET, 0o666)
        for user, (uid, groups) in matrix.USERS.items():
            # Ending the session comes last, as the others need one.
            rules = sorted(fz.methods(), key=lambda r: r["name"] == "Auth.EndSession")
            if signed_in:
                sign_in(d)
            outcomes = matrix.ask_all(real.SOCKET, uid, groups, rules)
            assert len(outcomes) == len(rules), f"{user}: {outcomes}"
            for rule, outcome in zip(rules, outcomes):
                want = matrix.expected(rule, user, service_mode, signed_in or service_mode)
                # In service mode nobody owns the session.
                if service_mode and rule["permission"] == "CONTROL" and want == "PERMISSION_DENIED" and user == "member":
                    want = "allowed"
                assert outcome == want, f"{user} {rule['name']} service_mode={service_mode} signed_in={signed_in}: " \
                                        f"{outcome}, want {want}"
                n += 1
        log = d.log_text()
        assert f"uid={fz.OUTSIDER}" in log and "why=not-in-group" in log, "the refused outsider is in the log"
    print(f"     {n} cells")


def test_in_service_mode():
    check(True, False)


def test_signed_out():
    check(False, False)


def test_signed_in():
    check(False, True)


def test_the_kernel_keeps_outsiders_from_the_socket():
    real.reset()
    with real.Daemon():
        assert "PermissionError" in matrix.ask_all(real.SOCKET, fz.OUTSIDER, ())[0]
        assert "error" not in matrix.ask_all(real.SOCKET, fz.MEMBER, (fz.GROUP,))[0]


if __name__ == "__main__":
    fz.run_tests(sys.modules[__name__])
