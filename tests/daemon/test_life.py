#!/usr/bin/env python3
"""firezoned's life: starting, its socket, signals, a second one, a crash, what it undoes, how it sleeps."""
import http.server
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import real
from real import fz

real.enter()


def test_it_binds_its_socket_for_root_and_the_group():
    real.reset()
    with real.Daemon() as d:
        st, dir_st = os.stat(real.SOCKET), os.stat("/run/firezone")
        assert (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid) == (0o660, 0, fz.GROUP), st
        assert (stat.S_IMODE(dir_st.st_mode), dir_st.st_uid) == (0o755, 0)
        assert d.status()["state"] == "signed_out" and "sign in" in d.status()["reason"]
        member = d.cli("--json", "status", preexec_fn=fz.as_user(fz.MEMBER, [fz.GROUP]))
        assert member.returncode == 0, member.stderr
        outsider = d.cli("status", preexec_fn=fz.as_user(fz.OUTSIDER))
        assert outsider.returncode == 5, outsider
    assert not os.path.exists(real.SOCKET), "a socket bound here is removed"


def test_sigterm_and_sigint_end_it_cleanly():
    for number in (signal.SIGTERM, signal.SIGINT):
        real.reset()
        with real.Daemon() as d:
            d.process.send_signal(number)
            assert d.process.wait(20) == 0
            d.notify.wait_for("STOPPING=1")


def test_a_second_daemon_refuses_to_start():
    real.reset()
    with real.Daemon() as d:
        code, said = real.fails_to_start()
        assert code == 75 and "already-running" in said, (code, said)
        assert d.status()["state"] == "signed_out", "the first is not disturbed"


def test_a_stale_socket_is_replaced():
    real.reset()
    with real.Daemon(ends=False) as d:
        d.kill()
        assert os.path.exists(real.SOCKET)
        assert d.cli("status").returncode == 8
    with real.Daemon() as d:
        assert d.cli("status").returncode == 0


def test_it_serves_an_inherited_socket_as_a_user_with_one_capability():
    real.reset()
    real.service_state()
    with real.listen() as s:
        with real.Daemon(wrap=[*real.as_service(), *real.ACTIVATE], stdin=s) as d:
            assert d.status()["state"] == "signed_out"
            with open(f"/proc/{d.process.pid}/status") as f:
                lines = dict(line.split(":", 1) for line in f if ":" in line)
            assert lines["Uid"].split()[0] == str(real.SERVICE_USER)
            assert int(lines["CapEff"], 16) & ~(1 << 12) == 0, lines["CapEff"]
            assert fz.is_sanitized() or lines["Seccomp"].strip() == "2", lines["Seccomp"]
            # What it keeps is its own.
            assert d.cli("settings", "set", "log_filter", "debug").returncode == 0
            assert os.stat(real.STATE + "/settings.conf").st_uid == real.SERVICE_USER
        assert os.path.exists(real.SOCKET), "an inherited socket stays"


def test_as_root_it_keeps_one_capability_gains_none_and_has_its_system_calls_filtered():
    real.reset()
    with real.Daemon() as d:
        with open(f"/proc/{d.process.pid}/status") as f:
            lines = dict(line.split(":", 1) for line in f if ":" in line)
        for name, want in (("CapEff", 1 << 12), ("CapPrm", 1 << 12), ("CapBnd", 0), ("CapInh", 0), ("CapAmb", 0)):
            assert int(lines[name], 16) == want, (name, lines[name])
        assert lines["NoNewPrivs"].strip() == "1"
        assert fz.is_sanitized() or lines["Seccomp"].strip() == "2", lines["Seccomp"]
        assert d.cli("settings", "set", "log_filter", "debug").returncode == 0, "what it keeps it can still write"


def test_without_root_and_without_a_socket_it_says_so():
    real.reset()
    real.service_state()
    code, said = real.fails_to_start(wrap=real.as_service())
    assert code == 77 and "not-root" in said and "systemctl" in said, (code, said)


def test_root_without_the_capability_is_refused():
    real.reset()
    code, said = real.fails_to_start(wrap=["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"])
    assert code == 77 and "CAP_NET_ADMIN" in said, (code, said)


def test_root_who_may_give_nothing_away_keeps_the_socket():
    real.reset()
    with real.Daemon(wrap=["setpriv", "--bounding-set", "-all,+net_admin"]) as d:
        st = os.stat(real.SOCKET)
        assert (st.st_uid, st.st_gid, st.st_mode & 0o777) == (0, 0, 0o660), st
        assert "no-group" in d.log_text() and "CAP_CHOWN" in d.log_text(), d.log_text()
        assert d.status()["state"] == "signed_out"
        assert d.cli("status", preexec_fn=fz.as_user(fz.MEMBER, [fz.GROUP])).returncode == 5


def test_more_than_one_inherited_socket_is_refused():
    real.reset()
    with real.listen() as s:
        code, said = real.fails_to_start(
            wrap=["sh", "-c", 'exec 3<&0 4<&0; LISTEN_FDS=2 LISTEN_PID=$$ exec "$@"', "sh"], stdin=s)
        assert code == 78 and "sockets=2" in said, (code, said)


def test_arguments_it_does_not_know_are_refused():
    for args, code in ((["--nope"], 2), (["extra"], 2), (["--help"], 0), (["--version"], 0)):
        done = subprocess.run([real.FIREZONED, *args], capture_output=True, text=True, timeout=20)
        assert done.returncode == code, (args, done)
        assert done.stdout if code == 0 else done.stderr


def routes(table):
    out = subprocess.run(["ip", "-o", "route", "show", "table", str(table)], capture_output=True, text=True)
    return out.stdout


# As host_text.c writes them: table_user of the client, the route protocol 217.
TABLE = 0x46495a00


def ip(*args):
    return subprocess.run(["ip", *args], check=True, capture_output=True, text=True).stdout


def crash_with_changes():
    """What a killed daemon leaves: changes in the kernel and the journal that names them."""
    real.reset()
    os.makedirs(real.STATE, mode=0o700)
    subprocess.run(["ip", "link", "del", "left0"], capture_output=True)
    subprocess.run(["ip", "tuntap", "add", "left0", "mode", "tun"], check=True)
    subprocess.run(["ip", "link", "set", "left0", "up"], check=True)
    index = socket.if_nametoindex("left0")
    subprocess.run(["ip", "route", "add", "10.11.0.0/16", "dev", "left0", "table", str(TABLE), "proto", "217"], check=True)
    subprocess.run(["ip", "rule", "add", "priority", "10100", "not", "fwmark", "0x00f17e01", "lookup", str(TABLE),
                    "protocol", "217"], check=True)
    real.put(real.STATE + "/host.journal",
             "firezone host changes 1\n"
             f"route 10.11.0.0/16 table {TABLE} dev {index}\n"
             f"rule ipv4 priority 10100 without mark 0x00f17e01 mask 0xffffffff table {TABLE}\n", 0o600)


def test_what_a_killed_daemon_left_is_undone_by_the_next():
    crash_with_changes()
    assert "10.11.0.0/16" in routes(TABLE)
    with real.Daemon() as d:
        assert routes(TABLE) == "", "the route is gone"
        rules = subprocess.run(["ip", "rule"], capture_output=True, text=True).stdout
        assert "10100:" not in rules, rules
        assert d.json("host", "show")["changes"] == []
        assert "host-leftovers" in d.log_text()


def test_what_no_journal_names_is_found_by_its_tag_and_nobody_elses_is_touched():
    crash_with_changes()
    os.truncate(real.STATE + "/host.journal", 0)
    theirs = (("route", "add", "10.12.0.0/16", "dev", "left0", "table", str(TABLE), "proto", "static"),
              ("route", "add", "10.13.0.0/16", "dev", "left0", "table", "5000", "proto", "217"),
              ("rule", "add", "priority", "10101", "lookup", str(TABLE), "protocol", "static"),
              ("rule", "add", "priority", "10000", "fwmark", "0x00f17e02", "lookup", "5000", "protocol", "217"))
    for words in theirs:
        ip(*words)
    with real.Daemon() as d:
        assert "10.11.0.0/16" not in routes(TABLE) and "10100:" not in ip("rule")
        shown = d.json("host", "show")
        assert (shown["changes"], shown["drift"]) == ([], False), shown
        assert "host-leftovers" in d.log_text() and "journal=none" in d.log_text()
        # What is ours and appears later is shown, and goes when asked to.
        ip("rule", "add", "priority", "10102", "lookup", str(TABLE), "protocol", "217")
        shown = d.json("host", "show")
        assert shown["drift"] and [c["state"] for c in shown["changes"]] == ["leftover"], shown
        assert d.cli("host", "revert").returncode == 0
        assert "10102:" not in ip("rule") and not d.json("host", "show")["drift"]
    for words in theirs:
        assert (words[2] in ip("route", "show", "table", words[6]) if words[0] == "route"
                else words[3] + ":" in ip("rule")), words
        ip(words[0], "del", *words[2:])


def sleeps_and_is_small(d, mib=12):
    """Whoever asked last has gone, and nothing is left to wake up for."""
    real.wait_until(lambda: d.json("metrics")["metrics"] and True)
    time.sleep(0.5)
    before = real.context_switches(d.process.pid)
    time.sleep(3)
    after = real.context_switches(d.process.pid)
    assert after == before, f"{after - before} wake-ups in three seconds"
    rss = real.rss_kib(d.process.pid)
    print(f"     {rss} KiB resident, {after - before} wake-ups in 3 s")
    assert fz.is_sanitized() or rss < mib * 1024, rss


def test_idle_it_sleeps_and_is_small():
    real.reset()
    with real.Daemon() as d:
        d.status()
        sleeps_and_is_small(d)


class Refuses(http.server.BaseHTTPRequestHandler):
    """A portal that knows nobody."""

    def do_GET(self):
        body = b'{"status": 401, "code": "invalid_token"}'
        self.send_response(401)
        self.send_header("Content-Type", "application/problem+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_with_a_refused_token_it_sleeps_and_is_small():
    real.reset()
    real.put(real.ETC + "/token", "a.token", 0o600)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as portal:
        threading.Thread(target=portal.serve_forever, daemon=True).start()
        with real.Daemon(env={"FIREZONE_API_URL": f"ws://127.0.0.1:{portal.server_port}/", "FIREZONE_ID": "a-test",
                              "FIREZONE_INSECURE_PORTAL": "true"}) as d:
            real.wait_until(lambda: d.status()["token"].get("verdict") == "refused")
            assert d.status()["service_mode"], d.status()
            sleeps_and_is_small(d)
        portal.shutdown()


def test_down_it_sleeps_and_is_small():
    real.reset()
    real.put(real.ETC + "/token", "a.token", 0o600)
    with real.Daemon(env={"FIREZONE_API_URL": "wss://127.0.0.1:9/", "FIREZONE_ID": "a-test"}) as d:
        real.wait_until(lambda: "tun-firezone" in [name for _, name in socket.if_nameindex()])
        assert d.json("down")["state"] == "down"
        # The code that a session used, of libsodium, intel-ipsec-mb and wolfSSL, stays in the page cache and counts.
        sleeps_and_is_small(d, 14)


def test_the_watchdog_is_fed_when_the_manager_asks():
    real.reset()
    with real.Daemon(wrap=["sh", "-c", 'WATCHDOG_USEC=400000 WATCHDOG_PID=$$ exec "$@"', "sh"]) as d:
        d.notify.wait_for("WATCHDOG=1")
        d.notify.wait_for("WATCHDOG=1")


def test_the_manager_is_told_states_and_reloads():
    real.reset()
    with real.Daemon() as d:
        assert "signed out" in d.notify.wait_for("STATUS=")
        d.process.send_signal(signal.SIGHUP)
        text = d.notify.wait_for("RELOADING=1")
        usec = int(next(line for line in text.splitlines() if line.startswith("MONOTONIC_USEC=")).split("=")[1])
        assert 0 < usec <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        d.notify.wait_for("READY=1")
        real.put(real.ETC + "/token", "a.token", 0o600)
        d.process.send_signal(signal.SIGHUP)
        d.notify.wait_for("READY=1")
        d.notify.wait_for("STATUS=")


def test_no_core_dumps_and_no_tracing():
    real.reset()
    real.service_state()
    with real.listen() as s, real.Daemon(wrap=[*real.as_service(), *real.ACTIVATE], stdin=s) as d:
        with open(f"/proc/{d.process.pid}/limits") as f:
            core = next(line for line in f if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"], core
        # Files in /proc of a process that may not be dumped or traced are root's, whoever it runs as.
        assert os.stat(f"/proc/{d.process.pid}/environ").st_uid == 0


if __name__ == "__main__":
    fz.run_tests(sys.modules[__name__])
