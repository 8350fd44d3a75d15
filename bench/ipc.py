#!/usr/bin/env python3
"""What a question to firezoned costs: `firezonectl status` as a process and on an open connection, alone and while hostile
clients hammer the socket; memory of both programs. The real daemon, in namespaces of its own (tests/daemon/real.py).

    bench/ipc.py [--runs N] [--seconds S] [--json FILE] [--markdown FILE]
    bench/ipc.py --of FILE --into docs/performance.md      puts an earlier run's table there

FZ_BUILD names the build (build/release). Needs root.
"""
import argparse
import json
import multiprocessing
import os
import platform
import random
import statistics
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
os.environ.setdefault("FZ_BUILD", os.path.join(ROOT, "build", "release"))
os.environ.setdefault("FZ_SOURCE", ROOT)
sys.path[:0] = [os.path.join(ROOT, "tests", "daemon"), os.path.join(ROOT, "tests", "ipc")]
import real  # noqa: E402
import test_hostile as hostile  # noqa: E402
from real import fz  # noqa: E402

NULL = os.open(os.devnull, os.O_RDWR)
ENV = {"PATH": os.environ["PATH"], "FIREZONE_SOCKET": real.SOCKET, "LC_ALL": "C.UTF-8"}
SEED = 20261127
MARKS = ("<!-- socket figures -->", "<!-- socket end -->")


def ask_as_process():
    """Seconds from starting firezonectl to having waited for its end."""
    started = time.perf_counter()
    pid = os.posix_spawn(fz.CLI, [fz.CLI, "status"], ENV, file_actions=[(os.POSIX_SPAWN_DUP2, NULL, n) for n in (0, 1, 2)])
    _, status = os.waitpid(pid, 0)
    seconds = time.perf_counter() - started
    assert status == 0, "status failed"
    return seconds


def ask_in_place(connection, stream):
    started = time.perf_counter()
    connection.send(fz.call(stream, 1))
    assert connection.error_code() == "OK"
    return time.perf_counter() - started


def times(seconds):
    """Of a list of seconds, what is told of it, in milliseconds."""
    ordered = sorted(seconds)
    at = lambda share: ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3  # noqa: E731
    return {"n": len(ordered), "median_ms": statistics.median(ordered) * 1e3, "p99_ms": at(0.99), "max_ms": ordered[-1] * 1e3}


def memory_kib(pid, what):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(what + ":"))


def cli_peak_kib():
    """The most a firezonectl had that greeted, asked and printed the whole state once: it watches, and waits."""
    import subprocess
    with subprocess.Popen([fz.CLI, "watch"], env=ENV, stdout=subprocess.PIPE) as p:
        assert p.stdout.readline()
        kib = memory_kib(p.pid, "VmHWM")
        p.terminate()
    return kib


# ---- who means harm; each a process of its own, until it is killed ----

def never_reads(path):
    """As many streams and calls as one may have, and not one answer taken."""
    fz.as_user(fz.MEMBER, [fz.GROUP])()
    kept = []
    for _ in range(8):
        c = fz.Raw(path, timeout=1)
        for i in range(16):
            c.send(fz.call(2 * i + 1, 5, credit=256))
        kept.append(c)
    while True:
        for i, c in enumerate(kept):
            try:
                c.send(fz.call(2 * i + 101, 1))
            except OSError:
                pass


def sends_nonsense(path):
    fz.as_user(fz.OTHER_MEMBER, [fz.GROUP])()
    rng = random.Random(SEED)
    good = [fz.call(1, 1), fz.call(1, 100, fz.field(1, "api_url")), fz.call(1, 5, credit=4)]
    while True:
        try:
            c = fz.Raw(path, greet=rng.random() < 0.7, timeout=1)
            data = bytearray(rng.choice(good))
            for _ in range(rng.randrange(1, 6)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            c.send(bytes(data))
            c.close()
        except (OSError, AssertionError):
            pass


def floods(path):
    hostile.flood(path, float("inf"))


def under_attack(path, seconds):
    """Answers' times while a thousand connections, a reader that never reads and random frames go on."""
    attackers = [multiprocessing.Process(target=f, args=(path,)) for f in (floods, never_reads, sends_nonsense)]
    for a in attackers:
        a.start()
    time.sleep(1)
    samples, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        samples.append(ask_as_process())
    alive = sum(a.is_alive() for a in attackers)
    for a in attackers:
        a.kill()
        a.join()
    assert alive == len(attackers), "an attacker gave up: there was no attack"
    return samples


def measure(runs, seconds):
    real.reset()
    with real.Daemon(env={"FIREZONE_ID": "a-bench"}) as d:
        for _ in range(20):
            ask_as_process()  # caches
        idle = memory_kib(d.process.pid, "VmRSS")
        alone = times([ask_as_process() for _ in range(runs)])
        connection = fz.Raw(d.path)
        open_one = times([ask_in_place(connection, 2 * i + 1) for i in range(runs)])
        connection.close()
        cli = cli_peak_kib()
        os.chmod(d.path, 0o666)  # so that the daemon itself has to turn the outsider away
        attacked = times(under_attack(d.path, seconds))
        metrics = {m["name"]: m["value"] for m in d.json("metrics")["metrics"]}
        peak = memory_kib(d.process.pid, "VmHWM")
    return {"status_process": alone, "status_open_connection": open_one, "status_under_attack": attacked,
            "connections_under_attack": metrics["firezone_ipc_accepted"] + metrics["firezone_ipc_turned_away"],
            "cli_peak_kib": cli, "daemon_idle_kib": idle, "daemon_peak_under_attack_kib": peak}


def markdown(f):
    def row(what, value, goal=""):
        return f"| {what} | {value} | {goal} |\n"
    ms = lambda t, key: f"{t[key]:.2f} ms"  # noqa: E731
    return ("| | measured | goal |\n| --- | --- | --- |\n" +
            row("`firezonectl status`, a process, median", ms(f["status_process"], "median_ms"), "< 2 ms") +
            row("the same, 99th percentile", ms(f["status_process"], "p99_ms")) +
            row("status on an open connection, median", ms(f["status_open_connection"], "median_ms")) +
            row("`firezonectl status` under attack, median", ms(f["status_under_attack"], "median_ms")) +
            row("the same, 99th percentile", ms(f["status_under_attack"], "p99_ms")) +
            row("connections made meanwhile", f"{f['connections_under_attack']:.0f}") +
            row("firezonectl, most memory (VmHWM)", f"{f['cli_peak_kib'] / 1024:.2f} MiB", "< 3 MiB") +
            row("firezoned, idle (VmRSS)", f"{f['daemon_idle_kib'] / 1024:.2f} MiB", "< 12 MiB") +
            row("firezoned, most under attack (VmHWM)", f"{f['daemon_peak_under_attack_kib'] / 1024:.2f} MiB"))


def replace_table(path, out):
    """Between the page's two marks."""
    with open(path) as f:
        text = f.read()
    before, rest = text.split(MARKS[0] + "\n", 1)
    after = rest.split(MARKS[1], 1)[1]
    m = out["machine"]
    with open(path, "w") as f:
        f.write(f"{before}{MARKS[0]}\n{m['cores']} cores ({m['cpu']}), Linux {m['kernel']}.\n\n{markdown(out['figures'])}{MARKS[1]}{after}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=500, help="questions without an attack")
    parser.add_argument("--seconds", type=float, default=20, help="of attack")
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    parser.add_argument("--of", help="a JSON file of an earlier run")
    parser.add_argument("--into", help="a page whose table is replaced")
    options = parser.parse_args()
    if options.of:
        with open(options.of) as f:
            replace_table(options.into, json.load(f))
        return
    real.enter()
    figures = measure(options.runs, options.seconds)
    with open("/proc/cpuinfo") as f:
        cpu = next((line.split(": ")[1].strip() for line in f if line.startswith("model name")), "?")
    out = {"machine": {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release()}, "figures": figures}
    for path, text in ((options.json, json.dumps(out, indent=1) + "\n"), (options.markdown, markdown(figures))):
        if path:
            with open(path, "w") as f:
                f.write(text)
    print(markdown(figures), end="")


if __name__ == "__main__":
    main()
