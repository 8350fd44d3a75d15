#!/usr/bin/env python3
"""From bench/e2e.py's JSON to a Markdown table with ratios and an SVG chart with error marks.

  report.py RESULT.json [--svg CHART.svg] [--base NAME]
"""
import argparse
import html
import json
import pathlib
import statistics

COLUMNS = [  # key, title, format, higher is better
    ("tcp_1", "1 stream, Gbit/s", "{:.2f}", True),
    ("tcp_1_reverse", "reverse, Gbit/s", "{:.2f}", True),
    ("tcp_4", "4 streams, Gbit/s", "{:.2f}", True),
    ("cpu_s_per_gb", "CPU s/GB, both ends", "{:.2f}", False),
    ("ping_idle_us", "ping idle, us", "{:.0f}", False),
    ("ping_loaded_p99_us", "ping p99 loaded, us", "{:.0f}", False),
    ("udp_64_pps", "64 B pps, <0.1 % loss", "{:,.0f}", True),
    ("udp_1350_pps", "1350 B pps, <0.1 % loss", "{:,.0f}", True),
    ("rss_mib", "peak RSS, MiB", "{:.1f}", False),
]


def values(rounds, key):
    return [r[key] for r in rounds if r.get(key) is not None]


def cell(rounds, key, form, base):
    v = values(rounds, key)
    if not v:
        return "-"
    text = form.format(statistics.median(v))
    if len(v) > 1:
        text += f" ({form.format(min(v))}-{form.format(max(v))})"
    if base:
        text += f" {statistics.median(v) / base:.2f}x"
    return text


def table(data, base_name):
    results = {k: v for k, v in data["results"].items() if v}
    base = {key: statistics.median(values(results[base_name], key)) if base_name in results and values(results[base_name], key) else None
            for key, *_ in COLUMNS}
    lines = ["| contestant | " + " | ".join(c[1] for c in COLUMNS) + " |", "| --- |" + " --- |" * len(COLUMNS)]
    for name, rounds in results.items():
        cells = [cell(rounds, key, form, base[key] if name != base_name else None) for key, _, form, _ in COLUMNS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    m = data["machine"]
    lines.append("")
    lines.append(f"Median (lowest-highest) of {data['rounds']} interleaved rounds; ratios against {base_name}. MTU {data['mtu']}, {m['cpu']}, "
                 f"{m['cpus']} CPUs shared by both ends and the load, Linux {m['kernel']}, {m['when']}.")
    load = data.get("load_at_start")
    if load is not None and load > 0.5:
        lines.append(f"The machine was busy before the first run (load {load:.1f}): trust ratios, not absolute numbers.")
    return "\n".join(lines)


def chart(data):
    """Horizontal bars: one stream and four, with lowest and highest as marks."""
    results = [(k, v) for k, v in data["results"].items() if v]
    keys = [("tcp_1", "#3b6fb6"), ("tcp_4", "#9bb8dc")]
    top = max(max(values(v, k)) for _, v in results for k, _ in keys)
    height, left, width = 34 * len(results) + 60, 150, 520
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 90}" height="{height}" font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="white"/>',
           '<text x="10" y="20" font-size="14" font-weight="bold">TCP through the tunnel, Gbit/s (dark: one stream, light: four; marks: lowest and highest)</text>']
    for i, (name, rounds) in enumerate(results):
        y = 36 + 34 * i
        out.append(f'<text x="{left - 8}" y="{y + 17}" text-anchor="end">{html.escape(name)}</text>')
        for j, (key, colour) in enumerate(keys):
            v = values(rounds, key)
            median, low, high = statistics.median(v), min(v), max(v)
            x = [left + width * value / top for value in (median, low, high)]
            at = y + 12 * j
            out.append(f'<rect x="{left}" y="{at}" width="{x[0] - left:.1f}" height="10" fill="{colour}"/>')
            out.append(f'<path d="M{x[1]:.1f} {at + 5}H{x[2]:.1f}M{x[1]:.1f} {at + 2}v6M{x[2]:.1f} {at + 2}v6" stroke="black" fill="none"/>')
            out.append(f'<text x="{max(x) + 6:.1f}" y="{at + 9}">{median:.2f}</text>')
    out.append("</svg>")
    return "\n".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result")
    parser.add_argument("--svg")
    parser.add_argument("--base", default="wireguard-go")
    options = parser.parse_args()
    data = json.loads(pathlib.Path(options.result).read_text())
    print(table(data, options.base))
    if options.svg:
        pathlib.Path(options.svg).write_text(chart(data) + "\n")


if __name__ == "__main__":
    main()
