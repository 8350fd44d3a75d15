"""What this engine set out to reach, and how far a run shows it: docs/performance.md's table of goals."""
import statistics

import figures

OURS, NULL, BASE = "ours", "no crypto", "wireguard-go"
PEERS = ("wireguard-go", "boringtun", "gotatun")
URING, EPOLL = "ours uring 1", "ours epoll 1"
WAYS = (("tcp_1", "one stream"), ("tcp_1_reverse", "reverse"), ("tcp_4", "four streams"))
X25519_OF_A_RESPONSE = 4  # two to read an initiation, two to answer it


class Row:
    """One goal. `found`: {round: measured}; `of`: {round: what it is compared with} or None for a goal in the figure's own unit."""

    def __init__(self, what, form, found, of, floor, goal, higher=True, note="", unit=""):
        self.what, self.form, self.unit = what, form, unit
        self.found, self.of = found, of
        self.floor, self.goal, self.higher, self.note = floor, goal, higher, note

    def measured(self):
        return statistics.median(self.found.values()) if self.found else None

    def reached(self):
        """What is held against floor and goal: the median ratio, or the median itself. With its least and most."""
        v = list(self.found.values()) if self.of is None else figures.ratios(self.found, self.of)
        return (statistics.median(v), min(v), max(v)) if v else None

    def verdict(self):
        at = self.reached()
        if at is None:
            return "not measured"
        passes = (lambda bound: at[0] >= bound) if self.higher else (lambda bound: at[0] <= bound)
        return "goal" if passes(self.goal) else "floor" if passes(self.floor) else "missed"

    def cells(self):
        if self.reached() is None:
            return [self.what, "-", "-", self.bound(self.floor), self.bound(self.goal), "not measured", self.note]
        middle, least, most = self.reached()
        spread = f" ({least:.2f}-{most:.2f})" if least < most else ""
        ratio = "" if self.of is None else f"{middle:.2f}{spread}"
        return [self.what, self.form.format(self.measured()) + self.unit, ratio, self.bound(self.floor), self.bound(self.goal), self.verdict(),
                self.note]

    def bound(self, value):
        return f"{'at least' if self.higher else 'at most'} {value:g}{'' if self.of is not None else self.unit}"


def aead_seconds_per_gbit(results, size):
    """Sealing and opening one packet of this size with the faster backend, as CPU seconds per Gbit of it; None if not measured."""
    total = 0
    for verb in ("seal", "open"):
        ns = [figures.median(results.get("micro"), key) for key in figures.keys_of(results.get("micro"))
              if key.startswith("aead_") and key.endswith(f"_{verb}_{size}_ns")]
        if not ns:
            return None
        total += min(ns) / (size * 8)
    return total


def limit_of_aead(results, key, mtu, cpus):
    """The share of the loop without crypto that is left once sealing and opening are paid for, all processors being busy in both."""
    gbit, aead = figures.median(results.get(NULL), key), aead_seconds_per_gbit(results, mtu)
    if not gbit or aead is None:
        return None
    loop = cpus / gbit
    return loop / (loop + aead)


def tcp(data):
    results, cpus = data["results"], data["machine"]["cpus"]
    get = figures.by_round
    for mtu in (data["mtu"], *(m for m in (1280, 8920) if m != data["mtu"])):
        at = "" if mtu == data["mtu"] else f"_mtu{mtu}"
        for key, words in WAYS:
            found = get(results.get(OURS), key + at)
            yield Row(f"TCP, {words}, MTU {mtu}, against {BASE}", "{:.2f}", found, get(results.get(BASE), key + at), 2.5, 3.2, unit=" Gbit/s")
            limit = limit_of_aead(results, key + at, mtu, cpus)
            yield Row(f"TCP, {words}, MTU {mtu}, against the loop without crypto", "{:.2f}", found, get(results.get(NULL), key + at), 0.70, 0.77,
                      unit=" Gbit/s", note=f"the AEAD leaves {limit:.2f} here" if limit else "")


def packets(data):
    results, get = data["results"], figures.by_round
    for size in (64, 1350):
        key = f"udp_{size}_pps"
        yield Row(f"UDP {size} B, under 0.1 % loss, against the best peer", "{:,.0f}", get(results.get(OURS), key),
                  figures.best(results, PEERS, key, True), 3, 5, unit=" pps")
    yield Row(f"CPU per GB, both ends, against {BASE}", "{:.2f}", get(results.get(OURS), "cpu_s_per_gb"), get(results.get(BASE), "cpu_s_per_gb"),
              0.45, 0.3, False, unit=" s")
    yield Row("round trip, idle, against the best peer", "{:.0f}", get(results.get(OURS), "ping_idle_us"),
              figures.best(results, PEERS, "ping_idle_us", False), 1, 0.7, False, unit=" us")
    for key, words in (("ping_loaded_p99_us", "all"), ("ping_up_p99_us", "with the stream"), ("ping_down_p99_us", "against it")):
        ms = {n: v / 1e3 for n, v in get(results.get(OURS), key).items()}
        yield Row(f"p99 of pings during a bulk transfer, {words}", "{:.2f}", ms, None, 3, 1, False, unit=" ms")
    yield Row("peak RSS under bulk load", "{:.1f}", get(results.get(OURS), "rss_mib"), None, 32, 16, False, unit=" MiB")
    for way, floor, goal in (("receive", 1.15, 1.25), ("send", 1.05, 1.15)):
        for key, words in ((f"{way}_64_pps", "under 0.1 % loss"), (f"{way}_64_most_pps", "most at any loss")):
            yield Row(f"io_uring against epoll, {way} 64 B, {words}", "{:,.0f}", get(results.get(URING), key), get(results.get(EPOLL), key), floor, goal,
                      unit=" pps")


# What is measured, what with one peer it is compared to, and its name.
CROWDS = (("receive", "receive", "receive"), ("send", "send", "send, all behind one address"),
          ("send_apart", "send", "send, up to 1,000 addresses"))


def crowds(data):
    results, get = data["results"], figures.by_round
    ideal = {n: 1e6 / (X25519_OF_A_RESPONSE * us) for n, us in get(results.get("micro"), "x25519_us").items()}
    yield Row("handshakes answered, against four X25519 alone", "{:,.0f}", get(results.get(URING), "handshakes_per_s"), ideal, 0.65, 0.85, unit="/s")
    yield Row("TCP during a flood of initiations, against without", "{:.2f}", get(results.get(OURS), "flood_under"),
              get(results.get(OURS), "flood_calm"), 0.7, 0.9, unit=" Gbit/s")
    for n in (1000, 10000):
        for way, one, words in CROWDS:
            yield Row(f"{n:,} peers, {words}, against one", "{:,.0f}", get(results.get(OURS), f"peers_{n}_{way}_pps"),
                      get(results.get(OURS), f"peers_1_{one}_pps"), 0.75, 0.9, unit=" pps")
    yield Row("configuration of 10,000 peers", "{:.2f}", get(results.get(OURS), "peers_10000_configure_s"), None, 2, 0.5, False, unit=" s")


def growth(data):
    """Constant: within what two runs of the same differ by, and a third of slack for the caches that more state needs."""
    results, get = data["results"], figures.by_round
    for way, one, words in CROWDS:
        yield Row(f"CPU per packet, {words}, 10,000 peers against one", "{:.2f}", get(results.get(OURS), f"peers_10000_{way}_us_per_packet"),
                  get(results.get(OURS), f"peers_1_{one}_us_per_packet"), 1.33, 1.1, False, unit=" us")
    for many, few, words in (("flows_10000", "flows_100", "10,000 flows against 100"),
                             ("prefixes_100000", "flows_100", "100,000 prefixes against one")):
        for way in ("receive", "send"):
            key = f"_{way}_us_per_packet"
            yield Row(f"CPU per packet, {way}, {words}", "{:.2f}", get(results.get(OURS), many + key), get(results.get(OURS), few + key), 1.33, 1.1,
                      False, unit=" us")


def rows(data):
    return [row for part in (tcp, packets, crowds, growth) for row in part(data)]


def table(data):
    lines = ["| what | measured | ratio, median (least-most) | floor | goal | verdict | |", "| --- | --- | --- | --- | --- | --- | --- |"]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows(data)]
    return "\n".join(lines)


def summary(data):
    verdicts = [row.verdict() for row in rows(data)]
    return ", ".join(f"{verdicts.count(word)} {word}" for word in ("goal", "floor", "missed", "not measured") if word in verdicts)
