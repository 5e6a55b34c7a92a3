"""Clients that wait in HAProxy's queue for a server with `maxconn`: a cut makes room, and they must not get it at the old master."""

import contextlib
import threading
import time

import pytest
from cluster import Cluster
from resp import Resp

CLIENTS = 40
SEEN = 4  # seconds after the switch
LONGEST = 1.5  # the shipped `timeout queue` is 500 ms


def ask_until_told(address, seen, ends):
    """Connects, and stays until it is cut; notes when which node has answered."""
    while not ends.is_set():
        with contextlib.suppress(OSError), Resp(address, 10) as connection:
            while not ends.is_set():
                seen.append((int(connection.call("CONFIG", "GET", "port")[1]), time.monotonic()))
                time.sleep(0.02)
        time.sleep(0.01)


@contextlib.contextmanager
def clients(address):
    """What they have seen: (port, when) each."""
    seen, ends = [], threading.Event()
    threads = [threading.Thread(target=ask_until_told, args=(address, seen, ends)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ends.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("recipe", ["runtime-api", "agent-check"])
def test_nobody_in_the_queue_reaches_the_old_master(recipe):
    """Although another file's defaults have a long `timeout queue`: the recipe bounds it."""
    with Cluster(recipe=recipe) as cluster:
        cluster.start_redis()
        cluster.start_sentinels()
        cluster.start_agent()
        cluster.start_haproxy({"defaults\n": "defaults\n    timeout queue 1m\n", " tcp-ut 3s": " tcp-ut 3s maxconn 2"})
        cluster.wait_served()
        old = cluster.redis[0]
        with clients(cluster.haproxy.address) as seen:
            cluster.sentinels[0].fail_over()
            cluster.agent.wait_log(event="master-switch", old_server="R1", timeout=30)
            switched = time.monotonic()
            time.sleep(SEEN)
        last = max(when for port, when in seen if port == old.port)
        assert last - switched < LONGEST, f"the old master's last answer came {last - switched:.1f} s after the switch"
        assert any(port != old.port for port, _ in seen)
