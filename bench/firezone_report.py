#!/usr/bin/env python3
"""From bench/firezone.py's JSON: the goals, where a cold start's time goes, and every figure, in Markdown; and a chart.

  firezone_report.py RESULT.json [--md FILE] [--svg CHART.svg] [--into DOCUMENT.md]

--into puts the tables between the document's own marks, `<!-- pair NAME -->` and `<!-- pair end -->`, and touches nothing else.
"""
import argparse
import json
import pathlib
import re
import statistics
import sys

from chart import Canvas, WIDTH

UPSTREAM_GBIT = 2.4  # the best of its direct runs on two shared cores
# Of these a cold start consists, in order; the first ones are the portal's, as every client has them.
PORTAL = ("dns", "tcp", "tls_and_upgrade", "join", "raise", "ask", "gateway_asked", "authorized", "to_first_check")
OURS = ("start", "to_first_packet", "ice", "to_handshake", "to_data")
STEPS = (("start", "exec to the first query"), ("dns", "name"), ("tcp", "TCP"), ("tls_and_upgrade", "TLS, upgrade"), ("join", "join, init"),
         ("raise", "addresses and routes"), ("to_first_packet", "the application's packet"), ("ask", "asking the portal"),
         ("gateway_asked", "portal asks the gateway"), ("authorized", "portal"), ("to_first_check", "answer of the portal"), ("ice", "checks"),
         ("to_handshake", "choice"), ("wireguard", "WireGuard's handshake"), ("to_data", "what was held"), ("answer", "its answer"),
         ("request", "the page"))
GOALS = (  # figure, words, highest or lowest, is more better
    ("first_packet_ms", "first packet answered, ms (upstream: 23 to 47)", 15, False),
    ("round_trips_beyond", "cold start: round trips beyond WireGuard's, TCP's and the portal's", 3, False),
    ("tcp_1", "TCP, one stream, Gbit/s (upstream: 2.0 to 2.4)", 2.5 * UPSTREAM_GBIT, True),
    ("tcp_1_reverse", "one stream, reverse", 2.5 * UPSTREAM_GBIT, True),
    ("tcp_4", "four streams", 2.5 * UPSTREAM_GBIT, True),
    ("tcp_4_reverse", "four streams, reverse", 2.5 * UPSTREAM_GBIT, True),
    ("client_peak_mib", "client's peak RSS, MiB (upstream: 68)", 24, False),
    ("gateway_peak_mib", "gateway's peak RSS, MiB (upstream: 62)", 24, False),
    ("engine_ratio_1", "engine against firezone-wg, one stream", 0.9, True),
    ("engine_ratio_1_reverse", "reverse", 0.9, True),
    ("engine_ratio_4", "four streams", 0.9, True),
    ("udp_errors_under_tcp", "errors of UDP sockets meanwhile", 0, False),
)


def with_sums(results):
    for r in results.get("cold_start", []):
        needed = [f"{n}_round_trips" for n in (*OURS, "wireguard")]
        if all(n in r for n in needed):
            r["round_trips_beyond"] = sum(r[n] for n in needed) - 1
            r["portal_round_trips"] = sum(r.get(f"{n}_round_trips", 0) for n in PORTAL)
    return results


def values(results, key, part=None):
    return [r[key] for name, rounds in results.items() if part in (None, name) for r in rounds if r.get(key) is not None]


def shown(v, form="{:,.2f}"):
    if not v:
        return "-"
    text = form.format(statistics.median(v))
    return text + (f" ({form.format(min(v))}-{form.format(max(v))})" if len(v) > 1 else "")


def goals(results):
    lines = ["| goal | wanted | measured | |", "| --- | --- | --- | --- |"]
    for key, words, limit, more in GOALS:
        part = "first_packet" if key == "first_packet_ms" else None
        v = values(results, key, part)
        if not v:
            lines.append(f"| {words} | {'>=' if more else '<='} {limit:g} | not measured | |")
            continue
        m = statistics.median(v)
        is_met = m >= limit if more else m <= limit
        lines.append(f"| {words} | {'>=' if more else '<='} {limit:g} | {shown(v)} | {'reached' if is_met else '**missed**'} |")
    return "\n".join(lines)


def cold_start(data, results):
    rtt = f"{data['rtt_ms']:g}"
    rounds = {"cold_start": results.get("cold_start", [])}
    lines = ["| step | first packet, ms | cold start, ms | at a distance: round trips |", "| --- | --- | --- | --- |"]
    for key, words in STEPS:
        cells = [shown(values(results, f"{key}_ms", "first_packet")), shown(values(rounds, f"{key}_ms")), shown(values(rounds, f"{key}_round_trips"))]
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    lines.append(f"| **all** | {shown(values(results, 'first_packet_ms', 'first_packet'))} | {shown(values(rounds, 'first_byte_ms'))} | "
                 f"{shown(values(rounds, 'first_byte_round_trips'))} |")
    lines.append(f"| the portal's | | | {shown(values(rounds, 'portal_round_trips'))} |")
    lines.append(f"| beyond it, WireGuard's and TCP's | | | {shown(values(rounds, 'round_trips_beyond'))} |")
    lines += ["", f"Round trips: what a round trip of {rtt} ms between all hosts adds, divided by it. First packet: an echo request that finds everything up "
                  "but the connection."]
    return "\n".join(lines)


def rest(results):
    told = {g[0] for g in GOALS} | {f"{s[0]}_ms" for s in STEPS}
    lines = ["| part | figure | median (least-most) |", "| --- | --- | --- |"]
    for part, rounds in results.items():
        if part in ("cold_start", "first_packet"):
            continue
        keys = list(dict.fromkeys(k for r in rounds for k in r))
        for key in keys:
            if key in told:
                continue
            v = values({part: rounds}, key)
            form = "{:,.0f}" if max(v) >= 1000 else "{:,.2f}"
            lines.append(f"| {part} | {key.replace('_', ' ')} | {shown(v, form)} |")
    return "\n".join(lines)


def circumstances(data, results):
    m = data["machine"]
    between = m.get("busy_between_runs", [])
    n = {part: len(rounds) for part, rounds in results.items()}
    text = (f"Ours at {data['version'] or 'an unknown version'}, MTU {data['mtu']}, {m['cpu']}, {m['cpus']} CPUs shared by client, gateway, NATs, "
            f"portal and load, Linux {m['kernel']}, {m['when']}{', short (--quick)' if data['quick'] else ''}. Rounds: "
            + ", ".join(f"{part} {k}" for part, k in n.items()) + ".")
    if between and statistics.mean(between) > 0.15:
        text += (f"\n**The machine was busy**: {100 * statistics.mean(between):.0f} % between measurements. Trust ratios, not absolute numbers.")
    return text


def tables(data):
    results = with_sums(data["results"])
    return {"run": circumstances(data, results), "goals": goals(results), "start": cold_start(data, results), "figures": rest(results)}


def refresh(document, parts):
    names = re.findall(r"^<!-- pair (?!end)(\S+) -->$", document, re.M)
    if unknown := [n for n in names if n not in parts]:
        raise ValueError(f"no such table: {', '.join(unknown)}")
    for name in names:
        document = re.sub(rf"^<!-- pair {name} -->\n.*?^<!-- pair end -->$",
                          lambda _, n=name: f"<!-- pair {n} -->\n{parts[n]}\n<!-- pair end -->", document, flags=re.M | re.S)
    return document


# ---- chart -----------------------------------------------------------------------------------------------------------------

def bars(canvas, title, rows, form="{:.2f}"):
    """rows: [(name, [values])], drawn with marks for the least and the most."""
    rows = [(name, v) for name, v in rows if v]
    if not rows:
        return
    left, width, top = 210, WIDTH - 330, max(max(v) for _, v in rows)
    canvas.text(24, canvas.y + 12, title, size=14, weight="bold")
    canvas.y += 26
    for name, v in rows:
        x = [left + width * value / top for value in (statistics.median(v), min(v), max(v))]
        canvas.text(left - 8, canvas.y + 11, name, anchor="end")
        canvas.rect("c0", left, canvas.y, x[0] - left, 13)
        canvas.path("mark", f"M{x[1]:.1f} {canvas.y + 6.5}H{x[2]:.1f}M{x[1]:.1f} {canvas.y + 3}v7M{x[2]:.1f} {canvas.y + 3}v7")
        canvas.text(max(x) + 6, canvas.y + 11, form.format(statistics.median(v)))
        canvas.y += 19
    canvas.y += 18


def chart(data):
    results, canvas = with_sums(data["results"]), Canvas()
    speeds = [(f"{kind} {name.replace('_', ', ')}", values(results, f"{kind.lower()}_{name}", "throughput"))
              for kind in ("TCP", "UDP") for name in ("1", "1_reverse", "4", "4_reverse")]
    bars(canvas, "Client and gateway, through to a Resource, Gbit/s (streams)", speeds)
    engine = [(f"{words}, {name.replace('_', ', ')}", values(results, f"engine_{who}_tcp_{name}"))
              for name in ("1", "1_reverse", "4") for who, words in (("pair", "client and gateway"), ("wg", "firezone-wg"))]
    bars(canvas, "The engine beneath, to the gateway itself, Gbit/s (streams)", engine)
    bars(canvas, "A cold start in the lab, ms", [(words, values(results, f"{key}_ms", "cold_start")) for key, words in STEPS])
    return canvas.done()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=pathlib.Path)
    parser.add_argument("--md", type=pathlib.Path)
    parser.add_argument("--svg", type=pathlib.Path)
    parser.add_argument("--into", type=pathlib.Path, metavar="DOCUMENT")
    options = parser.parse_args()
    data = json.loads(options.result.read_text(encoding="utf-8"))
    parts = tables(data)
    titles = {"goals": "Goals", "start": "From the first packet, and from a cold start", "figures": "Figures"}
    text = "\n\n".join([parts["run"], *(f"## {titles[n]}\n\n{parts[n]}" for n in titles)]) + "\n"
    sys.stdout.write(text)
    if options.md:
        options.md.write_text(text, encoding="utf-8")
    if options.svg:
        options.svg.write_text(chart(data) + "\n", encoding="utf-8")
    if options.into:
        options.into.write_text(refresh(options.into.read_text(encoding="utf-8"), parts), encoding="utf-8")


if __name__ == "__main__":
    main()
