"""What clients see of a failover and what is lost of their writes: the promises, with real programs under writers.

`make failover-report` prints the figures of all ways beside those of the usual recipe.
"""

import time

import failover
import pytest
from cluster import Cluster
from netns import why_not
from process import wait_until
from resp import Resp
from rig import check_clean

needs_network = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


def test_kill_under_fifty_clients():
    """kill -9 of the master: nobody is refused but those that HAProxy had sent there already, nobody waits much longer than
    Sentinel takes, nothing that was acknowledged is lost but what was not replicated yet."""
    result = failover.run("kill", "agent, push")
    assert failover.broken_promises(result) == [], result
    assert result.refused <= 50, result  # one for each client


def test_failover_by_order_with_early_fence():
    """The old master is alive and writable all the time: next to nothing is lost."""
    result = failover.run("manual", "agent, push, early fence")
    assert failover.broken_promises(result) == [], result
    assert result.lost <= result.acknowledged / 500, result


@needs_network
@pytest.mark.parametrize("way", ["agent, push", "agent, pull"])
def test_split_brain(way):
    """The old master stays writable beyond the majority's sight: it gets no write once the new one is named."""
    result = failover.run("split", way)
    assert failover.broken_promises(result) == [], result


def test_two_hundred_wait_at_once():
    """200 connections wait for a master and all go on when there is one; twice, and the second time takes no more memory."""
    with Cluster(redis=1) as cluster:
        cluster.park = "20s"
        cluster.start_redis()
        cluster.start_sentinels(down_after=60000)
        cluster.start_agent()
        cluster.start_haproxy(spoe_edits={"timeout processing 10s": "timeout processing 25s"})
        cluster.wait_served()
        sizes = []
        for _ in range(2):
            wait_together(cluster, 200)
            sizes.append(cluster.agent.resident_kib())
        assert cluster.agent.is_sanitized or sizes[1] <= sizes[0] + 256, sizes
        check_clean(cluster.agent)


def wait_together(cluster, count):
    """So many connections while nobody is named; all are served when the Sentinels go on."""
    mark = cluster.agent.mark()
    for sentinel in cluster.sentinels:
        sentinel.pause()
    cluster.agent.wait_log(event="quorum-lost", since=mark)
    clients = [Resp(cluster.haproxy.address, 30) for _ in range(count)]
    try:
        for i, client in enumerate(clients):
            client.send("SET", f"key:{i}", time.monotonic())
        for client in clients:
            client.sock.settimeout(0.001)
            with pytest.raises(TimeoutError):
                client.sock.recv(1)
            client.sock.settimeout(30)
        for sentinel in cluster.sentinels:
            sentinel.resume()
        assert {client.read() for client in clients} == {"OK"}
    finally:
        for client in clients:
            client.close()
    wait_until(cluster.serves, 15, "served as ever")
