#!/usr/bin/python3
"""Runs the scenarios and prints what the agent answered in each as the table that tests/README.md has.

    tests/tools/scenarios.py [pytest arguments]     # as `make scenarios`; the agent is the one of `make`, or $SENTINEL_SPOA
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = ["tests/integration/test_scenarios.py", "tests/integration/test_partitions.py"]


def main(arguments):
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as report:
        done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *FILES, *arguments], cwd=ROOT,
                              env={**os.environ, "SCENARIO_REPORT": report.name}, stdout=sys.stderr, check=False)
        lines = [json.loads(line) for line in Path(report.name).read_text(encoding="utf-8").splitlines()]
    print("| scenario | what happens | what the agent answered | nobody named |\n|---|---|---|---|")
    for line in lines:
        name = line["scenario"].removeprefix("test_").split("[")[0]
        print(f"| `{name}` | {line['what']} | {line['answered']} | {line['unnamed']:.2f} s |")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
