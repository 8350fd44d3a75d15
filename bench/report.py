#!/usr/bin/env python3
"""From bench/e2e.py's JSON: tables in Markdown with ratios, the goals and how far they are reached, and a chart.

  report.py RESULT.json [--md FILE] [--svg CHART.svg] [--into DOCUMENT.md] [--base NAME]

--into puts the tables between the document's own marks, `<!-- bench NAME -->` and `<!-- bench end -->`, and touches nothing else.
"""
import argparse
import json
import pathlib
import re
import statistics
import sys

import figures
import goals
from chart import chart

SPEED = [  # key, title, format
    ("tcp_1", "1 stream, Gbit/s", "{:.2f}"),
    ("tcp_1_reverse", "reverse, Gbit/s", "{:.2f}"),
    ("tcp_4", "4 streams, Gbit/s", "{:.2f}"),
    ("udp_64_pps", "64 B pps, <0.1 % loss", "{:,.0f}"),
    ("udp_1350_pps", "1350 B pps, <0.1 % loss", "{:,.0f}"),
    ("ping_idle_us", "ping idle, us", "{:.0f}"),
    ("ping_idle_p99_us", "p99", "{:.0f}"),
    ("ping_up_p99_us", "p99 with a stream", "{:.0f}"),
    ("ping_down_p99_us", "p99 against one", "{:.0f}"),
]
COST = [
    ("cpu_s_per_gb", "CPU s/GB, both ends", "{:.2f}"),
    ("cpu_user_s_per_gb", "of it user", "{:.2f}"),
    ("cpu_system_s_per_gb", "system", "{:.2f}"),
    ("rss_mib", "peak RSS, MiB", "{:.1f}"),
    ("cpu_us_per_packet_64", "64 B: CPU us a packet", "{:.2f}"),
    ("syscalls_per_packet_64", "system calls", "{:.2f}"),
    ("switches_per_packet_64", "context switches", "{:.2f}"),
    ("syscalls_per_packet_1350", "1350 B: system calls", "{:.2f}"),
    ("switches_per_packet_1350", "context switches", "{:.2f}"),
]
ONE_END = [
    ("receive_64_pps", "receive, pps <0.1 % loss", "{:,.0f}"),
    ("receive_64_most_pps", "most at any loss", "{:,.0f}"),
    ("receive_64_us_per_packet", "CPU us a packet", "{:.2f}"),
    ("send_64_pps", "send, pps <0.1 % loss", "{:,.0f}"),
    ("send_64_most_pps", "most at any loss", "{:,.0f}"),
    ("send_64_us_per_packet", "CPU us a packet", "{:.2f}"),
]
BUSY = 0.02  # more than this share of the machine for others while it was measured, and the reader is told
BUSY_BETWEEN = 0.15  # the same between measurements, where what just ended still winds down


def cell(pieces, key, form, base):
    v = figures.values(pieces, key)
    if not v:
        return "-"
    text = form.format(statistics.median(v))
    if len(v) > 1:
        text += f" ({form.format(min(v))}-{form.format(max(v))})"
    paired = figures.ratios(figures.by_round(pieces, key), base) if base else []
    return text + (f" {statistics.median(paired):.2f}x" if paired else "")


def table(data, columns, base_name=None):
    """Contestants with something to say in these columns; columns nobody has are left out."""
    results = {name: pieces for name, pieces in data["results"].items() if any(figures.values(pieces, c[0]) for c in columns)}
    columns = [c for c in columns if any(figures.values(pieces, c[0]) for pieces in results.values())]
    if not columns:
        return ""
    lines = ["| contestant | " + " | ".join(c[1] for c in columns) + " |", "| --- |" + " --- |" * len(columns)]
    for name, pieces in results.items():
        bases = [figures.by_round(results.get(base_name), c[0]) if name != base_name else None for c in columns]
        lines.append(f"| {name} | " + " | ".join(cell(pieces, c[0], c[2], b) for c, b in zip(columns, bases)) + " |")
    return "\n".join(lines)


def rows_of_one(data, pattern, title, unit):
    """Figures of ours whose name is NUMBER or NAME and a rest: one line for each, one column for each rest."""
    pieces = data["results"].get("ours", [])
    found, columns = {}, {}
    for key in figures.keys_of(pieces):
        if m := re.fullmatch(pattern, key):
            found.setdefault(m[1], {})[m[2]] = figures.median(pieces, key)
            columns[m[2]] = None
    if not found:
        return ""
    lines = [f"| {title} | " + " | ".join(c.replace("_", " ") for c in columns) + " |", "| --- |" + " --- |" * len(columns)]
    for name, row in found.items():
        cells = ["-" if row.get(c) is None else f"{row[c]:,.0f}" if row[c] >= 1000 else f"{row[c]:.2f}" for c in columns]
        lines.append(f"| {name.replace('_', ' ')}{unit} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def busy(data):
    """What others did with the processors meanwhile, as a warning; empty if it did not matter."""
    pieces = data.get("busy") or [data["machine"]]
    said = []
    for key, words in (("niced_by_others", "ran niced for others"), ("stolen", "was stolen by the host")):
        most = max(p.get(key, 0) for p in pieces)
        if most > BUSY:
            said.append(f"up to {100 * most:.0f} % of the processors' time {words}")
    between = [x for p in pieces for x in p.get("busy_between_runs", [])]
    if between and statistics.mean(between) > BUSY_BETWEEN:
        said.append(f"between measurements the processors were {100 * statistics.mean(between):.0f} % busy, at most {100 * max(between):.0f} %")
    load = data["machine"].get("load_at_start", 0)
    if load > 0.5 * data["machine"]["cpus"] and not between:
        said.append(f"the load was {load:.1f} before the first measurement")
    return f"**The machine was busy**: {'; '.join(said)}. Trust ratios, not absolute numbers." if said else ""


def circumstances(data):
    m = data["machine"]
    lines = [f"Ours at {data['version'] or 'an unknown version'}, {data['rounds']} interleaved rounds{', short (--quick)' if data['quick'] else ''}, "
             f"MTU {data['mtu']}, {m['cpu']}, {m['cpus']} CPUs shared by both ends and the load, Linux {m['kernel']}, "
             f"TCP {m.get('tcp', 'of an unknown kind')}, {m['when']}."]
    if build := data.get("build"):
        lines.append(f"Built by {build['compiler']} with `{build['flags']}`.")
    if environment := data.get("environment"):
        lines.append("Environment of the run: " + " ".join(f"`{k}={v}`" for k, v in environment.items()) + ".")
    who = []
    for name, c in data.get("contestants", {}).items():
        chose = ", ".join(f"{k} {c[k]}" for k in ("io", "aead", "threads") if k in c)
        who.append(f"{name}: {c['version'] or '?'}" + (f" ({chose})" if chose else ""))
    if who:
        lines.append("; ".join(who) + ".")
    if failures := data.get("failures"):
        lines.append("Failed: " + "; ".join(f"{f['contestant']} {f['part']} in round {f['round'] + 1}: {f['why']}" for f in failures) + ".")
    return "\n".join(line for line in [*lines, busy(data)] if line)


def tables(data, base):
    return {
        "run": circumstances(data),
        "goals": goals.table(data) + f"\n\n{goals.summary(data)}.",
        "speed": table(data, SPEED, base),
        "cost": table(data, COST, base),
        "one-end": table(data, ONE_END, "ours epoll 1"),
        "peers": rows_of_one(data, r"peers_(\d+)_(.*)", "peers", ""),
        "growth": rows_of_one(data, r"(flows_\d+|prefixes_\d+)_(.*)", "with", ""),
    }


TITLES = {"speed": "Speed: median (least-most) and ratio against {base}", "cost": "Cost", "one-end": "64 B packets, one end, one thread",
          "peers": "Ours with many peers, traffic to all", "growth": "CPU a packet of ours as tables grow", "goals": "Goals"}


def markdown(data, base):
    parts = tables(data, base)
    out = [parts.pop("run")]
    out += [f"## {TITLES[name].format(base=base)}\n\n{text}" for name, text in sorted(parts.items(), key=lambda p: p[0] == "goals") if text]
    return "\n\n".join(out) + "\n"


def refresh(document, data, base):
    """The document with its tables replaced. A mark whose name is unknown is an error, not something to leave stale."""
    parts = tables(data, base)
    names = re.findall(r"^<!-- bench (?!end)(\S+) -->$", document, re.M)
    if unknown := [n for n in names if n not in parts]:
        raise ValueError(f"no such table: {', '.join(unknown)}")
    for name in names:
        document = re.sub(rf"^<!-- bench {name} -->\n.*?^<!-- bench end -->$",
                          lambda _, n=name: f"<!-- bench {n} -->\n{parts[n]}\n<!-- bench end -->", document, flags=re.M | re.S)
    return document


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=pathlib.Path)
    parser.add_argument("--md", type=pathlib.Path)
    parser.add_argument("--svg", type=pathlib.Path)
    parser.add_argument("--into", type=pathlib.Path, metavar="DOCUMENT")
    parser.add_argument("--base", default="wireguard-go")
    options = parser.parse_args()
    data = json.loads(options.result.read_text())
    text = markdown(data, options.base)
    sys.stdout.write(text)
    if options.md:
        options.md.write_text(text)
    if options.svg:
        options.svg.write_text(chart(data) + "\n")
    if options.into:
        options.into.write_text(refresh(options.into.read_text(), data, options.base))


if __name__ == "__main__":
    main()
