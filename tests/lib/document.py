"""Parts of the documentation that are made from the code: between <!-- NAME --> and <!-- /NAME --> in a document."""

import os

from cluster import ROOT


def table(*rows):
    """Rows of cells, the first one the heads, as Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def part(path, name):
    """What stands in the document now."""
    text = (ROOT / path).read_text()
    return text.split(f"<!-- {name} -->\n")[1].split(f"\n<!-- /{name} -->")[0]


def check_part(path, name, wanted):
    """It is what the code says. With UPDATE=1 in the environment it is written there first."""
    if os.environ.get("UPDATE"):
        text = (ROOT / path).read_text()
        head, rest = text.split(f"<!-- {name} -->\n")
        tail = rest.split(f"<!-- /{name} -->")[1]
        (ROOT / path).write_text(f"{head}<!-- {name} -->\n{wanted}\n<!-- /{name} -->{tail}")
    assert part(path, name) == wanted, f"{path} has another '{name}' than the code; UPDATE=1 in the environment writes it"
