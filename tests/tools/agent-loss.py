#!/usr/bin/python3
"""agent-loss.py [SECONDS ...]: how long clients wait for an agent that is gone, by `timeout processing` (5 and 10).

Clients wait in the agent, for the master is dead, and new ones come every 50 ms. Then the agent is killed (SIGKILL), or
stopped (SIGSTOP). HAProxy is the one of this machine, with the shipped files. Prints a table.
"""

import sys
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from cluster import Cluster  # noqa: E402
from process import wait_until  # noqa: E402
from resp import Resp, RespError  # noqa: E402

WAITING = 20  # clients that the agent has when it goes
BREAK = 0.05  # seconds between two new ones
DOWN_AFTER = 60000  # ms: nobody else is named meanwhile
MARGIN = 3  # seconds after `timeout processing`


class Client(threading.Thread):
    """One connection: when it began and when it was refused."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address = address
        self.began, self.ended = time.monotonic(), None
        self.start()

    def run(self):
        try:
            with Resp(self.address, 60) as connection:
                connection.call("PING")
        except (OSError, RespError):
            pass
        self.ended = time.monotonic()


def watch(cluster, go, seconds):
    """Clients that waited when the agent went, and those that came later, until all have been refused."""
    waiting = [Client(cluster.haproxy.address) for _ in range(WAITING)]
    wait_until(lambda: cluster.agent.metric("redis_spoa_parked_streams") == WAITING, 5, "all wait")
    went = time.monotonic()
    go()
    later = []
    while time.monotonic() < went + seconds + MARGIN:
        later.append(Client(cluster.haproxy.address))
        time.sleep(BREAK)
    for client in (*waiting, *later):
        client.join(60)
    return went, waiting, later


def measure(seconds, way):
    with Cluster() as cluster:
        cluster.park = "60s"
        cluster.start_redis()
        cluster.start_sentinels(down_after=DOWN_AFTER)
        cluster.start_agent()
        cluster.start_haproxy(spoe_edits={"timeout processing 10s": f"timeout processing {seconds}s"})
        cluster.wait_served()
        cluster.redis[0].kill()
        cluster.agent.wait_log(event="master-doubted")
        went, waiting, later = watch(cluster, cluster.agent.kill if way == "SIGKILL" else cluster.agent.pause, seconds)
    slow = [client for client in later if client.ended - client.began > 0.5]
    return (max(client.ended - went for client in waiting), len(slow),
            max((client.ended - client.began for client in slow), default=0),
            max((client.began - went for client in slow), default=0))


def main():
    print("| the agent | `timeout processing` | those who waited are refused after | later ones that waited | the longest | the last of them came after |")
    print("|---|---|---|---|---|---|")
    for way in ("SIGKILL", "SIGSTOP"):
        for seconds in map(int, sys.argv[1:] or ("5", "10")):
            first, count, longest, last = measure(seconds, way)
            print(f"| {way} | {seconds} s | {first:.2f} s | {count} | {longest:.2f} s | {last:.2f} s |", flush=True)


if __name__ == "__main__":
    main()
