"""TLS for those who connect to the agent: who is let in, what a reload changes, and that nobody waits for the rude."""

import contextlib
import os
import shutil
import socket
import ssl
import time
from pathlib import Path

import pytest
from certificates import Authority, Pair, self_signed
from cluster import HOST, Cluster
from process import free_ports, wait_until
from rig import Rig, run_agent
from spop_client import ACK, SpopClient, hello, question
from test_restart import succeeding

FAST = "poll = 100ms"
NAMES = "IP:127.0.0.1,DNS:agent.test"
HELLO_TIMEOUT = 10


@pytest.fixture(name="ca", scope="module")
def make_authority(tmp_path_factory):
    """An authority with certificates `agent`, `renewed`, `haproxy` and `expired`; `stranger` has signed itself."""
    directory = tmp_path_factory.mktemp("certificates")
    ca = Authority(directory)
    ca.pairs = {"agent": ca.issue("agent", NAMES), "renewed": ca.issue("renewed", NAMES),
                "haproxy": ca.issue("haproxy", "DNS:haproxy.test"), "expired": ca.issue("expired", "DNS:old.test", days=-1),
                "stranger": self_signed(directory, "stranger", NAMES)}
    return ca


def options(pair, authority=None):
    """The options behind the address."""
    wanted = f" tls-client-ca={authority}" if authority else ""
    return f"tls-cert={pair.certificate} tls-key={pair.key}{wanted}"


class Secure(Rig):
    """A rig whose agent listens at `where`, with TLS, as well. It gets copies of the pair's files: `pair`."""

    def __init__(self, ca, asks_clients=False, agent="", **more):
        self.where = f"{HOST}:{free_ports(1)[0]}"
        super().__init__(sentinels=FAST, agent=f"listen = {self.where} OPTIONS\n{agent}", **more)
        self.pair = Pair(str(self.directory / "own.crt"), str(self.directory / "own.key"))
        self.use(ca.pairs["agent"])
        self.config = self.config.replace("OPTIONS", options(self.pair, ca.certificate if asks_clients else None))
        self.ca = ca

    def start(self):
        super().start()
        self.agent.wait_log(event="listening", address=self.where)
        return self

    def use(self, pair):
        """These are its files from now on."""
        shutil.copy(pair.certificate, self.pair.certificate)
        shutil.copy(pair.key, self.pair.key)
        os.chmod(self.pair.key, 0o600)

    def client(self, own=None, **options_of_client):
        return SpopClient(self.where, tls=context(self.ca, own), **options_of_client)

    def failures(self):
        return self.agent.log_text().count("event=spop-tls-failed")


def context(ca, own=None, version=None):
    """What HAProxy has with `ssl verify required ca-file`, and with `own` a certificate of its own."""
    made = ssl.create_default_context(cafile=ca.certificate)
    if own is not None:
        made.load_cert_chain(own.certificate, own.key)
    if version is not None:
        made.minimum_version = made.maximum_version = version
    return made


@pytest.fixture(name="rig", scope="module")
def make_rig(ca):
    with Secure(ca) as rig:
        rig.wait_votes(3)
        yield rig


# ---- who is let in ----

@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_answer(rig, ca, version):
    with SpopClient(rig.where, tls=context(ca, version=version)) as client:
        client.hello()
        assert client.ask()["master"] == "R1"
        assert client.ask("other")["state"] == "unknown-service"


LENIENT = """openssl_conf = init
[init]
ssl_conf = all
[all]
system_default = lenient
[lenient]
MinProtocol = TLSv1
CipherString = DEFAULT@SECLEVEL=0
"""


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_nothing_before_tls_1_2(ca, tmp_path, monkeypatch):
    """Also where the host's OpenSSL would take it."""
    (tmp_path / "openssl.cnf").write_text(LENIENT)
    monkeypatch.setenv("OPENSSL_CONF", str(tmp_path / "openssl.cnf"))
    old = context(ca, version=ssl.TLSVersion.TLSv1_1)
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    with Secure(ca) as rig:
        with pytest.raises(ssl.SSLError, match="alert protocol version"):
            SpopClient(rig.where, tls=old).close()
        rig.agent.wait_log("unsupported protocol", event="spop-tls-failed")


def test_many_answers_at_once(rig):
    """More than a record holds, in both directions, to a peer that does not read for a while."""
    count = 20000
    with rig.client(buffers=4096) as client:
        client.hello()
        # What the peer does not read must not stop it from sending, so it sends first what the sockets hold.
        data = b"".join(question(stream_id=i + 1) for i in range(count))
        client.sock.setblocking(False)
        sent, read, buffer = 0, 0, b""
        deadline = time.monotonic() + 60
        while read < count and time.monotonic() < deadline:
            with contextlib.suppress(ssl.SSLWantWriteError, ssl.SSLWantReadError):
                sent += client.sock.send(data[sent:sent + 30000]) if sent < len(data) else 0
            with contextlib.suppress(ssl.SSLWantWriteError, ssl.SSLWantReadError):
                buffer += client.sock.recv(7000) if sent > 100000 or sent == len(data) else b""
            while len(buffer) >= 4 and len(buffer) >= 4 + int.from_bytes(buffer[:4], "big"):
                size = 4 + int.from_bytes(buffer[:4], "big")
                assert buffer[4] == ACK
                read, buffer = read + 1, buffer[size:]
        assert (read, buffer) == (count, b"")


def test_a_plain_peer_is_closed_with_one_line(ca):
    with Secure(ca) as rig:
        rig.wait_votes(3)
        with SpopClient(rig.where) as plain, pytest.raises((ConnectionError, AssertionError, OSError)):
            plain.hello()
        line = rig.agent.wait_log(event="spop-tls-failed")
        assert "wrong version number" in line["reason"] and line["peer"].startswith(f"{HOST}:")
        assert rig.failures() == 1
        # Who only looks whether somebody listens is no news.
        with socket.create_connection((HOST, int(rig.where.rsplit(":", 1)[1]))):
            pass
        with rig.client() as client:
            client.hello()
            assert client.ask()["master"] == "R1"
        assert rig.failures() == 1


def test_who_does_not_trust_us_says_so(rig, ca):
    before = rig.failures()
    strange = context(ca)
    strange.load_verify_locations(ca.pairs["stranger"].certificate)
    untrusting = ssl.create_default_context(cafile=ca.pairs["stranger"].certificate)
    with pytest.raises(ssl.SSLCertVerificationError):
        SpopClient(rig.where, tls=untrusting).close()
    wait_until(lambda: rig.failures() == before + 1, 15, "it is logged")
    assert "unknown ca" in rig.agent.wait_log("unknown ca", event="spop-tls-failed")["reason"]


def test_client_certificates(ca):
    """Of our authority: let in. None, an expired one, a stranger's: refused, and the log says why."""
    with Secure(ca, asks_clients=True) as rig:
        rig.wait_votes(3)
        with rig.client(ca.pairs["haproxy"]) as client:
            client.hello()
            assert client.ask()["master"] == "R1"
        for own, why in ((None, "peer did not return a certificate"), (ca.pairs["expired"], "certificate has expired"),
                         (ca.pairs["stranger"], "self.signed certificate")):
            with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
                with rig.client(own) as client:
                    client.hello()
            rig.agent.wait_log(why, event="spop-tls-failed")
        assert rig.failures() == 3


# ---- the rude ----

def client_hello(ca):
    """The first bytes of a TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context(ca).wrap_bio(incoming, outgoing, server_hostname=HOST).do_handshake()
    return outgoing.read()


def test_a_slow_handshake_is_cut(rig, ca):
    """Nothing, or a byte now and then: both are closed when HELLO is due; others do not notice."""
    port = int(rig.where.rsplit(":", 1)[1])
    begun = time.monotonic()
    data = client_hello(ca)
    with socket.create_connection((HOST, port)) as silent, socket.create_connection((HOST, port)) as slow:
        for sock in (silent, slow):
            sock.settimeout(0.2)
        open_ones = {silent, slow}
        while open_ones and time.monotonic() < begun + 2 * HELLO_TIMEOUT:
            if slow in open_ones:
                with contextlib.suppress(OSError):
                    slow.sendall(data[:1])
                    data = data[1:]
            for sock in list(open_ones):
                with contextlib.suppress(TimeoutError):
                    try:
                        ended = sock.recv(100) == b""
                    except ConnectionError:
                        ended = True
                    if ended:
                        open_ones.remove(sock)
                        assert HELLO_TIMEOUT - 1 < time.monotonic() - begun < HELLO_TIMEOUT + 3
            with rig.client() as client:
                client.hello()
                assert client.ask()["master"] == "R1"
        assert not open_ones


def test_a_part_of_a_record_counts_as_a_part_of_a_frame(rig, ca):
    """A peer that has said HELLO and then sends the beginning of a record is closed as one that sends half a frame."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    peer = context(ca).wrap_bio(incoming, outgoing, server_hostname=HOST)
    with socket.create_connection((HOST, int(rig.where.rsplit(":", 1)[1]))) as sock:
        sock.settimeout(15)
        while True:
            try:
                peer.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))
        peer.write(hello())
        sock.sendall(outgoing.read())
        incoming.write(sock.recv(65536))
        assert peer.read(65536)
        peer.write(question())
        record = outgoing.read()
        sock.sendall(record[:-1])
        begun = time.monotonic()
        incoming.write(sock.recv(65536))
        assert 8 < time.monotonic() - begun < 13
        assert b"\x66" in peer.read(65536)  # AGENT-DISCONNECT


# ---- reload, end, take-over ----

def serial_of(client):
    return client.sock.getpeercert()["serialNumber"]


def test_a_reload_takes_new_certificates(ca):
    """New connections have the new one, old ones go on; what cannot be read fails the reload and changes nothing."""
    with Secure(ca) as rig, contextlib.ExitStack() as stack:
        rig.wait_votes(3)
        old = stack.enter_context(rig.client())
        old.hello()
        rig.use(ca.pairs["renewed"])
        rig.reload()
        new = stack.enter_context(rig.client())
        new.hello()
        assert serial_of(old) != serial_of(new)
        Path(rig.pair.certificate).write_text("no certificate\n")
        line = rig.reload(event="reload-failed")
        number = rig.agent.config_path.read_text().split("tls-cert=")[0].count("\n") + 1
        assert f"agent.conf:{number}: no certificate in 'tls-cert' '{rig.pair.certificate}'" in line["error"], line
        last = stack.enter_context(rig.client())
        last.hello()
        assert serial_of(last) == serial_of(new)
        rig.use(ca.pairs["agent"])
        shutil.copy(ca.pairs["renewed"].key, rig.pair.key)
        assert "key values mismatch" in rig.reload(event="reload-failed")["error"]
        assert [client.ask()["master"] for client in (old, new, last)] == ["R1"] * 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_key_for_root_alone(ca):
    """It is read before the agent becomes another user. A reload cannot read it any more, says so and changes nothing."""
    with Secure(ca, agent="user = nobody\ngroup = nogroup") as rig:
        rig.directory.chmod(0o755)
        rig.agent.config_path.chmod(0o644)
        rig.wait_votes(3)
        error = rig.reload(event="reload-failed")["error"]
        assert f"no key for the certificate in 'tls-key' '{rig.pair.key}': Permission denied" in error
        with rig.client() as client:
            client.hello()
            assert client.ask()["master"] == "R1"


def test_autoreload_watches_the_certificate(ca):
    with Secure(ca, agent="autoreload = yes", listen=f"{HOST}:{free_ports(1)[0]}") as rig:
        rig.wait_votes(3)
        with rig.client() as old:
            old.hello()
            rig.use(ca.pairs["renewed"])
            rig.agent.wait_log("own.crt", event="file-changed", timeout=15)
            def is_new():
                with rig.client() as client:
                    return serial_of(client) != serial_of(old)
            wait_until(is_new, 15, "the new certificate")


def test_a_reload_turns_tls_on_and_off(ca):
    """The socket stays; connections that are there stay as they are."""
    with Secure(ca) as rig, contextlib.ExitStack() as stack:
        rig.wait_votes(3)
        words = f" {options(rig.pair)}"
        secure = stack.enter_context(rig.client())
        secure.hello()
        rig.reload((words, ""))
        plain = stack.enter_context(SpopClient(rig.where))
        plain.hello()
        rig.reload((f"listen = {rig.where}", f"listen = {rig.where}{words}"))
        again = stack.enter_context(rig.client())
        again.hello()
        assert [client.ask()["master"] for client in (secure, plain, again)] == ["R1"] * 3


def test_all_families_with_tls_and_without(ca):
    """0.0.0.0 with TLS beside [::] without is another listener, also where a socket for both families is open."""
    with Secure(ca) as rig:
        port = free_ports(1)[0]
        rig.config = rig.config.replace(f"listen = {rig.where}", f"listen = [::]:{port}\nlisten = {rig.where}")
        rig.agent.config_path.write_text(rig.config)
        rig.reload()
        rig.reload((f"listen = [::]:{port}\n", f"listen = [::]:{port}\nlisten = 0.0.0.0:{port} {options(rig.pair)}\n"))
        with SpopClient(f"[::1]:{port}") as plain, SpopClient(f"{HOST}:{port}", tls=context(ca)) as secure:
            plain.hello()
            secure.hello()
            assert plain.ask()["master"] == secure.ask()["master"] == "R1"


def test_goodbye(ca):
    """A stop takes leave over TLS, too: AGENT-DISCONNECT, then the end. Who is in the middle of a handshake is closed."""
    with Secure(ca) as rig, rig.client() as client, socket.create_connection((HOST, int(rig.where.rsplit(":", 1)[1]))) as half:
        rig.wait_votes(3)
        client.hello()
        half.sendall(client_hello(ca)[:20])
        rig.agent.terminate()
        assert client.read_disconnect() == 0
        client.close()
        half.settimeout(15)
        assert half.recv(100) == b""
        assert rig.agent.child.wait(15) == 0
        assert not rig.agent.find_log(event="drain-timeout")


def test_takeover(ca):
    """A connection with TLS cannot be given away: its peer is told to connect again, and the next process answers."""
    with Secure(ca, agent="takeover = unix:DIRECTORY/takeover.sock\nhttp = 127.0.0.1:0") as rig, rig.client() as client:
        rig.wait_votes(3)
        client.hello()
        with rig.connect() as plain, succeeding(rig) as former:
            rig.agent.take_over()
            assert client.read_disconnect() == 0
            client.close()
            assert plain.ask()["master"] == "R1"
            with rig.client() as again:
                again.hello()
                assert again.ask()["master"] == "R1"
            assert former.child.wait(15) == 0
            assert not former.find_log(event="drain-timeout")


# ---- HAProxy ----

SERVER = f"server agent1 {HOST}:9012"


@pytest.mark.parametrize("crt", [False, True])
def test_haproxy(ca, tmp_path, crt):
    """Real questions of a real HAProxy, without and with a certificate of its own."""
    own = tmp_path / "haproxy.pem"
    own.write_text(Path(ca.pairs["haproxy"].certificate).read_text() + Path(ca.pairs["haproxy"].key).read_text())
    with Cluster() as cluster:
        cluster.start_redis()
        cluster.start_sentinels()
        cluster.start_agent({f"listen = {HOST}:9012": f"listen = {HOST}:9012 {options(ca.pairs['agent'], ca.certificate if crt else None)}"})
        words = f"ssl verify required ca-file {ca.certificate} verifyhost agent.test"
        cluster.start_haproxy({SERVER: f"{SERVER} {words}{f' crt {own}' if crt else ''}"})
        cluster.wait_served()
        assert cluster.served_by() is cluster.redis[0]
        assert "event=spop-tls-failed" not in cluster.agent.log_text()


def test_haproxy_with_another_authority(ca):
    """It asks nobody, so nobody is named and clients are refused."""
    with Cluster() as cluster:
        cluster.start_redis()
        cluster.start_sentinels()
        cluster.start_agent({f"listen = {HOST}:9012": f"listen = {HOST}:9012 {options(ca.pairs['agent'])}"})
        cluster.start_haproxy({SERVER: f"{SERVER} ssl verify required ca-file {ca.pairs['stranger'].certificate}"})
        cluster.agent.wait_log("unknown ca", event="spop-tls-failed")
        wait_until(lambda: "agent1 is DOWN" in cluster.haproxy.log_text(), 15, "HAProxy has the agent down")
        with pytest.raises(OSError):
            cluster.call("PING")


# ---- the configuration ----

def refused(tmp_path, line):
    """What -t says of a configuration with this line, which is the second."""
    path = tmp_path / "tls.conf"
    path.write_text(f"[agent]\n{line}\n[sentinels]\naddress = {HOST}:1\n[service m]\nserver = R1 {HOST}:6379\n")
    done = run_agent("-f", path, "-t")
    assert done.returncode == 2, done.stdout
    assert "tls.conf:2: " in done.stderr, done.stderr
    return done.stderr


def test_files_that_cannot_be_used(ca, tmp_path):
    pair = ca.pairs["agent"]
    where = f"listen = {HOST}:0"
    assert "No such file" in refused(tmp_path, f"{where} tls-cert=/nowhere.pem tls-key={pair.key}")
    assert "no key for" in refused(tmp_path, f"{where} tls-cert={pair.certificate} tls-key={pair.certificate}")
    assert "key values mismatch" in refused(tmp_path, f"{where} tls-cert={pair.certificate} tls-key={ca.pairs['haproxy'].key}")
    assert "no certificates in 'tls-client-ca'" in refused(tmp_path, f"{where} {options(pair, pair.key)}")
    assert "need each other" in refused(tmp_path, f"{where} tls-cert={pair.certificate}")


def test_a_key_that_everybody_can_read(ca, tmp_path):
    key = tmp_path / "public.key"
    shutil.copy(ca.pairs["agent"].key, key)
    key.chmod(0o644)
    path = tmp_path / "tls.conf"
    path.write_text(f"[agent]\nlisten = {HOST}:9012 tls-cert={ca.pairs['agent'].certificate} tls-key={key}\n[sentinels]\n"
                    f"address = {HOST}:1\n[service m]\nserver = R1 {HOST}:6379\n")
    done = run_agent("-f", path, "-t")
    assert done.returncode == 0 and f"tls.conf:2: everybody can read the key in '{key}'" in done.stderr
    printed = run_agent("-f", path, "haproxy-conf").stdout
    assert "ssl verify required ca-file /etc/haproxy/ca.crt\n" in printed
