"""Sentinels by name, as the host's other programs find them: name servers that are slow, silent, wrong, or change; /etc/hosts,
resolv.conf with its search list, modules of the name service. Nothing ever waits for them.

The agent has its own files in /etc, in a mount namespace; the Sentinels are fakes on addresses of the loopback.
"""

import contextlib
import json
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from dnsmasq import Dnsmasq
from fake_dns import AAAA, FakeDns
from fake_sentinel import FakeSentinel
from observers import Background
from own_etc import OwnEtc, needs_root
from process import wait_until
from rig import SERVERS, Rig

pytestmark = needs_root

FAST = "poll = 100ms"
# Between two answers of a loop that never waits, on a machine with others at work.
STALL_MAX_S = 0.3
NAME = "sentinel-1.test"
THREADS_MAX = 64


class NamedRig(Rig):
    """A rig whose first Sentinel has a name; `dns`, `hosts` and the others say what the agent makes of it."""

    def __init__(self, dns, hosts="127.0.0.1 localhost\n", name=NAME, more_conf="", services="files dns", **options):
        """more_conf: what resolv.conf has besides the name server."""
        super().__init__(**{"sentinels": FAST, **options})
        self.etc = OwnEtc(self.directory, hosts, dns.resolv_conf + more_conf, services)
        self.hosts = self.etc.hosts
        self.name = f"{name}:{self.fakes[0].port}"
        self.config = self.config.replace(self.fakes[0].where, self.name)
        self.agent.prefix = self.etc.words()

    def unreachable(self):
        """The voters that `check` does not reach, in the same surroundings."""
        done = subprocess.run([*self.agent.prefix, *self.agent.command(), "check", "--json"], stdout=subprocess.PIPE, timeout=60, check=False)
        return [subject for finding in json.loads(done.stdout)["findings"] if finding["code"] == "voter-unreachable"
                for subject in finding["subject"]]

    def votes(self):
        return self.ask()["votes"] or 0


@pytest.fixture(name="dns")
def make_dns():
    with FakeDns() as dns:
        dns.names[NAME] = ["127.0.0.1"]
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


@pytest.mark.parametrize("mood", ["silent", "servfail", "garbage", "unknown"])
def test_name_server_in_trouble(dns, mood):
    """The others are heard as before, and the loop does not wait for an instant."""
    if mood == "unknown":
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
        dns.mood, dns.names[NAME] = "answer", ["127.0.0.1"]
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


def time_to_reach(rig):
    """Seconds from the start of the agent until it heard the Sentinel that has a name."""
    line = rig.agent.wait_log(event="sentinel-up", sentinel=rig.name, timeout=20)
    started = rig.agent.wait_log(event="started")
    first, last = (time.strptime(one["ts"][:19], "%Y-%m-%dT%H:%M:%S") for one in (started, line))
    return time.mktime(last) - time.mktime(first) + float(line["ts"][19:23]) - float(started["ts"][19:23])


def test_name_server_that_ignores_one_family(dns):
    """Questions for AAAA get no answer: the answer for A is used."""
    dns.ignores = {AAAA}
    with NamedRig(dns) as rig:
        seconds = time_to_reach(rig)
        print(f"reached after {seconds * 1000:.0f} ms")
        assert seconds < 0.5
        assert rig.unreachable() == []


@pytest.mark.parametrize("seconds", [0.8, 3.0])
def test_slow_name_server(dns, seconds):
    """The limit for connecting does not run while a name is looked up, and the loop does not wait for an instant."""
    dns.delay = seconds
    with NamedRig(dns) as rig:
        assert rig.wait_state("ok")["votes"] == 2
        with StallWatch(rig) as watch:
            assert seconds <= time_to_reach(rig) < seconds + 1
        assert watch.longest < STALL_MAX_S


def test_slow_name_server_and_a_name_that_moves(dns):
    """The former address is tried before the answer is there; the answer is used all the same."""
    with NamedRig(dns) as rig:
        rig.wait_votes(3)
        dns.delay = 1.2
        with moved_to("127.0.0.8", rig.fakes[0]) as moved:
            dns.names[NAME] = ["127.0.0.8"]
            wait_until(lambda: moved.times_asked() > 0, 15, "it is asked at its new address")


@contextlib.contextmanager
def black_hole(host, port):
    """A socket that connecting to takes for ever: nobody accepts, and its queue is full."""
    with socket.socket() as listener, contextlib.ExitStack() as clients:
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect((host, port))
        yield


@pytest.mark.parametrize("hole", ["127.0.0.6", "127.0.0.99"])
def test_address_that_is_a_black_hole(dns, hole):
    """Its other address is tried beside it, and is the first one from then on."""
    dns.names[NAME] = ["127.0.0.20", hole]
    with NamedRig(dns, fakes=[FakeSentinel(SERVERS["R1"], host="127.0.0.20"), *(FakeSentinel(SERVERS["R1"]) for _ in range(2))]) as rig:
        with black_hole(hole, rig.fakes[0].port):
            for _ in range(6):
                rig.wait_votes(3)
                asked = rig.fakes[0].times_asked()
                rig.fakes[0].drop()
                wait_until(lambda: rig.fakes[0].times_asked() > asked, 15, "it is asked again")
        assert not rig.agent.find_log(event="sentinel-down", reason="connect timeout")


def test_both_families(dns):
    """Nobody listens at its IPv6 address."""
    dns.names[NAME] = ["::1", "127.0.0.1"]
    with NamedRig(dns) as rig:
        assert time_to_reach(rig) < 0.5
        rig.wait_votes(3)


def test_resolv_conf_that_changes(dns, tmp_path):
    """As where the network comes up after the agent, or a DHCP server says something else: no signal is needed."""
    dns.mood = "silent"
    with NamedRig(dns) as rig, Dnsmasq(tmp_path, {NAME: "127.0.0.1"}) as real:
        wait_until(lambda: dns.asked > 0, 15, "a question")
        rig.etc.resolv_conf.write_text(real.resolv_conf)
        begun = time.monotonic()
        rig.wait_votes(3, timeout=8)
        print(f"used after {time.monotonic() - begun:.1f} s")


def test_resolv_conf_that_changes_while_connected(tmp_path):
    """The next connection goes where the new name server says."""
    folders = [tmp_path / "old", tmp_path / "new"]
    for folder in folders:
        folder.mkdir()
    with Dnsmasq(folders[0], {NAME: "127.0.0.1"}) as old, Dnsmasq(folders[1], {NAME: "127.0.0.8"}) as new, NamedRig(old) as rig:
        rig.wait_votes(3)
        rig.etc.resolv_conf.write_text(new.resolv_conf)
        with moved_to("127.0.0.8", rig.fakes[0]) as moved:
            wait_until(lambda: moved.times_asked() > 0, 8, "it is asked at its new address")


def test_resolv_conf_that_is_elsewhere(dns, tmp_path):
    """A link, as NetworkManager and others make it: the sandbox lets it be read."""
    real = tmp_path / "resolv.conf"
    real.write_text(dns.resolv_conf)
    rig = NamedRig(dns)
    rig.etc.resolv_conf.unlink()
    rig.etc.resolv_conf.symlink_to(real)
    with rig:
        rig.wait_votes(3)


def test_search_domain_that_is_refused(tmp_path):
    """As in a cluster: each name is tried below the search domains first, and the name server wants to know of none."""
    with Dnsmasq(tmp_path, {NAME: "127.0.0.1"}) as real:
        with NamedRig(real, more_conf="search corp.example other.example\noptions ndots:5\n") as rig:
            rig.wait_votes(3)
            assert rig.unreachable() == []
        assert f"{NAME}.corp.example" in real.log_text()


def test_search_domain_that_has_it(dns):
    dns.names = {f"{NAME}.corp.example": ["127.0.0.1"]}
    with NamedRig(dns, more_conf="search corp.example\noptions ndots:5\n") as rig:
        rig.wait_votes(3)


def test_final_dot(dns):
    """Such a name is not looked for below the search domains. It is shown as it was given."""
    dns.refuses = "corp.example"
    with NamedRig(dns, name=f"{NAME}.", more_conf="search corp.example\noptions ndots:5\n") as rig:
        rig.agent.wait_log(event="sentinel-up", sentinel=rig.name)
        assert set(dns.questions) == {NAME}


def test_search_root(dns):
    """`search .`, as some hosts have it: a name without dots is a name."""
    dns.names["sentinel-1"] = ["127.0.0.1"]
    with NamedRig(dns, name="sentinel-1", more_conf="search .\n") as rig:
        rig.wait_votes(3)


def test_module_of_the_name_service(dns):
    """A name that only a module knows, which nsswitch.conf has: the agent and `check` find it."""
    rig = NamedRig(dns, name="module.test", services="files spoatest dns")
    pass_module_to(rig)
    with rig:
        rig.wait_votes(3)
        assert "module.test" not in dns.questions
        assert rig.unreachable() == []


def pass_module_to(rig):
    """Beside the configuration: a folder that the agent may read in its sandbox."""
    source = Path(__file__).parent / "nss_module.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", rig.directory / "libnss_spoatest.so.2", source], check=True)
    rig.agent.prefix = [*rig.agent.prefix, "env", f"LD_LIBRARY_PATH={rig.directory}"]


def tasks(rig):
    return len(list(Path(f"/proc/{rig.agent.pid}/task").iterdir()))


def memory(rig):
    """Of the agent, in KiB."""
    lines = Path(f"/proc/{rig.agent.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_many_names_that_nobody_answers(dns):
    """One name server for all, and it is silent. Threads are bounded, nothing waits, and SIGTERM ends the agent at once."""
    nodes = "".join(f"[service many-{i}]\nserver = A node-{i}-a.test:7001\nserver = B node-{i}-b.test:7002\npark = 0\n" for i in range(60))
    dns.mood = "silent"
    with NamedRig(dns, more=nodes) as rig:
        assert rig.wait_state("ok")["votes"] == 2
        for fake in rig.fakes:
            for i in range(60):
                fake.masters[f"many-{i}"] = (f"node-{i}-a.test", 7001)
        before = memory(rig)
        with StallWatch(rig) as watch:
            wait_until(lambda: len(set(dns.questions)) > THREADS_MAX // 4, 30, "many questions")
            time.sleep(3)
            assert rig.votes() == 2
            most = tasks(rig)
        print(f"longest stall {watch.longest * 1000:.1f} ms, {most} threads, {memory(rig) - before} KiB more")
        assert watch.longest < STALL_MAX_S
        assert 2 < most <= THREADS_MAX + 1
        begun = time.monotonic()
        rig.agent.signal(signal.SIGTERM)
        assert rig.agent.child.wait(10) == 0
        print(f"ended after {time.monotonic() - begun:.2f} s")
        assert time.monotonic() - begun < 1 or rig.agent.is_sanitized
