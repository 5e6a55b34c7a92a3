"""Servers that refuse in their own words, and servers that speak Redis a little differently."""

import json
import shutil
import subprocess
import tempfile
import threading
import urllib.request
from pathlib import Path

import pytest
from cluster import HOST, Redis, Sentinel
from fake_sentinel import FakeSentinel, error
from process import free_ports, wait_until
from resp import Resp, RespError
from rig import Rig, check_findings, found_about, run_agent

FAST = "poll = 100ms"
SLOTS = 16384


class NodesRig(Rig):
    """An agent whose voters are nodes: those of `servers`, "NAME HOST:PORT" each. The other arguments are lines."""

    def __init__(self, source, servers, agent="", nodes="", service=""):
        super().__init__(fakes=[])
        lines = "".join(f"server = {server}\n" for server in servers)
        self.config = (f"[agent]\nlisten = {HOST}:0\n{agent}\n[nodes main]\nsource = {source}\n{FAST}\n{nodes}\n"
                       f"[service mymaster]\nnodes = main\npark = 0\n{lines}{service}\n")


@pytest.fixture
def start_nodes():
    """A function that starts redis-servers, configured with the lines of `extra`, which are no replicas."""
    directory = Path(tempfile.mkdtemp(prefix="sentinel-spoa-"))
    started = []

    def start(count, extra="", ready=True):
        nodes = [Redis(f"R{i + 1}", directory, port) for i, port in enumerate(free_ports(count))]
        for node in nodes:
            node.extra = extra.replace("NAME", node.name)
            node.configure()
            if ready:
                node.start()
            else:
                node.spawn()
        started.extend(nodes)
        return nodes
    yield start
    for node in started:
        node.kill()
    shutil.rmtree(directory, ignore_errors=True)


def map_of(nodes):
    return [f"{node.name} {node.where}" for node in nodes]


def sentinels_of(node):
    """Three fake Sentinels that name this node."""
    return [FakeSentinel((node.host, node.port)) for _ in range(3)]


def found(rig, words):
    """Whom `check` finds these words about."""
    return found_about(rig.agent.config_path, words)


def status(rig):
    with urllib.request.urlopen(f"http://{rig.agent.http_address}/status", timeout=10) as reply:
        return json.load(reply)


# ---- words before the end of a connection ----

def test_too_many_clients(start_nodes):
    """The node has no room for us: its own words are the reason, for a voter, for a probe, and for `check`."""
    node, *others = start_nodes(3, "maxclients 1")
    with Resp(node.address, 10) as held, NodesRig("replication", map_of([node, *others]), service="role-check = off") as rig:
        assert held.call("PING") == "PONG"
        line = rig.agent.wait_log(event="node-down", node=node.where)
        assert line["reason"] == "ERR max number of clients reached"
        assert node.where in found(rig, "ERR max number of clients reached")
    fakes = sentinels_of(node)
    with Resp(node.address, 10) as held, Rig(fakes=fakes, sentinels=FAST, service=f"server = R9 {node.where}") as rig:
        assert held.call("PING") == "PONG"
        rig.wait_master("R9")
        line = rig.agent.wait_log(event="role-probe-down", node=node.where)
        assert line["reason"] == "ERR max number of clients reached"


def test_protected_mode(start_nodes):
    """It talks to its own host only: that is the reason, and no failed AUTH."""
    words = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
    outside = next((word for word in words if ":" not in word), None)
    if outside is None:
        pytest.skip("this machine has no address beside the loopback")
    nodes = start_nodes(3, "protected-mode yes")
    for node in nodes:
        node.call("CONFIG", "SET", "bind", f"{HOST} {outside}")
    servers = [f"{node.name} {outside}:{node.port}" for node in nodes]
    with NodesRig("replication", servers, nodes="password = secret", agent=f"http = {HOST}:0") as rig:
        for node in nodes:
            line = rig.agent.wait_log(event="node-down", node=f"{outside}:{node.port}")
            assert line["reason"].startswith("DENIED Redis is running in protected mode")
        assert rig.agent.log_lines(event="node-auth-failed") == []
        rig.agent.wait_log(event="quorum-lost", reason="refused-us")
        group, = status(rig)["groups"]
        assert all(one["error"].startswith("DENIED Redis") and not one["up"] for one in group["sentinels"])
        assert len(found(rig, "cannot be reached: DENIED Redis is running")) == 3


# ---- a missing password ----

def wait_errors(rig, error):
    """Until this is what the group's status shows of each voter: a majority of them settles what is decided, and no more."""
    wait_until(lambda: {one["error"] for one in status(rig)["groups"][0]["sentinels"]} == {error}, 20, f"each voter says {error!r}")


def test_missing_password(start_nodes):
    """They live, and want a password: a reason of its own, and their words wherever a voter's state is shown."""
    nodes = start_nodes(3)
    for node in nodes:
        node.call("CONFIG", "SET", "requirepass", "secret")
    with NodesRig("replication", map_of(nodes), agent=f"http = {HOST}:0") as rig:
        rig.agent.wait_log(event="quorum-lost", reason="refused-us")
        wait_errors(rig, "NOAUTH Authentication required.")
        seen = status(rig)
        service, = seen["services"]
        assert (service["state"], service["reason"]) == ("no-quorum", "refused-us")
        assert {one["error"] for one in service["sentinels"]} == {"NOAUTH Authentication required."}
        assert {(one["up"], one["error"]) for one in seen["groups"][0]["sentinels"]} == {(False, "NOAUTH Authentication required.")}
        text = run_agent("-f", rig.agent.config_path, "status").stdout
        assert text.count("refuses us: NOAUTH Authentication required.") == 3 and "The nodes refuse us" in text
        with urllib.request.urlopen(f"http://{rig.agent.http_address}/metrics", timeout=10) as reply:
            assert reply.read().decode().count("redis_spoa_sentinel_up{") == 3
        for node in nodes[1:]:
            with Resp(node.address, 10) as connection:
                connection.call("AUTH", "secret")
                connection.call("REPLICAOF", nodes[0].host, str(nodes[0].port))
                connection.call("CONFIG", "SET", "requirepass", "")
        with Resp(nodes[0].address, 10) as connection:
            connection.call("AUTH", "secret")
            connection.call("CONFIG", "SET", "requirepass", "")
        rig.wait_master("R1")
        wait_errors(rig, "")
        assert {one["error"] for one in status(rig)["services"][0]["sentinels"]} == {""}


def test_sentinels_want_a_password(start_nodes):
    """Real Sentinels with requirepass."""
    node, = start_nodes(1)
    directory = Path(tempfile.mkdtemp(prefix="sentinel-spoa-"))
    sentinels = [Sentinel(f"S{i + 1}", directory, port) for i, port in enumerate(free_ports(3))]
    try:
        for sentinel in sentinels:
            sentinel.configure(node, 2, 3000, 10000, "requirepass secret")
            sentinel.spawn()
            wait_until(lambda s=sentinel: answers(s), 15, "the Sentinel answers")
        rig = Rig(fakes=[], agent=f"http = {HOST}:0", service=f"server = R9 {node.where}")
        rig.config = rig.config.replace("[sentinels]\n", "[sentinels]\n" + "".join(f"address = {one.where}\n" for one in sentinels))
        with rig:
            rig.agent.wait_log(event="quorum-lost", reason="refused-us")
            wait_errors(rig, "NOAUTH Authentication required.")
    finally:
        for sentinel in sentinels:
            sentinel.kill()
        shutil.rmtree(directory, ignore_errors=True)


def answers(server):
    try:
        server.call("PING")
    except RespError:
        pass  # it wants a password
    except OSError:
        return False
    return True


# ---- a node that is probed ----

def test_a_slow_script(start_nodes):
    """BUSY is told once, in the node's words, and does not use up the line for a right that is missing."""
    node, = start_nodes(1)
    node.call("CONFIG", "SET", "busy-reply-threshold", "50")
    fakes = sentinels_of(node)
    with Rig(fakes=fakes, sentinels=FAST, service=f"server = R9 {node.where}") as rig:
        rig.wait_master("R9")
        for times in (1, 2):
            mark = rig.agent.mark()
            with Resp(node.address, 30) as slow:
                slow.send("EVAL", "while true do end", "0")
                line = rig.agent.wait_log(event="role-probe-refused", node=node.where, since=mark)
                assert line["reason"].startswith("BUSY Redis is busy running a script")
                assert "a script or a module blocks it" in line["meaning"]
                rig.wait_polls(5)
                assert len(rig.agent.log_lines(event="role-probe-refused")) == times
                assert rig.ask()["master"] == "R9"
                node.call("SCRIPT", "KILL")
                with pytest.raises(RespError):
                    slow.read()
            rig.wait_polls(5)
        node.call("ACL", "SETUSER", "default", "-role")
        line = rig.agent.wait_log(event="role-probe-refused", node=node.where, since=rig.agent.mark())
        assert line["reason"].startswith("NOPERM")


def test_renamed_commands(start_nodes):
    """A node without ROLE is no voter, and cannot be probed; both are told in its words."""
    nodes = start_nodes(3, 'rename-command ROLE ""')
    with NodesRig("replication", map_of(nodes)) as rig:
        for node in nodes:
            assert rig.agent.wait_log(event="node-without-vote", node=node.where)["reply"].startswith("ERR unknown command 'ROLE'")
        rig.agent.wait_log(event="quorum-lost", reason="refused-us")
    fakes = sentinels_of(nodes[0])
    with Rig(fakes=fakes, sentinels=FAST, service=f"server = R9 {nodes[0].where}") as rig:
        line = rig.agent.wait_log(event="role-probe-refused", node=nodes[0].where)
        assert line["reason"].startswith("ERR unknown command 'ROLE'")
        rig.wait_polls(3)
        assert len(rig.agent.log_lines(event="role-probe-refused")) == 1


def test_commands_that_a_sentinel_does_not_know():
    """SENTINEL MASTER, CKQUORUM and REPLICAS: each told once, in the Sentinel's words."""
    with Rig(sentinels=FAST, service="witness = yes\nreplicas = yes\nrole-check = off") as rig:
        for command in ("MASTER", "CKQUORUM", "REPLICAS"):
            for fake in rig.fakes:
                fake.reply(f"SENTINEL {command} ", error(f"ERR Unknown sentinel subcommand '{command}'"))
        events = {"MASTER": "facts", "CKQUORUM": "witness", "REPLICAS": "replicas"}
        for fake in rig.fakes:
            fake.drop()  # what was told before is not about these words
        for command, word in events.items():
            for fake in rig.fakes:
                line = rig.agent.wait_log(event=f"sentinel-{word}-refused", sentinel=fake.where)
                assert line["error"].startswith(("ERR Unknown sentinel subcommand", "ERR unknown command"))
        rig.wait_polls(12)
        assert [len(rig.agent.log_lines(event=f"sentinel-{word}-refused")) for word in events.values()] == [3, 3, 3]
        rig.wait_master("R1")
        assert len(found(rig, "Unknown sentinel subcommand")) == 9


# ---- a cluster ----

def spread(nodes):
    """A cluster of these nodes in which no two neighbouring slots have one owner: 16384 ranges."""
    for i, node in enumerate(nodes):
        node.call("CLUSTER", "SET-CONFIG-EPOCH", str(i + 1))
        mine = [str(slot) for slot in range(i, SLOTS, len(nodes))]
        with Resp(node.address, 30) as connection:
            connection.call("CLUSTER", "ADDSLOTS", *mine)
    for node in nodes[1:]:
        nodes[0].call("CLUSTER", "MEET", node.host, str(node.port), node.bus)
    wait_until(lambda: all(knows(node, len(nodes)) for node in nodes), 60, "the cluster is up")


def shard_rig(nodes, slot):
    """All nodes vote on the shard that has the slot."""
    addresses = "".join(f"address = {node.where}\n" for node in nodes)
    return NodesRig("cluster", map_of([nodes[slot % len(nodes)]]), nodes=addresses, service=f"slot = {slot}")


def knows(node, count):
    info = node.call("CLUSTER", "INFO")
    return "cluster_state:ok" in info and f"cluster_known_nodes:{count}" in info and f"cluster_size:{count}" in info


@pytest.fixture
def shards(start_nodes):
    nodes = start_nodes(3, "cluster-enabled yes\ncluster-config-file NAME.nodes\ncluster-node-timeout 15000", ready=False)
    for node, bus in zip(nodes, free_ports(3)):
        node.kill()
        node.bus = str(bus)
        node.extra += f"\ncluster-port {bus}"
        node.configure()
        node.start()
    spread(nodes)
    return nodes


def test_all_ranges_that_a_cluster_can_have(shards):
    """CLUSTER SLOTS is larger than 1 MiB: all vote."""
    with Resp(shards[0].address, 30) as connection:
        connection.send("CLUSTER", "SLOTS")
        assert len(connection.read()) == SLOTS
    with shard_rig(shards, 7777) as rig:
        answer = rig.wait_state("ok", 30)
        assert answer["master"] == shards[7777 % 3].name
        rig.wait_votes(3, 30)
        assert rig.agent.log_lines(event="node-down") == []
        assert check_findings(rig.agent.config_path) == []
        assert rig.agent.resident_kib() < 40000 or rig.agent.is_sanitized


@pytest.mark.parametrize("kind", ["unknown-endpoint", "hostname"])
def test_owners_without_a_host(shards, kind):
    """NULL is the address that was asked. "?" is a host that the cluster does not know: no vote, and told."""
    for node in shards:
        node.call("CONFIG", "SET", "cluster-preferred-endpoint-type", kind)
    with shard_rig(shards, 1) as rig:
        if kind == "unknown-endpoint":
            assert rig.wait_state("ok", 30)["master"] == "R2"
            assert check_findings(rig.agent.config_path) == []
            return
        for node in shards:
            line = rig.agent.wait_log(event="node-bad-address", node=node.where)
            assert "cluster-announce-hostname" in line["meaning"]
        assert rig.wait_state("no-quorum")
        assert len(found(rig, "cluster-announce-hostname")) == 3


# ---- Dragonfly, KeyDB, Garnet ----

class Node(FakeSentinel):
    """A node as its server's sources have it: the replies to ROLE and to INFO server."""

    def __init__(self, role, info=None):
        super().__init__()
        self.host, self.name = HOST, f"N{self.port}"
        self.reply("ROLE", role)
        self.reply("INFO", info or f"# Server\r\nredis_version:7.2.0\r\nrun_id:{self.myid}\r\n")


def dragonfly(role):
    return Node(role, "# Server\r\nredis_version:7.4.0\r\ndragonfly_version:df-v1.31.0\r\n")


def probe(node, service=""):
    """A rig whose Sentinels name the node."""
    return Rig(fakes=sentinels_of(node), sentinels=FAST, service=f"server = R9 {node.where}\n{service}")


def test_dragonfly_is_probed():
    """Its master has no offset in ROLE, and its replica is called one, with a port in text."""
    with dragonfly(["master", [[HOST, "7001", "stable_sync"]]]) as node, probe(node, "replicas = yes\nmax-lag = 1mb") as rig:
        rig.wait_master("R9")
        assert found(rig, "'max-lag' cannot be met") == ["R9"]
        node.reply("ROLE", ["replica", HOST, "7001", "stable_sync"])
        rig.wait_state("not-master")
        assert rig.agent.log_lines(event="role-probe-refused") == []
        assert found(rig, "says that it is no master") == ["R9"]


def test_dragonfly_cannot_vote():
    """It has no run_id, so that nobody knows who it is: said by the log and by `check`."""
    nodes = [dragonfly(["master", []]) for _ in range(3)]
    with NodesRig("replication", map_of(nodes), service="role-check = off") as rig:
        for node in nodes:
            assert "no run_id" in rig.agent.wait_log(event="node-without-identity", node=node.where)["reply"]
        assert len(found(rig, "INFO has no run_id, as with Dragonfly")) == 3
    for node in nodes:
        node.stop()


def test_keydb_active_replicas():
    """Each takes writes and follows the other: no node is the master. They neither vote nor are vetoed."""
    active = ["active-replica", HOST, 7002, "connected", 42]
    nodes = [Node(active), Node(active), Node([active, active])]
    with NodesRig("replication", map_of(nodes), service="role-check = off") as rig:
        for node, word in zip(nodes, ("active-replica", "active-replica", "multi-master")):
            assert word in rig.agent.wait_log(event="node-without-vote", node=node.where)["reply"]
        rig.wait_state("no-quorum")
        assert len(found(rig, "no node is the master")) == 3
    with probe(nodes[0]) as rig:
        rig.wait_master("R9")
        line = rig.agent.wait_log(event="role-probe-refused", node=nodes[0].where)
        assert line["reason"] == "active-replica" and "no node is the master" in line["meaning"]
        rig.wait_polls(5)
        assert len(rig.agent.log_lines(event="role-probe-refused")) == 1
    for node in nodes:
        node.stop()


def test_garnet():
    """Ports and offsets are integers, and a sharded log makes lists longer. All nodes have one run_id, so one vote."""
    first = Node(["master", 7, [[HOST, 7001, 7, "7,7"]], "7,7"])
    info = f"run_id:{first.myid}\r\n"
    nodes = [first, *(Node(["slave", HOST, first.port, "connected", 7], info) for _ in range(2))]
    with NodesRig("replication", map_of(nodes)) as rig:
        rig.agent.wait_log(event="same-sentinel")
        rig.wait_state("no-quorum")
        assert len(found(rig, "are one node (its identity)")) > 0
    with probe(first, "replicas = yes\nmax-lag = 1mb") as rig:
        rig.wait_master("R9")
        first.reply("ROLE", ["slave", HOST, 7001, "connected", 7])
        rig.wait_state("not-master")
        assert rig.agent.log_lines(event="role-probe-refused") == []
    for node in nodes:
        node.stop()


def test_nothing_is_kept_where_we_are_sent_away():
    """`keep-when = refused`: a Sentinel that has no room for us lives, and may fail over with the others."""
    with Rig(sentinels="poll = 100ms\nreply-timeout = 300ms\nvote-life = 600ms", service="keep = 60s\nkeep-when = refused\ndebounce = 0\nrole-check = off") as rig:
        rig.wait_votes(3)
        for fake in rig.fakes:
            fake.reply("CLIENT SETNAME", error("ERR max number of clients reached"))
            fake.drop()
        rig.wait_state("no-quorum")
        assert rig.agent.find_log(event="quorum-lost", reason="refused-us")


def test_a_sentinel_with_an_integer_for_a_port():
    with Rig(sentinels=FAST, service="role-check = off") as rig:
        for fake in rig.fakes:
            fake.reply("SENTINEL GET-MASTER-ADDR-BY-NAME", lambda words: [HOST, 7002])
        rig.wait_master("R2")


def test_a_greeting_that_sends_us_away():
    """A server that says why and closes, before anything was asked and in words that we do not know."""
    away = threading.Event()
    with Rig(sentinels=FAST, service="role-check = off") as rig:
        rig.wait_master("R1")
        fake = rig.fakes[0]

        def leave(words):
            away.set()
            raise OSError
        fake.greeting = b"-ERR this proxy has no backend\r\n"
        fake.reply("CLIENT SETNAME", leave)
        mark = rig.agent.mark()
        fake.drop()
        line = rig.agent.wait_log("this proxy has no backend", event="sentinel-down", sentinel=fake.where, since=mark)
        assert line["reason"] == "ERR this proxy has no backend" and away.is_set()
