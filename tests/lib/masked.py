"""What programs print, without what differs from one run to the next. Documents quote it, and tests compare the two."""

import re

MASKS = (
    (r"\[\d\d/\w+/[^]]*\]|\d{4}-\d\d-\d\dT\S+Z|\d\d:\d\d:\d\d", "TIME"),
    (r"\b\d+\.\d+\.\d+\.\d+(:\d+)?", "ADDRESS"),
    (r"[-+]?\d+(\.\d+)? (ms|s|min)\b", "AGE"),
    (r"\b((?:[a-z]+-)*ms|port|pid|sid)=\d+", r"\1=N"),
    (r"(\.conf|\.cfg):\d+:", r"\1:N:"),
    (r"-?\d+(/-?\d+)+", "N/N"),  # HAProxy's times, bytes and connections
    (r" +", " "),
)


def masked(text):
    """A line, or several, without times, addresses, ids, the numbers of lines in files and the width of columns."""
    for pattern, word in MASKS:
        text = re.sub(pattern, word, text)
    return text.strip()


def masked_failover(text):
    """The same of a failover: who was elected and what was counted differ, too."""
    return re.sub(r"\bR\d|[-+]?\d+", "N", masked(text))
