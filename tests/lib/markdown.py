"""What stands in the Markdown files of the tree: headings, links, words in backquotes, blocks of code."""

import re
from dataclasses import dataclass
from pathlib import Path

from cluster import ROOT

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")


@dataclass
class Block:
    """A block of code."""

    path: Path
    line: int
    language: str
    text: str

    @property
    def where(self):
        return f"{self.path.relative_to(ROOT)}:{self.line}"


@dataclass
class Piece:
    """A link's target, or a word in backquotes."""

    path: Path
    line: int
    text: str

    @property
    def where(self):
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def slug(heading):
    """The anchor that GitHub gives a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


class Document:
    """One file."""

    def __init__(self, path):
        self.path = path
        self.text = path.read_text()
        self.blocks, self.links, self.words, self.headings = [], [], [], []
        fence, start, language, inside = None, 0, "", []
        for number, line in enumerate(self.text.splitlines(), 1):
            opened = re.match(r" *(`{3,})(\S*)", line)
            if fence is None and opened:
                fence, start, language, inside = opened[1], number, opened[2], []
            elif fence is not None and line.strip() == fence:
                self.blocks.append(Block(path, start, language, "\n".join(inside)))
                fence = None
            elif fence is not None:
                inside.append(line)
            else:
                self._read_line(number, line)

    def _read_line(self, number, line):
        heading = re.match(r"#+ +(.*)", line)
        if heading:
            self.headings.append(slug(heading[1]))
        self.links += [Piece(self.path, number, found[1] or found[2]) for found in LINK.finditer(line)]
        self.words += [Piece(self.path, number, word) for word in re.findall(r"`([^`]+)`", line)]


def anchors(path):
    """Of the headings of a file. A heading that occurs twice gets a number."""
    document = Document(path)
    seen, found = {}, set(re.findall('<a id="([^"]+)">', document.text))
    for heading in document.headings:
        found.add(heading if heading not in seen else f"{heading}-{seen[heading]}")
        seen[heading] = seen.get(heading, 0) + 1
    return found


def documents():
    """All Markdown files that belong to the tree."""
    paths = [path for path in ROOT.rglob("*.md") if not {"build", ".git", "node_modules"} & set(path.relative_to(ROOT).parts)]
    return [Document(path) for path in sorted(paths)]
