"""What happens when the Sentinels move all services to another master in the same moment: how soon the last one is named, how
long an answer about another service takes meanwhile, and what HAProxy's runtime API is asked.

The agent, the Sentinels, the baseline and what asks them have a real-time priority, as in storm.py. The runtime API and the programs at a switch
have none."""

import contextlib
import multiprocessing
import os
import time
from datetime import datetime

import spop_client as spop
from bench import CLIENT_CPU, Echo, Table, cpu_ns, verdict, wait_idle
from fake_api import FakeApi
from field import Field
from process import parse_logfmt, wait_until
from stalls import longest_bound, stalls
from storm import LONGEST_MS, ask_for, hurry

SERVICES = int(os.environ.get("BURST", "1000"))
FAILOVERS = 4
NAMED_MS = 200  # from the moment when a majority names them
BEFORE_S, AFTER_S = 0.5, 2.5
WAYS = {
    "nothing else": "",
    "cuts": "backend = be_NAME\n",
    "a program each": "on-switch = /bin/true\n",
    "cuts and a program each": "backend = be_NAME\non-switch = /bin/true\n",
}


class CountingApi(FakeApi):
    """Answers one connection after the other, without a pause."""

    def __init__(self, path, counts):
        super().__init__(path)
        self.counts = counts

    def run(self):
        while True:
            self.step()

    def noted(self, line):
        commands = super().noted(line)
        self.counts[0] += 1
        self.counts[1] += sum(command.startswith("shutdown") for command in commands)
        return commands


class Api:
    """By `with`: a CountingApi in a process of its own, so that it takes nobody's time."""

    def __init__(self, path):
        self.counts = multiprocessing.Array("L", 2)  # connections, and commands that shut sessions
        self.process = multiprocessing.Process(target=self.serve, args=(path,), daemon=True)
        self.path = path

    def serve(self, path):
        hurry(0, 0)
        os.sched_setaffinity(0, {CLIENT_CPU})
        CountingApi(path, self.counts).run()

    def __enter__(self):
        self.process.start()
        wait_until(self.path.exists, 10, "the runtime API is there")
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.join()

    def take(self):
        """What was counted since the last time."""
        with self.counts.get_lock():
            counted, self.counts[:] = list(self.counts), [0, 0]
        return counted


def watch(address):
    """The longest answers of the baseline, each in as long a time as a failover is watched."""
    longest = []
    with spop.SpopClient(address) as client:
        client.hello()
        for _ in range(FAILOVERS):
            longest.append(max(ask_for(client, spop.question("k0"), time.monotonic() + AFTER_S)))
    return longest


def named_ms(field, mark, begun):
    """After how many ms the first and the last of all services was named, by the log."""
    lines = [parse_logfmt(line) for line in field.agent.log_text(mark).splitlines() if "event=master-switch" in line]
    assert len(lines) == SERVICES, len(lines)
    times = [datetime.fromisoformat(line["ts"].replace("Z", "+00:00")).timestamp() for line in lines]
    return (min(times) - begun) * 1000, (max(times) - begun) * 1000


def fail_over(field, client):
    """One failover of all: (last one named, longest answer in ms, CPU ms of the agent)."""
    question = spop.question("k0")
    mark = field.agent.mark()
    ask_for(client, question, time.monotonic() + BEFORE_S)
    before = cpu_ns(field.agent.pid)
    begun = time.time()
    field.fail_over()
    took = ask_for(client, question, time.monotonic() + AFTER_S)
    used = (cpu_ns(field.agent.pid) - before) / 1e6
    wait_until(lambda: field.agent.log_text(mark).count("event=master-switch") >= SERVICES, 30, "all are named")
    return named_ms(field, mark, begun)[1], max(took), used


def calm_down(field, line):
    """Until everything is cut, and all programs have ended."""
    if "backend" in line:
        owed = f'redis_spoa_runtime_api_owed{{api="unix:{field.directory}/api.sock"}}'
        wait_until(lambda: field.agent.metric(owed) == 0, 60, "all is cut")
    wait_idle(field.agent.pid, share=0.3)


def measure(line):
    """A list of what fail_over() says, and one of (connections, commands) of the runtime API; the baseline's longest answers; the
    longest turn of the agent's loop."""
    with contextlib.ExitStack() as stack:
        field = Field(services=SERVICES, steady=1, announced=SERVICES, service=line + "role-check = off\n")
        api = stack.enter_context(Api(field.directory / "api.sock"))
        field.agent_lines = "http = 127.0.0.1:0\n" + (f"[haproxy]\nruntime-api = {field.directory}/api.sock\nbackend = be_all\n"
                                                      if "backend" in line else "")
        stack.enter_context(field)
        echo = stack.enter_context(Echo(field.actions()))
        wait_idle(field.agent.pid, share=0.3)
        calm_down(field, line)
        for pid in (field.agent.pid, field.said.pid, echo.pid):
            hurry(pid, 1)
        hurry(0, 2)
        found, counted = [], []
        longest = watch(echo.address)
        before = stalls(field)
        with spop.SpopClient(field.agent.address) as client:
            client.hello()
            for _ in range(FAILOVERS):
                api.take()
                found.append(fail_over(field, client))
                hurry(0, 0)
                calm_down(field, line)
                hurry(0, 2)
                counted.append(api.take())
        hurry(0, 0)
        inside = longest_bound(before, stalls(field))
    return found, counted, longest, inside


def tables():
    table = Table(f"A failover of {SERVICES:,} services in one moment, {FAILOVERS} times, 3 Sentinels that tell of it",
                  ["with", "the last is named after, ms", "target", "", "longest answer to others, ms", "target", "",
                   "the baseline's longest", "longest turn of the loop", "agent's CPU ms", "calls of the runtime API", "commands"])
    for name, line in WAYS.items():
        found, counted, baseline, inside = measure(line)
        last, took, used = (max(one[i] for one in found) for i in range(3))
        connections, commands = (max(one[i] for one in counted) for i in range(2))
        table.add(name, f"{last:.0f}", f"< {NAMED_MS}", verdict(last, NAMED_MS), f"{took:.1f}", f"< {LONGEST_MS}",
                  verdict(took, LONGEST_MS), f"{max(baseline):.1f}", inside, f"{used:.0f}", connections, f"{commands:,}")
    return [table]
