"""The service manager's view: what it is told when, and sockets that it opened."""

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from cluster import ROOT, Agent
from fake_sentinel import FakeSentinel
from process import wait_until
from rig import SERVERS, Rig, check_clean
from spop_client import ask_once

UNITS = ROOT / "docker/systemd"


class Manager:
    """Hears what a service tells it."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(path))
        self.sock.settimeout(15)

    def hear(self):
        """The next message as {name: value}."""
        return dict(line.split("=", 1) for line in self.sock.recv(4096).decode().split("\n"))

    def wait(self, name):
        """The next message with this name."""
        while name not in (heard := self.hear()):
            pass
        return heard


@pytest.fixture
def manager(tmp_path, monkeypatch):
    path = tmp_path / "notify.sock"
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    made = Manager(path)
    with made.sock:
        yield made


def test_ready_reloading_stopping(manager):
    with Rig(sentinels="poll = 100ms") as rig:
        assert manager.wait("READY") == {"READY": "1", "STATUS": "1 services"}
        assert rig.ask()["state"] == "ok"  # not before it has decided
        rig.agent.signal(signal.SIGHUP)
        assert int(manager.wait("RELOADING")["MONOTONIC_USEC"]) > 0
        assert manager.wait("READY")["READY"] == "1"
        rig.agent.config_path.write_text("[agent]\nx = 1\n")
        rig.agent.signal(signal.SIGHUP)
        manager.wait("RELOADING")
        assert "the last reload failed" in manager.wait("READY")["STATUS"]
        rig.agent.signal(signal.SIGTERM)
        assert manager.wait("STOPPING")["STOPPING"] == "1"
        assert rig.agent.child.wait(15) == 0


def test_not_ready_before_it_has_decided(manager):
    """The Sentinels do not answer at first."""
    fakes = [FakeSentinel(SERVERS["R1"]) for _ in range(3)]
    for fake in fakes:
        fake.delay = 0.4
    with Rig(fakes=fakes, sentinels="poll = 100ms") as rig:
        manager.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            manager.wait("READY")
        manager.sock.settimeout(15)
        manager.wait("READY")
        assert rig.ask()["state"] != "starting"


def test_watchdog(manager, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    with Rig(sentinels="poll = 100ms"):
        for _ in range(5):
            manager.wait("WATCHDOG")


def test_watchdog_of_another_process(manager, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "100000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    with Rig(sentinels="poll = 100ms") as rig:
        manager.wait("READY")
        rig.wait_polls(5)
        manager.sock.settimeout(0.01)
        with pytest.raises(TimeoutError):
            manager.hear()


class ActivatedAgent(Agent):
    """Started with sockets that are there already, as systemd does it."""

    def __init__(self, directory, sockets):
        super().__init__(directory)
        self.sockets = sockets
        self.pass_fds = [sock.fileno() for sock in sockets]

    def command(self):
        moves = " ".join(f"{3 + i}<&{sock.fileno()}" for i, sock in enumerate(self.sockets))
        words = " ".join(super().command())
        return ["bash", "-c", f"exec {moves}; LISTEN_PID=$$ LISTEN_FDS={len(self.sockets)} exec {words}"]


@pytest.mark.parametrize("family", ["tcp", "unix"])
def test_socket_activation(tmp_path, family):
    """A connection that was made before the agent was there is answered, and a UNIX socket stays when it ends."""
    path = tmp_path / "spop.sock"
    listening = socket.create_server(("127.0.0.1", 0)) if family == "tcp" else socket.socket(socket.AF_UNIX)
    where = f"127.0.0.1:{listening.getsockname()[1]}" if family == "tcp" else f"unix:{path}"
    if family == "unix":
        listening.bind(str(path))
        listening.listen()
    with listening, FakeSentinel(SERVERS["R1"]) as fake:
        agent = ActivatedAgent(tmp_path, [listening])
        agent.config_path.write_text(f"[agent]\nlisten = {where}\n[sentinels]\naddress = {fake.where}\n"
                                     "[service mymaster]\nserver = R1 127.0.0.1:7001\n")
        try:
            agent.start()
            wait_until(lambda: ask_once(where)["master"] == "R1", 15, "R1 is named")
            check_clean(agent)
        finally:
            agent.kill()
    assert path.exists() == (family == "unix")


def test_a_socket_that_nobody_wants(tmp_path):
    """It is closed and told of. A program that we run gets it as little as anything else that we have inherited."""
    hook = tmp_path / "hook.sh"
    hook.write_text(f"#!/bin/sh\nfor f in /proc/$$/fd/*; do echo $f $(readlink $f); done >{tmp_path}/new; mv {tmp_path}/new {tmp_path}/told\n")
    hook.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as wanted, socket.create_server(("127.0.0.1", 0)) as unused, \
            socket.create_server(("127.0.0.1", 0)) as stray, FakeSentinel(SERVERS["R1"]) as fake:
        where, elsewhere = (f"127.0.0.1:{sock.getsockname()[1]}" for sock in (wanted, unused))
        agent = ActivatedAgent(tmp_path, [unused, wanted])
        agent.pass_fds.append(stray.fileno())
        agent.config_path.write_text(f"[agent]\nlisten = {where}\n[sentinels]\naddress = {fake.where}\n"
                                     f"[service mymaster]\nserver = R1 127.0.0.1:7001\non-switch = {hook}\n")
        try:
            agent.start()
            line = agent.wait_log(event="socket-unused")
            assert (line["level"], line["address"]) == ("warning", elsewhere)
            assert len(agent.log_lines(event="socket-unused")) == 1
            wait_until((tmp_path / "told").exists, 15, "the program has run")
            seen = (tmp_path / "told").read_text()
            assert seen and "socket:" not in seen, seen
            assert ask_once(where)["master"] == "R1"
            first = Path(f"/proc/{agent.pid}/fd/3")
            assert not first.exists() or os.readlink(first) != f"socket:[{os.fstat(unused.fileno()).st_ino}]"
            check_clean(agent)
        finally:
            agent.kill()


@pytest.mark.parametrize("ipv6_only", [False, True])
def test_socket_of_all_addresses(tmp_path, ipv6_only):
    """`ListenStream=9012` passes one socket for both families; with `BindIPv6Only=ipv6-only` the agent opens the other."""
    listening = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=not ipv6_only)
    port = listening.getsockname()[1]
    with listening, FakeSentinel(SERVERS["R1"]) as fake:
        agent = ActivatedAgent(tmp_path, [listening])
        agent.config_path.write_text(f"[agent]\nlisten = 0.0.0.0:{port}\nlisten = [::]:{port}\n[sentinels]\n"
                                     f"address = {fake.where}\n[service mymaster]\nserver = R1 127.0.0.1:7001\n")
        try:
            agent.start()
            for where in (f"127.0.0.1:{port}", f"[::1]:{port}"):
                wait_until(lambda at=where: ask_once(at)["master"] == "R1", 15, "R1 is named")
            check_clean(agent)
        finally:
            agent.kill()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_units_are_valid(tmp_path):
    """Paths of the installed system become ours, for the check looks at them."""
    for unit in ("sentinel-spoa.service", "sentinel-spoa.socket"):
        text = (UNITS / unit).read_text().replace("/usr/bin/sentinel-spoa", str(ROOT / "build/release/sentinel-spoa"))
        (tmp_path / unit).write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", tmp_path / "sentinel-spoa.service"],
                          capture_output=True, text=True, check=False)
    # systemd before 254 does not know these, and goes on without them.
    unknown = re.compile("Unknown key '(RestartSteps|RestartMaxDelaySec)'")
    complaints = [line for line in done.stderr.splitlines() if "sentinel-spoa" in line and not unknown.search(line)]
    assert complaints == []
