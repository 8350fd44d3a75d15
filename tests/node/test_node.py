#!/usr/bin/env python3
"""Two nodes joined by candidates that this test carries, as the portal would: direct, behind NATs, through coturn alone,
a path that is lost and comes back, a side that dies, new keys.

    space c, g: the devices    nc, ng: their NATs, if any    hub: a bridge with coturn at 203.0.113.1

Usage: test_node.py DRIVER IO [PATTERN].  Status 77: skipped, the reason is on stderr. Everything lives in network namespaces with
this process's id in their names.
"""
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

DRIVER, IO = os.path.abspath(sys.argv[1]), sys.argv[2]
PATTERN = re.compile(sys.argv[3] if len(sys.argv) > 3 else "")
ID = os.getpid()
RELAY = "203.0.113.1"
PSK = "05" * 32
PATIENCE = 90  # seconds for what takes a moment on an idle machine
CREDENTIALS = ("clientufrag", "clientpassword0123456789", "gatewayufrag", "gatewaypassword0123456789")


def sh(command, check=True):
    return subprocess.run(command, shell=True, check=check, capture_output=True, text=True)


class Lab:
    """Namespaces and processes of one scenario."""

    def __init__(self, nats=(False, False)):
        self.spaces, self.processes, self.nodes = [], [], []
        try:
            self.build(nats)
        except BaseException:
            self.close()
            raise

    def name(self, space):
        return f"fzn{ID}{space}"

    def run(self, space, command, check=True):
        return sh(f"ip netns exec {self.name(space)} {command}", check)

    def add(self, space):
        sh(f"ip netns add {self.name(space)}")
        self.spaces.append(space)
        self.run(space, "ip link set lo up")

    def wire(self, a, dev_a, b, dev_b):
        sh(f"ip link add {dev_a} netns {self.name(a)} type veth peer name {dev_b} netns {self.name(b)}")
        self.run(a, f"ip link set {dev_a} up")
        self.run(b, f"ip link set {dev_b} up")

    def build(self, nats):
        self.add("hub")
        self.run("hub", "ip link add br0 type bridge")
        self.run("hub", f"ip addr add {RELAY}/24 dev br0")
        self.run("hub", "ip link set br0 up")
        for index, (space, has_nat) in enumerate(zip("cg", nats), 1):
            outer = f"203.0.113.{10 * index}"
            self.add(space)
            edge = "n" + space if has_nat else space
            if has_nat:
                self.add(edge)
            self.wire(edge, "wan", "hub", "to-" + edge)
            self.run("hub", f"ip link set to-{edge} master br0")
            self.run(edge, f"ip addr add {outer}/24 dev wan")
            if has_nat:
                self.wire(space, "lan", edge, "lan")
                self.run(edge, f"ip addr add 10.{index}.0.1/24 dev lan")
                self.run(edge, "sysctl -qw net.ipv4.ip_forward=1")
                self.run(edge, "nft 'add table ip nat; add chain ip nat out { type nat hook postrouting priority 100; }; "
                               "add rule ip nat out oifname wan masquerade'")
                # A router's firewall: without it a check that comes too early would take the port the answer needs.
                self.run(edge, "nft 'add table ip wall; add chain ip wall in { type filter hook input priority 0; }; "
                               "add rule ip wall in iifname wan ct state new drop'")
                self.run(space, f"ip addr add 10.{index}.0.2/24 dev lan")
                self.run(space, f"ip route add default via 10.{index}.0.1")

    def start(self, space, command, **options):
        p = subprocess.Popen(["ip", "netns", "exec", self.name(space)] + command, **options)
        self.processes.append(p)
        return p

    def start_relay(self):
        """Returns coturn's process."""
        log = f"/tmp/fzn{ID}"
        os.makedirs(log, exist_ok=True)
        relay = self.start("hub", ["turnserver", "-n", "--no-cli", "--no-tls", "--no-dtls", "--no-tcp", "--no-tcp-relay",
                           f"--log-file={log}/log", "--simple-log", f"--pidfile={log}/pid", f"--userdb={log}/db",
                           f"--listening-ip={RELAY}", f"--relay-ip={RELAY}", "--listening-port=3478", "--realm=firezone",
                           "--lt-cred-mech", "--user=alice:secret", "--user=bob:secret", "--min-port=50000",
                           "--max-port=50100"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait(lambda: "3478" in self.run("hub", "ss -Hlun sport = 3478").stdout, PATIENCE, "coturn listens")
        return relay

    def end_nodes(self):
        """Those that still run end in order, whatever they hold: sanitizers have the last word."""
        for node in self.nodes:
            if node.process.poll() is None:
                node.tell("quit")
                assert node.process.wait(PATIENCE) == 0, f"{node.space} ended with {node.process.returncode}"

    def block_direct(self, is_blocked):
        """Between the devices; the relay stays reachable by both."""
        if is_blocked:
            self.run("c", "nft 'add table ip cut; add chain ip cut out { type filter hook output priority 0; }; "
                          "add rule ip cut out udp dport != 3478 ip daddr 203.0.113.20 drop'")
        else:
            self.run("c", "nft delete table ip cut")

    def close(self):
        for p in self.processes:
            if p.poll() is None:
                p.kill()
        for p in self.processes:
            p.wait()
        for space in self.spaces:
            sh(f"ip netns delete {self.name(space)}", check=False)
        shutil.rmtree(f"/tmp/fzn{ID}", ignore_errors=True)


def wait(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


class Node:
    """A driver process; its candidates go to `other` by themselves."""

    def __init__(self, lab, space, index, threads, settings):
        self.lab, self.space, self.index, self.other = lab, space, index, None
        self.lines, self.log, self.candidates = queue.Queue(), [], []
        environment = dict(os.environ, FIREZONE_IO=IO, FIREZONE_THREADS=str(threads), **settings)
        self.process = lab.start(space, [DRIVER, "tun", "client" if index == 0 else "gateway"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True, env=environment)
        threading.Thread(target=self.read, daemon=True).start()
        started = self.answer("started")
        if started != "ok":
            print(f"skipped: node: {started}", file=sys.stderr)
            raise SystemExit(77)
        lab.run(space, f"ip addr add 10.66.0.{index + 1}/24 dev tun")
        lab.run(space, "ip link set tun up")
        self.key = self.ask("key", "key")
        lab.nodes.append(self)

    def read(self):
        for line in self.process.stdout:
            words = line.rstrip("\n").split(" ", 2)
            self.log.append(line.strip())
            if words[0] in ("candidate", "gone"):
                self.candidates.append(words[2])
                if self.other:
                    self.other.tell(f"{words[0]} {words[1]} {words[2]}")
            else:
                self.lines.put(words)

    def tell(self, command):
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except OSError:
            pass  # it was killed

    def answer(self, what, seconds=PATIENCE):
        """The next line that starts so; those before it are passed over."""
        end = time.monotonic() + seconds
        while True:
            try:
                words = self.lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no '{what}' from {self.space} within {seconds} s; it said:\n"
                                     + "\n".join(self.log[-20:])) from None
            if words[0] == what:
                return words[2] if len(words) > 2 else ""

    def ask(self, command, what):
        self.tell(command)
        return self.answer(what)

    def stats(self):
        return dict(word.split("=", 1) for word in self.ask("stats peer", "stats").split())

    def use_relay(self):
        assert self.ask(f"relay r {RELAY}:3478 {'alice' if self.index == 0 else 'bob'} secret", "relay") == "ok"

    def upsert(self, other, psk=PSK):
        mine, theirs = CREDENTIALS[2 * self.index:2 * self.index + 2], CREDENTIALS[2 - 2 * self.index:4 - 2 * self.index]
        role = "controlling" if self.index == 0 else "controlled"
        return self.ask(f"upsert peer {other.key} {psk} {' '.join(mine)} {' '.join(theirs)} {role}", "upsert")


def make_pair(lab, threads=2, **settings):
    nodes = [Node(lab, space, i, threads, settings) for i, space in enumerate("cg")]
    for node, other in (nodes, nodes[::-1]):
        node.other = other
    return nodes


def connect(nodes, has_relay=True):
    for node in nodes:
        if has_relay:
            node.use_relay()
    for node, other in (nodes[::-1], nodes):  # the gateway first, as authorizations go
        wait(lambda node=node, other=other: node.upsert(other) in ("created", "kept", "replaced"), PATIENCE, "relay answers")
    # What was signalled before the other side was there is signalled again, as on every authorization.
    for node, other in (nodes, nodes[::-1]):
        for text in list(node.candidates):
            other.tell(f"candidate peer {text}")
    nodes[0].answer("up")


def ping(lab, target, count=5, interval=0.2, source="c"):
    out = lab.run(source, f"ping -n -c {count} -i {interval} -W 1 {target}", check=False).stdout
    return int(re.search(r"(\d+) received", out).group(1)) if "received" in out else 0


def iperf(lab, arguments=""):
    server = lab.start("g", ["iperf3", "-s", "-1", "-B", "10.66.0.2"], stdout=subprocess.DEVNULL)
    wait(lambda: ":5201" in lab.run("g", "ss -Hltn").stdout, PATIENCE, "iperf3 listens")
    out = lab.run("c", f"timeout 60 iperf3 -c 10.66.0.2 -t 1 -f m {arguments}", check=False).stdout
    server.wait(PATIENCE)
    rates = re.findall(r"([\d.]+) Mbits/sec.*receiver", out)
    assert rates, out
    return float(rates[-1])


def check_answers(lab, target, what=""):
    """Nearly all of five are answered, sooner or later: a busy machine may lose some at first."""
    wait(lambda: ping(lab, target) >= 4, PATIENCE, f"answers of {target} {what}")


def path_is(node, path):
    return lambda: node.stats()["path"] == path


def check_traffic(lab, nodes, path):
    for node in nodes:
        wait(path_is(node, path), PATIENCE, f"path {path}")
    check_answers(lab, "10.66.0.2")
    forward, back = iperf(lab), iperf(lab, "-R")
    print(f"    {path}: {forward:.0f} and {back:.0f} Mbit/s (io={IO})")
    assert forward > 0 and back > 0


def scenario_carries_traffic_directly(lab):
    lab.start_relay()
    nodes = make_pair(lab)
    connect(nodes)
    check_traffic(lab, nodes, "direct")


def scenario_carries_traffic_with_one_thread(lab):
    lab.start_relay()
    nodes = make_pair(lab, threads=1)
    connect(nodes)
    check_traffic(lab, nodes, "direct")


def scenario_obeys_its_hooks(lab):
    lab.start_relay()
    nodes = make_pair(lab)
    connect(nodes)
    lab.run("g", "ip addr add 10.66.0.96/32 dev tun")
    check_answers(lab, "10.66.0.96", "what was held and released")
    check_answers(lab, "10.66.0.97", "what the inbound hook answers")
    check_answers(lab, "10.66.0.98", "what the outbound hook answers")
    assert ping(lab, "10.66.0.99", count=2) == 0, "what it refuses"
    # Held in one frame and released packet by packet: a bulk transfer to the held address.
    server = lab.start("g", ["iperf3", "-s", "-1", "-B", "10.66.0.96"], stdout=subprocess.DEVNULL)
    wait(lambda: ":5201" in lab.run("g", "ss -Hltn").stdout, PATIENCE, "iperf3 listens")
    out = lab.run("c", "timeout 60 iperf3 -c 10.66.0.96 -n 200K -f m", check=False).stdout
    server.wait(PATIENCE)
    assert "receiver" in out, out


def scenario_needs_no_relay_where_its_own_addresses_are_known(lab):
    nodes = make_pair(lab, NODE_HOSTS="1")
    connect(nodes, has_relay=False)
    check_traffic(lab, nodes, "direct")


def scenario_prefers_ipv6(lab):
    for index, space in enumerate("cg", 1):
        lab.run(space, f"ip addr add 2001:db8::{index}/64 dev wan nodad")
    nodes = make_pair(lab, NODE_HOSTS="1")
    connect(nodes, has_relay=False)
    check_traffic(lab, nodes, "direct")
    assert nodes[0].stats()["remote"].startswith("[2001:db8::2]:")


def scenario_leaves_a_taken_port_to_its_owner(lab):
    taken = lab.start("c", [sys.executable, "-c", "import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                            "s.bind(('0.0.0.0', 52625)); time.sleep(600)"])
    wait(lambda: ":52625" in lab.run("c", "ss -Hlun").stdout, PATIENCE, "the port is taken")
    nodes = make_pair(lab, NODE_HOSTS="1")
    connect(nodes, has_relay=False)
    check_answers(lab, "10.66.0.2")
    assert not any(" 52625 typ host" in text for text in nodes[0].candidates)
    assert any(" 52625 typ host" in text for text in nodes[1].candidates)
    taken.kill()


def scenario_crosses_two_nats(lab):
    lab.start_relay()
    nodes = make_pair(lab)
    connect(nodes)
    check_traffic(lab, nodes, "direct")
    assert nodes[0].stats()["remote"].startswith("203.0.113.20:")


def scenario_goes_through_the_relay_alone(lab):
    lab.start_relay()
    lab.block_direct(True)
    nodes = make_pair(lab)
    connect(nodes)
    check_traffic(lab, nodes, "relayed")


def scenario_survives_the_loss_of_its_direct_path(lab):
    lab.start_relay()
    nodes = make_pair(lab)
    connect(nodes)
    wait(path_is(nodes[0], "direct"), PATIENCE, "direct at first")
    check_answers(lab, "10.66.0.2")
    lab.block_direct(True)
    lost = time.monotonic()
    wait(lambda: ping(lab, "10.66.0.2", count=1), PATIENCE, "answers through the relay")
    print(f"    answered through the relay after {time.monotonic() - lost:.1f} s")
    wait(path_is(nodes[0], "relayed"), PATIENCE, "the client sees the relay")
    lab.block_direct(False)
    back = time.monotonic()
    wait(path_is(nodes[0], "direct"), PATIENCE, "direct again")
    print(f"    direct again after {time.monotonic() - back:.1f} s")
    check_answers(lab, "10.66.0.2")
    assert not any(line.startswith("failed") for node in nodes for line in node.log)


def scenario_goes_on_without_its_relay(lab):
    relay = lab.start_relay()
    nodes = make_pair(lab)
    connect(nodes)
    wait(path_is(nodes[0], "direct"), PATIENCE, "direct at first")
    relay.kill()
    for node in nodes:
        node.use_relay()  # as the portal names it once more: it is asked whether it lives
        node.answer("no-relays")
    check_answers(lab, "10.66.0.2")
    assert not any(line.startswith("failed") for node in nodes for line in node.log)
    # A new one is as good as the first: its address is signalled on the connection that stayed.
    relay.wait()
    lab.start_relay()
    for node in nodes:
        node.candidates.clear()
        node.use_relay()
        wait(lambda node=node: any("typ relay" in text for text in node.candidates), PATIENCE, "a relayed candidate")
    check_answers(lab, "10.66.0.2")


def scenario_bears_a_lying_relay(lab):
    seed = 7
    nodes = make_pair(lab, NODE_HOSTS="1")
    connect(nodes, has_relay=False)
    for node in nodes:
        node.use_relay()
    liar = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lying_relay.py")
    out = lab.run("hub", f"timeout 60 {sys.executable} {liar} {RELAY} {seed} 20000 203.0.113.10:52625 203.0.113.20:52625").stdout
    assert int(out) > 0, "nothing was asked of it"
    check_answers(lab, "10.66.0.2", f"seed {seed}")
    assert not any(line.startswith("failed") for node in nodes for line in node.log), f"seed {seed}"


def scenario_hears_that_the_other_side_died(lab):
    lab.start_relay()
    nodes = make_pair(lab)
    connect(nodes)
    check_answers(lab, "10.66.0.2")
    nodes[1].process.send_signal(signal.SIGKILL)
    died = time.monotonic()
    assert "answers" in nodes[0].answer("failed")
    print(f"    failed {time.monotonic() - died:.1f} s after the kill")
    assert nodes[0].ask("stats peer", "stats").startswith("path=none")


def scenario_fails_without_candidates_or_with_a_wrong_key(lab):
    lab.start_relay()
    nodes = make_pair(lab)
    for node in nodes:
        node.use_relay()
    nodes[0].other = nodes[1].other = None
    wait(lambda: nodes[0].upsert(nodes[1]) == "created", PATIENCE, "relay answers")
    assert "named no address" in nodes[0].answer("failed")
    # A preshared key that differs: reachable, yet no session.
    for node, other in (nodes, nodes[::-1]):
        node.other = other
    wait(lambda: nodes[1].upsert(nodes[0], "06" * 32) == "created", PATIENCE, "relay answers")
    nodes[0].upsert(nodes[1])
    for text in list(nodes[1].candidates):
        nodes[0].tell(f"candidate peer {text}")
    for text in list(nodes[0].candidates):
        nodes[1].tell(f"candidate peer {text}")
    assert "handshake" in nodes[0].answer("failed")


def scenario_starts_anew_after_a_reset(lab):
    lab.start_relay()
    nodes = make_pair(lab)
    connect(nodes)
    assert nodes[0].upsert(nodes[1]) == "kept"
    assert nodes[0].ask("reset", "reset") == "ok"
    old, nodes[0].key = nodes[0].key, nodes[0].ask("key", "key")
    assert nodes[0].key != old
    nodes[0].candidates.clear()
    connect(nodes)
    check_traffic(lab, nodes, "direct")


NATS = {"crosses_two_nats": (True, True)}


def main():
    for tool in ("nft", "turnserver", "iperf3", "ip"):
        if not shutil.which(tool):
            print(f"skipped: needs {tool}", file=sys.stderr)
            return 77
    if os.getuid() != 0 or sh(f"ip netns add fzn{ID}try", check=False).returncode != 0:
        print("skipped: needs root and network namespaces", file=sys.stderr)
        return 77
    sh(f"ip netns delete fzn{ID}try")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    failed = 0
    for function, run in list(globals().items()):
        if not function.startswith("scenario_") or not PATTERN.search(function):
            continue
        sentence = function.removeprefix("scenario_")
        start = time.monotonic()
        lab = Lab(NATS.get(sentence, (False, False)))
        try:
            run(lab)
            lab.end_nodes()
            print(f"ok   {sentence} ({time.monotonic() - start:.0f} s)", flush=True)
        except (AssertionError, subprocess.SubprocessError) as e:
            failed += 1
            print(f"FAIL {sentence}: {e!r}", flush=True)
        finally:
            lab.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
