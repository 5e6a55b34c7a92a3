"""Clients that services use, behind HAProxy with the agent, while the master is killed: each is served again, nothing that was
acknowledged is lost but what was not replicated yet, and no operation is executed twice.

`make clients-report` has more clients, more failovers, and the other ways beside this one.
"""

import clients
import pytest

NAMES = ("ioredis", "redis-py", "redis-py, impatient", "redis-rb", "redis-rb, impatient")


@pytest.fixture(scope="module")
def absent():
    """Why clients cannot be run here, by their names."""
    return {name: clients.why_not(name) for name in NAMES}


@pytest.fixture(scope="module")
def outcomes(absent):
    """All go through one failover. By their names."""
    present = [name for name in NAMES if absent[name] is None]
    result = clients.run("kill", "write", present, (clients.AGENT,))
    return {outcome.client: outcome for outcome in result.outcomes}


@pytest.mark.parametrize("name", NAMES)
def test_kill(name, absent, request):
    if absent[name]:
        pytest.skip(absent[name])
    outcome = request.getfixturevalue("outcomes")[name]
    assert (outcome.ended, outcome.recovered) == ("", outcome.writers), outcome
    # The one write of each that Redis was killed over: acknowledged, and not sent to the replicas yet.
    assert outcome.lost <= outcome.writers, outcome
    assert outcome.twice == 0, outcome
