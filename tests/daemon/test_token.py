#!/usr/bin/env python3
"""Service mode: every source of a token, in every condition, means it; owner and mode of the file; precedence; import and
removal; and the token is nowhere to be seen."""
import os
import signal
import sys

import real
from real import fz

real.enter()

TOKEN = "planted.SFMyNTY.secret-token-text"


def token_status(d):
    s = d.json("token", "status")
    return s["service_mode"], s["source"], s.get("verdict"), s.get("reason", "")


def test_a_token_file_is_judged_by_owner_mode_and_content():
    path = real.ETC + "/token"
    for text, mode, uid, verdict, word in (
            (TOKEN, 0o600, 0, "untried", ""), (TOKEN, 0o400, 0, "untried", ""), ("\n  " + TOKEN + "\n\n", 0o600, 0, "untried", ""),
            (TOKEN, 0o640, 0, "unsafe", "chmod 600"), (TOKEN, 0o604, 0, "unsafe", "0604"), (TOKEN, 0o700, 0, "unsafe", "0700"),
            (TOKEN, 0o600, fz.MEMBER, "unsafe", "chown root"), ("", 0o600, 0, "empty", "empty"),
            (" \n\t\n", 0o600, 0, "empty", "empty"), ("two words", 0o600, 0, "malformed", "one word"),
            ("t\u00f6ken", 0o600, 0, "malformed", "ASCII"), ("x" * 4097, 0o600, 0, "malformed", "4096"),
            ("x" * 4096, 0o600, 0, "untried", ""), ("x" * 100_000, 0o600, 0, "malformed", "4096")):
        real.reset()
        real.put(path, text, mode, uid)
        with real.Daemon() as d:
            mode_on, source, got, reason = token_status(d)
            assert (mode_on, source, got) == (True, "file", verdict), (text[:20], oct(mode), uid, got, reason)
            assert word in reason, (word, reason)
            status = d.status()
            assert status["service_mode"] and status["token"]["origin"] == path
            if verdict != "untried":
                assert status["state"] == "error" and reason in status["reason"], status


def test_what_is_no_file_is_a_source_too():
    real.reset()
    os.mkdir(real.ETC + "/token")
    with real.Daemon() as d:
        assert token_status(d)[:3] == (True, "file", "unreadable")
    real.reset()
    real.put("/run/elsewhere", TOKEN, 0o600)
    os.symlink("/run/elsewhere", real.ETC + "/token")
    with real.Daemon() as d:
        assert token_status(d)[:3] == (True, "file", "unsafe")
    real.reset()
    os.mkfifo(real.ETC + "/token", 0o600)
    with real.Daemon() as d:
        assert token_status(d)[:3] == (True, "file", "unreadable")


def test_the_environment_is_a_source_also_when_empty():
    for text, verdict in ((TOKEN, "untried"), ("", "empty"), ("a b", "malformed"), ("x" * 5000, "malformed")):
        real.reset()
        with real.Daemon(env={"FIREZONE_TOKEN": text}) as d:
            assert token_status(d)[:3] == (True, "environment", verdict), text[:20]
            with open(f"/proc/{d.process.pid}/environ", "rb") as f:
                assert TOKEN.encode() not in f.read(), "the environment forgets it"


def test_the_variable_may_name_a_file_as_containers_are_given_secrets():
    path = "/run/secrets/firezone-token"
    for text, mode, uid, verdict, word in (
            (TOKEN + "\n", 0o444, 0, "untried", ""), (TOKEN, 0o600, 0, "untried", ""), (TOKEN, 0o464, 0, "unsafe", "write"),
            (TOKEN, 0o446, 0, "unsafe", "write"), (TOKEN, 0o444, fz.MEMBER, "unsafe", "chown root"), ("", 0o444, 0, "empty", "empty"),
            ("a b", 0o444, 0, "malformed", "one word"), (None, 0, 0, "unreadable", "not there")):
        real.reset()
        real.put(path, text or "", mode, uid)
        if text is None:
            os.remove(path)
        with real.Daemon(env={"FIREZONE_TOKEN": path}) as d:
            mode_on, source, got, reason = token_status(d)
            assert (mode_on, source, got) == (True, "environment", verdict) and word in reason, (text, oct(mode), got, reason)
            assert d.status()["token"]["origin"] == path
    with real.Daemon(env={"FIREZONE_TOKEN": "/" + "x" * 600}) as d:
        assert token_status(d)[:3] == (True, "environment", "unreadable")


def credential(text, mode=0o400):
    real.put("/run/credentials/firezoned.service/firezone-token", text, mode)
    return {"CREDENTIALS_DIRECTORY": "/run/credentials/firezoned.service"}


def test_a_credential_is_a_source_and_comes_first():
    real.reset()
    real.put(real.ETC + "/token", TOKEN, 0o600)
    env = {**credential(TOKEN), "FIREZONE_TOKEN": TOKEN}
    with real.Daemon(env=env) as d:
        assert token_status(d)[:3] == (True, "credential", "untried")
    for text, verdict in (("", "empty"), ("a b", "malformed")):
        env = {**credential(text), "FIREZONE_TOKEN": TOKEN}
        with real.Daemon(env=env) as d:
            assert token_status(d)[:3] == (True, "credential", verdict), "the first source decides, well or not"
    with real.Daemon(env={"FIREZONE_TOKEN": TOKEN}) as d:
        assert token_status(d)[1] == "environment"
    with real.Daemon(env={"CREDENTIALS_DIRECTORY": "/run/credentials/other"}) as d:
        assert token_status(d)[1] == "file", "a credential that is not there is none"


def test_a_token_that_the_service_may_not_read_is_service_mode_too():
    real.reset()
    real.service_state()
    real.put(real.ETC + "/token", TOKEN, 0o600)
    with real.listen() as s, real.Daemon(wrap=[*real.as_service(), *real.ACTIVATE], stdin=s) as d:
        mode_on, source, verdict, reason = token_status(d)
        assert (mode_on, source, verdict) == (True, "file", "unreadable") and "token import" in reason, reason
        # Its own file it may read.
        real.put(real.ETC + "/token", TOKEN, 0o600, real.SERVICE_USER)
        assert d.json("reload")["changed"] == ["token"]
        assert token_status(d)[2] == "untried"


def test_a_source_that_comes_or_goes_counts_from_the_next_reload():
    real.reset()
    with real.Daemon() as d:
        assert token_status(d)[:2] == (False, "none")
        real.put(real.ETC + "/token", "", 0o600)
        assert token_status(d)[0] is False
        d.process.send_signal(signal.SIGHUP)
        d.notify.wait_for("RELOADING=1")
        d.notify.wait_for("READY=1")
        assert token_status(d)[:3] == (True, "file", "empty")
        os.remove(real.ETC + "/token")
        assert d.json("reload")["changed"] == ["token"]
        assert d.status()["state"] == "signed_out"


def test_import_and_removal():
    real.reset()
    with real.Daemon() as d:
        for bad in ("", "a b", "x" * 4097):
            result = d.cli("token", "import", "--stdin", input=bad)
            assert result.returncode != 0 and not os.path.exists(real.STATE + "/token"), (bad[:9], result)
        result = d.cli("token", "import", "--stdin", input=TOKEN + "\n")
        assert result.returncode == 0 and TOKEN not in result.stdout + result.stderr, result
        st = os.stat(real.STATE + "/token")
        assert st.st_mode & 0o777 == 0o600 and st.st_size == len(TOKEN)
        assert token_status(d)[:3] == (True, "imported", "untried")
        assert d.cli("token", "import", "--stdin", input="another.token").returncode == 0, "it can be replaced"
    with real.Daemon() as d:
        assert token_status(d)[:2] == (True, "imported"), "it outlives the daemon"
        for args in (["token", "remove", "--yes"], ["settings", "set", "log_filter", "debug"]):
            member = d.cli(*args, preexec_fn=fz.as_user(fz.MEMBER, [fz.GROUP]))
            assert member.returncode == 5, member
        assert d.cli("token", "remove", "--yes").returncode == 0
        assert token_status(d)[:2] == (False, "none")
        assert not os.path.exists(real.STATE + "/token")
        assert d.cli("token", "remove", "--yes").returncode == 0, "twice is no mistake"


def test_import_says_when_another_source_hides_it():
    real.reset()
    real.put(real.ETC + "/token", TOKEN, 0o600)
    with real.Daemon() as d:
        result = d.cli("token", "import", "--stdin", input="x.y")
        assert result.returncode == 1 and "/etc/firezone/token" in result.stderr, result


def test_service_mode_asks_root_for_what_changes_the_daemon():
    real.reset()
    real.put(real.ETC + "/token", TOKEN, 0o600)
    with real.Daemon() as d:
        member = {"preexec_fn": fz.as_user(fz.MEMBER, [fz.GROUP])}
        assert d.cli("log-level", "set", "debug", **member).returncode == 7
        assert d.cli("status", **member).returncode == 0
        assert d.cli("log-level", "set", "debug").returncode == 0
    real.reset()
    with real.Daemon() as d:
        assert d.cli("log-level", "set", "debug", **member).returncode == 0, "without service mode members may"


def test_the_token_is_nowhere_to_be_seen():
    real.reset()
    real.put(real.ETC + "/token", TOKEN, 0o600)
    with real.Daemon(env={"RUST_LOG": "debug", "FIREZONE_TOKEN": TOKEN}) as d:
        d.json("reload")
        said = [d.cli(*args).stdout for args in (["status"], ["--json", "status"], ["token", "status"], ["settings", "get"],
                                                 ["logs"], ["metrics"], ["host", "show"])]
        assert d.cli("bug-report", "-O", "/run/token.tar").returncode == 0
        with open("/run/token.tar", "rb") as f:
            said.append(f.read().decode(errors="replace"))
        said.append(d.log_text())
        for text in said:
            assert "planted" not in text and "secret-token-text" not in text, text
    os.remove("/run/token.tar")


if __name__ == "__main__":
    fz.run_tests(sys.modules[__name__])
