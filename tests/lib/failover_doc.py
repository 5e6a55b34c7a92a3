"""What failovers cost, as it is kept and shown: rows of numbers in tests/tools/failover-report.json, and what spoa/doc/failover.md
has of them, tables and charts."""

import json
from dataclasses import asdict

import marks
from bars import Bar, draw
from cluster import ROOT
from failover import BOUNDED, DOWN_AFTER, WAYS

DATA = ROOT / "tests" / "tools" / "failover-report.json"
DOCUMENT = ROOT / "spoa" / "doc" / "failover.md"
PICTURES = ROOT / "spoa" / "doc" / "pictures"
KEY = ("scenario", "way", "min_replicas", "down_after")

RECIPE, PUSH, EARLY = "tcp-check recipe", "agent, push", "agent, push, early fence"
UNBOUNDED = "agent, push, early fence, witness, fence"
SHOWN = ("kill", "manual", "split")
HEADINGS = {"kill": "The master is killed", "manual": "SENTINEL FAILOVER", "split": "The network is split for 15 s"}
LABELS = {RECIPE: "tcp-check recipe", PUSH: "agent", EARLY: "agent, early-fence"}


# ---- the data ----

def load():
    return json.loads(DATA.read_text())


def keep(rows):
    """One row a line, so that a difference is readable."""
    DATA.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def row_of(result):
    """What is kept of a Result: whole numbers, and no word on what is not shown."""
    row = {key: round(value) if isinstance(value, float) else value for key, value in asdict(result).items()}
    del row["refused_late"]
    return row


def key_of(row):
    return tuple(row[key] for key in KEY)


def merge(rows, new, order):
    """The rows with those that were measured again in their places. order: all keys, each once."""
    measured = {key_of(row): row for row in [*rows, *new]}
    return [measured[key] for key in order if key in measured]


# ---- tables ----

def number(value, form=""):
    return "" if value is None else f"{value:{form}}"


def way_of(row):
    return row["way"] + (", `min-replicas`" if row["min_replicas"] else "")


def ways_table(rows):
    head = ("failover", "way", "refused", "longest gap, ms", "Sentinel took, ms", "last write to the old master, ms", "acknowledged and lost")
    return marks.table(head, [
        (row["scenario"], way_of(row), f"{row['refused']} of {row['attempts']}", number(row["gap"]), number(row["sentinel_took"]),
         number(row["late"], "+"), f"{row['lost']} of {row['acknowledged']}")
        for row in rows if row["way"] not in (UNBOUNDED, BOUNDED)])


def bounded_table(rows):
    """`down-after` and the same without it, where Sentinel waits for longer than it does in the other table."""
    head = ("failover", "`down-after-milliseconds`", "`down-after`", "refused", "last write to the old master, ms", "acknowledged and lost")
    return marks.table(head, [
        (row["scenario"], number(row["down_after"]), "1500 ms" if row["way"] == BOUNDED else "off",
         f"{row['refused']} of {row['attempts']}", number(row["last"]), f"{row['lost']} of {row['acknowledged']}")
        for row in rows if row["way"] in (UNBOUNDED, BOUNDED) and row["down_after"] > DOWN_AFTER])


TABLES = {"failover-report": ways_table, "failover-report, down-after": bounded_table}


def with_tables(text, rows):
    """The document with the tables between their marks."""
    for name, make in TABLES.items():
        text = marks.replace(text, name, make(rows))
    return text


# ---- charts ----

def percent(part, whole):
    return 100 * part / whole if whole else 0.0


def gap_bar(row):
    gap = row["gap"]
    return gap, f"{gap} ms" if gap < 1000 else f"{gap / 1000:.1f} s"


def refused_bar(row):
    return percent(row["refused"], row["attempts"]), f"{row['refused']} of {row['attempts']}"


def lost_bar(row):
    return percent(row["lost"], row["acknowledged"]), f"{row['lost']} of {row['acknowledged']}"


CHARTS = {
    "cost-gap.svg": ("Longest time without a served connection", gap_bar),
    "cost-refused.svg": ("Connections that were refused", refused_bar),
    "cost-lost.svg": ("Writes that were acknowledged and lost", lost_bar),
}


def chart(rows, title, measure):
    """The usual recipe beside the agent; Redis as it is shipped."""
    groups = []
    for scenario in SHOWN:
        bars = []
        for way, label in LABELS.items():
            row = next((row for row in rows if key_of(row) == (scenario, way, False, DOWN_AFTER)), None)
            if row:
                bars.append(Bar(label, *measure(row), is_ours=WAYS[way][0] is not None))
        groups.append((HEADINGS[scenario], bars))
    return draw(title, groups)


# ---- all of it ----

def made(rows):
    """{path: text} of all that is made of the data."""
    pictures = {PICTURES / name: chart(rows, *what) for name, what in CHARTS.items()}
    return {DOCUMENT: with_tables(DOCUMENT.read_text(), rows), **pictures}


def write(rows):
    for path, text in made(rows).items():
        path.write_text(text)


def stale(rows):
    """The files that are not what the data make."""
    return [path for path, text in made(rows).items() if not path.exists() or path.read_text() != text]
