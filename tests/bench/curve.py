#!/usr/bin/python3
"""curve.py [--check]: draws scale.svg beside it, of the figures in scale.json; with --check it only compares.

Dots are measured. A dashed line is computed: cost in proportion to the last dot. One file for light and dark, for phones, too.

Exit codes: 0 the file is what is drawn here, 1 (--check) it is not.
"""

import json
import math
import sys
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent
WIDTH, HEIGHT = 520, 568
LEFT, RIGHT, TOP, BOTTOM = 78, 488, 56, 336
COUNTS, SHARES = (100, 1_000_000), (0.1, 1000)  # both ends of the axes
LEGEND, ROW = BOTTOM + 68, 26
# key: (words, how far it is computed)
LINES = {
    "agent": ("an agent, role-check off", 10_000),
    "checking": ("an agent, role-check on", 10_000),
    "masters": ("a Sentinel, for its masters", 10_000),
    "shipped": ("a Sentinel, for its agents", 1_000_000),
    "down-after": ("the same, with down-after", 1_000_000),
}
COLOURS = {  # light, dark
    "agent": ("#0969da", "#58a6ff"), "checking": ("#0b7285", "#66d9e8"), "masters": ("#bc4c00", "#f0883e"),
    "shipped": ("#1a7f37", "#3fb950"), "down-after": ("#8250df", "#bc8cff"),
}
STYLE = """\
text{font:16px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
.title{font-weight:600}
polyline,line{fill:none;stroke-width:2}
.grid{stroke-width:1}
.limit{stroke-width:2}
.computed{stroke-dasharray:5 4}
"""
GROUND = (("#ffffff", "#d0d7de", "#1f2328", "#57606a"), ("#0d1117", "#3d444d", "#e6edf3", "#9da7b1"))


def style():
    def rules(scheme):
        ground, frame, ink, dim = GROUND[scheme]
        lines = [f".ground{{fill:{ground};stroke:{frame}}}", f"text{{fill:{ink}}}", f".grid{{stroke:{frame}}}", f".limit{{stroke:{dim}}}"]
        for key, colours in COLOURS.items():
            lines.append(f".{key}{{stroke:{colours[scheme]}}}circle.{key}{{fill:{colours[scheme]}}}")
        return "\n".join(lines)
    return f"<style>{STYLE}{rules(0)}\n@media (prefers-color-scheme:dark){{\n{rules(1)}\n}}\n</style>"


def place(value, ends, begin, end):
    """On a logarithmic axis."""
    low, high = (math.log10(one) for one in ends)
    return round(begin + (math.log10(max(value, ends[0])) - low) / (high - low) * (end - begin), 1)


def point(count, share):
    return place(count, COUNTS, LEFT, RIGHT), place(share, SHARES, BOTTOM, TOP)


def text(words, x, y, **more):
    extra = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in more.items())
    return f'<text x="{x}" y="{y}"{extra}>{escape(words)}</text>'


def line(start, end, style_class):
    return f'<line x1="{start[0]}" y1="{start[1]}" x2="{end[0]}" y2="{end[1]}" class="{style_class}"/>'


def decades(ends):
    return [10 ** power for power in range(round(math.log10(ends[0])), round(math.log10(ends[1])) + 1)]


def axes():
    lines = []
    for share in decades(SHARES):
        start, end = point(COUNTS[0], share), point(COUNTS[1], share)
        lines += [line(start, end, "limit" if share == 100 else "grid"),
                  text(f"{share:g} %", LEFT - 8, start[1], text_anchor="end", dominant_baseline="central")]
    for count in decades(COUNTS):
        start, end = point(count, SHARES[0]), point(count, SHARES[1])
        words = f"{count // 1000:,}k" if count < 1_000_000 else "1M"
        lines += [line(start, end, "grid"), text(str(count) if count < 1000 else words, start[0], BOTTOM + 22, text_anchor="middle")]
    return [*lines, text("services; for a Sentinel's agents: services × agents", WIDTH / 2, BOTTOM + 48, text_anchor="middle")]


def curve(key, points, last):
    dots = [point(*one) for one in points]
    joined = " ".join(f"{x},{y}" for x, y in dots)
    lines = [f'<polyline points="{joined}" class="{key}"/>']
    lines += [f'<circle cx="{x}" cy="{y}" r="3.5" class="{key}"/>' for x, y in dots]
    count, share = points[-1]
    if last > count:
        end = min(last, count * SHARES[1] / share)
        lines.append(line(dots[-1], point(end, share * end / count), f"{key} computed"))
    return lines


def draw(found):
    lines = [text("What a process pays, in per cent of one CPU", 16, 32, **{"class": "title"}), *axes()]
    for number, (key, (words, last)) in enumerate(LINES.items()):
        y = LEGEND + number * ROW + 8
        lines += [*curve(key, found[key], last), line((LEFT, y), (LEFT + 36, y), key),
                  text(words, LEFT + 48, y, dominant_baseline="central")]
    y = LEGEND + len(LINES) * ROW + 8
    lines.append(text("Dots are measured, dashed lines computed.", LEFT, y, dominant_baseline="central"))
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        "<title>What an agent and a Sentinel pay as services and agents grow</title>", style(),
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="6" class="ground"/>', *lines, "</svg>", ""])


def main():
    drawn = draw(json.loads((HERE / "scale.json").read_text()))
    path = HERE / "scale.svg"
    if sys.argv[1:] == ["--check"]:
        return 0 if path.exists() and path.read_text() == drawn else 1
    path.write_text(drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
