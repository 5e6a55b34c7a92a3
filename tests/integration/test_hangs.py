"""No client hangs and HAProxy keeps no session for good, with every way of closing old sessions and every way of losing a master.

HAProxy 3.0 never closes a session that is connecting to a server when the server's sessions are shut. So clients connect all the time.
"""

import contextlib
import time

import pytest
from load import Load
from netns import NetCluster, Network, why_not
from process import wait_until
from rig import check_clean
from sessions import admin_edits, sessions

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

PARK = 8.0  # seconds
DOWN_AFTER = 2500
GONE = 25  # seconds after the clients: no session is left
# What a configuration that has grown for years may say above the recipe's sections.
FOREIGN = """\
defaults
    mode http
    log global
    option redispatch
    option persist
    retries 3
    balance source
    timeout connect 5s
    timeout client 50s
    timeout server 50s
"""


def vanish(cluster):
    """The master's host: no reset, no answer. Its Sentinel goes with it."""
    first, *others = cluster.network.hosts
    cluster.network.split([first], others)


LOSSES = {
    "vanished": vanish,
    "killed": lambda cluster: cluster.redis[0].kill(),
    "ordered": lambda cluster: cluster.sentinels[1].fail_over(),
}


def foreign_edits(cluster):
    """The defaults of the recipe are not there, others are."""
    text = cluster.shipped("haproxy.cfg")
    own = text[text.index("defaults\n"):text.index("\nfrontend ")]
    return {own: FOREIGN}


@contextlib.contextmanager
def served(recipe, is_foreign=False):
    """A cluster on a network, whose HAProxy has a runtime API."""
    with Network(4) as network, NetCluster(network, recipe=recipe) as cluster:
        cluster.park = f"{PARK:.0f}s"
        cluster.start_redis()
        cluster.start_sentinels(down_after=DOWN_AFTER)
        cluster.start_agent()
        edits = {**admin_edits(cluster), **(foreign_edits(cluster) if is_foreign else {})}
        cluster.start_haproxy(edits)
        cluster.wait_served()
        yield cluster
        check_clean(cluster.agent)


def lose_master(cluster, loss):
    """Twenty clients that connect per command and eight that stay lose the master and have the next one; the longest wait, s."""
    old = cluster.redis[0]
    with Load(cluster.haproxy.address, 20, prefix="short") as short, Load(cluster.haproxy.address, 8, persistent=True, prefix="stay") as stay:
        wait_until(lambda: old.call("DBSIZE") > 200, 30, "writes before")
        LOSSES[loss](cluster)
        new = cluster.wait_failover(old, 60)
        before = new.call("DBSIZE")
        wait_until(lambda: new.call("DBSIZE") > before + 200, 60, f"writes on {new.name}")
        # One that has waited for longer than this hangs.
        until = time.monotonic() + PARK + 1
        wait_until(lambda: time.monotonic() > until, PARK + 30, "the time is over")
    return max(one.ended - one.started for load in (short, stay) for one in load.attempts)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("recipe", [".", "agent-check", "runtime-api"])
def test_nobody_waits_for_good(recipe, loss):
    with served(recipe) as cluster:
        check_waits(cluster, recipe, loss)


@pytest.mark.parametrize("recipe", [".", "runtime-api"])
def test_below_foreign_defaults(recipe):
    """Pasted into a file with defaults of its own, the recipe's sections do what they do above their own."""
    with served(recipe, is_foreign=True) as cluster:
        check_waits(cluster, f"{recipe} below foreign defaults", "killed")


def check_waits(cluster, what, loss):
    longest = lose_master(cluster, loss)
    ended = time.monotonic()
    try:
        wait_until(lambda: not sessions(cluster.api, "fe_redis"), GONE, "the clients' sessions are gone")
    finally:
        left = sessions(cluster.api, "fe_redis")
        print(f"{what}, {loss}: longest wait {longest * 1000:.0f} ms, {len(left)} sessions left after {time.monotonic() - ended:.1f} s")
        print("\n".join(left[:3]))
    assert longest < PARK + 1
