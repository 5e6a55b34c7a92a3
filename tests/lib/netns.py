"""Hosts on one machine: network namespaces around a router, whose ways can be cut.

    with Network(4) as network:
        network.hosts[0].words()                    # in front of a command line, to run it there
        network.cut(network.hosts[0], network.hosts[1])
        network.heal()
        with Detour(network, delay=0.7, loss=0.3) as detour:
            detour.lead(network.hosts[0], network.hosts[2])  # slow and lossy, from the one to the other

Each host has a subnet of its own, 10.77.N.0/30, so everything between two hosts goes through the router; a cut is a
rule there that drops what goes from one to the other without a word, as a cable that is pulled does. Names contain our
pid.
"""

import collections
import contextlib
import ctypes
import fcntl
import itertools
import os
import random
import select
import shutil
import struct
import subprocess
import threading
import time

from cluster import HOST, Agent, Cluster, HAProxy, edited
from process import LIBC

COUNTER = itertools.count()
TUN, TUNSETIFF, IFF_TUN, IFF_NO_PI = "/dev/net/tun", 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h
CLONE_NEWNET = 0x40000000  # linux/sched.h
CUT, BACK, AWAY = "100", "200", "300"  # priorities of rules: a cut way leads nowhere, not even by a detour


def run(*words):
    """A command of iproute2; CalledProcessError, with its words, where it fails."""
    subprocess.run(words, check=True, capture_output=True, text=True)


def why_not():
    """Why there can be no namespaces here, in plain words; None where there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need iproute2"
    name = f"ssp{os.getpid()}probe"
    try:
        run("ip", "netns", "add", name)
        run("ip", "netns", "del", name)
    except subprocess.CalledProcessError as error:
        return f"network namespaces are not permitted here: {error.stderr.strip()}"
    return None


def why_no_detours():
    """As why_not(), for detours."""
    try:
        os.close(os.open(TUN, os.O_RDWR))
    except OSError as error:
        return f"slow and lossy ways need {TUN}: {error.strerror}"
    return None


@contextlib.contextmanager
def inside(namespace):
    """The calling thread is in there for the `with` block; sockets that it opens stay there."""
    own, there = os.open("/proc/thread-self/ns/net", os.O_RDONLY), os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        enter_namespace(there)
        yield
    finally:
        enter_namespace(own)
        os.close(own)
        os.close(there)


def enter_namespace(descriptor):
    if LIBC.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Host:
    """A namespace with one address."""

    def __init__(self, name, number, router):
        self.name = name
        self.router = router
        self.port = f"v{number}"  # the router's end
        self.address = f"10.77.{number}.2"
        self.gateway = f"10.77.{number}.1"

    def words(self):
        """What to put in front of a command line to run it here."""
        return ["ip", "netns", "exec", self.name]

    def make(self):
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", self.port, "netns", self.router, "type", "veth",
            "peer", "name", "eth0", "netns", self.name)
        run("ip", "-n", self.router, "addr", "add", f"{self.gateway}/30", "dev", self.port)
        run("ip", "-n", self.router, "link", "set", self.port, "up")
        run("ip", "-n", self.name, "addr", "add", f"{self.address}/30", "dev", "eth0")
        for device in ("lo", "eth0"):
            run("ip", "-n", self.name, "link", "set", device, "up")
        run("ip", "-n", self.name, "route", "add", "default", "via", self.gateway)


class Hosts:
    """Namespaces around one in the middle. Gone with the `with` block; a subclass says how they are connected."""

    def __init__(self, kind, count):
        prefix = f"ssp{os.getpid()}{kind}{next(COUNTER)}"
        self.middle = f"{prefix}m"
        self.hosts = [Host(f"{prefix}h{i + 1}", i + 1, self.middle) for i in range(count)]

    def connect(self):
        """Make the namespaces of the hosts, and what is between them and the middle, which is there."""
        raise NotImplementedError

    def __enter__(self):
        try:
            run("ip", "netns", "add", self.middle)
            self.connect()
        except BaseException:
            self.clear()
            raise
        return self

    def __exit__(self, *exc):
        self.clear()

    def clear(self):
        """All namespaces; what is in them goes with them."""
        for name in (self.middle, *(host.name for host in self.hosts)):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


class Network(Hosts):
    """Hosts that all reach each other, by the router in the middle, until a way is cut."""

    def __init__(self, count):
        super().__init__("n", count)
        self.router = self.middle
        self.cuts = set()

    def connect(self):
        run("ip", "netns", "exec", self.router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        for host in self.hosts:
            host.make()

    def rule(self, verb, source, target):
        run("ip", "-n", self.router, "rule", verb, "priority", CUT, "from", source, "to", target, "blackhole")

    def cut(self, one, other):
        """Nothing goes from one to the other or back."""
        for pair in ((one.address, other.address), (other.address, one.address)):
            if pair not in self.cuts:
                self.rule("add", *pair)
                self.cuts.add(pair)

    def join(self, one, other):
        """The opposite of cut()."""
        for pair in ((one.address, other.address), (other.address, one.address)):
            if pair in self.cuts:
                self.rule("del", *pair)
                self.cuts.discard(pair)

    def split(self, *sides):
        """Hosts of different sides reach each other no more."""
        for one_side, other_side in itertools.combinations(sides, 2):
            for one, other in itertools.product(one_side, other_side):
                self.cut(one, other)

    def heal(self):
        """All reach each other again."""
        for pair in list(self.cuts):
            self.rule("del", *pair)
            self.cuts.discard(pair)


class Bridge(Hosts):
    """Hosts on one wire, which can be pulled out: 10.78.0.N/24."""

    def __init__(self, count):
        super().__init__("b", count)
        self.switch = self.middle
        for i, host in enumerate(self.hosts):
            host.address = self.address(i + 1)

    @staticmethod
    def address(number):
        return f"10.78.0.{number}"

    def connect(self):
        run("ip", "-n", self.switch, "link", "add", "wire", "type", "bridge")
        run("ip", "-n", self.switch, "link", "set", "wire", "up")
        for host in self.hosts:
            run("ip", "netns", "add", host.name)
            run("ip", "link", "add", host.port, "netns", self.switch, "type", "veth", "peer", "name", "eth0", "netns", host.name)
            run("ip", "-n", self.switch, "link", "set", host.port, "master", "wire", "up")
            run("ip", "-n", host.name, "addr", "add", f"{host.address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                run("ip", "-n", host.name, "link", "set", device, "up")

    def unplug(self, host):
        run("ip", "-n", self.switch, "link", "set", host.port, "nomaster")

    def plug(self, host):
        run("ip", "-n", self.switch, "link", "set", host.port, "master", "wire")

    @staticmethod
    def block(host, other):
        """What the host would send there goes nowhere."""
        run("ip", "-n", host.name, "route", "add", "blackhole", other.address)

    @staticmethod
    def unblock(host, other):
        run("ip", "-n", host.name, "route", "del", "blackhole", other.address)


class Detour:
    """Ways on which packets are `delay` seconds late, or lost with the chance `loss`, until the `with` block ends.

    Not every kernel has its own means for this, netem. So the router hands the packets of such a way to us, through a
    TUN device, and we give them back when it is time; then they go on as if nothing had been.
    """

    def __init__(self, network, delay=0.0, loss=0.0, seed=7):
        self.router = network.router
        self.delay = delay
        self.loss = loss
        self.chance = random.Random(seed)
        self.name = f"ssp{os.getpid()}t{next(COUNTER)}"
        self.rules = []
        self.waiting = collections.deque()  # (when it goes on, packet)
        self.passed = 0
        self.lost = 0
        self.device = None
        self.end, self.ending = os.pipe()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        try:
            self.device = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self.device, TUNSETIFF, struct.pack("16sH14x", self.name.encode(), IFF_TUN | IFF_NO_PI))
            run("ip", "link", "set", self.name, "netns", self.router)  # what we hold open goes with it
            run("ip", "-n", self.router, "link", "set", self.name, "up")
            run("ip", "-n", self.router, "route", "add", "default", "dev", self.name, "table", AWAY)
            self.rule("priority", BACK, "iif", self.name, "lookup", "main")  # once is enough
            self.thread.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc):
        self.close()

    def rule(self, *words):
        run("ip", "-n", self.router, "rule", "add", *words)
        self.rules.append(words)

    def lead(self, one, other):
        """What goes from one to the other goes by us; the way back is another."""
        self.rule("priority", AWAY, "from", one.address, "to", other.address, "lookup", AWAY)

    def close(self):
        """What still waits is lost, as it would be when such a way ends."""
        for words in reversed(self.rules):
            subprocess.run(["ip", "-n", self.router, "rule", "del", *words], capture_output=True, check=False)
        os.close(self.ending)
        if self.thread.ident is not None:
            self.thread.join()
        os.close(self.end)
        if self.device is not None:
            os.close(self.device)  # the device goes with it, and so does its route

    def run(self):
        while True:
            timeout = max(0.0, self.waiting[0][0] - time.monotonic()) if self.waiting else None
            ready, _, _ = select.select([self.device, self.end], [], [], timeout)
            if self.end in ready:
                return
            if self.device in ready:
                self.take(os.read(self.device, 65536))
            while self.waiting and self.waiting[0][0] <= time.monotonic():
                os.write(self.device, self.waiting.popleft()[1])
                self.passed += 1

    def take(self, packet):
        if self.chance.random() < self.loss:
            self.lost += 1
        else:
            self.waiting.append((time.monotonic() + self.delay, packet))


class NetCluster(Cluster):
    """A cluster on a network: R1 and S1 on the first host and so on, HAProxy with the agent on each further host."""

    def __init__(self, network, sites=1, recipe="."):
        super().__init__(recipe=recipe)
        self.network = network
        count = len(self.redis)
        for node, sentinel, host in zip(self.redis, self.sentinels, network.hosts):
            node.move(host.address, host.words())
            sentinel.move(host.address, host.words())
        self.sites = [(self.agent, self.haproxy)]
        self.sites += [(Agent(self.directory, name=f"agent{i}"),
                        HAProxy(self.directory, self.haproxy.port, name=f"haproxy{i}")) for i in range(2, sites + 1)]
        for (agent, haproxy), host in zip(self.sites, network.hosts[count:]):
            agent.prefix = host.words()
            haproxy.move(host.address, host.words())

    def turn_to(self, agent, haproxy):
        """The agent and the HAProxy that are meant from now on."""
        self.agent, self.haproxy = agent, haproxy
        self.api = str(self.directory / f"{haproxy.name}-admin.sock")

    def start_agent(self, edits=None):
        """All of them."""
        for agent, haproxy in self.sites:
            self.turn_to(agent, haproxy)
            listen = f"listen = {HOST}:0\n"
            both = f"{listen}listen = {agent.spop_address}\n"
            agent.config_path.write_text(edited(self.agent_config(edits), {listen: both}, "sentinel-spoa.conf"))
            agent.start()
        self.turn_to(*self.sites[0])

    def start_haproxy(self, edits=None, spoe_edits=None):
        """All of them; each asks the agent on its host."""
        (self.directory / "spoe.conf").write_text(self.spoe_config(spoe_edits))
        for agent, haproxy in self.sites:
            self.turn_to(agent, haproxy)
            text = self.haproxy_config(edits)
            bind = f"bind {haproxy.where}\n"
            both = f"{bind}    bind unix@{haproxy.address}\n"
            haproxy.config_path.write_text(edited(text, {bind: both}, "haproxy.cfg"))
            haproxy.start()
        self.turn_to(*self.sites[0])

    def processes(self):
        return [*(part for agent, haproxy in self.sites for part in (haproxy, agent)), *self.sentinels, *self.redis]

    def stop(self):
        for agent, haproxy in self.sites[1:]:
            haproxy.stop()
            agent.stop()
        super().stop()
