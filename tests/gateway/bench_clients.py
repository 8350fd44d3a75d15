#!/usr/bin/env python3
"""So many clients on one gateway: how long until all are connected, what memory and CPU time they take, whether each is
answered. Prints one JSON object.

    c: clients_driver 192.0.2.2 === 192.0.2.1 g: firezone-gateway and the portal of a few lines; 10.9.0.1 === 10.9.0.5 s: the site

Usage: bench_clients.py BIN_DIR CLIENTS_DRIVER [CLIENTS [PINGS]]
"""
import base64
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time

GATEWAY, DRIVER = os.path.abspath(sys.argv[1]) + "/firezone-gateway", os.path.abspath(sys.argv[2])
CLIENTS = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
PINGS = int(sys.argv[4]) if len(sys.argv) > 4 else 20
HERE = os.path.dirname(os.path.abspath(__file__))
ID = os.getpid()
PSK = base64.b64encode(bytes([5] * 32)).decode()
SPACES = {s: f"fzgb{ID}{s}" for s in "cgs"}
INIT = {"interface": {"ipv4": "100.64.0.1", "ipv6": "fd00:2021:1111::1"}, "config": {}, "relays": [], "account_slug": "lab",
        "authorizations": [], "flow_logs": {"api_url": "http://192.0.2.9", "upload_interval_secs": 0, "upload_batch_size": 1}}


def sh(command, check=True):
    return subprocess.run(command, shell=True, check=check, capture_output=True, text=True)


def at(space, command):
    return ["ip", "netns", "exec", SPACES[space]] + command


def wire(a, dev_a, net_a, b, dev_b, net_b):
    sh(f"ip link add {dev_a} netns {SPACES[a]} type veth peer name {dev_b} netns {SPACES[b]}")
    for space, dev, net in ((a, dev_a, net_a), (b, dev_b, net_b)):
        sh(f"ip -n {SPACES[space]} address add {net} dev {dev}; ip -n {SPACES[space]} link set {dev} up; "
           f"ip -n {SPACES[space]} link set lo up")


class Follower(threading.Thread):
    """Reads the portal's log of events as it grows."""

    def __init__(self, path, each):
        super().__init__(daemon=True)
        self.path, self.each, self.is_over = path, each, False

    def run(self):
        with open(self.path, encoding="utf-8") as f:
            rest = ""
            while not self.is_over:
                rest += f.read()
                *lines, rest = rest.split("\n")
                for line in lines:
                    if line.startswith("["):
                        self.each(*json.loads(line))
                time.sleep(0.02)


class Bench:
    def __init__(self, work):
        self.dir, self.processes, self.keys, self.n_up, self.n_failed = work, [], {}, 0, 0
        self.answered, self.lock = threading.Event(), threading.Lock()

    def path(self, name):
        return os.path.join(self.dir, name)

    def start(self, space, command, **options):
        p = subprocess.Popen(at(space, command), **options)
        self.processes.append(p)
        return p

    def push(self, event, payload):
        with self.lock, open(self.path("push"), "a", encoding="utf-8") as f:
            f.write(json.dumps({"event": event, "payload": payload}) + "\n")

    def tell(self, line):
        with self.lock:
            self.driver.stdin.write(line + "\n")
            self.driver.stdin.flush()

    def hear(self):
        for line in self.driver.stdout:
            what, number, text = (line.rstrip("\n").split(" ", 2) + [""])[:3]
            if what == "key":
                self.keys[int(number)] = text
            elif what == "candidate":
                self.push("ice_candidates", {"client_id": client_id(int(number)), "candidates": [text]})
            elif what == "up":
                self.n_up += 1
            elif what == "failed":
                self.n_failed += 1
            elif what == "answered":
                self.answered.set()

    def on_event(self, event, payload):
        if event == "broadcast_ice_candidates":
            number = int(payload["client_ids"][0][-12:])
            for text in payload["candidates"]:
                self.tell(f"candidate {number} {text}")

    def cpu(self):
        with open(f"/proc/{self.pid}/stat", encoding="utf-8") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


def client_id(number):
    return f"c0ffee00-0000-4000-8000-{number:012d}"


def wait(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def authorization(b, number):
    return {"ref": f"ref-{number}",
            "resource": {"id": "5e2c0000-0000-4000-8000-000000000001", "type": "cidr", "name": "office",
                         "address": "10.9.0.0/24", "filters": []},
            "client": {"id": client_id(number), "public_key": base64.b64encode(bytes.fromhex(b.keys[number])).decode(),
                       "preshared_key": PSK, "ipv4": f"100.65.{number // 256}.{number % 256}",
                       "ipv6": f"fd00:2021:1111::1:{number:x}"},
            "client_ice_credentials": {"username": f"c{number:07d}", "password": "clientpassword0123456789"},
            "gateway_ice_credentials": {"username": f"g{number:07d}", "password": "gatewaypassword0123456789"},
            "expires_at": None, "use_iceless": False, "subject": {}}


def run(b):
    for space in SPACES.values():
        sh(f"ip netns add {space}")
    wire("c", "wan", "192.0.2.2/24", "g", "wan", "192.0.2.1/24")
    wire("g", "site", "10.9.0.1/24", "s", "gw", "10.9.0.5/24")
    with open(b.path("init"), "w", encoding="utf-8") as f:
        json.dump(INIT, f)
    open(b.path("events"), "w", encoding="utf-8").close()
    b.start("g", [sys.executable, f"{HERE}/portal.py", "8081", b.dir])
    wait(lambda: os.path.exists(b.path("requests")), 20, "the portal listens")
    os.makedirs(b.path("state"))
    environment = {**os.environ, "FIREZONE_API_URL": "ws://127.0.0.1:8081", "FIREZONE_INSECURE_PORTAL": "1",
                   "FIREZONE_ID": "bench", "FIREZONE_TOKEN": "token", "HEALTH_CHECK_ADDR": "off", "LOG_LEVEL": "warning"}
    inner = 'mkdir -p /var/lib/firezone-gateway && mount --bind "$1" /var/lib/firezone-gateway && shift && exec "$@"'
    gateway = b.start("g", ["unshare", "--mount", "--propagation", "private", "bash", "-c", inner, "sh", b.path("state"),
                            GATEWAY], env=environment)
    wait(lambda: "100.64.0.1" in sh(f"ip -n {SPACES['g']} address").stdout, 30, "the gateway has its addresses")
    b.pid = gateway.pid
    b.driver = b.start("c", [DRIVER, str(CLIENTS), "192.0.2.2", "10.9.0.5"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                       text=True)
    threading.Thread(target=b.hear, daemon=True).start()
    wait(lambda: len(b.keys) == CLIENTS, 60, "the clients have keys")
    with open(b.path("requests"), encoding="utf-8") as f:
        text = re.search(r"public_key=([^& ]+)", f.read())[1]
    for code, character in (("%2B", "+"), ("%2F", "/"), ("%3D", "=")):
        text = text.replace(code, character)
    result = {"clients": CLIENTS, "rss_kib_idle": b.memory()}
    Follower(b.path("events"), b.on_event).start()
    began, cpu = time.monotonic(), b.cpu()
    b.tell(f"gateway {base64.b64decode(text).hex()}")
    for number in range(CLIENTS):
        b.push("create_authorization", authorization(b, number))
    wait(lambda: b.n_up >= CLIENTS, 120, f"all are up ({b.n_up} are, {b.n_failed} failed)")
    result.update(connected_s=round(time.monotonic() - began, 2), connect_cpu_s=round(b.cpu() - cpu, 2),
                  rss_kib_connected=b.memory())
    result["kib_per_client"] = round((result["rss_kib_connected"] - result["rss_kib_idle"]) / CLIENTS, 2)
    began, cpu = time.monotonic(), b.cpu()
    b.tell(f"ping {PINGS}")
    if not b.answered.wait(60):
        raise SystemExit("not every echo was answered")
    took = time.monotonic() - began
    result.update(echoes=CLIENTS * PINGS, echoes_per_s=int(CLIENTS * PINGS / took), echo_cpu_s=round(b.cpu() - cpu, 2))
    began, cpu = time.monotonic(), b.cpu()
    time.sleep(10)
    result["idle_cpu_percent"] = round(100 * (b.cpu() - cpu) / (time.monotonic() - began), 2)
    print(json.dumps(result))


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    with tempfile.TemporaryDirectory(prefix="fzgb") as work:
        b = Bench(work)
        try:
            run(b)
        finally:
            for p in b.processes:
                p.terminate()
            for p in b.processes:
                try:
                    p.wait(5)
                except subprocess.TimeoutExpired:
                    p.kill()
                    p.wait()
            for space in SPACES.values():
                sh(f"ip netns delete {space}", check=False)


main()
