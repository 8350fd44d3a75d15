#!/usr/bin/env python3
"""Tunnels side by side, in turn, round after round: ours in its variants and every peer there is.

What is compared was measured in one run and interleaved, because machines are shared and their speed drifts. Writes JSON;
bench/report.py makes the tables and the charts of it. Needs root, iperf3, wg(8), nft. Nothing outside two namespaces is touched.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import measure
from lab import Lab, Machine, run

NULL = "no crypto"
OURS = {  # name: what the environment says
    "ours": {},
    NULL: {},
    "ours uring 2": {"FIREZONE_IO": "uring", "FIREZONE_THREADS": "2"},
    "ours epoll 2": {"FIREZONE_IO": "epoll", "FIREZONE_THREADS": "2"},
    "ours uring 1": {"FIREZONE_IO": "uring", "FIREZONE_THREADS": "1"},
    "ours epoll 1": {"FIREZONE_IO": "epoll", "FIREZONE_THREADS": "1"},
    "ours sodium": {"FIREZONE_AEAD": "sodium"},
}
GOALS_NEED = ("ours", NULL)
FOREIGN = {"boringtun": ["--foreground", "--disable-drop-privileges"], "gotatun": ["--foreground", "--disable-drop-privileges"],
           "wireguard-go": ["-f"]}
BOTH_ENDS = ("all_tcp", "pings", "udp", "tcp_at_other_mtus", "per_packet")
ALONE = {"one_end": ("ours uring 1", "ours epoll 1"), "flooded": ("ours",), "many_peers": ("ours",), "growth": ("ours",),
         "handshakes": ("ours uring 1",)}


def contestants_of(options):
    found = []
    for name, env in OURS.items():
        path = os.path.join(options.bin, "firezone-wg-nocrypto" if name == NULL else "firezone-wg")
        if not os.access(path, os.X_OK):
            sys.exit(f"{path} is not there; run ./dev build release")
        found.append({"name": name, "path": path, "env": env, "arguments": ["-f"]})
    for peer in options.peer:
        name, path = peer.split("=", 1)
        found.append({"name": name, "path": path, "env": {}, "arguments": FOREIGN.get(name, ["-f"])})
    return found


def is_wanted(contestant, options):
    name = contestant["name"]
    if options.only:
        return re.search(options.only, name) is not None
    return options.all or not name.startswith("ours ")


def parts_for(contestant, options):
    """Other MTUs and counts per packet are asked of few: ours, the loop without crypto and wireguard-go."""
    parts = set(options.parts)
    if contestant["name"] not in (*GOALS_NEED, "wireguard-go") and not options.only:
        parts -= {"tcp_at_other_mtus", "per_packet"}
    return parts


class Rounds:
    def __init__(self, lab, options):
        self.lab, self.options = lab, options
        self.results = {}
        self.machine = Machine()
        self.started = time.monotonic()

    def one(self, title, name, function, *args):
        """One measurement of one contestant; a failure is a line, not the end of the run."""
        self.machine.sample_idle()
        print(f"{time.monotonic() - self.started:6.0f} s  {title:<28}{name:<16}", end="", file=sys.stderr, flush=True)
        try:
            figures = function(*args)
            self.results.setdefault(name, []).append(figures)
            shown = [f"{k} {v:,.2f}" if v < 100 else f"{k} {v:,.0f}" for k, v in list(figures.items())[:4] if v is not None]
            print("  ".join(shown), file=sys.stderr)
        except (RuntimeError, OSError, subprocess.SubprocessError, ValueError, KeyError) as e:
            self.lab.lower()
            print(f"failed: {e}", file=sys.stderr)

    def round(self, number, contestants):
        title = f"round {number + 1}/{self.options.rounds}"
        for c in contestants:
            if not is_wanted(c, self.options) or not set(self.options.parts) & set(BOTH_ENDS):
                continue
            self.options.parts, kept = parts_for(c, self.options), self.options.parts
            self.one(title, c["name"], measure.both_ends, self.lab, c, self.options)
            self.options.parts = kept
        by_name = {c["name"]: c for c in contestants}
        for part, names in ALONE.items():
            if part not in self.options.parts:
                continue
            rounds_of_part = 1 if part in ("many_peers", "growth") and not self.options.all else self.options.rounds
            for name in self.options.alone or names:
                if number < rounds_of_part:
                    self.one(f"{title} {part}", name, getattr(measure, part), self.lab, by_name[name], self.options)
        if "handshakes" in self.options.parts:
            self.one(f"{title} x25519", "micro", measure.x25519, self.options)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="directory of firezone-wg and the tools of bench/")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PATH", help="wireguard-go, boringtun, gotatun")
    parser.add_argument("--only", help="contestants whose name matches, in all parts")
    parser.add_argument("--all", action="store_true", help="ours with each backend and thread count, too")
    parser.add_argument("--parts", help=f"of {', '.join([*BOTH_ENDS, *ALONE])}; all without")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mtu", type=int, default=1420)
    parser.add_argument("--seconds", type=float, default=3, help="of each TCP run")
    parser.add_argument("--quick", action="store_true", help="one short round, under two minutes")
    parser.add_argument("--json", default="-", help="where to write")
    parser.add_argument("--version", default="", help="of what is in --bin, for the record")
    options = parser.parse_args()
    options.parts = set(options.parts.split(",")) if options.parts else {*BOTH_ENDS, *ALONE}
    options.pings, options.steps, options.udp_seconds, options.peer_counts = 400, 8, 1.0, (1, 1000, 10000)
    if options.quick:
        options.rounds, options.seconds = 1, 1
        options.pings, options.steps, options.udp_seconds, options.peer_counts = 60, 3, 0.4, (1, 1000)
        options.parts -= {"growth"}
    options.alone = None
    options.udp_load, options.wg_load = (os.path.join(options.bin, n) for n in ("udp_load", "wg_load"))
    return options


def write(rounds, options):
    out = {"schema": "firezone.Bench/2", "machine": {**Machine.describe(), **rounds.machine.verdict()}, "mtu": options.mtu,
           "rounds": options.rounds, "quick": options.quick, "version": options.version, "peers": options.peer,
           "seconds": time.monotonic() - rounds.started, "results": rounds.results}
    text = json.dumps(out, indent=1)
    if options.json == "-":
        print(text)
    else:
        pathlib.Path(options.json).write_text(text + "\n")


def main():
    options = parse()
    if os.geteuid() != 0:
        sys.exit("needs root: it makes network namespaces")
    options.version = options.version or run("git", "-C", os.path.dirname(os.path.abspath(__file__)), "describe", "--always", "--dirty",
                                             check=False).strip()
    contestants = contestants_of(options)
    with Lab(options.mtu) as lab:
        rounds = Rounds(lab, options)
        try:
            for number in range(options.rounds):
                rounds.round(number, contestants)
                if options.json != "-":
                    write(rounds, options)  # what is there survives an interrupt
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
        write(rounds, options)


if __name__ == "__main__":
    main()
