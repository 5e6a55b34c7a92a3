#!/usr/bin/python3
"""failover-report.py [SCENARIO...] [--way WORDS] [--update]: what failovers cost, with the agent in each of its ways and with the
usual recipe, as a table. SCENARIO is kill, manual, split or minority; all of them take about twenty minutes. WORDS is one way.
--update keeps the rows in failover-report.json and makes the tables and charts of spoa/doc/failover.md of all rows there.
--draw makes these of the data that are kept, without a run; --check fails where they are others.

Exit code 1 where the agent broke what it promises, or --check found something.
"""

import argparse
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import failover  # noqa: E402
import failover_doc  # noqa: E402
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


def parse(words):
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("scenarios", nargs="*", choices=[*failover.SCENARIOS, []])
    parser.add_argument("--way", choices=list(failover.WAYS))
    for name in ("--update", "--draw", "--check"):
        parser.add_argument(name, action="store_true")
    return parser.parse_args(words)


def measure(options):
    """Prints the table. Returns the rows to keep, and the broken promises."""
    rows, broken = [], []
    print(f"| {' | '.join(failover.HEAD)} |\n|{'---|' * len(failover.HEAD)}", flush=True)
    for scenario, way, min_replicas, down_after in RUNS:
        if options.scenarios and scenario not in options.scenarios or options.way not in (None, way):
            continue
        if scenario in failover.SPLITS and netns.why_not():
            print(f"{scenario}: not run: {netns.why_not()}", file=sys.stderr)
            continue
        result = failover.run(scenario, way, min_replicas, down_after)
        print(f"| {' | '.join(result.row())} |", flush=True)
        rows.append(failover_doc.row_of(result))
        broken += failover.broken_promises(result)
    return rows, broken


def check():
    stale = failover_doc.stale(failover_doc.load())
    for path in stale:
        print(f"{path} is not what {failover_doc.DATA.name} makes: run tests/tools/failover-report.py --draw")
    return 1 if stale else 0


def main(words):
    options = parse(words)
    if options.check:
        return check()
    rows, broken = ([], []) if options.draw else measure(options)
    if options.draw or options.update:
        kept = failover_doc.merge(failover_doc.load(), rows, RUNS)
        failover_doc.keep(kept)
        failover_doc.write(kept)
    for text in broken:
        print(f"BROKEN: {text}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
