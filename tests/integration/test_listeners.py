"""Listeners change hands by a reload: what is listed is what is open, and nobody who connects meanwhile is refused."""

import contextlib
import os
import socket
import time

import pytest
from cluster import Agent
from observers import Background
from process import free_ports, wait_until
from rig import Rig
from spop_client import SpopClient, ask_once

FAST = "poll = 100ms"
KNOCKERS = 8
ROUNDS = 3


class Knocker(Background):
    """Connects again and again, each time from another address of the loopback: closed connections hold their ports."""

    def __init__(self, host, port, network):
        super().__init__()
        self.where, self.network = (host, port), network
        self.count, self.failures = 0, []

    def step(self):
        self.count += 1
        try:
            with socket.create_connection(self.where, 10, (f"127.{self.network}.{self.count // 200 % 200}.{self.count % 200 + 1}", 0)) as sock:
                sock.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                if not sock.recv(100).startswith(b"HTTP/1.1 200"):
                    self.failures.append("closed")
        except OSError as error:
            self.failures.append(str(error))


def greets(address):
    """Which protocol answers there; None where nobody does."""
    host, port = address.rsplit(":", 1)
    for name, question, answer in (("http", b"GET /healthz HTTP/1.0\r\n\r\n", b"HTTP/1.1 200"),
                                   ("check", b"mymaster R1\n", b"up\n")):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with contextlib.suppress(ConnectionResetError), socket.socket(family) as sock:
            sock.settimeout(10)
            if sock.connect_ex((host.strip("[]"), int(port))) != 0:
                return None
            sock.sendall(question)
            if sock.recv(100).startswith(answer):
                return name
    return "listen" if ask_once(address)["master"] == "R1" else "?"


def is_open(host, port):
    """Whether somebody listens there, who may not accept yet."""
    with socket.socket() as sock:
        return sock.connect_ex((host, port)) == 0


def rig_at(agent, **options):
    """`agent` is lines with P1, P2 and P3 for ports; they are in `ports` of the rig."""
    rig = Rig(agent=agent, sentinels=FAST, listen="127.0.0.1:P0", **options)
    rig.ports = free_ports(4)
    for i, port in enumerate(rig.ports):
        rig.config = rig.config.replace(f"P{i}", str(port))
    return rig


@pytest.mark.parametrize("key", ["http", "check", "listen"])
def test_from_one_address_to_all_and_back(key):
    with rig_at(f"{key} = 127.0.0.1:P1") as rig:
        port = rig.ports[1]
        rig.wait_votes(3)
        one, every = f"{key} = 127.0.0.1:{port}", f"{key} = 0.0.0.0:{port}"
        rig.reload((one, every))
        assert greets(f"127.0.0.1:{port}") == greets(f"127.0.0.2:{port}") == key
        rig.reload((every, one))
        assert (greets(f"127.0.0.1:{port}"), greets(f"127.0.0.2:{port}")) == (key, None)


@pytest.mark.parametrize("old, new", [("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1")])
def test_nobody_is_refused_under_load(old, new):
    with rig_at(f"http = {old}:P1") as rig:
        port = rig.ports[1]
        rig.wait_votes(3)
        knockers = [Knocker("127.0.0.1", port, i + 2) for i in range(KNOCKERS)]
        with contextlib.ExitStack() as stack:
            for knocker in knockers:
                stack.enter_context(knocker)
            for _ in range(ROUNDS):
                rig.reload((f"http = {old}:{port}", f"http = {new}:{port}"))
                rig.reload((f"http = {new}:{port}", f"http = {old}:{port}"))
        assert sum(knocker.count for knocker in knockers) > 1000
        assert [knocker.failures for knocker in knockers] == [[]] * KNOCKERS


def test_addresses_change_their_protocol():
    """The sockets stay open, and so do the connections: one that spoke SPOP still does."""
    with rig_at("listen = 127.0.0.1:P1\ncheck = 127.0.0.1:P2\nhttp = 127.0.0.1:P3") as rig:
        first, second, third = (f"127.0.0.1:{port}" for port in rig.ports[1:])
        rig.wait_votes(3)
        with SpopClient(first) as client:
            client.hello()
            mark = rig.agent.mark()
            rig.reload((f"listen = {first}", f"http = {first}"), (f"check = {second}", f"listen = {second}"),
                       (f"http = {third}", f"check = {third}"))
            assert [greets(address) for address in (first, second, third)] == ["http", "listen", "check"]
            assert client.ask()["master"] == "R1"
        for protocol, address, gone in (("http", first, "spop"), ("spop", second, "agent-check"), ("agent-check", third, "http")):
            assert rig.agent.find_log(event="listening", since=mark, protocol=protocol, address=address)
            assert rig.agent.find_log(event="not-listening", since=mark, protocol=gone, address=address)


def test_a_unix_socket_changes_its_protocol():
    with rig_at("listen = unix:DIRECTORY/a.sock\nhttp = unix:DIRECTORY/b.sock") as rig:
        rig.wait_votes(3)
        a, b = f"unix:{rig.directory}/a.sock", f"unix:{rig.directory}/b.sock"
        rig.reload((f"listen = {a}", "listen = x"), (f"http = {b}", f"listen = {b}"), ("listen = x", f"http = {a}"))
        assert ask_once(b)["master"] == "R1"
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(rig.directory / "a.sock"))
            sock.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert sock.recv(100).startswith(b"HTTP/1.1 200")
        rig.reload((f"http = {a}\n", ""))
        assert not (rig.directory / "a.sock").exists()


def test_all_addresses_for_another_protocol():
    """The address that is part of another one now speaks its protocol, but only after the change-over."""
    with rig_at("http = 127.0.0.1:P1") as rig, contextlib.ExitStack() as stack:
        port = rig.ports[1]
        rig.wait_votes(3)
        knocker = stack.enter_context(Knocker("127.0.0.1", port, 2))
        for fake in rig.fakes:
            fake.delay = 0.3
        mark = rig.agent.mark()
        rig.change((f"http = 127.0.0.1:{port}", f"check = 0.0.0.0:{port}"))
        wait_until(lambda: is_open("127.0.0.2", port), 15, "the new socket")
        time.sleep(0.2)  # in which it is knocked
        assert not rig.agent.find_log(event="reloaded", since=mark) and knocker.failures == []
        rig.agent.wait_log(event="reloaded", since=mark)
        assert greets(f"127.0.0.1:{port}") == greets(f"127.0.0.2:{port}") == "check"
        for fake in rig.fakes:
            fake.heal()
        rig.reload((f"check = 0.0.0.0:{port}", f"http = 127.0.0.1:{port}"))
        assert (greets(f"127.0.0.1:{port}"), greets(f"127.0.0.2:{port}")) == ("http", None)


@pytest.mark.parametrize("old, new", [("[::]", "127.0.0.1"), ("0.0.0.0", "[::]")])
def test_from_one_family_to_another(old, new):
    with rig_at(f"http = {old}:P1") as rig:
        port = rig.ports[1]
        rig.wait_votes(3)
        rig.reload((f"http = {old}:{port}", f"http = {new}:{port}"))
        assert greets(f"127.0.0.1:{port}") == "http"


def at_port(port):
    """Who answers by IPv4 at two addresses, and by IPv6."""
    return [greets(f"{host}:{port}") for host in ("127.0.0.1", "127.0.0.2", "[::1]")]


@pytest.mark.parametrize("six, four", [("listen", "listen"), ("http", "listen"), ("listen", "check")])
def test_both_families_on_one_port(six, four):
    """[::] is for both families, and for IPv6 only where 0.0.0.0 is listed as well; also after reloads between them."""
    both = f"{four} = 0.0.0.0:P1\n{six} = [::]:P1"
    with rig_at(both) as rig:
        port = rig.ports[1]
        both = both.replace("P1", str(port))
        rig.wait_votes(3)
        assert at_port(port) == [four, four, six]
        rig.reload((both, f"{six} = [::]:{port}"))
        assert at_port(port) == [six, six, six]
        rig.reload((f"{six} = [::]:{port}", both))
        assert at_port(port) == [four, four, six]
        rig.reload((both, f"{four} = 0.0.0.0:{port}"))
        assert at_port(port) == [four, four, None]
        rig.reload((f"{four} = 0.0.0.0:{port}", f"{six} = [::]:{port}"))
        assert at_port(port) == [six, six, six]
        rig.reload((f"{six} = [::]:{port}", both))
        assert at_port(port) == [four, four, six]


def test_families_under_load():
    """Clients by IPv4 do not notice whose socket takes them."""
    with rig_at("http = [::]:P1\n") as rig:
        port = rig.ports[1]
        rig.wait_votes(3)
        one, both = f"http = [::]:{port}\n", f"http = [::]:{port}\nhttp = 0.0.0.0:{port}\n"
        with Knocker("127.0.0.1", port, 2) as knocker:
            for _ in range(ROUNDS):
                rig.reload((one, both))
                rig.reload((both, f"http = 0.0.0.0:{port}\n"))
                rig.reload((f"http = 0.0.0.0:{port}\n", one))
        assert knocker.count > 100 and knocker.failures == []


@pytest.mark.parametrize("key", ["", pytest.param("user = nobody\ngroup = nogroup", marks=pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can become another user"))])
def test_another_program_has_part_of_it(key):
    """Nothing changes then. Where nobody has it, it works for an agent that has given up its rights, too."""
    with rig_at(f"http = 127.0.0.1:P1\n{key}") as rig:
        port = rig.ports[1]
        rig.directory.chmod(0o755)
        rig.agent.config_path.chmod(0o644)
        rig.wait_votes(3)
        one, every = f"http = 127.0.0.1:{port}", f"http = 0.0.0.0:{port}"
        with socket.create_server(("127.0.0.9", port)):
            assert "Address already in use" in rig.reload((one, every), event="reload-failed")["error"]
            assert (greets(f"127.0.0.1:{port}"), greets(f"127.0.0.2:{port}")) == ("http", None)
        rig.reload()
        assert greets(f"127.0.0.1:{port}") == greets(f"127.0.0.2:{port}") == "http"


@pytest.mark.parametrize("more", ["check = 127.0.0.1:P1", "check = 0.0.0.0:P1", "listen = 0.0.0.0:P0", "check = [::]:P1"])
def test_an_address_that_is_listed_twice(more):
    """A file that is taken over is one that can be started, also after one with which the sockets overlap."""
    with rig_at("http = 127.0.0.1:P1\n# more") as rig:
        for i, port in enumerate(rig.ports):
            more = more.replace(f"P{i}", str(port))
        rig.wait_votes(3)
        line = rig.reload(("# more", f"# more\n{more}"), event="reload-failed")
        assert "Address already in use" in line["error"]
        refused = Agent(rig.directory, name="second")
        refused.config_path.write_text(rig.agent.config_path.read_text())
        assert greets(f"127.0.0.1:{rig.ports[1]}") == "http"
        rig.agent.stop()
        refused.spawn()
        assert refused.child.wait(15) == 1
        assert "Address already in use" in refused.find_log(event="cannot-listen")["error"]
        rig.agent.config_path.write_text(rig.config)
        rig.agent.start()
