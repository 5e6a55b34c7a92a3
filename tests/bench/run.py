#!/usr/bin/python3
"""make bench: what the agent costs, measured against a baseline in the same run. Prints Markdown tables; all figures are
in build/bench/results.json as well. Never fails for being slow.

PARTS names the wanted ones (answers haproxy growth looks storm burst sentinel scale reload switch profiling), ROUNDS and
SECONDS_PER_ROUND how long.
"""

import importlib
import json
import os
import platform
import time

import bench

ALL = ["answers", "haproxy", "growth", "looks", "storm", "burst", "sentinel", "scale", "reload", "switch", "profiling"]


def main():
    wanted = os.environ.get("PARTS", "").split() or ALL
    results = bench.ROOT / "build" / "bench"
    results.mkdir(parents=True, exist_ok=True)
    print(f"{time.strftime('%Y-%m-%d')}, {platform.system()} {platform.release()}, {len(bench.CPUS)} CPUs; medians of "
          f"{bench.ROUNDS} rounds of {bench.SECONDS:g} s each, by turns\n", flush=True)
    found = []
    for part in wanted:
        for table in importlib.import_module(part).tables():
            print(table.markdown(), flush=True)
            found.append({"title": table.title, "head": table.head, "rows": table.rows})
    (results / "results.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
