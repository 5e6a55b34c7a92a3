"""Bar charts as SVG, legible in light and dark and on a phone: one file, no script, no font, nothing outside."""

from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

WIDTH = 480  # shown on a phone of 390 px the text is still 12 px high
MARGIN = 16
LABELS = 172  # where the bars begin
BAR_MAX = 156
TITLE, HEADING, ROW = 44, 36, 26  # heights
BAR = 14
EMPTY = 2  # the width of a bar of 0

STYLE = """\
.ground { fill: #ffffff; stroke: #d0d7de; }
text { font: 15px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328; }
.title { font-size: 17px; font-weight: 600; }
.heading { font-weight: 600; }
.other { fill: #bc4c00; }
.ours { fill: #0969da; }
@media (prefers-color-scheme: dark) {
.ground { fill: #0d1117; stroke: #30363d; }
text { fill: #e6edf3; }
.other { fill: #f0883e; }
.ours { fill: #58a6ff; }
}"""


@dataclass
class Bar:
    label: str
    value: float
    text: str  # behind the bar
    is_ours: bool


def tag(name, text=None, **attributes):
    words = "".join(f" {key.replace('_', '-')}={quoteattr(str(value))}" for key, value in attributes.items())
    return f"<{name}{words}/>" if text is None else f"<{name}{words}>{escape(text)}</{name}>"


def draw_bar(bar, top, most):
    middle = top + ROW / 2
    length = max(EMPTY, round(BAR_MAX * bar.value / most)) if most else EMPTY
    return [
        tag("text", bar.label, x=LABELS - 8, y=middle, text_anchor="end", dominant_baseline="central"),
        tag("rect", x=LABELS, y=middle - BAR / 2, width=length, height=BAR, **{"class": "ours" if bar.is_ours else "other"}),
        tag("text", bar.text, x=LABELS + length + 6, y=middle, dominant_baseline="central"),
    ]


def draw(title, groups):
    """The SVG. groups: (heading, bars) from top to bottom; all bars have one scale."""
    most = max((bar.value for _, bars in groups for bar in bars), default=0)
    top, lines = TITLE, [tag("text", title, x=MARGIN, y=28, **{"class": "title"})]
    for heading, bars in groups:
        lines.append(tag("text", heading, x=MARGIN, y=top + 21, **{"class": "heading"}))
        top += HEADING
        for bar in bars:
            lines += draw_bar(bar, top, most)
            top += ROW
    height = top + MARGIN
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img">',
        tag("title", title), f"<style>\n{STYLE}\n</style>",
        tag("rect", x=0.5, y=0.5, width=WIDTH - 1, height=height - 1, rx=6, **{"class": "ground"}), *lines, "</svg>", ""])
