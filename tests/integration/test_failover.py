"""Real haproxy, redis-server, redis-sentinel and agent with the shipped files: who reaches which Redis, and when.

The tests share one cluster and run in the order of the file; each leaves all programs running and in agreement.
"""

import time
from dataclasses import dataclass

from observers import Background, Writer
from process import wait_until
from resp import Resp, RespError
from spop_client import SpopClient, ask_once, question

VOTE_LIFE = 2.0  # seconds, the default
PROCESSING = 10.0  # `timeout processing` in the shipped spoe.conf
ROUNDING = 0.01  # the agent counts whole milliseconds


@dataclass
class Visit:
    """One connection through HAProxy. Times are of time.monotonic()."""
    started: float
    ended: float
    port: int = 0  # of the Redis that it reached; 0 where it was refused
    role: str = ""  # of that Redis, by its own word


def visit(cluster, timeout=15):
    """Connect through HAProxy and ask who is there. A connection that is closed without a word was refused."""
    started = time.monotonic()
    try:
        with Resp(cluster.haproxy.address, timeout) as connection:
            for words in (("ECHO", "visit"), ("ROLE",), ("CONFIG", "GET", "port")):
                connection.send(*words)
            connection.read()
            role, port = connection.read()[0], int(connection.read()[1])
    except ConnectionError:
        return Visit(started, time.monotonic())
    return Visit(started, time.monotonic(), port, role)


class Visitor(Background):
    """Visits again and again."""

    def __init__(self, cluster):
        super().__init__()
        self.cluster = cluster
        self.visits = []
        self.failure = None

    def step(self):
        try:
            self.visits.append(visit(self.cluster))
        except (RespError, OSError) as error:  # neither served nor refused
            self.failure = error
            self.ending.set()

    def wait_visits(self, count=20, timeout=30):
        """Wait for so many further visits, all begun after this call."""
        now = time.monotonic()
        wait_until(lambda: self.failure or sum(one.started > now for one in list(self.visits)) >= count, timeout,
                   f"{count} visits")
        self.check()

    def check(self):
        """No visit met anybody but a master."""
        assert self.failure is None, self.failure
        assert [one for one in self.visits if one.port and one.role != "master"] == []

    def reached(self, since=0.0):
        """The ports that the visits begun after `since` reached."""
        return {one.port for one in list(self.visits) if one.port and one.started > since}

    def refused(self):
        return [one for one in list(self.visits) if not one.port]


def commands_seen(cluster):
    """How many connections got through to each Redis that runs, by the ECHO that each visit begins with."""
    seen = {}
    for node in cluster.redis:
        if node.alive():
            lines = node.call("INFO", "commandstats").splitlines()
            seen[node.name] = next((line for line in lines if line.startswith("cmdstat_echo:")), "none")
    return seen


def assert_all_refused(cluster, count=10):
    """Visits are refused, and no Redis has seen any of them."""
    before = commands_seen(cluster)
    visits = [visit(cluster) for _ in range(count)]
    assert [one for one in visits if one.port] == []
    assert commands_seen(cluster) == before
    return visits


def master_of(cluster):
    """The Redis that all Sentinels name, once they all name the same and know its replicas."""
    node = wait_until(lambda: len({s.named() for s in cluster.sentinels}) == 1 and cluster.named(), 30, "agreement")
    wait_until(lambda: visit(cluster).port == node.port, 30, f"{node.name} is served")
    return node


def test_master_is_named_and_takes_the_writes(cluster):
    before = commands_seen(cluster)
    master = cluster.redis[0]
    seen = [visit(cluster) for _ in range(10)]
    assert {(one.port, one.role) for one in seen} == {(master.port, "master")}
    after = commands_seen(cluster)
    assert {name for name in after if after[name] != before[name]} == {master.name}
    cluster.call("SET", "written", "through HAProxy")
    assert master.call("GET", "written") == "through HAProxy"
    line = cluster.haproxy.wait_log(r"be_redis/R1 ", state="ok", master="R1", votes=3)
    assert (line["addr"], line["port"]) == ("127.0.0.1", str(master.port))


def test_agent_stopped(cluster):
    assert cluster.agent.stop() == 0
    assert_all_refused(cluster)
    cluster.agent.start()
    cluster.wait_served()


def test_agent_frozen(cluster):
    """The first to ask waits for `timeout processing` at the most; health checks then keep others from waiting."""
    before = commands_seen(cluster)
    cluster.agent.pause()
    first = visit(cluster)
    assert first.port == 0
    assert first.ended - first.started < PROCESSING + 2
    cluster.haproxy.wait_log("Server be_sentinel_spoa/agent1 is DOWN", timeout=20)
    for later in assert_all_refused(cluster):
        assert later.ended - later.started < PROCESSING / 2
    assert commands_seen(cluster) == before
    cluster.agent.resume()
    cluster.wait_served()


def test_agent_killed_under_load(cluster):
    master = master_of(cluster)
    with Visitor(cluster) as one, Visitor(cluster) as other:
        for _ in range(3):
            one.wait_visits(30)
            cluster.agent.kill()
            wait_until(one.refused, 15, "a refusal")
            cluster.agent.start()
            cluster.wait_served()
    for visitor in (one, other):
        visitor.check()
        assert visitor.reached() == {master.port}


def test_one_sentinel_down(cluster):
    master = master_of(cluster)
    with Visitor(cluster) as visitor:
        cluster.sentinels[2].kill()
        cluster.agent.wait_log(event="sentinel-down", sentinel=cluster.sentinels[2].where)
        wait_until(lambda: ask_once(cluster.agent.address)["votes"] == 2, 15, "two votes")
        visitor.wait_visits()
    visitor.check()
    assert visitor.refused() == []
    assert visitor.reached() == {master.port}
    cluster.sentinels[2].start()
    wait_until(lambda: ask_once(cluster.agent.address)["votes"] == 3, 15, "three votes")


def test_two_sentinels_down(cluster):
    """Nobody is let in any more once the dead Sentinels' votes have expired, and nobody ever met a replica."""
    master = master_of(cluster)
    mark = cluster.agent.mark()
    with Visitor(cluster) as visitor:
        visitor.wait_visits()
        for sentinel in cluster.sentinels[:2]:
            sentinel.kill()
        expired = time.monotonic() + VOTE_LIFE + ROUNDING
        cluster.agent.wait_log(event="quorum-lost", service="mymaster", reason="refused", since=mark)
        wait_until(lambda: time.monotonic() > expired, 5, "the votes have expired")
        visitor.wait_visits(50)
        assert visitor.reached(since=expired) == set()
        assert visitor.reached() == {master.port}
    visitor.check()
    assert_all_refused(cluster)
    assert ask_once(cluster.agent.address)["state"] == "no-quorum"
    for sentinel in cluster.sentinels[:2]:
        sentinel.start()
    cluster.wait_served()
    wait_until(lambda: all(sentinel.knows_all(2, 2) for sentinel in cluster.sentinels), 30, "Sentinels know all")


def test_failover_by_order(cluster):
    """The old master lives on, writable for some ten seconds: nobody reaches it once the agent has switched."""
    old = master_of(cluster)
    mark = cluster.agent.mark()
    with Visitor(cluster) as visitor:
        cluster.sentinels[0].fail_over()
        line = cluster.agent.wait_log(event="master-switch", old_server=old.name, since=mark, timeout=30)
        switched = time.monotonic()
        wait_until(lambda: visitor.reached(since=switched), 15, "the new master is reached")
        visitor.wait_visits(50)
        assert old.role() == "master"
    visitor.check()
    new = master_of(cluster)
    assert visitor.reached(since=switched) == {new.port}
    assert visitor.reached() <= {old.port, new.port}
    assert (line["service"], line["old"], line["new"], line["new-server"], line["quorum"]) == (
        "mymaster", old.where, new.where, new.name, "2")
    assert int(line["votes"]) >= 2


def test_no_stale_answer_after_a_freeze(cluster):
    """A failover that the agent slept through: its first answers must not be those from before its sleep."""
    old = master_of(cluster)
    with SpopClient(cluster.agent.address) as haproxy:
        haproxy.hello()
        assert haproxy.ask()["master"] == old.name
        cluster.agent.pause()
        asleep = time.monotonic()
        cluster.sentinels[0].fail_over()
        new = cluster.wait_failover(old)
        wait_until(lambda: time.monotonic() > asleep + VOTE_LIFE + ROUNDING, 5, "the votes have expired")
        haproxy.send(question(stream_id=1001))  # this one waits for it already
        cluster.agent.resume()
        haproxy.send(question(stream_id=1003))
        answers = [haproxy.read().variables() for _ in range(2)]
        assert [answer for answer in answers if answer["master"] not in (None, new.name)] == []
        wait_until(lambda: haproxy.ask()["master"] == new.name, 15, f"{new.name} is named")
    cluster.wait_served()
    assert visit(cluster).port == new.port


def wait_settled(cluster):
    """The Sentinels have made replicas of all former masters, and a failover may begin."""
    for sentinel in cluster.sentinels:
        wait_until(lambda s=sentinel: s.knows_all(2, 2), 60, f"{sentinel.name} knows all")


def test_master_killed_and_back(cluster):
    """Writes go on with the new master; the old one comes back writable and gets none until it is a replica."""
    wait_settled(cluster)
    old = master_of(cluster)
    with Writer(cluster.haproxy.address, timeout=15) as writer, Visitor(cluster) as visitor:
        wait_until(lambda: len(writer.acknowledged(old.port)) >= 20, 30, "writes before")
        old.kill()
        killed = time.monotonic()
        new = cluster.wait_failover(old)
        wait_until(lambda: len(writer.acknowledged(new.port)) >= 20, 30, f"writes on {new.name}")
        cluster.agent.wait_log(event="master-switch", old_server=old.name, new_server=new.name)

        old.configure()
        old.start()
        back = time.monotonic()
        assert old.role() == "master"
        assert old.call("SET", "stray", "taken") == "OK"
        writes = len(writer.acknowledged(new.port))
        wait_until(lambda: len(writer.acknowledged(new.port)) >= writes + 50, 30, f"writes on {new.name}")
        assert old.role() == "master"
        wait_until(lambda: old.role() == "slave", 60, "the old master is made a replica")
        visitor.wait_visits()
    visitor.check()
    stray = [one for one in visitor.visits if one.started > killed and one.port not in (0, new.port)]
    assert stray == [], f"{old.name} was killed at {killed}, back at {back}"
    assert [write for write in writer.writes if write.replied] == []
    assert [write for write in writer.acknowledged(old.port) if write.started > killed] == []
    last = writer.acknowledged()[-1]
    assert new.call("GET", last.key) == last.key
