#!/usr/bin/python3
"""make failover-report: what failovers cost, with the agent in each of its ways and with the usual recipe, as a table.

About twenty minutes. Exit code 1 where the agent broke what it promises.
"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import failover  # noqa: E402
import netns  # noqa: E402

RUNS = [
    ("kill", "tcp-check recipe", False, failover.DOWN_AFTER),
    ("kill", "agent, no cut", False, failover.DOWN_AFTER),
    ("kill", "agent, push", False, failover.DOWN_AFTER),
    ("manual", "tcp-check recipe", False, failover.DOWN_AFTER),
    ("manual", "agent, no cut", False, failover.DOWN_AFTER),
    ("manual", "agent, pull", False, failover.DOWN_AFTER),
    ("manual", "agent, push", False, failover.DOWN_AFTER),
    ("manual", "agent, push, early fence", False, failover.DOWN_AFTER),
    ("manual", "agent, push", True, failover.DOWN_AFTER),
    ("manual", "agent, push, early fence", True, failover.DOWN_AFTER),
    ("split", "tcp-check recipe", False, failover.DOWN_AFTER),
    ("split", "agent, no cut", False, failover.DOWN_AFTER),
    ("split", "agent, pull", False, failover.DOWN_AFTER),
    ("split", "agent, push", False, failover.DOWN_AFTER),
    ("split", "agent, push, early fence", False, failover.DOWN_AFTER),
    ("split", "tcp-check recipe", True, failover.DOWN_AFTER),
    ("split", "agent, push", True, failover.DOWN_AFTER),
    ("split", "agent, push, early fence", True, failover.DOWN_AFTER),
    ("kill", failover.BOUNDED, False, failover.DOWN_AFTER),
    ("manual", failover.BOUNDED, False, failover.DOWN_AFTER),
    ("split", failover.BOUNDED, False, failover.DOWN_AFTER),
    ("minority", "agent, push, early fence, witness, fence", False, failover.DOWN_AFTER),
    ("minority", failover.BOUNDED, False, failover.DOWN_AFTER),
    ("split", "agent, push, early fence, witness, fence", False, 10000),
    ("split", failover.BOUNDED, False, 10000),
    ("minority", "agent, push, early fence, witness, fence", False, 10000),
    ("minority", failover.BOUNDED, False, 10000),
    ("split", failover.BOUNDED, False, 30000),
    ("minority", failover.BOUNDED, False, 30000),
]


def main():
    broken = []
    print(f"| {' | '.join(failover.HEAD)} |\n|{'---|' * len(failover.HEAD)}", flush=True)
    for scenario, way, min_replicas, down_after in RUNS:
        if scenario in failover.SPLITS and netns.why_not():
            print(f"{scenario}: not run: {netns.why_not()}", file=sys.stderr)
            continue
        result = failover.run(scenario, way, min_replicas, down_after)
        print(f"| {' | '.join(result.row())} |", flush=True)
        broken += failover.broken_promises(result)
    for text in broken:
        print(f"BROKEN: {text}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
