"""What the measurements share: programs on CPUs of their own, what the operating system says of them, tables.

The server that is measured runs on the first CPU, all that asks it on the last. Figures that are compared come from one
run, measured by turns in many short rounds: a ratio is the median of the ratios of rounds that were neighbours.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "lib"))

from process import die_with, wait_until  # noqa: E402

PROGRAMS = ROOT / "build" / "release" / "bench"
ROUNDS = int(os.environ.get("ROUNDS", "15"))
SECONDS = float(os.environ.get("SECONDS_PER_ROUND", "0.4"))
CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU, CLIENT_CPU = CPUS[0], CPUS[-1]
# So is this program, and what it starts without another word.
os.sched_setaffinity(0, {CLIENT_CPU})


@dataclass
class Table:
    """Rows of text, as they are printed."""
    title: str
    head: list
    rows: list = field(default_factory=list)

    def add(self, *cells):
        self.rows.append([str(cell) for cell in cells])

    def markdown(self):
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        return f"### {self.title}\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def verdict(value, limit, most=True):
    """"met" or "missed": the value may be `limit` at the most, or must be at the least."""
    return "met" if (value <= limit if most else value >= limit) else "**missed**"


def pin(pid, cpu):
    """To one CPU, with all threads that there are."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), {cpu})


def cpu_ns(pid):
    """Processor time of a process so far, in nanoseconds."""
    tasks = Path(f"/proc/{pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir())


def resident_bytes(pid):
    """Memory in use; the share of it that belongs to nobody else comes second."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return tuple(int(lines[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon"))


class Program:
    """One of the programs of this directory, which ends with its standard input."""

    def __init__(self, *words, cpu, lines=1, prefix=()):
        """lines: how many it prints at first; prefix: words in front of the command."""
        self.child = subprocess.Popen([*prefix, PROGRAMS / words[0], *map(str, words[1:])], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True, preexec_fn=die_with(os.getpid()))
        pin(self.child.pid, cpu)
        self.lines = [self.child.stdout.readline().strip() for _ in range(lines)]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.child.stdin.close()
        self.child.stdout.close()
        self.child.wait(10)

    @property
    def pid(self):
        return self.child.pid

    def say(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()


def ask(program, *words, timeout=60):
    """Run one of the load generators; the JSON that it prints."""
    done = subprocess.run([PROGRAMS / program, *map(str, words)], stdout=subprocess.PIPE, check=True, timeout=timeout,
                          preexec_fn=lambda: os.sched_setaffinity(0, {CLIENT_CPU}))
    return json.loads(done.stdout)


@dataclass(frozen=True)
class Setting:
    """How an agent is asked."""
    connections: int
    depth: int
    batch: int = 128
    services: int = 1
    idle: int = 0

    def __str__(self):
        return f"{self.connections} × {self.depth}" + (", one a write" if self.batch < self.depth else "")


def load(server, setting, seconds=SECONDS):
    """Ask a server (with pid and address) for so long; what load says, and the processor time per answer."""
    result = ask("load", server.address, server.pid, setting.connections, setting.depth, setting.batch, setting.services,
                 setting.idle, seconds)
    result["ns"] = result["cpu_ns"] / result["answers"]
    return result


def compare(one, other, setting, rounds=ROUNDS):
    """Both by turns; a pair of lists of what load() says."""
    pairs = []
    for i in range(rounds):
        order = (one, other) if i % 2 == 0 else (other, one)
        results = [load(server, setting) for server in order]
        pairs.append(results if i % 2 == 0 else results[::-1])
    return [list(side) for side in zip(*pairs)]


def median(results, key):
    return statistics.median(result[key] for result in results)


def ratio(results, others, key):
    """The median of the ratios of neighbours."""
    return statistics.median(a[key] / b[key] for a, b in zip(results, others) if b[key])


class Echo(Program):
    """The baseline: gives the same answer as the agent, without a look at the question."""

    def __init__(self, actions, path=None, cpu=SERVER_CPU):
        super().__init__("echo", path or "-", actions.hex(), cpu=cpu)
        self.address = f"unix:{path}" if path else f"127.0.0.1:{self.lines[0]}"


def wait_idle(pid, seconds=0.2, share=0.05, timeout=120):
    """Until a process uses less than this share of a CPU: it has nothing left to do from its start."""
    def is_idle():
        before, began = cpu_ns(pid), time.monotonic_ns()
        time.sleep(seconds)
        return cpu_ns(pid) - before < share * (time.monotonic_ns() - began)
    wait_until(is_idle, timeout, "the agent has nothing to do")
