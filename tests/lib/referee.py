"""Who was right: what every Sentinel said, what the agent answered, and whether the one allows the other.

    with Watch(cluster) as watch:                   # a referee, a questioner and a writer, in the background
        cluster.redis[0].kill()
        cluster.wait_failover(cluster.redis[0])
    watch.judge()                                   # AssertionError where the agent named a node that it must not name
    watch.story()                                   # "R1, nobody 3.1 s, R2"

The referee asks every Sentinel fifty times a second. An answer that names X is right where a majority of all Sentinels
were each seen to name X at some time within the life of a vote before it. A view is known at the looks only; between
two looks it may be either one, so a look counts from the one before it to the one after it: SLACK. A Sentinel that does
not answer the referee keeps the view of its last answer: it cannot change it for anybody while it is dead or frozen,
and what it says when it goes on is the next look.
"""

import time
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from observers import PAUSE, Background, Writer
from process import wait_until
from resp import RespError
from spop_client import SpopClient

LOOK = 0.02  # seconds between two looks at a Sentinel
ASK = 0.01  # seconds between two questions to the agent
SLACK = 0.1  # several looks, on a machine that has other things to do
VOTE_LIFE = 2.0  # the agent's default


@dataclass
class Look:
    """What a Sentinel said. Times are of time.monotonic()."""
    asked: float
    answered: float
    address: tuple  # (host, port), or None where it knows no such master


@dataclass
class Answer:
    """What the agent said."""
    asked: float
    answered: float
    variables: dict

    @property
    def master(self):
        return self.variables.get("master")

    @property
    def address(self):
        return (str(self.variables["addr"]), self.variables["port"]) if self.variables.get("addr") else None


class Looker(Background):
    """Looks at one Sentinel; a thread of its own, so that a frozen one does not hold up the others."""

    def __init__(self, sentinel, service):
        super().__init__()
        self.sentinel = sentinel
        self.service = service
        self.connection = None
        self.looks = []

    def step(self):
        asked = time.monotonic()
        try:
            if self.connection is None:
                self.connection = self.sentinel.connect(60.0)
            reply = self.connection.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service)
            self.looks.append(Look(asked, time.monotonic(), (reply[0], int(reply[1])) if reply else None))
        except (OSError, RespError, ValueError):
            self.close()
        self.ending.wait(LOOK - PAUSE)

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def __exit__(self, *exc):
        self.ending.set()
        self.thread.join(0.5)
        if self.thread.is_alive() and self.connection is not None:  # it waits for a frozen Sentinel
            self.connection.sock.shutdown(2)
            self.thread.join()
        self.close()

    def has_looked(self, since):
        """Has it begun a look after `since` and ended it? A Sentinel that is dead or frozen need not be waited for."""
        return not self.sentinel.alive() or self.sentinel.paused or (self.looks and self.looks[-1].asked > since)

    def named(self, address, since, until):
        """Was it seen to name this address at some time in [since, until]?"""
        # One look after the other: both times only grow.
        first = bisect_left(self.looks, since - SLACK, key=lambda look: look.answered)
        last = bisect_right(self.looks, until + SLACK, key=lambda look: look.asked)
        return any(look.address == address for look in self.looks[first:last])


class Questioner(Background):
    """Asks the agent at `address` (as SpopClient takes it) again and again on one connection."""

    def __init__(self, address, service="mymaster"):
        super().__init__()
        self.address = address
        self.service = service
        self.client = None
        self.answers = []

    def step(self):
        asked = time.monotonic()
        try:
            if self.client is None:
                self.client = SpopClient(self.address, timeout=5)
                self.client.hello()
            variables = self.client.ask(self.service)
            self.answers.append(Answer(asked, time.monotonic(), variables))
        except (OSError, AssertionError):
            self.close()
        self.ending.wait(ASK - PAUSE)

    def close(self):
        if self.client is not None:
            self.client.close()
        self.client = None

    def __exit__(self, *exc):
        super().__exit__(*exc)
        self.close()

    def spans(self):
        """The answers as (name or None, start, end), equal ones in one."""
        spans = []
        for answer in self.answers:
            if spans and spans[-1][0] == answer.master:
                spans[-1][2] = answer.answered
            else:
                spans.append([answer.master, answer.asked, answer.answered])
        return spans

    def unnamed(self, since=0.0):
        """Seconds for which nobody was named, from the first answer without a name to the next with one."""
        spans = self.spans()
        total = 0.0
        for i, (name, start, end) in enumerate(spans):
            if name is None and start >= since:
                total += (spans[i + 1][1] if i + 1 < len(spans) else end) - start
        return total

    def story(self):
        """What was answered, in words: "R1, nobody 3.1 s, R2". What is shorter than 5 ms is left out."""
        words = []
        spans = self.spans()
        for i, (name, start, _) in enumerate(spans):
            end = spans[i + 1][1] if i + 1 < len(spans) else spans[i][2]
            if name is not None:
                if not words or words[-1] != name:
                    words.append(name)
            elif end - start >= 0.005:
                words.append(f"nobody {end - start:.2f} s" if end - start < 1 else f"nobody {end - start:.1f} s")
        return ", ".join(words)


def violations(lookers, questioner, vote_life=VOTE_LIFE):
    """Every answer that names a node which no majority was seen to name within the life of a vote, in words."""
    found = []
    for answer in questioner.answers:
        if answer.address is None:
            continue
        backers = [looker.sentinel.name for looker in lookers
                   if looker.named(answer.address, answer.asked - vote_life, answer.answered)]
        if 2 * len(backers) <= len(lookers):
            found.append(f"at {answer.asked:.3f} {answer.master} {answer.address} was named, backed by {backers} only")
    return found


class Watch:
    """A referee at every Sentinel of the cluster, a questioner at each agent, and a writer through HAProxy."""

    def __init__(self, cluster, agents=None, writer=True, vote_life=VOTE_LIFE):
        self.cluster = cluster
        self.vote_life = vote_life
        self.lookers = [Looker(sentinel, "mymaster") for sentinel in cluster.sentinels]
        self.questioners = [Questioner(agent.spop_address) for agent in agents or [cluster.agent]]
        self.writer = Writer(cluster.haproxy.address, timeout=15) if writer else None

    def parts(self):
        return [*self.lookers, *self.questioners, *([self.writer] if self.writer else [])]

    def __enter__(self):
        for part in self.parts():
            part.__enter__()
        return self

    def __exit__(self, *exc):
        """The referee stays until it has seen what the last answer may rest on."""
        others = [part for part in self.parts() if part not in self.lookers]
        for part in others + self.lookers if exc[0] else others:
            part.ending.set()
        for part in others:
            part.__exit__(*exc)
        ended = time.monotonic()
        while exc[0] is None and time.monotonic() < ended + 1 and not all(one.has_looked(ended) for one in self.lookers):
            time.sleep(LOOK)
        for looker in self.lookers:
            looker.ending.set()
        for looker in self.lookers:
            looker.__exit__(*exc)

    @property
    def questioner(self):
        return self.questioners[0]

    def judge(self):
        """All answers of all agents were right, and there were some, as many as can be expected of a thread."""
        for questioner in self.questioners:
            found = violations(self.lookers, questioner, self.vote_life)
            assert not found, f"{len(found)} wrong answers, the first: {found[:5]}"
            assert len(questioner.answers) > 20
        assert all(looker.looks for looker in self.lookers)

    @property
    def last(self):
        """The agent's last answer."""
        return self.questioner.answers[-1]

    def wait_named(self, name, timeout=30):
        """Wait until the agent names this server."""
        wait_until(lambda: self.questioner.answers and self.last.master == name, timeout, f"{name} is named")

    def stay(self, seconds):
        """Let so much time go by, while the threads watch: a promise for a time can be seen in that time only."""
        until = time.monotonic() + seconds
        wait_until(lambda: time.monotonic() > until, seconds + 5, "the time has gone by")
        assert self.last.asked > until - 1

    def named_since(self, since):
        """The names in answers to questions that were asked after `since`."""
        return {answer.master for answer in self.questioner.answers if answer.asked > since}
