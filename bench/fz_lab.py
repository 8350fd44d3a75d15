"""The lab of tests/lab as bench/firezone.py uses it: hosts, processes, and what the kernel says about them."""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
LAB = HERE.parent / "tests" / "lab" / "lab"
RESOURCE = "10.20.0.10"
GATEWAY_INSIDE = "100.64.0.1"  # its own tunnel address: nothing is forwarded there
TICKS = os.sysconf("SC_CLK_TCK")
UPLINKS = ("to-portal", "to-relay", "to-nat-client", "to-nat-gateway")
CLIENT_ENV = {"FIREZONE_API_URL": "wss://portal.lab.test/", "FIREZONE_AUTH_BASE_URL": "https://portal.lab.test",
              "FIREZONE_CA_FILE": "/etc/firezone/lab-ca.pem", "FIREZONE_NAME": "client", "LOG_LEVEL": "info"}


def wait_for(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds} s for {what}")
        time.sleep(0.02)
    return value


def ended(p, seconds=10):
    """Waits for one that was told to end, and no longer than that."""
    try:
        p.wait(seconds)
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait()


class FirezoneLab:
    def __init__(self, programs, config=None):
        self.id, self.bin = f"fzb{os.getpid()}", os.path.abspath(programs)
        self.dir = pathlib.Path("/run/fzlab") / self.id
        self.env = {**os.environ, "FZ_LAB": self.id, "FZ_BIN": self.bin}
        if config:
            self.env["FZ_LAB_CONFIG"] = config
        self.processes, self.started = {}, 0.0

    def __enter__(self):
        self.lab("up")
        return self

    def __exit__(self, *_):
        self.lab("down", check=False)
        for p in self.processes.values():
            ended(p)

    def lab(self, *words, check=True):
        p = subprocess.run([str(LAB), *words], env=self.env, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)
        if check and p.returncode != 0:
            raise RuntimeError(f"lab {' '.join(words[:2])}: {p.stderr.strip()[-300:]}")
        return p.stdout

    def words_at(self, host):
        return ["nsenter", f"--net=/run/netns/fzlab-{self.id}-{host}", f"--mount={self.dir}/mnt/{host}", "--"]

    def on(self, host, *words, check=True, seconds=60, **more):
        return subprocess.run([*self.words_at(host), *words], check=check, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, timeout=seconds, **more).stdout

    def start(self, host, *words, env=None, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        """Becomes the program itself, so that its process id is the program's."""
        return subprocess.Popen([*self.words_at(host), *words], env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                                text=True)

    @contextlib.contextmanager
    def beside(self, host, *words, env=None):
        """Runs a program beside the block; its first line is waited for."""
        p = self.start(host, *words, env=env, stdout=subprocess.PIPE)
        try:
            if not p.stdout.readline():
                raise RuntimeError(f"{words[0]} did not start")
            yield p
        finally:
            p.terminate()
            ended(p)
            p.stdout.close()

    # ---- the pair ----

    def run_daemon(self, host, name, env):
        """A log of each, for whoever must find out why a round failed."""
        with open(self.dir / "log" / f"{name}.{host}", "a", encoding="utf-8") as log:
            p = subprocess.Popen([*self.words_at(host), f"{self.bin}/{name}"], env={**os.environ, **env},
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes[host] = p
        return p

    def start_gateway(self):
        env = {k: v for k, v in CLIENT_ENV.items() if k != "FIREZONE_AUTH_BASE_URL"}
        return self.run_daemon("gateway", "firezone-gateway", {**env, "FIREZONE_NAME": "gateway", "FIREZONE_TOKEN": ".lab.gateway.hq"})

    def start_client(self):
        script = 'umask 077; echo .lab.client.robot >/etc/firezone/token; rm -f /run/firezone/*.sock'
        self.on("client", "bash", "-c", script)
        return self.run_daemon("client", "firezoned", CLIENT_ENV)

    def stop(self, host, sign=signal.SIGTERM):
        p = self.processes.pop(host, None)
        if p:
            p.send_signal(sign)
            ended(p, 30)

    def joined(self, name):
        return any(c["name"] == name and c["joined"] for c in json.loads(self.lab("portal", "status"))["connections"])

    def raise_pair(self):
        """Gateway, client, and a first answer, so that everything that is made once has been made."""
        self.start_gateway()
        wait_for(lambda: self.joined("gateway"), "the gateway to join the portal")
        self.start_client()
        self.wait_up()
        self.reach()

    def lower_pair(self):
        for host in ("client", "gateway"):
            self.stop(host)

    def ctl(self, *words, check=True):
        return self.on("client", f"{self.bin}/firezonectl", *words, check=check)

    def wait_up(self):
        wait_for(lambda: '"UP"' in self.ctl("status", "--json", check=False).upper(), "the client to be up")

    def answers(self, ip=RESOURCE):
        return "1 received" in self.on("client", "ping", "-n", "-c1", "-W2", ip, check=False)

    def reach(self):
        wait_for(self.answers, "an answer of the resource")

    def probe(self, *words):
        """fz_probe.py on the client: the process, once it is ready."""
        p = self.start("client", sys.executable, str(HERE / "fz_probe.py"), *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if p.stdout.readline() != "ready\n":
            raise RuntimeError("the probe did not start")
        return p

    @staticmethod
    def said(p, seconds=60):
        out, errors = p.communicate(timeout=seconds)
        if p.returncode != 0:
            raise RuntimeError(f"the probe failed: {errors.strip()[-200:]}")
        return json.loads(out)

    def forget_flows(self):
        """The boxes between client and gateway know no flow of theirs any more: both sides must open them anew."""
        for box in ("nat-client", "nat-gateway"):
            self.on(box, sys.executable, str(HERE / "fz_probe.py"), "forget")

    @contextlib.contextmanager
    def distance(self, ms):
        """Everything that crosses the internet takes so long, each way."""
        if not ms:
            yield
            return
        with self.beside("internet", sys.executable, str(HERE / "delay.py"), str(ms), *UPLINKS):
            yield

    def portal_times(self, since):
        """When the portal heard or said each event first, after `since`."""
        found = {}
        with open(self.dir / "transcript.jsonl", encoding="utf-8") as f:
            for line in f:
                entry = json.loads(line)
                self.started = entry.get("monotonic", self.started)  # each life of the portal begins with a line of its own
                at = self.started + entry["t"]
                if "http" in entry and at >= since and "status" not in entry["http"]:
                    found.setdefault(f"{entry['role']} upgrade", at)
                if "msg" not in entry or at < since:
                    continue
                way = entry["dir"].replace(">portal", "").replace("portal>", "to ")
                found.setdefault(f"{way} {entry['msg']['event']}", at)
        return found

    # ---- what the kernel says ----

    def status_of(self, host, field):
        """KiB of a field of /proc/PID/status, e.g. VmHWM."""
        text = pathlib.Path(f"/proc/{self.processes[host].pid}/status").read_text(encoding="ascii")
        return int(re.search(rf"{field}:\s+(\d+)", text)[1])

    def cpu_of(self, host):
        fields = pathlib.Path(f"/proc/{self.processes[host].pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def switches_of(self, host):
        total = 0
        for status in pathlib.Path(f"/proc/{self.processes[host].pid}/task").glob("*/status"):
            total += sum(int(n) for n in re.findall(r"ctxt_switches:\s+(\d+)", status.read_text(encoding="ascii")))
        return total

    def udp_errors(self, host):
        """Datagrams that UDP sockets of this namespace lost or refused, both IP versions."""
        total = 0
        lines = self.on(host, "cat", "/proc/net/snmp").splitlines()
        udp = [line.split()[1:] for line in lines if line.startswith("Udp:")]
        four = dict(zip(udp[0], map(int, udp[1])))
        six = dict(line.split() for line in self.on(host, "cat", "/proc/net/snmp6").splitlines())
        for name in ("InErrors", "RcvbufErrors", "SndbufErrors"):
            total += four[name] + int(six[f"Udp6{name}"])
        return total
