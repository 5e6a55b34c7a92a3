"""The agent's SPOP side, asked by a raw client: answers, health checks, bad input, load. The Sentinels are fakes."""

import ipaddress
import os
import socket
import stat
import struct
import subprocess
import sys
import time

import pytest
import spop_client as spop
from fake_sentinel import GET_MASTER
from process import wait_until
from rig import Rig, check_clean, run_agent
from spop_client import Sender, SpopClient

NORMAL, TOO_BIG, INVALID, NO_VERSION, NO_FRAME_SIZE, NO_CAPABILITIES = 0, 3, 4, 5, 6, 7
BAD_VERSION, BAD_FRAME_SIZE, NO_FRAGMENTATION, RESOURCE = 8, 9, 10, 13
HELLO_TIMEOUT = 10  # seconds that a connection may take to say HELLO
NAMED = {"state": "ok", "master": "R1", "addr": ipaddress.ip_address("127.0.0.1"), "port": 7001, "votes": 3,
         "generation": 1}
UNNAMED = {"master": None, "addr": None, "port": None, "votes": None, "generation": None}
TWO_SERVICES = "[service other]\nserver = R3 127.0.0.1:7003\n"


@pytest.fixture(scope="module", name="old_connections", autouse=True)
def open_old_connections(shared_rig):
    """Opened before all other tests: one idle after HELLO, one that never says HELLO; and when."""
    opened = time.monotonic()
    with shared_rig.connect() as idle, SpopClient(shared_rig.agent.address) as mute:
        yield idle, mute, opened


# ---- answers ----

def test_hello(shared_rig):
    with SpopClient(shared_rig.agent.address) as client:
        assert client.hello() == {"version": "2.0", "max-frame-size": 4096, "capabilities": "pipelining"}


@pytest.mark.parametrize("versions", ["2.1", "2.12,1.5", "3.0, 2.1"])
def test_hello_of_a_later_haproxy(shared_rig, versions):
    """A later minor version includes ours, so that the answer is ours."""
    with SpopClient(shared_rig.agent.address) as client:
        client.send(spop.hello(supported_versions=versions))
        assert client.expect(spop.AGENT_HELLO).pairs()["version"] == "2.0"
        assert client.ask() == NAMED


def test_hello_takes_the_smaller_frame_size(shared_rig):
    with SpopClient(shared_rig.agent.address) as client:
        client.send(spop.hello(max_frame_size=(spop.uint32(256),), supported_versions="1.0, 2.0"))
        assert client.expect(spop.AGENT_HELLO).pairs()["max-frame-size"] == 256
        assert client.ask() == NAMED
        client.send(spop.notify(1, 1, [("find-master", {"filler": "x" * 250})]))
        assert client.read_disconnect() == TOO_BIG


def test_answer(shared_rig):
    assert shared_rig.ask() == NAMED
    assert shared_rig.ask(role=None) == NAMED


def test_service_left_out_where_there_is_one(shared_rig):
    assert shared_rig.ask(service=None) == NAMED


def test_service_left_out_where_there_are_two():
    with Rig(more=TWO_SERVICES) as rig:
        rig.wait_state("ok")
        assert rig.ask(service=None) == {"state": "unknown-service", **UNNAMED}


def test_each_service_has_its_own_answer():
    with Rig(more=TWO_SERVICES) as rig:
        for fake in rig.fakes[:2]:
            fake.masters["other"] = ("127.0.0.1", 7003)
        rig.wait_state("ok")
        wait_until(lambda: rig.ask("other")["state"] == "ok", 15, "the other service is ok")
        assert rig.ask("other") == {**NAMED, "master": "R3", "port": 7003, "votes": 2}


@pytest.mark.parametrize("service", ["nobody", "", "mymaster2", "MYMASTER", "x" * 200])
def test_unknown_service(shared_rig, service):
    assert shared_rig.ask(service) == {"state": "unknown-service", **UNNAMED}


def test_notify_with_other_messages(shared_rig):
    """Without a message, with a message of somebody else, with arguments of all types."""
    strange = {"a": None, "b": True, "c": -5, "d": ipaddress.ip_address("::1"), "": "", "e": b"\0"}
    with shared_rig.connect() as client:
        for messages in ([], [("other", {})], [("other", strange)],
                         [("other", strange), ("find-master", {"service": "mymaster"})],
                         [("many", {f"arg{i}": i for i in range(255)})]):
            client.send(spop.notify(1, 1, messages))
            assert client.expect(spop.ACK).variables() == NAMED


@pytest.mark.parametrize("arguments", [{"service": None}, {"service": 7}, {"service": b"mymaster"},
                                       {"service": "mymaster", "role": None}, {"service": "mymaster", "role": "x"}])
def test_argument_that_is_no_text(shared_rig, arguments):
    """A sample that HAProxy could not fetch comes as NULL: that is not the same as an argument left out."""
    with shared_rig.connect() as client:
        client.send(spop.notify(1, 1, [("find-master", arguments)]))
        assert client.expect(spop.ACK).variables() == {"state": "unknown-service", **UNNAMED}


def test_ids_are_echoed(shared_rig):
    edges = [0, 1, 239, 240, 2287, 2288, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1]
    pairs = [(a, b) for a in edges for b in (0, 1, 2**64 - 1)]
    with shared_rig.connect() as one, shared_rig.connect() as other:
        for client in (one, other):  # the same ids on two connections at a time
            client.send(b"".join(spop.question("mymaster", *ids) for ids in pairs))
        for client in (one, other):
            answers = [client.expect(spop.ACK) for _ in pairs]
            assert [(answer.stream_id, answer.frame_id) for answer in answers] == pairs


# ---- health checks ----

def test_health_check(shared_rig):
    with SpopClient(shared_rig.agent.address) as client:
        client.send(spop.health_check())
        said = client.expect(spop.AGENT_HELLO).pairs()
        assert said == {"version": "2.0", "max-frame-size": 4096, "capabilities": "pipelining"}


def test_health_check_is_no_session(shared_rig):
    with SpopClient(shared_rig.agent.address) as client:
        client.send(spop.health_check() + spop.question())
        client.expect(spop.AGENT_HELLO)
        assert client.read_disconnect() == INVALID


def check_health(address):
    """The first frame that the agent says to a health check."""
    with SpopClient(address) as client:
        client.send(spop.health_check())
        return client.read()


def test_health_check_refused_while_starting():
    """Nothing is known yet, and a Sentinel may still answer: HAProxy must not use this agent."""
    rig = Rig(sentinels="vote-life = 60s\nreply-timeout = 20s\npoll = 100ms")
    for fake in rig.fakes[1:]:
        fake.delay = 60
    with rig:
        wait_until(lambda: all(fake.times_asked(GET_MASTER) > 0 for fake in rig.fakes), 15, "all are asked")
        assert rig.wait_state("starting") == {"state": "starting", **UNNAMED}
        refused = check_health(rig.agent.address)
        assert refused.type == spop.AGENT_DISCONNECT
        assert refused.pairs()["status-code"] == RESOURCE
        for fake in rig.fakes[1:]:
            fake.delay = 0
            fake.drop()
        rig.wait_state("ok")
        assert check_health(rig.agent.address).type == spop.AGENT_HELLO


def test_health_check_passes_without_a_quorum():
    """The agent can answer, if only with "no": marking it down would gain nothing."""
    with Rig(fakes=3) as rig:
        rig.wait_state("ok")
        for fake in rig.fakes:
            fake.stop()
        rig.wait_state("no-quorum")
        assert check_health(rig.agent.address).type == spop.AGENT_HELLO


def test_health_check_refused_while_draining():
    with Rig() as rig, SpopClient(rig.agent.address) as check:
        rig.wait_state("ok")
        hello = spop.health_check()
        check.send(hello[:20])  # the rest of the frame is waited for, even while draining
        rig.agent.terminate()
        rig.agent.wait_log(event="stopping")
        check.send(hello[20:])
        refused = check.read()
        assert refused.type == spop.AGENT_DISCONNECT, refused
        assert rig.agent.child.wait(15) == 0


# ---- UNIX socket ----

def can_connect(path, user):
    """Whether this user can connect to the socket."""
    code = "import socket, sys; sys.exit(socket.socket(socket.AF_UNIX).connect_ex(sys.argv[1]) != 0)"
    return subprocess.run([sys.executable, "-c", code, path], user=user, group=65534, extra_groups=[],
                          check=False).returncode == 0


def test_unix_socket():
    with Rig(listen="unix:DIRECTORY/spop.sock mode=660") as rig:
        path = rig.directory / "spop.sock"
        status = path.stat()
        assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o660
        assert rig.agent.address == f"unix:{path}"
        assert rig.wait_votes(3) == NAMED
        assert run_agent("-f", rig.agent.config_path).returncode == 1  # in use: not taken from the one who has it
        assert rig.ask() == NAMED
        rig.agent.kill()
        assert path.exists()
        rig.start()  # a socket that nobody listens on is replaced
        rig.wait_state("ok")
        check_clean(rig.agent)
        assert not path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a socket away")
def test_unix_socket_of_another_user():
    with Rig(listen="unix:DIRECTORY/spop.sock mode=600 owner=daemon group=nogroup") as rig:
        path = rig.directory / "spop.sock"
        assert path.owner() == "daemon" and path.group() == "nogroup"
        assert can_connect(str(path), "daemon")
        assert not can_connect(str(path), "nobody")


# ---- bad input ----

def frame_of(length):
    """A frame that claims this length, then a few bytes."""
    return struct.pack(">I", length) + b"\x01\0\0\0\x01\0\0"[:min(length, 7)]


BAD_FIRST = {
    "LEN 0": (frame_of(0), INVALID),
    "LEN 1": (frame_of(1), INVALID),
    "LEN 6": (frame_of(6), INVALID),
    "LEN 4097": (frame_of(4097), TOO_BIG),
    "LEN 2^31": (frame_of(2**31), TOO_BIG),
    "LEN 2^32-1": (frame_of(2**32 - 1), TOO_BIG),
    "LEN only": (b"\xff\xff\xff\xff", TOO_BIG),
    "garbage": (bytes(range(255, 0, -1)) * 100, TOO_BIG),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", TOO_BIG),
    "TLS": (bytes.fromhex("160301020001"), TOO_BIG),
    "Redis": (b"*1\r\n$4\r\nPING\r\n", TOO_BIG),
    "NOTIFY first": (spop.question(), INVALID),
    "ACK first": (spop.frame(spop.ACK, 1, 1), INVALID),
    "fragment first": (spop.frame(spop.UNSET, 1, 1), NO_FRAGMENTATION),
    "HELLO without FIN": (spop.hello(flags=0), NO_FRAGMENTATION),
    "HELLO on a stream": (spop.hello(stream_id=1), INVALID),
    "HELLO without version": (spop.hello(without=["supported-versions"]), NO_VERSION),
    "HELLO version 1.0": (spop.hello(supported_versions="1.0"), BAD_VERSION),
    "HELLO version 3.0": (spop.hello(supported_versions="3.0"), BAD_VERSION),
    "HELLO version 2.x": (spop.hello(supported_versions="2.x"), BAD_VERSION),
    "HELLO without frame size": (spop.hello(without=["max-frame-size"]), NO_FRAME_SIZE),
    "HELLO frame size 255": (spop.hello(max_frame_size=(spop.uint32(255),)), BAD_FRAME_SIZE),
    "HELLO without capabilities": (spop.hello(without=["capabilities"]), NO_CAPABILITIES),
    "HELLO cut": (spop.frame(spop.HELLO, payload=spop.text("supported-versions") + b"\x08\xf0"), INVALID),
    "id of 11 bytes": (frame_of(30)[:4] + b"\x01\0\0\0\x01" + b"\xff" * 25, INVALID),
}
BAD_LATER = {
    "second HELLO": (spop.hello(), INVALID),
    "NOTIFY without FIN": (spop.notify(1, 1, [("find-master", {})], flags=0), NO_FRAGMENTATION),
    "fragment": (spop.frame(spop.UNSET, 1, 1, flags=0), NO_FRAGMENTATION),
    "AGENT-HELLO": (spop.frame(spop.AGENT_HELLO), INVALID),
    "LEN 0": (frame_of(0), INVALID),
    "LEN 4097": (frame_of(4097), TOO_BIG),
    "name longer than the frame": (spop.frame(spop.NOTIFY, 1, 1, spop.varint(200) + b"x"), INVALID),
    "fewer arguments than said": (spop.frame(spop.NOTIFY, 1, 1, b"\x01m\x02" + spop.pairs({"a": 1})), INVALID),
    "text longer than the frame": (spop.frame(spop.NOTIFY, 1, 1, b"\x01m\x01\x01a\x08\xf0\x7f"), INVALID),
    "integer of 11 bytes": (spop.frame(spop.NOTIFY, 1, 1, b"\x01m\x01\x01a\x04" + b"\xff" * 11), INVALID),
}


@pytest.fixture(name="witness")
def watch_from_beside(shared_rig):
    """Another connection, which never notices what happens to the first."""
    with shared_rig.connect() as witness:
        assert witness.ask() == NAMED
        yield witness
        assert witness.ask() == NAMED
        assert shared_rig.ask() == NAMED


@pytest.mark.parametrize("name", BAD_FIRST)
def test_bad_first_frame(shared_rig, witness, name):
    data, status = BAD_FIRST[name]
    with SpopClient(shared_rig.agent.address) as client:
        client.send(data)
        assert client.read_disconnect() == status


@pytest.mark.parametrize("name", BAD_LATER)
def test_bad_later_frame(shared_rig, witness, name):
    """What was asked before is still answered; what comes behind is not."""
    data, status = BAD_LATER[name]
    with shared_rig.connect() as client:
        client.send(spop.question(stream_id=5) + data + spop.question(stream_id=7))
        assert client.expect(spop.ACK).stream_id == 5
        assert client.read_disconnect() == status


def test_haproxy_takes_leave(shared_rig, witness):
    with shared_rig.connect() as client:
        idle = spop.pairs({"status-code": 2, "message": "a timeout occurred"})
        client.send(spop.question() + spop.frame(spop.DISCONNECT, payload=idle))
        client.expect(spop.ACK)
        assert client.read_disconnect() == NORMAL


@pytest.mark.parametrize("how", [socket.SHUT_WR, socket.SHUT_RDWR, None])
@pytest.mark.parametrize("cut", [1, 4, 5, 40])
def test_frame_cut_off(shared_rig, witness, cut, how):
    """Half a frame, then the end: in one direction, in both, or with a reset."""
    with shared_rig.connect() as client:
        client.send(spop.question() + spop.question()[:cut])
        client.expect(spop.ACK)
        if how is None:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        client.sock.shutdown(how)
        client.expect_closed()


def test_unknown_frame_type_is_skipped(shared_rig, witness):
    with shared_rig.connect() as client:
        client.send(spop.frame(42, 9, 9, b"whatever"))
        assert client.ask() == NAMED


# ---- pace ----

def test_byte_by_byte(shared_rig, witness):
    with SpopClient(shared_rig.agent.address) as client:
        for data, kind in ((spop.hello(), spop.AGENT_HELLO), (spop.question(), spop.ACK), (spop.question(), spop.ACK)):
            for byte in data:
                client.send(bytes([byte]))
            client.expect(kind)


def test_many_questions_in_one_segment(shared_rig, witness):
    with shared_rig.connect() as client:
        data = b"".join(spop.question(stream_id=i, role=None) for i in range(1000))
        assert len(data) < 65000  # what the loopback takes at once
        client.send(data)
        for i in range(1000):
            answer = client.expect(spop.ACK)
            assert (answer.stream_id, answer.variables()) == (i, NAMED)


SLOW = 80000  # questions of a reader that does not read: more than the kernel holds for both sides


def send_until_stuck(client):
    """Send questions from a thread until the agent does not read any more; returns the thread."""
    sender = Sender(client, b"".join(spop.question(stream_id=i) for i in range(SLOW)))
    sender.start()
    sender.wait_stuck()
    return sender


def test_slow_reader(shared_rig, witness):
    """Who does not read is not read from either; nobody else waits for it, and in the end it gets everything."""
    with shared_rig.connect(timeout=60, buffers=4096) as client:
        sender = send_until_stuck(client)
        slowest = 0.0
        for _ in range(200):
            begun = time.monotonic()
            assert witness.ask() == NAMED
            slowest = max(slowest, time.monotonic() - begun)
        assert slowest < 1.0
        for i in range(SLOW):
            assert client.expect(spop.ACK).stream_id == i
        sender.join(15)
        assert not sender.is_alive()


# ---- the end ----

# More than the agent reads at once.
IN_FLIGHT = 3000


def test_stop_answers_what_is_in_flight():
    with Rig() as rig, rig.connect() as one, rig.connect() as other:
        rig.wait_votes(3)
        rig.agent.pause()
        for client in (one, other):
            client.send(b"".join(spop.question(stream_id=i) for i in range(IN_FLIGHT)))
        rig.agent.terminate()
        for client in (one, other):
            for i in range(IN_FLIGHT):
                answer = client.expect(spop.ACK)
                assert (answer.stream_id, answer.variables()) == (i, NAMED)
            assert client.read_disconnect() == NORMAL
        with pytest.raises(ConnectionRefusedError):
            SpopClient(rig.agent.address)
        one.close()
        other.close()
        assert rig.agent.child.wait(15) == 0
        assert rig.agent.find_log(event="stopped")


def test_stop_is_bounded():
    """A peer that does not read cannot keep the agent for longer than drain-timeout."""
    with Rig(agent="drain-timeout = 1s") as rig, rig.connect(buffers=4096) as client:
        rig.wait_state("ok")
        send_until_stuck(client)
        begun = time.monotonic()
        rig.agent.terminate()
        assert rig.agent.child.wait(15) == 0
        assert time.monotonic() - begun < 5


def test_old_connections(shared_rig, old_connections):
    """An idle connection stays open; one that does not say HELLO in time is closed. (Last, to have waited long.)"""
    idle, mute, opened = old_connections
    mute.expect_closed()
    assert time.monotonic() - opened > HELLO_TIMEOUT - 1
    wait_until(lambda: time.monotonic() - opened > HELLO_TIMEOUT + 2, 30, "idle for longer than that")
    assert idle.ask() == NAMED
