"""Parts of a document that a program writes. They stand between two comments, <!-- NAME: begin --> and <!-- NAME: end -->."""

import os

from cluster import ROOT


def table(head, rows):
    """Its lines, as Markdown."""
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(row)} |" for row in rows)]


def parts(text, name):
    """(what is before the part, its lines, what is behind it); the comments belong to what is around it."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, is_there, rest = text.partition(begin)
    middle, is_closed, after = rest.partition(end)
    assert is_there and is_closed, f"{begin} and {end} are not there"
    return before + begin, middle.strip("\n").splitlines(), end + after


def replace(text, name, lines):
    """The text with these lines in place of the part."""
    before, _, after = parts(text, name)
    return "\n".join([before, *lines, after])


def part(path, name):
    """What stands in the document of the tree now, as lines."""
    return parts((ROOT / path).read_text(), name)[1]


def check_part(path, name, lines):
    """These lines stand there. With UPDATE=1 in the environment they are written there first."""
    if os.environ.get("UPDATE"):
        (ROOT / path).write_text(replace((ROOT / path).read_text(), name, lines))
    assert part(path, name) == lines, f"{path} has another '{name}' than the code; UPDATE=1 in the environment writes it"
