"""Sentinels by name: /etc/hosts and name servers, slow, silent, wrong, changing; and nothing ever waits for them.

The agent has its own /etc/hosts and resolv.conf, in a mount namespace; the Sentinels are fakes on addresses of the loopback.
"""

import contextlib
import time

import pytest
from fake_dns import FakeDns
from fake_sentinel import FakeSentinel
from observers import Background
from own_etc import OwnEtc, needs_root
from process import wait_until
from rig import SERVERS, Rig

pytestmark = needs_root

FAST = "poll = 100ms"
# Between two answers of a loop that never waits, on a machine with others at work.
STALL_MAX_S = 0.3


class NamedRig(Rig):
    """A rig whose first Sentinel has a name, sentinel-1.test; `dns` and `hosts` say what the agent makes of it."""

    def __init__(self, dns, hosts="127.0.0.1 localhost\n", **options):
        super().__init__(sentinels=FAST, **options)
        etc = OwnEtc(self.directory, hosts, dns.resolv_conf)
        self.hosts = etc.hosts
        self.config = self.config.replace(self.fakes[0].where, f"sentinel-1.test:{self.fakes[0].port}")
        self.agent.prefix = etc.words()

    def votes(self):
        return self.ask()["votes"] or 0


@pytest.fixture(name="dns")
def make_dns():
    with FakeDns() as dns:
        dns.names["sentinel-1.test"] = ["127.0.0.1"]
        yield dns


class StallWatch(Background):
    """Asks without a pause and keeps the longest time that an answer took: the loop's longest stall is no longer."""

    def __init__(self, rig):
        super().__init__()
        self.client = rig.connect()
        self.longest = 0.0

    def step(self):
        begun = time.monotonic()
        self.client.ask()
        self.longest = max(self.longest, time.monotonic() - begun)

    def __exit__(self, *exc):
        super().__exit__(*exc)
        self.client.close()


def test_name_server(dns):
    with NamedRig(dns) as rig:
        rig.wait_votes(3)
        assert dns.asked > 0


def test_hosts_file_comes_first_and_is_read_again(dns):
    """No name server is asked for what is in /etc/hosts, and its change counts from the next connection on."""
    dns.mood = "servfail"
    with NamedRig(dns, "127.0.0.1 sentinel-1.test\n") as rig:
        rig.wait_votes(3)
        assert dns.asked == 0
        with moved_to("127.0.0.9", rig.fakes[0]) as moved:
            rig.hosts.write_text("127.0.0.9 sentinel-1.test\n")
            wait_until(lambda: moved.times_asked() > 0, 15, "it is asked at its new address")
            rig.wait_votes(3)


@contextlib.contextmanager
def moved_to(host, fake):
    """A Sentinel of its own on another address with the port of `fake`, which is stopped."""
    other = FakeSentinel(SERVERS["R1"], host=host, port=fake.port)
    fake.stop()
    try:
        yield other
    finally:
        other.stop()


def test_name_that_moves(dns):
    """Looked up anew for each connection."""
    with NamedRig(dns) as rig:
        rig.wait_votes(3)
        with moved_to("127.0.0.8", rig.fakes[0]) as moved:
            dns.names["sentinel-1.test"] = ["127.0.0.8"]
            wait_until(lambda: moved.times_asked() > 0, 15, "it is asked at its new address")
            rig.wait_votes(3)


def test_several_addresses(dns):
    """They are tried by turns until one works."""
    dns.names["sentinel-1.test"] = ["127.0.0.6", "127.0.0.7", "127.0.0.1"]
    with NamedRig(dns) as rig:
        rig.wait_votes(3)


@pytest.mark.parametrize("mood", ["silent", "servfail", "garbage", "slow", "unknown"])
def test_name_server_in_trouble(dns, mood):
    """The others are heard as before, and the loop does not wait for an instant."""
    if mood == "slow":
        dns.delay = 3.0
    elif mood == "unknown":
        dns.names.clear()
    else:
        dns.mood = mood
    with NamedRig(dns) as rig:
        assert rig.wait_state("ok")["votes"] == 2
        with StallWatch(rig) as watch:
            asked = dns.asked
            wait_until(lambda: dns.asked > asked + 3, 30, "it goes on asking the name server")
        print(f"{mood}: longest stall {watch.longest * 1000:.1f} ms")
        assert watch.longest < STALL_MAX_S
        assert rig.votes() == 2
        dns.delay, dns.mood, dns.names["sentinel-1.test"] = 0.0, "answer", ["127.0.0.1"]
        rig.wait_votes(3)


@pytest.mark.parametrize("mood", ["silent", "servfail"])
def test_last_address_where_nobody_can_say(dns, mood):
    """A Sentinel that is restarted while the name servers are down is found where it was."""
    with NamedRig(dns) as rig:
        rig.wait_votes(3)
        dns.mood = mood
        asked = dns.asked
        rig.fakes[0].drop()
        wait_until(lambda: dns.asked > asked, 15, "a look-up")
        rig.wait_votes(3)
        seen = rig.fakes[0].times_asked()
        wait_until(lambda: rig.fakes[0].times_asked() > seen + 3, 15, "it is asked there")


def test_not_where_the_name_is_gone(dns):
    """A name that is taken away is an answer: who has its address now may be somebody else."""
    with NamedRig(dns) as rig:
        rig.wait_votes(3)
        dns.names.clear()
        rig.fakes[0].drop()
        line = rig.agent.wait_log(event="sentinel-down", sentinel=f"sentinel-1.test:{rig.fakes[0].port}", timeout=15)
        assert line
        wait_until(lambda: rig.votes() == 2, 15, "two votes are left")


def test_name_that_cannot_be(dns):
    """Longer than the protocol allows, for a Sentinel: one among others, and they are heard."""
    with NamedRig(dns) as rig:
        name = ".".join(["x" * 70] * 2)
        rig.reload((f"sentinel-1.test:{rig.fakes[0].port}", f"{name}:26379"))
        assert rig.wait_state("ok")["votes"] == 2
