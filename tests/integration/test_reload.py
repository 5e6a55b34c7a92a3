"""SIGHUP: another configuration is taken over under load, or refused, and nobody notices but by what it says."""

import contextlib
import signal
import socket
import subprocess
import time

import pytest
from cluster import Cluster
from fake_sentinel import GET_MASTER, FakeSentinel
from load import Load
from observers import Background
from process import wait_until
from rig import SERVERS, Rig, check_clean, run_agent
from spop_client import ask_once, question

FAST = "poll = 100ms"
# The sandbox leaves it the right to make other sockets in its folder then.
WITH_SOCKET = "http = 127.0.0.1:0\nlisten = unix:DIRECTORY/spop.sock"
# Longer than a reload waits for anybody.
DECIDED = 3.5
R2 = SERVERS["R2"]


class Questioner(Background):
    """Asks all the time, on one connection."""

    def __init__(self, rig):
        super().__init__()
        self.client = rig.connect()
        self.answers = []

    def step(self):
        self.answers.append(self.client.ask())

    def __exit__(self, *exc):
        super().__exit__(*exc)
        self.client.close()


def test_nothing_is_lost_under_load():
    """Five reloads in a row: the connection stays, and each answer names the master."""
    with Rig(sentinels=FAST) as rig:
        rig.wait_votes(3)
        with Questioner(rig) as questioner:
            for _ in range(5):
                before = len(questioner.answers)
                rig.reload()
                wait_until(lambda n=before: len(questioner.answers) > n + 5, 15, "answers after")
        assert {answer["master"] for answer in questioner.answers} == {"R1"}
        assert {answer["generation"] for answer in questioner.answers} == {1}
        assert len(rig.agent.log_lines(event="master-switch")) == 1


def test_many_services_move_in_slices():
    """Each question is answered with the master while hundreds of services move, also where another reload comes in the middle."""
    names = [f"cache-{i}" for i in range(600)]
    more = "".join(f"[service {name}]\npark = 0\nrole-check = off\nserver = R1 127.0.0.1:7001\nserver = R2 127.0.0.1:7002\n" for name in names)
    with Rig(sentinels=FAST, agent="http = 127.0.0.1:0", more=more) as rig:
        for fake in rig.fakes:
            fake.masters.update({name: SERVERS["R1"] for name in names})
        wait_until(lambda: len(rig.agent.log_lines(event="master-switch")) == len(names) + 1, 30, "all are named")
        mark = rig.agent.mark()
        with Questioner(rig) as questioner, rig.connect() as client:
            for pause in (0.5, 0.03, 0.05, 0.08, 0.12, 0.2):
                rig.agent.signal(signal.SIGHUP)
                end = time.monotonic() + pause
                while time.monotonic() < end:
                    assert {client.ask(name)["master"] for name in names[::100]} == {"R1"}
            rig.change((f"[service {names[0]}]", "[service renamed]"))
            wait_until(lambda: client.ask(names[0])["state"] == "unknown-service", 30, "it is gone")
            assert client.ask("renamed")["state"] == "no-quorum"
            assert {client.ask(name)["master"] for name in names[1:]} == {"R1"}
        assert {answer["master"] for answer in questioner.answers} == {"R1"}
        assert {answer["generation"] for answer in questioner.answers} == {1}
        assert not rig.agent.find_log(event="reload-failed", since=mark)
        assert not rig.agent.find_log(event="master-switch", since=mark)


def test_reload_under_load_through_haproxy():
    """Ten changes of the configuration under more than ten thousand connections: none is refused, none goes astray."""
    with Cluster() as cluster:
        cluster.start()
        text = cluster.agent.config_path.read_text()
        with Load(cluster.haproxy.address, clients=50, pause=0.01) as load:
            for i in range(10):
                more = f"[service extra-{i}]\nserver = X 10.1.1.{i + 1}:6379\n"
                cluster.agent.config_path.write_text(text + more)
                mark = cluster.agent.mark()
                cluster.agent.signal(signal.SIGHUP)
                cluster.agent.wait_log(event="reloaded", since=mark, timeout=15)
            wait_until(lambda: cluster.redis[0].call("DBSIZE") > 10000, 60, "ten thousand writes")
        assert load.refused() == []
        assert {attempt.port for attempt in load.attempts} == {cluster.redis[0].port}
        assert len(load.attempts) > 10000
        check_clean(cluster.agent)


def test_services_come_and_go():
    with Rig(sentinels=FAST, more="[service old]\nserver = A 127.0.0.1:7001") as rig:
        rig.wait_votes(3)
        for fake in rig.fakes:
            fake.masters.update(old=SERVERS["R1"], new=R2)
        with rig.connect() as client:
            wait_until(lambda: client.ask("old")["state"] == "ok", 15, "the old service is served")
            rig.reload(("[service old]\nserver = A 127.0.0.1:7001", "[service new]\nserver = B 127.0.0.1:7002"))
            assert client.ask("old")["state"] == "unknown-service"
            assert client.ask("new")["master"] == "B"
            assert client.ask()["master"] == "R1"


def test_servers_change_their_names():
    with Rig(sentinels=FAST) as rig, rig.connect() as client:
        rig.wait_votes(3)
        rig.reload(("server = R1 ", "server = redis-a "))
        assert client.ask()["master"] == "redis-a"
        # Without the master in the map nobody would be named: the old configuration stays.
        rig.reload(("server = redis-a 127.0.0.1:7001\n", ""), event="reload-failed")
        assert client.ask()["master"] == "redis-a"


def test_sentinels_come_and_go():
    with Rig(sentinels=FAST) as rig, FakeSentinel(SERVERS["R1"]) as fourth, FakeSentinel(SERVERS["R1"]) as fifth:
        rig.wait_votes(3)
        rig.reload(("poll = 100ms", f"poll = 100ms\naddress = {fourth.where}\naddress = {fifth.where}"))
        rig.wait_votes(5)
        for fake in rig.fakes[:2]:
            fake.stop()
        wait_until(lambda: rig.ask()["votes"] == 3, 15, "three of five are left")
        rig.reload(*((f"address = {fake.where}\n", "") for fake in rig.fakes[:2]))
        assert rig.ask()["votes"] == 3


def test_a_switch_during_the_reload_is_a_switch():
    """The Sentinels change their mind while the new configuration still waits for one of them."""
    with Rig(sentinels=FAST) as rig:
        rig.wait_votes(3)
        for fake in rig.fakes:
            fake.delay = 0.3
        mark = rig.agent.mark()
        rig.agent.signal(signal.SIGHUP)
        for fake in rig.fakes:
            fake.master = R2
        rig.agent.wait_log(event="reloaded", since=mark)
        answer = rig.wait_master("R2")
        assert answer["generation"] == 2
        assert len(rig.agent.log_lines(event="master-switch", new_server="R2")) == 1


def test_errors_change_nothing():
    with Rig(sentinels=FAST) as rig, rig.connect() as client:
        rig.wait_votes(3)
        line = rig.reload(("[service mymaster]", "[service mymaster]\nquorun = 2"), event="reload-failed")
        assert "unknown key 'quorun'" in line["error"]
        assert "did you mean 'quorum'?" in rig.agent.find_log(event="configuration-error")["error"]
        assert client.ask()["master"] == "R1"
        rig.agent.config_path.unlink()
        rig.agent.signal(signal.SIGHUP)
        wait_until(lambda: len(rig.agent.log_lines(event="reload-failed")) == 2, 15, "the file is missed")
        assert client.ask()["master"] == "R1"


def test_listeners_come_and_go():
    """A connection to a listener that goes stays; one that cannot be opened makes the reload fail as a whole."""
    with (Rig(sentinels=FAST, agent="listen = unix:DIRECTORY/first.sock") as rig, FakeSentinel() as taken,
          rig.connect() as client):
        rig.wait_votes(3)
        path = rig.directory / "spop.sock"
        old = f"listen = {rig.agent.address}"
        rig.reload((old, f"{old}\nlisten = unix:{path}"))
        assert ask_once(f"unix:{path}")["master"] == "R1"
        line = rig.reload((old, f"{old}\nlisten = {taken.where}"), event="reload-failed")
        assert taken.where in line["error"]
        assert ask_once(f"unix:{path}")["master"] == "R1"
        rig.reload((f"{old}\nlisten = {taken.where}\n", ""), (f"unix:{path}", f"unix:{path} mode=600"))
        assert rig.agent.find_log(event="restart-needed", key="listen")
        with pytest.raises(ConnectionRefusedError):
            ask_once(rig.agent.address)
        assert client.ask()["master"] == "R1"
        assert ask_once(f"unix:{path}")["master"] == "R1"


@contextlib.contextmanager
def waiting_reload(rig, *edits):
    """In the block a reload waits that was good: it has a service of which nobody says anything, and the edits."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        more = f"[sentinels mute]\naddress = 127.0.0.1:{mute.getsockname()[1]}\n[service new]\nsentinels = mute\nserver = A 10.0.0.1:1\n"
        mark = rig.agent.mark()
        rig.change(("[service mymaster]", f"{more}[service mymaster]"), *edits)
        mute.settimeout(15)
        asked = mute.accept()  # it has its listeners and its links
        assert not rig.agent.find_log(event="reloaded", since=mark)
        yield
        asked[0].close()


@pytest.mark.parametrize("mistake", ["quorun = 2", "listen = TAKEN", None])
def test_a_bad_file_after_one_that_waits(mistake):
    """The file that waited is dropped with its listeners: it is not what stands on the disk. All is as before both."""
    with Rig(sentinels=FAST, agent=WITH_SOCKET) as rig, FakeSentinel() as taken:
        rig.wait_votes(3)
        new = rig.directory / "new.sock"
        mark = rig.agent.mark()
        with waiting_reload(rig, ("server = R1 ", "server = redis-a "), ("[agent]", f"[agent]\nlisten = unix:{new}")):
            if mistake is None:
                rig.agent.config_path.unlink()
                rig.agent.signal(signal.SIGHUP)
                rig.agent.wait_log(event="reload-failed", since=mark)
            else:
                rig.reload(("[agent]", f"[agent]\n{mistake.replace('TAKEN', taken.where)}"), event="reload-failed")
            assert not new.exists()
            assert rig.ask()["master"] == "R1"
            assert rig.agent.metric("redis_spoa_config_last_reload_successful") == 0
            time.sleep(DECIDED)  # nothing is to happen: there is no condition to wait for
        assert not rig.agent.find_log(event="reloaded", since=mark)
        assert len(rig.agent.log_lines(event="reload-failed", since=mark)) == 1
        assert rig.agent.metric("redis_spoa_config_last_reload_successful") == 0
        assert rig.agent.metric("redis_spoa_reloads_total") == 0
        assert rig.ask()["master"] == "R1"


def test_the_last_of_two_files_counts():
    """A listener that both files have is open all the time; what only the first one has goes with it."""
    with Rig(sentinels=FAST, agent=WITH_SOCKET) as rig:
        rig.wait_votes(3)
        both, first = rig.directory / "both.sock", rig.directory / "first.sock"
        old = rig.agent.config_path.read_text().replace("[agent]", f"[agent]\nlisten = unix:{both}")
        mark = rig.agent.mark()
        with waiting_reload(rig, ("server = R1 ", "server = redis-a "),
                            ("[agent]", f"[agent]\nlisten = unix:{both}\nlisten = unix:{first}")):
            assert first.exists()
            rig.agent.config_path.write_text(old)
            rig.reload()
            assert rig.ask()["master"] == ask_once(f"unix:{both}")["master"] == "R1"
            assert not first.exists()
            time.sleep(DECIDED)  # as above
        assert len(rig.agent.log_lines(event="reloaded", since=mark)) == 1
        assert not rig.agent.find_log(event="not-listening", since=mark, address=f"unix:{both}")
        assert rig.agent.metric("redis_spoa_config_last_reload_successful") == 1
        assert rig.ask()["master"] == "R1"


def test_what_waits_goes_on_waiting():
    """Parked streams are answered when there is a master, by the new configuration; those of a service that went, at once."""
    more = "[service old]\nserver = A 127.0.0.1:7001\npark = 20s"
    with Rig(sentinels=FAST, service="park = 20s\ndebounce = 0", more=more) as rig, rig.connect() as one, rig.connect() as other:
        for fake in rig.fakes:
            fake.reply(GET_MASTER, None)
        rig.agent.wait_log(event="quorum-lost", service="mymaster")
        one.send(question())
        other.send(question("old"))
        time.sleep(0.1)  # so that they are there before the signal; the order is all that matters
        rig.reload((more, ""), ("server = R1 ", "server = redis-a "))
        assert other.read().variables()["master"] is None
        for fake in rig.fakes:
            fake.heal()
        assert one.read().variables()["master"] == "redis-a"


def test_kept_is_kept():
    """What the service remembers survives: the last master is named for the rest of its time."""
    with Rig(sentinels=FAST, service="keep = 1m") as rig:
        rig.wait_votes(3)
        for fake in rig.fakes:
            fake.stop()
        rig.wait_state("kept")
        rig.reload()
        answer = rig.ask()
        assert (answer["state"], answer["master"]) == ("kept", "R1")


def test_log_level_and_restart_keys():
    with Rig(sentinels=FAST, agent="park-max = 10") as rig:
        rig.wait_votes(3)
        mark = rig.agent.mark()
        rig.reload(("park-max = 10", "park-max = 20\nlog-level = debug"))
        assert rig.agent.find_log(event="restart-needed", key="park-max", since=mark)
        rig.fakes[0].drop()
        rig.agent.wait_log(level="debug", since=mark)


def test_many_signals_at_once():
    """The last one counts."""
    with Rig(sentinels=FAST) as rig:
        rig.wait_votes(3)
        for _ in range(50):
            rig.agent.signal(signal.SIGHUP)
        wait_until(lambda: rig.agent.log_lines(event="reloaded"), 15, "the last of many")
        assert rig.ask()["master"] == "R1"


# ---- sentinel-spoa reload ----

HTTP = "http = 127.0.0.1:0"


def ask_reload(rig, *options):
    """The command, until it ends."""
    return run_agent("-f", rig.agent.config_path, "reload", *options)


def edit(rig, old, new):
    """Changes the file and tells nobody."""
    text = rig.agent.config_path.read_text()
    assert old in text, old
    rig.agent.config_path.write_text(text.replace(old, new))


def test_command_waits_until_the_file_is_used():
    with Rig(sentinels=FAST, agent=HTTP) as rig:
        rig.wait_votes(3)
        for fake in rig.fakes:
            fake.delay = 0.2
        for name in ("redis-a", "redis-b"):
            edit(rig, rig.ask()["master"], name)
            done = ask_reload(rig)
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
            assert rig.ask()["master"] == name


def test_command_says_why_it_failed():
    """By words of the agent; a good file is used afterwards."""
    with Rig(sentinels=FAST, agent=HTTP) as rig, FakeSentinel() as taken:
        rig.wait_votes(3)
        edit(rig, "[agent]", f"[agent]\nlisten = {taken.where}")
        done = ask_reload(rig)
        assert (done.returncode, done.stderr) == (
            1, f"the reload failed: cannot bind to {taken.where}: Address already in use\n")
        edit(rig, f"listen = {taken.where}\n", "")
        assert ask_reload(rig).returncode == 0


def test_command_waits_for_the_decision():
    """Of a file that would name nobody it is said when the agent has given it up, and not before."""
    with Rig(sentinels=FAST, agent=HTTP) as rig, socket.create_server(("127.0.0.1", 0)) as mute:
        rig.wait_votes(3)
        for fake in rig.fakes:
            edit(rig, fake.where, f"127.0.0.{rig.fakes.index(fake) + 1}:{mute.getsockname()[1]}")
        done = ask_reload(rig)
        assert done.returncode == 1 and "the reload failed: service 'mymaster': " in done.stderr
        assert rig.ask()["master"] == "R1"


def test_command_and_a_file_with_errors():
    """The agent is not told."""
    with Rig(sentinels=FAST, agent=HTTP) as rig:
        rig.wait_votes(3)
        edit(rig, "[service mymaster]", "[service mymaster]\nquorun = 2")
        done = ask_reload(rig)
        assert done.returncode == 2 and "unknown key 'quorun'" in done.stderr
        assert not rig.agent.find_log(event="reload-failed")


def test_command_and_another_address():
    """The agent is asked where the file says; there nobody listens yet."""
    with Rig(sentinels=FAST, agent=WITH_SOCKET) as rig:
        rig.wait_votes(3)
        edit(rig, f"http = {rig.agent.http_address}", f"http = unix:{rig.directory}/http.sock")
        done = ask_reload(rig)
        assert done.returncode == 1 and "no answer from unix:" in done.stderr
        assert ask_reload(rig, "--pid", rig.agent.pid).returncode == 0
        assert (rig.directory / "http.sock").exists()


def test_command_and_an_address_where_nobody_answers():
    """Each question takes seconds there; the command gives up all the same."""
    with Rig(sentinels=FAST, agent=HTTP) as rig, socket.create_server(("127.0.0.1", 0)) as mute:
        rig.wait_votes(3)
        edit(rig, f"http = {rig.agent.http_address}", f"http = 127.0.0.1:{mute.getsockname()[1]}")
        done = ask_reload(rig, "--pid", rig.agent.pid)
        assert done.returncode == 1 and "its log says what came of the reload" in done.stderr


def test_command_from_a_host_that_may_not_ask():
    """The signal is all that it can send: the log tells what came of it."""
    with Rig(sentinels=FAST, agent=HTTP + " allow=192.0.2.0/24") as rig:
        rig.agent.wait_log(event="started")
        done = ask_reload(rig)
        assert done.returncode == 1 and "it refuses /status (HTTP 403). Name the process: --pid" in done.stderr
        done = ask_reload(rig, "--pid", rig.agent.pid)
        assert done.returncode == 0 and "the agent's log says" in done.stderr
        rig.agent.wait_log(event="reloaded")


def test_command_without_http():
    """It can only send the signal, and only to a process that it is given."""
    with Rig(sentinels=FAST) as rig:
        rig.wait_votes(3)
        done = ask_reload(rig)
        assert done.returncode == 1 and "no 'http' in [agent]" in done.stderr
        assert ask_reload(rig, "--pid", rig.agent.pid).returncode == 0
        rig.agent.wait_log(event="reloaded")


def test_command_signals_nobody_else():
    with Rig(sentinels=FAST, agent=HTTP) as rig, subprocess.Popen(["sleep", "60"]) as other:
        try:
            done = ask_reload(rig, "--pid", other.pid)
            assert done.returncode == 1 and f"is process {rig.agent.pid}, not {other.pid}" in done.stderr
            edit(rig, f"http = {rig.agent.http_address}", "")
            done = ask_reload(rig, "--pid", other.pid)
            assert done.returncode == 1 and f"process {other.pid} is no sentinel-spoa" in done.stderr
            assert other.poll() is None
        finally:
            other.kill()


def links_of_the_agent(redis):
    """The agent's connections to a node: number and user, by their names in CLIENT LIST."""
    lines = [line.split() for line in redis.call("CLIENT", "LIST").splitlines()]
    clients = [dict(word.split("=", 1) for word in line) for line in lines]
    return {(client["id"], client["user"]) for client in clients if client["name"] == "sentinel-spoa"}


def info(connection, section, name):
    """A line of INFO, without its name."""
    (line,) = [line for line in connection.call("INFO", section).splitlines() if line.startswith(f"{name}:")] or [f"{name}:"]
    return line[len(name) + 1:]


def test_links_to_nodes_are_kept():
    """Five reloads: the master has the one connection of the agent that it had, and got no other."""
    with Cluster() as cluster:
        cluster.start_redis()
        cluster.start_sentinels()
        cluster.start_agent()
        master = cluster.redis[0]
        wait_until(lambda: len(links_of_the_agent(master)) == 1, 15, "the agent asks the master")
        before = links_of_the_agent(master)
        with master.connect() as asker:
            received = info(asker, "stats", "total_connections_received")
            for _ in range(5):
                mark = cluster.agent.mark()
                cluster.agent.signal(signal.SIGHUP)
                cluster.agent.wait_log(event="reloaded", since=mark, timeout=15)
            assert info(asker, "stats", "total_connections_received") == received
        assert links_of_the_agent(master) == before
        check_clean(cluster.agent)


def test_a_user_goes_when_the_new_file_is_used():
    """Links of the former user end with the reload: Redis may forget him at once, and nobody is refused."""
    with Cluster() as cluster:
        cluster.start_redis()
        master = cluster.redis[0]
        for user in ("old", "new"):
            master.call("ACL", "SETUSER", user, "on", f">{user}", "+role", "+ping", "+info", "+client")
        cluster.start_sentinels()
        cluster.start_agent({"server = R1 ": "username = old\npassword = old\nserver = R1 "})
        wait_until(lambda: [user for _, user in links_of_the_agent(master)] == ["old"], 15, "the first user")
        config = cluster.agent.config_path
        config.write_text(config.read_text().replace("= old", "= new"))
        mark = cluster.agent.mark()
        cluster.agent.signal(signal.SIGHUP)
        cluster.agent.wait_log(event="reloaded", since=mark, timeout=15)
        master.call("ACL", "DELUSER", "old")
        master.call("CONFIG", "RESETSTAT")
        wait_until(lambda: "calls=3," in info(master, "commandstats", "cmdstat_role"), 15, "the second user asks on")
        assert [user for _, user in links_of_the_agent(master)] == ["new"]
        assert not cluster.agent.find_log(event="role-probe-refused", since=mark)
        assert not cluster.agent.find_log(event="alarm", since=mark, alarm="node-password")
