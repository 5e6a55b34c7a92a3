"""IPv6 only: the shipped files with other addresses, on a host that has no IPv4, not even 127.0.0.1."""

import os
import re
import subprocess

import pytest
from cluster import Cluster, edited
from netns import inside, run, why_not
from process import free_ports, wait_until
from resp import Resp
from rig import Rig, check_clean, run_agent

HOST = "::1"
PATIENT = {"timeout processing 10s": "timeout processing 25s"}
NOT_HERE = why_not()
pytestmark = pytest.mark.skipif(NOT_HERE is not None, reason=str(NOT_HERE))


@pytest.fixture(name="namespace", scope="module")
def without_ipv4():
    """A network namespace whose loopback has ::1 alone."""
    name = f"ssp{os.getpid()}six"
    run("ip", "netns", "add", name)
    try:
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", name, "addr", "del", "127.0.0.1/8", "dev", "lo")
        yield name
    finally:
        run("ip", "netns", "del", name)


class Ipv6Cluster(Cluster):
    """All of it at ::1. The recipe's 127.0.0.1 and 10.0.0.x become that address, and nothing else changes."""

    def __init__(self, namespace, recipe):
        super().__init__(recipe=recipe)
        self.namespace = namespace
        words = ["ip", "netns", "exec", namespace]
        for server in (*self.redis, *self.sentinels, self.haproxy):
            server.move(HOST, words)
        self.agent.prefix = words

    def agent_config(self, edits=None):
        text = super().agent_config(edits)
        for port in free_ports(text.count("127.0.0.1:0")):
            text = text.replace("127.0.0.1:0", f"[{HOST}]:{port}", 1)
        assert "127." not in text and "10.0." not in text
        return text

    def haproxy_config(self, edits=None):
        text = super().haproxy_config(edits).replace("agent-addr 127.0.0.1", f"agent-addr {HOST}")
        assert not re.search(r"127\\.|10\\.0\\.", text)
        bind = f"bind {self.haproxy.where}\n"
        return edited(text, {bind: f"{bind}    bind unix@{self.haproxy.address}\n"}, "haproxy.cfg")

    def client(self):
        """A connection through HAProxy, by IPv6."""
        with inside(self.namespace):
            return Resp((HOST, self.haproxy.port), 30)


@pytest.fixture(name="cluster", params=["runtime-api", "agent-check"])
def started(request, namespace):
    with Ipv6Cluster(namespace, request.param) as cluster:
        cluster.park = "20s"
        cluster.start_redis()
        cluster.start_sentinels()
        cluster.start_agent()
        cluster.start_haproxy(spoe_edits=PATIENT)
        cluster.wait_served()
        yield cluster


def test_failover_cuts_the_old_sessions(cluster):
    """By order, so that the old master lives on: only a cut ends the session that a client has with it."""
    old = cluster.redis[0]
    with cluster.client() as staying:
        assert staying.call("SET", "key", "before") == "OK"
        cluster.sentinels[0].fail_over()
        new = cluster.wait_failover(old)
        switch = cluster.agent.wait_log(event="master-switch", old=old.where)
        assert (switch["new"], switch["new-server"]) == (new.where, new.name)
        wait_until(staying.is_closed, 15, "the old session is cut")
    wait_until(lambda: cluster.served_by() is new, 15, "the new master is served")
    with cluster.client() as client:
        assert int(client.call("CONFIG", "GET", "port")[1]) == new.port
        assert client.call("SET", "key", "after") == "OK"
    check_clean(cluster.agent)


def test_the_master_dies(cluster):
    """Clients wait for the new master. One that gives up meanwhile is not served later: the agent sees that by IPv6, too."""
    old = cluster.redis[0]
    old.kill()
    cluster.agent.wait_log(event="master-doubted")
    with cluster.client() as patient, cluster.client() as gone:
        for client, key in ((patient, "patient"), (gone, "gone")):
            client.sock.sendall(f"INCR {key}\r\n".encode())
        gone.close()
        new = cluster.wait_failover(old)
        assert patient.reader.readline() == b":1\r\n"
    assert new.call("MGET", "patient", "gone") == ["1", None]
    assert not cluster.agent.find_log(event="clients-unseen")
    check_clean(cluster.agent)


def test_any_address(namespace):
    """The server 0.0.0.0:0 stands for the address of the connection, of whichever family."""
    with Ipv6Cluster(namespace, "any-address") as cluster:
        cluster.start()
        cluster.sentinels[0].fail_over()
        new = cluster.wait_failover(cluster.redis[0])
        wait_until(lambda: cluster.served_by() is new, 15, "the new master is served")
        check_clean(cluster.agent)


@pytest.mark.parametrize("off", ["lo", "all"])
def test_a_container_without_ipv6(off):
    """There IPv6 is switched off, as in Docker. An agent at [::] serves, and its own commands reach it."""
    name = f"ssp{os.getpid()}four"
    run("ip", "netns", "add", name)
    try:
        run("ip", "netns", "exec", name, "sysctl", "-qw", f"net.ipv6.conf.{off}.disable_ipv6=1")
        run("ip", "-n", name, "link", "set", "lo", "up")
        rig = Rig(fakes=0, listen="[::]:9012", agent="http = [::]:9912", sentinels="address = 127.0.0.1:1")
        rig.agent.prefix = ["ip", "netns", "exec", name]
        with rig:
            done = subprocess.run([*rig.agent.prefix, *rig.agent.command(), "status"], capture_output=True, text=True, check=False, timeout=60)
            assert (done.returncode, "mymaster" in done.stdout) == (0, True), done
    finally:
        run("ip", "netns", "del", name)


def test_the_doctor(cluster):
    """It resolves, asks and parses as the agent does."""
    done = subprocess.run([*cluster.agent.prefix, *cluster.agent.command(), "check"], capture_output=True, text=True, check=False, timeout=60)
    assert f"[{HOST}]:{cluster.redis[0].port}" in done.stdout
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_printed(cluster):
    """haproxy-conf binds where the agent is, and HAProxy takes it in a world without IPv4."""
    done = run_agent("-f", cluster.agent.config_path, "haproxy-conf")
    assert re.search(r"^    bind \[::1\]:\d+$", done.stdout, re.MULTILINE) and "127.0.0.1" not in done.stdout
    path = cluster.directory / "printed.cfg"
    path.write_text(done.stdout.replace("/etc/haproxy/", f"{cluster.directory}/"))
    checked = subprocess.run([*cluster.agent.prefix, "haproxy", "-c", "-f", str(path)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
