#!/usr/bin/env python3
"""Tunnels side by side: every contestant on both ends of a cable between two network namespaces, in turn, round after round.

What is compared was measured in one run and interleaved, because machines are shared and their speed drifts. Writes JSON;
bench/report.py makes the table and the chart. Needs root, iperf3, wg(8). Nothing outside the namespaces is touched.
"""
import argparse
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import time

OURS = {  # name: what the environment says
    "ours uring 2": {"FIREZONE_IO": "uring", "FIREZONE_THREADS": "2"},
    "ours epoll 2": {"FIREZONE_IO": "epoll", "FIREZONE_THREADS": "2"},
    "ours uring 1": {"FIREZONE_IO": "uring", "FIREZONE_THREADS": "1"},
    "ours epoll 1": {"FIREZONE_IO": "epoll", "FIREZONE_THREADS": "1"},
    "ours sodium": {"FIREZONE_IO": "auto", "FIREZONE_AEAD": "sodium"},
}
PEER_ARGUMENTS = {"boringtun": ["--foreground", "--disable-drop-privileges"], "gotatun": ["--foreground"], "wireguard-go": ["-f"]}


def run(*args, check=True, quiet=True, **kwargs):
    return subprocess.run(args, check=check, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL if quiet else None, text=True, **kwargs).stdout


class Lab:
    """Two namespaces, one cable, one tunnel at a time."""

    def __init__(self, mtu):
        self.id = f"fzb{os.getpid()}"
        self.sides = (f"{self.id}l", f"{self.id}r")
        self.mtu = mtu
        self.processes = []

    def __enter__(self):
        left, right = self.sides
        run("ip", "netns", "add", left)
        run("ip", "netns", "add", right)
        run("ip", "link", "add", "cable0", "netns", left, "type", "veth", "peer", "name", "cable0", "netns", right)
        for number, side in enumerate(self.sides, 1):
            run("ip", "-n", side, "addr", "add", f"192.0.2.{number}/24", "dev", "cable0")
            run("ip", "-n", side, "link", "set", "cable0", "mtu", str(max(1500, self.mtu + 80)), "up")
            run("ip", "-n", side, "link", "set", "lo", "up")
        return self

    def __exit__(self, *_):
        self.lower()
        for side in self.sides:
            run("ip", "netns", "del", side, check=False)

    def on(self, side, *args, **kwargs):
        return run("ip", "netns", "exec", self.sides[side], *args, **kwargs)

    def start(self, side, *args, env=None, stdout=subprocess.DEVNULL):
        p = subprocess.Popen(["ip", "netns", "exec", self.sides[side], *args], env=env, stdin=subprocess.DEVNULL, stdout=stdout,
                             stderr=subprocess.DEVNULL, text=True)
        self.processes.append(p)
        return p

    def raise_tunnel(self, contestant):
        keys = [run("wg", "genkey").strip() for _ in self.sides]
        names = [f"{self.id}{s}" for s in "ab"]
        env = {**os.environ, **contestant["env"], "LOG_LEVEL": "error"}
        self.tunnel = [self.start(i, contestant["path"], *contestant["arguments"], name, env=env) for i, name in enumerate(names)]
        for i, name in enumerate(names):
            wait_for(lambda: os.path.exists(f"/var/run/wireguard/{name}.sock"), f"{contestant['name']} to start")
            other = 1 - i
            public = run("wg", "pubkey", input=keys[other]).strip()
            subprocess.run(["ip", "netns", "exec", self.sides[i], "wg", "set", name, "private-key", "/dev/stdin", "listen-port", "51820",
                            "peer", public, "endpoint", f"192.0.2.{other + 1}:51820", "allowed-ips", f"10.0.0.{other + 1}/32"],
                           input=keys[i], text=True, check=True)
            run("ip", "-n", self.sides[i], "addr", "add", f"10.0.0.{i + 1}/24", "dev", name)
            run("ip", "-n", self.sides[i], "link", "set", name, "mtu", str(self.mtu), "up")
        wait_for(lambda: subprocess.run(["ip", "netns", "exec", self.sides[0], "ping", "-c1", "-W1", "10.0.0.2"],
                                        stdout=subprocess.DEVNULL).returncode == 0, f"{contestant['name']} to carry a ping")

    def lower(self):
        for p in self.processes:
            p.send_signal(signal.SIGTERM)
        for p in self.processes:
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        self.processes = []
        for s in "ab":
            path = pathlib.Path(f"/var/run/wireguard/{self.id}{s}.sock")
            path.unlink(missing_ok=True)

    def cpu_seconds(self):
        """(user, system) of both tunnel processes."""
        ticks = os.sysconf("SC_CLK_TCK")
        user = system = 0
        for p in self.tunnel:
            fields = pathlib.Path(f"/proc/{p.pid}/stat").read_text().rsplit(")", 1)[1].split()
            user += int(fields[11])
            system += int(fields[12])
        return user / ticks, system / ticks

    def peak_rss_mib(self):
        return max(int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{p.pid}/status").read_text())[1]) for p in self.tunnel) / 1024


def wait_for(condition, what, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds} s for {what}")
        time.sleep(0.05)


def tcp(lab, seconds, *args):
    """Gbit/s received, and CPU seconds (user, system) per GB at both ends."""
    server = lab.start(1, "iperf3", "-s", "-1", "-B", "10.0.0.2")
    time.sleep(0.4)
    before = lab.cpu_seconds()
    out = json.loads(lab.on(0, "iperf3", "-c", "10.0.0.2", "-J", "-t", str(seconds), *args))
    after = lab.cpu_seconds()
    server.wait(10)
    lab.processes.remove(server)
    total = out["end"]["sum_received"]
    gigabytes = total["bytes"] / 1e9
    return total["bits_per_second"] / 1e9, [(a - b) / gigabytes for a, b in zip(after, before)]


def ping(lab, count, interval, loaded):
    """Round trips in microseconds."""
    server = client = None
    if loaded:
        server = lab.start(1, "iperf3", "-s", "-1", "-B", "10.0.0.2")
        time.sleep(0.4)
        client = lab.start(0, "iperf3", "-c", "10.0.0.2", "-t", str(count * interval + 1))
        time.sleep(0.5)
    out = lab.on(0, "ping", "-n", "-c", str(count), "-i", str(interval), "10.0.0.2", check=False)
    for p in (client, server):
        if p:
            p.wait(30)
            lab.processes.remove(p)
    return [float(x) * 1000 for x in re.findall(r"time=([0-9.]+)", out)]


def udp_once(lab, tool, size, pps, seconds):
    """Packets received and sent per second."""
    sink = lab.start(1, tool, "sink", "10.0.0.2", "7001", str(seconds + 1.0), stdout=subprocess.PIPE)
    sink.stdout.readline()
    sent = int(lab.on(0, tool, "source", "10.0.0.2", "7001", str(seconds), str(size), str(pps)))
    got = int(sink.stdout.readline() or 0)
    sink.wait(5)
    lab.processes.remove(sink)
    return got / seconds, sent / seconds


def udp_search(lab, tool, size, seconds, steps):
    """The highest rate seen with under 0.1 % loss, by bisection; and the most that came through at any loss."""
    low, high, most = 0.0, 1.6e6, 0.0
    for _ in range(steps):
        rate = (low + high) / 2
        got, sent = udp_once(lab, tool, size, rate, seconds)
        most = max(most, got)
        if sent > 0 and got >= sent * 0.999:
            low = min(rate, sent)
            if sent < rate * 0.97:  # the source itself cannot do more
                low = sent
                break
        else:
            high = rate
    return low, most


def measure(lab, contestant, options):
    lab.raise_tunnel(contestant)
    try:
        s = options.seconds
        result = {}
        result["tcp_1"], cpu = tcp(lab, s)
        result["cpu_user_s_per_gb"], result["cpu_system_s_per_gb"] = cpu
        result["cpu_s_per_gb"] = sum(cpu)
        result["tcp_1_reverse"], _ = tcp(lab, s, "-R")
        result["tcp_4"], _ = tcp(lab, s, "-P", "4")
        idle = ping(lab, options.pings, 0.02, False)
        result["ping_idle_us"] = statistics.median(idle) if idle else None
        loaded = sorted(ping(lab, options.pings, 0.02, True))
        result["ping_loaded_p99_us"] = loaded[int(len(loaded) * 0.99)] if loaded else None
        if options.udp_tool:
            for size in (64, 1350):
                good, most = udp_search(lab, options.udp_tool, size, 1.0, options.steps)
                result[f"udp_{size}_pps"] = good
                result[f"udp_{size}_most_pps"] = most
        result["rss_mib"] = lab.peak_rss_mib()
        return result
    finally:
        lab.lower()


def machine():
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {"kernel": os.uname().release, "cpu": cpu[1] if cpu else "?", "cpus": os.cpu_count(), "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def contestants_of(options):
    ours = os.path.join(options.bin, "firezone-wg")
    if not os.access(ours, os.X_OK):
        sys.exit(f"{ours} is not there; run ./dev build release")
    found = [{"name": n, "path": ours, "env": e, "arguments": ["-f"]} for n, e in OURS.items()]
    for peer in options.peer:
        name, path = peer.split("=", 1)
        found.append({"name": name, "path": path, "env": {}, "arguments": PEER_ARGUMENTS.get(name, ["-f"])})
    if options.only:
        found = [c for c in found if re.search(options.only, c["name"])]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="directory of firezone-wg and udp_load")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PATH", help="wireguard-go, boringtun, gotatun")
    parser.add_argument("--only", help="contestants whose name matches")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mtu", type=int, default=1420)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--json", default="-", help="where to write")
    options = parser.parse_args()
    options.rounds = 1 if options.quick else options.rounds
    options.seconds, options.pings, options.steps = (1, 50, 5) if options.quick else (4, 200, 8)
    tool = os.path.join(options.bin, "udp_load")
    options.udp_tool = tool if os.access(tool, os.X_OK) else None
    if os.geteuid() != 0:
        sys.exit("needs root: it makes network namespaces")
    contestants = contestants_of(options)
    results = {c["name"]: [] for c in contestants}
    loads = []
    with Lab(options.mtu) as lab:
        for r in range(options.rounds):
            for c in contestants:
                loads.append(os.getloadavg()[0])
                print(f"round {r + 1}/{options.rounds}  {c['name']:<16}", end="", file=sys.stderr, flush=True)
                try:
                    m = measure(lab, c, options)
                    results[c["name"]].append(m)
                    print(f"{m['tcp_1']:6.2f} {m['tcp_1_reverse']:6.2f} {m['tcp_4']:6.2f} Gbit/s", file=sys.stderr)
                except (RuntimeError, subprocess.SubprocessError, ValueError, KeyError) as e:
                    lab.lower()
                    print(f"failed: {e}", file=sys.stderr)
    out = {"schema": "firezone.Bench/1", "machine": machine(), "mtu": options.mtu, "rounds": options.rounds,
           "load_at_start": loads[0] if loads else None, "results": results}
    text = json.dumps(out, indent=1)
    if options.json == "-":
        print(text)
    else:
        pathlib.Path(options.json).write_text(text + "\n")


if __name__ == "__main__":
    main()
