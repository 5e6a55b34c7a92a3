"""`down-after`: a master that a majority does not hear is down, long before the Sentinels' own down-after-milliseconds is over."""

import contextlib
import time

import pytest
from cluster import Cluster
from load import Load
from process import wait_until
from rig import check_clean, run_agent

SENTINELS = 10000  # ms: they do nothing in these tests
OURS = 1500
# The next PING is sent within a second, and for 0.2 s nobody may ask; the rest is for a busy machine.
SILENT_AFTER = 1.0 + OURS / 1000 + 0.2 + 0.8


@contextlib.contextmanager
def served():
    with Cluster(recipe="runtime-api") as cluster:
        cluster.start_redis()
        cluster.start_sentinels(down_after=SENTINELS)
        cluster.start_agent({"[service mymaster]\n": f"[service mymaster]\ndown-after = {OURS}ms\n"})
        cluster.start_haproxy()
        cluster.wait_served()
        yield cluster
        check_clean(cluster.agent)


def stay(seconds):
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > until, seconds + 30, "the time is over")


def test_master_that_stops_for_a_moment():
    """A slow fork: nobody is fenced, and no connection is cut or refused."""
    with served() as cluster:
        master = cluster.redis[0]
        with Load(cluster.haproxy.address, 8, persistent=True) as load:
            for _ in range(4):
                master.pause()
                time.sleep(1.2)
                master.resume()
                stay(1.7)  # not in step with the Sentinels' PINGs
        assert [one.error for one in load.attempts if one.error] == []
        assert not cluster.agent.find_log(event="fenced")


@pytest.mark.parametrize("count", [1, 3])
def test_sentinels_that_stop_for_a_moment(count):
    """They go on in TILT, and first say that they have not heard the master for 3 s. It owes them nothing, so nobody is fenced."""
    with served() as cluster:
        stopped = cluster.sentinels[:count]
        with Load(cluster.haproxy.address, 4, persistent=True) as load:
            for _ in range(2):
                for sentinel in stopped:
                    sentinel.pause()
                time.sleep(3)
                for sentinel in stopped:
                    sentinel.resume()
                for sentinel in stopped:
                    wait_until(lambda s=sentinel: "sentinel_tilt:1" in s.call("INFO", "sentinel"), 10, f"{sentinel.name} is in TILT")
                stay(1.7)
        assert [one.error for one in load.attempts if one.error] == []
        assert not cluster.agent.find_log(event="fenced")


def test_master_that_hangs_and_goes_on():
    """New connections wait and old sessions are cut. When it is heard again it is named again: that is no switch."""
    with served() as cluster:
        master = cluster.redis[0]
        with Load(cluster.haproxy.address, 4, persistent=True) as load:
            wait_until(lambda: master.call("DBSIZE") > 100, 30, "writes")
            stopped = time.monotonic()
            master.pause()
            cluster.agent.wait_log(event="fenced", reason="silent", timeout=20)
            fenced = time.monotonic()
            cluster.agent.wait_log(event="sessions-cut", server="R1", timeout=20)
            master.resume()
            cluster.agent.wait_log(event="fence-ended", timeout=20)
            stay(1)
        print(f"silent: fenced after {(fenced - stopped) * 1000:.0f} ms")
        assert fenced - stopped < SILENT_AFTER
        assert [one for one in load.attempts if one.error and one.started < stopped + OURS / 1000]  # it was at work, and cut
        assert max(one.ended for one in load.attempts if not one.error) > fenced + 1
        assert len(cluster.agent.log_lines(event="master-switch")) == 1


def test_nothing_bounds_the_loss():
    """The agent and `check` tell it, until the master refuses writes without replicas."""
    with Cluster(recipe="runtime-api") as cluster:
        master = cluster.redis[0]
        cluster.start_redis()
        cluster.start_sentinels(down_after=30000)
        cluster.start_agent()
        cluster.start_haproxy()
        cluster.wait_served()
        cluster.agent.wait_log(event="alarm", alarm="unbounded-loss", service="mymaster", timeout=30)
        assert "and nothing bounds what is lost" in run_agent("-f", cluster.agent.config_path, "check").stdout
        master.call("CONFIG", "SET", "min-replicas-to-write", 1)
        cluster.agent.wait_log(event="alarm-cleared", alarm="unbounded-loss", timeout=30)
        assert "and nothing bounds what is lost" not in run_agent("-f", cluster.agent.config_path, "check").stdout
        check_clean(cluster.agent)


# ---- nodes that vote ----

# A master's PINGs to its replicas. The ages are whole seconds, so the limit counts as 2 s, and is noticed up to 2 s later.
PINGS = "repl-ping-replica-period 1"
SILENT_NODES_AFTER = 4 + 0.2 + 0.8
IN_HEALTH = 12  # seconds


@contextlib.contextmanager
def nodes(extra=PINGS):
    """Three nodes, R1 the master, no Sentinels. Nobody writes, so that PINGs are all that replicas hear."""
    with Cluster(sentinels=0, recipe="replication") as cluster:
        for node in cluster.redis:
            node.extra = extra
        cluster.start_redis()
        cluster.start_agent({"[service mymaster]\n": f"[service mymaster]\ndown-after = {OURS}ms\n",
                             "source = replication": "source = replication\npoll = 200ms"})
        cluster.start_haproxy()
        cluster.wait_served()
        yield cluster
        check_clean(cluster.agent)


def test_idle_nodes_in_health():
    with nodes() as cluster:
        stay(IN_HEALTH)
        assert not cluster.agent.find_log(event="fenced")
        assert cluster.serves() and cluster.served_by() is cluster.redis[0]


def test_nodes_do_not_hear_the_master():
    """It hangs for longer than repl-timeout: the links go down, and that does not make it a good master again."""
    with nodes(f"{PINGS}\nrepl-timeout 4") as cluster:
        master = cluster.redis[0]
        with cluster.haproxy.connect() as session:
            assert session.call("PING") == "PONG"
            stopped = time.monotonic()
            master.pause()
            cluster.agent.wait_log(event="fenced", reason="silent", timeout=20)
            fenced = time.monotonic()
            cluster.agent.wait_log(event="sessions-cut", server="R1", timeout=20)
            print(f"silent: fenced after {(fenced - stopped) * 1000:.0f} ms")
            assert fenced - stopped < SILENT_NODES_AFTER
            wait_until(lambda: all("master_link_status:down" in node.call("INFO", "replication") for node in cluster.redis[1:]),
                       20, "the links are down")
            stay(OURS / 1000)
            assert not cluster.agent.find_log(event="fence-ended")
            master.resume()
            cluster.agent.wait_log(event="fence-ended", timeout=20)
            wait_until(cluster.serves, 15, "served again")
            with pytest.raises((OSError, EOFError)):
                session.call("PING")
        assert cluster.served_by() is master
        assert len(cluster.agent.log_lines(event="master-switch")) == 1
