#!/usr/bin/env python3
"""firezonectl as people and scripts meet it: exit codes, JSON, terminals, pipes, completions, the manual page."""
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import fz

COMMANDS = [
    ["status"], ["watch", "-n", "2"], ["host", "show"], ["host", "revert", "--dry-run"], ["settings", "get"],
    ["settings", "get", "api_url"], ["settings", "set", "log_filter", "debug"], ["settings", "unset", "log_filter"],
    ["settings", "validate", "/etc/hostname"], ["policy", "show"], ["token", "import", "--file", "/etc/hostname"],
    ["token", "remove"], ["token", "status"], ["logs", "-n", "2"], ["log-level", "get"],
    ["log-level", "set", "debug", "--for", "10m"], ["health"], ["metrics"], ["bug-report", "--preview"], ["reload"],
    ["bench", "--loopback", "--time", "1s"], ["version"], ["up"], ["up", "--wait", "5s"], ["down"],
    ["down", "-w"], ["reset"], ["reset", "--wait=5s"],
    ["wait", "--for", "up"], ["sign-in", "--no-browser"], ["sign-out"], ["resource", "list"], ["resource", "show", "prod-db"],
    ["resource", "enable", "prod-db"], ["resource", "disable", "prod-db"], ["internet-resource", "status"],
    ["internet-resource", "enable"], ["internet-resource", "disable"], ["explain", "10.0.3.7:443"], ["peer", "list"],
    ["peer", "show", "gw-2"], ["route", "list"],
]

HIDDEN = [["provide-token"], ["finish-sign-in"], ["cancel-sign-in"]]


def test_every_command_works_in_every_form():
    with fz.Daemon("--signed-in", "--owner", str(os.getuid())) as d:
        for args in COMMANDS:
            for form in ("human", "json", "jsonl", "terse"):
                if args[0] == "watch":
                    timer = threading.Timer(0.3, d.emit)
                    timer.start()
                result = fz.cli(d, "-o", form, *args)
                assert result.returncode == 0, (args, form, result.stderr)
                assert result.stdout or args == ["policy", "show"] or args[:2] == ["host", "revert"], (args, form)


def test_the_list_of_commands_here_is_complete():
    out = fz.cli("/nowhere", "--help").stdout
    listed = set(re.findall(r"^  ([a-z][a-z-]*(?: [a-z]+)?)  ", out, re.M))
    tested = {" ".join(c[:2]) for c in COMMANDS} | {c[0] for c in COMMANDS} | {"completion", "help"}
    assert not listed - tested, listed - tested


def test_json_is_valid_against_the_schema():
    validator = fz.schema_validator()
    validator.check_schema(validator.schema)
    n = 0
    called = set()
    with fz.Daemon("--signed-in", "--owner", str(os.getuid())) as d:
        for args in COMMANDS + HIDDEN + [["settings", "get", "nope"], ["settings", "set", "api_url", "x"]]:
            if args[0] == "watch":
                threading.Timer(0.3, d.emit).start()
            result = fz.cli(d, "-o", "jsonl", *args, input=".a-token\n")
            assert result.stdout or result.stderr, args
            for line in (result.stdout + result.stderr).splitlines():
                value = json.loads(line)
                validator.validate(value)
                assert value["schema"].startswith("firezone.")
                n += 1
            called |= {args[0], " ".join(args[:2])}
        bad = json.loads(fz.cli(d, "--json", "status").stdout)
        bad["state"] = "flying"
        assert not validator.is_valid(bad)
    commands = set(re.findall(r'command: "([^"]+)"', open(os.path.join(fz.SOURCE, "ipc", "firezone.proto")).read()))
    assert not commands - called, f"without a look at their JSON: {commands - called}"
    print(f"     {n} objects of {len(commands)} commands")


def test_exit_codes_of_refusals():
    with fz.Daemon() as d:
        for code, args in ((10, ["settings", "get", "nope"]), (7, ["settings", "set", "api_url", "x"]),
                           (2, ["settings", "set", "api_url"]), (2, ["nope"]), (2, ["host"]), (2, []),
                           (2, ["status", "--nope"]), (2, ["status", "extra"]), (2, ["--timeout", "x", "status"]),
                           (2, ["logs", "--level", "loud"]), (2, ["-o", "yaml", "status"]),
                           (10, ["settings", "validate", "/nonexistent"]), (2, ["watch", "--until", "flying"]),
                           (0, ["watch", "--until", "up"]), (0, ["status", "--check"]), (0, ["health", "--ready"])):
            result = fz.cli(d, *args)
            assert result.returncode == code, (args, result.returncode, result.stderr)
            assert code == 0 or result.stderr, args
    with fz.Daemon("--state", "down") as d:
        assert fz.cli(d, "status", "--check").returncode == 9 and fz.cli(d, "health").returncode == 9
    with fz.Daemon("--state", "signed_out") as d:
        result = fz.cli(d, "status", "--check")
        assert result.returncode == 6 and not result.stdout


def test_fields_are_for_terse_output_alone():
    with fz.Daemon() as d:
        result = fz.cli(d, "-o", "terse", "--fields", "tunnel.ipv4,state", "status")
        assert result.returncode == 0 and result.stdout == "100.64.12.7:up\n", result
        for args in (["--json", "--fields", "state", "status"], ["--fields", "state", "status"],
                     ["--fields", "state", "-o", "jsonl", "watch"]):
            result = fz.cli(d, *args)
            assert result.returncode == 2 and "--output terse" in result.stderr and not result.stdout, (args, result)
        for path in ("nope", "tunnel.nope", "tunnel", "warnings.text", "state,", ""):
            result = fz.cli(d, "-o", "terse", "--fields", path, "status")
            assert result.returncode == 2 and "No such field" in result.stderr, (path, result)
        result = fz.cli(d, "-o", "terse", "--fields", "name,id", "peer", "list")
        assert result.returncode == 0 and result.stdout == "gw-2:gw-2\n", result


def test_verbs_that_change_the_state_wait_for_it():
    with fz.Daemon("--signed-in", "--owner", str(os.getuid())) as d:
        for args in (["up"], ["down"], ["reset"], ["token", "import", "--stdin"], ["sign-in", "--token-stdin"]):
            for wait in (["--wait"], ["-w"], ["--wait", "5s"], ["--wait=5s"], ["-w5s"]):
                result = fz.cli(d, "--json", *args, *wait, input=".a-token\n")
                assert result.returncode == 0, (args, wait, result)
                assert json.loads(result.stdout)["schema"] == "firezone.Status/1", "one object: the state that came"
            for wait in ("--wait=soon", "--wait=0s"):
                result = fz.cli(d, *args, wait, input=".a-token\n")
                assert result.returncode == 2 and "length of time" in result.stderr, (args, result)
    for state, code, text in (("reconnecting", 3, ""), ("signed_out", 6, "signed in"), ("down", 9, "taken down"),
                              ("error", 4, "ended"), ("degraded", 0, "")):
        with fz.Daemon("--signed-in", "--owner", str(os.getuid()), "--state", state) as d:
            result = fz.cli(d, "reset", "--wait", "300ms")
            assert result.returncode == code and text in result.stderr, (state, result)


def test_a_daemon_that_is_not_there_is_8_with_what_to_do():
    result = fz.cli("/nonexistent/s.sock", "status")
    assert result.returncode == 8 and "systemctl start firezoned" in result.stderr
    result = fz.cli("/nonexistent/s.sock", "--json", "status")
    error = json.loads(result.stderr)
    assert error["schema"] == "firezone.Error/1" and error["code"] == "unavailable" and error["exit"] == 8
    assert fz.cli("/nonexistent/s.sock", "version").returncode == 0
    assert fz.cli("/nonexistent/s.sock", "version", "--check").returncode == 8


class Scripted:
    """A listener that answers each connection with given bytes, or not at all."""

    def __init__(self, answer):
        self.dir = tempfile.mkdtemp(prefix="fz-ipc-")
        self.path = self.dir + "/s.sock"
        self.s = socket.socket(socket.AF_UNIX)
        self.s.bind(self.path)
        self.s.listen()
        self.held = []

        def serve():
            while True:
                try:
                    c = self.s.accept()[0]
                except OSError:
                    return
                self.held.append(c)
                c.recv(4096)
                if answer is not None:
                    c.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()
        shutil.rmtree(self.dir)


def test_a_foreign_version_is_11_and_names_both():
    error = fz.field(1, 11) + fz.field(2, "no") + fz.field(7, 3) + fz.field(8, 4) + fz.field(9, "9.9.9")
    with Scripted(fz.frame(fz.field(1, 0) + fz.field(6, error))) as s:
        result = fz.cli(s.path, "status")
        assert result.returncode == 11 and "1.0" in result.stderr and "3.4" in result.stderr, result.stderr


def test_an_older_minor_version_warns_once_and_works_on():
    reply = fz.field(1, 1) + fz.field(2, 1) + fz.field(3, "0.2")  # a minor we do not have stands for "differs"
    with Scripted(fz.frame(fz.field(1, 0) + fz.field(3, reply))) as s:
        result = fz.cli(s.path, "--timeout", "300ms", "status")
        assert result.stderr.count("protocol") == 1 and result.returncode == 3


def test_nonsense_instead_of_a_daemon_is_an_error_not_a_crash():
    for nonsense in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\0\0", b"\xff" * 64, fz.frame(b"\xff\xff\xff")):
        with Scripted(nonsense) as s:
            assert fz.cli(s.path, "status").returncode == 8


def test_a_daemon_that_says_nothing_is_3_with_a_timeout():
    with Scripted(None) as s:
        assert fz.cli(s.path, "--timeout", "300ms", "status").returncode == 3


def in_namespace(script, passwd, group):
    """Runs a shell script where /etc/passwd and /etc/group are ours."""
    directory = tempfile.mkdtemp(prefix="fz-ipc-")
    os.chmod(directory, 0o755)
    for name, text in (("passwd", passwd), ("group", group)):
        with open(f"{directory}/{name}", "w") as f:
            f.write(text)
        os.chmod(f"{directory}/{name}", 0o644)
    full = f"mount --bind {directory}/passwd /etc/passwd; mount --bind {directory}/group /etc/group; {script}"
    result = subprocess.run(["unshare", "-m", "sh", "-c", full], capture_output=True, text=True,
                            env={**os.environ, "LC_ALL": "C.UTF-8"})
    shutil.rmtree(directory)
    return result


def test_who_is_not_in_the_group_is_told_how_and_who_just_joined_to_log_in_again():
    if os.geteuid() != 0:
        raise fz.Skip("needs root")
    passwd = f"root:x:0:0::/:/bin/sh\njane:x:{fz.MEMBER}:{fz.MEMBER}::/:/bin/sh\n"
    cli = shutil.copy(fz.CLI, tempfile.mkdtemp(prefix="fz-ipc-", dir="/tmp"))
    os.chmod(os.path.dirname(cli), 0o755)
    with fz.Daemon("--group", str(fz.GROUP)) as d:
        for group, hint in ((f"firezone:x:{fz.GROUP}:\n", "usermod -aG firezone jane"),
                            (f"firezone:x:{fz.GROUP}:jane\n", "log out and in again"), ("", "does not exist")):
            run = f"setpriv --reuid {fz.MEMBER} --regid {fz.MEMBER} --clear-groups {cli} --socket {d.path} status"
            result = in_namespace(run, passwd, "root:x:0:\n" + group)
            assert result.returncode == 5 and hint in result.stderr, (hint, result.stderr)
    with fz.Daemon("--group", str(fz.GROUP), "--mode", "0666") as d:
        run = f"setpriv --reuid {fz.MEMBER} --regid {fz.MEMBER} --clear-groups {cli} --socket {d.path} status"
        result = in_namespace(run, passwd, f"root:x:0:\nfirezone:x:{fz.GROUP}:jane\n")
        assert result.returncode == 5 and "log out and in again" in result.stderr, result.stderr
    shutil.rmtree(os.path.dirname(cli))


def test_a_socket_that_is_not_roots_is_not_trusted():
    if os.geteuid() != 0:
        raise fz.Skip("needs root")
    with fz.Daemon() as d:
        assert fz.cli(d, "status").returncode == 0
        for path, uid in ((d.path, fz.OUTSIDER), (d.dir, fz.OUTSIDER)):
            os.chown(path, uid, -1)
            result = fz.cli(d, "status")
            assert result.returncode == 8 and "does not belong to root" in result.stderr, result
            os.chown(path, 0, -1)
        for mode in (0o775, 0o757, 0o1777):
            os.chmod(d.dir, mode)
            assert fz.cli(d, "status").returncode == 8, oct(mode)
        os.chmod(d.dir, 0o755)
        os.rename(d.path, d.path + ".real")
        open(d.path, "w").close()
        assert fz.cli(d, "status").returncode == 8, "a file is no socket"
        os.unlink(d.path)
        # Somebody else listens on a socket that was given to root: the process behind it gives him away.
        pid = os.fork()
        if pid == 0:
            s = socket.socket(socket.AF_UNIX)
            s.bind(d.path)
            fz.as_user(fz.OUTSIDER)()
            s.listen()
            time.sleep(20)
            os._exit(0)
        for _ in range(100):
            result = fz.cli(d, "--timeout", "2s", "status")
            if "does not belong" in result.stderr:
                break
            time.sleep(0.05)
        assert result.returncode == 8 and "does not belong to root" in result.stderr, result
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_secrets_are_refused_on_the_command_line():
    with fz.Daemon() as d:
        for args in (["token", "import", "--token", "x"], ["token", "import", "--token=x"], ["token", "import", "x"]):
            result = fz.cli(d, *args)
            assert result.returncode == 2 and "x" not in result.stdout, args
        assert fz.cli(d, "token", "import", "--stdin", input="abc\n").returncode == 0
        assert fz.cli(d, "token", "import", "--stdin", input="").returncode == 2


def test_a_report_goes_to_a_new_file_only():
    with fz.Daemon() as d:
        target = d.dir + "/report.tar"
        result = fz.cli(d, "bug-report", "-O", target)
        assert result.returncode == 0 and open(target).read() == "report"
        assert oct(os.stat(target).st_mode & 0o777) == "0o600"
        assert fz.cli(d, "bug-report", "-O", target).returncode == 1, "never over another file"
        result = fz.cli(d, "bug-report", "-O", "-")
        assert result.stdout == "report" and result.returncode == 0
        os.unlink(target)


def test_metrics_are_openmetrics():
    with fz.Daemon() as d:
        lines = fz.cli(d, "metrics", "--openmetrics").stdout.splitlines()
        assert lines[-1] == "# EOF"
        sample = re.compile(r'^[a-z_]+(\{[a-z]+="([^"\\]|\\.)*"\})? [0-9.e+]+$')
        for line in lines:
            assert line.startswith("# ") or sample.match(line), line
        assert lines.count("# TYPE firezone_drops counter") == 1


def test_logs_are_filtered_and_pipes_end_quietly():
    with fz.Daemon() as d:
        out = fz.cli(d, "logs", "-n", "20", "--grep", "line-1[0-2]").stdout
        assert len(out.splitlines()) == 3
        env = {**os.environ, "FIREZONE_SOCKET": d.path}
        threading.Timer(0.5, d.emit).start()
        result = subprocess.run(f"{fz.CLI} watch | head -1", shell=True, env=env, capture_output=True, text=True,
                                timeout=20)
        assert len(result.stdout.splitlines()) == 1 and not result.stderr, result.stderr
        full = subprocess.run(f"{fz.CLI} status > /dev/full", shell=True, env=env, capture_output=True, text=True)
        assert full.returncode == 1


def test_ctrl_c_ends_a_stream_as_a_signal_and_the_daemon_hears_of_it():
    with fz.Daemon() as d:
        p = subprocess.Popen([fz.CLI, "--socket", d.path, "watch"], stdout=subprocess.PIPE, text=True)
        p.stdout.readline()
        for number in (signal.SIGINT, signal.SIGTERM):
            p.send_signal(number)
            assert p.wait(10) == -number
            p = subprocess.Popen([fz.CLI, "--socket", d.path, "watch"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 text=True)
            p.stdout.readline()
        d.process.send_signal(signal.SIGTERM)
        assert p.wait(10) == 8, "the daemon went away"
        assert p.stderr.read() == "firezonectl: The daemon stops.\n"


def on_terminal(args, env, size=(24, 80), send=None):
    """Runs a program on a pseudo-terminal; what it showed, and its exit code."""
    import fcntl
    import struct
    import termios
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe(args[0], args, {"PATH": os.environ["PATH"], "TERM": "xterm", "LC_ALL": "C.UTF-8", "TZ": "UTC", **env})
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    out, end = b"", time.monotonic() + 20
    while time.monotonic() < end:
        if not select.select([fd], [], [], 0.1)[0]:
            if send and send[0] in out:
                os.write(fd, send[1])
                send = None
            continue
        try:
            more = os.read(fd, 65536)
        except OSError:
            break
        if not more:
            break
        out += more
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    return out.decode(errors="replace").replace("\r\n", "\n"), os.waitstatus_to_exitcode(status)


def test_a_terminal_gets_ages_headings_in_bold_and_no_control_characters_of_others():
    with fz.Daemon() as d:
        env = {"FIREZONE_SOCKET": d.path}
        out, code = on_terminal([fz.CLI, "status"], env)
        assert code == 0 and re.search(r"up \d+ (h|d)", out), out
        assert "\x1b[31m" not in out and "a?[31mb" in out
        out, _ = on_terminal([fz.CLI, "host", "show"], env)
        assert out.startswith("\x1b[1mKIND")
        for quiet in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            assert "\x1b" not in on_terminal([fz.CLI, "host", "show"], {**env, **quiet})[0]
        assert "\x1b" not in on_terminal([fz.CLI, "--no-color", "host", "show"], env)[0]


def test_a_narrow_terminal_gets_shorter_cells_and_a_pipe_all_of_them():
    with fz.Daemon() as d:
        out, _ = on_terminal([fz.CLI, "--no-color", "host", "show"], {"FIREZONE_SOCKET": d.path, "COLUMNS": "40"})
        assert all(len(line) <= 40 for line in out.splitlines()) and "~" in out, out
        assert "0xfd002021 lookup 539950336" in fz.cli(d, "host", "show").stdout


def test_what_is_said_fits_a_narrow_terminal():
    with fz.Daemon("--name", "an-account-of-that-name") as d:
        env = {"FIREZONE_SOCKET": d.path, "COLUMNS": "40", "NO_COLOR": "1"}
        for args in (["status"], ["explain", "10.0.0.1"], ["settings", "get", "log_filter"], ["--help"], ["up", "--help"],
                     ["sign-in", "--help"], ["resource", "list"], ["peer", "list"]):
            out, code = on_terminal([fz.CLI, *args], env)
            lines = out.splitlines()
            assert code == 0 and lines, args
            # A word that is too long alone stays whole.
            assert all(len(line) <= 40 or len(line.split()) == 1 for line in lines if "Usage: " not in line), (args, out)
            assert all(line == line.rstrip() for line in lines), (args, out)
        out, _ = on_terminal([fz.CLI, "status"], env)
        assert "\n          an-account-of-that-name" in out, out
        wide, _ = on_terminal([fz.CLI, "status"], {**env, "COLUMNS": "200"})
        assert len(wide.splitlines()) < len(out.splitlines()) and wide.splitlines()[0].endswith("(Jane Doe)"), wide


def test_a_token_is_typed_without_showing():
    with fz.Daemon() as d:
        out, code = on_terminal([fz.CLI, "token", "import"], {"FIREZONE_SOCKET": d.path}, send=(b"Token: ", b"s3cret\n"))
        assert code == 0 and "s3cret" not in out and "imported" in out, out


def test_help_knows_every_command_and_flag():
    for args in COMMANDS:
        words = [w for w in args[:2] if not w.startswith("-") and not w.startswith("/")]
        result = fz.cli("/nowhere", *words[:2], "--help")
        if result.returncode != 0:
            result = fz.cli("/nowhere", words[0], "--help")
        assert result.returncode == 0 and "Usage: firezonectl" in result.stdout and not result.stderr
    assert "usage" in fz.cli("/nowhere", "--json", "nope").stderr
    assert "Did you mean: firezonectl status" in fz.cli("/nowhere", "statsu").stderr


def test_removing_a_token_asks_a_person_and_not_a_script():
    with fz.Daemon() as d:
        env = {"FIREZONE_SOCKET": d.path}
        assert on_terminal([fz.CLI, "token", "remove"], env, send=(b"[y/N]", b"n\n"))[1] == 1
        out, code = on_terminal([fz.CLI, "token", "remove"], env, send=(b"[y/N]", b"y\n"))
        assert code == 0 and "none" in out
        assert on_terminal([fz.CLI, "--yes", "token", "remove"], env)[1] == 0


def test_verbose_says_whom_it_talks_to():
    with fz.Daemon() as d:
        assert "firezoned 0.1.0" in fz.cli(d, "-v", "health").stderr and not fz.cli(d, "health").stderr


def test_it_takes_less_than_three_mebibytes():
    if fz.is_sanitized():
        raise fz.Skip("allowed: a sanitizer takes more")
    with fz.Daemon() as d, subprocess.Popen([fz.CLI, "--socket", d.path, "watch"], stdout=subprocess.PIPE) as p:
        assert p.stdout.readline()
        with open(f"/proc/{p.pid}/status") as f:
            kib = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
        p.terminate()
        print(f"     {kib} KiB at most")
        assert kib < 3 * 1024, kib


def pages():
    """Every manual page there is: those written by hand, and the generated one."""
    found = [os.path.join(fz.GEN, "cli", "firezonectl.1")]
    for directory, below, names in os.walk(fz.SOURCE):
        below[:] = [d for d in below if not d.startswith(".") and d != "build"]
        found += [os.path.join(directory, n) for n in names if re.fullmatch(r"[a-z.-]+\.[1-8]", n)]
    return found


def test_no_manual_page_has_warnings():
    names = {os.path.basename(path) for path in pages()}
    assert {"firezonectl.1", "firezone-client.3", "firezoned.8", "firezoned.conf.5", "firezone-gateway.8",
            "firezone-wg.8"} <= names, names
    if not shutil.which("man"):
        raise fz.Skip("man is not here")
    for path in pages():
        result = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", path],
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "MANROFFSEQ": "", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
        assert not result.stderr and result.returncode == 0, (path, result.stderr)
        if shutil.which("mandoc"):
            lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", path], capture_output=True, text=True)
            unexpected = [l for l in lint.stdout.splitlines() if "missing date" not in l]
            assert not unexpected, unexpected
    with open(pages()[0]) as f:
        text = f.read()
    for rule in fz.methods():
        assert rule["served"] or rule["name"] not in text


if __name__ == "__main__":
    fz.run_tests(sys.modules[__name__])
