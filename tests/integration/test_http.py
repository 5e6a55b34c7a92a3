"""The HTTP side: what each path says in each state, the metrics' form, peers that misbehave, the status page in a browser."""

import contextlib
import http.client
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
from fake_sentinel import GET_MASTER
from process import wait_until
from rig import SERVERS, Rig, agent_words, run_agent

FAST = "poll = 100ms"
LISTEN = "127.0.0.1:0\nhttp = 127.0.0.1:0"
R2 = SERVERS["R2"]


@pytest.fixture
def rig():
    with Rig(sentinels=FAST, listen=LISTEN, service="debounce = 0") as made:
        made.wait_votes(3)
        yield made


def address(rig):
    host, port = rig.agent.find_log(event="listening", protocol="http")["address"].split(":")
    return host, int(port)


def ask(rig, path, method="GET", headers=None):
    """(status, headers, body) of one request."""
    connection = http.client.HTTPConnection(*address(rig), timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers or {})
        reply = connection.getresponse()
        return reply.status, dict(reply.headers), reply.read().decode()


def lose_master(rig):
    for fake in rig.fakes:
        fake.reply(GET_MASTER, None)
    rig.wait_state("no-quorum")


# ---- who may ask ----

def test_a_token(tmp_path):
    """Whoever does not send it gets health checks only; the commands read the same file; a reload takes another."""
    token = tmp_path / "token"
    token.write_text("first secret\nnot this\n")
    token.chmod(0o600)
    with Rig(sentinels=FAST, listen=f"127.0.0.1:0\nhttp = 127.0.0.1:0 token-file={token}") as rig:
        rig.wait_votes(3)
        path = rig.agent.config_path
        def codes(value):
            headers = {"Authorization": value} if value else {}
            return [ask(rig, where, headers=headers)[0] for where in ("/healthz", "/readyz", "/status", "/metrics", "/")]
        status, headers, body = ask(rig, "/status")
        assert (status, headers["WWW-Authenticate"]) == (401, "Bearer") and "token-file" in body
        assert codes(None) == codes("Bearer first secre") == codes("Basic first secret") == [200, 200, 401, 401, 401]
        assert codes("Bearer first secret") == [200] * 5
        assert "R1" in run_agent("-f", path, "status").stdout
        assert run_agent("-f", path, "--healthcheck").returncode == 0
        assert "not this" not in run_agent("-f", path, "--dump-config").stdout
        held = http.client.HTTPConnection(*address(rig), timeout=10)
        with contextlib.closing(held):
            def held_code():
                held.request("GET", "/status", headers={"Authorization": "Bearer first secret"})
                reply = held.getresponse()
                return reply.status if reply.read() else None
            assert held_code() == 200
            token.write_text("second\n")
            mark = rig.agent.mark()
            rig.change()  # the command does not have the token of the agent that runs
            rig.agent.wait_log(event="reloaded", since=mark)
            assert held_code() == 200
            assert run_agent("-f", path, "reload").returncode == 0
            assert codes("Bearer first secret") == [200, 200, 401, 401, 401]
            assert codes("Bearer second") == [200] * 5
        token.write_text("\n")
        assert f"'{token}' has no token of 1 to 512 bytes" in rig.reload(event="reload-failed")["error"]
        assert codes("Bearer second") == [200] * 5
        token.chmod(0o644)
        token.write_text("third")
        assert f"everybody can read the token in '{token}'" in run_agent("-f", path, "-t").stderr


# ---- health ----

def test_healthy_and_ready(rig):
    assert ask(rig, "/healthz")[0] == 200
    status, headers, body = ask(rig, "/readyz")
    assert (status, json.loads(body)["ready"]) == (200, True)
    assert headers["Content-Type"] == "application/json"
    assert headers["Cache-Control"] == "no-store"


def test_not_ready_says_why(rig):
    lose_master(rig)
    assert ask(rig, "/healthz")[0] == 200
    status, _, body = ask(rig, "/readyz")
    assert status == 503
    assert json.loads(body) == {"ready": False, "service": "mymaster", "reason": "no-quorum"}


def test_master_and_replica(rig):
    assert ask(rig, "/master/mymaster")[0] == 200
    assert ask(rig, "/master/mymaster/R1")[0] == 200
    assert ask(rig, "/master/mymaster/R2")[0] == 503
    assert ask(rig, "/master/mymaster/R")[0] == 503
    assert ask(rig, "/replica/mymaster")[0] == 503
    assert ask(rig, "/master/other")[0] == 404
    assert ask(rig, "/master/")[0] == 404
    for fake in rig.fakes:
        fake.master = R2
    rig.wait_master("R2")
    rig.wait_votes(3)  # a Sentinel that still names R1 is a reason to ask them all
    status, _, body = ask(rig, "/master/mymaster/R2")
    assert (status, json.loads(body)["master"]) == (200, "R2")
    lose_master(rig)
    assert ask(rig, "/master/mymaster")[0] == 503
    assert ask(rig, "/master/mymaster/R1")[0] == 503
    assert ask(rig, "/master/mymaster/R2")[0] == 404  # its sessions are not at the wrong node


def test_head_and_other_methods(rig):
    status, headers, body = ask(rig, "/readyz", "HEAD")
    assert (status, body) == (200, "")
    assert int(headers["Content-Length"]) > 0
    status, headers, _ = ask(rig, "/", "OPTIONS")
    assert (status, headers["Allow"]) == (200, "GET, HEAD, OPTIONS")
    for method in ("POST", "DELETE", "PUT"):
        status, headers, _ = ask(rig, "/status", method)
        assert (status, headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize("path", ["/metrics/", "/x", "//", "/master", "/status/../metrics", "/" + "a" * 3000],
                         ids=range(6))
def test_other_paths(rig, path):
    assert ask(rig, path)[0] == 404


# ---- status ----

def test_status_tells_all(rig):
    for fake in rig.fakes:
        fake.master = R2
    rig.wait_master("R2")
    rig.wait_votes(3)
    rig.fakes[0].stop()
    status = json.loads(ask(rig, "/status")[2])
    service = status["services"][0]
    assert (service["service"], service["state"], service["server"], service["quorum"]) == ("mymaster", "ok", "R2", 2)
    assert [voice["addr"] for voice in service["sentinels"]] == ["127.0.0.1:7002"] * 3
    assert all(0 <= voice["age-ms"] < 2500 for voice in service["sentinels"])
    assert {one["myid"] for one in status["groups"][0]["sentinels"]} == {fake.myid for fake in rig.fakes}
    newest, first = status["switches"]
    assert (first["old-server"], first["new-server"]) == ("", "R1")
    assert (newest["old-server"], newest["new-server"], newest["cut"]) == ("R1", "R2", None)
    assert newest["suspected"] <= newest["named"] <= newest["first-answer"] <= status["now"]
    assert abs(status["now"] / 1000 - time.time()) < 60
    wait_until(lambda: [one["up"] for one in json.loads(ask(rig, "/status")[2])["groups"][0]["sentinels"]]
               == [False, True, True], 15, "the first Sentinel is not heard any more")


# ---- metrics ----

def samples(text):
    """{name with labels: value}."""
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def voters(rig):
    """The sum of the names' FNV-1a hashes: the same where the same Sentinels are configured, in whatever order."""
    total = 0
    for fake in rig.fakes:
        number = 0xCBF29CE484222325
        for byte in fake.where.encode():
            number = (number ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
        total += number
    return f"{total & 0xFFFFFFFFFFFFFFFF:016x}"


def test_metrics(rig):
    before = samples(ask(rig, "/metrics")[2])
    assert before['redis_spoa_master_agreed{service="mymaster"}'] == "1"
    labels = f'service="mymaster",server="R1",addr="127.0.0.1:7001",voters="{voters(rig)}"'
    assert before[f"redis_spoa_master_info{{{labels}}}"] == "1"
    with rig.connect() as client:
        for _ in range(10):
            client.ask()
        after = samples(ask(rig, "/metrics")[2])
        assert after["redis_spoa_spop_connections"] == "1"
    answers = 'redis_spoa_service_answers_total{service="mymaster",role="master",outcome="ok"}'
    assert int(after[answers]) == int(before[answers]) + 10
    count = "redis_spoa_answer_duration_seconds_count"
    assert int(after[count]) == int(before[count]) + 10
    assert int(after["process_open_fds"]) > 5
    assert float(after["process_resident_memory_bytes"]) > 1e6
    assert abs(float(after["process_start_time_seconds"]) - time.time()) < 120
    lose_master(rig)
    text = ask(rig, "/metrics")[2]
    assert samples(text)['redis_spoa_master_agreed{service="mymaster"}'] == "0"
    assert "redis_spoa_master_info{" not in text
    assert samples(text)['redis_spoa_service_state{service="mymaster",state="no-quorum"}'] == "1"


def test_parked_time_is_counted():
    with Rig(sentinels=FAST, listen=LISTEN, service="park = 300ms\ndebounce = 0") as rig:
        rig.wait_votes(3)
        for fake in rig.fakes:
            fake.reply(GET_MASTER, None)
        rig.agent.wait_log(event="quorum-lost")
        before = samples(ask(rig, "/metrics")[2])  # who asked while it started may have waited, too
        rig.ask()
        after = samples(ask(rig, "/metrics")[2])
        for name, more in (("count", 1), ('bucket{le="0.25"}', 0)):
            name = f"redis_spoa_parked_duration_seconds_{name}"
            assert int(after[name]) == int(before[name]) + more


def test_a_stall_of_the_loop_is_counted():
    """A reload reads its files at once. A pipe in place of one holds it up; a process that is stopped while it waits has no stall."""
    with Rig(sentinels=FAST, listen=LISTEN) as rig:
        pipe = rig.directory / "password"  # the sandbox lets the agent read its own folder only
        os.mkfifo(pipe, 0o600)

        def stalls():
            found = samples(ask(rig, "/metrics")[2])
            count, short = (int(found[f"redis_spoa_loop_stall_seconds_{name}"]) for name in ("count", 'bucket{le="0.25"}'))
            assert count > 0
            return count - short

        def is_stop_none():
            """The stop may hit a turn that goes on; most of the time the agent waits."""
            before = stalls()
            rig.agent.signal(signal.SIGSTOP)
            time.sleep(0.4)
            rig.agent.signal(signal.SIGCONT)
            return stalls() == before

        rig.wait_votes(3)
        wait_until(is_stop_none, 30, "a stop while it waits")
        before = stalls()
        rig.change((FAST, f"{FAST}\npassword-file = {pipe}"))
        writer = wait_until(lambda: os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), 30, "the agent reads the pipe")
        time.sleep(0.4)
        os.write(writer, b"secret\n")
        os.close(writer)
        assert stalls() > before


def test_openmetrics(rig):
    _, headers, text = ask(rig, "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"})
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")
    assert "# TYPE redis_spoa_notifies counter\n" in text
    assert re.search(r"^redis_spoa_notifies_total \d+$", text, re.MULTILINE)
    _, headers, text = ask(rig, "/metrics")
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "# TYPE redis_spoa_notifies_total counter\n" in text


# ---- peers that misbehave ----

def test_half_a_request_is_given_up(rig):
    with socket.create_connection(address(rig), 30) as sock:
        sock.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\n")
        while sock.recv(4096):
            pass


@pytest.mark.parametrize("garbage", [b"\0" * 1000, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\xff\xfe\n\n", b"A" * 100000], ids=range(5))
def test_garbage(rig, garbage):
    with socket.create_connection(address(rig), 30) as sock, contextlib.suppress(OSError):
        sock.sendall(garbage)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(4096):
            pass
    assert ask(rig, "/healthz")[0] == 200


def test_endless_headers_and_bodies(rig):
    with socket.create_connection(address(rig), 30) as sock, contextlib.suppress(OSError):
        sock.sendall(b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 100000 + b"\r\n" * 2)
        assert b" 431 " in sock.recv(4096) or b" 414 " in sock.recv(4096)
    with socket.create_connection(address(rig), 30) as sock, contextlib.suppress(OSError):
        sock.sendall(b"POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n" + b"z" * 10000000)
        assert b" 405 " in sock.recv(4096)
    assert rig.ask()["master"] == "R1"


def test_many_connections(rig):
    """Beyond the limit they are closed; those who wait for nothing make room within the time limit."""
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection(address(rig), 10))
        assert rig.ask()["master"] == "R1"
    wait_until(lambda: ask(rig, "/healthz")[0] == 200, 30, "there is room again")


# ---- nobody stops the others ----

def read_all(sock):
    """All until the end, however it comes."""
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            got += piece
    return got


def test_a_drip_does_not_renew_the_time_limit(rig):
    """A request that comes byte by byte is given up five seconds after the accept."""
    with socket.create_connection(address(rig), 10) as sock:
        begun = time.monotonic()
        sock.settimeout(0.5)
        for byte in itertools.cycle(b"GET / HTTP/1.1\r\nX: " + b"x" * 100):
            assert time.monotonic() < begun + 8
            with contextlib.suppress(TimeoutError):
                try:
                    sock.sendall(bytes([byte]))
                    if sock.recv(1) == b"":
                        break
                except (ConnectionResetError, BrokenPipeError):
                    break
        assert time.monotonic() > begun + 4


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_slow_connections_do_not_keep_others_out(rig, path):
    """As many as there are places, which never finish a request. A client that asks in time takes one of their places."""
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(address(rig), 10)) for _ in range(64)]
        for sock in slow:
            sock.sendall(b"GET / HTTP/1.1\r\n")
        for _ in range(3):
            assert ask(rig, path)[0] == 200


def test_a_body_is_not_waited_for(rig):
    """405 with the methods that there are, and the end, before a byte of the body has come."""
    for head in (b"Content-Length: 1000", b"Transfer-Encoding: chunked"):
        with socket.create_connection(address(rig), 3) as sock:
            sock.sendall(b"POST /status HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")
            got = read_all(sock)
            assert got.startswith(b"HTTP/1.1 405 ")
            assert b"\r\nAllow: GET, HEAD, OPTIONS\r\n" in got
            assert b"\r\nConnection: close\r\n" in got


def test_a_get_with_a_body_is_answered(rig):
    for path in (b"/healthz", b"/metrics"):
        with socket.create_connection(address(rig), 3) as sock:
            sock.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
            assert read_all(sock).startswith(b"HTTP/1.1 200 ")


def test_a_connection_is_kept_between_requests(rig):
    connection = http.client.HTTPConnection(*address(rig), timeout=10)
    with contextlib.closing(connection):
        connection.connect()
        sock = connection.sock
        for path in ("/healthz", "/metrics", "/status", "/healthz", "/status.txt"):
            connection.request("GET", path)
            reply = connection.getresponse()
            assert (reply.status, len(reply.read()) > 0) == (200, True)
            assert connection.sock is sock


# ---- many who ask at once ----

SERVICES = 300
MORE_THAN_SOCKETS_HOLD = 1000


def many_services(count=SERVICES):
    """A Rig whose pages are long."""
    services = "".join(f"[service s{i:05}]\nmonitor = mymaster\nrole-check = off\nserver = R1 127.0.0.1:7001\n" for i in range(count))
    return Rig(listen=LISTEN, service="role-check = off", more=services)


def begin(rig, path, buffers=None):
    """A connection that has asked for the page and takes nothing yet."""
    sock = socket.socket()
    if buffers is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffers)
    sock.settimeout(20)
    sock.connect(address(rig))
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return sock


def test_a_probe_says_why():
    """`--readycheck` prints what the page says, where that is the reason."""
    with Rig(listen=LISTEN) as rig:
        rig.wait_votes(3)
        path = rig.directory / "probe.conf"
        path.write_text(rig.config.replace("http = 127.0.0.1:0", f"http = {rig.agent.http_address}"))
        probe = run_agent("-f", path, "--readycheck")
        assert (probe.returncode, probe.stdout, probe.stderr) == (0, "", "")
        for fake in rig.fakes:
            fake.master = None
        wait_until(lambda: ask(rig, "/readyz")[0] != 200, 20, "nobody is named")
        probe = run_agent("-f", path, "--readycheck")
        assert probe.returncode == 1 and "mymaster" in probe.stderr


def test_many_scrapes_share_a_text():
    """60 who take nothing for a while: their answers are not sixty copies, and whole."""
    with many_services(MORE_THAN_SOCKETS_HOLD) as rig, contextlib.ExitStack() as stack:
        rig.wait_votes(3)
        size = len(ask(rig, "/metrics")[2])
        before = rig.agent.resident_kib()
        socks = [stack.enter_context(begin(rig, "/metrics", 4096)) for _ in range(60)]
        assert rig.ask()["master"] == "R1"
        grown = rig.agent.resident_kib() - before
        assert rig.agent.is_sanitized or grown * 1024 < 60 * size / 4
        for sock in socks[-3:]:  # the first may have been given up by now: they are slow, and hold older texts
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            text = read_all(sock).partition(b"\r\n\r\n")[2].decode()
            assert text.count('redis_spoa_master_agreed{service="s') == MORE_THAN_SOCKETS_HOLD
            assert 'redis_spoa_master_agreed{service="s00999"}' in samples(text)


def test_a_reader_that_takes_nothing_is_given_up():
    with many_services() as rig:
        rig.wait_votes(3)
        with begin(rig, "/metrics", 4096) as sock:
            begun = time.monotonic()
            wait_until(lambda: rig.agent.holds(sock), 15, "it is accepted")
            wait_until(lambda: not rig.agent.holds(sock), 15, "it is given up")
            assert time.monotonic() > begun + 8
        assert ask(rig, "/healthz")[0] == 200


def test_a_page_is_never_older_than_its_request():
    """Whoever asks after a change sees it, however many ask all the time."""
    with many_services() as rig:
        rig.wait_votes(3)
        ending = threading.Event()

        def storm():
            while not ending.is_set():
                for path in ("/metrics", "/status", "/status.txt"):
                    ask(rig, path)
        threads = [threading.Thread(target=storm) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for name in ("R2", "R1", "R2"):
                for fake in rig.fakes:
                    fake.master = SERVERS[name]
                rig.wait_master(name)
                assert f'service="mymaster",server="{name}"' in ask(rig, "/metrics")[2]
                assert json.loads(ask(rig, "/status")[2])["services"][0]["server"] == name
                assert f"\n● mymaster              {name} is the master" in ask(rig, "/status.txt")[2]
        finally:
            ending.set()
            for thread in threads:
                thread.join()


def test_reload_while_a_page_is_written():
    """A page is of one configuration, whatever is loaded meanwhile."""
    with many_services() as rig:
        rig.wait_votes(3)
        for count in (10, SERVICES, 10):
            socks = [begin(rig, "/status", 4096) for _ in range(20)]
            rig.reload(("park = 0", f"park = {count}ms"))
            for sock in socks:
                with sock:
                    status = json.loads(read_all(sock).partition(b"\r\n\r\n")[2])
                    names = [one["service"] for one in status["services"]]
                    assert len(names) == len(set(names)) == SERVICES + 1
            rig.reload((f"park = {count}ms", "park = 0"))


def test_unix_socket():
    with Rig(sentinels=FAST, listen="127.0.0.1:0\nhttp = unix:DIRECTORY/http.sock") as rig:
        rig.wait_votes(3)
        words = ["curl", "-sS", "--max-time", "10", "--unix-socket", rig.directory / "http.sock"]
        done = subprocess.run([*words, "-I", "http://agent/readyz"], capture_output=True, text=True, check=True)
        assert done.stdout.startswith("HTTP/1.1 200 OK")
        done = subprocess.run([*words, "http://agent/master/mymaster"], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["master"] == "R1"


# ---- the commands ----

def command(rig, *words):
    return run_agent("-f", rig.agent.config_path, *words)


def test_status_command(rig):
    for fake in rig.fakes:
        fake.master = R2
    rig.wait_master("R2")
    done = command(rig, "status")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.match(r"● mymaster: R2 is the master\n    127\.0\.0\.1:7002 · \d of 3 votes, 2 needed · since \d\d:\d\d:\d\d UTC, for ", done.stdout)
    assert all(fake.where in done.stdout for fake in rig.fakes)
    assert "mymaster: R1 → R2 in " in done.stdout
    done = command(rig, "status", "--json")
    assert json.loads(done.stdout)["services"][0]["server"] == "R2"


def test_healthcheck_and_readycheck(rig):
    """An agent without a master lives. Who would replace it for that would do so in the middle of a failover."""
    for option in ("--healthcheck", "--readycheck"):
        done = command(rig, option)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    lose_master(rig)
    done = command(rig, "--healthcheck")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = command(rig, "--readycheck")
    assert (done.returncode, done.stdout) == (1, "")
    assert '"reason":"no-quorum"' in done.stderr
    rig.agent.kill()
    for words in (["--healthcheck"], ["--readycheck"], ["status"]):
        done = command(rig, *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert "Connection refused" in done.stderr


def test_watching_ends_with_its_reader(rig):
    """As in `status --watch | head`."""
    watching = subprocess.Popen(agent_words("-f", rig.agent.config_path, "status", "--watch"), stdout=subprocess.PIPE)
    try:
        assert b"mymaster" in watching.stdout.readline()
        watching.stdout.close()
        assert watching.wait(30) == 0
    finally:
        watching.kill()
        watching.wait()


@pytest.mark.parametrize("answer, reason", [(b"", "Connection reset by peer"), (b"+PONG\r\n", "Protocol error"), (None, "Connection timed out")])
def test_peers_that_are_no_agents(tmp_path, answer, reason):
    """The reason is what happened, and not what happened last in the program."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        path = tmp_path / "agent.conf"
        path.write_text(f"[agent]\nlisten = 127.0.0.1:0\nhttp = 127.0.0.1:{server.getsockname()[1]}\n"
                        "[sentinels]\naddress = 127.0.0.1:1\n[service m]\nserver = R1 127.0.0.1:2\n")
        asking = subprocess.Popen(agent_words("-f", path, "status"), stderr=subprocess.PIPE, text=True)
        with server.accept()[0] as peer:
            if answer is not None:
                peer.recv(100)
                peer.sendall(answer)
                peer.close()
            said = asking.communicate(timeout=30)[1]
        assert asking.returncode == 1
        assert said.strip().endswith(f": {reason}"), said


def test_commands_without_http():
    with Rig(sentinels=FAST) as rig:
        done = command(rig, "status")
        assert (done.returncode, done.stdout) == (1, "")
        assert "no 'http' in [agent]" in done.stderr
    done = run_agent("--json")
    assert done.returncode == 2
    assert "--json is of the commands 'status' and 'check'" in done.stderr
