"""What programs print, as spoa/doc/failover.md shows it. The tests compare the two; with SHOWN=spoa/doc/failover.md in the environment
they put there what was printed, and the pictures beside it.
"""

import os
from pathlib import Path

import marks
from cluster import ROOT
from masked import masked_failover

DOCUMENT = ROOT / "spoa" / "doc" / "failover.md"


def destination():
    """The document that is to be written, None where none is."""
    return Path(os.environ["SHOWN"]).absolute() if "SHOWN" in os.environ else None


def put(part, lines):
    """Into the document, if one is to be written."""
    path = destination()
    if path:
        path.write_text(marks.replace(path.read_text(), f"failover-shown, {part}", lines))


def kept(part):
    """The lines of this part of the document."""
    return marks.parts(DOCUMENT.read_text(), f"failover-shown, {part}")[1]


def masked(lines):
    """Without what differs from one failover to the next."""
    return [masked_failover(line) for line in lines]
