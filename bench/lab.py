"""Two network namespaces with a cable between them, and what runs in them. Nothing outside is touched."""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

CABLE_MTU = 9000
TICKS = os.sysconf("SC_CLK_TCK")


def run(*args, check=True, **kwargs):
    return subprocess.run(args, check=check, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **kwargs).stdout


def wait_for(condition, what, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds} s for {what}")
        time.sleep(0.02)


class Lab:
    """One tunnel at a time: contestants on both ends, or on the right end alone."""

    def __init__(self, mtu=1420, congestion=None):
        """congestion: TCP's congestion control, or the machine's own."""
        self.id = f"fzb{os.getpid()}"
        self.sides = (f"{self.id}l", f"{self.id}r")
        self.names = [f"{self.id}{s}" for s in "ab"]
        self.mtu = mtu
        self.congestion = ("-C", congestion) if congestion else ()
        self.processes, self.tunnel = [], []

    def __enter__(self):
        left, right = self.sides
        run("ip", "netns", "add", left)
        run("ip", "netns", "add", right)
        run("ip", "link", "add", "cable0", "netns", left, "type", "veth", "peer", "name", "cable0", "netns", right)
        for number, side in enumerate(self.sides, 1):
            run("ip", "-n", side, "addr", "add", f"192.0.2.{number}/24", "dev", "cable0")
            run("ip", "-n", side, "link", "set", "cable0", "mtu", str(CABLE_MTU), "up")
            run("ip", "-n", side, "link", "set", "lo", "up")
        return self

    def __exit__(self, *_):
        self.lower()
        for side in self.sides:
            run("ip", "netns", "del", side, check=False)

    def own(self, side, prefix):
        """All addresses of a prefix are this side's, and the other side knows the way."""
        run("ip", "-n", self.sides[side], "route", "replace", "local", prefix, "dev", "lo")
        run("ip", "-n", self.sides[1 - side], "route", "replace", prefix, "via", f"192.0.2.{side + 1}")

    def on(self, side, *args, **kwargs):
        return run("ip", "netns", "exec", self.sides[side], *args, **kwargs)

    def start(self, side, *args, env=None, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        p = subprocess.Popen(["ip", "netns", "exec", self.sides[side], *args], env=env, stdin=subprocess.DEVNULL, stdout=stdout,
                             stderr=stderr, text=True)
        self.processes.append(p)
        return p

    def end(self, p, seconds=10):
        """Waits for one that ends by itself; what it still had to say."""
        out = p.stdout.read() if p.stdout else ""
        p.wait(seconds)
        self.processes.remove(p)
        return out.strip()

    @contextlib.contextmanager
    def background(self, side, *args, stop=False, ready=True):
        """Runs a program beside the block; `ready`: its first line is waited for. Yields it; its output is in .said after."""
        p = self.start(side, *args, stdout=subprocess.PIPE if ready else subprocess.DEVNULL)
        try:
            if ready and not p.stdout.readline():
                raise RuntimeError(f"{args[0]} did not start")
            yield p
        finally:
            if stop:
                p.terminate()
            p.said = self.end(p, 70)

    # ---- tunnels ----

    def run_end(self, side, contestant, **kwargs):
        env = {**os.environ, "LOG_LEVEL": "error", **contestant["env"]}
        name = self.names[side]
        self.tunnel.append(self.start(side, contestant["path"], *contestant["arguments"], name, env=env, **kwargs))
        wait_for(lambda: os.path.exists(f"/var/run/wireguard/{name}.sock"), f"{contestant['name']} to start")

    def set_end(self, side, key, *words):
        subprocess.run(["ip", "netns", "exec", self.sides[side], "wg", "set", self.names[side], "private-key", "/dev/stdin",
                        "listen-port", "51820", *words], input=key, text=True, check=True, stderr=subprocess.DEVNULL)
        run("ip", "-n", self.sides[side], "addr", "add", f"10.0.0.{side + 1}/24", "dev", self.names[side])
        self.set_mtu(side, self.mtu)

    def set_mtu(self, side, mtu):
        run("ip", "-n", self.sides[side], "link", "set", self.names[side], "mtu", str(mtu), "up")

    def raise_tunnel(self, contestant):
        """Both ends."""
        keys = [run("wg", "genkey").strip() for _ in self.sides]
        for i in (0, 1):
            self.run_end(i, contestant)
        for i in (0, 1):
            public = run("wg", "pubkey", input=keys[1 - i]).strip()
            self.set_end(i, keys[i], "peer", public, "endpoint", f"192.0.2.{2 - i}:51820", "allowed-ips", f"10.0.0.{2 - i}/32")
        wait_for(lambda: "1 received" in self.on(0, "ping", "-c1", "-W1", "10.0.0.2", check=False), f"{contestant['name']} to carry a ping")

    def choices(self, contestant):
        """What one of ours says that it runs with: {"io": ..., "aead": ..., "threads": ...}; nothing of others."""
        with tempfile.TemporaryFile("w+") as said:
            try:
                self.run_end(1, {**contestant, "env": {**contestant["env"], "LOG_LEVEL": "verbose"}}, stdout=said, stderr=said)
                self.set_end(1, run("wg", "genkey").strip())
                time.sleep(0.2)
            finally:
                self.lower()
            said.seek(0)
            line = re.search(r"^.*plane-started.*$", said.read(), re.M)
            return dict(re.findall(r"\b(io|aead|threads)=(\S+)", line[0])) if line else {}

    def raise_end(self, contestant, peers):
        """The right end alone, with a configuration of peers; returns its public key and the seconds `wg addconf` took."""
        key = run("wg", "genkey").strip()
        self.run_end(1, contestant)
        self.set_end(1, key)
        at = time.monotonic()
        subprocess.run(["ip", "netns", "exec", self.sides[1], "wg", "addconf", self.names[1], "/dev/stdin"], input=peers, text=True, check=True)
        took = time.monotonic() - at
        run("ip", "-n", self.sides[1], "route", "add", "10.64.0.0/10", "dev", self.names[1])
        # What comes out of the tunnel ends here: counted by the device, but for no socket.
        rule = "table inet bench { chain in { type filter hook prerouting priority raw; iifname %s drop; }; }" % self.names[1]
        self.on(1, "nft", "-f", "-", input=rule)
        return run("wg", "pubkey", input=key).strip(), took

    def lower(self):
        for p in self.processes:
            p.send_signal(signal.SIGTERM)
        for p in self.processes:
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
            if p.stdout:
                p.stdout.close()
        self.processes, self.tunnel = [], []
        self.on(1, "nft", "flush", "ruleset", check=False)
        for name in self.names:
            pathlib.Path(f"/var/run/wireguard/{name}.sock").unlink(missing_ok=True)

    # ---- what the kernel says about them ----

    def cpu_seconds(self):
        """(user, system) of the tunnel's processes. The sum is the scheduler's, to the nanosecond; how it splits is counted in ticks."""
        user = system = total = 0
        for p in self.tunnel:
            fields = pathlib.Path(f"/proc/{p.pid}/stat").read_text().rsplit(")", 1)[1].split()
            user += int(fields[11])
            system += int(fields[12])
            for one in pathlib.Path(f"/proc/{p.pid}/task").glob("*/schedstat"):
                total += int(one.read_text().split()[0]) / 1e9
        if total == 0:  # a kernel without scheduler statistics
            return user / TICKS, system / TICKS
        share = user / max(1, user + system)
        return total * share, total * (1 - share)

    def switches(self):
        """Context switches of all threads of the tunnel's processes."""
        total = 0
        for p in self.tunnel:
            for status in pathlib.Path(f"/proc/{p.pid}/task").glob("*/status"):
                total += sum(int(n) for n in re.findall(r"ctxt_switches:\s+(\d+)", status.read_text()))
        return total

    def peak_rss_mib(self):
        return max(int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{p.pid}/status").read_text())[1]) for p in self.tunnel) / 1024

    def counter(self, side, name):
        return int(self.on(side, "cat", f"/sys/class/net/{self.names[side]}/statistics/{name}"))


class Machine:
    """Who else uses the processors: what runs niced or is stolen during all of it, and all that runs while we are idle."""

    FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")

    def __init__(self):
        self.start = self.read()
        self.idle_samples = []

    @staticmethod
    def read():
        return [int(x) for x in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]

    @classmethod
    def busy_seconds(cls):
        """Of all processors together, whoever used them."""
        now = cls.read()
        return (sum(now) - now[3] - now[4]) / TICKS

    def sample_idle(self, seconds=0.15):
        a = self.read()
        time.sleep(seconds)
        d = [y - x for x, y in zip(a, self.read())]
        self.idle_samples.append(1 - (d[3] + d[4]) / max(1, sum(d)))

    def verdict(self):
        d = [y - x for x, y in zip(self.start, self.read())]
        total = max(1, sum(d))
        share = dict(zip(self.FIELDS, (x / total for x in d)))
        return {"niced_by_others": round(share["nice"], 3), "stolen": round(share["steal"], 3),
                "busy_between_runs": [round(x, 2) for x in self.idle_samples]}

    @staticmethod
    def describe():
        cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
        tcp = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control")
        return {"kernel": os.uname().release, "cpu": cpu[1] if cpu else "?", "cpus": os.cpu_count(),
                "tcp": tcp.read_text().strip() if tcp.exists() else "?",
                "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "load_at_start": round(os.getloadavg()[0], 2)}


def built_with(bin_dir):
    """Compiler and flags of a build of ours, from its compilation database; warnings and paths are of no interest."""
    build = pathlib.Path(bin_dir).resolve().parent
    try:
        commands = json.loads((build / "compile_commands.json").read_text())
        words = next(c["command"] for c in commands if c["file"].endswith("engine/wg/device.c")).split()
    except (OSError, ValueError, StopIteration):
        return {}
    words = words[1:] if words[0].endswith("ccache") else words
    version = run(words[0], "--version", check=False).split("\n")[0]
    flags = [w for w in words[1:] if re.match(r"-(O|g|f|m|std|DNDEBUG|D_FORTIFY)", w)]
    return {"compiler": version, "flags": " ".join(flags)}


def version_of(path):
    """The first line of PROGRAM --version, and the directory it is in where that is named after a more exact one."""
    try:
        said = subprocess.run([path, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        said = ""
    line = said.strip().split("\n")[0]
    pinned = re.search(r"-(v?\d[\w.-]*)$", pathlib.Path(path).parent.name)
    return f"{line} ({pinned[1]})" if pinned and pinned[1] not in line else line
