"""What is measured of a tunnel. Each function returns {name of a figure: number}; a Lab has the tunnel raised."""
import contextlib
import json
import math
import os
import re
import statistics
import subprocess
import time

MTUS = (1280, 8920)
WAYS = (("tcp_1", ()), ("tcp_1_reverse", ("-R",)), ("tcp_4", ("-P", "4")))
SEED = "7"
OWN_INNER, INNER = "10.0.0.1", "10.0.0.2"
PEERS = "10.64.0.0"  # the first of wg_load's
PORT = "7001"  # of wg_load's packets
SOURCES = "198.18.0.0/15"  # addresses for benchmarks, RFC 2544
FLOWS = "512"  # more than come in one turn, so that nothing is merged: each packet is a write of its own
INNER_HEADERS = 28  # IPv4 and UDP
SOCKETS = 1000  # of wg_load at most
LADDER = (1.2e6, 6e5, 3e5)  # too much, and less of it: a source that takes a whole processor leaves the tunnel less


def tcp(lab, seconds, *args):
    """Gbit/s received, and CPU seconds (user, system) per GB at both ends. iperf3 knows whole seconds only, and 0 as for ever."""
    seconds = max(1, math.ceil(seconds))
    before = lab.cpu_seconds()
    out = json.loads(lab.on(0, "iperf3", "-c", INNER, "-J", "-t", str(seconds), *lab.congestion, *args, check=False, timeout=seconds + 20))
    after = lab.cpu_seconds()
    total = out.get("end", {}).get("sum_received")
    if not total:
        raise RuntimeError(f"iperf3: {out.get('error', 'no result')}")
    return total["bits_per_second"] / 1e9, [(a - b) / (total["bytes"] / 1e9) for a, b in zip(after, before)]


def tcp_each_way(lab, options, at="", ways=WAYS):
    """One stream, one the other way, and four; CPU seconds per GB of the first."""
    r = {}
    for name, words in ways:
        r[name + at], cpu = tcp(lab, options.seconds, *words)
        if name == "tcp_1":
            r[f"cpu_s_per_gb{at}"] = sum(cpu)
            r[f"cpu_user_s_per_gb{at}"], r[f"cpu_system_s_per_gb{at}"] = cpu
    return r


def all_tcp(lab, options):
    with served(lab):
        r = tcp_each_way(lab, options)
        r["rss_mib"] = lab.peak_rss_mib()
    return r


def tcp_at_other_mtus(lab, options):
    r = {}
    try:
        with served(lab):
            for mtu in MTUS:
                for side in (0, 1):
                    lab.set_mtu(side, mtu)
                time.sleep(0.05)
                r |= tcp_each_way(lab, options, f"_mtu{mtu}", WAYS[:1] if options.quick else WAYS)
    finally:
        for side in (0, 1):
            lab.set_mtu(side, lab.mtu)
    return r


@contextlib.contextmanager
def served(lab):
    server = lab.start(1, "iperf3", "-s", "-B", INNER)
    time.sleep(0.2)
    try:
        yield
    finally:
        server.terminate()
        lab.end(server)


def round_trips(lab, count, interval):
    out = lab.on(0, "ping", "-n", "-c", str(count), "-i", str(interval), INNER, check=False)
    return sorted(float(x) * 1000 for x in re.findall(r"time=([0-9.]+)", out))


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def quantiles(name, samples):
    """Half of the round trips took no longer than the one, 99 of 100 no longer than the other."""
    if not samples:
        raise RuntimeError("no ping was answered")
    ordered = sorted(samples)
    return {f"ping_{name}_us": percentile(ordered, 0.5), f"ping_{name}_p99_us": percentile(ordered, 0.99)}


def pings(lab, options):
    """Round trips in microseconds, 10 ms apart: idle, and during one TCP stream with the pings and one against them.

    Idle ones come in three lots, before, between and after the others: what they take changes by a third from one second to the next.
    """
    r, idle, loaded = {}, round_trips(lab, options.pings, 0.01), []
    with served(lab):
        for name, args in (("up", ()), ("down", ("-R",))):
            n = options.pings // 2
            client = lab.start(0, "iperf3", "-c", INNER, "-t", str(math.ceil(n * 0.011 + 1)), *lab.congestion, *args)
            time.sleep(0.4)
            found = round_trips(lab, n, 0.01)
            client.terminate()
            lab.end(client, 30)
            time.sleep(0.1)  # the server is ready for the next
            r |= quantiles(name, found)
            loaded += found
            idle += round_trips(lab, options.pings, 0.01)
    return r | quantiles("idle", idle) | quantiles("loaded", loaded)


# ---- highest rates ----

LOSS = 0.001
TRIES = 3


def passes(attempt, rate, seen):
    """(rate that got through with little enough loss in one try of a few or 0, whether that was all that the source can do).

    One hiccup of a shared machine is not the tunnel's: a rate counts as too high once it failed three times, or twice by far.
    """
    for n in range(TRIES):
        got, sent = attempt(rate)
        seen.append(got)
        if sent > 0 and got >= sent * (1 - LOSS):
            return min(rate, sent), sent < rate * 0.95
        if n > 0 and got < sent * 0.9:
            break
    return 0.0, False


def search(attempt, first, steps):
    """The highest rate with under 0.1 % loss, and the most that came through at any. attempt(pps) -> (got, sent) per second.

    From what comes through of far too much the rate falls until it passes, is closed in on by ratio, and then climbs from the best in
    small steps, in case a higher rate had been ruled out by bad luck.
    """
    seen = [attempt(first)[0]]
    high, rate, low = max(seen[0], 1.0) * 1.15, seen[0] * 0.8, 0.0
    while low == 0.0 and rate > 500:
        low, _ = passes(attempt, rate, seen)
        high, rate = (high, rate) if low > 0 else (rate, rate * 0.6)
    for _ in range(steps if low > 0 else 0):
        if high / low < 1.04:
            break
        rate = (low * high) ** 0.5
        good, is_all = passes(attempt, rate, seen)
        low, high = max(low, good), min(high, rate) if is_all or not good else high
    for _ in range(steps if low > 0 else 0):
        good, is_all = passes(attempt, low * 1.06, seen)
        low = max(low, good)
        if good == 0.0 or is_all:
            break
    return low, max(seen)


def udp_once(lab, options, size, pps, seconds):
    """Packets received and sent per second, through both ends; one flow, by the queue of the device, as what a router forwards comes."""
    with lab.background(1, options.udp_sink, INNER, PORT, str(seconds + 0.3)) as sink:
        sent = int(lab.on(0, options.wg_load, "spread", lab.names[0], "queued", OWN_INNER, INNER, str(seconds), str(size), str(int(pps)),
                          "1", "1"))
    return int(sink.said or 0) / seconds, sent / seconds


def udp(lab, options):
    r = {}
    for size in (64, 1350):
        good, most = search(lambda pps, s=size: udp_once(lab, options, s, pps, options.udp_seconds), 2e6, options.steps)
        r[f"udp_{size}_pps"], r[f"udp_{size}_most_pps"] = good, most
    return r


def per_packet(lab, options):
    """System calls and context switches per packet at a fixed small rate, both ends."""
    r = {}
    for name, size, pps in (("64", 64, 40_000), ("1350", 1350, 40_000)):
        pids = ",".join(str(p.pid) for p in lab.tunnel)
        before, cpu = lab.switches(), sum(lab.cpu_seconds())
        perf = subprocess.Popen(["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", pids, "--", "sleep", "1"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        got, _ = udp_once(lab, options, size, pps, 1.1)
        counted = perf.communicate()[1]
        n = max(1.0, got * 1.1)
        m = re.search(r"^(\d+),", counted, re.M)
        if m:
            r[f"syscalls_per_packet_{name}"] = int(m[1]) / max(1.0, got)
        r[f"switches_per_packet_{name}"] = (lab.switches() - before) / n
        r[f"cpu_us_per_packet_{name}"] = (sum(lab.cpu_seconds()) - cpu) / n * 1e6
    return r


# ---- one end alone ----

def delivered(lab, size):
    """Packets that reached the TUN of the right end: by bytes, since several that were merged are one to the device's own count."""
    return (lab.counter(1, "rx_bytes") - INNER_HEADERS * lab.counter(1, "rx_packets")) / size


def receive_once(lab, options, key, n_peers, pps, seconds, flows=FLOWS):
    """Packets that reached the TUN, packets sent to it (per second), and CPU us a packet. Counted while nothing moves: before the load
    starts, whose handshakes bring nothing to the TUN, and after it."""
    before = delivered(lab, 64)
    with lab.background(0, options.wg_load, "data", "192.0.2.2", "51820", key, SEED, str(n_peers), str(seconds), "64", str(int(pps)),
                        flows, INNER) as load:
        cpu = sum(lab.cpu_seconds())
    time.sleep(0.02)
    used = sum(lab.cpu_seconds()) - cpu
    got = delivered(lab, 64) - before
    return got / seconds, int(load.said or 0) / seconds, used / max(1, got) * 1e6


def send_once(lab, options, key, n_peers, pps, seconds, flows=FLOWS, sockets=1):
    """The same the other way; the peers are behind so many ports of the sink's."""
    with lab.background(0, options.wg_load, "sink", "192.0.2.2", "51820", key, SEED, str(n_peers), str(seconds + 0.5), str(sockets)) as sink:
        time.sleep(0.05)  # the last sessions are confirmed
        cpu = sum(lab.cpu_seconds())
        sent = int(lab.on(1, options.wg_load, "spread", lab.names[1], "direct", INNER, PEERS, str(seconds), "64", str(int(pps)), flows,
                          str(n_peers)))
    used = sum(lab.cpu_seconds()) - cpu
    got = int(sink.said or 0)
    return got / seconds, sent / seconds, used / max(1, got) * 1e6


def one_end(lab, contestant, options):
    """64 B packets, one direction at a time: what epoll and io_uring differ in. Without steps only what gets through of too much."""
    r, peers = {}, run_peers(options, 1)
    for name, once in (("receive", receive_once), ("send", send_once)):
        key, _ = lab.raise_end(contestant, peers)
        try:
            s = options.udp_seconds
            if options.steps:
                good, most = search(lambda pps, once=once, key=key: once(lab, options, key, 1, pps, s)[:2], 1.2e6, options.steps)
                r[f"{name}_64_pps"], r[f"{name}_64_most_pps"] = good, most
            else:
                r[f"{name}_64_most_pps"] = once(lab, options, key, 1, 1.2e6, s)[0]
            r[f"{name}_64_us_per_packet"] = once(lab, options, key, 1, 100_000, s)[2]
        finally:
            lab.lower()
    return r


def run_peers(options, n):
    return subprocess.run([options.wg_load, "peers", SEED, str(n)], check=True, stdout=subprocess.PIPE, text=True).stdout


def send_apart(lab, options, key, n_peers, pps, seconds):
    """To peers that are each at an address of their own, up to a thousand of them: what is sent in one piece has one destination."""
    return send_once(lab, options, key, n_peers, pps, seconds, sockets=min(n_peers, SOCKETS))


def many_peers(lab, contestant, options):
    """Traffic to and from all of N peers, packet by packet in turn, against one peer.

    An end of its own for each: what is sent unasked in answer to an earlier load, a keepalive to every peer for one, is none of the next's cost.
    """
    r = {}
    for n in options.peer_counts:
        peers = run_peers(options, n)
        for name, once in (("receive", receive_once), ("send", send_once), ("send_apart", send_apart)):
            if n == 1 and once is send_apart:
                continue
            key, took = lab.raise_end(contestant, peers)
            try:
                r[f"peers_{n}_configure_s"] = took
                r[f"peers_{n}_{name}_us_per_packet"] = once(lab, options, key, n, 100_000, options.udp_seconds)[2]
                r[f"peers_{n}_{name}_pps"] = max(once(lab, options, key, n, pps, options.udp_seconds)[0] for pps in LADDER[options.quick:])
                r[f"peers_{n}_rss_mib"] = max(lab.peak_rss_mib(), r.get(f"peers_{n}_rss_mib", 0.0))
            finally:
                lab.lower()
    return r


def growth(lab, contestant, options):
    """CPU per packet at a fixed rate as flows and allowed-IPs grow."""
    r = {}
    plain = run_peers(options, 1)
    prefixes = [f"AllowedIPs = 10.{128 + i // 65536}.{i // 256 % 256}.{i % 256}/32" for i in range(100_000)]
    cases = [("flows_1", plain, "1"), ("flows_100", plain, "100"), ("flows_10000", plain, "10000"),
             ("prefixes_100000", plain + "\n".join(prefixes) + "\n", "100")]
    for name, peers, flows in cases:
        key, _ = lab.raise_end(contestant, peers)
        try:
            for way, once in (("receive", receive_once), ("send", send_once)):
                r[f"{name}_{way}_us_per_packet"] = once(lab, options, key, 1, 100_000, options.udp_seconds, flows)[2]
        finally:
            lab.lower()
    return r


def handshakes(lab, contestant, options):
    """Initiations answered per second, and the CPU time of one."""
    n = 4000 if options.quick else 20000
    key, _ = lab.raise_end(contestant, run_peers(options, n))
    try:
        with lab.background(0, options.wg_load, "handshakes", "192.0.2.2", "51820", key, SEED, str(n), "4") as load:
            before, at = sum(lab.cpu_seconds()), time.monotonic()
        rate = float(load.said or 0)
        used, took = sum(lab.cpu_seconds()) - before, time.monotonic() - at
        return {"handshakes_per_s": rate, "handshake_cpu_us": used / max(1.0, rate * min(took, n / max(rate, 1))) * 1e6}
    finally:
        lab.lower()


def flooded(lab, contestant, options):
    """TCP through the tunnel, without and with a flood from many addresses of initiations whose mac1 is right, in turn."""
    lab.raise_tunnel(contestant)
    try:
        lab.own(0, SOURCES)
        calm, under = [], []
        with served(lab):
            key = lab.on(1, "wg", "show", lab.names[1], "public-key").strip()
            for _ in range(1 if options.quick else 3):
                calm.append(tcp(lab, options.seconds)[0])
                with lab.background(0, options.wg_load, "flood", "192.0.2.2", "51820", key, str(options.seconds + 1.0), "20000", "198.18.0.0",
                                    "4096"):
                    time.sleep(0.2)
                    under.append(tcp(lab, options.seconds)[0])
        return {"flood_calm": statistics.median(calm), "flood_under": statistics.median(under)}
    finally:
        lab.lower()


# ---- without a tunnel ----


def micro(options, group):
    out = subprocess.run([os.path.join(options.bin, "firezone-bench"), "--quick", "--json", group], check=True, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True).stdout
    return json.loads(out)["cases"]


def x25519(options):
    """Microseconds of CPU of one X25519, and of a handshake answered, alone in a process."""
    ns = {c["variant"]: c["ns"] for c in micro(options, "handshake")}
    return {"x25519_us": ns["x25519"] / 1e3, "x25519_base_us": ns["x25519 public key"] / 1e3,
            "response_us": ns["initiation to response"] / 1e3}


def aead(options):
    """Nanoseconds to seal and to open a packet, by backend and size."""
    return {f"aead_{c['variant'].replace(' ', '_')}_{c['size']}_ns": c["ns"] for c in micro(options, "aead")}
