"""One node with several addresses and names: with scripted Sentinels, and with real Redis and Sentinels that use them."""

import contextlib
import re
import signal
import socket
import subprocess
import types

import pytest
from cluster import HOST, Cluster
from fake_sentinel import FakeSentinel
from netns import Network, inside, why_not
from own_etc import OwnEtc, needs_root
from process import wait_until
from rig import Rig, check_clean, check_findings, found_about, run_agent
from spop_client import ask_once

needs_namespaces = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

FAST = "poll = 100ms"
# Sentinel takes names and answers addresses.
RESOLVES = "sentinel resolve-hostnames yes"


def reload_with(cluster, *edits):
    """The agent takes over its file with these changes, (old text, new text) each."""
    text = cluster.agent.config_path.read_text()
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    mark = cluster.agent.mark()
    cluster.agent.config_path.write_text(text)
    cluster.agent.signal(signal.SIGHUP)
    cluster.agent.wait_log(event="reloaded", since=mark, timeout=30)


def add_alias(cluster, node, host):
    """An edit for reload_with(): the node is also known as this host, with its port."""
    return f"{node.name} {node.where}\n", f"{node.name} {node.where} alias={host}:{node.port}\n"


def replicas_named(cluster):
    """The servers that are named to readers, of six questions."""
    return {ask_once(cluster.agent.address, role="replica")["replica"] for _ in range(6)}


# ---- votes ----

def test_votes_for_one_node():
    """Each Sentinel calls the master by another address: that is one majority, and the main address is told."""
    rig = Rig(sentinels=FAST)
    rig.config = rig.config.replace("R1 127.0.0.1:7001", "R1 127.0.0.1:7001 alias=[::1]:7001 alias=redis-1.test:7001")
    for fake, host in zip(rig.fakes, ("::ffff:127.0.0.1", "0:0:0:0:0:0:0:1", "Redis-1.test.")):
        fake.master = (host, 7001)
    with rig:
        answer = rig.wait_votes(3)
        assert (answer["state"], answer["master"], str(answer["addr"]), answer["port"]) == ("ok", "R1", "127.0.0.1", 7001)
        assert answer["generation"] == 1
        dumped = run_agent("-f", rig.agent.config_path, "--dump-config").stdout
        assert "server = R1 127.0.0.1:7001 alias=[::1]:7001 alias=redis-1.test:7001\n" in dumped


# ---- replicas ----

@contextlib.contextmanager
def named_cluster(prepare):
    """Redis and Sentinels that know redis-1.test and so on; `prepare` gets the cluster before the nodes start, and returns
    whom the replicas follow."""
    with Cluster(recipe="read-write-split") as cluster:
        etc = OwnEtc(cluster.directory, "".join(f"{HOST} redis-{i + 1}.test\n" for i in range(3)))
        for server in (*cluster.redis, *cluster.sentinels):
            server.prefix = etc.words()
        master, *others = cluster.redis
        leader = prepare(cluster)
        for node in cluster.redis:
            node.configure(master=None if node is master else leader)
            node.spawn()
        wait_until(master.ready, 30, "the master is ready")
        for node in others:
            wait_until(node.in_sync, 30, f"{node.name} is in sync")
        cluster.start_sentinels(down_after=60000, extra=RESOLVES)
        cluster.start_agent({"max-lag = 10s": "max-lag = 30s"})
        yield cluster
        check_clean(cluster.agent)


@needs_root
def test_replicaof_with_a_name():
    """The replicas follow a name, and Sentinel answers addresses: an alarm says what to write, and then they are named."""
    def prepare(cluster):
        return types.SimpleNamespace(host="redis-1.test", port=cluster.redis[0].port)

    with named_cluster(prepare) as cluster:
        master = cluster.redis[0]
        alarm = cluster.agent.wait_log(event="alarm", alarm="unmapped-leader", timeout=40)
        assert f"follows redis-1.test:{master.port}: write 'alias=redis-1.test:{master.port}'" in alarm["detail"]
        assert replicas_named(cluster) == {"R1"}  # the recipe falls back to the master
        assert sorted(found_about(cluster.agent.config_path, f"follows redis-1.test:{master.port}")) == ["R2", "R3"]  # Sentinel has no order
        assert len(cluster.agent.log_lines(event="alarm", alarm="unmapped-leader")) == 1
        reload_with(cluster, add_alias(cluster, master, "redis-1.test"))
        wait_until(lambda: replicas_named(cluster) == {"R2", "R3"}, 30, "both replicas are named")
        assert not found_about(cluster.agent.config_path, "follows")


@needs_root
def test_announced_names_and_lag():
    """The master lists its replicas by the names that they announce, and Sentinel answers addresses."""
    def prepare(cluster):
        for i, node in enumerate(cluster.redis[1:]):
            node.extra = f"replica-announce-ip redis-{i + 2}.test"
        return cluster.redis[0]

    with named_cluster(prepare) as cluster:
        assert cluster.redis[0].call("ROLE")[2][0][0].endswith(".test")
        alarm = cluster.agent.wait_log(event="alarm", alarm="unlisted-replica", timeout=40)
        assert re.search(r"the master lists (redis-.\.test:\d+) and not R.: write 'alias=\1'", alarm["detail"])
        assert replicas_named(cluster) == {"R1"}
        edits = [add_alias(cluster, node, f"redis-{i + 2}.test") for i, node in enumerate(cluster.redis[1:])]
        reload_with(cluster, *edits)
        wait_until(lambda: replicas_named(cluster) == {"R2", "R3"}, 30, "both replicas are named")


# ---- two addresses ----

def test_both_families():
    """The nodes are known to the Sentinels by ::1 and to HAProxy by 127.0.0.1. What the map lacks is told before it is promoted,
    and with all aliases a failover is served."""
    with Cluster() as cluster:
        master, *others = cluster.redis
        for node in cluster.redis:
            node.extra = "bind 127.0.0.1 ::1"
        leader = types.SimpleNamespace(host="::1", port=master.port)
        for node in cluster.redis:
            node.configure(master=None if node is master else leader)
            node.spawn()
        for node in others:
            wait_until(node.in_sync, 30, f"{node.name} is in sync")
        cluster.redis[0].host = "::1"  # as Sentinel shall know it
        cluster.start_sentinels(extra=f"sentinel announce-ip {HOST}")
        cluster.redis[0].host = HOST
        assert {sentinel.named() for sentinel in cluster.sentinels} == {("::1", master.port)}
        text = cluster.agent_config()
        for old, new in (add_alias(cluster, master, "[::1]"),):
            text = text.replace(old, new)
        cluster.agent.config_path.write_text(text)
        cluster.agent.start()
        cluster.start_haproxy()
        cluster.wait_served()
        alarm = cluster.agent.wait_log(event="alarm", alarm="unmapped-node", timeout=40)
        first = min(f"[::1]:{node.port}" for node in others)
        assert alarm["detail"] == f"{first}: write 'server = NAME {first}', or 'alias={first}' behind its server"
        assert any(f"`alias={first}` behind the server that it is" in finding["fix"] for finding in check_findings(cluster.agent.config_path))
        reload_with(cluster, *(add_alias(cluster, node, "[::1]") for node in others))
        assert not found_about(cluster.agent.config_path, "a replica that no 'server' has")
        mark = cluster.agent.mark()
        cluster.sentinels[0].fail_over()
        switch = cluster.agent.wait_log(event="master-switch", since=mark, timeout=60)
        assert switch["new"] in {node.where for node in others}
        wait_until(lambda: cluster.serves() and cluster.served_by().where == switch["new"], 30, "the new master is served")
        assert not cluster.agent.find_log(event="alarm", alarm="unknown-address")
        check_clean(cluster.agent)


# ---- loopback addresses ----

@needs_namespaces
@pytest.mark.parametrize("is_far", [True, False])
def test_loopback_of_another_host(is_far):
    """The Sentinels of another host name 127.0.0.1: here that is our own host. Those of our own host may."""
    with Network(2) as network:
        ours, theirs = network.hosts
        host = theirs if is_far else ours
        with inside(host.name):
            fakes = [FakeSentinel(("127.0.0.1", 7001), host=host.address) for _ in range(3)]
        rig = Rig(fakes=fakes, sentinels=FAST, listen="unix:DIRECTORY/agent.sock")
        rig.agent.prefix = ours.words()
        with rig:
            rig.agent.wait_log(event="master-switch", timeout=15)
            alarm = rig.agent.find_log(event="alarm", alarm="loopback-address")
            assert (alarm is not None) == is_far
            assert alarm is None or alarm["detail"] == "127.0.0.1:7001"
            done = subprocess.run([*rig.agent.prefix, *rig.agent.binary, "-f", str(rig.agent.config_path), "check"],
                                  capture_output=True, text=True, timeout=60, check=False)
            assert ("is on another host and names 127.0.0.1:7001" in done.stdout) == is_far, done.stdout


# ---- addresses that a majority makes up ----

@pytest.mark.parametrize("is_allowed", [False, True])
def test_no_password_for_a_stranger(is_allowed):
    """A majority names a host outside the map: the nodes' password goes there only where the file allows any address."""
    allow = "allow-any-address = yes" if is_allowed else ""
    with (socket.create_server((HOST, 0)) as stranger,
          Rig(sentinels=FAST, service=f"username = probe\npassword = secret\nrole-check = veto\n{allow}") as rig):
        rig.wait_master("R1")
        for fake in rig.fakes:
            fake.master = stranger.getsockname()
        stranger.settimeout(10 if is_allowed else 2)
        if is_allowed:
            sock, _ = stranger.accept()
            with sock:
                sock.settimeout(10)
                assert b"AUTH" in sock.recv(4096)
            return
        rig.wait_state("unknown-address")
        assert "gets no password" in rig.agent.wait_log(event="alarm", alarm="unknown-address")["meaning"]
        with pytest.raises(TimeoutError):
            stranger.accept()
