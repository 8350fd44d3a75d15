#!/usr/bin/env python3
"""The session's place in the daemon, where no portal answers: states and their reasons, down and up, who owns it, signing
in and out, waiting."""
import json
import os
import socket
import subprocess
import sys

import real
from real import fz

real.enter()

NOWHERE = {"FIREZONE_API_URL": "wss://127.0.0.1:9/", "FIREZONE_ID": "a-test"}
OWNER = {"preexec_fn": fz.as_user(fz.MEMBER, [fz.GROUP])}
OTHER = {"preexec_fn": fz.as_user(fz.OTHER_MEMBER, [fz.GROUP])}


def has_tunnel():
    return "tun-firezone" in [name for _, name in socket.if_nameindex()]


def service(env=None):
    real.reset()
    real.put(real.ETC + "/token", "planted.token", 0o600)
    return real.Daemon(env={**NOWHERE, **(env or {})})


def test_service_mode_connects_by_itself_and_says_why_it_is_not_up():
    with service() as d:
        s = d.status()
        assert s["state"] in ("connecting", "waiting_network") and s["service_mode"], s
        assert s["portal"]["url"] == NOWHERE["FIREZONE_API_URL"], s
        real.wait_until(lambda: d.status().get("portal", {}).get("last_error"))
        assert "owner_uid" not in s
        assert d.cli("status", "--check").returncode == 9


def test_down_keeps_the_token_and_up_needs_none():
    with service() as d:
        s = d.json("down")
        assert s["state"] == "down" and not has_tunnel(), s
        assert d.json("up")["state"] in ("connecting", "waiting_network")
        s = d.json("down", "--for", "400ms")
        assert s["state"] == "paused", s
        real.wait_until(lambda: d.status()["state"] in ("connecting", "waiting_network"))
        d.json("down", "--for", "10m")
        assert d.json("up")["state"] != "paused"
        assert d.cli("reset").returncode == 0
        d.json("down")
        assert d.cli("reset").returncode == 1, "nothing is there to be reset"


def test_the_tunnels_interface_goes_with_the_daemon():
    with service() as d:
        real.wait_until(has_tunnel)
        changes = d.json("host", "show")["changes"]
        assert changes == [{"kind": "interface", "what": "tun-firezone", "state": "present"}], changes
        assert d.json("host", "revert")["changes"] == changes, "it is no leftover"
        d.cli("down")
        assert not has_tunnel()
        d.cli("up")
    assert not has_tunnel()


def test_an_interface_that_another_program_has_is_said():
    real.reset()
    with real.Daemon(env=NOWHERE) as d:
        held = subprocess.Popen([sys.executable, "-c", (
            "import fcntl, struct, sys\n"
            "f = open('/dev/net/tun', 'r+b', buffering=0)\n"
            "fcntl.ioctl(f, 0x400454ca, struct.pack('16sH22x', b'tun-firezone', 0x1001))\n"
            "print('ready', flush=True)\nsys.stdin.read()")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert held.stdout.readline() == "ready\n"
        result = d.cli("provide-token", input="some.token")
        s = d.status()
        assert result.returncode == 1 and s["state"] == "error" and "another program" in s["reason"], (result, s)
        held.stdin.close()
        held.wait(20)
        held.stdout.close()
        assert d.json("up")["state"] in ("connecting", "waiting_network"), "it is tried again when asked"


def test_who_signs_in_owns_the_session():
    real.reset()
    with real.Daemon(env=NOWHERE) as d:
        assert d.cli("up").returncode == 6 and d.cli("sign-out").returncode == 6
        result = d.cli("provide-token", input="planted.token\n", **OWNER)
        assert result.returncode == 0 and "planted" not in result.stdout, result
        s = d.status()
        assert s["owner_uid"] == fz.MEMBER and s["token"]["source"] == "session" and not s["service_mode"], s
        for args in (["down"], ["up"], ["reset"], ["sign-out"], ["provide-token"]):
            refused = d.cli(*args, input="another.token", **OTHER)
            assert refused.returncode == 5, (args, refused)
        assert d.cli("status", **OTHER).returncode == 0
        for args in (["down"], ["up"], ["reset"]):
            assert d.cli(*args, **OWNER).returncode == 0, args
        assert d.cli("sign-out", **OWNER).returncode == 0
        s = d.status()
        assert s["state"] == "signed_out" and "owner_uid" not in s, s
        assert d.cli("provide-token", input="a.token", **OTHER).returncode == 0, "now somebody else may"
        assert d.cli("sign-out").returncode == 0, "root may end any"
        with open(f"/proc/{d.process.pid}/maps"):
            assert "planted" not in d.log_text()


def test_a_browsers_sign_in_is_bound_to_who_began_it():
    real.reset()
    with real.Daemon(env={**NOWHERE, "FIREZONE_AUTH_BASE_URL": "http://login.example"}) as d:
        raw = fz.Raw(real.SOCKET)
        raw.send(fz.call(1, 20, fz.field(1, "acme")))
        url = fz.fields(fz.fields(raw.read_frame())[5][0])[1][0].decode()
        assert url.startswith("http://login.example/acme?as=gui-client&nonce="), url
        assert d.status()["state"] == "need_browser"
        state = url.split("state=")[1].split("&")[0]
        callback = ("firezone-fd0020211111://handle_client_sign_in_callback?account_slug=acme&actor_name=Jane&"
                    "fragment=.planted&state=" + state)
        stranger = d.cli("finish-sign-in", input=callback, **OWNER)
        assert stranger.returncode == 4, stranger
        wrong = d.cli("finish-sign-in", input=callback.replace("state=" + state, "state=" + "0" * 64))
        assert wrong.returncode == 4, wrong
        assert d.status()["state"] == "signed_out", "a wrong state ends the request"
        raw.send(fz.call(3, 20, fz.field(1, "acme")))
        raw.read()  # the end of the first
        url = fz.fields(fz.fields(raw.read_frame())[5][0])[1][0].decode()
        state = url.split("state=")[1].split("&")[0]
        callback = callback.split("state=")[0] + "state=" + state
        done = d.cli("--json", "finish-sign-in", input=callback)
        assert done.returncode == 0, done
        assert json.loads(done.stdout)["account"] == {"slug": "acme", "actor": "Jane"}, done
        s = d.status()
        assert s["account"] == {"slug": "acme", "actor": "Jane"} and s["owner_uid"] == 0, s
        assert d.cli("up", "--account", "other").returncode == 10
        assert "planted" not in d.log_text() and state not in d.log_text()
        out = d.cli("sign-out")
        assert out.returncode == 0 and "acme" in out.stdout, out


def test_a_sign_in_can_be_given_up():
    real.reset()
    with real.Daemon(env=NOWHERE) as d:
        raw = fz.Raw(real.SOCKET)
        raw.send(fz.call(1, 20))
        raw.read()
        assert d.status()["state"] == "need_browser"
        assert d.cli("cancel-sign-in", **OWNER).returncode == 0
        assert d.status()["state"] == "need_browser", "another user's is left alone"
        assert d.cli("cancel-sign-in").returncode == 0
        assert d.status()["state"] == "signed_out"


def test_without_a_browser_the_address_is_printed():
    real.reset()
    with real.Daemon(env={**NOWHERE, "FIREZONE_AUTH_BASE_URL": "http://login.example"}) as d:
        result = d.cli("sign-in", "--no-browser", "--account", "acme", input="")
        assert result.stdout == "http://login.example/acme?as=headless-client\n", result
        result = d.cli("--json", "sign-in", "--no-browser", input="")
        assert json.loads(result.stdout)["url"] == "http://login.example?as=headless-client", result
        result = d.cli("sign-in", "--no-browser", "--qr", input="")
        assert "\u2588" in result.stderr, result
        result = d.cli("sign-in", "--token-stdin", input=".planted-token\n")
        assert result.returncode == 0, result
        assert d.status()["token"]["source"] == "session"
        assert "planted" not in d.log_text()


def test_service_mode_refuses_to_sign_in_or_out_to_everybody():
    with service() as d:
        for args in (["sign-in", "--no-browser"], ["sign-in", "--token-stdin"], ["provide-token"], ["sign-out"],
                     ["cancel-sign-in"], ["finish-sign-in"]):
            for who in ({}, OWNER):
                result = d.cli(*args, input="a.token", **who)
                assert result.returncode == 7, (args, who, result)
        for args in (["up"], ["down"], ["reset"], ["internet-resource", "disable"], ["resource", "disable", "x"]):
            assert d.cli(*args, **OWNER).returncode == 7, args
        for args in (["resource", "list"], ["peer", "list"], ["route", "list"], ["internet-resource", "status"],
                     ["explain", "10.0.0.1"]):
            assert d.cli(*args, **OWNER).returncode == 0, args


def test_a_source_that_comes_takes_the_session_over():
    real.reset()
    with real.Daemon(env=NOWHERE) as d:
        assert d.cli("provide-token", input="a.token", **OWNER).returncode == 0
        real.put(real.ETC + "/token", "b.token", 0o600)
        d.json("reload")
        s = d.status()
        assert s["service_mode"] and "owner_uid" not in s, s
        os.remove(real.ETC + "/token")
        d.json("reload")
        assert d.status()["state"] == "signed_out", "who was signed in before has to sign in again"


def test_a_reload_that_changes_nothing_leaves_the_session_alone():
    with service() as d:
        since = d.status()["since"]
        d.json("reload")
        assert d.status()["since"] == since
        assert d.log_text().count("event=") == 0 and d.log_text().count("service-mode source") == 1
        d.cli("settings", "set", "device_name", "another")
        assert d.log_text().count("service-mode source") == 2, "another name is told to the portal"


def test_waiting():
    real.reset()
    with real.Daemon(env=NOWHERE) as d:
        assert d.cli("wait", "--for", "down").returncode == 0
        assert d.cli("wait", "--for", "up").returncode == 6
        assert d.cli("--timeout", "300ms", "wait", "--for", "signed-in").returncode == 3
        assert d.cli("wait").returncode == 2 and d.cli("wait", "--for", "resource").returncode == 2
        env = {"PATH": os.environ["PATH"], "FIREZONE_SOCKET": real.SOCKET}
        waiting = subprocess.Popen([fz.CLI, "wait", "--for", "signed-in"], env=env, stdout=subprocess.PIPE, text=True)
        real.wait_until(lambda: any(m["name"] == "firezone_ipc_connections" and m["value"] == 2
                                    for m in d.json("metrics")["metrics"]))
        assert d.cli("provide-token", input="a.token").returncode == 0
        assert waiting.wait(20) == 0
        waiting.stdout.close()
        assert d.cli("--timeout", "300ms", "wait", "--for", "up").returncode == 3
        assert d.cli("up", "--wait", "300ms").returncode == 3


def test_without_a_session_the_lists_are_empty_and_names_unknown():
    real.reset()
    with real.Daemon(env=NOWHERE) as d:
        assert d.json("resource", "list")["resources"] == [] and d.json("peer", "list")["peers"] == []
        assert d.json("route", "list")["routes"] == []
        assert d.cli("resource", "show", "x").returncode == 10 and d.cli("peer", "show", "x").returncode == 10
        assert d.json("internet-resource", "status")["enabled"] is False
        assert d.json("explain", "10.0.0.1:80")["verdict"] == "direct"


def test_a_choice_of_the_engine_that_is_none_is_said():
    with service({"FIREZONE_IO": "nonsense"}) as d:
        s = d.status()
        assert s["state"] == "error" and "engine" in s["reason"], s


if __name__ == "__main__":
    fz.run_tests(sys.modules[__name__])
