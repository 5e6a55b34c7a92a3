#!/usr/bin/python3
"""make false-alarms: how often `down-after` takes a master to be down that is well, as a table.

    tests/tools/false-alarms.py [SECONDS of each condition] [words of the conditions to run ...]

About ten minutes.
"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import false_alarms  # noqa: E402
import netns  # noqa: E402


def main(arguments):
    reason = netns.why_not() or netns.why_no_detours()
    if reason:
        print(reason, file=sys.stderr)
        return 1
    seconds = float(arguments[0]) if arguments else 60
    print(f"| {' | '.join(false_alarms.HEAD)} |\n|{'---|' * len(false_alarms.HEAD)}", flush=True)
    for name in false_alarms.CONDITIONS:
        if len(arguments) < 2 or any(word in name for word in arguments[1:]):
            for row in false_alarms.run(name, seconds):
                print(f"| {' | '.join(row.cells())} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
