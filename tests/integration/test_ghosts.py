"""A client that has gone while it waited is not served later: HAProxy would deliver what it had sent. Others are served."""

import contextlib
import ipaddress
import socket
import time

import pytest
import spop_client as spop
from cluster import Cluster
from fake_sentinel import GET_MASTER
from process import wait_until
from rig import Rig, check_clean, run_agent

CLIENTS = 200


class ParkedCluster(Cluster):
    """Nobody can be named until the Sentinels are let go on: all who come are parked."""

    def __init__(self):
        super().__init__(recipe="runtime-api")
        self.park = "20s"

    def start_all(self, service="", spoe_edits=None, edits=None):
        self.start_redis()
        self.start_sentinels()
        self.start_agent({"listen = 127.0.0.1:9012\n": "listen = 127.0.0.1:9012\nhttp = 127.0.0.1:0\n", "[service mymaster]\n": f"[service mymaster]\n{service}"})
        self.start_haproxy(edits, spoe_edits={"timeout processing 10s": "timeout processing 25s", **(spoe_edits or {})})
        self.wait_served()

    @contextlib.contextmanager
    def nobody_named(self):
        """Two Sentinels hang for the `with` block."""
        for sentinel in self.sentinels[:2]:
            sentinel.pause()
        self.agent.wait_log(event="quorum-lost", timeout=15)
        try:
            yield
        finally:
            for sentinel in self.sentinels[:2]:
                sentinel.resume()

    def parked(self):
        return self.agent.metric("redis_spoa_parked_streams")


def connect(cluster):
    return socket.create_connection(cluster.haproxy.address, 30)


def increment(sock, key):
    sock.sendall(f"INCR {key}\r\n".encode())


def executed(cluster, prefix):
    """How often each key was incremented."""
    keys = [f"{prefix}:{i}" for i in range(CLIENTS)]
    return [int(value or 0) for value in cluster.redis[0].call("MGET", *keys)]


@pytest.fixture
def cluster():
    with ParkedCluster() as made:
        made.start_all()
        yield made
        check_clean(made.agent)


def test_who_gave_up_is_not_served_and_who_waits_is(cluster):
    with cluster.nobody_named():
        gone = [connect(cluster) for _ in range(CLIENTS)]
        patient = [connect(cluster) for _ in range(CLIENTS)]
        for i in range(CLIENTS):
            increment(gone[i], f"gone:{i}")
            increment(patient[i], f"patient:{i}")
        wait_until(lambda: cluster.parked() == 2 * CLIENTS, 15, "all are parked")
        for sock in gone:
            sock.close()
        wait_until(lambda: cluster.parked() == CLIENTS, 15, "their places are free at once")
    assert [sock.recv(100) for sock in patient] == [b":1\r\n"] * CLIENTS
    assert executed(cluster, "patient") == [1] * CLIENTS
    assert executed(cluster, "gone") == [0] * CLIENTS
    assert cluster.agent.metric("redis_spoa_clients_gone_total") == CLIENTS


def test_both_families_at_one_bind():
    """A client that reaches `bind :::6379 v4v6` by IPv4 has an IPv6 address there, in which its own is mapped."""
    with ParkedCluster() as both:
        port = both.haproxy.port
        both.start_all(edits={"bind 127.0.0.1:6379": f"bind :::{port} v4v6"})
        with both.nobody_named():
            gone = [socket.create_connection((host, port), 30) for host in ("127.0.0.1", "::1")]
            patient = [socket.create_connection((host, port), 30) for host in ("127.0.0.1", "::1")]
            for i, (one, other) in enumerate(zip(gone, patient)):
                increment(one, f"gone:{i}")
                increment(other, f"patient:{i}")
            wait_until(lambda: both.parked() == 4, 15, "all are parked")
            for sock in gone:
                sock.close()
            wait_until(lambda: both.parked() == 2, 15, "their places are free at once")
        assert [sock.recv(100) for sock in patient] == [b":1\r\n"] * 2
        assert sum(executed(both, "gone")) == 0
        assert not both.agent.find_log(event="clients-unseen")
        check_clean(both.agent)


def test_who_gives_up_when_the_master_is_named(cluster):
    """While the agent hangs: it looks before it names."""
    with cluster.nobody_named():
        gone = [connect(cluster) for _ in range(CLIENTS)]
        for i, sock in enumerate(gone):
            increment(sock, f"gone:{i}")
        wait_until(lambda: cluster.parked() == CLIENTS, 15, "all are parked")
        cluster.agent.pause()
        for sock in gone:
            sock.close()
    # The votes are there when it goes on.
    wait_until(lambda: cluster.named() is cluster.redis[0], 15, "a majority names the master")
    cluster.agent.resume()
    cluster.wait_served()
    assert executed(cluster, "gone") == [0] * CLIENTS


def test_who_closes_one_half_is_served_in_normal_times(cluster):
    """`printf ... | nc -N`: only while nobody is named is that taken for a client that has gone."""
    answers = []
    for i in range(CLIENTS):
        with connect(cluster) as sock:
            increment(sock, f"half:{i}")
            sock.shutdown(socket.SHUT_WR)
            answers.append(sock.recv(100))
    assert answers == [b":1\r\n"] * CLIENTS


def ask_for(client, src, src_port=40000):
    """The question on behalf of a client at this address; the variables that the agent sets."""
    client.stream_id += 1
    addresses = {"src": src, "src_port": src_port, "dst": ipaddress.ip_address("10.9.8.7"), "dst_port": 6379}
    message = ("find-master", {"service": "mymaster", "role": "master", **addresses})
    client.send(spop.notify(client.stream_id, 1, [message]))
    return client.expect(spop.ACK).variables()


@pytest.mark.parametrize("src, port, detail", [("10.1.2.3", 40000, "network namespace"), ("10.1.2.3", 0, "src_port"),
                                               ("fd00::1", 40000, "src_port")])
def test_addresses_that_name_no_connection(src, port, detail):
    """HAProxy in another network namespace, or arguments that do not fit: served as ever, told once."""
    with Rig(service="park = 1s", sentinels="poll = 100ms") as rig:
        rig.wait_votes(3)
        with rig.connect() as client:
            def told():
                assert ask_for(client, ipaddress.ip_address(src), port)["master"] == "R1"
                return rig.agent.find_log(event="alarm", alarm="gone-clients-unseen")
            assert detail in wait_until(told, 15, "the alarm")["detail"]
            for fake in rig.fakes:
                fake.reply(GET_MASTER, None)
            rig.agent.wait_log(event="quorum-lost")
            begun = time.monotonic()
            assert ask_for(client, ipaddress.ip_address(src), port)["master"] is None
            assert time.monotonic() - begun > 0.9  # it has waited as long as others do
        assert len(rig.agent.log_lines(event="alarm", alarm="gone-clients-unseen")) == 1


def test_serve_says_so():
    """`gone-clients = serve`: as it was."""
    with ParkedCluster() as cluster:
        cluster.start_all(service="gone-clients = serve\n")
        with cluster.nobody_named():
            gone = [connect(cluster) for _ in range(CLIENTS)]
            for i, sock in enumerate(gone):
                increment(sock, f"gone:{i}")
            wait_until(lambda: cluster.parked() == CLIENTS, 15, "all are parked")
            for sock in gone:
                sock.close()
        wait_until(lambda: executed(cluster, "gone") == [1] * CLIENTS, 15, "all is executed")
        assert "gone-clients-unseen" not in cluster.agent.log_text()
        check_clean(cluster.agent)


ARGUMENTS = " src=src src_port=src_port dst=dst dst_port=dst_port"


def test_without_the_arguments_it_is_as_it_was():
    """An older spoe.conf: clients are served, and an alarm says what to add."""
    with ParkedCluster() as cluster:
        cluster.start_all(spoe_edits={ARGUMENTS: ""})
        wait_until(lambda: cluster.serves() and cluster.agent.find_log(event="alarm", alarm="gone-clients-unseen"), 15, "the alarm")
        assert "src_port" in cluster.agent.find_log(event="alarm", alarm="gone-clients-unseen")["detail"]
        done = run_agent("-f", cluster.agent.config_path, "check")
        assert "[gone-clients-unseen]" in done.stdout
        with cluster.nobody_named():
            sock = connect(cluster)
            increment(sock, "key")
            wait_until(lambda: cluster.parked() == 1, 15, "it is parked")
        assert sock.recv(100) == b":1\r\n"
        check_clean(cluster.agent)
