#!/usr/bin/env python3
"""Who may call what: every method x {root, the owner, a member who does not own the session, somebody else} x {service
mode, not} x {signed in, out}, with real users, judged by the rules of firezone.proto read from its golden listing."""
import os
import sys

import fz

if os.geteuid() != 0:
    fz.skip("needs root to be other users")

USERS = {"root": (0, ()), "owner": (fz.MEMBER, (fz.GROUP,)), "member": (fz.OTHER_MEMBER, (fz.GROUP,)),
         "outsider": (fz.OUTSIDER, ())}


def expected(rule, user, service_mode, signed_in):
    """The text of the rules once more, in other words than the daemon's."""
    if not rule["served"]:
        return "UNKNOWN_METHOD"
    if user == "outsider":
        return "PERMISSION_DENIED"
    if service_mode and (rule["service_mode"] == "REFUSED" or (rule["service_mode"] == "ROOT" and user != "root")):
        return "SERVICE_MODE"
    if rule["permission"] == "ADMIN" and user != "root":
        return "PERMISSION_DENIED"
    if rule["permission"] == "CONTROL" and user == "member" and signed_in:
        return "PERMISSION_DENIED"
    when = rule["when"].split(",")
    if "ANY" not in when and ("SIGNED_IN" if signed_in else "SIGNED_OUT") not in when:
        return "CONFLICT" if signed_in else "NOT_SIGNED_IN"
    return "allowed"


REFUSALS = ("UNKNOWN_METHOD", "PERMISSION_DENIED", "SERVICE_MODE", "NOT_SIGNED_IN")


def ask_all(path, uid, groups, rules=None):
    """Makes every call (or those of `rules`) as that user, in a process of its own; a list of outcomes."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            if uid:
                fz.as_user(uid, groups)()
            connection = fz.Raw(path)
            stream, outcomes = 1, []
            for rule in rules or fz.methods():
                fds = [os.memfd_create("m")] if rule["fd"] != "NO_FD" and rule["served"] else []
                connection.send(fz.call(stream, rule["id"], credit=256), fds)
                if rule["name"] == "Session.Watch":  # a stream without an end: the first message is the answer
                    envelope = connection.read()
                    outcome = fz.error_name(fz.fields(envelope[6][0])[1][0]) if 6 in envelope else "OK"
                    connection.close()
                    connection = fz.Raw(path)
                    stream = -1
                else:
                    outcome = connection.error_code()
                outcomes.append(outcome if outcome in REFUSALS else "allowed")
                stream += 2
            os.write(writer, "\n".join(outcomes).encode())
        except BaseException as error:
            os.write(writer, f"error: {error!r}".encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as f:
        out = f.read().splitlines()
    os.waitpid(pid, 0)
    return out


def check(service_mode, signed_in):
    flags = ["--group", str(fz.GROUP), "--mode", "0666"]
    flags += ["--service-mode"] if service_mode else []
    flags += ["--signed-in", "--owner", str(fz.MEMBER)] if signed_in else []
    n = 0
    with fz.Daemon(*flags) as daemon:
        for user, (uid, groups) in USERS.items():
            outcomes = ask_all(daemon.path, uid, groups)
            rules = fz.methods()
            assert len(outcomes) == len(rules), f"{user}: {outcomes}"
            for rule, outcome in zip(rules, outcomes):
                want = expected(rule, user, service_mode, signed_in)
                assert outcome == want, f"{user} {rule['name']} service_mode={service_mode} signed_in={signed_in}: " \
                                        f"{outcome}, want {want}"
                n += 1
        log = daemon.log_text()
        assert f"uid={fz.OUTSIDER}" in log and "why=not-in-group" in log, "the refused outsider is in the log"
    print(f"     {n} cells")


def test_every_cell_is_as_the_proto_says():
    for service_mode in (False, True):
        for signed_in in (False, True):
            check(service_mode, signed_in)


def test_the_kernel_keeps_outsiders_from_the_socket():
    with fz.Daemon("--group", str(fz.GROUP)) as daemon:
        assert oct(os.stat(daemon.path).st_mode & 0o777) == "0o660"
        out = ask_all(daemon.path, fz.OUTSIDER, ())
        assert "PermissionError" in out[0], out
        assert "error" not in ask_all(daemon.path, fz.MEMBER, (fz.GROUP,))[0]


if __name__ == "__main__":
    fz.run_tests(sys.modules[__name__])
