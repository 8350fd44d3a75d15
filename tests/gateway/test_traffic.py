#!/usr/bin/env python3
"""firezone-gateway with clients, portal and site, in namespaces: what is granted passes, everything else is refused as the
protocol says, and revoking, expiry, a new init and the portal's absence do what they must.

    c: a client (node_driver)  192.0.2.2 === 192.0.2.1  g: firezone-gateway, and the portal of a few lines
                                                        10.9.0.1 === 10.9.0.5  s: the site

Usage: test_traffic.py BIN_DIR NODE_DRIVER [PATTERN].  Status 77: skipped, the reason is on stderr.
"""
import base64
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

GATEWAY, DRIVER = os.path.abspath(sys.argv[1]) + "/firezone-gateway", os.path.abspath(sys.argv[2])
PATTERN = re.compile(sys.argv[3] if len(sys.argv) > 3 else "")
HERE = os.path.dirname(os.path.abspath(__file__))
ID = os.getpid()
CLIENT = "c0ffee00-0000-4000-8000-000000000001"
OFFICE, WEB, INTERNET = (f"5e2c0000-0000-4000-8000-00000000000{i}" for i in (1, 2, 3))
PSK = bytes([5] * 32)
ICE = {"client": ("clie", "clientpassword01234567"), "gateway": ("gate", "gatewaypassword0123456")}
RESOURCES = {
    OFFICE: {"id": OFFICE, "type": "cidr", "name": "office", "address": "10.9.0.0/24", "filters": []},
    WEB: {"id": WEB, "type": "cidr", "name": "web", "address": "10.9.1.0/24",
          "filters": [{"protocol": "tcp", "port_range_start": 8000, "port_range_end": 8000}]},
    INTERNET: {"id": INTERNET, "type": "internet"},
}
INIT = {"interface": {"ipv4": "100.64.0.1", "ipv6": "fd00:2021:1111::1"},
        "config": {"ipv4_masquerade_enabled": True, "ipv6_masquerade_enabled": True}, "relays": [],
        "account_slug": "lab", "authorizations": [],
        "flow_logs": {"api_url": "http://192.0.2.9", "upload_interval_secs": 0, "upload_batch_size": 1}}


def sh(command, check=True):
    return subprocess.run(command, shell=True, check=check, capture_output=True, text=True)


def wait(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


class World:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="fzgt")
        self.processes, self.spaces, self.n_refs, self.n_seen = [], [], 0, 0
        self.log, self.answers = [], queue.Queue()
        try:
            self.build()
        except BaseException:
            self.close()
            raise

    # ---- namespaces and processes

    def name(self, space):
        return f"fzgt{ID}{space}"

    def run(self, space, command, check=True):
        return sh(f"ip netns exec {self.name(space)} {command}", check)

    def start(self, space, command, **options):
        p = subprocess.Popen(["ip", "netns", "exec", self.name(space)] + command, **options)
        self.processes.append(p)
        return p

    def wire(self, a, dev_a, net_a, b, dev_b, net_b):
        sh(f"ip link add {dev_a} netns {self.name(a)} type veth peer name {dev_b} netns {self.name(b)}")
        for space, dev, nets in ((a, dev_a, net_a), (b, dev_b, net_b)):
            for net in nets:
                self.run(space, f"ip address add {net} dev {dev} {'nodad' if ':' in net else ''}")
            self.run(space, f"ip link set {dev} up")

    def build(self):
        for space in "cgs":
            sh(f"ip netns add {self.name(space)}")
            self.spaces.append(space)
            self.run(space, "ip link set lo up")
        self.wire("c", "wan", ["192.0.2.2/24"], "g", "wan", ["192.0.2.1/24"])
        self.wire("g", "site", ["10.9.0.1/24", "10.9.1.1/24", "198.51.100.1/24"],
                  "s", "gw", ["10.9.0.5/24", "10.9.1.5/24", "198.51.100.5/24"])
        self.start_portal()
        self.start_gateway()
        self.start_client()

    def path(self, name):
        return os.path.join(self.dir, name)

    def set_init(self, **changes):
        with open(self.path("init.new"), "w", encoding="utf-8") as f:
            json.dump({**INIT, **changes}, f)
        os.rename(self.path("init.new"), self.path("init"))

    def start_portal(self):
        self.set_init()
        open(self.path("events"), "w", encoding="utf-8").close()
        self.start("g", [sys.executable, f"{HERE}/portal.py", "8081", self.dir])
        wait(lambda: os.path.exists(self.path("requests")), 20, "the portal listens")

    def start_gateway(self):
        os.makedirs(self.path("state"), exist_ok=True)
        inner = ('mkdir -p /var/lib/firezone-gateway && mount --bind "$1" /var/lib/firezone-gateway && shift && exec "$@"')
        environment = {**os.environ, "FIREZONE_API_URL": "ws://127.0.0.1:8081", "FIREZONE_INSECURE_PORTAL": "1",
                       "FIREZONE_ID": "gateway-under-test", "FIREZONE_TOKEN": "token", "HEALTH_CHECK_ADDR": "off",
                       "LOG_LEVEL": "debug"}
        with open(self.path("log"), "a", encoding="utf-8") as log:
            self.gateway = self.start("g", ["unshare", "--mount", "--propagation", "private", "bash", "-c", inner, "sh",
                                            self.path("state"), GATEWAY], env=environment, stdout=log, stderr=log)
        wait(lambda: self.logged("tunnel-addresses"), 30, "the gateway has its addresses")

    def logged(self, text):
        with open(self.path("log"), encoding="utf-8") as f:
            return text in f.read()

    def start_client(self):
        self.client = self.start("c", [DRIVER, "tun", "client"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                 env=dict(os.environ, NODE_HOSTS="1"))
        threading.Thread(target=self.read_client, daemon=True).start()
        assert self.answer("started") == "ok"
        for net in ("100.64.0.2/32", "fd00:2021:1111::2/128"):
            self.run("c", f"ip address add {net} dev tun {'nodad' if ':' in net else ''}")
        self.run("c", "ip link set tun up")
        for net in ("10.9.0.0/16", "100.64.0.0/11", "198.51.100.0/24", "172.16.0.0/12", "fd00:2021:1111::/107"):
            self.run("c", f"ip route add {net} dev tun")
        self.tell("key")
        self.key = bytes.fromhex(self.answer("key"))

    def read_client(self):
        for line in self.client.stdout:
            words = line.rstrip("\n").split(" ", 2)
            self.log.append(line.strip())
            if words[0] == "candidate":
                self.push("ice_candidates", {"client_id": CLIENT, "candidates": [words[2]]})
            else:
                self.answers.put(words)

    def tell(self, command):
        self.client.stdin.write(command + "\n")
        self.client.stdin.flush()

    def answer(self, what, seconds=20):
        end = time.monotonic() + seconds
        while True:
            try:
                words = self.answers.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no '{what}' from the client; it said {self.log[-10:]}") from None
            if words[0] == what:
                return words[2] if len(words) > 2 else ""

    def close(self):
        for p in self.processes:
            if p.poll() is None:
                p.terminate()
        for p in self.processes:
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        for space in self.spaces:
            sh(f"ip netns delete {self.name(space)}", check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    # ---- the portal's words

    def push(self, event, payload):
        with open(self.path("push"), "a", encoding="utf-8") as f:
            f.write(json.dumps({"event": event, "payload": payload}) + "\n")

    def events(self):
        with open(self.path("events"), encoding="utf-8") as f:
            return [json.loads(line) for line in f if line.startswith("[")]

    def authorize(self, resource, expires_at=None, key=None):
        self.n_refs += 1
        ref = f"ref-{self.n_refs}"
        credentials = {who: {"username": u, "password": p} for who, (u, p) in ICE.items()}
        self.push("create_authorization", {
            "ref": ref, "resource": RESOURCES[resource],
            "client": {"id": CLIENT, "public_key": base64.b64encode(key or self.key).decode(),
                       "preshared_key": base64.b64encode(PSK).decode(), "ipv4": "100.64.0.2", "ipv6": "fd00:2021:1111::2"},
            "client_ice_credentials": credentials["client"], "gateway_ice_credentials": credentials["gateway"],
            "expires_at": expires_at, "use_iceless": False, "subject": {}})
        wait(lambda: ["authorization_created", {"ref": ref}] in self.events(), 10, "the authorization is confirmed")

    def connect(self, resource=OFFICE, **words):
        """Grant, connection, candidates both ways, until a session is up."""
        self.authorize(resource, **words)
        started = [r for r in open(self.path("requests"), encoding="utf-8") if "public_key=" in r][-1]
        key = base64.b64decode(re.search(r"public_key=([^& ]+)", started)[1].replace("%2B", "+").replace("%2F", "/")
                               .replace("%3D", "="))
        (cu, cp), (gu, gp) = ICE["client"], ICE["gateway"]
        self.tell(f"upsert gw {key.hex()} {PSK.hex()} {cu} {cp} {gu} {gp} controlling")
        self.answer("upsert")
        self.carry_candidates()
        self.answer("up")

    def carry_candidates(self):
        def mine():
            return [e[1] for e in self.events() if e[0] == "broadcast_ice_candidates"]
        for message in wait(mine, 10, "the gateway has candidates"):
            assert message["client_ids"] == [CLIENT], message
            for candidate in message["candidates"]:
                self.tell(f"candidate gw {candidate}")

    # ---- probes

    def ping(self, to, source=None, count=1):
        where = f"-I {source}" if source else ""
        return self.run("c", f"ping -n -c {count} -i 0.2 -W 3 {where} {to}", check=False)

    def reaches(self, to):
        return self.ping(to).returncode == 0

    def is_refused(self, to, word="Packet filtered"):
        return word in self.ping(to).stdout

    def tcp(self, to, port, seconds=5):
        code = (f"import socket; s = socket.create_connection(('{to}', {port}), {seconds}); s.sendall(b'hello'); "
                "s.settimeout(5); print(s.recv(16).decode())")
        return self.run("c", f"{sys.executable} -c \"{code}\"", check=False)

    def serve(self, port):
        code = ("import socket; s = socket.create_server(('', %d)); print('listening', flush=True)\n"
                "while True:\n    c, a = s.accept(); c.sendall(a[0].encode()); c.close()" % port)
        p = self.start("s", [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert p.stdout.readline().strip() == "listening"


def a_granted_resource_is_reached_and_the_site_sees_the_gateway(w):
    w.connect()
    assert w.reaches("10.9.0.5")
    w.serve(8000)
    assert w.tcp("10.9.0.5", 8000).stdout.strip() == "10.9.0.1"


def the_gateway_itself_answers_under_its_tunnel_address(w):
    w.connect()
    assert w.reaches("100.64.0.1")
    assert w.run("c", "ping -6 -n -c 1 -W 3 fd00:2021:1111::1", check=False).returncode == 0


def what_is_not_granted_is_prohibited_at_once(w):
    w.connect()
    assert w.is_refused("10.9.1.5")
    assert w.is_refused("100.64.0.9"), "another client's address"
    assert w.tcp("10.9.1.5", 8000).returncode != 0
    assert w.reaches("10.9.0.5")


def filters_let_their_ports_through_and_nothing_else(w):
    w.connect(WEB)
    w.serve(8000)
    w.serve(8001)
    assert w.tcp("10.9.1.5", 8000).stdout.strip() == "10.9.1.1"
    assert "No route to host" in w.tcp("10.9.1.5", 8001).stderr
    assert w.is_refused("10.9.1.5")
    w.push("resource_updated", {**RESOURCES[WEB], "filters": [{"protocol": "icmp"}]})
    wait(lambda: w.reaches("10.9.1.5"), 10, "the new filters hold")
    assert w.tcp("10.9.1.5", 8000).returncode != 0


def a_packet_with_another_source_goes_nowhere(w):
    w.connect()
    w.run("c", "ip address add 100.64.0.77/32 dev tun")
    w.run("c", "ip address add 10.9.0.77/32 dev tun")
    assert w.reaches("10.9.0.5")
    assert w.ping("10.9.0.5", "100.64.0.77").returncode != 0
    assert w.ping("10.9.0.5", "10.9.0.77").returncode != 0
    assert w.reaches("10.9.0.5")


def the_site_cannot_open_a_way_to_a_client_without_a_grant(w):
    w.connect(OFFICE)
    w.run("s", "ip route add 100.64.0.0/11 via 10.9.0.1 src 198.51.100.5")
    assert w.run("s", "ping -n -c 1 -W 2 100.64.0.2", check=False).returncode != 0
    assert w.run("s", "ping -n -c 1 -W 3 -I 10.9.0.5 100.64.0.2", check=False).returncode == 0


def the_internet_resource_reaches_the_internet_alone(w):
    w.connect(INTERNET)
    assert w.reaches("198.51.100.5")
    assert w.is_refused("10.9.0.5", "Net Unreachable")
    assert w.is_refused("172.16.0.1", "Net Unreachable")


def access_rejected_while_another_grant_lives_is_prohibited(w):
    w.connect(OFFICE)
    w.authorize(WEB)
    assert w.reaches("10.9.0.5")
    w.push("reject_access", {"client_id": CLIENT, "resource_id": OFFICE})
    wait(lambda: w.is_refused("10.9.0.5"), 10, "the rejected resource is refused")
    w.authorize(OFFICE)
    wait(lambda: w.reaches("10.9.0.5"), 10, "granted again, it is reached again")


def the_last_grant_gone_the_client_is_sent_away(w):
    w.connect()
    assert w.reaches("10.9.0.5")
    w.push("reject_access", {"client_id": CLIENT, "resource_id": OFFICE})
    wait(lambda: w.logged("client-ended client=c0ffee00 by=portal"), 10, "the client is gone")
    assert not w.reaches("10.9.0.5")


def a_grant_ends_when_it_expires(w):
    w.connect(expires_at=int(time.time()) + 4)
    assert w.reaches("10.9.0.5")
    wait(lambda: w.logged("client-ended client=c0ffee00 by=portal"), 10, "the client is gone")
    assert not w.reaches("10.9.0.5")


def a_new_init_revokes_what_it_does_not_list_and_keeps_the_rest(w):
    w.connect(OFFICE)
    w.authorize(WEB)
    w.push("init", {**INIT, "authorizations": [{"client_id": CLIENT, "resource_id": OFFICE, "expires_at": 4000000000}]})
    w.push("resource_updated", {**RESOURCES[WEB], "filters": []})
    wait(lambda: w.is_refused("10.9.1.5"), 10, "what is not listed is refused")
    assert w.reaches("10.9.0.5")


def the_portal_away_traffic_goes_on_and_a_return_keeps_it(w):
    w.connect()
    w.set_init(authorizations=[{"client_id": CLIENT, "resource_id": OFFICE, "expires_at": 4000000000}])
    flood = w.start("c", ["ping", "-n", "-q", "-c", "40", "-i", "0.1", "-W", "2", "10.9.0.5"], stdout=subprocess.PIPE, text=True)
    joins = len([e for e in w.events() if e[0] == "phx_join"])
    open(w.path("drop"), "w", encoding="utf-8").close()
    wait(lambda: len([e for e in w.events() if e[0] == "phx_join"]) > joins, 20, "the gateway is back")
    out = flood.communicate(timeout=30)[0]
    assert " 0% packet loss" in out, out
    assert not w.logged("client-ended")


def an_address_that_comes_or_goes_is_told_to_clients(w):
    w.connect()

    def told(event, address):
        return any(e[0] == event and e[1]["client_ids"] == [CLIENT] and any(address in c for c in e[1]["candidates"])
                   for e in w.events())
    w.run("g", "ip address add 203.0.113.77/32 dev wan")
    wait(lambda: told("broadcast_ice_candidates", "203.0.113.77"), 10, "the new address is a candidate")
    w.run("g", "ip address del 203.0.113.77/32 dev wan")
    wait(lambda: told("broadcast_invalidated_ice_candidates", "203.0.113.77"), 10, "it is one no more")
    assert w.reaches("10.9.0.5"), "the connection stayed"


def another_key_of_the_same_client_replaces_the_connection(w):
    w.connect()
    w.tell("reset")
    assert w.answer("reset") == "ok"
    w.tell("key")
    w.key = bytes.fromhex(w.answer("key"))
    ICE["client"] = ("cli2", "clientpassword76543210")
    open(w.path("events"), "w", encoding="utf-8").close()
    w.connect()
    assert w.reaches("10.9.0.5")


def a_gateway_that_ends_says_goodbye(w):
    w.connect()
    code = ("import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x86dd)); s.bind(('tun', 0)); "
            "print('listening', flush=True); s.settimeout(20)\n"
            "while True:\n    p = s.recv(2000)\n    if p[6] == 255:\n        print(p.hex(), flush=True)\n        break")
    ear = w.start("c", [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert ear.stdout.readline().strip() == "listening"
    w.gateway.terminate()
    heard = ear.stdout.readline().strip()
    assert heard == "60000000" + "0008" + "ff" + "00" + "00" * 32 + "02" + "00" * 7, heard
    assert w.gateway.wait(20) == 0
    assert not w.reaches("10.9.0.5")


SCENARIOS = [f for f in list(globals().values()) if callable(f) and getattr(f, "__code__", None)
             and f.__code__.co_varnames[:1] == ("w",)]


def main():
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        print("skipped: needs root and /dev/net/tun", file=sys.stderr)
        return 77
    if sh("nft --version", check=False).returncode != 0:
        print("skipped: needs nft(8)", file=sys.stderr)
        return 77
    failed = 0
    for scenario in SCENARIOS:
        if not PATTERN.search(scenario.__name__):
            continue
        ice, w = dict(ICE), None
        began = time.monotonic()
        try:
            w = World()
            scenario(w)
            print(f"ok   {scenario.__name__}  {time.monotonic() - began:.1f} s", flush=True)
        except Exception as e:  # whatever it is, the others run
            failed += 1
            print(f"FAIL {scenario.__name__}: {type(e).__name__}: {e}", flush=True)
            if w:
                with open(w.path("log"), encoding="utf-8") as f:
                    print("".join("       gateway: " + line for line in f.readlines()[-15:]))
                print("".join(f"       client: {line}\n" for line in w.log[-15:]))
        finally:
            ICE.update(ice)
            if w:
                w.close()
    return 1 if failed else 0


sys.exit(main())
