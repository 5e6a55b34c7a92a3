#!/usr/bin/python3
"""make failover-report: what failovers cost, with the agent in each of its ways and with the usual recipe, as a table.

About ten minutes. Exit code 1 where the agent broke what it promises.
"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import failover  # noqa: E402
import netns  # noqa: E402

RUNS = [
    ("kill", "tcp-check recipe", False),
    ("kill", "agent, no cut", False),
    ("kill", "agent, push", False),
    ("manual", "tcp-check recipe", False),
    ("manual", "agent, no cut", False),
    ("manual", "agent, pull", False),
    ("manual", "agent, push", False),
    ("manual", "agent, push, early fence", False),
    ("manual", "agent, push", True),
    ("manual", "agent, push, early fence", True),
    ("split", "tcp-check recipe", False),
    ("split", "agent, no cut", False),
    ("split", "agent, pull", False),
    ("split", "agent, push", False),
    ("split", "agent, push, early fence", False),
    ("split", "tcp-check recipe", True),
    ("split", "agent, push", True),
    ("split", "agent, push, early fence", True),
]


def main():
    broken = []
    print(f"| {' | '.join(failover.HEAD)} |\n|{'---|' * len(failover.HEAD)}", flush=True)
    for scenario, way, min_replicas in RUNS:
        if scenario == "split" and netns.why_not():
            print(f"split: not run: {netns.why_not()}", file=sys.stderr)
            continue
        result = failover.run(scenario, way, min_replicas)
        print(f"| {' | '.join(result.row())} |", flush=True)
        broken += failover.broken_promises(result)
    for text in broken:
        print(f"BROKEN: {text}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
