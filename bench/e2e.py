#!/usr/bin/env python3
"""Tunnels side by side, in turn, round after round: ours in its variants and every peer there is.

What is compared was measured in one run and interleaved, because machines are shared and their speed drifts. Writes JSON;
bench/report.py makes the tables and the charts of it. Needs root, iperf3, wg(8), nft, perf. Nothing outside two namespaces is touched.
A long run can be had in pieces: --add with --round and --parts puts each piece into the same file.
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
from lab import Lab, Machine, built_with, run, version_of

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
ERRORS = (RuntimeError, OSError, subprocess.SubprocessError, ValueError, KeyError)


def contestants_of(options):
    """Those who take part, ours first."""
    alone = options.alone or [name for part in options.parts & set(ALONE) for name in ALONE[part]]
    found = [{"name": name, "path": os.path.join(options.bin, "firezone-wg-nocrypto" if name == NULL else "firezone-wg"), "env": env,
              "arguments": ["-f"]} for name, env in OURS.items()]
    for peer in options.peer:
        name, path = peer.split("=", 1)
        found.append({"name": name, "path": path, "env": {}, "arguments": FOREIGN.get(name, ["-f"])})
    found = [c for c in found if is_wanted(c, options) or c["name"] in alone]
    for c in found:
        if not os.access(c["path"], os.X_OK):
            sys.exit(f"{c['path']} is not there; ours comes from ./dev build release")
    return found


def is_wanted(contestant, options):
    """Is it asked for in the parts with both ends?"""
    name = contestant["name"]
    if options.only:
        return re.search(options.only, name) is not None
    return options.all or not name.startswith("ours ")


def parts_for(contestant, options):
    """Other MTUs and counts per packet are asked of few: ours, the loop without crypto and wireguard-go."""
    parts = [p for p in BOTH_ENDS if p in options.parts]
    if contestant["name"] not in (*GOALS_NEED, "wireguard-go") and not options.only:
        parts = [p for p in parts if p not in ("tcp_at_other_mtus", "per_packet")]
    if options.quick and contestant["name"] != "ours" and not options.only:
        parts = [p for p in parts if p != "per_packet" and (p != "pings" or contestant["name"] != NULL)]
    return parts


class Rounds:
    def __init__(self, lab, options, before):
        self.lab, self.options = lab, options
        self.results, self.failures = before.get("results", {}), before.get("failures", [])
        self.busy = before.get("busy", [])
        self.machine = Machine()
        self.started, self.seconds_before = time.monotonic(), before.get("seconds", 0)

    def one(self, number, part, name, function, *args):
        """One part of one contestant, recorded at once; a failure is a line, not the end of the run. False if it failed."""
        self.machine.sample_idle()
        title = f"round {number + 1}{'' if self.options.round else f'/{self.options.rounds}'} {part}"
        print(f"{time.monotonic() - self.started:6.0f} s  {title:<28}{name:<16}", end="", file=sys.stderr, flush=True)
        try:
            figures = function(*args)
        except ERRORS as e:
            print(f"failed: {e}", file=sys.stderr)
            self.failures.append({"round": number, "part": part, "contestant": name, "why": str(e)})
            return False
        self.results.setdefault(name, []).append({"round": number, **figures})
        shown = [f"{k} {v:,.2f}" if v < 100 else f"{k} {v:,.0f}" for k, v in list(figures.items())[:4] if v is not None]
        print("  ".join(shown), file=sys.stderr)
        return True

    def both_ends(self, number, contestant):
        """All parts on one tunnel; after a failure the next one gets a new one."""
        is_up = False
        try:
            for part in parts_for(contestant, self.options):
                def measured(part=part, is_up=is_up):
                    if not is_up:
                        self.lab.raise_tunnel(contestant)
                    return getattr(measure, part)(self.lab, self.options)
                is_up = self.one(number, part, contestant["name"], measured)
                if not is_up:
                    self.lab.lower()
        finally:
            self.lab.lower()

    def one_alone(self, number, part, contestant):
        if not self.one(number, part, contestant["name"], getattr(measure, part), self.lab, contestant, self.options):
            self.lab.lower()

    def round(self, number, contestants):
        parts, options = self.options.parts, self.options
        # Who goes first changes: what the machine does after a pause is nobody's advantage.
        turned = contestants if number % 2 == 0 else contestants[::-1]
        for c in turned:
            if is_wanted(c, options):
                self.both_ends(number, c)
        for part, names in ALONE.items():
            rounds_of_part = 1 if part in ("many_peers", "growth") and not options.all and options.round is None else options.rounds
            if part in parts and (number < rounds_of_part or options.round is not None):
                for c in turned:
                    if c["name"] in (options.alone or names):
                        self.one_alone(number, part, c)
        if "handshakes" in parts:
            self.one(number, "x25519", "micro", measure.x25519, options)
        if parts & {"all_tcp", "tcp_at_other_mtus"}:
            self.one(number, "aead", "micro", measure.aead, options)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="directory of firezone-wg and the tools of bench/")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PATH", help="wireguard-go, boringtun, gotatun")
    parser.add_argument("--only", help="contestants whose name matches, in the parts with both ends")
    parser.add_argument("--alone", help="contestants of the parts with one end, by name, with commas between")
    parser.add_argument("--all", action="store_true", help="ours with each backend and thread count, too")
    parser.add_argument("--parts", help=f"of {', '.join([*BOTH_ENDS, *ALONE])}; all without")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--round", type=int, help="only this one, counted from 1")
    parser.add_argument("--add", action="store_true", help="to what the file of --json has already")
    parser.add_argument("--mtu", type=int, default=1420)
    parser.add_argument("--congestion", help="control of TCP: cubic, bbr; the machine's own without")
    parser.add_argument("--seconds", type=int, default=3, help="of each TCP run")
    parser.add_argument("--udp-seconds", type=float, default=1, help="of each attempt at a rate")
    parser.add_argument("--steps", type=int, default=8, help="of the search for the highest rate; 0: only what gets through of too much")
    parser.add_argument("--quick", action="store_true", help="one short round, under two minutes")
    parser.add_argument("--json", default="-", help="where to write")
    parser.add_argument("--version", default="", help="of what is in --bin, for the record")
    options = parser.parse_args()
    options.parts = set(options.parts.split(",")) if options.parts else {*BOTH_ENDS, *ALONE}
    if unknown := options.parts - {*BOTH_ENDS, *ALONE}:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    options.alone = options.alone.split(",") if options.alone else None
    options.pings, options.peer_counts = 400, (1, 1000, 10000)
    if options.quick:
        options.rounds, options.seconds, options.steps = 1, 1, min(options.steps, 1)
        options.pings, options.udp_seconds, options.peer_counts = 60, 0.3, (1, 1000)
        options.parts -= {"growth"}
    options.udp_sink, options.wg_load = (os.path.join(options.bin, n) for n in ("udp_sink", "wg_load"))
    return options


def read_before(options):
    """What the file has already, with --add."""
    path = pathlib.Path(options.json)
    return json.loads(path.read_text()) if options.add and options.json != "-" and path.exists() else {}


def describe(lab, contestants):
    """Versions, the environment that says something to ours, and what ours chose to run with."""
    found = {}
    for c in contestants:
        found[c["name"]] = {"version": version_of(c["path"]), "environment": c["env"]}
        if c["name"] not in FOREIGN:
            found[c["name"]] |= lab.choices(c)
    return found


def write(rounds, who, before, options):
    now = {"when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **rounds.machine.verdict()}
    numbers = [p["round"] for pieces in rounds.results.values() for p in pieces]
    machine = {**Machine.describe(), **({"tcp": options.congestion} if options.congestion else {}), **before.get("machine", {})}
    out = {"schema": "firezone.Bench/3", "machine": machine, "busy": [*rounds.busy, now],
           "build": built_with(options.bin), "environment": {k: v for k, v in sorted(os.environ.items()) if k.startswith("FIREZONE_")},
           "contestants": {**before.get("contestants", {}), **who}, "mtu": options.mtu, "rounds": 1 + max(numbers, default=0),
           "quick": options.quick, "version": options.version, "seconds": rounds.seconds_before + time.monotonic() - rounds.started,
           "results": rounds.results, "failures": rounds.failures}
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
    contestants, before = contestants_of(options), read_before(options)
    with Lab(options.mtu, options.congestion) as lab:
        who = describe(lab, contestants)
        rounds = Rounds(lab, options, before)
        try:
            for number in range(options.rounds) if options.round is None else [options.round - 1]:
                rounds.round(number, contestants)
                if options.json != "-":
                    write(rounds, who, before, options)  # what is there survives an interrupt
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
        write(rounds, who, before, options)


if __name__ == "__main__":
    main()
