"""HAProxy is reloaded under load, by SIGUSR2 to its master, and the master changes while sessions are left in the old process.

Each test prints a line of what spoa/doc/failover.md sums up under "Reload HAProxy":
`make test-matrix TESTS=test_haproxy_reload SERVERS=redis SHOW=1` prints them for HAProxy 2.6, 3.0 and 3.2.
"""

import contextlib
import re
import subprocess
import time

import pytest
from cluster import Cluster
from failover import DOWN_AFTER, LATEST, LONGEST_OVER, PARK, TOLD, is_caught, judge, wait_writes
from load import Load
from observers import Referee
from process import PATH, wait_until
from rig import check_clean
from workers import Workers

CLIENTS, SESSIONS = 20, 8
RELOADS = 20
SLOWEST = 2000  # ms; a client that is refused, or waits for a time limit of HAProxy's, would take longer
# The last write on the old master. The agent cuts at once; a machine with other things to do takes longer.
LATEST_CUT = 200  # ms
# HAProxy's master is away while it reloads itself, on a busy machine for most of a second. The agent tries every 100 ms, and
# may meet the next reload.
LATEST_DURING = 2000  # ms
# Longer than the failover, and shorter than the ten seconds after which Sentinel ends the writes to the old master.
HARD_STOP = 4.0  # seconds


class Reloaded:
    """A cluster whose HAProxy is reloaded under the load of a `with` block.

    After the block `short` are the clients that connect for each write, `sessions` those that stay, and `result` is what a
    failover has cost.
    """

    def __init__(self, what, recipe, haproxy_edits=None):
        """what: its name in the table."""
        self.what = what
        self.cluster = Cluster(recipe=recipe)
        self.workers = Workers(self.cluster)
        self.haproxy_edits = haproxy_edits
        self.short = Load(self.cluster.haproxy.address, CLIENTS, pause=0.005, prefix="short")
        self.sessions = Load(self.cluster.haproxy.address, SESSIONS, persistent=True, prefix="persistent")
        self.old, self.new = self.cluster.redis[0], None
        self.times = (0.0, 0.0)  # of the cause of the failover, and of the majority's new name
        self.result = None
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            cluster = stack.enter_context(self.cluster)
            cluster.park = PARK
            cluster.start_redis()
            cluster.start_sentinels()
            cluster.start_agent(self.workers.agent_edits() if cluster.recipe.name == "runtime-api" else None)
            cluster.start_haproxy(self.haproxy_edits)
            cluster.wait_served()
            stack.callback(self.finish)
            stack.enter_context(self.short)
            stack.enter_context(self.sessions)
            wait_writes(self.old, 500)
            firsts = [f"persistent:{i}:0" for i in range(SESSIONS)]
            wait_until(lambda: self.old.call("EXISTS", *firsts) == SESSIONS, 30, "all sessions are there")
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *exc):
        return self.stack.__exit__(*exc)

    def finish(self):
        """The load has ended, and the cluster is still there."""
        late = ""
        if self.new:
            self.result = judge((self.what, self.cluster.recipe.name, False, DOWN_AFTER), self.times, (self.old, self.new), (self.short, self.sessions))
            late = f"{self.result.late:+.0f}"
        version = re.search(r"\d+\.\d+\.\d+", subprocess.run(["haproxy", "-v"], env={"PATH": PATH}, capture_output=True,
                                                             text=True, check=True).stdout)[0]
        print(f"| {self.what} | `{self.cluster.recipe.name}/` | {version} | {len(self.short.refused())} of {len(self.short.attempts)} | "
              f"{self.longest():.0f} | {late} |")
        check_clean(self.cluster.agent)

    def longest(self):
        return max(one.ended - one.started for one in self.short.attempts) * 1000

    def refused_unduly(self):
        """Without those that were at work on the old master when it died, or when the sessions to it were cut."""
        cut = self.times[1] + max(self.result.late, 0) / 1000
        return [one for one in self.short.refused() if not is_caught(one, [*self.times, cut])]

    def reload(self):
        """The sessions of before stay in the old process."""
        self.workers.reload()
        assert self.workers.old()

    def lose_master(self, cause, meanwhile=lambda: None, after=3.0):
        """`cause` makes another node the master; `meanwhile` is called until a majority names it. Then so many seconds more."""
        with Referee(self.cluster.sentinels, self.cluster.agent) as referee:
            caused = time.monotonic()
            cause()
            wait_until(lambda: meanwhile() or self.cluster.named() not in (None, self.old), 30, "another master is named")
            self.new = self.cluster.named()
            until = time.monotonic() + after
            wait_until(lambda: time.monotonic() > until, after + 5, "all is over")
            wait_writes(self.new, 200)
        self.times = (caused, referee.majority_named[(self.new.host, self.new.port)])


@pytest.mark.parametrize("recipe", ["runtime-api", "agent-check"])
def test_many_reloads(recipe):
    """Nobody is refused, nobody waits, no session ends."""
    with Reloaded(f"{RELOADS} reloads", recipe, {"hard-stop-after 30s": "hard-stop-after 5m"}) as run:
        for _ in range(RELOADS):
            run.reload()
            wait_writes(run.old, 200)
    assert run.short.refused() == []
    assert run.sessions.refused() == []
    assert run.longest() < SLOWEST


def test_failover_after_a_reload():
    """The agent cuts the sessions in the old process as it cuts those in the new one."""
    with Reloaded("failover after a reload", "runtime-api") as run:
        run.reload()
        run.lose_master(run.cluster.sentinels[1].fail_over)
    assert run.refused_unduly() == [] and run.longest() < SLOWEST
    assert run.result.late < LATEST_CUT


def test_failover_during_reloads():
    """One reload after the other while the master changes."""
    with Reloaded("failover during reloads", "runtime-api") as run:
        run.reload()
        run.lose_master(run.cluster.sentinels[1].fail_over, run.workers.reload)
    assert run.refused_unduly() == [] and run.longest() < SLOWEST
    assert run.result.late < LATEST_DURING


def test_failover_after_a_reload_without_the_runtime_api():
    """Nothing but `hard-stop-after` ends the sessions in the old process."""
    with Reloaded(f"failover after a reload, `hard-stop-after {HARD_STOP:.0f}s`", "agent-check",
                  {"hard-stop-after 30s": f"hard-stop-after {HARD_STOP:.0f}s"}) as run:
        run.reload()
        reloaded = time.monotonic()
        run.lose_master(run.cluster.sentinels[1].fail_over, after=HARD_STOP + 2)
    assert run.refused_unduly() == [] and run.longest() < SLOWEST
    assert run.result.late < (reloaded + HARD_STOP - run.times[1]) * 1000 + LATEST_CUT
    assert run.result.late > LATEST["agent, pull"], "the old process was reached otherwise"


@pytest.mark.parametrize("recipe", ["runtime-api", "agent-check"])
def test_who_waits_in_the_old_process(recipe):
    """The master is killed, and HAProxy is reloaded while clients wait for the next one: the old process serves them."""
    with Reloaded("master killed, and a reload while clients wait", recipe) as run:
        def kill_and_reload():
            run.old.kill()
            time.sleep(2 * TOLD)
            run.workers.reload()

        run.lose_master(kill_and_reload)
    assert run.refused_unduly() == []
    assert run.longest() < run.result.sentinel_took + LONGEST_OVER
