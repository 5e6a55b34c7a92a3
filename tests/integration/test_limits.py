"""Who may connect, how many, for how long: the limits that keep hostile or broken peers from harming the others."""

import contextlib
import re
import resource
import socket
import time

import pytest
import spop_client as spop
from process import free_ports, wait_until
from rig import Rig, run_agent
from spop_client import SpopClient, ask_once

NORMAL, TIMEOUT, RESOURCE = 0, 2, 13
GUESTS = 16  # connections beyond the limit that are heard for a moment
FRAME_TIMEOUT = 10  # seconds from the first byte of a frame to its last
KEPT_MAX_KIB = 16 * 1024  # what all connections may have in buffers
KEPT_KIB = 64  # what one may, and what malloc() has around it
FAST = "poll = 100ms"
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h
ALL_LISTENERS = "check = 127.0.0.1:0\nhttp = 127.0.0.1:0"


def connect_from(source, address):
    """A TCP connection from an address of this machine. connect() chooses the port: bind() would not take one that a
    connection to elsewhere had a minute ago, and after some ten thousand connections none would be left."""
    host, port = address.rsplit(":", 1)
    sock = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET)
    try:
        sock.settimeout(10)
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((source, 0))
        sock.connect((host, int(port)))
    except BaseException:
        sock.close()
        raise
    return sock


def is_refused(source, address):
    """Whether it is closed before anything was said."""
    with connect_from(source, address) as sock:
        sock.settimeout(0.3)
        try:
            return sock.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


# ---- who ----

def get(source, address, path):
    """The code of a GET from there; None where the connection is closed."""
    with connect_from(source, address) as sock:
        try:
            sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            return int(sock.recv(100).split()[1])
        except (IndexError, ConnectionError):
            return None


def codes(source, address):
    """Of a health check, of readiness, and of a page that is not for everybody."""
    return [get(source, address, path) for path in ("/healthz", "/readyz", "/metrics")]


ALL, HEALTH = [200, 200, 200], [200, 200, 403]


def test_allow():
    """Only from the networks that are named, for each protocol; changed by a reload. UNIX sockets have rights instead.
    HTTP tells the own host whether the agent is well."""
    agent = f"{ALL_LISTENERS}\nlisten = unix:DIRECTORY/spop.sock\nallow = 127.0.0.1\nallow = 127.1.0.0/16"
    with Rig(agent=agent) as rig:
        addresses = [rig.agent.address, rig.agent.check_address]
        web = rig.agent.http_address
        rig.wait_votes(3)
        for address in addresses:
            assert not is_refused("127.0.0.1", address)
            assert not is_refused("127.1.255.1", address)
            assert is_refused("127.0.0.2", address)
            assert is_refused("127.2.0.1", address)
        assert [codes(f"127.{host}", web) for host in ("0.0.1", "1.255.1", "0.0.2", "2.0.1")] == [ALL, ALL, HEALTH, HEALTH]
        assert rig.agent.wait_log(event="connection-refused", protocol="agent-check")["peer"].startswith("127.0.0.2:")
        assert ask_once(f"unix:{rig.directory}/spop.sock")["state"] is not None
        assert rig.agent.metric("redis_spoa_refused_total") == 4
        rig.reload(("allow = 127.1.0.0/16", "allow = 127.0.0.2/32"))
        for address in addresses:
            assert is_refused("127.1.255.1", address)
            assert not is_refused("127.0.0.2", address)
        assert [codes(f"127.{host}", web) for host in ("1.255.1", "0.0.2")] == [HEALTH, ALL]


@pytest.mark.parametrize("network", ["127.0.0.1", "::ffff:127.0.0.0/127", "127.0.0.0/31"])
def test_allow_ipv4_on_a_listener_of_both_families(network):
    """A peer that reaches [::] by IPv4 is IPv4: the networks of IPv4 hold for it, and the log shows it so."""
    listeners = ALL_LISTENERS.replace("127.0.0.1:0", "[::]:0")
    with Rig(agent=f"{listeners}\nallow = {network}", listen="[::]:0") as rig:
        rig.agent.wait_log(event="master-switch")
        ports = [address.rsplit(":", 1)[1] for address in (rig.agent.address, rig.agent.check_address)]
        web = rig.agent.http_address.rsplit(":", 1)[1]
        for port in ports:
            assert not is_refused("127.0.0.1", f"127.0.0.1:{port}")
            assert is_refused("127.0.0.2", f"127.0.0.1:{port}")
            assert is_refused("::1", f"::1:{port}")
        assert codes("127.0.0.1", f"127.0.0.1:{web}") == ALL
        assert codes("127.0.0.2", f"127.0.0.1:{web}") == codes("::1", f"::1:{web}") == HEALTH
        refused = re.findall(r"event=connection-refused \S+ peer=(\S+):", rig.agent.log_text())
        assert sorted(set(refused)) == ["127.0.0.2", "[::1]"]


def test_allow_of_one_address():
    """Before the common one, for each protocol; changed by a reload. `--dump-config` and `-t` know it."""
    own, common, check, web = (f"127.0.0.{1 + (i == 1)}:{port}" for i, port in enumerate(free_ports(4)))
    agent = (f"listen = {own} allow=127.0.0.2\ncheck = {check} allow=127.0.0.3 allow=127.0.0.4\n"
             f"http = {web} allow=127.0.0.1\nallow = 10.0.0.0/8")

    def taken():
        return [[host for host in range(1, 5) if not is_refused(f"127.0.0.{host}", address)] for address in (own, common, check)]

    with Rig(agent=agent, listen=common) as rig:
        path = rig.agent.config_path
        rig.agent.wait_log(event="master-switch")
        assert taken() == [[2], [], [3, 4]]
        assert codes("127.0.0.1", web) == ALL and codes("127.0.0.2", web) == HEALTH
        dumped = run_agent("-f", path, "--dump-config").stdout
        assert f"listen = {own} allow=127.0.0.2/32\n" in dumped
        assert f"check = {check} allow=127.0.0.3/32 allow=127.0.0.4/32\n" in dumped
        rig.reload((" allow=127.0.0.3 allow=127.0.0.4", ""), ("allow=127.0.0.2", "allow=127.0.0.3"),
                   ("allow = 10.0.0.0/8", "allow = 127.0.0.4"))
        assert taken() == [[3], [4], [4]]
        path.write_text(rig.config.replace("allow=127.0.0.2", "alow=127.0.0.2"))
        line = 1 + next(i for i, text in enumerate(path.read_text().splitlines()) if "alow" in text)
        done = run_agent("-f", path, "-t")
        assert done.returncode == 2 and f"{path}:{line}: bad value '{own} alow=127.0.0.2' for 'listen'" in done.stderr


def own_address():
    """An address of this machine that is not of the loopback; None where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        return sock.getsockname()[0]


@pytest.mark.skipif(own_address() is None, reason="this machine has no address but the loopback's")
def test_healthcheck_whatever_is_allowed():
    """As README says to set `allow`: only HAProxy's network. The container's own health check passes all the same."""
    with Rig(agent="http = 0.0.0.0:0\nallow = 10.0.0.0/8") as rig:
        port = rig.agent.http_address.rsplit(":", 1)[1]
        path = rig.agent.config_path
        rig.agent.wait_log(event="master-switch")
        for host in ("0.0.0.0", "127.0.0.1", own_address()):
            path.write_text(rig.config.replace("http = 0.0.0.0:0", f"http = {host}:{port}"))
            assert run_agent("-f", path, "--healthcheck").returncode == 0
        assert codes(own_address(), f"{own_address()}:{port}") == HEALTH
        assert codes(own_address(), f"127.0.0.1:{port}") == [None] * 3  # from elsewhere, as it seems
        assert rig.agent.find_log(event="connection-refused", protocol="http")


# ---- how many ----

def test_max_connections():
    """One more is refused in SPOP's words; HAProxy's health check is answered, so that it does not hold the agent to be down."""
    with Rig(agent=f"{ALL_LISTENERS}\nmax-connections = 5") as rig:
        rig.wait_votes(3)
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(rig.connect()) for _ in range(5)]
            with SpopClient(rig.agent.address) as one_more:
                one_more.send(spop.hello())
                assert one_more.read_disconnect() == RESOURCE
                one_more.expect_closed()
            assert rig.agent.wait_log(event="connection-refused", protocol="spop")["connections"] == "5"
            assert rig.agent.metric("redis_spoa_refused_total") == 1
            assert passes_check(rig)
            assert all(client.ask()["master"] == "R1" for client in held)
            late = stack.enter_context(SpopClient(rig.agent.address))
            held[0].close()
            wait_until(lambda: rig.agent.metric("redis_spoa_spop_connections") == 5, 15, "there is room for the one that waits")
            late.hello()
            assert late.ask()["master"] == "R1"


def test_checks_while_others_crowd_in():
    """Whoever connects without a word, or with a word of its own, keeps no health check out."""
    with Rig(agent=f"{ALL_LISTENERS}\nmax-connections = 2") as rig, contextlib.ExitStack() as stack:
        rig.wait_votes(3)
        wait_until(lambda: rig.agent.metric("redis_spoa_spop_connections") == 0, 15, "those who asked have gone")
        held = [stack.enter_context(rig.connect()) for _ in range(2)]
        for talks in (False, True):
            for _ in range(50):
                client = stack.enter_context(SpopClient(rig.agent.address))
                if talks:
                    client.send(spop.hello())
            assert passes_check(rig)
        assert rig.agent.metric("redis_spoa_spop_connections") <= 2 + GUESTS
        assert all(client.ask()["master"] == "R1" for client in held)
        wait_until(lambda: rig.agent.metric("redis_spoa_spop_connections") == 2, 5, "they are given up after two seconds")
        assert rig.agent.metric("redis_spoa_refused_total") + rig.agent.metric("redis_spoa_timeouts_total") == 100


def passes_check(rig):
    with SpopClient(rig.agent.address) as client:
        client.send(spop.health_check())
        return client.read().type == spop.AGENT_HELLO


def test_thousands_of_connections():
    """Each is answered; all that they took is given back."""
    with Rig(sentinels=FAST) as rig:
        rig.wait_votes(3)
        files = rig.agent.descriptors()
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(SpopClient(rig.agent.address)) for _ in range(3000)]
            before = rig.agent.resident_kib()
            for client in clients:
                client.send(spop.hello())
            assert all(client.expect(spop.AGENT_HELLO) for client in clients)
            for client in clients:
                client.send(spop.question())
            assert all(client.expect(spop.ACK).variables()["master"] == "R1" for client in clients)
            assert rig.agent.resident_kib() < before + 3000 * 8
        wait_until(lambda: rig.agent.descriptors() <= files, 15, "all descriptors are given back")


def test_clients_that_never_wait_take_no_memory():
    """park-max is a limit, not a store: a million places would be 160 MiB."""
    with Rig(agent="park-max = 1000000") as rig:
        rig.wait_votes(3)
        assert rig.agent.resident_kib() < 40000 or rig.agent.is_sanitized


def test_descriptors_run_out():
    """It pauses, and does not spin; who is connected is served, and the Sentinels are asked; then it goes on."""
    with Rig(agent=ALL_LISTENERS, sentinels=FAST) as rig:
        rig.agent.kill()
        rig.agent.prefix = ["prlimit", "--nofile=80:80"]
        rig.agent.start()
        assert rig.agent.wait_log(event="few-descriptors")["possible"] == "40"
        rig.wait_votes(3)
        host, port = rig.agent.check_address.split(":")
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(rig.connect())
            for _ in range(200):
                stack.enter_context(socket.create_connection((host, int(port)), 10))
            rig.agent.wait_log(event="accept-failed", protocol="agent-check", error="Too many open files")
            used, begun = rig.agent.cpu_seconds(), time.monotonic()
            asked = rig.fakes[0].times_asked()
            while time.monotonic() < begun + 2:
                assert client.ask()["master"] == "R1"
                time.sleep(0.01)
            assert rig.agent.cpu_seconds() < used + 0.5
            assert rig.fakes[0].times_asked() > asked + 5
            assert len(rig.agent.log_lines(event="accept-failed", protocol="agent-check")) == 1
        rig.agent.wait_log(event="accepting-again", protocol="agent-check", timeout=30)
        assert rig.ask()["master"] == "R1"


def test_http_when_descriptors_run_out():
    """libmicrohttpd's own accept() would spin: ours pauses."""
    with Rig(agent=ALL_LISTENERS, sentinels=FAST) as rig:
        rig.wait_votes(3)
        _, most = resource.prlimit(rig.agent.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(rig.agent.pid, resource.RLIMIT_NOFILE, (4, most))
        with connect_from("127.0.0.1", rig.agent.http_address) as client:
            rig.agent.wait_log(event="accept-failed", protocol="http", error="Too many open files")
            used, begun = rig.agent.cpu_seconds(), time.monotonic()
            wait_until(lambda: time.monotonic() > begun + 2, 10, "two seconds")
            assert rig.agent.cpu_seconds() < used + 0.5
            resource.prlimit(rig.agent.pid, resource.RLIMIT_NOFILE, (most, most))
            client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert b" 200 " in client.recv(4096)


# ---- how long ----

def test_idle_timeout():
    """Told goodbye without a fault; one that is used stays."""
    with Rig(agent=f"{ALL_LISTENERS}\nidle-timeout = 800ms") as rig, rig.connect() as used, rig.connect() as idle:
        begun = time.monotonic()
        while time.monotonic() < begun + 2:
            used.ask()
            time.sleep(0.05)
        assert idle.read_disconnect() == NORMAL
        assert rig.agent.metric("redis_spoa_timeouts_total") == 1
        assert not rig.agent.find_log(event="spop-error")


def test_who_waits_for_an_answer_is_not_idle():
    with Rig(agent="idle-timeout = 300ms", fakes=0, sentinels="address = 127.0.0.1:1", service="park = 2s") as rig:
        with rig.connect() as client:
            client.send(spop.question())
            assert client.expect(spop.ACK).variables()["master"] is None
            assert client.read_disconnect() == NORMAL


def test_frames_that_do_not_end():
    """The rest of a frame is waited for, even where it drips; a peer whose reads always end within a frame is no such one."""
    with (Rig(agent=ALL_LISTENERS) as rig, rig.connect() as half, rig.connect() as drip, rig.connect() as overlapping,
          SpopClient(rig.agent.address) as mute):
        begun = time.monotonic()
        whole = spop.question()
        half.send(whole[:-1])
        mute.send(spop.hello()[:3])
        long = spop.notify(messages=[("other", {"filler": "x" * 500})])
        overlapping.send(whole[:10])
        at = 0
        while time.monotonic() < begun + FRAME_TIMEOUT + 1.5:
            with contextlib.suppress(OSError):
                drip.send(long[at:at + 1])
            at += 1
            overlapping.send(whole[10:] + whole[:10])
            overlapping.expect(spop.ACK)
            time.sleep(0.05)
        assert half.read_disconnect() == TIMEOUT
        assert drip.expect(spop.AGENT_DISCONNECT).pairs()["status-code"] == TIMEOUT
        mute.expect_closed()
        overlapping.send(whole[10:])
        overlapping.expect(spop.ACK)
        assert rig.agent.metric("redis_spoa_timeouts_total") == 3


# ---- how much ----

# One read of the agent's, again and again; the answers are four times as long.
FLOOD = spop.notify(messages=[("find-master", {})]) * 2600


def open_greedy(rig, stack, count):
    """So many who ask and take nothing."""
    greedy = [stack.enter_context(rig.connect(buffers=2048)) for _ in range(count)]
    for client in greedy:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
        client.sock.setblocking(False)
    return greedy


def flood(rig, greedy):
    rig.agent.pause()  # so that it finds all of it at once
    for client in greedy:
        with contextlib.suppress(OSError):
            client.sock.send(FLOOD)
    rig.agent.resume()


def test_memory_of_a_peer_that_does_not_read():
    """What one leaves with us is limited, however much it asks."""
    with Rig(sentinels=FAST) as rig, rig.connect() as witness, contextlib.ExitStack() as stack:
        if rig.agent.is_sanitized:
            pytest.skip("what was freed counts in this build")
        rig.wait_votes(3)
        before = rig.agent.resident_kib()
        greedy = open_greedy(rig, stack, 100)
        for _ in range(10):
            flood(rig, greedy)
            assert witness.ask()["state"] is not None
        assert rig.agent.resident_kib() < before + 100 * KEPT_KIB
        assert not rig.agent.find_log(event="spop-memory-limit")


def test_memory_of_peers_that_do_not_read():
    """Together they get 16 MiB. Then those go that hold the most, and not those whose frames are not whole yet."""
    with Rig(sentinels=FAST) as rig, contextlib.ExitStack() as stack:
        if rig.agent.is_sanitized:
            pytest.skip("what was freed counts in this build")
        rig.wait_votes(3)
        honest = [stack.enter_context(rig.connect()) for _ in range(300)]
        before = rig.agent.resident_kib()
        greedy = open_greedy(rig, stack, 1500)
        for _ in range(10):
            flood(rig, greedy)
            rig.ask()  # it has read what there was
            if rig.agent.find_log(event="spop-memory-limit"):
                break
        rig.agent.wait_log(event="spop-memory-limit")
        assert rig.agent.resident_kib() < before + 1.5 * KEPT_MAX_KIB
        rig.wait_votes(3)  # the flood may have held up the Sentinels' replies for longer than a vote counts
        question = spop.notify(messages=[("other", {"filler": "x" * 3900}), ("find-master", {"service": "mymaster"})])
        for client in honest:
            client.send(question[:-10])
        rig.ask()
        for client in honest:
            client.send(question[-10:])
            assert client.expect(spop.ACK).variables()["master"] == "R1"


def test_runtime_api_that_never_stops(tmp_path):
    """An endless reply to a cut: given up after two seconds, and nothing of it is kept."""
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(50)
        with Rig(sentinels=FAST, more=f"[haproxy]\nruntime-api = {path}\nbackend = b") as rig:
            rig.wait_votes(3)
            before = rig.agent.resident_kib()
            for fake in rig.fakes:
                fake.master = ("127.0.0.1", 7002)
            poured = 0
            while poured <= 1 << 20:  # the first calls may have been given up before they were accepted
                sock, _ = listener.accept()
                with sock, contextlib.suppress(OSError):
                    sock.settimeout(10)
                    while True:
                        poured += sock.send(b"x" * 65536)
            rig.agent.wait_log(event="runtime-api-failed", timeout=15)
            assert rig.agent.resident_kib() < before + 4096
            assert rig.ask()["master"] == "R2"


@pytest.mark.parametrize("kind", ["http", "check"])
def test_floods_beside_a_witness(kind):
    """Connections that come and go as fast as they can: SPOP is answered beside them."""
    with Rig(agent=ALL_LISTENERS, sentinels=FAST) as rig, rig.connect() as witness:
        rig.wait_votes(3)
        address = rig.agent.http_address if kind == "http" else rig.agent.check_address
        slowest, begun = 0.0, time.monotonic()
        while time.monotonic() < begun + 2:
            for i in range(50):
                # Closed ones hold their ports for a minute. Other tests need those of 127.0.0.1.
                connect_from(f"127.0.1.{i + 1}", address).close()
            asked = time.monotonic()
            assert witness.ask()["master"] == "R1"
            slowest = max(slowest, time.monotonic() - asked)
        assert slowest < 1.0
