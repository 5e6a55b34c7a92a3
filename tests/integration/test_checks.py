"""Old sessions are cut by agent-checks: the shipped recipe on a real HAProxy, and peers that ask badly."""

import contextlib
import socket
import time

import pytest
from cluster import Cluster
from process import wait_until
from resp import Resp
from rig import SERVERS, Rig, check_clean

FAST = "poll = 100ms"
LISTEN = "127.0.0.1:0\ncheck = 127.0.0.1:0"


class CheckCluster(Cluster):
    """The shipped recipe; HAProxy tells on a socket how it holds its servers."""

    def __init__(self):
        super().__init__(recipe="agent-check")

    def start_all(self, service="", edits=None):
        self.start_redis()
        self.start_sentinels()
        self.start_agent({"[service mymaster]\n": f"[service mymaster]\n{service}"})
        self.start_haproxy({"    maxconn 4000\n": f"    maxconn 4000\n    stats socket {self.api} level user\n", **(edits or {})})
        self.wait_served()

    def held(self):
        """{server: UP or DOWN, as HAProxy holds it} in its Redis backend. It writes "no check" of one that is up by the agent's
        word alone."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(self.api)
            sock.sendall(b"show stat\n")
            text = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
        names = text.splitlines()[0].lstrip("# ").split(",")
        rows = [dict(zip(names, line.split(","), strict=False)) for line in text.splitlines()[1:] if line]
        return {row["svname"]: row["status"].replace("no check", "UP").split()[0] for row in rows
                if row["pxname"] == "be_redis" and row["svname"] not in ("FRONTEND", "BACKEND")}


def test_pulse_cuts_the_sessions_to_the_old_master():
    """After a failover by order the old master lives on, writable. Its sessions end within two agent-inter and more for a
    busy machine; the new one is never held down, and the old one is up again later."""
    with CheckCluster() as cluster, contextlib.ExitStack() as stack:
        cluster.start_all()
        old = cluster.redis[0]
        sessions = [stack.enter_context(Resp(cluster.haproxy.address, 10)) for _ in range(20)]
        for session in sessions:
            assert session.call("SET", "key", "before") == "OK"
        cluster.sentinels[0].fail_over()
        cluster.agent.wait_log(event="master-switch", old_server=old.name, timeout=30)
        switched = time.monotonic()
        wait_until(lambda: all(session.is_closed() for session in sessions), 5, "all old sessions are closed")
        assert time.monotonic() - switched < 2
        new = cluster.named()
        assert new is not old
        assert cluster.served_by() is new
        wait_until(lambda: cluster.held()[old.name] == "UP", 15, "the old master is up again")
        assert set(cluster.held().values()) == {"UP"}
        check_clean(cluster.agent)


def test_master_mode_shows_the_master():
    with CheckCluster() as cluster:
        cluster.start_all(service="check-mode = master\n")
        wait_until(lambda: cluster.held() == {"R1": "UP", "R2": "DOWN", "R3": "DOWN"}, 15, "only the master is up")
        cluster.sentinels[0].fail_over()
        new = cluster.wait_failover(cluster.redis[0])
        expected = {node.name: "UP" if node is new else "DOWN" for node in cluster.redis}
        wait_until(lambda: cluster.held() == expected, 15, "only the new master is up")
        wait_until(lambda: cluster.serves() and cluster.served_by() is new, 15, "the new master is served")
        check_clean(cluster.agent)


def test_haproxy_logs_a_name_that_is_not_known():
    with CheckCluster() as cluster:
        cluster.start_all(edits={'"mymaster R2\\n"': '"mymaster R9\\n"', '"mymaster R3\\n"': '"nobody R3\\n"'})
        cluster.haproxy.wait_log(r"R2 failed, .*unknown server", timeout=15)
        cluster.haproxy.wait_log(r"R3 failed, .*unknown service", timeout=15)
        assert cluster.held() == {"R1": "UP", "R2": "DOWN", "R3": "DOWN"}
        check_clean(cluster.agent)


# ---- without HAProxy ----

@pytest.fixture
def rig():
    with Rig(sentinels=FAST, listen=LISTEN) as made:
        made.wait_votes(3)
        yield made


def connect(rig):
    host, port = rig.agent.check_address.split(":")
    return socket.create_connection((host, int(port)), 10)


def ask(rig, question):
    """All that is said until the agent closes."""
    with connect(rig) as sock:
        sock.sendall(question)
        return b"".join(iter(lambda: sock.recv(4096), b""))


def test_answers(rig):
    assert ask(rig, b"mymaster R1\n") == b"up\n"
    assert ask(rig, b"mymaster R2\r\n") == b"up\n"
    assert ask(rig, b"mymaster R3\n") == b"fail #unknown server\n"
    assert ask(rig, b"other R1\n") == b"fail #unknown service\n"
    assert ask(rig, b"\0\xff\n") == b"fail #unknown service\n"
    for fake in rig.fakes:
        fake.master = SERVERS["R2"]
    rig.wait_master("R2")
    assert ask(rig, b"mymaster R1\n").startswith(b"down #")
    assert ask(rig, b"mymaster R2\n") == b"up\n"


def test_fence_is_told():
    """The master's server is down for a while when the majority has been gone for long enough."""
    with Rig(sentinels=FAST, listen=LISTEN, service="fence = 500ms\ndebounce = 0\ncheck-pulse = 1m") as rig:
        rig.wait_votes(3)
        for fake in rig.fakes:
            fake.stop()
        rig.agent.wait_log(event="fenced")
        assert ask(rig, b"mymaster R1\n").startswith(b"down #")
        assert ask(rig, b"mymaster R2\n") == b"up\n"


def test_question_in_pieces(rig):
    with connect(rig) as sock:
        for byte in b"mymaster R1\n":
            sock.sendall(bytes([byte]))
            time.sleep(0.005)  # a segment each
        assert sock.recv(100) == b"up\n"


def test_endless_question(rig):
    """No newline: closed when no two names can be that long."""
    with connect(rig) as sock, contextlib.suppress(ConnectionError):
        sock.sendall(b"x" * 100000)
        assert sock.recv(100) == b""
    assert ask(rig, b"mymaster R1\n") == b"up\n"


def test_silent_peers(rig):
    """They are given up after 5 s, and keep nobody from being answered."""
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connect(rig)) for _ in range(200)]
        assert ask(rig, b"mymaster R1\n") == b"up\n"
        for sock in silent:
            assert sock.recv(1) == b""


def test_too_many_connections(rig):
    """Beyond 1024 the oldest is closed: those who say nothing keep no check out."""
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connect(rig)) for _ in range(1024)]
        assert ask(rig, b"mymaster R1\n") == b"up\n"
        assert held[0].recv(1) == b""
