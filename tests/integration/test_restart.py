"""The agent is restarted under load, and no client notices."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from cluster import HOST, Agent, Cluster, edited
from failover import PARK, is_caught
from fake_sentinel import GET_MASTER
from load import Load
from process import free_ports, wait_until
from rig import Rig, check_clean, run_agent
from spop_client import SpopClient, ask_once, question
from workers import Workers

CLIENTS = 20
SLOWEST = 2.0  # seconds; a client that is refused, or waits for a time limit of HAProxy's, would take longer


class TwoAgents(Cluster):
    """The recipe of this name, with its two agents."""

    def __init__(self):
        super().__init__(recipe="two-agents")
        self.second = Agent(self.directory, name="agent2")

    def start_agent(self, edits=None):
        super().start_agent(edits)
        text = self.agent_config(edits).replace(f"{HOST}:9012", f"{HOST}:0")
        self.second.config_path.write_text(text)
        self.second.start()

    def haproxy_config(self, edits=None):
        return edited(super().haproxy_config(edits), {f"{HOST}:9014": self.second.address}, "haproxy.cfg")

    def processes(self):
        return [*super().processes(), self.second]

    def stop(self):
        self.second.stop()
        super().stop()


@pytest.fixture(scope="module")
def two():
    with TwoAgents() as cluster:
        cluster.start()
        yield cluster
        check_clean(cluster.agent)
        check_clean(cluster.second)


@contextlib.contextmanager
def load_on(cluster):
    """In the block clients connect all the time; nobody may have been refused, or have waited for long."""
    with Load(cluster.haproxy.address, CLIENTS, pause=0.005) as load:
        wait_more(cluster)
        yield
        wait_more(cluster)
    slowest = max(one.ended - one.started for one in load.attempts)
    print(f"{len(load.refused())} refused of {len(load.attempts)}, longest connect {slowest * 1000:.0f} ms")
    assert load.refused() == []
    assert slowest < SLOWEST


def served(cluster):
    """How many clients the master has served so far."""
    text = cluster.redis[0].call("INFO", "commandstats")
    return int((re.search(r"cmdstat_set:calls=(\d+)", text) or [0, 0])[1])


def wait_more(cluster, count=500):
    goal = served(cluster) + count
    wait_until(lambda: served(cluster) >= goal, 30, f"{count} more clients are served")


def wait_state(cluster, name, state, since):
    cluster.haproxy.wait_log(rf"Server be_sentinel_spoa/{name} is {state}", since=since, timeout=15)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_one_of_two_agents(two, number):
    """Each in turn."""
    with load_on(two):
        for name, agent in (("agent1", two.agent), ("agent2", two.second)):
            mark = two.haproxy.mark()
            agent.signal(number)
            agent.child.wait(15)
            wait_state(two, name, "DOWN", mark)
            wait_more(two)
            agent.start()
            wait_state(two, name, "UP", mark)
            wait_more(two)


def test_one_of_two_agents_dies_beside_a_reload_of_haproxy():
    """Clients wait in the old process of HAProxy, too: their question is asked again there."""
    with TwoAgents() as cluster:
        workers = Workers(cluster)
        cluster.park = PARK
        cluster.start_redis()
        cluster.start_sentinels()
        cluster.start_agent()
        cluster.start_haproxy()
        cluster.wait_served()
        agents = [cluster.agent, cluster.second]
        with Load(cluster.haproxy.address, CLIENTS) as load:
            wait_more(cluster)
            killed = time.monotonic()
            cluster.redis[0].kill()
            wait_until(lambda: sum(map(waiting, agents)) == CLIENTS, 2, "all clients wait")
            workers.reload()
            asked = max(agents, key=waiting)
            assert waiting(asked) > 0
            asked.kill()
            cluster.wait_failover(cluster.redis[0])
        assert [one for one in load.refused() if not is_caught(one, [killed])] == []


def waiting(agent):
    """How many clients' questions it keeps back."""
    return agent.metric("redis_spoa_parked_streams")


# ---- one agent takes the place of another ----

class Successor(Agent):
    """Takes the place of `former`, with its configuration."""

    def __init__(self, former, name):
        super().__init__(former.directory, name=name)
        self.former = former

    def command(self):
        return [*super().command(), "--takeover"]

    def take_over(self):
        """Returns when the former one has ended by itself; it must have nothing to complain of."""
        self.config_path.write_text(self.former.config_path.read_text())
        self.start()
        assert self.former.child.wait(15) == 0, self.former.log_text()[-2000:]
        return self


@pytest.fixture(scope="module")
def one():
    with Cluster() as cluster:
        cluster.start_redis()
        cluster.start_sentinels()
        cluster.start_agent({f"listen = {HOST}:9012\n": f"listen = {HOST}:9012\nlisten = unix:{cluster.directory}/spop.sock\n"
                             f"takeover = unix:{cluster.directory}/takeover.sock mode=600\n"})
        cluster.start_haproxy()
        cluster.wait_served()
        yield cluster
        check_clean(cluster.agent)


def test_takeover_under_load(one):
    """Five times in a row; HAProxy's connections go from process to process."""
    with load_on(one):
        for i in range(5):
            one.agent = Successor(one.agent, f"next{i}").take_over()
            wait_more(one)


# Beside it there is no cluster: a rig.

TAKEOVER = "listen = unix:DIRECTORY/spop.sock\ntakeover = unix:DIRECTORY/takeover.sock\nhttp = 127.0.0.1:0"
FAST = "poll = 100ms"


@contextlib.contextmanager
def succeeding(rig):
    """A successor of the rig's agent that has not been started; it becomes the rig's, and is stopped in good order."""
    former = rig.agent
    rig.agent = Successor(former, "next")
    rig.agent.config_path.write_text(former.config_path.read_text())
    try:
        yield former
    finally:
        former.kill()


def test_connections_go_along():
    """One that has said HELLO, one that has not, and one on which a frame is half sent: all are answered by the next process."""
    with Rig(sentinels=FAST, agent=TAKEOVER) as rig, rig.connect() as idle, rig.connect() as partial, SpopClient(rig.agent.address) as fresh:
        rig.wait_votes(3)
        frame = question()
        partial.send(frame[:10])
        wait_until(lambda: rig.agent.metric("redis_spoa_spop_connections") == 3, 15, "all are accepted")
        with succeeding(rig) as former:
            rig.agent.start()
            rig.agent.wait_log(event="started")
            former.wait_log(event="taken-over")
            wait_until(lambda: rig.agent.metric("redis_spoa_spop_connections") == 2, 15, "all but one are given away")
            assert idle.ask()["master"] == "R1"
            partial.send(frame[10:])
            assert partial.read().variables()["master"] == "R1"
            fresh.hello()
            assert fresh.ask()["master"] == "R1"
            assert former.child.wait(15) == 0
            assert idle.ask()["master"] == partial.ask()["master"] == "R1"
            assert rig.agent.wait_log(event="took-over", process=former.pid)["connections"] == "3"
            assert not former.find_log(event="drain-timeout")


def test_sockets_stay():
    """The file of a UNIX socket is the next process's, which removes it in the end."""
    with Rig(sentinels=FAST, agent=TAKEOVER) as rig:
        rig.wait_votes(3)
        paths = [rig.directory / "spop.sock", rig.directory / "takeover.sock"]
        before = [path.stat().st_ino for path in paths]
        with succeeding(rig):
            rig.agent.take_over()
            assert [path.stat().st_ino for path in paths] == before
            assert ask_once(f"unix:{paths[0]}")["master"] == "R1"
            check_clean(rig.agent)
            assert not any(path.exists() for path in paths)


def test_takeover_of_both_families():
    """A reload has left two sockets for one address of the file: the next process serves both families."""
    port, = free_ports(1)
    both = f"listen = [::]:{port}\nlisten = 0.0.0.0:{port}\n"
    with Rig(sentinels=FAST, agent=f"{TAKEOVER}\n{both}") as rig:
        rig.wait_votes(3)
        rig.reload((both, f"listen = [::]:{port}\n"))
        with succeeding(rig):
            rig.agent.take_over()
            assert ask_once(f"127.0.0.1:{port}")["master"] == ask_once(f"[::1]:{port}")["master"] == "R1"


def let_wait(rig, client):
    """Nobody is named, and the client waits for a name."""
    rig.wait_votes(3)
    for fake in rig.fakes:
        fake.reply(GET_MASTER, None)
    rig.agent.wait_log(event="quorum-lost")
    client.send(question())
    wait_until(lambda: rig.agent.metric("redis_spoa_parked_streams") == 1, 15, "the client waits")


def test_who_waits_goes_on_waiting():
    """The former process answers those that wait there, when there is a master, and gives the connection away then."""
    with Rig(sentinels=FAST, agent=TAKEOVER, service="park = 20s\ndebounce = 0") as rig, rig.connect() as client:
        let_wait(rig, client)
        with succeeding(rig) as former:
            rig.agent.start()
            former.wait_log(event="taken-over")
            for fake in rig.fakes:
                fake.heal()
            assert client.read().variables()["master"] == "R1"
            assert former.child.wait(15) == 0
            assert client.ask()["master"] == "R1"


def test_who_waits_for_too_long():
    """After drain-timeout they get the answer without a name, as at any stop."""
    with Rig(sentinels=FAST, agent=f"{TAKEOVER}\ndrain-timeout = 300ms", service="park = 20s\ndebounce = 0") as rig, rig.connect() as client:
        let_wait(rig, client)
        with succeeding(rig) as former:
            rig.agent.take_over()
            assert client.read().variables()["master"] is None
            assert former.find_log(event="stopping")


def test_a_successor_that_does_not_get_ready():
    """It has the listeners, and accepts nobody; when it ends all is as before. Meanwhile there is no second one."""
    with Rig(sentinels=FAST, agent=TAKEOVER) as rig:
        rig.wait_votes(3)
        former = rig.agent
        for fake in rig.fakes:
            fake.delay = 0.4
        successor, second = Successor(former, "next"), Successor(former, "second")
        for agent in (successor, second):
            agent.config_path.write_text(former.config_path.read_text())
        try:
            successor.spawn()
            successor.wait_log(event="started")
            second.spawn()
            assert second.child.wait(15) == 1 and "does not give its listeners" in second.log_text()
            assert former.find_log(event="takeover-refused")
            assert ask_once(f"unix:{rig.directory}/spop.sock")["master"] == "R1"
            assert not former.find_log(event="taken-over")
        finally:
            successor.kill()
            second.kill()
        for fake in rig.fakes:
            fake.heal()
        assert rig.ask()["master"] == ask_once(f"unix:{rig.directory}/spop.sock")["master"] == "R1"
        with succeeding(rig):
            rig.agent.take_over()
            assert rig.ask()["master"] == "R1"


def test_a_successor_that_is_stopped_before_it_is_ready():
    """It removes no file of a UNIX socket: they are still the former one's, which removes them in the end."""
    with Rig(sentinels=FAST, agent=TAKEOVER) as rig:
        rig.wait_votes(3)
        paths = [rig.directory / "spop.sock", rig.directory / "takeover.sock"]
        for fake in rig.fakes:
            fake.delay = 0.4
        successor = Successor(rig.agent, "next")
        successor.config_path.write_text(rig.agent.config_path.read_text())
        try:
            successor.spawn()
            successor.wait_log(event="started")
            successor.signal(signal.SIGTERM)
            assert successor.child.wait(15) == 0
        finally:
            successor.kill()
        for fake in rig.fakes:
            fake.heal()
        assert rig.ask()["master"] == ask_once(f"unix:{paths[0]}")["master"] == "R1"
        check_clean(rig.agent)
        assert not any(path.exists() for path in paths)


def test_nobody_to_take_over_from():
    with Rig(sentinels=FAST, agent=TAKEOVER) as rig:
        rig.wait_votes(3)
        with succeeding(rig) as former:
            former.kill()
            rig.agent.start()
            rig.wait_master("R1")


def test_the_service_manager_is_told(tmp_path, monkeypatch):
    """By the former process, to which it listens: who is the main process now. The service does not stop."""
    path = tmp_path / "notify.sock"
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, Rig(sentinels=FAST, agent=TAKEOVER) as rig:
        manager.bind(str(path))
        rig.wait_votes(3)
        with succeeding(rig):
            rig.agent.take_over()
            manager.settimeout(0.1)
            heard = []
            with contextlib.suppress(TimeoutError):
                while True:
                    heard.append(manager.recv(4096).decode())
        assert f"MAINPID={rig.agent.pid}" in heard
        assert not [text for text in heard if "STOPPING" in text]


def test_takeover_needs_its_key():
    with Rig(sentinels=FAST) as rig:
        done = run_agent("-f", rig.agent.config_path, "--takeover")
        assert done.returncode == 1 and "--takeover needs 'takeover' in [agent]" in done.stderr


def test_takeover_where_no_socket_can_be(tmp_path):
    """An agent that is there, and cannot be asked, must not be fought for its listeners."""
    path = tmp_path / "agent.conf"
    path.write_text("[agent]\nlisten = 127.0.0.1:0\ntakeover = unix:/etc/passwd/takeover.sock\n"
                    "[sentinels]\naddress = 127.0.0.1:1\n[service m]\nserver = R1 127.0.0.1:2\n")
    done = run_agent("-f", path, "--takeover")
    assert done.returncode == 1 and done.stderr.endswith("\ncannot take over: Not a directory\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_takeover_by_another_user():
    """Whatever the rights of the file are."""
    with Rig(sentinels=FAST, agent=TAKEOVER.replace("takeover.sock", "takeover.sock mode=666")) as rig:
        rig.wait_votes(3)
        code = (f"import os, socket; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.connect('{rig.directory}/takeover.sock'); "
                "print(s.recv(100))")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=15, check=False)
        assert done.stdout == "b''\n", done
        assert rig.agent.find_log(event="takeover-refused")
