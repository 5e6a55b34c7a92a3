"""Cut networks: hosts in namespaces, ways between them cut, slow or lossy, and a referee at every Sentinel.

Hosts 1 to 3 have a Redis and a Sentinel each, R1 is the master at first; HAProxy and the agent are on host 4.
"""

import random
import time

import pytest
from netns import Detour, NetCluster, Network, why_no_detours, why_not
from process import wait_until
from referee import VOTE_LIFE, Watch
from rig import check_clean

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

needs_detours = pytest.mark.skipif(why_no_detours() is not None, reason=str(why_no_detours()))

DOWN_AFTER = 2500
ROUNDING = 0.05


@pytest.fixture
def world(request):
    """A network and a cluster on it; the number of HAProxy hosts is the test's parameter, else one."""
    sites = getattr(request, "param", 1)
    with Network(3 + sites) as network, NetCluster(network, sites) as cluster:
        cluster.start_redis()
        cluster.start_sentinels(down_after=DOWN_AFTER)
        cluster.start_agent()
        cluster.start_haproxy()
        cluster.wait_served()
        wait_until(lambda: cluster.agent.find_log(event="master-switch"), 15, "a master is named")
        yield cluster
        for agent, _ in cluster.sites:
            check_clean(agent)


def test_old_master_cut_off_with_its_sentinel(world, report):
    """The old master and its Sentinel are cut off from the others; HAProxy and the agent reach both sides."""
    one, two, three, site = world.network.hosts
    old = world.redis[0]
    with Watch(world) as watch:
        wait_until(lambda: len(watch.writer.acknowledged(old.port)) >= 20, 15, "writes before")
        world.network.split([one], [two, three])
        new = world.wait_failover(old)
        watch.wait_named(new.name)
        wait_until(lambda: len(watch.writer.acknowledged(new.port)) >= 20, 15, f"writes on {new.name}")
        assert world.sentinels[0].named() == (old.host, old.port)  # it goes on naming its master
        assert old.role() == "master"
        world.network.heal()
        wait_until(lambda: old.role() == "slave", 60, "the old master is made a replica")
        assert site is world.network.hosts[3]
    watch.judge()
    switched = world.agent.find_log(event="master-switch", new_server=new.name)
    assert int(switched["votes"]) == 2
    report(watch)


def test_haproxy_on_the_minority_side(world, report):
    """HAProxy, the agent, the old master and one Sentinel are cut off from the rest."""
    one, two, three, site = world.network.hosts
    old = world.redis[0]
    with Watch(world) as watch:
        watch.wait_named(old.name)
        world.network.split([one, site], [two, three])
        cut = time.monotonic()
        new = world.wait_failover(old)
        watch.stay(3)
        assert watch.named_since(cut + VOTE_LIFE + ROUNDING) == {None}
        assert watch.writer.acknowledged()[-1].started < cut + VOTE_LIFE + ROUNDING
        world.network.heal()
        watch.wait_named(new.name)
        wait_until(lambda: len(watch.writer.acknowledged(new.port)) >= 20, 15, f"writes on {new.name}")
    watch.judge()
    assert world.agent.find_log(event="quorum-lost", reason="unreachable")
    report(watch)


def test_agent_cut_from_two_sentinels(world, report):
    """The agent loses the way to two of three Sentinels, and all else is whole."""
    _, two, three, site = world.network.hosts
    with Watch(world) as watch:
        watch.wait_named("R1")
        world.network.split([site], [two, three])
        cut = time.monotonic()
        wait_until(lambda: watch.last.master is None, 10, "nobody is named")
        watch.stay(4)
        assert watch.named_since(cut + VOTE_LIFE + ROUNDING) == {None}
        world.network.heal()
        watch.wait_named("R1")
    watch.judge()
    assert len(world.agent.log_lines(event="master-switch")) == 1
    report(watch)


def test_agent_cut_from_all(world, report):
    """The agent loses the way to everybody for five seconds."""
    *hosts, site = world.network.hosts
    with Watch(world) as watch:
        watch.wait_named("R1")
        world.network.split([site], hosts)
        cut = time.monotonic()
        watch.stay(5)
        assert watch.named_since(cut + VOTE_LIFE + ROUNDING) == {None}
        world.network.heal()
        watch.wait_named("R1")
    watch.judge()
    report(watch)


def overlap(one, other):
    """Seconds in which two questioners were told different names, by their answers in the order of time."""
    answers = sorted([(a.asked, 0, a.master) for a in one.answers] + [(a.asked, 1, a.master) for a in other.answers])
    said = [None, None]
    total, last = 0.0, None
    for when, who, name in answers:
        if last is not None and None not in said and said[0] != said[1]:
            total += when - last
        said[who], last = name, when
    return total


@pytest.mark.parametrize("world", [2], indirect=True, ids=["two_sites"])
def test_agents_on_both_sides(world, report):
    """Two hosts with HAProxy and an agent, one on each side of the cut: they never send to different masters."""
    one, two, three, site, other_site = world.network.hosts
    old = world.redis[0]
    with Watch(world, agents=[agent for agent, _ in world.sites]) as watch:
        watch.wait_named(old.name)
        world.network.split([one, site], [two, three, other_site])
        new = world.wait_failover(old)
        wait_until(lambda: watch.questioners[1].answers[-1].master == new.name, 30, "the majority's side goes on")
        watch.stay(2)
        assert watch.last.master is None
        world.network.heal()
        watch.wait_named(new.name)
    watch.judge()
    assert overlap(*watch.questioners) == 0
    report(watch, watch.questioners[1])


def test_flaky_ways(world, report):
    """The agent's ways come and go for ten seconds, while the old master and its Sentinel are cut off.

    So there are times at which the agent hears of the old master only.
    """
    *hosts, site = world.network.hosts
    one, two, three = hosts
    old = world.redis[0]
    chance = random.Random(7)
    with Watch(world) as watch:
        watch.wait_named(old.name)
        world.network.split([one], [two, three])
        until = time.monotonic() + 10
        while time.monotonic() < until:
            for host in hosts:
                (world.network.cut if chance.random() < 0.5 else world.network.join)(site, host)
            watch.stay(chance.uniform(0.05, 0.6))
        new = world.wait_failover(old)
        world.network.heal()
        watch.wait_named(new.name)
    watch.judge()
    report(watch)


def votes_since(watch, since):
    """The numbers of votes in answers to questions that were asked after `since`."""
    return {answer.variables["votes"] for answer in watch.questioner.answers if answer.asked > since and answer.master}


@needs_detours
def test_slow_sentinel(world, report):
    """A Sentinel's replies take 700 ms to the agent, longer than reply-timeout; the master is killed meanwhile.

    Late replies are no votes, whatever they name, and the other two suffice. The link stays up all the time, so it is
    the lateness that counts.
    """
    *_, three, site = world.network.hosts
    old = world.redis[0]
    with Watch(world) as watch:
        wait_until(lambda: watch.questioner.answers and watch.last.variables.get("votes") == 3, 15, "all have a vote")
        with Detour(world.network, delay=0.7) as detour:
            detour.lead(three, site)
            slow = time.monotonic() + VOTE_LIFE + ROUNDING
            wait_until(lambda: watch.last.asked > slow, 15, "its last vote has expired")
            watch.stay(2)
            assert watch.named_since(slow) == {old.name}
            old.kill()
            new = world.wait_failover(old)
            watch.wait_named(new.name)
            watch.stay(2)
            assert votes_since(watch, slow) == {2}
            assert detour.passed > 0
            assert not world.agent.find_log(event="sentinel-down")
        wait_until(lambda: watch.last.variables.get("votes") == 3, 15, "it has a vote again")
    watch.judge()
    report(watch)


@needs_detours
def test_lossy_ways(world, report):
    """The agent's host loses 30 % of all packets, while the old master and its Sentinel are cut off."""
    one, two, three, site = world.network.hosts
    old = world.redis[0]
    with Watch(world) as watch:
        watch.wait_named(old.name)
        with Detour(world.network, loss=0.3) as detour:
            for host in (one, two, three):
                detour.lead(host, site)
                detour.lead(site, host)
            world.network.split([one], [two, three])
            watch.stay(10)
        new = world.wait_failover(old)
        watch.wait_named(new.name)
    watch.judge()
    assert 0.2 < detour.lost / (detour.lost + detour.passed) < 0.4
    report(watch)
