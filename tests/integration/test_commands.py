"""The commands that ask an agent: what they make of each answer. The agent's HTTP is played (fake_agent.py)."""

import contextlib
import itertools
import json
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest
from fake_agent import FakeAgent
from rig import run_agent

REST = "[sentinels]\naddress = 127.0.0.1:1\n[service mymaster]\nserver = R1 127.0.0.1:2\n"


@pytest.fixture(name="agent")
def make_agent():
    with FakeAgent() as made:
        yield made


@pytest.fixture(name="path")
def make_path(tmp_path, agent):
    path = tmp_path / "agent.conf"
    path.write_text(f"[agent]\nhttp = {agent.where}\n{REST}")
    return path


@pytest.fixture(name="silent_path")
def make_path_without_http(tmp_path):
    path = tmp_path / "silent.conf"
    path.write_text(f"[agent]\n{REST}")
    return path


def said(path, *words):
    done = run_agent("-f", path, *words)
    return done.returncode, done.stdout, done.stderr


# ---- one question ----

@pytest.mark.parametrize("words, asked", [
    (["status"], "/status.txt"), (["status", "--json"], "/status"), (["explain"], "/explain.txt"), (["explain", "aZ09-._~"], "/explain/aZ09-._~"),
    (["explain", "a/b %"], "/explain/a%2Fb%20%25"), (["explain", "ä"], "/explain/%C3%A4")])
def test_what_is_asked(agent, path, words, asked):
    agent.says[asked] = (200, "one\ntwo\n")
    assert said(path, *words) == (0, "one\ntwo\n", "")
    agent.says[asked] = (404, "no such service\n")
    assert said(path, *words) == (1, "no such service\n", "")
    agent.says[asked] = (200, "")
    assert said(path, *words) == (0, "", "")
    assert agent.asked == [f"GET {asked} HTTP/1.0\r\n\r\n"] * 3


@pytest.mark.parametrize("option, asked", [("--healthcheck", "/healthz"), ("--readycheck", "/readyz")])
def test_probes(agent, path, option, asked):
    agent.says[asked] = (200, "ok\n")
    assert said(path, option) == (0, "", "")
    agent.says[asked] = (503, "no master\n")
    assert said(path, option) == (1, "", "no master\n")
    agent.says[asked] = (503, "")
    assert said(path, option) == (1, "", "")


def test_the_token(tmp_path, agent):
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    token.chmod(0o600)
    path = tmp_path / "agent.conf"
    path.write_text(f"[agent]\nhttp = {agent.where} token-file={token}\n{REST}")
    agent.says["/status.txt"] = (200, "x")
    assert said(path, "status") == (0, "x", "")
    assert agent.asked == ["GET /status.txt HTTP/1.0\r\nAuthorization: Bearer s3cret\r\n\r\n"]


LONG = b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 65 * 1024 * 1024


@pytest.mark.parametrize("reply, reason", [
    (b"", "Connection reset by peer"), (b"HTTP/1.0 200 OK\r\nA: b\r\n", "Protocol error"), (b"HTTP/2.0 200 OK\r\n\r\nx", "Protocol error"),
    (b"HTTP/1.0\r\n\r\n", "Protocol error"), (LONG, "Message too long")],
                         ids=["nothing", "no-end", "version", "no-code", "long"])
def test_what_is_no_answer(agent, path, reply, reason):
    agent.says["/status.txt"] = agent.says["/healthz"] = reply
    for words in (["status"], ["--healthcheck"], ["explain", "x"]):
        agent.says["/explain/x"] = reply
        assert said(path, *words) == (1, "", f"no answer from {agent.where}: {reason}\n")


def test_a_long_answer_and_one_of_http_1_1(agent, path):
    agent.says["/status.txt"] = b"HTTP/1.1 200\r\n\r\n" + b"y" * 100_000
    assert said(path, "status") == (0, "y" * 100_000, "")


def test_an_agent_that_hangs(agent, path):
    agent.delay = 4.0
    begin = time.monotonic()
    assert said(path, "status") == (1, "", f"no answer from {agent.where}: Connection timed out\n")
    assert time.monotonic() - begin < 4


def test_nobody_to_ask(silent_path, tmp_path):
    nobody = "the configuration has no 'http' in [agent]: there is nobody to ask\n"
    for words in (["status"], ["status", "--watch"], ["explain"], ["--healthcheck"]):
        assert said(silent_path, *words) == (1, "", nobody)
    path = tmp_path / "gone.conf"
    path.write_text(f"[agent]\nhttp = 127.0.0.1:1\n{REST}")
    for words in (["status"], ["explain", "x"], ["--readycheck"]):
        assert said(path, *words) == (1, "", "no answer from 127.0.0.1:1: Connection refused\n")


# ---- reload ----

class Process:
    """A process that counts the SIGHUPs that it gets. By its name it is an agent, or not."""

    def __init__(self, name, action="echo hup"):
        self.child = subprocess.Popen(["sh", "-c", f"trap '{action}' HUP; trap 'echo now' USR1; echo ready; while :; do sleep 0.02; done", name],
                                      stdout=subprocess.PIPE, text=True)
        assert self.child.stdout.readline() == "ready\n"
        self.pid = self.child.pid

    def hups(self):
        """How many it got since the last call. To be called after each reload: the kernel makes one signal of two that wait."""
        self.child.send_signal(signal.SIGUSR1)  # the shell looks at a SIGHUP that waits before it looks at this
        return list(itertools.takewhile(lambda line: line != "now\n", self.child.stdout)).count("hup\n")


@contextlib.contextmanager
def process(name="sentinel-spoa", **options):
    made = Process(name, **options)
    try:
        yield made
    finally:
        made.child.kill()
        made.child.wait(10)
        made.child.stdout.close()


def status(pid, asked=1, is_open="false", is_good="true", error="null"):
    return 200, json.dumps({"pid": pid, "reloads-asked": asked, "last-reload-error": "ERROR"}).replace('"ERROR"', error).replace(
        "{", f'{{"reload-open":{is_open}, "last-reload-good":{is_good}, ').replace('": ', '":')


def in_turn(*replies):
    """Each once, and the last one for ever."""
    rest = list(replies)
    return lambda _: rest.pop(0) if len(rest) > 1 else rest[0]


def test_reload_until_it_is_decided(agent, path):
    with process() as one:
        agent.says["/status"] = in_turn(status(one.pid), status(one.pid), status(one.pid, 2, "true", "false"), status(one.pid, 2, "true"), status(one.pid, 2))
        assert said(path, "reload") == (0, "", "")
        assert len(agent.asked) == 5 and one.hups() == 1


def test_reload_that_fails(agent, path):
    with process() as one:
        for words, text in ((r'"f:1: \"x\" is \\ bad"', 'f:1: "x" is \\ bad'), ('"' + "x" * 600 + '"', "x" * 511), ("null", ""), ('"never ends', "never ends")):
            failed = status(one.pid, 2, "false", "false", words)
            if words.startswith('"never'):
                failed = (200, re.sub(r'"never ends.*', '"never ends', failed[1]))
            agent.says["/status"] = in_turn(status(one.pid), status(one.pid, 1, "false", "false"), failed)
            assert said(path, "reload") == (1, "", f"the reload failed: {text}\n")
            assert one.hups() == 1


def test_reload_of_one_that_ends(agent, path):
    with process(action="exit") as one:
        def answer(_):
            if len(agent.asked) == 1:
                return status(one.pid)
            one.child.wait(10)
            return 503, ""
        agent.says["/status"] = answer
        assert said(path, "reload") == (1, "", "the agent has ended\n")


@pytest.mark.parametrize("after, code, words", [
    ((403, ""), 0, "SIGHUP was sent. 'allow' does not have this host, so the agent's log says what came of the reload\n"),
    ((401, ""), 1, "SIGHUP was sent, and the agent does not take the token of the new file (HTTP 401): its log says why it did not reload\n"),
    ((503, ""), 1, "SIGHUP was sent, and the agent does not answer now: its log says what came of the reload\n"),
    ((200, '{"pid":1,"reloads-asked":9,"last-reload-good":true}'), 1,
     "SIGHUP was sent, and the agent does not answer now: its log says what came of the reload\n")])
def test_reload_after_which_it_says_nothing(agent, path, after, code, words):
    with process() as one:
        agent.says["/status"] = in_turn(status(one.pid), after)
        begin = time.monotonic()
        assert said(path, "reload") == (code, "", words)
        took = time.monotonic() - begin
        assert took < 2 if after[0] == 403 else 2.9 < took < 6
        assert one.hups() == 1


def test_reload_where_it_falls_silent_for_a_while(agent, path):
    """The time runs from the last answer."""
    with process() as one:
        begin = time.monotonic()

        def answer(_):
            past = time.monotonic() - begin
            return status(one.pid) if past < 2 else (503, "") if past < 4 else status(one.pid, 2)
        agent.says["/status"] = answer
        assert said(path, "reload") == (0, "", "")


def test_reload_whom(agent, path, silent_path):
    where = agent.where
    agent.says["/status"] = (403, "")
    assert said(path, "reload") == (1, "", f"no answer from {where}: it refuses /status (HTTP 403). Name the process: --pid\n")
    for pid in (0, -1):
        agent.says["/status"] = status(pid)
        assert said(path, "reload") == (1, "", f"no answer from {where}: it refuses /status (HTTP 200). Name the process: --pid\n")
    agent.says["/status"] = (200, "")
    assert said(path, "reload")[0] == 1
    with process() as one, process("another-program") as other:
        agent.says["/status"] = status(other.pid)
        assert said(path, "reload") == (1, "", f"process {other.pid} is no sentinel-spoa: is the agent in a container?\n")
        assert said(path, "reload", "--pid", str(one.pid)) == (1, "", f"the agent at {where} is process {other.pid}, not {one.pid}\n")
        assert said(silent_path, "reload", "--pid", str(other.pid))[0] == 1
        assert said(silent_path, "reload", "--pid", str(one.pid)) == (0, "", "")
        assert one.hups() == 1
        agent.says["/status"] = in_turn((403, ""), status(one.pid, 1))
        assert said(path, "reload", "--pid", str(one.pid)) == (0, "", "")
        assert one.hups() == 1
        agent.says["/status"] = in_turn(status(one.pid), status(one.pid, 2))
        assert said(path, "reload", "--pid", str(one.pid)) == (0, "", "")
        assert one.hups() == 1
        assert (one.hups(), other.hups()) == (0, 0)
    assert said(silent_path, "reload") == (1, "", "the configuration has no 'http' in [agent]: there is nobody to ask for the process\n")
    gone = one.pid
    assert said(silent_path, "reload", "--pid", str(gone)) == (1, "", f"cannot signal process {gone}: No such process\n")
    agent.says["/status"] = status(gone)
    assert said(path, "reload") == (1, "", f"cannot signal process {gone}: No such process\n")


def test_reload_where_nobody_answers(tmp_path):
    path = tmp_path / "gone.conf"
    path.write_text(f"[agent]\nhttp = 127.0.0.1:1\n{REST}")
    assert said(path, "reload") == (1, "", "no answer from 127.0.0.1:1: Connection refused\n")


# ---- --takeover ----

LISTENER, LISTED, OTHER = 1, 2, 4


@contextlib.contextmanager
def giving(path, kind, descriptor):
    """An agent at the socket that gives one record of this kind, with a descriptor or without."""
    def give(listener):
        sock, _ = listener.accept()
        with sock:
            if kind is not None:
                socket.send_fds(sock, [struct.pack("II", kind, 0)], [] if descriptor is None else [descriptor.fileno()])
            sock.settimeout(5)
            with contextlib.suppress(OSError):
                sock.recv(100)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=give, args=(listener,))
        thread.start()
        yield
        thread.join(10)
    path.unlink()


def test_a_takeover_that_fails(tmp_path):
    path, place = tmp_path / "agent.conf", tmp_path / "takeover.sock"

    def take_over(where):
        path.write_text(f"[agent]\nlisten = unix:{tmp_path}/spop.sock\n{where}\n{REST}")
        done = run_agent("-f", path, "--takeover")
        return done.returncode, done.stderr.splitlines()[-1]
    assert take_over("") == (1, "--takeover needs 'takeover' in [agent]")
    assert take_over(f"takeover = unix:{path}/sock")[1] == "cannot take over: Not a directory"
    with open("/dev/null", "rb") as file, socket.create_server(("127.0.0.1", 0)) as listener:
        for kind, descriptor in ((None, None), (LISTENER, None), (LISTENER, file), (LISTED, file), (OTHER, listener), (OTHER, None)):
            with giving(place, kind, descriptor):
                assert take_over(f"takeover = unix:{place}") == (
                    1, "cannot take over: the agent that runs does not give its listeners; its log says why"), (kind, descriptor)
