"""How long an answer takes while thousands of services are reloaded: beside the same agent left alone, and beside the baseline.

By turns, in rounds; the longest of all rounds counts. From inside the agent's own histogram of the turns of its loop. Priorities
are as in storm.py."""

import contextlib
import signal
import threading

from bench import ROUNDS, Echo, Table, verdict, wait_idle
from field import Field
from stalls import longest_bound, over, stalls
from storm import LONGEST_MS, ask, hurry

SIZES = [(1000, "off"), (1000, "veto"), (10000, "off"), (5000, "veto"), (10000, "veto")]
TIMES = min(4, ROUNDS)
WATCH_S = 3.0  # a reload is over by then
# Thousands of nodes on one CPU, with the client: asked every second they would be late by themselves.
POLLS = "poll = 5s\nvote-life = 20s\n"


def reload_and_ask(field, address):
    """How long the answers took, and the turns of the loop before and after."""
    mark = field.agent.mark()
    before = stalls(field)
    timer = threading.Timer(0.3, field.agent.signal, [signal.SIGHUP])
    timer.start()
    took = ask(address, "s00000", WATCH_S)
    field.agent.wait_log(event="reloaded", since=mark, timeout=60)
    return took, before, stalls(field)


def measure(table, inside, services, check):
    with contextlib.ExitStack() as stack:
        field = stack.enter_context(Field(services=services, agent="http = 127.0.0.1:0\n", service=f"role-check = {check}\n",
                                         voters=POLLS))
        echo = stack.enter_context(Echo(field.actions()))
        for pid in (field.agent.pid, echo.pid, field.said.pid):
            hurry(pid, 1)
        hurry(0, 2)
        alone, reloaded, baseline = [], [], []
        for _ in range(TIMES):
            wait_idle(field.agent.pid, share=0.5)
            baseline += ask(echo.address, "s00000", WATCH_S)
            quiet = stalls(field)
            alone += ask(field.tcp.address, "s00000", WATCH_S)
            took, before, after = reload_and_ask(field, field.tcp.address)
            reloaded += took
            inside.add(f"{services:,}", check, over(before, after, "0.002"), over(before, after, "0.005"),
                       over(before, after, "0.01"), longest_bound(before, after), over(quiet, before, "0.002"), longest_bound(quiet, before))
        hurry(0, 0)
    for name, took in (("baseline", baseline), ("agent, left alone", alone), (f"agent, {TIMES} reloads", reloaded)):
        took.sort()
        target = (f"< {LONGEST_MS} ms", verdict(took[-1], LONGEST_MS)) if took is reloaded else ("", "")
        table.add(f"{services:,}", check, name, f"{len(took):,}", f"{took[len(took) // 2]:.2f}", f"{took[-len(took) // 1000 - 1]:.2f}",
                  f"{took[-1]:.2f}", sum(one > LONGEST_MS for one in took), *target)


def tables():
    table = Table("Latency of an answer while all services are reloaded",
                  ["services", "role-check", "", "answers", "p50 ms", "p99.9 ms", "longest, ms", f"over {LONGEST_MS} ms", "target", ""])
    inside = Table("Turns of the loop around each of these reloads, by `redis_spoa_loop_stall_seconds`",
                   ["services", "role-check", "over 2 ms", "over 5 ms", "over 10 ms", "longest", "left alone: over 2 ms", "longest"])
    for services, check in SIZES:
        measure(table, inside, services, check)
    return [table, inside]
