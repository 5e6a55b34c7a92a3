"""What each process pays as services and agents grow, in per cent of a CPU: an agent that nobody asks, with 5 Sentinels; a Sentinel
for its own masters; a Sentinel for the agents that ask it. Writes build/bench/scale.json, of which curve.py draws tests/bench/scale.svg.
"""

import contextlib
import json
import shutil
import tempfile
import time
from pathlib import Path

import sentinel
from bench import CLIENT_CPU, ROOT, SERVER_CPU, Program, Table, cpu_ns, pin, wait_idle
from field import Field
from process import free_ports
from storm import hurry

SENTINELS = 5
SERVICES = [100, 1000, 10000]
MASTERS = [100, 200, 500, 1000]
SETTLE_S, WATCH_S = 4, 8
LINES = {"agent": "an agent, role-check = off", "checking": "an agent, role-check = veto", "masters": "a Sentinel, for its masters",
         "shipped": "a Sentinel, for its agents", "down-after": "the same with down-after"}


def agent_share(services, check):
    with Field(sentinels=SENTINELS, services=services, service=f"role-check = {check}\n") as field:
        for pid in (field.agent.pid, field.said.pid):
            hurry(pid, 1)
        wait_idle(field.agent.pid, share=0.6)
        time.sleep(SETTLE_S)
        before, begun = cpu_ns(field.agent.pid), time.monotonic_ns()
        time.sleep(WATCH_S)
        return 100 * (cpu_ns(field.agent.pid) - before) / (time.monotonic_ns() - begun)


def sentinel_share(masters):
    """Of a Sentinel that nobody asks."""
    directory = Path(tempfile.mkdtemp(prefix="sentinel-spoa-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        nodes = stack.enter_context(Program("sentinels", 1, cpu=CLIENT_CPU, lines=2))
        one = sentinel.BusySentinel("sentinel", directory, free_ports(1)[0])
        one.write_config(nodes.lines[-1], masters)
        one.start(60)
        stack.callback(one.stop)
        pin(one.pid, SERVER_CPU)
        for pid in (one.pid, nodes.pid):
            hurry(pid, 1)
        time.sleep(SETTLE_S)
        return sentinel.share(one)[1]


def asked_shares(line):
    (_, _, idle), *rows = sentinel.measure(line)
    return [[count * sentinel.SERVICES, used - idle] for count, _, used in rows]


def tables():
    found = {
        "agent": [[count, agent_share(count, "off")] for count in SERVICES],
        "checking": [[count, agent_share(count, "veto")] for count in SERVICES],
        "masters": [[count, sentinel_share(count)] for count in MASTERS],
        "shipped": asked_shares(sentinel.WAYS["as shipped"]),
        "down-after": asked_shares(sentinel.WAYS["down-after"]),
    }
    lines = [f' "{key}": {json.dumps([[count, round(share, 2)] for count, share in points])}' for key, points in found.items()]
    (ROOT / "build/bench/scale.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    table = Table("What a process pays as services and agents grow", ["process", "services (× agents)", "per cent of a CPU"])
    for key, points in found.items():
        for count, share in points:
            table.add(LINES[key], f"{count:,}", f"{share:.2f}")
    return [table]
