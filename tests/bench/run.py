#!/usr/bin/python3
"""Measures NOTIFY to ACK: the agent against a bare echo of frames of equal size, by turns, in one run.

The server runs on the first CPU, the load on the last. A figure is the median of ROUNDS rounds (environment). Prints
a Markdown table; never fails for being slow.
"""
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lib"))

import spop_client as spop  # noqa: E402
from rig import Rig  # noqa: E402

BENCH = ROOT / "build" / "release" / "bench"
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SECONDS = float(os.environ.get("SECONDS_PER_ROUND", "2"))
SETTINGS = [(16, 32), (1, 1), (200, 1)]  # connections, NOTIFYs in flight on each
TARGET = 0.7
CPUS = sorted(os.sched_getaffinity(0))
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """Processor time of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def measure(pid, port, connections, depth):
    """One round: what the load reports, and the answers per CPU second of the server."""
    before = cpu_seconds(pid)
    words = [BENCH / "load", "127.0.0.1", str(port), str(connections), str(depth), str(SECONDS)]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=SECONDS + 30,
                          preexec_fn=lambda: os.sched_setaffinity(0, {CPUS[-1]}))
    result = json.loads(done.stdout)
    result["per_cpu_s"] = result["answers"] / max(cpu_seconds(pid) - before, TICK_S)
    return result


def median(rounds, key):
    return statistics.median(result[key] for result in rounds)


def row(connections, depth, agent, echo):
    ratio = median(agent, "per_cpu_s") / median(echo, "per_cpu_s")
    cells = [f"{connections} × {depth}", f"{median(agent, 'per_cpu_s'):,.0f}", f"{median(echo, 'per_cpu_s'):,.0f}",
             f"**{ratio:.2f}**"]
    cells += [f"{median(agent, key):.0f} / {median(echo, key):.0f}" for key in ("p50_us", "p99_us")]
    return "| " + " | ".join(cells) + " |"


def actions_length(rig):
    """The payload of the agent's answer, which must be a name."""
    assert rig.wait_state("ok")["master"] == "R1"
    with rig.connect() as client:
        client.send(spop.question())
        return len(client.read().payload)


def main():
    with Rig(fakes=3) as rig:
        length = actions_length(rig)
        os.sched_setaffinity(rig.agent.pid, {CPUS[0]})
        port = int(rig.agent.address.rpartition(":")[2])
        echo = subprocess.Popen([BENCH / "echo", str(length)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        os.sched_setaffinity(echo.pid, {CPUS[0]})
        echo_port = int(echo.stdout.readline())
        print(f"{ROUNDS} rounds of {SECONDS:g} s each by turns; answers of {length} bytes of actions; "
              f"{len(CPUS)} CPUs; target: {TARGET} of the echo per CPU second\n")
        print("| connections × in flight | agent: answers per CPU second | echo | ratio | p50 µs agent / echo "
              "| p99 µs agent / echo |\n|---|---|---|---|---|---|")
        for connections, depth in SETTINGS:
            rounds = [(measure(rig.agent.pid, port, connections, depth),
                       measure(echo.pid, echo_port, connections, depth)) for _ in range(ROUNDS)]
            print(row(connections, depth, *zip(*rounds)), flush=True)
        echo.stdin.close()
        echo.wait(10)


if __name__ == "__main__":
    main()
