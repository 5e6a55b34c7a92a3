"""`source = cluster`: a Redis Cluster of three masters and three replicas, a service and a port for each shard."""

import subprocess
import time

import pytest
from cluster import HOST, SERVER, Cluster, documented_rights
from process import free_ports, wait_until
from resp import Resp, RespError
from rig import check_clean, run_agent

NODE_TIMEOUT = 1500  # ms
GIVEN_UP = 6.0  # seconds; CLUSTER_MF_TIMEOUT is five


class RedisCluster(Cluster):
    """Three shards behind three ports, by the recipe."""

    def __init__(self):
        super().__init__(redis=6, sentinels=0, recipe="cluster")
        self.park = None
        self.third, *buses = free_ports(7)
        for node, bus in zip(self.redis, buses):
            node.extra = (f"cluster-enabled yes\ncluster-config-file {node.name}.nodes\ncluster-port {bus}\n"
                          f"cluster-node-timeout {NODE_TIMEOUT}")
        self.shards = [self.haproxy.address, self.reads, (HOST, self.third)]

    def start_redis(self):
        for node in self.redis:
            node.configure()
            node.start()
        subprocess.run([f"{SERVER}-cli", "--cluster", "create", *(node.where for node in self.redis), "--cluster-replicas", "1",
                        "--cluster-yes"], stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=60)
        wait_until(lambda: all("cluster_state:ok" in node.call("CLUSTER", "INFO") for node in self.redis), 30, "the cluster is up")
        wait_until(lambda: all(node.in_sync() for node in self.redis[3:]), 30, "replicas in sync")

    def arrange(self):
        """The recipe has the first three as masters, and a replica for each in this order; redis-cli pairs them as it likes."""
        pairs = {node.call("ROLE")[2]: node for node in self.redis[3:]}
        self.redis[3:] = [pairs[master.port] for master in self.redis[:3]]

    def haproxy_config(self, edits=None):
        return super().haproxy_config(edits).replace(f"bind {HOST}:6381", f"bind {HOST}:{self.third}")

    def owner(self, shard):
        """The node that a connection to the shard's port reaches; OSError where refused."""
        with Resp(self.shards[shard], 10) as connection:
            return self.node(int(connection.call("CONFIG", "GET", "port")[1]))


@pytest.fixture
def shards():
    with RedisCluster() as cluster:
        cluster.start_redis()
        cluster.arrange()
        cluster.start_agent({"source = cluster": "source = cluster\npoll = 100ms"})
        cluster.start_haproxy()
        wait_until(lambda: [cluster.owner(i) for i in range(3)] == cluster.redis[:3], 30, "each port leads to its master")
        yield cluster
        check_clean(cluster.agent)


def test_a_replica_takes_over(shards):
    """The master of a shard dies: its replica is named once a majority of the nodes says so; the other shards do not notice."""
    one, two, three, four, *_ = shards.redis
    lines = {f"shard-{i + 1}": shards.agent.find_log(event="master-switch", service=f"shard-{i + 1}") for i in range(3)}
    assert [line["votes"] >= "4" for line in lines.values()] == [True] * 3
    one.kill()
    switched = shards.agent.wait_log(event="master-switch", service="shard-1", new_server="N4", timeout=30)
    assert int(switched["votes"]) >= 4  # of six
    assert shards.agent.wait_log(event="sessions-cut", backend="be_shard-1", server="N1")
    wait_until(lambda: shards.owner(0) is four, 15, "shard 1 is served by the replica")
    assert [shards.owner(1), shards.owner(2)] == [two, three]
    one.start()
    wait_until(lambda: one.role() == "slave", 30, "the old master is a replica")
    assert shards.owner(0) is four
    assert len(shards.agent.log_lines(event="master-switch", service="shard-1")) == 2


def test_writes_reach_their_shard(shards):
    """What belongs to a shard can be written through its port, and through no other."""
    def says(shard, key):
        with Resp(shards.shards[shard], 10) as connection:
            try:
                return connection.call("SET", key, "x")
            except RespError as error:
                return str(error).split()[0]
    keys = {}
    for i in range(200):
        slot = shards.redis[0].call("CLUSTER", "KEYSLOT", f"key:{i}")
        keys.setdefault(0 if slot < 5461 else 1 if slot < 10923 else 2, f"key:{i}")
    for shard in range(3):
        assert [says(port, keys[shard]) for port in range(3)] == ["OK" if port == shard else "MOVED" for port in range(3)]


def fail_over(replica):
    """CLUSTER FAILOVER; once more where Redis has given it up, as it does after five seconds on a machine that is slow."""
    ordered = 0.0

    def promoted():
        nonlocal ordered
        if replica.role() == "master":
            return True
        if time.monotonic() > ordered + GIVEN_UP:
            replica.call("CLUSTER", "FAILOVER")
            ordered = time.monotonic()
        return False
    wait_until(promoted, 60, f"{replica.name} is promoted")


def test_a_failover_by_hand(shards):
    """CLUSTER FAILOVER: both are alive, and the majority's word counts."""
    old, new = shards.redis[1], shards.redis[4]
    fail_over(new)
    shards.agent.wait_log(event="master-switch", service="shard-2", new_server="N5", timeout=30)
    wait_until(lambda: shards.owner(1) is new, 15, "served by the new one")
    assert old.alive()


def test_an_isolated_part_names_nobody(shards):
    """One master and two replicas are left: no majority of the nodes, and soon none of the masters; what they say is what was."""
    for node in (shards.redis[1], shards.redis[2], shards.redis[4]):
        node.pause()
    shards.agent.wait_log(event="quorum-lost", service="shard-1", timeout=30)
    wait_until(lambda: shards.agent.find_log(event="node-without-vote", reply="cluster_state is not ok"), 30,
               "the others have no vote any more")
    with pytest.raises(OSError):
        shards.owner(0)
    for node in (shards.redis[1], shards.redis[2], shards.redis[4]):
        node.resume()
    wait_until(lambda: shards.owner(0) in (shards.redis[0], shards.redis[3]), 60, "served again")


def test_documented_rights_suffice():
    """A user with those that the recipe's README lists, for the votes and for `role-check`."""
    with RedisCluster() as cluster:
        cluster.start_redis()
        cluster.arrange()
        for node in cluster.redis:
            node.call("ACL", "SETUSER", "agent", "on", ">secret", "-@all", *documented_rights("cluster"))
        cluster.start_agent({"source = cluster": "source = cluster\npoll = 100ms\nusername = agent\npassword = secret"})
        wait_until(lambda: len(cluster.agent.log_lines(event="node-up")) == 6, 15, "six votes")
        wait_until(lambda: len(cluster.agent.log_lines(event="master-switch")) == 3, 15, "three masters")
        seen = cluster.agent.log_text()
        assert not [word for word in ("auth-failed", "without-identity", "without-vote", "-refused") if word in seen], seen
        assert [node.call("ACL", "LOG") for node in cluster.redis] == [[]] * 6
        check_clean(cluster.agent)


def test_check(shards):
    done = run_agent("-f", shards.agent.config_path, "check")
    assert (done.returncode, "0 findings" in done.stdout) == (0, True), done.stdout
    assert done.stdout.count(f"names {shards.redis[2].where}") == 6
