"""Two threads that watch a cluster from outside: a writer through HAProxy, and a referee beside the Sentinels."""

import threading
import time
from dataclasses import dataclass

from process import parse_logfmt
from resp import Resp, RespError

PAUSE = 0.005  # seconds between two writes, and between two rounds of questions


@dataclass
class Write:
    """One attempt on a connection of its own. Times are of time.monotonic()."""
    key: str
    started: float
    ended: float
    port: int = 0  # of the Redis that acknowledged the write; 0 where none did
    error: str = ""  # what failed, else empty
    replied: bool = False  # the error is a reply of a Redis: the connection was not refused, as it should be


class Background:
    """A thread that calls step() every PAUSE seconds between start() and stop()."""

    def __init__(self):
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.ending.set()
        self.thread.join()

    def run(self):
        while not self.ending.is_set():
            self.step()
            self.ending.wait(PAUSE)

    def step(self):
        raise NotImplementedError


class Writer(Background):
    """Sets one new key after the other, each through a new connection, and notes which Redis took it."""

    def __init__(self, address, prefix="write", timeout=8.0):
        super().__init__()
        self.address = address
        self.prefix = prefix
        self.timeout = timeout
        self.writes = []

    def step(self):
        write = Write(f"{self.prefix}:{len(self.writes)}", time.monotonic(), 0.0)
        try:
            write.port = self.write(write.key)
        except RespError as error:
            write.error, write.replied = str(error), True
        except OSError as error:
            write.error = str(error)
        write.ended = time.monotonic()
        self.writes.append(write)

    def write(self, key):
        """Set the key; the port of the Redis that did. Both questions in one round trip."""
        with Resp(self.address, self.timeout) as connection:
            connection.send("SET", key, key)
            connection.send("CONFIG", "GET", "port")
            connection.read()
            return int(connection.read()[1])

    def acknowledged(self, port=None):
        """The writes that a Redis (the one on this port) has acknowledged, in order."""
        return [write for write in list(self.writes) if write.port and port in (None, write.port)]

    def refused(self):
        """The attempts that failed, in order."""
        return [write for write in list(self.writes) if write.error]


class DatedLog:
    """The log of a program, with the time at which each line was seen."""

    def __init__(self, program):
        self.program = program
        self.offset = program.mark()
        self.lines = []  # (when seen, fields)

    def read(self):
        """What has been written since the last time."""
        text = self.program.log_text(self.offset)
        self.offset += len(text.encode())
        now = time.monotonic()
        self.lines += [(now, parse_logfmt(line)) for line in text.splitlines()]


class Referee(Background):
    """Asks every Sentinel again and again whom it names, and reads the agent's log beside it."""

    def __init__(self, sentinels, agent, service="mymaster"):
        super().__init__()
        self.sentinels = sentinels
        self.service = service
        self.connections = {}
        self.votes = {}
        self.first_named = {}  # (host, port) -> when one Sentinel named it first
        self.majority_named = {}  # (host, port) -> when a majority named it first
        self.log = DatedLog(agent)

    def step(self):
        for sentinel in self.sentinels:
            self.votes[sentinel.name] = vote = self.ask(sentinel)
            if vote:
                self.first_named.setdefault(vote, time.monotonic())
                if 2 * list(self.votes.values()).count(vote) > len(self.sentinels):
                    self.majority_named.setdefault(vote, time.monotonic())
        self.log.read()

    def ask(self, sentinel):
        """The (host, port) that it names, None where it does not answer or knows no such service."""
        try:
            if sentinel.name not in self.connections:
                self.connections[sentinel.name] = Resp(sentinel.address, 0.5)
            reply = self.connections[sentinel.name].call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service)
            return (reply[0], int(reply[1])) if reply else None
        except (OSError, RespError):
            connection = self.connections.pop(sentinel.name, None)
            if connection:
                connection.close()
            return None

    def agent_event(self, **wanted):
        """When the agent's log first had a line with all these fields, and the line; None where it has none."""
        wanted = {key.replace("_", "-"): value for key, value in wanted.items()}
        return next(((when, line) for when, line in list(self.log.lines) if wanted.items() <= line.items()), None)
