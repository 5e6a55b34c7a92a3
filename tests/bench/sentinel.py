"""What a Sentinel pays for the agents that ask it: a real one of five, and more and more agents with 1,000 services each. The other four
are quick ones that only answer. The services share 50 masters: a Sentinel that monitors 1,000 of them takes a third of a CPU for itself,
and that third is not the same from second to second."""

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from bench import CLIENT_CPU, SERVER_CPU, Program, Table, cpu_ns, pin, verdict
from cluster import HOST, Agent, Sentinel
from field import server_lines
from process import free_ports
from storm import hurry

SERVICES = 1000
MASTERS = 50
AGENTS = [0, 1, 2, 5, 10, 20]
OTHERS = 4
WATCH_S = float(os.environ.get("SENTINEL_S", "5"))
SHARE = 5  # per cent of a CPU, for 10,000 services times agents
WAYS = {"as shipped": "", "down-after": "down-after = 2s\n"}


class BusySentinel(Sentinel):
    """Monitors masters that need not be Redis. Each has a replica."""

    def write_config(self, node_port, masters=MASTERS):
        lines = [f"port {self.port}", f"bind {HOST}", "dir .", "protected-mode no", f"sentinel myid {OTHERS:040d}"]
        for i in range(masters):
            name, where = f"s{i:05d}", f"{i // 256}.{i % 256} {node_port}"
            lines += [f"sentinel monitor {name} 127.16.{where} 3", f"sentinel down-after-milliseconds {name} 30000",
                      f"sentinel known-replica {name} 127.17.{where}"]
        self.config_path.write_text("\n".join(lines) + "\n")


def agent_in(directory, number, ports, node_port, line):
    """An agent with all services that knows these Sentinels."""
    (directory / str(number)).mkdir()
    agent = Agent(directory / str(number))
    services = "".join(f"[service s{i:05d}]\n{server_lines(i % MASTERS, node_port)}monitor = s{i % MASTERS:05d}\nrole-check = off\n{line}" for i in range(SERVICES))
    addresses = "".join(f"address = {HOST}:{port}\n" for port in ports)
    agent.config_path.write_text(f"[agent]\nlisten = 127.0.0.1:0\n[sentinels]\n{addresses}{services}")
    return agent


def commands(sentinel):
    return int(next(line.split(":")[1] for line in sentinel.call("INFO", "stats").splitlines()
                    if line.startswith("total_commands_processed")))


def share(sentinel):
    """(commands a second, per cent of a CPU)."""
    before, used, begun = commands(sentinel), cpu_ns(sentinel.pid), time.monotonic()
    time.sleep(WATCH_S)
    took = time.monotonic() - begun
    return (commands(sentinel) - before) / took, (cpu_ns(sentinel.pid) - used) / took / 1e7


def measure(line):
    """A row for each number of agents."""
    directory = Path(tempfile.mkdtemp(prefix="sentinel-spoa-"))
    rows, agents = [], []
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        nodes = stack.enter_context(Program("sentinels", OTHERS, cpu=CLIENT_CPU, lines=OTHERS + 1))
        *others, node_port = nodes.lines
        sentinel = BusySentinel("sentinel", directory, free_ports(1)[0])
        sentinel.write_config(node_port)
        sentinel.start(60)
        stack.callback(sentinel.stop)
        pin(sentinel.pid, SERVER_CPU)
        hurry(sentinel.pid, 1)
        hurry(nodes.pid, 1)
        for count in AGENTS:
            while len(agents) < count:
                agents.append(agent_in(directory, len(agents), [sentinel.port, *others], node_port, line))
                agents[-1].start(60)
                stack.callback(agents[-1].stop)
                pin(agents[-1].pid, CLIENT_CPU)
                hurry(agents[-1].pid, 1)
            time.sleep(3)  # all of them poll
            rows.append((count, *share(sentinel)))
    return rows


def tables():
    table = Table(f"What agents with {SERVICES:,} services each cost one of {OTHERS + 1} Sentinels",
                  ["agents", "asked", "services × agents", "commands a second of the agents", "per cent of a CPU more than without", "target", "",
                   "CPU µs a command"])
    for name, line in WAYS.items():
        rows = measure(line)
        (_, own, idle) = rows[0]
        for count, per_s, used in rows[1:]:
            goal = (f"< {SHARE}", verdict(used - idle, SHARE)) if count * SERVICES == 10000 else ("", "")
            table.add(count, name, f"{count * SERVICES:,}", f"{per_s - own:,.0f}", f"{used - idle:.2f}", *goal,
                      f"{(used - idle) * 1e4 / (per_s - own):.2f}")
        table.add("none", name, 0, f"({own:,.0f} of its own connections)", f"({idle:.2f})", "", "", "")
    return [table]
