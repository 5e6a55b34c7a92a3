"""The agent is restarted under load, and no client notices."""

import contextlib
import re
import signal

import pytest
from cluster import HOST, Agent, Cluster, edited
from load import Load
from process import wait_until
from rig import check_clean

CLIENTS = 20
SLOWEST = 2.0  # seconds; a client that is refused, or waits for a time limit of HAProxy's, would take longer


class TwoAgents(Cluster):
    """The recipe of this name, with its two agents."""

    def __init__(self):
        super().__init__(recipe="two-agents")
        self.second = Agent(self.directory, name="agent2")

    def start_agent(self, edits=None):
        super().start_agent(edits)
        text = self.agent_config(edits).replace(f"{HOST}:9012", f"{HOST}:0")
        self.second.config_path.write_text(text)
        self.second.start()

    def haproxy_config(self, edits=None):
        return edited(super().haproxy_config(edits), {f"{HOST}:9014": self.second.address}, "haproxy.cfg")

    def processes(self):
        return [*super().processes(), self.second]

    def stop(self):
        self.second.stop()
        super().stop()


@pytest.fixture(scope="module")
def two():
    with TwoAgents() as cluster:
        cluster.start()
        yield cluster
        check_clean(cluster.agent)
        check_clean(cluster.second)


@contextlib.contextmanager
def load_on(cluster):
    """In the block clients connect all the time; nobody may have been refused, or have waited for long."""
    with Load(cluster.haproxy.address, CLIENTS, pause=0.005) as load:
        wait_more(cluster)
        yield
        wait_more(cluster)
    slowest = max(one.ended - one.started for one in load.attempts)
    print(f"{len(load.refused())} refused of {len(load.attempts)}, longest connect {slowest * 1000:.0f} ms")
    assert load.refused() == []
    assert slowest < SLOWEST


def served(cluster):
    """How many clients the master has served so far."""
    text = cluster.redis[0].call("INFO", "commandstats")
    return int((re.search(r"cmdstat_set:calls=(\d+)", text) or [0, 0])[1])


def wait_more(cluster, count=500):
    goal = served(cluster) + count
    wait_until(lambda: served(cluster) >= goal, 30, f"{count} more clients are served")


def wait_state(cluster, name, state, since):
    cluster.haproxy.wait_log(rf"Server be_sentinel_spoa/{name} is {state}", since=since, timeout=15)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_one_of_two_agents(two, number):
    """Each in turn."""
    with load_on(two):
        for name, agent in (("agent1", two.agent), ("agent2", two.second)):
            mark = two.haproxy.mark()
            agent.signal(number)
            agent.child.wait(15)
            wait_state(two, name, "DOWN", mark)
            wait_more(two)
            agent.start()
            wait_state(two, name, "UP", mark)
            wait_more(two)
