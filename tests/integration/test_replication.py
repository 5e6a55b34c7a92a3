"""`source = replication`: no Sentinel; the nodes say whom they follow, and somebody promotes them by hand."""

import time

import pytest
from cluster import Cluster
from load import Load
from process import wait_until
from rig import check_clean, run_agent

SLOW = {"source = replication": "source = replication\npoll = 100ms"}


def promote(new, *others):
    """As the recipe's README says."""
    new.call("REPLICAOF", "NO", "ONE")
    for other in others:
        other.call("REPLICAOF", new.host, str(new.port))


def wait_named(cluster, server):
    def named():
        line = cluster.agent.log_lines(event="master-switch")
        return line and line[-1]["new-server"] == server
    wait_until(named, 15, f"{server} is named")


@pytest.fixture
def nodes():
    """Three nodes, R1 the master, no Sentinels; HAProxy and the agent by the recipe."""
    with Cluster(sentinels=0, recipe="replication") as cluster:
        cluster.start_redis()
        cluster.start_agent(SLOW)
        cluster.start_haproxy()
        cluster.wait_served()
        yield cluster
        check_clean(cluster.agent)


def test_promoted_by_hand(nodes):
    """The master dies, another is promoted, the third is told: clients go on, and the old one, back as a master, is let alone."""
    one, two, three = nodes.redis
    assert nodes.served_by() is one
    with Load(nodes.haproxy.address, clients=5, pause=0.02) as load:
        wait_until(lambda: two.call("DBSIZE") > 20, 15, "writes before")
        one.kill()
        promote(two, three)
        wait_named(nodes, "R2")
        wait_until(lambda: nodes.served_by() is two, 15, "served by R2")
        switched = time.monotonic()
        one.configure()
        one.start()
        assert one.role() == "master"
        before = two.call("DBSIZE")
        wait_until(lambda: two.call("DBSIZE") > before + 50, 15, "writes after")
    assert {attempt.port for attempt in load.attempts if attempt.started > switched} == {two.port}
    assert nodes.agent.find_log(event="sessions-cut", server="R1")
    assert len(nodes.agent.log_lines(event="master-switch")) == 2


def test_half_a_promotion_names_nobody(nodes):
    """One node says that it is the master, the other follows the dead one: two opinions, no majority."""
    one, two, three = nodes.redis
    one.kill()
    two.call("REPLICAOF", "NO", "ONE")
    nodes.agent.wait_log(event="quorum-lost", reason="disagree")
    with pytest.raises(OSError):
        nodes.call("PING")
    three.call("REPLICAOF", two.host, str(two.port))
    wait_named(nodes, "R2")
    wait_until(lambda: nodes.served_by() is two, 15, "served by R2")


def test_an_isolated_master_alone_is_not_named(nodes):
    """It is the only one in reach, and says that it is a master."""
    one, two, three = nodes.redis
    for node in (two, three):
        node.pause()
    nodes.agent.wait_log(event="quorum-lost", reason="unreachable")
    with pytest.raises(OSError):
        nodes.call("PING")
    for node in (two, three):
        node.resume()
    wait_until(nodes.serves, 15, "served again")
    assert nodes.served_by() is one


def test_two_masters_and_one_replica(nodes):
    """Whom the majority is told to follow decides."""
    one, two, three = nodes.redis
    promote(two, three)
    wait_named(nodes, "R2")
    assert one.role() == "master" and nodes.served_by() is two
    three.call("REPLICAOF", one.host, str(one.port))
    wait_named(nodes, "R1")
    assert two.role() == "master"
    wait_until(lambda: nodes.served_by() is one, 15, "served by R1")


@pytest.fixture(params=["refuse", "name"])
def two_nodes(request):
    with Cluster(redis=2, sentinels=0, recipe="replication") as cluster:
        cluster.when_alone = request.param
        cluster.start_redis()
        cluster.start_agent({**SLOW, "server = R3 10.0.0.13:6379\n": f"when-alone = {request.param}\n"})
        cluster.start_haproxy()
        cluster.wait_served()
        yield cluster
        check_clean(cluster.agent)


def test_two_nodes(two_nodes):
    """One dies, the other is promoted: named only where the operator has said so, and never before it is a master."""
    one, two = two_nodes.redis
    one.kill()
    two_nodes.agent.wait_log(event="quorum-lost", reason="refused")
    two.call("REPLICAOF", "NO", "ONE")
    if two_nodes.when_alone == "name":
        wait_until(lambda: two_nodes.served_by() is two, 15, "served by the one that is left")
        assert two_nodes.agent.find_log(event="state-change", new="witnessed") or \
            two_nodes.agent.find_log(event="master-switch", new_server="R2")
        one.configure()
        one.start()  # both are masters now, and in reach
        two_nodes.agent.wait_log(event="quorum-lost", reason="disagree")
    else:
        wait_until(lambda: two_nodes.agent.find_log(event="role-probe-down"), 15, "the dead one is noticed")
        with pytest.raises(OSError):
            two_nodes.call("PING")
        one.configure(two)
        one.start()
        wait_until(lambda: two_nodes.served_by() is two, 15, "a majority again")


def test_doctor(nodes):
    """`check` asks the nodes, says how they vote, and finds the second master."""
    one, two, three = nodes.redis
    done = run_agent("-f", nodes.agent.config_path, "check")
    assert (done.returncode, "0 findings" in done.stdout) == (0, True), done.stdout
    assert done.stdout.count(f"names {one.where}") == 3
    two.call("REPLICAOF", "NO", "ONE")
    done = run_agent("-f", nodes.agent.config_path, "check")
    assert done.returncode == 1 and "R2 says that it is a master too" in done.stdout, done.stdout
    assert three.role() == "slave"
