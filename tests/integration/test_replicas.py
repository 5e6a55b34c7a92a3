"""Replicas for reads: with scripted Sentinels, and the shipped recipe with real programs."""

import collections
import time

import pytest
from cluster import Cluster
from fake_sentinel import error
from process import wait_until
from resp import Resp, RespError
from rig import SERVERS, Rig, check_clean
from spop_client import ask_once, question

FAST = "poll = 100ms"
R1, R2, R3 = SERVERS["R1"], SERVERS["R2"], ("127.0.0.1", 7003)
SERVICE = "server = R3 127.0.0.1:7003\nreplicas = yes"


def replica(address, master=R1, flags="slave", link="ok"):
    """One of SENTINEL REPLICAS."""
    values = {"name": f"{address[0]}:{address[1]}", "ip": address[0], "port": address[1], "flags": flags,
              "master-host": master[0], "master-port": master[1], "master-link-status": link}
    return [str(part) for pair in values.items() for part in pair]


def say(rig, *replicas, count=3):
    """The first `count` Sentinels list these replicas."""
    for fake in rig.fakes[:count]:
        fake.reply("SENTINEL REPLICAS", list(replicas))


def rig_of(service="", **more):
    return Rig(sentinels=FAST, service=f"{SERVICE}\n{service}", **more)


def named(rig, count=12):
    """How often each server was named as a replica."""
    with rig.connect() as haproxy:
        answers = [haproxy.ask(role="replica") for _ in range(count)]
    return collections.Counter(answer["replica"] for answer in answers)


def wait_named(rig, *names):
    wait_until(lambda: set(named(rig, 4)) == set(names), 15, f"{names} are named")


def test_by_turns():
    with rig_of() as rig:
        say(rig, replica(R2), replica(R3))
        wait_named(rig, "R2", "R3")
        assert named(rig) == {"R2": 6, "R3": 6}
        answer = rig.ask(role="replica")
        assert (answer["state"], str(answer["addr"]), "master" in answer) == ("ok", "127.0.0.1", False)
        assert answer["port"] == {"R2": 7002, "R3": 7003}[answer["replica"]]
        assert rig.ask()["master"] == "R1"


def test_weights():
    with Rig(sentinels=FAST, service="server = R3 127.0.0.1:7003 weight=3\nreplicas = yes") as rig:
        say(rig, replica(R2), replica(R3))
        wait_named(rig, "R2", "R3")
        assert named(rig) == {"R2": 3, "R3": 9}


def test_a_majority_must_say_so():
    with rig_of() as rig:
        rig.wait_votes(3)
        say(rig, replica(R2), replica(R3), count=1)
        rig.wait_polls(3)
        assert set(named(rig, 4)) == {None}
        say(rig, replica(R2), replica(R3, flags="s_down,slave"), count=2)
        wait_named(rig, "R2")
        say(rig, replica(R2, link="err"), replica(R3), count=2)
        wait_named(rig, "R3")
        say(rig, replica(R3, master=R2), replica(R2))  # one that follows another master
        wait_named(rig, "R2")
        say(rig, replica(("127.0.0.1", 7009)))  # not in the map
        wait_named(rig, None)
        assert rig.ask(role="replica")["state"] == "no-replica"


def test_what_is_said_expires():
    """Two of three Sentinels do not answer the question any more: after `vote-life` nobody is named."""
    with rig_of() as rig:
        say(rig, replica(R2))
        wait_named(rig, "R2")
        for fake in rig.fakes[:2]:
            fake.reply("SENTINEL REPLICAS", error("ERR no"))
        wait_named(rig, None)
        assert rig.ask()["state"] == "ok"


def test_fallback():
    with rig_of("replica-fallback = master") as rig:
        rig.wait_votes(3)
        answer = rig.ask(role="replica")
        assert (answer["state"], answer["replica"], "master" in answer) == ("ok", "R1", False)
        say(rig, replica(R2))
        wait_named(rig, "R2")
        assert rig.agent.wait_log(event="replicas", up="R2")


def test_asked_seldom_where_disabled():
    """At the start and once in ten polls, for the alarms; not where any address is named."""
    with Rig(sentinels=FAST) as rig:
        rig.wait_votes(3)
        rig.wait_polls(30)
        assert rig.ask(role="replica")["state"] == "unknown-service"
        assert 3 <= rig.fakes[0].times_asked("SENTINEL REPLICAS") <= rig.fakes[0].times_asked() / 4
    with Rig(sentinels=FAST, service="allow-any-address = yes") as rig:
        rig.wait_votes(3)
        rig.wait_polls(12)
        assert rig.fakes[0].times_asked("SENTINEL REPLICAS") == 0


def test_no_right_to_ask():
    with rig_of() as rig:
        for fake in rig.fakes:
            fake.reply("SENTINEL REPLICAS", error("NOPERM this user has no permissions"))
        rig.agent.wait_log(event="sentinel-replicas-refused")
        rig.wait_votes(3)
        assert rig.ask(role="replica")["state"] == "no-replica"


def test_readers_wait_for_a_replica():
    """Parked until there is one; those who ask for the master do not wait."""
    with rig_of("park = 20s") as rig, rig.connect() as reader, rig.connect() as writer:
        rig.wait_votes(3)
        reader.send(question(role="replica"))
        reader.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            reader.sock.recv(1)
        assert writer.ask()["master"] == "R1"
        reader.sock.settimeout(15)
        say(rig, replica(R3))
        assert reader.read().variables()["replica"] == "R3"


# ---- real programs ----

def reader_port(cluster):
    """The port of the Redis that a connection for reading leads to."""
    with Resp(cluster.reads, 10) as connection:
        return int(connection.call("CONFIG", "GET", "port")[1])


def serves_reads(cluster, *nodes):
    """Whether twelve connections lead to just these."""
    return {reader_port(cluster) for _ in range(12)} == {node.port for node in nodes}


def test_read_write_split():
    """Reads go to both replicas by turns, not to one that is dead, and after a failover to those that are replicas then."""
    with Cluster(recipe="read-write-split") as cluster:
        cluster.start()
        one, two, three = cluster.redis
        wait_until(lambda: serves_reads(cluster, two, three), 30, "R2 and R3 are read from")
        with Resp(cluster.reads, 10) as reader, pytest.raises(RespError, match="READONLY"):
            reader.call("SET", "key", "value")
        assert cluster.call("SET", "key", "value") == "OK"
        three.kill()
        wait_until(lambda: serves_reads(cluster, two), 30, "R2 alone is read from")
        two.kill()
        wait_until(lambda: serves_reads(cluster, one), 30, "the master is read from, as the recipe says")
        for node in (two, three):
            node.start()
        wait_until(lambda: serves_reads(cluster, two, three), 60, "R2 and R3 are read from again")
        cluster.sentinels[0].fail_over()
        new = cluster.wait_failover(one)
        others = [node for node in cluster.redis if node is not new]
        wait_until(lambda: serves_reads(cluster, *others), 60, "the others are read from")
        assert cluster.served_by() is new
        check_clean(cluster.agent)


def test_lag():
    """A replica that takes nothing any more, while the master is written to, is not read from. Its link stays, so no Sentinel
    minds."""
    with Cluster(recipe="read-write-split") as cluster:
        cluster.start_redis()
        cluster.start_sentinels(down_after=60000)
        cluster.start_agent({"max-lag = 10s": "max-lag = 10kb"})
        cluster.start_haproxy()
        cluster.wait_served()
        _, two, three = cluster.redis
        wait_until(lambda: serves_reads(cluster, two, three), 30, "R2 and R3 are read from")
        three.pause()
        until = time.monotonic() + 60
        for i in range(40):
            cluster.call("SET", f"key:{i}", "x" * 1000)
        wait_until(lambda: named_port(cluster) == {two.port}, 30, "R2 alone is named")
        three.resume()
        wait_until(lambda: serves_reads(cluster, two, three), until - time.monotonic(), "R3 is read from again")
        check_clean(cluster.agent)


def named_port(cluster):
    """The ports that the agent names to readers: a Redis that is stopped accepts connections all the same."""
    return {ask_once(cluster.agent.address, role="replica")["port"] for _ in range(6)}
