"""What spoa/doc/failover.md says that failovers cost is what was measured (tests/tools/failover-report.json)."""

import subprocess

import failover_doc
from cluster import ROOT


def test_tables_and_charts_are_made_of_the_data():
    result = subprocess.run([ROOT / "tests/tools/failover-report.py", "--check"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


def test_another_number_is_found():
    rows = failover_doc.load()
    for row in rows:
        row["gap"], row["refused"], row["lost"] = row["gap"] + 100, row["refused"] + 1, row["lost"] + 1
    assert {path.name for path in failover_doc.stale(rows)} == {"failover.md", *failover_doc.CHARTS}
