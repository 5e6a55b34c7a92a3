"""Who still writes to a former master, and how late: no session to it may live on.

    with FormerMasters(cluster) as former:
        ...
    former.judge(writes, frozen)            # AssertionError where a write landed on a former master that must not
    former.story()

A server is a former master from the agent's line `master-switch` on, until the agent names it again. A write may land there
- for LIMIT after the switch. The time in which the agent was frozen does not count: it can tell nobody.
- never when it began after `sessions-cut`: then HAProxy has confirmed that no session to this server is left.
"""

from dataclasses import dataclass

from observers import Background, DatedLog

# HAProxy's master is away while it reloads itself. That of 3.2 does not answer where the worker ends in this moment, and the
# agent gives up a call after 2 s.
LIMIT = 3.0  # seconds
SLACK = 0.1  # a line of the log may be seen so much later than it took effect


@dataclass
class Former:
    """A time for which a server was a former master. Times are of time.monotonic()."""
    server: str
    since: float
    until: float = float("inf")
    cut: float = float("inf")  # when HAProxy had confirmed


class FormerMasters(Background):
    def __init__(self, cluster):
        super().__init__()
        self.names = {node.port: node.name for node in cluster.redis}
        self.log = DatedLog(cluster.agent)
        self.late = []  # seconds after the switch, of each write that landed there

    def step(self):
        self.log.read()

    def periods(self):
        """All of them, by the agent's log."""
        periods = []
        for when, line in self.log.lines:
            if line.get("event") == "master-switch":
                for one in self.open_periods(periods, line["new-server"]):
                    one.until = when - SLACK
                periods.append(Former(line["old-server"], when))
            elif line.get("event") == "sessions-cut":
                for one in self.open_periods(periods, line["server"]):
                    one.cut = min(one.cut, when)
        return periods

    @staticmethod
    def open_periods(periods, server):
        return [one for one in periods if one.server == server and one.until == float("inf")]

    def judge(self, writes, frozen):
        """writes: Attempt or Write; frozen: (begin, end) of each time in which the agent was."""
        found = []
        periods = self.periods()
        for write in writes:
            for one in periods:
                if not write.port or self.names[write.port] != one.server or not one.since < write.ended < one.until:
                    continue
                late = write.ended - one.since - overlap(frozen, one.since, write.ended)
                self.late.append(late)
                if late > LIMIT:
                    found.append(f"{write.key} on {one.server} {late:.2f} s after the switch")
                elif write.started > one.cut + SLACK:
                    found.append(f"{write.key} on {one.server} {write.started - one.cut:.2f} s after its sessions were cut")
        assert not found, f"{len(found)} writes on a former master, the first: {found[:5]}"

    def story(self):
        """In words, after judge()."""
        latest = f", the last {1000 * max(self.late):.0f} ms after the switch" if self.late else ""
        return f"{len(self.periods()) - 1} switches, {len(self.late)} writes landed on a former master{latest}"


def overlap(spans, begin, end):
    """How much of [begin, end] is in these spans, which do not overlap each other."""
    return sum(max(0.0, min(end, last) - max(begin, first)) for first, last in spans)
