"""How often `down-after` takes a master to be down that is well, when network or machine are not at their best.

    for row in run("idle", seconds=60):
        row.alarms, row.highest_age, row.cut ...

Each Redis, Sentinel and HAProxy is on a host of its own. There is one HAProxy and agent for each of LIMITS, and all of
them see the same. One of the agents has no `down-after`, to compare with.
"""

import contextlib
import json
import os
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import permutations

from cluster import HOST, SERVER, SERVICE, edited
from load import Load
from netns import Detour, NetCluster, Network
from observers import Background
from process import Process, wait_until
from resp import connect_unix

LIMITS = (0, 1500, 2000)  # ms; 0: off
DOWN_AFTER = 10000  # ms; the Sentinels' own, so that they do nothing meanwhile
LOOK = 0.05  # seconds between two looks at what an agent knows
BREAK = 1.7  # seconds between two stops of the master: not in step with the Sentinels' PINGs
TILT_BREAK = 4.3
PER_CORE = 2  # programs that do nothing but burn
SHORT, PERSISTENT = 4, 4  # clients of each HAProxy
KILLED = r" K\S \d+/"  # in HAProxy's log, of a session that was cut


class Field(NetCluster):
    """The cluster of one run."""

    def __init__(self, network):
        super().__init__(network, sites=len(LIMITS), recipe="runtime-api")
        self.park = None
        self.limits = {agent.name: limit for (agent, _), limit in zip(self.sites, LIMITS)}
        self.redis[0].extra = "enable-debug-command yes"
        for sentinel, host in zip(self.sentinels, network.hosts[-len(self.sentinels):]):
            sentinel.move(host.address, host.words())

    def agent_config(self, edits=None):
        section = f"[service {SERVICE}]\n"
        more = {f"http = {HOST}:0\n": f"http = unix:{self.http(self.agent)}\n",
                section: f"{section}down-after = {self.limits[self.agent.name]}ms\n"}
        return edited(super().agent_config(edits), more, "sentinel-spoa.conf")

    def http(self, agent):
        return self.directory / f"{agent.name}-http.sock"

    def start(self):
        self.start_redis()
        self.start_sentinels(down_after=DOWN_AFTER)
        self.start_agent()
        self.start_haproxy()
        for site in self.sites:
            self.turn_to(*site)
            self.wait_served()

    def get(self, agent, path):
        """What the agent says by HTTP."""
        with connect_unix(self.http(agent), 10) as sock:
            sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            answer = b"".join(iter(lambda: sock.recv(65536), b""))
        return answer.partition(b"\r\n\r\n")[2].decode()

    def waited(self, agent):
        """How many connections have waited for a name so far."""
        name = "redis_spoa_parked_duration_seconds_count "
        return int(next(line for line in self.get(agent, "/metrics").splitlines() if line.startswith(name)).split()[1])


class Watcher(Background):
    """What the agents do from now on, and the ages that they are told."""

    def __init__(self, field):
        super().__init__()
        self.field = field
        self.marks = {agent.name: agent.mark() for agent, _ in field.sites}
        self.waited = {agent.name: field.waited(agent) for agent, _ in field.sites}
        self.highest = dict.fromkeys(self.marks, 0)  # ms

    def step(self):
        for agent, _ in self.field.sites:
            service, = json.loads(self.field.get(agent, "/status"))["services"]
            ages = [voice["silence-ms"] or 0 for voice in service["sentinels"]]
            self.highest[agent.name] = max(self.highest[agent.name], *ages)
        self.ending.wait(LOOK)

    def fences(self, agent):
        """When each began, and when each ended."""
        return [[when(line) for line in agent.log_lines(event=event, since=self.marks[agent.name])] for event in ("fenced", "fence-ended")]

    def is_over(self):
        return all(len(began) == len(ended) for began, ended in (self.fences(agent) for agent, _ in self.field.sites))

    def row(self, condition, seconds, site, short):
        """Of one agent; short: its clients that connect for each write."""
        agent, haproxy = site
        began, ended = self.fences(agent)
        return Row(condition, self.field.limits[agent.name], seconds, self.highest[agent.name], alarms=len(began), down=sum(ended) - sum(began),
                   cut=len(haproxy.log_lines(KILLED)), waited=self.field.waited(agent) - self.waited[agent.name],
                   refused=len(short.refused()), attempts=len(short.attempts))


def when(line):
    """Of a line of the log, in seconds."""
    return datetime.fromisoformat(line["ts"].replace("Z", "+00:00")).timestamp()


@dataclass
class Row:
    """What one agent did."""
    condition: str
    limit: int  # down-after, ms; 0: off
    seconds: float
    highest_age: int  # ms, of any Sentinel
    alarms: int
    down: float  # seconds in all
    cut: int  # sessions, by the agent
    waited: int  # new connections, for whatever reason
    refused: int  # new connections, for whatever reason
    attempts: int  # new connections

    def cells(self):
        return (self.condition, f"{self.limit} ms" if self.limit else "off", f"{self.seconds:.0f}", str(self.highest_age), str(self.alarms),
                f"{self.down:.1f}", str(self.cut), str(self.waited), f"{self.refused} of {self.attempts}")


HEAD = ("condition", "`down-after`", "seconds", "highest age, ms", "times down", "seconds down", "sessions cut", "connections that waited",
        "connections refused")


# ---- conditions: what holds all the time, and what is done again and again ----

class Burner(Process):
    def command(self):
        return [sys.executable, "-c", "while True: pass"]


class Flood(Process):
    """Writes as fast as the master takes them."""

    def __init__(self, master):
        super().__init__("flood", master.directory)
        self.master = master

    def command(self):
        return [f"{SERVER}-benchmark", "-s", self.master.address, "-c", "50", "-t", "set", "-r", "100000", "-l", "-q"]


@contextlib.contextmanager
def busy(field):
    """All cores burn, and the master is flooded."""
    burners = [Burner(f"burner{i}", field.directory) for i in range(PER_CORE * os.cpu_count())]
    programs = [Flood(field.redis[0]), *burners]
    try:
        for program in programs:
            program.spawn()
        yield
        for program in programs:
            program.check_alive()
    finally:
        for program in programs:
            program.kill()


@contextlib.contextmanager
def lossy(loss, field):
    with Detour(field.network, loss=loss) as detour:
        for pair in permutations(field.network.hosts, 2):
            detour.lead(*pair)
        yield


@contextlib.contextmanager
def calm(_field):
    yield


def rest(_field):
    time.sleep(0.5)


def stop_master(seconds, field):
    halt(field.redis[:1], seconds)
    time.sleep(BREAK)


def stop_sentinels(count, field):
    """For 3 s: then they are in TILT for 30 s."""
    halt(field.sentinels[:count], 3)
    time.sleep(TILT_BREAK)


def halt(programs, seconds):
    for program in programs:
        program.pause()
    time.sleep(seconds)
    for program in programs:
        program.resume()


def sleep_in_command(field):
    field.redis[0].call("DEBUG", "SLEEP", "1.2", timeout=10)
    time.sleep(BREAK)


# Each is done again and again, but for the first four, which hold all the time.
CONDITIONS = {
    "idle": (calm, rest),
    "all cores busy, writes flat out": (busy, rest),
    "5 % of packets lost": (partial(lossy, 0.05), rest),
    "20 % of packets lost": (partial(lossy, 0.2), rest),
    "one Sentinel stops for 3 s": (calm, partial(stop_sentinels, 1)),
    "two Sentinels stop for 3 s": (calm, partial(stop_sentinels, 2)),
    "master stops for 1.2 s": (calm, partial(stop_master, 1.2)),
    "`DEBUG SLEEP 1.2`": (calm, sleep_in_command),
    "master stops for 1.8 s": (calm, partial(stop_master, 1.8)),
}


# ---- a run ----

def run(name, seconds):
    """A row for each of LIMITS."""
    around, beat = CONDITIONS[name]
    with Network(3 + len(LIMITS) + 3) as network, Field(network) as field:
        field.start()
        with contextlib.ExitStack() as stack:
            short = [stack.enter_context(Load(haproxy.address, SHORT, pause=0.05, prefix="short")) for _, haproxy in field.sites]
            for _, haproxy in field.sites:
                stack.enter_context(Load(haproxy.address, PERSISTENT, persistent=True, pause=0.1, prefix="stay"))
            with Watcher(field) as watcher, around(field):
                began = time.monotonic()
                while time.monotonic() < began + seconds:
                    beat(field)
                took = time.monotonic() - began
            wait_until(watcher.is_over, 30, "nobody is fenced")
        assert field.named() is field.redis[0]  # the Sentinels did nothing
        return [watcher.row(name, took, site, load) for site, load in zip(field.sites, short)]
