"""What bench/firezone.py measures: a function for each part, given the lab with a pair in it, returning {figure: number}."""
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time

from fz_lab import CLIENT_ENV, GATEWAY_INSIDE, HERE, RESOURCE, ended, wait_for

MTU = 1280
WG_PORT, UDP_PAYLOAD = "51820", 1200
CLIENT_OUTSIDE, GATEWAY_OUTSIDE = "2001:db8:31::2", "2001:db8:41::2"  # the way the pair itself takes: routed, behind firewalls
BENCH_CLIENTS = HERE.parent / "tests" / "gateway" / "bench_clients.py"


def ms(a, b):
    return (b - a) * 1000


def phases(events, names):
    """Milliseconds from each named event to the next one; what is missing leaves both its phases out."""
    return {f"{name}_ms": ms(events[a], events[b]) for name, a, b in names if a in events and b in events}


# ---- first packet, cold start ----------------------------------------------------------------------------------------------

CONNECTING = (  # from the packet that asks to its answer; the portal's are those of its transcript
    ("ask", "inner_out", "client request_authorization"),
    ("gateway_asked", "client request_authorization", "gateway authorization_created"),
    ("authorized", "gateway authorization_created", "to client authorization_created"),
    ("to_first_check", "to client authorization_created", "check_out"),
    ("ice", "check_out", "check_answer_in"),
    ("to_handshake", "check_answer_in", "handshake_out"),
    ("wireguard", "handshake_out", "handshake_answer_in"),
    ("to_data", "handshake_answer_in", "data_out"),
    ("answer", "data_out", "inner_in"),
)
STARTING = (
    ("start", "spawned", "dns_out"),
    ("dns", "dns_out", "tcp_out"),
    ("tcp", "tcp_out", "tcp_in"),
    ("tls_and_upgrade", "tcp_in", "client upgrade"),
    ("join", "client upgrade", "to client init"),
    ("raise", "to client init", "routed"),
    ("relay", "relay_out", "relay_allocated"),
    ("to_first_packet", "routed", "inner_out"),
)


def forget_connection(lab):
    """The gateway is not connected any more, as if its Resources had never been used."""
    for name in ("office", "web-only"):
        lab.ctl("resource", "disable", name)
        lab.ctl("resource", "enable", name)
    time.sleep(0.15)
    lab.forget_flows()


def first_packet(lab, options):
    """Everything is up but the connection: from an echo request to its answer."""
    found = []
    for _ in range(options.samples):
        forget_connection(lab)
        said = lab.said(lab.probe("first", RESOURCE))
        events = {**said, **lab.portal_times(said["began"])}
        found.append({"first_packet_ms": ms(said["began"], said["ended"]), **phases(events, CONNECTING)})
    return {k: statistics.median(f[k] for f in found if k in f) for k in found[0]}


def cold_start(lab, options):
    """From before the daemon's exec to the first byte of a page, and which part took how long."""
    figures = {}
    for distance in (0, options.distance):
        with lab.distance(distance):
            figures.update(one_cold_start(lab, f"_at_{2 * distance}" if distance else ""))
    rtt = 2 * options.distance
    names = [k[:-len("_ms")] for k in figures if f"{k}_at_{rtt}" in figures]
    for name in names:
        figures[f"{name}_round_trips"] = (figures[f"{name}_ms_at_{rtt}"] - figures[f"{name}_ms"]) / rtt
    return figures


def one_cold_start(lab, suffix):
    lab.stop("client")
    lab.on("client", "bash", "-c", "rm -f /run/firezone/*.sock")
    lab.forget_flows()
    probe = lab.probe("cold", RESOURCE, "/whoami")
    spawned = time.monotonic()
    lab.run_daemon("client", "firezoned", CLIENT_ENV)
    said = lab.said(probe)
    events = {**said, "spawned": spawned, **lab.portal_times(spawned)}
    figures = {"first_byte_ms": ms(spawned, said["ended"]), "up_ms": ms(spawned, said["routed"]),
               "connected_ms": ms(said["routed"], said["connected"]), "request_ms": ms(said["connected"], said["ended"])}
    figures.update(phases(events, STARTING + CONNECTING))
    return {k + suffix: v for k, v in figures.items()}


# ---- reconnect -------------------------------------------------------------------------------------------------------------

def gap_after(lab, seconds, act):
    """Echoes beside `act`, which returns when it had the gateway back; (longest silence, from then to the next answer) in ms."""
    probe = lab.probe("echoes", RESOURCE, str(seconds))
    time.sleep(0.5)
    back = act()
    times = lab.said(probe)["answered"]
    after = [t for t in times if t > back]
    if not after:
        raise RuntimeError("no answer after the gateway came back")
    return max(ms(a, b) for a, b in zip(times, times[1:])), ms(back, after[0])


def restart(lab, options):
    """The gateway ends in order, or is killed, and is started again at once; echoes go on all the time."""
    def again(sign):
        lab.stop("gateway", sign)
        lab.start_gateway()
        started = time.monotonic()
        wait_for(lambda: lab.joined("gateway"), "the gateway to join again")
        return started
    r = {}
    r["restart_silent_ms"], r["restart_after_start_ms"] = gap_after(lab, 4 if options.quick else 6, lambda: again(signal.SIGTERM))
    if not options.quick:
        r["kill_silent_ms"], r["kill_after_start_ms"] = gap_after(lab, 30, lambda: again(signal.SIGKILL))
    return r


# ---- memory ----------------------------------------------------------------------------------------------------------------

def resources(lab, options):
    """Resident memory of a client that was given so many Resources more, and what one of them costs."""
    r, first = {}, None
    for n in options.resources:
        lab.stop("client")
        lab.lab("portal", "flood", str(n))
        lab.start_client()
        lab.wait_up()
        lab.reach()
        time.sleep(0.3)
        r[f"rss_kib_{n}_resources"] = lab.status_of("client", "VmRSS")
        r[f"peak_kib_{n}_resources"] = lab.status_of("client", "VmHWM")
        if first is None:
            first = n
    most = options.resources[-1]
    r["bytes_per_resource"] = (r[f"rss_kib_{most}_resources"] - r[f"rss_kib_{first}_resources"]) * 1024 / (most - first)
    lab.stop("client")
    lab.lab("portal", "flood", "0")
    lab.start_client()
    lab.wait_up()
    lab.reach()
    return r


def clients(lab, options):
    """Many clients on one gateway, in namespaces of their own."""
    out = subprocess.run([sys.executable, str(BENCH_CLIENTS), lab.bin, options.clients_driver, str(options.clients)],
                         check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=240).stdout
    return {f"clients_{k}" if not k.startswith("clients") else k: v for k, v in json.loads(out).items()}


# ---- throughput ------------------------------------------------------------------------------------------------------------

def whole(seconds):
    """iperf3 cuts off the fraction, and takes 0 for ever."""
    return max(1, round(seconds))


def iperf(lab, ip, port, seconds, *words):
    out = json.loads(lab.on("client", "iperf3", "-c", ip, "-p", str(port), "-J", "-t", str(whole(seconds)), *words, check=False))
    if "error" in out:
        raise RuntimeError(out["error"])
    return out["end"]


def tcp(lab, ip, port, seconds, *words):
    return iperf(lab, ip, port, seconds, *words)["sum_received"]["bits_per_second"] / 1e9


def udp(lab, ip, port, seconds, *words):
    """What came through of as much as iperf3 sends (a system call a datagram), in Gbit/s of payload."""
    total = iperf(lab, ip, port, seconds, "-u", "-b", "0", "-l", str(UDP_PAYLOAD), *words)["sum"]
    return (total["packets"] - total["lost_packets"]) * UDP_PAYLOAD * 8 / total["seconds"] / 1e9


WAYS = (("1", ()), ("1_reverse", ("-R",)), ("4", ("-P", "4")), ("4_reverse", ("-P", "4", "-R")))


def throughput(lab, options):
    """Client to a Resource behind the gateway and back. Peaks of memory are those since the daemons started."""
    r = {}
    before = {host: lab.udp_errors(host) for host in ("client", "gateway")}
    cpu = sum(lab.cpu_of(h) for h in before)
    gigabytes = 0.0
    for name, words in WAYS:
        r[f"tcp_{name}"] = tcp(lab, RESOURCE, 5201, options.seconds, *words)
        gigabytes += r[f"tcp_{name}"] * whole(options.seconds) / 8
    r["cpu_s_per_gb"] = (sum(lab.cpu_of(h) for h in before) - cpu) / gigabytes
    r["udp_errors_under_tcp"] = sum(lab.udp_errors(h) - n for h, n in before.items())
    for name, words in WAYS:
        r[f"udp_{name}"] = udp(lab, RESOURCE, 5201, options.seconds / 2, *words)
    for host in before:
        r[f"{host}_peak_mib"] = lab.status_of(host, "VmHWM") / 1024
        r[f"{host}_threads"] = len(os.listdir(f"/proc/{lab.processes[host].pid}/task"))
    return r


def idle(lab, options):
    """Processor time and wake-ups of the pair with nothing to do, beyond the checks that keep the way open."""
    time.sleep(0.5)
    before = {h: (lab.cpu_of(h), lab.switches_of(h)) for h in ("client", "gateway")}
    time.sleep(options.idle_seconds)
    r = {}
    for host, (cpu, switches) in before.items():
        r[f"{host}_idle_cpu_percent"] = 100 * (lab.cpu_of(host) - cpu) / options.idle_seconds
        r[f"{host}_idle_switches_per_s"] = (lab.switches_of(host) - switches) / options.idle_seconds
    return r


# ---- the engine: the same data plane with and without connections on top -------------------------------------------------------

class WireGuard:
    """firezone-wg on the client and on the gateway, beside the pair: same namespaces, same way between them, same MTU."""

    ENDS = (("client", GATEWAY_OUTSIDE, "10.77.0.1", "10.77.0.2"), ("gateway", CLIENT_OUTSIDE, "10.77.0.2", "10.77.0.1"))

    def __init__(self, lab):
        self.lab, self.processes = lab, []

    def __enter__(self):
        keys = {host: self.lab.on(host, "wg", "genkey").strip() for host, *_ in self.ENDS}
        public = {host: self.lab.on(host, "wg", "pubkey", input=key).strip() for host, key in keys.items()}
        for host, far, ours, theirs in self.ENDS:
            self.lab.on(host, "mkdir", "-p", "/var/run/wireguard")
            self.processes.append(self.lab.start(host, f"{self.lab.bin}/firezone-wg", "-f", "wgbench",
                                                 env={**os.environ, "LOG_LEVEL": "error"}))
            wait_for(lambda h=host: self.lab.on(h, "sh", "-c", "ls /var/run/wireguard/wgbench.sock 2>/dev/null", check=False),
                     "firezone-wg to start")
            other = "gateway" if host == "client" else "client"
            self.lab.on(host, "wg", "set", "wgbench", "private-key", "/dev/stdin", "listen-port", WG_PORT, "peer", public[other],
                        "endpoint", f"[{far}]:{WG_PORT}", "allowed-ips", f"{theirs}/32", "persistent-keepalive", "5", input=keys[host])
            self.lab.on(host, "ip", "address", "add", f"{ours}/24", "dev", "wgbench")
            self.lab.on(host, "ip", "link", "set", "wgbench", "mtu", str(MTU), "txqueuelen", "10000", "up")
        wait_for(lambda: self.lab.answers("10.77.0.2"), "firezone-wg to carry an echo")
        return self

    def __exit__(self, *_):
        for p in self.processes:
            p.terminate()
        for p in self.processes:
            ended(p)


@contextlib.contextmanager
def served(lab):
    server = lab.start("gateway", "iperf3", "-s", "-p", "5202")
    time.sleep(0.3)
    try:
        yield
    finally:
        server.terminate()
        ended(server)


def engine(lab, options):
    """TCP to the gateway's own address, through the pair and through firezone-wg in turn: no forwarding, no packet filter's
    translation behind either. The median of several short turns each, and the ratio of those medians."""
    samples = {}
    with WireGuard(lab), served(lab):
        wait_for(lambda: lab.answers(GATEWAY_INSIDE), "the gateway to answer at its own address")
        for turn in range(options.turns):
            contestants = [("pair", GATEWAY_INSIDE), ("wg", "10.77.0.2")]
            for who, ip in contestants if turn % 2 == 0 else reversed(contestants):
                for name, words in WAYS[:3]:
                    rate = tcp(lab, ip, 5202, options.turn_seconds, *words)
                    samples.setdefault((who, name), []).append(rate)
    r = {f"engine_{who}_tcp_{name}": statistics.median(v) for (who, name), v in samples.items()}
    for name, _ in WAYS[:3]:
        r[f"engine_ratio_{name}"] = r[f"engine_pair_tcp_{name}"] / r[f"engine_wg_tcp_{name}"]
    return r
