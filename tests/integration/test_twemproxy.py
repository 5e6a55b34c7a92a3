"""twemproxy (Debian's nutcracker): one beside each node behind HAProxy, and one alone whose file a hook rewrites."""

import os
import subprocess
import time

import pytest
from cluster import SHIPPED, Cluster, edited
from process import Process, free_ports, wait_until
from resp import Resp, RespError
from rig import check_clean

RECIPE = SHIPPED / "twemproxy"


class Nutcracker(Process):
    """One pool in front of one Redis, by the recipe's file."""

    def __init__(self, name, directory, redis):
        super().__init__(name, directory)
        self.port, self.stats = free_ports(2)
        self.address = ("127.0.0.1", self.port)
        self.config_path = directory / f"{name}.yml"
        self.pid_path = directory / f"{name}.pid"
        self.config_path.write_text(edited((RECIPE / "nutcracker.yml").read_text(), {
            "0.0.0.0:36379": f"127.0.0.1:{self.port}", "10.0.0.11:6379": redis.where}, "nutcracker.yml"))

    def command(self):
        return ["nutcracker", "-c", str(self.config_path), "-a", "127.0.0.1", "-s", str(self.stats), "-o", "/dev/stderr"]

    def spawn(self):
        """It writes its own pid as a daemon only."""
        super().spawn()
        self.pid_path.write_text(f"{self.child.pid}\n")

    def ready(self):
        Resp(self.address).close()
        return True

    def call(self, *words):
        with Resp(self.address, 5) as connection:
            return connection.call(*words)

    def supervise(self):
        """As Restart=always."""
        if not self.alive():
            self.start()


class TwemproxyCluster(Cluster):
    """The recipe: HAProxy, a twemproxy beside each Redis."""

    def __init__(self):
        super().__init__(recipe="twemproxy")
        self.proxies = [Nutcracker(f"T{i + 1}", self.directory, node) for i, node in enumerate(self.redis)]

    def haproxy_config(self, edits=None):
        text = super().haproxy_config(edits)
        for i, proxy in enumerate(self.proxies):
            text = edited(text, {f"10.0.0.{11 + i}:36379": f"127.0.0.1:{proxy.port}"}, "haproxy.cfg")
        return text

    def start_haproxy(self, edits=None, spoe_edits=None):
        for proxy in self.proxies:
            proxy.start()
        super().start_haproxy(edits, spoe_edits)

    def stop(self):
        for proxy in self.proxies:
            proxy.kill()
        super().stop()


def works(call):
    try:
        return call()
    except (OSError, RespError):
        return False


def test_behind_haproxy():
    """After a failover HAProxy leads to the twemproxy beside the new master; sessions through the old one are cut."""
    with TwemproxyCluster() as cluster:
        cluster.start()
        old = cluster.redis[0]
        assert cluster.call("SET", "before", "1") == "OK"
        assert old.call("GET", "before") == "1"
        with Resp(cluster.haproxy.address, 10) as session:
            assert session.call("GET", "before") == "1"
            old.kill()
            new = cluster.wait_failover(old)
            server = f"T{cluster.redis.index(new) + 1}"
            cluster.agent.wait_log(event="master-switch", new_server=server)
            wait_until(lambda: works(lambda: cluster.call("SET", "after", "2") == "OK"), 15, "written through the other twemproxy")
            cluster.agent.wait_log(event="sessions-cut", server=f"T{cluster.redis.index(old) + 1}")
            with pytest.raises(OSError):
                for _ in range(100):
                    session.call("GET", "before")
                    time.sleep(0.02)
        assert new.call("GET", "after") == "2"
        check_clean(cluster.agent)


def test_alone_with_a_hook():
    """No HAProxy: a client of twemproxy goes on with the new master, because the hook has put its address into the file."""
    with Cluster() as cluster:
        cluster.start_redis()
        cluster.start_sentinels()
        proxy = Nutcracker("alone", cluster.directory, cluster.redis[1])  # a wrong one to begin with
        try:
            proxy.start()
            hook = f"on-switch = {RECIPE / 'tell-twemproxy.sh'} {proxy.config_path} {proxy.pid_path}\n"
            cluster.start_agent({"[service mymaster]\n": f"[service mymaster]\n{hook}"})

            def written(key):
                proxy.supervise()
                return works(lambda: proxy.call("SET", key, "x") == "OK")
            wait_until(lambda: written("first"), 30, "the hook has put it right at the agent's start")
            old = cluster.redis[0]
            assert old.call("GET", "first") == "x"
            old.kill()
            new = cluster.wait_failover(old)
            cluster.agent.wait_log(event="hook-ended", status="0", since=0)
            wait_until(lambda: written("second"), 30, "written again")
            assert new.call("GET", "second") == "x"
            assert f"- {new.where}:1 mymaster" in proxy.config_path.read_text()
            assert {line["status"] for line in cluster.agent.log_lines(event="hook-ended")} == {"0"}
        finally:
            proxy.kill()
        check_clean(cluster.agent)


def test_the_hook_touches_nothing_else(tmp_path):
    """Other servers stay, a file that is right already is left alone, and nothing is ended then."""
    path = tmp_path / "n.yml"
    text = "a:\n  servers:\n    - 10.0.0.1:6379:1 one\n    - 10.0.0.2:6379:2 two\n    - 10.0.0.1:6379:1 onetwo\n"
    path.write_text(text)
    words = [RECIPE / "tell-twemproxy.sh", path, tmp_path / "no.pid"]
    subprocess.run([*words, "one", "10.0.0.1:6379", "10.0.0.9:7000"], check=True)
    assert path.read_text() == text.replace("10.0.0.1:6379:1 one\n", "10.0.0.9:7000:1 one\n")
    before = path.stat()
    subprocess.run([*words, "one", "-", "10.0.0.9:7000"], check=True)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert not (tmp_path / "n.yml.new").exists()


def sleeper(tmp_path):
    """A process that stands for nutcracker, and the file with its number."""
    child = subprocess.Popen(["sleep", "60"])
    pid_path = tmp_path / "n.pid"
    pid_path.write_text(f"{child.pid}\n")
    return child, pid_path


def test_a_hook_that_is_killed_is_done_by_the_next(tmp_path):
    """The file was changed, and nutcracker not ended yet: it goes on with the old address until the next run."""
    path = tmp_path / "n.yml"
    path.write_text("a:\n  servers:\n    - 10.0.0.1:6379:1 one\n")
    child, pid_path = sleeper(tmp_path)
    words = [RECIPE / "tell-twemproxy.sh", path, pid_path, "one", "10.0.0.1:6379", "10.0.0.9:7000"]
    # A mv that does its work and then ends the script, as on-switch-timeout would.
    (tmp_path / "mv").write_text('#!/bin/sh\n/bin/mv "$@"\nkill -9 $PPID\n')
    (tmp_path / "mv").chmod(0o755)
    try:
        killed = subprocess.run(words, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
        assert killed.returncode == -9 and "10.0.0.9:7000:1 one" in path.read_text() and child.poll() is None
        subprocess.run(words, check=True)
        assert child.wait(5) == -15
        again, _ = sleeper(tmp_path)
        subprocess.run(words, check=True)  # all is done
        assert again.poll() is None
        again.kill()
        again.wait()
    finally:
        child.kill()
    assert sorted(found.name for found in tmp_path.iterdir()) == ["mv", "n.pid", "n.yml"]


def test_the_hook_keeps_owner_and_mode_and_takes_names_as_they_are(tmp_path):
    path = tmp_path / "a file.yml"
    text = "a:\n  servers:\n    - 10.0.0.1:6379:1 a.b/c*\n    - 10.0.0.1:6379:1 aXb/c*\n"
    path.write_text(text)
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    before = path.stat()
    subprocess.run([RECIPE / "tell-twemproxy.sh", path, tmp_path / "no.pid", "a.b/c*", "-", "redis-1.example:7000"], check=True)
    assert path.read_text() == text.replace("10.0.0.1:6379:1 a.b", "redis-1.example:7000:1 a.b")
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
