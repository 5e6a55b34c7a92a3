"""The documents: the front page is short, and every link in any of them leads to a file, a heading or a picture that is there."""

import re

from cluster import ROOT

FRONT_PAGE_MAX = 10_240  # bytes
NOT_OURS = {"build", "node_modules", ".git"}  # folders
DOCUMENTS = sorted(path for path in ROOT.rglob("*.md") if not NOT_OURS & set(path.relative_to(ROOT).parts))


def prose(path):
    """The text without its blocks of code."""
    return re.sub(r"^( *)```.*?^\1```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)


def slug(heading):
    """The anchor that GitHub gives to a heading."""
    words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def anchors(path):
    found = re.findall(r'<a id="([^"]+)">', prose(path))
    for heading in re.findall(r"^#+ +(.*?) *$", prose(path), re.MULTILINE):
        anchor = slug(heading)
        found.append(f"{anchor}-{found.count(anchor)}" if anchor in found else anchor)
    return found


def links(path):
    text = re.sub(r"`[^`\n]*`", "", prose(path))
    return [target for target in re.findall(r"\]\(([^) ]+)\)", text) if "://" not in target]


def broken(path):
    """The links of this document that lead nowhere."""
    for target in links(path):
        name, _, anchor = target.partition("#")
        there = (path.parent / name) if name else path
        if not there.exists():
            yield f"{path.relative_to(ROOT)}: {target}: there is no such file"
        elif anchor and anchor not in anchors(there):
            yield f"{path.relative_to(ROOT)}: {target}: it has no such heading"


def test_links():
    assert len(DOCUMENTS) > 10 and links(ROOT / "README.md")
    assert [line for path in DOCUMENTS for line in broken(path)] == []


def test_front_page():
    text = (ROOT / "README.md").read_text()
    assert len(text.encode()) <= FRONT_PAGE_MAX
    questions = re.findall(r"^\|[^|]*\?[^|]*\| *\[", text, re.MULTILINE)
    assert len(questions) >= 20, "each question has its place"
    rows = re.findall(r"^\|(.*)\| `make failover-report` \|$", text, re.MULTILINE)
    numbers = re.findall(r"\d+ of \d+", "".join(rows))
    assert numbers, "the front page says what a failover costs"
    costs = (ROOT / "spoa/doc/failover.md").read_text()
    assert [number for number in numbers if number not in costs] == []
