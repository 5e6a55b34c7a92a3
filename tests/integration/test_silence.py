"""A master that closes no connection and answers nothing: its host is gone, or stopped, or only slow; or only we are cut off.

Two PINGs of the agent's own probe without an answer are a doubt: new connections wait for it, for `park` at most.
"""

import time

import pytest
from load import Load
from netns import run, why_not
from process import wait_until
from test_hangs import PARK, served, vanish

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

# The probe asks every second. A PING is late after 0.2 s, and the next one has reply-timeout, 0.5 s.
SILENT_AFTER = 1.7
SLACK = 0.6  # this machine has other work, too
DELAYED = 0.4  # seconds; no connection takes so long by itself
SIDE_ADDRESS = "10.79.0.1"


def doubts(cluster):
    return cluster.agent.log_lines(event="master-doubted")


def stay(seconds):
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > until, seconds + 30, "the time is over")


def begin(node):
    before = node.call("DBSIZE")
    wait_until(lambda: node.call("DBSIZE") > before + 200, 30, f"writes on {node.name}")


def took(attempts):
    return max(one.ended - one.started for one in attempts)


def test_host_that_vanishes():
    """Who is told a name before the agent can know is refused by HAProxy; who comes later waits, and is served."""
    with served(".") as cluster:
        old = cluster.redis[0]
        with Load(cluster.haproxy.address, 20) as load:
            begin(old)
            gone = time.monotonic()
            vanish(cluster)
            doubted = cluster.agent.wait_log(event="master-doubted", timeout=20)
            noticed = time.monotonic()
            new = cluster.wait_failover(old, 60)
            cluster.agent.wait_log(event="master-switch", new_server=new.name)
            begin(new)
        refused = load.refused()
        waited = [one for one in load.attempts if one.started > noticed and one.ended - one.started > DELAYED]
        print(f"vanished: noticed after {(noticed - gone) * 1000:.0f} ms, {len(refused)} of {len(load.attempts)} refused, the last began "
              f"{(max(one.started for one in refused) - gone) * 1000 if refused else 0:.0f} ms after the loss, longest {took(load.attempts) * 1000:.0f} ms")
        assert doubted["reason"] == "silent"
        assert noticed - gone < SILENT_AFTER + SLACK
        assert [one for one in refused if one.started > noticed] == []
        assert len(waited) >= 10  # and were served: none of them was refused
        assert took(load.attempts) < PARK + 1


def give_side_address(cluster):
    """The first node has a second address, by another way."""
    network, node = cluster.network, cluster.redis[0]
    host = network.hosts[0]
    run("ip", "-n", host.name, "addr", "add", f"{SIDE_ADDRESS}/32", "dev", "lo")
    run("ip", "-n", network.router, "route", "add", f"{SIDE_ADDRESS}/32", "via", host.address)
    node.call("CONFIG", "SET", "bind", f"{node.host} {SIDE_ADDRESS}")


def send_clients_aside(cluster):
    """HAProxy reaches the first node by its second address, the agent by its first."""
    node = cluster.redis[0]
    path = cluster.haproxy.config_path
    text = path.read_text()
    assert f"server R1 {node.where}" in text
    path.write_text(text.replace(f"server R1 {node.where}", f"server R1 {SIDE_ADDRESS}:{node.port}"))
    cluster.haproxy.stop()
    cluster.haproxy.start()
    cluster.wait_served()


def test_only_the_agents_way_is_cut():
    """The clients' way is whole: they wait once, for `park` at most, however long the agent's way is cut."""
    with served(".") as cluster:
        give_side_address(cluster)
        send_clients_aside(cluster)
        master, *_, site = cluster.network.hosts
        with Load(cluster.haproxy.address, 10) as load:
            begin(cluster.redis[0])
            cluster.network.cut(site, master)
            cluster.agent.wait_log(event="master-doubted", reason="silent")
            cluster.agent.wait_log(event="master-trusted", timeout=PARK + 10)
            stay(15)  # it connects again and again meanwhile, in vain
            trusted = time.monotonic()
            begin(cluster.redis[0])
            cluster.network.heal()
            stay(3)
        late = [one for one in load.attempts if one.ended - one.started > DELAYED]
        span = max(one.ended for one in late) - min(one.started for one in late)
        print(f"only the agent's way: {len(load.refused())} of {len(load.attempts)} refused, {len(late)} delayed within {span * 1000:.0f} ms, "
              f"longest {took(load.attempts) * 1000:.0f} ms")
        assert load.refused() == []
        assert len(late) <= 10  # one connection of each client
        assert span < PARK + SLACK
        assert [one for one in load.attempts if one.started > trusted and one.ended - one.started > DELAYED] == []
        assert len(doubts(cluster)) == 1
        assert len(cluster.agent.log_lines(event="master-switch")) == 1


def test_master_that_stops_for_a_moment():
    """SIGSTOP, or a slow fork: new connections wait until it goes on. None is refused, and none that is there is cut."""
    with served("runtime-api") as cluster:
        master = cluster.redis[0]
        with Load(cluster.haproxy.address, 20, prefix="short") as short, Load(cluster.haproxy.address, 8, persistent=True, prefix="stay") as lasting:
            begin(master)
            for _ in range(3):
                master.pause()
                time.sleep(1.2)
                master.resume()
                stay(1.3)
            begin(master)
        for load in (short, lasting):
            print(f"stopped: {len([one for one in load.attempts if one.error])} of {len(load.attempts)} failed, longest {took(load.attempts) * 1000:.0f} ms, "
                  f"{len(doubts(cluster))} doubts")
            assert [one.error for one in load.attempts if one.error] == []
            assert took(load.attempts) < 1.2 + SLACK + DELAYED
        assert doubts(cluster)
        assert len(cluster.agent.log_lines(event="master-switch")) == 1


def test_slow_master_is_not_silent():
    """The master does nothing for 400 ms again and again, as with a slow script: it answers, and nobody waits for a doubt."""
    with served(".") as cluster:
        master = cluster.redis[0]
        until = time.monotonic() + 10
        while time.monotonic() < until:
            master.pause()
            time.sleep(0.4)
            master.resume()
            time.sleep(0.02)
        assert doubts(cluster) == []
        assert cluster.agent.find_log(event="master-switch")
