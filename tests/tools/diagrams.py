#!/usr/bin/python3
"""diagrams.py [--check]: writes the diagrams of the documentation, spoa/doc/pictures/*.svg; with --check it only compares.

Each file serves in light and in dark: it has a ground of its own, and its colours follow the reader's setting. The width is
such that the text can be read on a phone.

Exit codes: 0 the files are what is drawn here, 1 (--check) they are not.
"""

import json
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "spoa/doc/pictures"
WIDTH = 520
SIZE = 16  # px, of all text; a phone shows 358 of the 520 pixels, so the text has 11 px there

# selector: (properties, colours in light, colours in dark)
COLOURS = {
    ".ground": ("fill:{};stroke:{}", ("#ffffff", "#d0d7de"), ("#0d1117", "#3d444d")),
    "text": ("fill:{}", ("#1f2328",), ("#e6edf3",)),
    ".dim": ("fill:{}", ("#57606a",), ("#9da7b1",)),
    ".good-text": ("fill:{}", ("#116329",), ("#7ee787",)),
    ".wait-text": ("fill:{}", ("#7d4e00",), ("#e3b341",)),
    ".bad-text": ("fill:{}", ("#a40e26",), ("#ffa198",)),
    ".plain": ("fill:{};stroke:{}", ("#f6f8fa", "#818b98"), ("#161b22", "#8b949e")),
    ".good": ("fill:{};stroke:{}", ("#dafbe1", "#1a7f37"), ("#0f2d1b", "#3fb950")),
    ".wait": ("fill:{};stroke:{}", ("#fff1cc", "#9a6700"), ("#332506", "#d29922")),
    ".bad": ("fill:{};stroke:{}", ("#ffebe9", "#cf222e"), ("#3d1418", "#f85149")),
    ".lost": ("fill:{};stroke:{}", ("#cf222e", "#cf222e"), ("#f85149", "#f85149")),
    ".limit": ("fill:none;stroke:{}", ("#57606a",), ("#9da7b1",)),
    ".arrow": ("fill:none;stroke:{}", ("#57606a",), ("#9da7b1",)),
    ".good-arrow": ("fill:none;stroke:{}", ("#1a7f37",), ("#3fb950",)),
    ".bad-arrow": ("fill:none;stroke:{}", ("#cf222e",), ("#f85149",)),
    ".clear": ("stroke:{}", ("#ffffff",), ("#0d1117",)),
    ".head": ("fill:{}", ("#57606a",), ("#9da7b1",)),
    ".good-head": ("fill:{}", ("#1a7f37",), ("#3fb950",)),
    ".bad-head": ("fill:{}", ("#cf222e",), ("#f85149",)),
}
SHAPES = f"""
text{{font:{SIZE}px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}}
.strong{{font-weight:600}}
rect,path,line{{stroke-width:1.5}}
.head,.good-head,.bad-head{{stroke:none}}
.clear{{paint-order:stroke;stroke-width:6px}}
.dashed,.limit{{stroke-dasharray:5 4}}
"""


def style():
    def rules(scheme):
        return "\n".join(f"{selector}{{{look[0].format(*look[scheme])}}}" for selector, look in COLOURS.items())

    return f"<style>{SHAPES}{rules(1)}\n@media (prefers-color-scheme:dark){{\n{rules(2)}\n}}\n</style>"


class Drawing:
    """One file. Coordinates are pixels, from the top left."""

    def __init__(self, height, title, description):
        self.height, self.title, self.description = height, title, description
        self.parts = []

    def text(self, x, y, words, kind="", anchor="start"):
        """`y` is the line on which the words stand; `anchor` is start, middle or end."""
        look = f' class="{kind}"' if kind else ""
        place = f' text-anchor="{anchor}"' if anchor != "start" else ""
        self.parts.append(f'<text x="{x:g}" y="{y:g}"{place}{look}>{escape(words, quote=False)}</text>')

    def rect(self, x, y, width, height, kind="plain", radius=6):
        self.parts.append(f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius}" class="{kind}"/>')

    def box(self, x, y, width, height, lines, kind="plain"):
        """A frame with lines of text in its middle: words, or (words, kind)."""
        self.rect(x, y, width, height, kind)
        first = y + height / 2 - (len(lines) - 1) * 10 + 5.5
        for row, line in enumerate(lines):
            words, look = line if isinstance(line, tuple) else (line, "")
            self.text(x + width / 2, first + row * 20, words, look, "middle")

    def line(self, x1, y1, x2, y2, kind="arrow"):
        self.parts.append(f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" class="{kind}"/>')

    def arrow(self, x1, y1, x2, y2, tone=""):
        """From (x1, y1) to (x2, y2), with a head there."""
        length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
        along_x, along_y = (x2 - x1) / length, (y2 - y1) / length
        back_x, back_y = x2 - 9 * along_x, y2 - 9 * along_y
        self.line(x1, y1, back_x, back_y, f"{tone}arrow")
        corners = ((x2, y2), (back_x - 5 * along_y, back_y + 5 * along_x), (back_x + 5 * along_y, back_y - 5 * along_x))
        points = " ".join(f"{x:.4g},{y:.4g}" for x, y in corners)
        self.parts.append(f'<polygon points="{points}" class="{tone}head"/>')

    def path(self, points, kind):
        """A closed shape."""
        corners = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self.parts.append(f'<path d="M{corners}Z" class="{kind}"/>')

    def svg(self):
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self.height}" '
                f'viewBox="0 0 {WIDTH} {self.height}" role="img" aria-labelledby="title description">')
        told = (f'<title id="title">{escape(self.title, quote=False)}</title>\n'
                f'<desc id="description">{escape(self.description, quote=False)}</desc>')
        ground = f'<rect x="0.75" y="0.75" width="{WIDTH - 1.5}" height="{self.height - 1.5}" rx="8" class="ground"/>'
        return "\n".join((head, told, style(), ground, *self.parts, "</svg>\n"))


def data_path():
    drawing = Drawing(462, "The data path", "Clients connect to HAProxy. For each connection HAProxy asks sentinel-spoa who the master is. "
                      "The agent answers R2 from memory, because two of three Sentinels name R2. HAProxy connects to R2.")
    drawing.box(16, 30, 104, 60, [("Clients", "strong")])
    drawing.box(190, 30, 120, 60, [("HAProxy", "strong")])
    drawing.box(384, 24, 120, 72, [("R2", "strong good-text"), ("master", "good-text")], "good")
    drawing.box(384, 106, 120, 36, [("R1, replica", "dim")])
    drawing.box(384, 152, 120, 36, [("R3, replica", "dim")])
    drawing.arrow(120, 60, 190, 60)
    drawing.text(150, 50, "TCP", "dim", "middle")
    drawing.arrow(310, 60, 384, 60, "good-")
    drawing.text(343, 50, "TCP", "dim", "middle")
    drawing.arrow(238, 90, 238, 218)
    drawing.arrow(262, 218, 262, 90, "good-")
    drawing.text(228, 148, "Who is the master?", "", "end")
    drawing.text(228, 170, "once per connection", "dim", "end")
    drawing.text(274, 159, "R2", "strong good-text")
    drawing.box(145, 218, 210, 62, [("sentinel-spoa", "strong"), "answers from memory"])
    drawing.text(370, 244, "2 of 3 votes", "good-text")
    drawing.text(370, 264, "name R2", "good-text")
    for x, number, word, kind in ((16, 1, "R2", "good"), (187, 2, "R2", "good"), (358, 3, "no answer", "plain dashed")):
        drawing.arrow(250 + (x - 187) * 0.35, 280, x + 73, 340)
        drawing.box(x, 340, 146, 58, [f"Sentinel {number}", (word, "strong good-text" if kind == "good" else "dim")], kind)
    drawing.text(WIDTH / 2, 424, "The agent asks every Sentinel each second,", "dim", "middle")
    drawing.text(WIDTH / 2, 446, "and at once when one of them has news.", "dim", "middle")
    return drawing


def failover_in_time():
    """A failover with down-after-milliseconds 2500: the times of spoa/doc/failover.md, rounded, and `park = auto`."""
    down, named, park, processing = 2.7, 3.8, 4.5, 10
    drawing = Drawing(462, "A failover in time", f"R1 is killed at 0 s. The Sentinels agree that it is down at {down} s and name R2 at {named} s. "
                      f"A client that connects at 0 s waits until then. It would be refused at {park} s, when park is over. "
                      f"HAProxy's own limit, timeout processing, is {processing} s.")

    def at(seconds):
        return 24 + 46 * seconds

    def bar(row, since, until, words, kind):
        drawing.rect(at(since), 88 + 66 * row, max(at(until) - at(since), 3), 26, kind, 3)
        look = {"good": "good-text", "wait": "wait-text", "limit": "clear"}.get(kind, "")
        if words:
            drawing.text(at(since) + 8, 106.5 + 66 * row, words, look)

    for moment, words, kind, head in ((0, "R1 is killed", "bad-arrow", "bad-text"), (named, "R2 is named", "good-arrow", "good-text")):
        drawing.text(at(moment), 32, words, f"strong {head}")
        drawing.line(at(moment), 40, at(moment), 412, f"{kind} dashed")
    for row, words in enumerate(("Sentinel's share", "sentinel-spoa's share", "A client that connects at 0 s",
                                 "park = auto: down-after + 2 s", "HAProxy's timeout processing")):
        drawing.text(at(0) + 8, 80 + 66 * row, words, "dim clear")
    bar(0, 0, down, "down-after", "plain")
    bar(0, down, named, "", "plain")
    drawing.text(at(named) + 10, 106.5, "then election, promotion")
    bar(1, named, named, "", "good")
    drawing.text(at(named) + 10, 172.5, "about 2 ms", "good-text")
    bar(2, 0, named, "waits", "wait")
    bar(2, named, 10.4, "is served by R2", "good")
    bar(3, 0, park, "longest wait", "limit")
    drawing.text(at(park) + 10, 304.5, "then it would be refused", "bad-text")
    bar(4, 0, processing, "longer than park: HAProxy never gives up first", "limit")
    drawing.line(at(0), 412, at(10.4), 412)
    for second in range(0, 11, 2):
        drawing.line(at(second), 412, at(second), 419)
        drawing.text(at(second), 440, f"{second} s", "dim", "middle" if second else "start")
    return drawing


def split():
    drawing = Drawing(438, "A split network with two HAProxys", "On the side of the old master one of three Sentinels is in reach: nobody is "
                      "named, clients wait for park and are refused then. On the other side two Sentinels name R2: clients are served.")
    for x, words in ((12, "The smaller side"), (270, "The larger side")):
        drawing.text(x + 119, 32, words, "strong", "middle")
        drawing.box(x, 46, 238, 56, [f"HAProxy {1 if x == 12 else 2}", ("with its agent", "dim")])
    drawing.line(260, 16, 260, 366, "bad-arrow dashed")
    drawing.arrow(131, 102, 131, 150, "bad-")
    drawing.line(123, 114, 139, 130, "bad-arrow")
    drawing.line(139, 114, 123, 130, "bad-arrow")
    drawing.arrow(327, 102, 327, 150, "good-")
    drawing.box(12, 150, 238, 56, [("R1", "strong"), ("old master", "dim")])
    drawing.box(270, 150, 114, 56, [("R2", "strong good-text"), ("new master", "good-text")], "good")
    drawing.box(394, 150, 114, 56, [("R3", "strong"), ("replica", "dim")])
    drawing.box(12, 220, 238, 56, ["Sentinel 1", ("names R1", "dim")])
    for x, number in ((270, 2), (394, 3)):
        drawing.box(x, 220, 114, 56, [f"Sentinel {number}", ("names R2", "good-text")], "good")
    drawing.box(12, 290, 238, 76, [("1 of 3: nobody is named", "bad-text"), "Clients wait for park,", "then they are refused."], "bad")
    drawing.box(270, 290, 238, 76, [("2 of 3: R2 is named", "good-text"), "Clients are served."], "good")
    drawing.text(WIDTH / 2, 396, "R1 loses its name first: votes live for 2 s. Sentinel", "dim", "middle")
    drawing.text(WIDTH / 2, 418, "waits longer (down-after) before it promotes R2.", "dim", "middle")
    return drawing


WAYS = {
    "agent, no cut": "No cut",
    "agent, pull": "agent-check/",
    "agent, push": "runtime-api/",
    "agent, push, early fence": "runtime-api/ with early-fence",
}
PROMOTED = 170  # ms after the order, as `sentinel-spoa rehearse` shows


def measured():
    """What `make failover-report` measured of failovers by hand: {way: row}, in the order of WAYS."""
    rows = json.loads((ROOT / "tests/tools/failover-report.json").read_text())
    return {way: row for way in WAYS for row in rows if (row["scenario"], row["way"], row["min_replicas"]) == ("manual", way, False)}


def old_sessions():
    rows = measured()
    drawing = Drawing(520, "Old sessions, with and without a cut", "Writes that were acknowledged and lost in a failover by hand. " + "; ".join(
        f"{WAYS[way]}: {row['lost']} of {row['acknowledged']}" for way, row in rows.items()) + ".")
    named, demoted = rows["agent, no cut"]["sentinel_took"], rows["agent, no cut"]["last"]

    def at(ms):
        return 20 + ms * 0.0405

    for number, moment in enumerate((PROMOTED, named, demoted), 1):
        drawing.text(at(moment), 28, str(number), "strong", "middle")
        drawing.line(at(moment), 34, at(moment), 410, "limit")
    for number, (way, row) in enumerate(rows.items()):
        base = 128 + 90 * number
        drawing.text(at(named) + 22, base - 52, WAYS[way], "strong")
        drawing.text(at(named) + 22, base - 30, f"lost: {row['lost']} of {row['acknowledged']}", "bad-text" if row["lost"] else "good-text")
        then, late = row["sentinel_took"], row["late_writes"]
        for since, until, writes in ((PROMOTED, then, row["lost"] - late), (then, then + row["late"], late)):
            if writes:
                top = base - 40 * writes / (until - since)
                drawing.path(((at(since), base), (at(since), top), (at(until), top), (at(until), base)), "lost")
        drawing.line(at(0), base, at(11800), base)
    for second in range(0, 12, 2):
        drawing.text(at(second * 1000), 424, f"{second} s", "dim", "middle" if second else "start")
    for number, words in enumerate(("1: R2 is promoted", "2: a majority names R2", "3: R1 becomes a replica of R2")):
        drawing.text(24, 454 + 22 * number, words)
    drawing.text(WIDTH - 16, 454, "red: lost writes,", "bad-text", "end")
    drawing.text(WIDTH - 16, 476, "the areas are to scale", "dim", "end")
    return drawing


QUESTIONS = (
    (("Is it Redis Cluster?",), ("cluster/",)),
    (("Do you promote by hand or", "by script, without Sentinel?"), ("replication/", "with two nodes:", "active-backup/")),
    (("Does twemproxy stand", "in front of Redis?"), ("twemproxy/",)),
    (("Do you use another", "balancer than HAProxy?"), ("http-health/",)),
    (("May the agent use", "HAProxy's admin socket?"), ("runtime-api/",)),
)
LAST_ANSWER = "agent-check/"
MORE = (
    ("two-agents/", "an agent may restart, or die"),
    ("keepalived/", "two HAProxys, one address"),
    ("remote-agent/", "the agent on another host"),
    ("read-write-split/", "a second port for reads"),
    ("many-services/", "several masters, one agent"),
    ("any-address/", "no servers in haproxy.cfg"),
)
STAYING = (
    "Of these only keepalived/ cuts old sessions. Add what",
    "runtime-api/ has to the others; remote-agent/ and",
    "any-address/ cannot cut them.",
)


def recipes():
    drawing = Drawing(808, "Which recipe", "Questions that lead to a folder of haproxy-conf. For most it is runtime-api.")
    for row, (question, answer) in enumerate(QUESTIONS):
        y, last = 18 + 92 * row, row == len(QUESTIONS) - 1
        drawing.box(16, y, 270, 66, question)
        drawing.arrow(286, y + 33, 344, y + 33, "good-" if last else "")
        drawing.text(312, y + 25, "yes", "dim", "middle")
        looks = [(word, "strong" if word.endswith("/") else "dim") for word in answer]
        drawing.box(344, y, 160, 66, looks, "good" if last else "plain")
        drawing.arrow(151, y + 66, 151, y + 92)
        drawing.text(163, y + 84, "no", "dim")
    end = 18 + 92 * len(QUESTIONS)
    drawing.box(16, end, 270, 40, [(LAST_ANSWER, "strong")])
    drawing.text(344, end - 4, "Take this one", "good-text")
    drawing.text(344, end + 16, "where you can.", "good-text")
    drawing.line(16, end + 58, 504, end + 58)
    drawing.text(16, end + 86, "Do you need more? Then begin with:", "strong")
    for row, (name, words) in enumerate(MORE):
        drawing.text(16, end + 114 + 24 * row, name, "strong")
        drawing.text(200, end + 114 + 24 * row, words)
    for row, words in enumerate(STAYING):
        drawing.text(16, end + 122 + 24 * len(MORE) + 22 * row, words, "dim")
    return drawing


DRAWINGS = {"data-path": data_path, "failover-in-time": failover_in_time, "split": split, "old-sessions": old_sessions, "recipes": recipes}


def missing_recipes():
    """Folders of haproxy-conf that the decision tree does not have, and names in it that are no folder."""
    shown = {word for _, answer in QUESTIONS for word in answer if word.endswith("/")} | {name for name, _ in MORE} | {LAST_ANSWER}
    return shown ^ {f"{path.name}/" for path in (ROOT / "haproxy-conf").iterdir() if path.is_dir()}


def main():
    wrong = [f"haproxy-conf/{name} is here or there, but not in both" for name in sorted(missing_recipes())]
    for name, draw in DRAWINGS.items():
        path, svg = PICTURES / f"{name}.svg", draw().svg()
        if "--check" not in sys.argv[1:]:
            path.write_text(svg)
        elif not path.exists() or path.read_text() != svg:
            wrong.append(f"{path.relative_to(ROOT)} is not what tests/tools/diagrams.py draws: run it")
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
