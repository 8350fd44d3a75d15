#!/usr/bin/env python3
"""Our client with our gateway in the lab of tests/lab: from the first packet to the first answer, cold start, reconnecting, memory,
throughput, and the engine beneath beside firezone-wg. Rounds of short parts, so that what drifts on a shared machine
drifts for all of them. Writes JSON; bench/firezone_report.py makes the table and the chart of it.

Needs root and what the lab needs. Nothing outside the lab's namespaces is touched.
"""
import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import fz_parts as parts
from fz_lab import FirezoneLab
from lab import Machine

PARTS = ("first_packet", "cold_start", "restart", "throughput", "engine", "idle", "resources", "clients")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="directory of the programs")
    parser.add_argument("--clients-driver", help="tests/gateway's clients_driver; without it the part `clients` is left out")
    parser.add_argument("--parts", help=f"of {', '.join(PARTS)}; all without")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="of each throughput run")
    parser.add_argument("--distance", type=float, default=20, help="milliseconds one way, for counting round trips of a cold start")
    parser.add_argument("--quick", action="store_true", help="one short round, about a minute")
    parser.add_argument("--json", default="-", help="where to write")
    parser.add_argument("--add", action="store_true", help="to what is in that file already, of the same version")
    parser.add_argument("--version", default="", help="of what is in --bin, for the record")
    o = parser.parse_args()
    o.parts = o.parts.split(",") if o.parts else list(PARTS)
    if unknown := set(o.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(unknown)}")
    o.samples, o.turns, o.turn_seconds, o.idle_seconds = 5, 3, 1, 10
    o.resources, o.clients = (10, 1000, 10000), 1000
    if o.quick:
        o.rounds, o.seconds, o.samples, o.turns, o.idle_seconds = 1, 1, 2, 1, 3
        o.resources, o.clients = (10, 1000), 100
    if not o.clients_driver and "clients" in o.parts:
        o.parts.remove("clients")
    return o


class Run:
    def __init__(self, options):
        self.options, self.machine, self.began = options, Machine(), time.monotonic()
        self.results = {}
        if options.add and os.path.exists(options.json):
            self.results = json.loads(pathlib.Path(options.json).read_text(encoding="utf-8"))["results"]

    def one(self, title, lab, name):
        """A failure is a line, not the end of the run; the pair is made anew after one."""
        self.machine.sample_idle()
        print(f"{time.monotonic() - self.began:6.0f} s  {title:<12}{name:<14}", end="", file=sys.stderr, flush=True)
        try:
            figures = getattr(parts, name)(lab, self.options)
        except (RuntimeError, OSError, subprocess.SubprocessError, ValueError, KeyError, TimeoutError) as e:
            print(f"failed: {type(e).__name__} {e}", file=sys.stderr)
            self.mend(lab)
            return
        self.results.setdefault(name, []).append(figures)
        shown = [f"{k} {v:,.2f}" if abs(v) < 100 else f"{k} {v:,.0f}" for k, v in list(figures.items())[:4]]
        print("  ".join(shown), file=sys.stderr)

    @staticmethod
    def mend(lab):
        lab.lab("portal", "flood", "0", check=False)
        lab.lower_pair()
        lab.raise_pair()

    def write(self):
        o = self.options
        out = {"schema": "firezone.BenchPair/1", "machine": {**Machine.describe(), **self.machine.verdict()}, "mtu": parts.MTU,
               "quick": o.quick, "version": o.version, "seconds": time.monotonic() - self.began, "rtt_ms": 2 * o.distance,
               "results": self.results}
        text = json.dumps(out, indent=1)
        if o.json == "-":
            print(text)
        else:
            pathlib.Path(o.json).write_text(text + "\n", encoding="utf-8")


def main():
    options = parse()
    if os.geteuid() != 0:
        sys.exit("needs root: it makes network namespaces")
    here = os.path.dirname(os.path.abspath(__file__))
    options.version = options.version or subprocess.run(["git", "-C", here, "describe", "--always", "--dirty"], check=False,
                                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of the lab's end
    run = Run(options)
    with FirezoneLab(options.bin) as lab:
        lab.raise_pair()
        try:
            for number in range(options.rounds):
                for name in options.parts:
                    # Memory does not drift: once is enough.
                    if number == 0 or name not in ("resources", "clients"):
                        run.one(f"round {number + 1}/{options.rounds}", lab, name)
                if options.json != "-":
                    run.write()
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
    run.write()


if __name__ == "__main__":
    main()
