"""Fixtures for the tests against real programs. SENTINEL_SPOA names another agent than build/release/sentinel-spoa."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from cluster import Agent, Cluster  # noqa: E402
from rig import Rig, check_clean  # noqa: E402


def pytest_sessionstart():
    binary = Agent(Path("/")).binary[0]
    if shutil.which(binary) is None:
        pytest.exit(f"{binary} is not there: run make first", returncode=2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failed test shows what the programs said that it shares with others."""
    report = (yield).get_result()
    if report.when == "call" and report.failed:
        for name in ("cluster", "shared_rig"):
            shared = getattr(item, "funcargs", {}).get(name)
            for program in shared.processes() if shared else ():
                report.sections.append((f"log of {program.name}", program.log_text()[-4000:]))


@pytest.fixture(scope="module")
def cluster():
    """Three Redis, three Sentinels, the agent and HAProxy with the shipped files; R1 is the master at first.

    Sentinel pings a new master for the first time after a second, so with down-after at one second it sometimes
    holds it to be down at once and fails over again; hence more.
    """
    with Cluster() as programs:
        programs.start_redis()
        programs.start_sentinels(down_after=2500)
        programs.start_agent()
        programs.start_haproxy()
        programs.wait_served()
        yield programs
        check_clean(programs.agent)


@pytest.fixture(scope="module")
def shared_rig():
    """An agent with three fake Sentinels that name R1; tests that use it leave it as it was."""
    with Rig() as rig:
        rig.wait_votes(3)
        yield rig


@pytest.fixture
def report(request):
    """Notes how a scenario went, for the table in tests/README.md: one JSON line each in the file SCENARIO_REPORT."""
    def note(watch, questioner=None):
        questioner = questioner or watch.questioner
        line = {"scenario": request.node.name, "answered": questioner.story(), "unnamed": questioner.unnamed(),
                "what": (request.function.__doc__ or "").split("\n\n")[0]}
        print(json.dumps(line))
        if path := os.environ.get("SCENARIO_REPORT"):
            with open(path, "a", encoding="utf-8") as out:
                out.write(json.dumps(line) + "\n")
    return note
