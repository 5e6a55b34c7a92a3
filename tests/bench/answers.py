"""What an answer costs: the agent against the baseline, per CPU second and in latency."""

import contextlib
import signal
import statistics
import threading
import time
import urllib.request

from bench import ROUNDS, Echo, Setting, Table, compare, cpu_ns, median, ratio, verdict, wait_idle
from field import Field

THROUGHPUT = [(Setting(16, 32), 0.9), (Setting(16, 32, batch=1), 0.9), (Setting(1, 1), 0.95), (Setting(200, 1), 0.95)]
LATENCY = 1.1
CHORE_SERVICES = 100
CHORE_MS = 10
CHORE_TIMES = min(3, ROUNDS)
CHORE_WATCH_S = 2.0  # two polls


def measure():
    """Both transports, all settings."""
    with contextlib.ExitStack() as stack:
        field = stack.enter_context(Field())
        actions = field.actions()
        servers = {"TCP": (field.tcp, stack.enter_context(Echo(actions))),
                   "UNIX": (field.unix, stack.enter_context(Echo(actions, path=field.directory / "echo.sock")))}
        return {(name, setting): compare(*pair, setting) for name, pair in servers.items() for setting, _ in THROUGHPUT}


def tables():
    found = measure()
    cost = Table("Answers per CPU second", ["socket", "connections × in flight", "agent", "baseline", "ratio", "target", ""])
    delay = Table("Latency, from the write of a NOTIFY to the read of its ACK",
                  ["socket", "connections × in flight", "p50 µs, agent", "baseline", "ratio", "p99 µs, agent", "baseline",
                   "ratio", "target", ""])
    for (socket, setting), (agent, echo) in found.items():
        least = dict(THROUGHPUT)[setting]
        speed = ratio(echo, agent, "ns")
        cost.add(socket, setting, f"{1e9 / median(agent, 'ns'):,.0f}", f"{1e9 / median(echo, 'ns'):,.0f}", f"{speed:.2f}",
                 f"≥ {least}", verdict(speed, least, most=False))
        if setting.depth == 1:
            ratios = [ratio(agent, echo, key) for key in ("p50_us", "p99_us")]
            cells = [[f"{median(side, key):.0f}" for side in (agent, echo)] + [f"{one:.2f}"]
                     for key, one in zip(("p50_us", "p99_us"), ratios)]
            delay.add(socket, setting, *cells[0], *cells[1], f"≤ {LATENCY}", verdict(max(ratios), LATENCY))
    return [cost, delay, disturbed(), chores()]


# ---- what an answer may have to wait for ----

def scrape(field):
    with urllib.request.urlopen(f"http://{field.agent.http_address}/metrics", timeout=10) as reply:
        return len(reply.read())


def reload(field):
    field.agent.signal(signal.SIGHUP)


CHORES = {"a scrape of /metrics": scrape, "a reload": reload, "a failover of all services": Field.fail_over}


class Disturbance(threading.Thread):
    """All chores by turns until it is told to stop."""

    def __init__(self, field):
        super().__init__()
        self.field, self.ending, self.rounds = field, threading.Event(), 0

    def run(self):
        while not self.ending.is_set():
            for chore in CHORES.values():
                chore(self.field)
                self.ending.wait(0.2)
            self.rounds += 1


def disturbed():
    """The longest answers while all that the agent also does goes on; the baseline has the same neighbours."""
    table = Table(f"Latency at 16 × 1 while {CHORE_SERVICES} services are polled, scraped, reloaded and fail over",
                  ["", "p50 µs", "p99.9 µs", "longest, ms", "answers over 10 ms"])
    with contextlib.ExitStack() as stack:
        field = stack.enter_context(Field(services=CHORE_SERVICES, agent="http = 127.0.0.1:0\n"))
        echo = stack.enter_context(Echo(field.actions()))
        noise = Disturbance(field)
        noise.start()
        results = compare(field.tcp, echo, Setting(16, 1, services=CHORE_SERVICES))
        noise.ending.set()
        noise.join()
    for name, rounds in zip((f"agent, {noise.rounds} of each meanwhile", "baseline"), results):
        table.add(name, f"{median(rounds, 'p50_us'):.0f}", f"{median(rounds, 'p999_us'):.0f}",
                  f"{max(one['max_us'] for one in rounds) / 1000:.1f}",
                  f"{sum(one['over_10ms'] for one in rounds)} of {sum(one['answers'] for one in rounds):,}")
    return table


def chores():
    """What each of them takes of a CPU, at the rate at which the machine lets it: an answer waits no longer than that."""
    table = Table("CPU time of what the agent also does: an answer cannot be held up for longer by it",
                  ["what", "services", "ms", "target", ""])
    for services in (1, CHORE_SERVICES, 1000):
        with Field(services=services, agent="http = 127.0.0.1:0\n") as field:
            for name, chore in CHORES.items():
                took = statistics.median(chore_ms(field, chore) for _ in range(CHORE_TIMES))
                goal = (f"≤ {CHORE_MS} ms", verdict(took, CHORE_MS)) if services == CHORE_SERVICES else ("", "")
                table.add(name, f"{services:,}", f"{took:.1f}", *goal)
    return table


def chore_ms(field, chore):
    """Until the agent has nothing more to do for it, without what it does all the time."""
    wait_idle(field.agent.pid)
    before, began = cpu_ns(field.agent.pid), time.monotonic()
    time.sleep(CHORE_WATCH_S)
    background = (cpu_ns(field.agent.pid) - before) / (time.monotonic() - began)
    before, began = cpu_ns(field.agent.pid), time.monotonic()
    chore(field)
    time.sleep(CHORE_WATCH_S)
    return (cpu_ns(field.agent.pid) - before - background * (time.monotonic() - began)) / 1e6
