#!/usr/bin/env python3
"""firezoned's settings: where each value comes from, mistakes in files, policy, reload; and what it tells of itself:
log, metrics, health, report, measurement. Every answer is valid JSON by the generated schema."""
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import time

import real
from real import fz

real.enter()


def setting(d, key):
    return d.json("settings", "get", key)["settings"][0]


def test_each_source_wins_over_those_before_it():
    real.reset()
    conf, drop_in, policy = real.ETC + "/firezoned.conf", real.ETC + "/firezoned.conf.d/10.conf", real.ETC + "/policy.d/a.conf"
    with real.Daemon() as d:
        s = setting(d, "api_url")
        assert s["source"] == "default" and s["value"] == s["default_value"] == "wss://api.firezone.dev/", s
        real.put(conf, "# a comment\n\napi_url = wss://one.example/\n")
        assert d.json("reload")["changed"] == ["api_url"]
        s = setting(d, "api_url")
        assert (s["value"], s["source"], s["origin"]) == ("wss://one.example/", "file", conf + ":3"), s
        real.put(drop_in, "api_url = wss://two.example/\n")
        d.json("reload")
        assert setting(d, "api_url")["origin"] == drop_in + ":1"
        assert d.cli("settings", "set", "api_url", "wss://three.example/").returncode == 0
        s = setting(d, "api_url")
        assert (s["value"], s["source"]) == ("wss://three.example/", "stored"), s
    with real.Daemon(env={"FIREZONE_API_URL": "wss://four.example/"}) as d:
        s = setting(d, "api_url")
        assert (s["value"], s["source"], s["origin"]) == ("wss://four.example/", "environment", "FIREZONE_API_URL"), s
        result = d.cli("settings", "set", "api_url", "wss://x.example/")
        assert result.returncode == 1 and "environment" in result.stderr, result
        real.put(policy, 'api_url = "wss://five.example/"\n')
        d.json("reload")
        s = setting(d, "api_url")
        assert (s["value"], s["source"], s["origin"]) == ("wss://five.example/", "policy", policy + ":1"), s
        result = d.cli("settings", "set", "api_url", "wss://x.example/")
        assert result.returncode == 7 and policy in result.stderr, result
        shown = d.json("policy", "show")
        assert shown["files"] == [policy] and shown["entries"][0]["key"] == "api_url", shown
    with real.Daemon() as d:
        os.remove(policy)
        d.json("reload")
        assert setting(d, "api_url")["source"] == "stored", "what was stored outlived two daemons"
        assert d.cli("settings", "unset", "api_url").returncode == 0
        assert setting(d, "api_url")["source"] == "file"


def test_environment_names_are_upstreams():
    real.reset()
    env = {"FIREZONE_API_URL": "ws://127.0.0.1:8081", "FIREZONE_ID": "some-id", "FIREZONE_NAME": "a name",
           "FIREZONE_ACTIVATE_INTERNET_RESOURCE": "true", "FIREZONE_TOKEN_PATH": "/etc/firezone/other",
           "RUST_LOG": "debug,wire::api=trace", "FIREZONE_AUTH_BASE_URL": "http://127.0.0.1:8080",
           "FIREZONE_ACCOUNT_SLUG": "acme", "MAX_PARTITION_TIME": "1h30m", "https_proxy": "http://user:secret@proxy:3128"}
    with real.Daemon(env=env) as d:
        values = {s["key"]: s for s in d.json("settings", "get")["settings"]}
        for key, name in (("api_url", "FIREZONE_API_URL"), ("device_id", "FIREZONE_ID"), ("device_name", "FIREZONE_NAME"),
                          ("internet_resource", "FIREZONE_ACTIVATE_INTERNET_RESOURCE"),
                          ("token_path", "FIREZONE_TOKEN_PATH"), ("auth_url", "FIREZONE_AUTH_BASE_URL"),
                          ("account_slug", "FIREZONE_ACCOUNT_SLUG"), ("max_partition_time", "MAX_PARTITION_TIME"),
                          ("log_filter", "RUST_LOG")):
            assert (values[key]["value"], values[key]["origin"]) == (env[name], name), values[key]
        assert values["https_proxy"]["value"] == "http://***@proxy:3128"
        assert d.json("log-level", "get")["filter"] == "debug"


UNUSED = ("FIREZONE_DNS_CONTROL", "LOG_DIR", "FIREZONE_INC_BUF", "FIREZONE_FLOW_LOGS", "FIREZONE_METRICS", "OTLP_GRPC_ENDPOINT",
          "FIREZONE_NO_TELEMETRY")


def test_variables_of_upstream_that_are_not_used_are_told_once():
    real.reset()
    with real.Daemon(env={name: "x" for name in UNUSED[1:]} | {UNUSED[0]: ""}) as d:
        d.json("reload")
        log = d.log_text()
        for name in UNUSED[1:]:
            assert log.count(f"known={name} ") == 1, (name, log)
        assert UNUSED[0] not in log, "an empty one asks for nothing"
    with open(os.path.join(fz.SOURCE, "data", "man", "firezoned.8")) as f:
        page = f.read()
    assert all(name in page for name in UNUSED), "each stands in the manual"


def test_mistakes_stop_the_start_and_are_named():
    for path, text, words in (
            ("/firezoned.conf", "api_urll = wss://x/\n", ["api_urll", "api_url", "line=1"]),
            ("/firezoned.conf", "\n\nno equals sign\n", ["line=3", "name = value"]),
            ("/firezoned.conf", "api_url = http://x/\n", ["WebSocket", "wss://"]),
            ("/firezoned.conf.d/9.conf", "log_filter = loud\n", ["9.conf", "err, warning, info or debug"]),
            ("/firezoned.conf", "max_partition_time = soon\n", ["90s", "1h30m"]),
            ("/policy.d/9.conf", "[section]\n", ["9.conf", "sections"]),
            ("/policy.d/9.conf", "log_filter = info\nlog_filter = debug\n", ["twice", "line=2"]),
            ("/firezoned.conf", "device_name = \"open\n", ["quote"]),
            ("/firezoned.conf", "device_name = a\x01b\n", ["control character"])):
        real.reset()
        real.put(real.ETC + path, text)
        code, said = real.fails_to_start()
        assert code == 78, (text, code, said)
        assert all(word in said for word in words), (text, said)


def test_files_that_others_could_write_are_refused():
    for mode, uid in ((0o666, 0), (0o664, 0), (0o644, fz.MEMBER)):
        real.reset()
        real.put(real.ETC + "/policy.d/a.conf", "log_filter = debug\n", mode, uid)
        code, said = real.fails_to_start()
        assert code == 78 and ("chown root" in said or "chmod go-w" in said), (mode, uid, code, said)
    real.reset()
    os.mkdir(real.ETC + "/policy.d")
    os.chmod(real.ETC + "/policy.d", 0o777)
    code, said = real.fails_to_start()
    assert code == 78 and "chmod go-w" in said, said
    real.reset()
    real.put("/run/elsewhere.conf", "log_filter = debug\n")
    os.symlink("/run/elsewhere.conf", real.ETC + "/firezoned.conf")
    code, said = real.fails_to_start()
    assert code == 78 and "symbolic link" in said, said


def test_check_says_what_is_wrong_without_starting():
    real.reset()
    done = subprocess.run([real.FIREZONED, "--check"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and "waits for a front end" in done.stdout, done
    real.put(real.ETC + "/token", "x.y", 0o644)
    done = subprocess.run([real.FIREZONED, "--check"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 78 and "chmod 600" in done.stderr, done
    assert not os.path.exists(real.SOCKET)


def test_a_reload_with_mistakes_changes_nothing():
    real.reset()
    with real.Daemon() as d:
        real.put(real.ETC + "/firezoned.conf", "log_filter = debug\nnope = 1\n")
        result = d.json("reload")
        assert result["changed"] == [] and len(result["problems"]) == 1, result
        problem = result["problems"][0]
        assert problem["line"] == 2 and problem["file"].endswith("firezoned.conf") and "nope" in problem["text"], problem
        d.process.send_signal(signal.SIGHUP)
        d.notify.wait_for("RELOADING=1")
        d.notify.wait_for("READY=1")
        assert "reload-failed" in d.log_text()
        assert d.json("log-level", "get")["filter"] == "info"
        real.put(real.ETC + "/firezoned.conf", "log_filter = debug\n")
        d.process.send_signal(signal.SIGHUP)
        d.notify.wait_for("RELOADING=1")
        d.notify.wait_for("READY=1")
        assert d.json("log-level", "get")["filter"] == "debug"


def test_settings_refuse_values_that_cannot_be():
    real.reset()
    with real.Daemon() as d:
        for key, value, code in (("api_url", "nonsense", 2), ("log_filter", "loud", 2), ("nope", "x", 10),
                                 ("device_name", 'a"b', 2), ("device_name", "x" * 2000, 2),
                                 ("internet_resource", "maybe", 2), ("token_path", "relative", 2)):
            result = d.cli("settings", "set", key, value)
            assert result.returncode == code and result.stderr, (key, value, result)
        assert "api_url" in d.cli("settings", "get", "api_ur").stderr, "a guess is offered"
        assert not os.path.exists(real.STATE + "/settings.conf")
        for value in ("  blanks at both ends ", "it's", "a = b", "# no comment"):
            assert d.cli("settings", "set", "device_name", value).returncode == 0
            assert setting(d, "device_name")["value"] == value
            d.json("reload")
            assert setting(d, "device_name")["value"] == value, "it was kept as it was given"


def test_files_are_judged_without_being_used():
    real.reset()
    with real.Daemon() as d:
        real.put("/run/candidate.conf", "api_url = wss://x.example/\n")
        result = d.cli("--json", "settings", "validate", "/run/candidate.conf")
        assert result.returncode == 0 and json.loads(result.stdout)["valid"], result
        real.put("/run/candidate.conf", "api_url = wss://x.example/\nfoo = 1\nlog_filter = x\n")
        result = d.cli("--json", "settings", "validate", "/run/candidate.conf")
        problems = json.loads(result.stdout)["problems"]
        assert result.returncode == 9 and [p["line"] for p in problems] == [2, 3], result
        assert problems[0]["file"] == "/run/candidate.conf"
        assert setting(d, "api_url")["source"] == "default"
        real.put("/run/candidate.conf", "x\n" * 200_000)
        result = d.cli("--json", "settings", "validate", "/run/candidate.conf")
        assert result.returncode == 9 and "256 KiB" in result.stdout, result
        real.put("/run/candidate.conf", "x\n" * 1000)
        problems = json.loads(d.cli("--json", "settings", "validate", "/run/candidate.conf").stdout)["problems"]
        assert len(problems) == 33 and "968 more" in problems[-1]["text"], problems[-1]


# ---- what the daemon tells of itself ----

COMMANDS = [["status"], ["watch", "-n", "1"], ["host", "show"], ["host", "revert"], ["host", "revert", "--dry-run"],
            ["settings", "get"], ["settings", "get", "api_url"], ["settings", "set", "log_filter", "debug"],
            ["settings", "unset", "log_filter"], ["settings", "validate", "/etc/firezone/firezoned.conf"], ["policy", "show"],
            ["reload"], ["token", "status"], ["token", "import", "--file", "/run/token.txt"], ["status"],
            ["token", "remove", "--yes"], ["logs"], ["log-level", "get"], ["log-level", "set", "debug", "--for", "10m"],
            ["log-level", "get"], ["health"], ["metrics"], ["bug-report", "--preview"], ["bench", "--loopback", "--time", "300ms"],
            ["version"]]


def test_every_answer_is_valid_by_the_schema():
    validator = fz.schema_validator()
    real.reset()
    real.put(real.ETC + "/firezoned.conf", "device_name = here\n")
    real.put(real.ETC + "/policy.d/a.conf", "auth_url = https://login.example\n")
    real.put("/run/token.txt", "some.token\n", 0o600)
    n = 0
    with real.Daemon() as d:
        for args in COMMANDS:
            result = d.cli("-o", "jsonl", *args)
            assert result.returncode == 0, (args, result)
            lines = result.stdout.splitlines()
            assert lines, args
            for line in lines:
                validator.validate(json.loads(line))
                n += 1
    print(f"     {n} objects")


NOWHERE = {"FIREZONE_API_URL": "wss://127.0.0.1:9/", "FIREZONE_ID": "a-test"}
SESSION = [(0, ["provide-token"]), (0, ["status"]), (0, ["down"]), (0, ["wait", "--for", "down"]), (0, ["down", "--for", "10m", "-w"]),
           (0, ["up"]), (3, ["up", "--wait", "200ms"]), (0, ["reset"]), (3, ["reset", "--wait", "200ms"]),
           (3, ["wait", "--for", "up", "--timeout", "200ms"]), (0, ["wait", "--for", "signed-in"]), (0, ["resource", "list"]),
           (10, ["resource", "show", "nope"]), (10, ["resource", "enable", "nope"]), (10, ["resource", "disable", "nope"]),
           (0, ["internet-resource", "status"]), (0, ["internet-resource", "enable"]), (0, ["internet-resource", "disable"]),
           (0, ["peer", "list"]), (10, ["peer", "show", "nope"]), (0, ["route", "list"]), (0, ["explain", "10.0.0.1"]),
           (0, ["watch", "-n", "1"]), (0, ["sign-out"]), (6, ["sign-out"]), (0, ["sign-in", "--no-browser"]), (0, ["cancel-sign-in"]),
           (4, ["finish-sign-in"]), (3, ["sign-in", "--token-stdin", "--wait=200ms"])]


def test_every_answer_about_the_session_is_valid_by_the_schema():
    validator = fz.schema_validator()
    real.reset()
    with real.Daemon(env=NOWHERE) as d:
        for code, args in SESSION:
            url = "firezone-fd0020211111://handle_client_sign_in_callback?state=x"
            result = d.cli("-o", "jsonl", *args, input=url if args == ["finish-sign-in"] else ".a-token\n")
            assert result.returncode == code, (args, result)
            lines = (result.stdout + result.stderr).splitlines()
            assert lines, args
            for line in lines:
                value = json.loads(line)
                validator.validate(value)
                assert (value["schema"] == "firezone.Error/1") == (code not in (0, 9)), (args, value)


def test_the_log_is_read_back_followed_and_filtered():
    real.reset()
    with real.Daemon() as d:
        lines = [json.loads(line) for line in d.cli("-o", "jsonl", "logs").stdout.splitlines()]
        assert lines[0]["event"] == "started" and lines[0]["level"] == "info", lines
        assert len(d.cli("logs", "-n", "1").stdout.splitlines()) == 1
        assert d.cli("logs", "--level", "err").stdout == ""
        assert d.cli("logs", "--target", "started").stdout.count("\n") == 1
        env = {"PATH": os.environ["PATH"], "FIREZONE_SOCKET": real.SOCKET}
        follower = subprocess.Popen([fz.CLI, "-o", "jsonl", "logs", "-f", "-n", "0"], env=env, stdout=subprocess.PIPE, text=True)
        real.wait_until(lambda: any(m["name"] == "firezone_ipc_connections" and m["value"] == 2
                                    for m in d.json("metrics")["metrics"]))
        d.json("log-level", "set", "debug")
        record = json.loads(follower.stdout.readline())
        assert record["event"] == "log-level" and "level=debug" in record["detail"], record
        follower.terminate()
        follower.wait(20)
        follower.stdout.close()


def test_a_reader_that_stops_misses_lines_and_is_told_how_many():
    real.reset()
    with real.Daemon() as d:
        reader = fz.Raw(real.SOCKET)
        reader.send(fz.call(1, 120, fz.field(1, 1), credit=1))  # follow
        first = reader.read()
        assert 5 in first
        text = "x" * 900
        for i in range(400):  # more than the ring holds
            put_key = d.cli("settings", "validate", "-", input="y\n") if i % 100 == 0 else None
            assert put_key is None or put_key.returncode == 9
            real.put(real.ETC + "/firezoned.conf", f"{'k' * 60} = {text}\n" * 40)
            d.process.send_signal(signal.SIGHUP)
            d.notify.wait_for("RELOADING=1")
            d.notify.wait_for("READY=1")
        reader.send(fz.frame(fz.field(1, 1) + fz.field(9, fz.field(1, 200))))
        lost = 0
        for _ in range(20):
            message = fz.fields(reader.read()[5][0])
            lost = max(lost, message.get(5, [0])[0])
        assert lost > 100, lost
        reader.close()


def test_a_level_for_a_while_ends_by_itself():
    real.reset()
    with real.Daemon() as d:
        assert "until" in d.json("log-level", "set", "debug", "--for", "300ms")
        assert d.json("log-level", "get")["filter"] == "debug"
        real.wait_until(lambda: d.json("log-level", "get")["filter"] == "info")
        assert d.cli("log-level", "set", "debug", "--for", "48h").returncode == 2


def test_journald_gets_a_field_for_each_key():
    real.reset()
    os.makedirs("/run/systemd/journal", exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind("/run/systemd/journal/socket")
        journal.settimeout(20)
        stat = os.stat("/run/firezoned.log") if os.path.exists("/run/firezoned.log") else None
        stat = stat or os.fstat(os.open("/run/firezoned.log", os.O_CREAT | os.O_RDWR))
        with real.Daemon(env={"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"}) as d:
            lines = journal.recv(65536).decode().splitlines()
            assert "FIREZONE_EVENT=started" in lines and "PRIORITY=6" in lines, lines
            assert "FIREZONE_SOCKET=bound" in lines and "SYSLOG_IDENTIFIER=firezoned" in lines, lines
            assert any(line.startswith("MESSAGE=started version=") for line in lines), lines
            assert d.log_text() == "", "nothing goes to stderr beside the journal"
    os.remove("/run/systemd/journal/socket")


def test_health_and_metrics():
    real.reset()
    with real.Daemon() as d:
        assert d.json("health") == {"schema": "firezone.Health/1", "healthy": True}
        ready = d.cli("--json", "health", "--ready")
        assert ready.returncode == 9 and "signed out" in json.loads(ready.stdout)["reason"]
        text = d.cli("metrics", "--openmetrics").stdout
        assert "# TYPE firezone_ipc_calls counter" in text and "firezone_ipc_calls_total" in text, text
        assert text.endswith("# EOF\n")


def test_a_report_is_a_tar_without_what_was_to_go():
    real.reset()
    real.put(real.ETC + "/firezoned.conf", "device_name = vault-of-anna\naccount_slug = acme-corp\napi_url = wss://192.0.2.77:8443/\n")
    with real.Daemon(env={"https_proxy": "http://u:planted-password@192.0.2.78:1"}) as d:
        d.cli("settings", "validate", "-", input="x")
        result = d.cli("-o", "jsonl", "bug-report", "-O", "/run/r.tar", "--redact", "names", "--redact", "ips", "--redact", "slug")
        assert result.returncode == 0, result
        said = {json.loads(line)["name"]: json.loads(line)["size"] for line in result.stdout.splitlines()}
        with tarfile.open("/run/r.tar") as tar:
            members = {m.name.split("/")[1]: m.size for m in tar.getmembers()}
            everything = b"".join(tar.extractfile(m).read() for m in tar.getmembers())
        assert members == said and "log.txt" in members, (members, said)
        for word in (b"vault-of-anna", b"acme-corp", b"192.0.2.77", b"planted-password", b"192.0.2.78"):
            assert word not in everything, word
        assert b"name-" in everything and b"ipv4-1" in everything and b"account" in everything
        assert d.cli("bug-report", "-O", "/run/whole.tar").returncode == 0
        with open("/run/whole.tar", "rb") as f:
            everything = f.read()
        assert b"vault-of-anna" in everything and b"planted-password" not in everything


def test_watchers_hear_of_changes_and_of_policy():
    real.reset()
    with real.Daemon() as d:
        env = {"PATH": os.environ["PATH"], "FIREZONE_SOCKET": real.SOCKET}
        watcher = subprocess.Popen([fz.CLI, "-o", "jsonl", "watch"], env=env, stdout=subprocess.PIPE, text=True)
        first = json.loads(watcher.stdout.readline())
        assert first["status"]["service_mode"] is False, first
        real.put(real.ETC + "/policy.d/a.conf", "log_filter = debug\n")
        real.put(real.ETC + "/token", "some.token", 0o600)
        d.json("reload")
        events = [json.loads(watcher.stdout.readline()) for _ in range(2)]
        assert any(e.get("notice", {}).get("code") == "policy_changed" for e in events), events
        assert any(e.get("status", {}).get("service_mode") for e in events), events
        watcher.terminate()
        watcher.wait(20)
        watcher.stdout.close()


def test_one_measurement_at_a_time():
    real.reset()
    with real.Daemon() as d:
        one = fz.Raw(real.SOCKET)
        one.send(fz.call(1, 126, fz.field(1, 1) + fz.field(2, 5000), credit=4))
        real.wait_until(lambda: d.cli("bench", "--loopback", "--time", "200ms").returncode != 0)
        one.close()  # its client gone, the measurement ends
        real.wait_until(lambda: d.cli("bench", "--loopback", "--time", "200ms").returncode == 0)
        for time_ms in ("50ms", "2m"):
            assert d.cli("bench", "--loopback", "--time", time_ms).returncode == 2
        assert d.cli("bench").returncode == 2


if __name__ == "__main__":
    fz.run_tests(sys.modules[__name__])
