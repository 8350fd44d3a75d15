"""An SVG of a run: bars with marks for the least and the most of the rounds, and a line over the number of peers.

Readable on white and on black: colours follow the reader's scheme. Panels nobody has figures for are left out.
"""
import html
import math
import statistics

import figures
import goals

WIDTH, LABELS, MARGIN = 920, 118, 24
BAR, GAP = 13, 3
SCHEMES = """
 .paper { fill: #ffffff } .ink { fill: #1f2328 } .faint { fill: #59636e } .grid { stroke: #d1d9e0 } .mark { stroke: #1f2328 }
 .c0 { fill: #1f6feb } .c1 { fill: #57a5ff } .c2 { fill: #a8d1ff } .l0 { stroke: #1f6feb } .l1 { stroke: #bc4c00 } .d0 { fill: #1f6feb } .d1 { fill: #bc4c00 }
 .l2 { stroke: #8250df } .d2 { fill: #8250df }
 @media (prefers-color-scheme: dark) {
  .paper { fill: #0d1117 } .ink { fill: #f0f6fc } .faint { fill: #9198a1 } .grid { stroke: #3d444d } .mark { stroke: #f0f6fc }
  .c0 { fill: #388bfd } .c1 { fill: #1f5fb0 } .c2 { fill: #1b3f70 } .l0 { stroke: #58a6ff } .l1 { stroke: #f0883e } .d0 { fill: #58a6ff } .d1 { fill: #f0883e }
  .l2 { stroke: #a371f7 } .d2 { fill: #a371f7 }
 }
"""
PANELS = [  # title, [(key, name)], how a value is written
    ("TCP through the tunnel, Gbit/s", [("tcp_1", "one stream"), ("tcp_1_reverse", "reverse"), ("tcp_4", "four streams")], "{:.1f}"),
    ("UDP with under 0.1 % loss, packets/s", [("udp_64_pps", "64 B"), ("udp_1350_pps", "1350 B")], "{:,.0f}"),
    ("CPU seconds per GB, both ends (less is better)", [("cpu_s_per_gb", "all"), ("cpu_user_s_per_gb", "user"), ("cpu_system_s_per_gb", "system")],
     "{:.1f}"),
]


class Canvas:
    def __init__(self):
        self.parts, self.y = [], MARGIN

    def text(self, x, y, words, kind="ink", size=12, anchor="start", weight="normal"):
        self.parts.append(f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}">'
                          f"{html.escape(words)}</text>")

    def rect(self, kind, x, y, width, height):
        self.parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height}" rx="1.5"/>')

    def path(self, kind, d, width=1.0):
        self.parts.append(f'<path class="{kind}" d="{d}" fill="none" stroke-width="{width}"/>')

    def done(self):
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self.y:.0f}" viewBox="0 0 {WIDTH} {self.y:.0f}" '
                f'font-family="system-ui, Helvetica, Arial, sans-serif">')
        return "\n".join([head, f"<style>{SCHEMES}</style>", '<rect class="paper" width="100%" height="100%"/>', *self.parts, "</svg>"])


def step_of(top):
    """A round number, so that three to six of it reach the top."""
    rough = top / 4
    power = 10 ** math.floor(math.log10(rough))
    return next(power * f for f in (1, 2, 2.5, 5, 10) if power * f >= rough)


def axis_word(value):
    return f"{value / 1e6:g} M" if value >= 1e6 else f"{value / 1e3:g} k" if value >= 1e3 else f"{value:g}"


def legend(canvas, x, names, kinds):
    for name, kind in zip(names, kinds):
        canvas.rect(kind, x, canvas.y - 10, 11, 11)
        canvas.text(x + 16, canvas.y, name, "faint")
        x += 34 + 6.4 * len(name)


def bars(canvas, results, title, keys, form):
    """Per contestant a group of bars, one for each key."""
    rows = [(name, [figures.values(pieces, key) for key, _ in keys]) for name, pieces in results.items()]
    rows = [(name, v) for name, v in rows if any(v)]
    top = max((max(v) for _, group in rows for v in group if v), default=0)
    if top <= 0:
        return
    left, right = LABELS + MARGIN, WIDTH - MARGIN - 70
    canvas.y += 18
    canvas.text(MARGIN, canvas.y, title, size=15, weight="600")
    canvas.y += 22
    legend(canvas, left, [n for _, n in keys], ["c0", "c1", "c2"])
    canvas.y += 14
    begin, step = canvas.y, step_of(top)
    at = len(canvas.parts)
    for name, group in rows:
        height = len(keys) * (BAR + GAP)
        canvas.text(left - 10, canvas.y + height / 2 + 3, name, anchor="end")
        for n, v in enumerate(group):
            bar(canvas, f"c{n}", left, (right - left) / top, canvas.y + n * (BAR + GAP), v, form)
        canvas.y += height + 10
    lines = []
    for n in range(int(top / step) + 1):
        x = left + (right - left) * n * step / top
        lines.append(f'<path class="grid" d="M{x:.1f} {begin - 4}V{canvas.y - 4:.1f}" stroke-width="1"/>')
        canvas.text(x, canvas.y + 10, axis_word(n * step), "faint", 11, "middle")
    canvas.parts[at:at] = lines  # behind the bars
    canvas.y += 26


def bar(canvas, kind, left, scale, y, v, form):
    if not v:
        return
    middle, least, most = (left + scale * x for x in (statistics.median(v), min(v), max(v)))
    canvas.rect(kind, left, y, middle - left, BAR)
    if len(v) > 1:
        canvas.path("mark", f"M{least:.1f} {y + BAR / 2}H{most:.1f}M{least:.1f} {y + 3}v{BAR - 6}M{most:.1f} {y + 3}v{BAR - 6}")
    canvas.text(max(middle, most if len(v) > 1 else middle) + 6, y + BAR - 3, form.format(statistics.median(v)), size=11)


def curve(canvas, results):
    """Ours against the number of peers, traffic to all of them."""
    pieces, curves = results.get("ours", []), []
    counts = sorted({int(k.split("_")[1]) for k in figures.keys_of(pieces) if k.startswith("peers_") and k.endswith("_pps")})
    for way, _, words in goals.CROWDS:
        points = [(n, figures.values(pieces, f"peers_{n}_{way}_pps")) for n in counts]
        if points := [(n, v) for n, v in points if v]:
            curves.append((words, points))
    top = max((max(v) for _, points in curves for _, v in points), default=0)
    if len(counts) < 2 or top <= 0:
        return
    left, right, height = LABELS + MARGIN, WIDTH - MARGIN - 70, 190
    canvas.y += 18
    canvas.text(MARGIN, canvas.y, "Ours with many peers: 64 B packets/s to all of them, most at any loss", size=15, weight="600")
    canvas.y += 22
    legend(canvas, left, [way for way, _ in curves], ["d0", "d1", "d2"])
    canvas.y += 28
    bottom, span = canvas.y + height, math.log10(counts[-1] / counts[0])
    def place(n, value):
        return left + 40 + (right - left - 80) * math.log10(n / counts[0]) / span, bottom - height * value / (top * 1.05)
    step = step_of(top)
    for n in range(int(top / step) + 1):
        y = place(counts[0], n * step)[1]
        canvas.path("grid", f"M{left} {y:.1f}H{right}")
        canvas.text(left - 10, y + 4, axis_word(n * step), "faint", 11, "end")
    for n in counts:
        canvas.text(place(n, 0)[0], bottom + 18, f"{n:,} peer{'s' if n > 1 else ''}", "faint", 11, "middle")
    highest = {n: max(statistics.median(v) for _, points in curves for m, v in points if m == n) for n in counts}
    for number, (_, points) in enumerate(curves):
        at = [place(n, statistics.median(v)) for n, v in points]
        canvas.path(f"l{number}", "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in at), 2)
        for (x, y), (n, v) in zip(at, points):
            canvas.parts.append(f'<circle class="d{number}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
            low, high = place(n, min(v))[1], place(n, max(v))[1]
            is_above = statistics.median(v) == highest[n] or max(low, y) + 24 > bottom
            at_y = min(high, y) - 10 if is_above else max(low, y) + 20
            canvas.text(x, at_y, f"{statistics.median(v):,.0f}", size=11, anchor="middle")
            if len(v) > 1:
                canvas.path("mark", f"M{x:.1f} {low:.1f}V{high:.1f}M{x - 4:.1f} {low:.1f}h8M{x - 4:.1f} {high:.1f}h8")
    canvas.y = bottom + 34


def chart(data):
    canvas, m = Canvas(), data["machine"]
    results = {name: pieces for name, pieces in data["results"].items() if pieces}
    for title, keys, form in PANELS:
        bars(canvas, results, title, keys, form)
    curve(canvas, results)
    canvas.y += 6
    canvas.text(MARGIN, canvas.y, f"Medians of {data['rounds']} interleaved round{'s' if data['rounds'] > 1 else ''}; marks: least and most. "
                f"MTU {data['mtu']}, {m['cpus']} CPUs ({m['cpu']}) for both ends and the load, Linux {m['kernel']}.", "faint", 11)
    canvas.y += MARGIN
    return canvas.done()
