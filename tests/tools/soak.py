#!/usr/bin/python3
"""soak.py SECONDS [SEED]: random faults under load, with a referee (tests/lib/soak.py). Exits with 1 where one was broken."""
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from soak import Soak  # noqa: E402

if __name__ == "__main__":
    Soak(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None).run()
