"""What an answer costs: the agent against the baseline, per CPU second and in latency."""

import contextlib
import signal
import threading
import urllib.request

from bench import ROUNDS, Echo, Setting, Table, compare, load, median, ratio, verdict
from field import Field

THROUGHPUT = [(Setting(16, 32), 0.9), (Setting(16, 32, batch=1), 0.9), (Setting(1, 1), 0.95), (Setting(200, 1), 0.95)]
LATENCY = 1.1
DISTURBED_S = 10


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
    return [cost, delay, disturbed()]


class Disturbance(threading.Thread):
    """Scrapes, reloads and failovers, one after the other, until it is told to stop."""

    def __init__(self, field):
        super().__init__()
        self.field, self.ending = field, threading.Event()
        self.scrapes = self.reloads = self.switches = 0

    def run(self):
        while not self.ending.wait(0.05):
            with urllib.request.urlopen(f"http://{self.field.agent.http_address}/metrics", timeout=10) as reply:
                reply.read()
            self.scrapes += 1
            if self.scrapes % 10 == 5:
                self.field.agent.signal(signal.SIGHUP)
                self.reloads += 1
            if self.scrapes % 10 == 0:
                self.field.fail_over()
                self.switches += 1


def disturbed(services=100):
    """The longest answer while all that the agent also does goes on; the baseline has the same neighbours."""
    table = Table(f"Latency while {services} services are polled, scraped, reloaded and fail over",
                  ["", "p50 µs", "p99.9 µs", "longest, ms", "answers over 10 ms", "target", ""])
    with contextlib.ExitStack() as stack:
        field = stack.enter_context(Field(services=services, agent="http = 127.0.0.1:0\n"))
        echo = stack.enter_context(Echo(field.actions()))
        setting = Setting(16, 1, services=services)
        noise = Disturbance(field)
        noise.start()
        results = [[load(server, setting, DISTURBED_S / ROUNDS) for _ in range(ROUNDS)] for server in (field.tcp, echo)]
        noise.ending.set()
        noise.join()
    for name, rounds in zip((f"agent ({noise.scrapes} scrapes, {noise.reloads} reloads, {noise.switches} failovers in both)",
                             "baseline"), results):
        slow = sum(one["over_10ms"] for one in rounds)
        table.add(name, f"{median(rounds, 'p50_us'):.0f}", f"{median(rounds, 'p999_us'):.0f}",
                  f"{max(one['max_us'] for one in rounds) / 1000:.1f}", slow,
                  *(("none that the baseline has not", verdict(slow, sum(o["over_10ms"] for o in results[1])))
                    if name != "baseline" else ("", "")))
    return table
