"""Parked streams: with scripted Sentinels and raw SPOP, and with real HAProxy, where clients must not notice a failover."""

import signal
import time

import pytest
from cluster import Cluster
from fake_sentinel import GET_MASTER
from observers import Background
from process import wait_until
from resp import Resp
from rig import Rig, check_clean
from spop_client import question
from test_rule import Node, NodeRig, say_facts

FAST = "poll = 100ms"
NOTICED = 0.05  # seconds in which the agent's own link shows that the master is dead


def lose_master(rig):
    """No majority any more: the Sentinels name nobody."""
    for fake in rig.fakes:
        fake.reply(GET_MASTER, None)
    rig.agent.wait_log(event="quorum-lost", reason="unknown-name")


def find_master(rig):
    for fake in rig.fakes:
        fake.heal()


def ask_and_wait(haproxy, streams):
    """Send so many questions; returns when none was answered for a while."""
    for stream in streams:
        haproxy.send(question(stream_id=stream))
    haproxy.sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        haproxy.sock.recv(1)
    haproxy.sock.settimeout(15)


def test_all_are_answered_when_a_master_is_there():
    with Rig(sentinels=FAST, service="park = 20s\ndebounce = 0") as rig, rig.connect() as one, rig.connect() as other:
        rig.wait_votes(3)
        lose_master(rig)
        ask_and_wait(one, range(1, 51))
        ask_and_wait(other, range(1, 6))
        find_master(rig)
        for client, count in ((one, 50), (other, 5)):
            answers = [client.read() for _ in range(count)]
            assert [answer.stream_id for answer in answers] == list(range(1, count + 1))
            assert {answer.variables()["master"] for answer in answers} == {"R1"}


def test_deadline():
    """Nobody turns up: the answer has the state and no name, not before the time and soon after."""
    with Rig(sentinels=FAST, service="park = 1s\ndebounce = 0") as rig, rig.connect() as haproxy:
        rig.wait_votes(3)
        lose_master(rig)
        asked = time.monotonic()
        haproxy.send(question(stream_id=1))
        answer = haproxy.read().variables()
        waited = time.monotonic() - asked
        assert (answer["state"], answer["master"]) == ("no-quorum", None)
        assert 0.95 < waited < 5


def test_bound():
    """Beyond `park-max` the answer is immediate."""
    with Rig(agent="park-max = 10", sentinels=FAST, service="park = 20s\ndebounce = 0") as rig, rig.connect() as haproxy:
        rig.wait_votes(3)
        lose_master(rig)
        ask_and_wait(haproxy, range(1, 11))
        haproxy.send(question(stream_id=11))
        answer = haproxy.read()
        assert (answer.stream_id, answer.variables()["state"]) == (11, "no-quorum")
        find_master(rig)
        assert {haproxy.read().variables()["master"] for _ in range(10)} == {"R1"}


def test_a_haproxy_that_goes_takes_its_streams_with_it():
    agent = "park-max = 10\nlog-level = debug"
    with Rig(agent=agent, sentinels=FAST, service="park = 20s\ndebounce = 0") as rig, rig.connect() as other:
        rig.wait_votes(3)
        lose_master(rig)
        mark = rig.agent.mark()
        with rig.connect() as haproxy:
            ask_and_wait(haproxy, range(1, 11))
        rig.agent.wait_log(event="spop-closed", since=mark)
        ask_and_wait(other, range(1, 11))  # there is room again
        find_master(rig)
        assert {other.read().variables()["master"] for _ in range(10)} == {"R1"}


def test_stop_answers_what_is_parked():
    """SIGTERM: nobody waits for a master any more."""
    with Rig(sentinels=FAST, service="park = 20s\ndebounce = 0") as rig, rig.connect() as haproxy:
        rig.wait_votes(3)
        lose_master(rig)
        ask_and_wait(haproxy, range(1, 21))
        rig.agent.signal(signal.SIGTERM)
        answers = [haproxy.read() for _ in range(20)]
        assert {answer.variables()["state"] for answer in answers} == {"no-quorum"}
        haproxy.read_disconnect()
        haproxy.close()
        assert rig.agent.child.wait(15) == 0


def ask_timed(haproxy, state="ok"):
    """Who is named, and after how many seconds."""
    asked = time.monotonic()
    answer = haproxy.ask()
    assert answer["state"] == state
    return answer["master"], time.monotonic() - asked


def doubt_node(rig, down_after):
    """The Sentinels tell their limit, over `park`, and the node that they name refuses us from now on. Returns when."""
    say_facts(rig, down_after=down_after)
    rig.agent.wait_log(event="alarm", alarm="park")  # so the limit is known
    wait_until(lambda: rig.nodes[0].probes >= 2, 15, "the node was probed")
    rig.nodes[0].stop()
    rig.agent.wait_log(event="master-doubted")
    return time.monotonic()


def test_node_that_refuses_delays_each_for_its_own_park():
    """The master is dead and named still: every new stream waits for `park`, until the Sentinels have had their time; then
    it is only we who are refused."""
    with NodeRig(service="park = 1s") as rig, rig.connect() as haproxy:
        rig.wait_master("N1")
        doubted = doubt_node(rig, down_after=4000)
        for _ in range(4):  # 0 to 4 s
            name, waited = ask_timed(haproxy, "doubted")
            assert name == "N1"
            assert 0.95 < waited < 3
        assert not rig.agent.find_log(event="master-trusted")
        rig.agent.wait_log(event="master-trusted")
        assert 5.5 < time.monotonic() - doubted < 10
        name, waited = ask_timed(haproxy)  # a link that stays broken does not delay for ever
        assert name == "N1"
        assert waited < 0.5
        assert [len(rig.agent.log_lines(event=event)) for event in ("master-doubted", "master-trusted")] == [1, 1]


def test_node_that_comes_back_ends_the_doubt():
    """It is named again as soon as it answers, for those who wait and those who come."""
    with NodeRig(service="park = 8s") as rig, rig.connect() as haproxy:
        rig.wait_master("N1")
        doubt_node(rig, down_after=10000)
        time.sleep(4)  # by the back-off alone it would be asked every one or two seconds now
        back = rig.nodes[0] = Node(port=rig.nodes[0].port)
        name, waited = ask_timed(haproxy)
        assert name == "N1"
        assert waited < 0.8
        assert back.probes >= 1


class Client(Background):
    """An ordinary client: connects, writes, closes; a connection that is closed without a word was refused."""

    def __init__(self, address):
        super().__init__()
        self.address = address
        self.done = []  # (started, ended, error or None)

    def step(self):
        started = time.monotonic()
        error = None
        try:
            with Resp(self.address, 30) as connection:
                connection.call("SET", "key", "value")
        except OSError as failure:
            error = failure
        self.done.append((started, time.monotonic(), error))


def test_clients_wait_through_a_failover():
    """The master is killed: with `park` longer than the failover new connections are slow, and none is refused."""
    with Cluster() as cluster:
        cluster.park = "20s"
        cluster.start_redis()
        cluster.start_sentinels(down_after=2500)
        cluster.start_agent()
        cluster.start_haproxy(spoe_edits={"timeout processing 10s": "timeout processing 25s"})
        cluster.wait_served()
        with Client(cluster.haproxy.address) as early, Client(cluster.haproxy.address) as late:
            wait_until(lambda: len(early.done) > 20, 30, "connections before")
            old = cluster.redis[0]
            old.kill()  # what is connected to it loses its connection; what comes after that waits
            killed = time.monotonic()
            wait_until(lambda: cluster.agent.find_log(event="master-doubted"), 5, "the agent's own link broke")
            clients = [Client(cluster.haproxy.address) for _ in range(5)]
            for client in clients:
                client.__enter__()
            new = cluster.wait_failover(old)
            cluster.agent.wait_log(event="master-switch", new_server=new.name)
            switched = time.monotonic()
            for client in clients:
                wait_until(lambda c=client: c.done and c.done[-1][0] > switched, 30, "connections after")
                client.__exit__(None, None, None)
        done = [one for client in (early, late, *clients) for one in client.done]
        assert [error for started, _, error in done if error and started > killed + NOTICED] == []
        assert len([one for one in done if one[2] is None and one[1] - one[0] > 1]) >= 5  # they waited, and were served
        check_clean(cluster.agent)
