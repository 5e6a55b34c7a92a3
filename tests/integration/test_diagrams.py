"""The diagrams of the documentation in headless Chromium: no text is cut or covered, and all of it can be read in light and dark."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from browser import look, start_browser
from cluster import ROOT

PICTURES = ROOT / "spoa/doc/pictures"
DRAWN = sorted(PICTURES.glob("*.svg")) + [ROOT / "tests/bench/scale.svg"]
PHONE = 358  # px: what a page on a phone of 390 px leaves for a picture
TEXT_MIN = 11  # px
CONTRAST_MIN = 4.5  # of WCAG 2, level AA

# Each text: its words, box, size, colour, and the colours of the shapes under its middle, the topmost last; the frames of those that it crosses.
MEASURE = """
const box = e => { const b = e.getBBox(); return [b.x, b.y, b.x + b.width, b.y + b.height]; };
const shapes = [...document.querySelectorAll("rect")].map(e => ({box: box(e), fill: getComputedStyle(e).fill}));
return [...document.querySelectorAll("text")].map(e => {
    const [left, top, right, bottom] = box(e), x = (left + right) / 2, y = (top + bottom) / 2;
    const filled = shapes.filter(s => s.fill !== "none");
    const under = filled.filter(s => s.box[0] <= x && x <= s.box[2] && s.box[1] <= y && y <= s.box[3]);
    const meets = shapes.filter(s => s.box[0] < right && left < s.box[2] && s.box[1] < bottom - 3 && top + 3 < s.box[3]);
    const crossed = meets.filter(s => left < s.box[0] + 2 || s.box[2] - 2 < right);
    return {words: e.textContent, box: [left, top, right, bottom], size: parseFloat(getComputedStyle(e).fontSize),
        colour: getComputedStyle(e).fill, ground: under.at(-1).fill, crossed: crossed.map(s => s.box)};
});
"""


@pytest.fixture(scope="module", name="chromium")
def open_chromium():
    browser = start_browser()
    yield browser
    browser.quit()


def brightness(colour):
    """The relative luminance of WCAG 2, of rgb(r, g, b)."""
    parts = [int(word) / 255 for word in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((brightness(one), brightness(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def covered(texts):
    """Pairs of texts that stand on each other."""
    boxes = [(text["words"], text["box"]) for text in texts]
    return [(one, other) for row, (one, a) in enumerate(boxes) for other, b in boxes[:row]
            if a[0] < b[2] and b[0] < a[2] and a[1] + 3 < b[3] and b[1] + 3 < a[3]]


def test_files_are_as_drawn():
    result = subprocess.run([ROOT / "tests/tools/diagrams.py", "--check"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")
    assert len(DRAWN) >= 5


def test_the_curve_is_as_drawn():
    assert subprocess.run([ROOT / "tests/bench/curve.py", "--check"], check=False).returncode == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.stem)
def test_legible(chromium, path, scheme):
    look(chromium, (1000, 900), scheme)
    chromium.get(f"file://{path}")
    width, height = (float(word) for word in chromium.execute_script("return document.documentElement.getAttribute('viewBox');").split()[2:])
    texts = chromium.execute_script(MEASURE)
    assert texts
    for text in texts:
        left, top, right, bottom = text["box"]
        assert 8 <= left and right <= width - 8 and 4 <= top and bottom <= height - 8, f"{text} is cut"
        assert not text["crossed"], f"{text} is wider than its frame"
        assert text["size"] * PHONE / width >= TEXT_MIN, f"{text} is too small on a phone"
        assert contrast(text["colour"], text["ground"]) >= CONTRAST_MIN, f"{text} is too pale"
    assert covered(texts) == []
    if "SCREENSHOTS" in os.environ:
        for size in ((390, 900), (1000, 900)):
            look(chromium, size, scheme)
            chromium.save_screenshot(str(Path(os.environ["SCREENSHOTS"], f"{path.stem}-{size[0]}-{scheme}.png")))
