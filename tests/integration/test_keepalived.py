"""keepalived: two hosts with HAProxy and an agent each, and an address that goes where both are well. In network namespaces."""

import re

import pytest
from cluster import HOST, SHIPPED, edited
from netns import Bridge, NetCluster, inside, why_not
from process import Process, wait_until
from resp import Resp, RespError
from rig import check_clean

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

ADDRESS = "10.0.0.100"


class Keepalived(Process):
    """On one of the hosts, by the recipe's file."""

    def __init__(self, name, directory, host, agent, shared):
        super().__init__(name, directory)
        self.host, self.prefix = host, host.words()
        self.config_path = directory / f"{name}.conf"
        text = (SHIPPED / "keepalived/keepalived.conf").read_text()
        self.config_path.write_text(edited(text, {"127.0.0.1:9912": agent.http_address, ADDRESS: shared}, "keepalived.conf"))

    def command(self):
        files = [f"--{kind}={self.directory / self.name}.{kind}" for kind in ("pid", "vrrp_pid")]
        return ["keepalived", "--vrrp", "--dont-fork", "--log-console", f"--use-file={self.config_path}", *files]

    def ready(self):
        return "Entering" in self.log_text()

    def has_address(self):
        """By its own word."""
        states = re.findall(r"Entering (\w+) STATE", self.log_text())
        return bool(states) and states[-1] == "MASTER"


class KeepalivedCluster(NetCluster):
    """Redis and Sentinels on the first three hosts, HAProxy with agent and keepalived on the next two, clients on the last."""

    def __init__(self, network):
        super().__init__(network, sites=2, recipe="keepalived")
        self.shared = network.address(100)
        self.client = network.hosts[5]
        self.keepers = []

    def start_sites(self):
        for i, (agent, haproxy) in enumerate(self.sites):
            self.turn_to(agent, haproxy)
            listen = f"listen = {HOST}:0\n"
            agent.config_path.write_text(edited(self.agent_config(), {listen: f"{listen}listen = {agent.spop_address}\n"}, "conf"))
            agent.start()
            (self.directory / "spoe.conf").write_text(self.spoe_config())
            haproxy.config_path.write_text(edited(self.haproxy_config(), {
                "    bind :6379\n": f"    bind :6379\n    bind unix@{haproxy.address}\n"}, "haproxy.cfg"))
            haproxy.start()
            self.keepers.append(Keepalived(f"keepalived{i}", self.directory, self.network.hosts[3 + i], agent, self.shared))
        for keeper in self.keepers:
            keeper.start()
        wait_until(lambda: self.holder() is not None and self.writes(), 30, "one has the address, and serves")

    def holder(self):
        """The number of the host that has the address; None where not just one says so."""
        holders = [i for i, keeper in enumerate(self.keepers) if keeper.alive() and keeper.has_address()]
        return holders[0] if len(holders) == 1 else None

    def writes(self):
        """By a client on another host, to the shared address."""
        try:
            with inside(self.client.name):
                connection = Resp((self.shared, 6379), 2)
            with connection:
                return connection.call("SET", "key", "value") == "OK"
        except (OSError, RespError):
            return False

    def stop(self):
        for keeper in self.keepers:
            keeper.kill()
        super().stop()


@pytest.fixture(scope="module")
def world():
    with Bridge(6) as network, KeepalivedCluster(network) as cluster:
        cluster.start_redis()
        cluster.start_sentinels()
        cluster.start_sites()
        yield cluster
        for agent, _ in cluster.sites:
            check_clean(agent)


def moves(world, act, undo, stays=True):
    """The address goes to the other host and clients go on; when all is well again it stays there, or is with one of them."""
    first = world.holder()
    other = 1 - first
    assert world.writes()
    act(first)
    wait_until(lambda: world.keepers[other].has_address() and world.writes(), 30, "the other host serves")
    undo(first)
    wait_until(lambda: world.holder() == other if stays else world.holder() is not None, 30, "one of them has it")
    wait_until(world.writes, 15, "served")


def test_haproxy_dies(world):
    moves(world, lambda i: world.sites[i][1].kill(), lambda i: world.sites[i][1].start())


def test_an_agent_dies(world):
    moves(world, lambda i: world.sites[i][0].kill(), lambda i: world.sites[i][0].start())


def test_a_host_is_cut_off(world):
    """It still believes that it has the address, until it is back and hears the other; which of them yields is for VRRP."""
    def plug(i):
        world.network.plug(world.network.hosts[3 + i])
    moves(world, lambda i: world.network.unplug(world.network.hosts[3 + i]), plug, stays=False)


def test_an_agent_without_a_majority(world):
    """Its HAProxy lives, and would refuse everybody: /readyz moves the address."""
    def cut(i):
        for node in world.network.hosts[:3]:
            world.network.block(world.network.hosts[3 + i], node)

    def heal(i):
        for node in world.network.hosts[:3]:
            world.network.unblock(world.network.hosts[3 + i], node)
    moves(world, cut, heal)


def test_a_failover_moves_nothing(world):
    """The master dies: clients wait, and the address stays where it is."""
    holder = world.holder()
    old = world.named()
    marks = [keeper.mark() for keeper in world.keepers]
    old.kill()
    world.wait_failover(old)
    wait_until(world.writes, 30, "written to the new master")
    assert world.holder() == holder
    assert not [keeper for keeper, mark in zip(world.keepers, marks) if "Entering" in keeper.log_text(mark)]
