"""`source = replication`: no Sentinel; the nodes say whom they follow, and somebody promotes them by hand."""

import time

import pytest
from cluster import Cluster, documented_rights
from load import Load
from process import wait_until
from resp import RespError
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
    assert nodes.agent.wait_log(event="sessions-cut", server="R1")
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


def two_nodes(edits=None):
    """R1 with the replica R2, by the recipe for active and backup."""
    cluster = Cluster(redis=2, sentinels=0, recipe="active-backup")
    cluster.start_redis()
    cluster.start_agent({**SLOW, **(edits or {})})
    cluster.start_haproxy()
    cluster.wait_served()
    return cluster


def test_two_nodes():
    """One dies: the other is named when it is the master, and not before; when both are masters nobody is, until one follows."""
    with two_nodes() as cluster:
        one, two = cluster.redis
        one.kill()
        cluster.agent.wait_log(event="quorum-lost", reason="refused")
        with pytest.raises(OSError):
            cluster.call("PING")
        two.call("REPLICAOF", "NO", "ONE")
        wait_until(lambda: cluster.served_by() is two, 15, "served by the one that is left")
        assert cluster.agent.wait_log(event="sessions-cut", server="R1")
        one.configure()
        one.start()  # both are masters now, and in reach
        cluster.agent.wait_log(event="quorum-lost", reason="disagree")
        with pytest.raises(OSError):
            cluster.call("PING")
        one.call("REPLICAOF", two.host, str(two.port))
        wait_until(lambda: cluster.served_by() is two, 15, "a majority again")
        check_clean(cluster.agent)


def test_two_nodes_without_when_alone():
    """One of two is no majority, whatever it says."""
    with two_nodes({"when-alone = name\n": ""}) as cluster:
        one, two = cluster.redis
        one.kill()
        two.call("REPLICAOF", "NO", "ONE")
        cluster.agent.wait_log(event="quorum-lost", reason="refused")
        seen = two.call("INFO", "commandstats")
        wait_until(lambda: two.call("INFO", "commandstats") != seen, 15, "it is asked")
        with pytest.raises(OSError):
            cluster.call("PING")
        one.configure(two)
        one.start()
        wait_until(lambda: cluster.served_by() is two, 15, "a majority again")
        check_clean(cluster.agent)


def test_what_the_usual_recipe_does():
    """`backup` without the agent: before the promotion writes are refused by a replica, and when the old master is back, empty, clients
    are sent to it, away from what was written meanwhile."""
    rules = {"    filter spoe engine sentinel config /etc/haproxy/spoe.conf\n": "",
             "    tcp-request content reject unless { var(txn.redis.master) -m found }\n": "",
             "    use-server %[var(txn.redis.master)] if { var(txn.redis.master) -m found }\n": "",
             "default-server weight 0 check": "default-server check", "10.0.0.12:6379": "10.0.0.12:6379 backup"}
    with two_nodes() as cluster:
        cluster.haproxy.stop()
        cluster.start_haproxy(rules)
        one, two = cluster.redis
        wait_until(lambda: cluster.served_by() is one, 15, "R1 is the active one")
        one.kill()
        wait_until(lambda: cluster.serves() and cluster.served_by() is two, 15, "the backup, although nobody promoted it")
        with pytest.raises(RespError, match="READONLY"):
            cluster.call("SET", "key", "before the promotion")
        two.call("REPLICAOF", "NO", "ONE")
        assert cluster.call("SET", "key", "after the promotion") == "OK"
        one.configure()
        one.start()
        wait_until(lambda: cluster.served_by() is one, 15, "back to the one that was dead")
        assert cluster.call("GET", "key") is None
        assert two.call("GET", "key") == "after the promotion"


def test_documented_rights_suffice():
    """A user with these and no others, for the votes and for `role-check`."""
    with Cluster(sentinels=0, recipe="replication") as cluster:
        cluster.start_redis()
        for node in cluster.redis:
            node.call("ACL", "SETUSER", "agent", "on", ">secret", "-@all", *documented_rights("replication"))
        account = "username = agent\npassword = secret\n"
        cluster.start_agent({"source = replication": f"source = replication\npoll = 100ms\n{account}"})
        cluster.start_haproxy()
        cluster.wait_served()
        wait_until(lambda: len(cluster.agent.log_lines(event="node-up")) == 3, 15, "three votes")
        wait_until(lambda: "name=sentinel-spoa" in cluster.redis[0].call("CLIENT", "LIST"), 15, "named")
        seen = cluster.agent.log_text()
        assert not [word for word in ("auth-failed", "without-identity", "without-vote", "-refused") if word in seen], seen
        assert [node.call("ACL", "LOG") for node in cluster.redis] == [[]] * 3
        check_clean(cluster.agent)


def test_check(nodes):
    """`check` asks the nodes, says how they vote, and finds the second master."""
    one, two, three = nodes.redis
    done = run_agent("-f", nodes.agent.config_path, "check")
    assert (done.returncode, "0 findings" in done.stdout) == (0, True), done.stdout
    assert done.stdout.count(f"names {one.where}") == 3
    two.call("REPLICAOF", "NO", "ONE")
    done = run_agent("-f", nodes.agent.config_path, "check")
    assert done.returncode == 1 and "R2: it says that it is a master too" in done.stdout, done.stdout
    assert three.role() == "slave"
