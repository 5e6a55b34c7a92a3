"""What Sentinels, nodes and operators do, on a cluster of its own each, with a referee at every Sentinel."""

import re
import time

import pytest
from cluster import HOST, SERVICE, Cluster
from own_etc import OwnEtc, needs_root
from process import wait_until
from referee import VOTE_LIFE, Watch
from resp import RespError
from rig import check_clean

DOWN_AFTER = 2500
ROUNDING = 0.05


class Arena:
    """A cluster that is started as the test wants it, and cleaned up in any case."""

    def __init__(self):
        self.cluster = Cluster()

    def start(self, sentinel_lines="", sentinels=None, agent=None, **options):
        cluster = self.cluster
        cluster.start_redis()
        if sentinels:
            sentinels(cluster)
        else:
            cluster.start_sentinels(down_after=DOWN_AFTER, extra=sentinel_lines, **options)
        cluster.start_agent(agent)
        cluster.start_haproxy()
        return cluster


@pytest.fixture
def arena():
    made = Arena()
    with made.cluster:
        yield made
        check_clean(made.cluster.agent)


@pytest.fixture
def cluster(arena):
    """All as shipped, and served."""
    started = arena.start()
    started.wait_served()
    return started


def test_all_sentinels_killed_and_back(cluster, report):
    """All Sentinels are killed at once, and started again five seconds later."""
    with Watch(cluster) as watch:
        watch.wait_named("R1")
        for sentinel in cluster.sentinels:
            sentinel.kill()
        killed = time.monotonic()
        watch.stay(5)
        assert watch.named_since(killed + VOTE_LIFE + ROUNDING) == {None}
        for sentinel in cluster.sentinels:
            sentinel.start()
        watch.wait_named("R1")
    watch.judge()
    assert cluster.agent.find_log(event="quorum-lost", reason="refused")
    report(watch)


def test_master_stopped_and_continued(cluster, report):
    """The master hangs (SIGSTOP) until it was replaced, and goes on, still a master by its own word."""
    old = cluster.redis[0]
    with Watch(cluster, writer=False) as watch:
        watch.wait_named("R1")
        old.pause()
        new = cluster.wait_failover(old)
        watch.wait_named(new.name)
        back = time.monotonic()
        old.resume()
        wait_until(lambda: old.role() == "slave", 60, "it is made a replica")
        assert watch.named_since(back) == {new.name}
    watch.judge()
    report(watch)


def test_sentinel_stopped_and_continued(cluster, report):
    """A Sentinel is frozen while the others fail over, and goes on in TILT, with its old view at first."""
    frozen = cluster.sentinels[2]
    with Watch(cluster) as watch:
        watch.wait_named("R1")
        frozen.pause()
        cluster.sentinels[0].fail_over()
        wait_until(lambda: watch.last.master not in ("R1", None), 30, "another master is named")
        new = watch.last.master
        watch.stay(2.5)  # a timer that is late by two seconds makes it TILT
        back = time.monotonic()
        frozen.resume()
        frozen.wait_log(r"\+tilt")
        wait_until(lambda: frozen.named()[1] != cluster.redis[0].port, 30, "it has heard of the new master")
        wait_until(lambda: watch.last.variables["votes"] == 3, 30, "it votes again")
        assert watch.named_since(back) <= {new, None}
    watch.judge()
    report(watch)


def test_failover_by_order_under_a_referee(cluster, report):
    """SENTINEL FAILOVER: nobody is refused for longer than the Sentinels need to agree."""
    with Watch(cluster) as watch:
        watch.wait_named("R1")
        cluster.sentinels[1].fail_over()
        new = cluster.wait_failover(cluster.redis[0])
        watch.wait_named(new.name)
        watch.stay(1)
    watch.judge()
    report(watch)


def test_two_failovers_at_once(cluster, report):
    """Two Sentinels are ordered to fail over at once, under writes: they may promote different replicas."""
    first, second, _ = cluster.sentinels
    with Watch(cluster) as watch:
        wait_until(lambda: len(watch.writer.acknowledged()) >= 50, 15, "writes")
        first.fail_over()
        try:
            second.call("SENTINEL", "FAILOVER", SERVICE)
        except RespError as error:  # it heard of the other one already
            assert str(error).startswith("INPROG"), error
        wait_until(lambda: watch.last.master not in ("R1", None), 40, "another master is named")

        def agreed():
            node = cluster.named()
            return node is not None and node.role() == "master" and watch.last.master == node.name
        wait_until(agreed, 60, "the agent names a master that a majority names and that is one")
    watch.judge()
    report(watch)


def test_reset(cluster, report):
    """SENTINEL RESET on one Sentinel, then on all: they forget each other and the replicas, not the master."""
    with Watch(cluster) as watch:
        watch.wait_named("R1")
        cluster.sentinels[0].call("SENTINEL", "RESET", "*")
        watch.stay(2)
        for sentinel in cluster.sentinels:
            sentinel.call("SENTINEL", "RESET", "*")
        watch.stay(2)
        assert watch.named_since(0) == {"R1"}
    watch.judge()
    report(watch)


def monitor(sentinel, node):
    """SENTINEL REMOVE, then MONITOR another node under the same name."""
    sentinel.call("SENTINEL", "REMOVE", SERVICE)
    sentinel.call("SENTINEL", "MONITOR", SERVICE, HOST, node.port, 2)
    sentinel.call("SENTINEL", "SET", SERVICE, "down-after-milliseconds", DOWN_AFTER)


def test_remove_and_monitor(cluster, report):
    """One Sentinel is told to monitor a replica as the master, then all are."""
    first, second, third = cluster.redis
    with Watch(cluster) as watch:
        watch.wait_named("R1")
        monitor(cluster.sentinels[0], second)
        watch.stay(3)
        assert watch.named_since(0) <= {"R1", None}
        second.call("REPLICAOF", "NO", "ONE")
        for node in (first, third):
            node.call("REPLICAOF", HOST, second.port)
        for sentinel in cluster.sentinels:
            monitor(sentinel, second)
        watch.wait_named("R2")
        watch.stay(1)
    watch.judge()
    report(watch)


def test_majority_names_a_replica(cluster, report):
    """All Sentinels are told to monitor a node that is a replica: a majority, and yet no master."""
    second = cluster.redis[1]
    with Watch(cluster) as watch:
        watch.wait_named("R1")
        for sentinel in cluster.sentinels:
            monitor(sentinel, second)
        wait_until(lambda: watch.last.variables["state"] == "not-master", 15, "it is vetoed")
        vetoed = time.monotonic()
        watch.stay(2)
        assert watch.named_since(vetoed) == {None}
    watch.judge()
    report(watch)


def test_sentinel_from_a_pristine_file(cluster, report):
    """After a failover a Sentinel loses its state and comes back with the file of the first day."""
    sentinel = cluster.sentinels[2]
    old = cluster.redis[0]
    with Watch(cluster) as watch:
        watch.wait_named("R1")
        cluster.sentinels[0].fail_over()
        new = cluster.wait_failover(old)
        watch.wait_named(new.name)
        wait_until(lambda: all(one.named()[1] == new.port for one in cluster.sentinels), 30, "all agree")
        switched = time.monotonic()
        sentinel.kill()
        sentinel.configure(old, 2, DOWN_AFTER, 10000)
        sentinel.start()
        wait_until(lambda: sentinel.named()[1] == new.port, 30, "it has heard of the new master")
        wait_until(lambda: watch.last.variables["votes"] == 3, 30, "it votes again")
        assert watch.named_since(switched) <= {new.name, None}
    watch.judge()
    report(watch)


def test_leader_crashes_after_promotion(cluster, report):
    """The leader dies when it has promoted a replica and has told nobody: the others go on naming the dead master."""
    old = cluster.redis[0]
    with Watch(cluster) as watch:
        watch.wait_named("R1")
        for sentinel in cluster.sentinels:
            sentinel.call("SENTINEL", "SIMULATE-FAILURE", "crash-after-promotion")
        old.kill()
        dead = wait_until(lambda: next((one for one in cluster.sentinels if not one.alive()), None), 30, "the leader is dead")
        wait_until(lambda: any(node.alive() and node.role() == "master" for node in cluster.redis), 10, "a replica is promoted")
        watch.stay(3)
        dead.start()
        new = cluster.wait_failover(old, timeout=60)
        watch.wait_named(new.name, timeout=60)
    watch.judge()
    report(watch)


@needs_root
def test_names_announced_by_some(arena, report):
    """Two Sentinels announce host names, one does not: a majority names what the map does not have."""
    name = "redis-1.test"
    etc = OwnEtc(arena.cluster.directory, f"{HOST} {name}\n")

    def sentinels(cluster):
        cluster.start_sentinels(down_after=DOWN_AFTER)
        for sentinel in cluster.sentinels[:2]:
            sentinel.kill()
            lines = [line for line in sentinel.config_path.read_text().splitlines()
                     if not re.match(r"sentinel (known-|myid)", line)]
            text = "\n".join(lines).replace(f"sentinel monitor {SERVICE} {HOST}", f"sentinel monitor {SERVICE} {name}")
            sentinel.config_path.write_text("sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n" + text + "\n")
            sentinel.prefix = etc.words()
            sentinel.start()
            assert sentinel.named()[0] == name

    cluster = arena.start(sentinels=sentinels)
    with Watch(cluster, writer=False) as watch:
        wait_until(lambda: watch.questioner.answers and
                   watch.last.variables["state"] == "unknown-address", 15, "the address is unknown")
        watch.stay(2)
        assert watch.named_since(0) == {None}
        assert cluster.agent.find_log(event="alarm", alarm="unknown-address")
        assert cluster.agent.find_log(event="address-not-in-map", address=f"{name}:{cluster.redis[0].port}")
        for sentinel in cluster.sentinels[:2]:
            sentinel.call("SENTINEL", "CONFIG", "SET", "announce-hostnames", "no")
        watch.wait_named("R1")
    watch.judge()
    report(watch)


# What Redis documents for clients of Sentinel; no SUBSCRIBE.
CLIENT_ACL = ("-@all +auth +client|getname +client|id +client|setname +command +hello +ping +role "
              "+sentinel|get-master-addr-by-name +sentinel|master +sentinel|myid +sentinel|replicas +sentinel|sentinels")
CREDENTIALS = {"[sentinels]\n": "[sentinels]\nusername = haproxy\npassword = secret\n"}


def test_least_rights(arena, report):
    """Sentinels that grant what Redis documents for clients, and no events: the agent polls."""
    cluster = arena.start(sentinel_lines=f"user haproxy on >secret {CLIENT_ACL}", agent=CREDENTIALS)
    with Watch(cluster) as watch:
        watch.wait_named("R1")
        assert cluster.agent.wait_log(event="hints-refused")
        cluster.sentinels[0].fail_over()
        new = cluster.wait_failover(cluster.redis[0])
        watch.wait_named(new.name)
    watch.judge()
    assert cluster.agent.log_lines(event="sentinel-facts-refused") == []
    report(watch)


def test_wrong_password_then_right(arena, report):
    """The agent's password is wrong at first, and put right on the Sentinels' side, without a restart of anybody."""
    for sentinel in arena.cluster.sentinels:
        sentinel.credentials = ("admin", "admin")
    lines = ("user admin on >admin +@all &*", "user haproxy on >other +@all &*",
             "user default on nopass +@all &* -sentinel|get-master-addr-by-name -sentinel|myid")
    cluster = arena.start(sentinel_lines="\n".join(lines), agent=CREDENTIALS)
    with Watch(cluster, writer=False) as watch:
        wait_until(lambda: len(cluster.agent.log_lines(event="sentinel-auth-failed")) == 3, 15, "all refuse the password")
        watch.stay(1)
        assert watch.named_since(0) == {None}
        for sentinel in cluster.sentinels:
            sentinel.call("ACL", "SETUSER", "haproxy", ">secret")
        watch.wait_named("R1")
    watch.judge()
    report(watch)
