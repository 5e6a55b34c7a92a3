"""TLS to real Redis and Sentinel: what is let in, what is not, and that nothing waits for ever."""

import socket
from pathlib import Path

import pytest
from certificates import Authority, self_signed
from cluster import Cluster, Redis, Sentinel
from process import free_ports, wait_until
from rig import Rig, run_agent

FAST = "poll = 100ms"
HERE = "IP:127.0.0.1,DNS:redis.test"


@pytest.fixture(name="ca", scope="module")
def make_authority(tmp_path_factory):
    """An authority with certificates `right`, `expired`, `elsewhere` and `client`; `stranger` has signed itself."""
    directory = tmp_path_factory.mktemp("certificates")
    ca = Authority(directory)
    ca.pairs = {"right": ca.issue("right", HERE), "expired": ca.issue("expired", HERE, days=-1),
                "elsewhere": ca.issue("elsewhere", "IP:127.0.0.2,DNS:other.test"),
                "client": ca.issue("client", "DNS:client.test"), "stranger": self_signed(directory, "stranger", HERE)}
    return ca


def tls_keys(ca, client=None):
    """The lines of the agent's configuration."""
    lines = [f"tls = yes\ntls-ca = {ca.certificate}"]
    if client is not None:
        lines.append(f"tls-cert = {client.certificate}\ntls-key = {client.key}")
    return "\n".join(lines) + "\n"


class Guarded:
    """An agent, one real Sentinel and one real Redis that it names, each with a certificate of its own."""

    def __init__(self, ca, sentinel="right", node="right", settings="", node_settings="", asks_clients=False):
        self.rig = Rig(fakes=0, sentinels=f"{FAST}\n{tls_keys(ca)}{settings}",
                       service=f"role-check = require\n{tls_keys(ca)}{node_settings}")
        ports = free_ports(2)
        self.redis = Redis("R1", self.rig.directory, ports[0])
        self.sentinel = Sentinel("S1", self.rig.directory, ports[1])
        self.redis.secure(ca.pairs[node], ca.certificate, asks_clients)
        self.sentinel.secure(ca.pairs[sentinel], ca.certificate, asks_clients)
        self.rig.config = (self.rig.config.replace(":7001", f":{self.redis.port}")
                           .replace("[sentinels]\n", f"[sentinels]\naddress = {self.sentinel.where}\n"))

    def __enter__(self):
        self.redis.configure()
        self.redis.start()
        self.sentinel.configure(self.redis, 1, 60000, 10000)
        self.sentinel.start()
        return self.rig.__enter__()

    def __exit__(self, *exc):
        self.rig.__exit__(*exc)
        self.sentinel.kill()
        self.redis.kill()


def test_right_certificates(ca):
    with Guarded(ca) as rig:
        assert rig.wait_state("ok")["master"] == "R1"


def test_no_passphrase_or_address_in_the_log(ca):
    """What is logged of TLS is why it failed, not what is in the files."""
    with Guarded(ca) as rig:
        rig.wait_state("ok")
        assert "PRIVATE KEY" not in rig.agent.log_text()


REASONS = {"expired": "certificate has expired", "elsewhere": "IP address mismatch", "stranger": "self"}


@pytest.mark.parametrize("which", REASONS)
def test_sentinel_with_a_wrong_certificate_has_no_vote(ca, which):
    with Guarded(ca, sentinel=which) as rig:
        line = rig.agent.wait_log(REASONS[which], event="sentinel-down", timeout=15)
        assert line["reason"].startswith("TLS: ")
        rig.agent.wait_log(REASONS[which], event="sentinel-down", since=rig.agent.log_text().index(line["line"]) + 1, timeout=15)
        assert rig.wait_state("no-quorum")["master"] is None


@pytest.mark.parametrize("which", REASONS)
def test_node_with_a_wrong_certificate_is_not_confirmed(ca, which):
    """role-check = require: the majority's master has to say so itself, over a connection that is his."""
    with Guarded(ca, node=which) as rig:
        rig.agent.wait_log(REASONS[which], event="role-probe-down", timeout=15)
        answer = rig.ask()
        assert (answer["state"], answer["master"]) != ("ok", "R1")


def test_server_name_takes_the_place_of_the_address(ca):
    with Guarded(ca, sentinel="elsewhere", settings="tls-server-name = other.test\n") as rig:
        assert rig.wait_state("ok")["master"] == "R1"


def test_server_name_has_to_be_there(ca):
    with Guarded(ca, settings="tls-server-name = other.test\n") as rig:
        rig.agent.wait_log("hostname mismatch", event="sentinel-down", timeout=15)
        assert rig.wait_state("no-quorum")["master"] is None


def test_client_certificate(ca):
    keys = f"tls-cert = {ca.pairs['client'].certificate}\ntls-key = {ca.pairs['client'].key}\n"
    with Guarded(ca, settings=keys, node_settings=keys, asks_clients=True) as rig:
        assert rig.wait_state("ok")["master"] == "R1"


def test_without_the_client_certificate(ca):
    with Guarded(ca, asks_clients=True) as rig:
        rig.agent.wait_log("TLS: .*certificate required", event="sentinel-down", timeout=15)
        assert rig.wait_state("no-quorum")["master"] is None


def test_failover(ca):
    """A whole cluster that speaks nothing but TLS: the agent follows, by push."""
    with Cluster() as cluster:
        for program in (*cluster.redis, *cluster.sentinels):
            program.secure(ca.pairs["right"], ca.certificate, asks_clients=True)
        cluster.start_redis()
        cluster.start_sentinels()
        keys = tls_keys(ca, ca.pairs["client"])
        cluster.start_agent({"[sentinels]\n": f"[sentinels]\n{keys}", "[service mymaster]\n": f"[service mymaster]\n{keys}"})
        agent = cluster.agent
        agent.wait_log(event="master-switch", new_server="R1")
        wait_until(lambda: cluster.sentinels[0].call("CLIENT", "LIST").count("cmd=subscribe") > 0, 15, "a subscription")
        cluster.redis[0].kill()
        new = cluster.wait_failover(cluster.redis[0])
        agent.wait_log(event="master-switch", new_server=new.name, timeout=15)
        assert not agent.find_log("TLS: ", event="sentinel-down")


def test_plain_port():
    """A Sentinel without TLS: said, and no vote."""
    with Rig(fakes=1, agent="log-level = debug", sentinels=f"{FAST}\ntls = yes") as rig:
        rig.fakes[0].greeting = b"-ERR unknown command\r\n"
        rig.agent.wait_log("TLS: wrong version number", event="sentinel-down", timeout=15)
        assert rig.wait_state("no-quorum")["votes"] is None


def test_peer_that_says_nothing():
    """It accepts and is silent: connect-timeout is the limit of the handshake, too."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        settings = f"address = {where}\n{FAST}\ntls = yes\nconnect-timeout = 300ms\nsubscribe = no"
        with Rig(fakes=0, sentinels=settings) as rig:
            rig.agent.wait_log(event="sentinel-down", reason="connect timeout", timeout=15)
            for _ in range(3):
                silent.accept()[0].close()  # it is tried again


def test_reload_takes_new_certificates(ca, tmp_path):
    """An authority that is replaced in its file, and one that cannot be read."""
    own = tmp_path / "authority.crt"
    own.write_text(Path(ca.pairs["stranger"].certificate).read_text())
    guarded = Guarded(ca, settings="subscribe = no\n")
    guarded.rig.config = guarded.rig.config.replace(f"tls-ca = {ca.certificate}", f"tls-ca = {own}", 1)
    with guarded as rig:
        rig.wait_state("no-quorum")
        own.write_text(Path(ca.certificate).read_text())
        rig.reload()
        assert rig.wait_state("ok")["master"] == "R1"
        own.write_text("no certificate\n")
        line = rig.reload(event="reload-failed")
        assert "tls-ca" in line["error"]
        assert rig.ask()["master"] == "R1"


def test_a_reload_keeps_the_link_to_a_node(ca):
    """A connection that speaks TLS goes on in the hands of the next configuration, and what follows it does, too."""
    guarded = Guarded(ca)

    def links():
        lines = guarded.redis.call("CLIENT", "LIST").splitlines()
        return [line.split()[0] for line in lines if "name=sentinel-spoa " in line]

    with guarded as rig:
        assert rig.wait_state("ok")["master"] == "R1"
        before = links()
        assert len(before) == 1
        for _ in range(3):
            rig.reload()
        assert links() == before
        guarded.redis.call("CLIENT", "KILL", "ID", before[0].partition("=")[2])
        wait_until(lambda: len(links()) == 1 and links() != before, 15, "the agent has a new connection")
        assert rig.wait_state("ok")["master"] == "R1"


def refused(tmp_path, lines, where="sentinels"):
    """What -t says of a configuration with these lines."""
    text = "[sentinels]\naddress = 127.0.0.1:26379\n[service m]\nserver = R1 127.0.0.1:6379\n"
    path = tmp_path / "tls.conf"
    path.write_text(text.replace(f"[{where}]\n", f"[{where}]\n{lines}\n"))
    done = run_agent("-f", path, "-t")
    assert done.returncode == 2, done.stdout
    return done.stderr


@pytest.mark.parametrize("where", ["sentinels", "service m"])
def test_files_that_cannot_be_used(ca, tmp_path, where):
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    right, client = ca.pairs["right"], ca.pairs["client"]
    assert "No such file" in refused(tmp_path, "tls = yes\ntls-ca = /nowhere.pem", where)
    assert f"no certificates in 'tls-ca' '{garbage}'" in refused(tmp_path, f"tls = yes\ntls-ca = {garbage}", where)
    assert "key values mismatch" in refused(tmp_path, f"tls = yes\ntls-cert = {right.certificate}\ntls-key = {client.key}", where)
    assert "need each other" in refused(tmp_path, f"tls = yes\ntls-cert = {right.certificate}", where)
    assert "nothing without 'tls = yes'" in refused(tmp_path, f"tls-ca = {ca.certificate}", where)


def test_no_tls_to_a_unix_socket(tmp_path):
    assert "no TLS to a UNIX socket" in refused(tmp_path, "tls = yes\naddress = unix:/tmp/s.sock")


def test_check_talks_tls(ca):
    """The command `check`, too, and it says why it is not let in."""
    with Guarded(ca) as rig:
        rig.wait_state("ok")
        done = run_agent("-f", rig.agent.config_path, "check")
        assert f"names 127.0.0.1:{rig.config.split('R1 127.0.0.1:')[1].split()[0]}" in done.stdout, done.stdout
    with Guarded(ca, sentinel="expired") as rig:
        done = run_agent("-f", rig.agent.config_path, "check")
        assert done.returncode == 1 and "cannot be reached: TLS: certificate has expired" in done.stdout
