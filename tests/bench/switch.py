"""How long a switch takes: from the moment when a majority of the Sentinels names the new master, by a referee that asks
them every two milliseconds, until the agent says so, and until a new connection through HAProxy gets there; beside it the
two usual recipes in the same failovers."""

import os
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import failover
from bench import CLIENT_CPU, CPUS, PROGRAMS, Table, verdict
from cluster import HOST, Cluster, HAProxy
from process import die_with, free_ports, wait_until

FAILOVERS = int(os.environ.get("FAILOVERS", "50"))
P50_MS, P99_MS = 5, 20
# What is watched after a majority has named the new master, before the old one is made a replica by hand: Sentinel takes
# ten seconds for that.
AFTER_S = 6.0
WAYS = ["agent", "tcp-check recipe", "nbsrv recipe"]

# As it is passed on: a backend per node, whose servers are the Sentinels.
NBSRV = failover.RECIPE.partition("\nbackend be_redis\n")[0] + """
backend be_redis
{rules}
{servers}

{checks}
"""
CHECK = """\
backend check_{name}
    option tcp-check
    tcp-check send SENTINEL\\ get-master-addr-by-name\\ mymaster\\r\\n
    tcp-check expect string {port}
    default-server check inter 1s
{sentinels}
"""


def nbsrv_config(cluster, bind):
    sentinels = "\n".join(f"    server {one.name} {one.where}" for one in cluster.sentinels)
    return NBSRV.format(
        bind=bind, rules="\n".join(f"    use-server {node.name} if {{ nbsrv(check_{node.name}) ge 2 }}" for node in cluster.redis),
        servers="\n".join(f"    server {node.name} {node.where}" for node in cluster.redis),
        checks="\n".join(CHECK.format(name=node.name, port=node.port, sentinels=sentinels) for node in cluster.redis))


def recipe_config(cluster, bind):
    return failover.RECIPE.format(bind=bind, servers="\n".join(
        f"    server {node.name} {node.where} check inter 1s" for node in cluster.redis))


class Watcher:
    """switch.c, and what it has printed: (ns, who, what)."""

    def __init__(self, cluster, ports):
        words = [PROGRAMS / "switch", cluster.agent.address, ",".join(str(one.port) for one in cluster.sentinels), *map(str, ports)]
        self.child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      preexec_fn=die_with(os.getpid()))
        self.events = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.child.stdout:
            when, who, what = line.split()
            self.events.append((int(when), who, what))

    def find(self, who, what, since=0):
        """When that was printed first; None where it was not."""
        return next((when for when, one, other in list(self.events) if (one, other) == (who, what) and when >= since), None)

    def stop(self):
        self.child.stdin.close()
        self.child.wait(10)
        self.thread.join(10)


def next_failover(cluster, watcher, master):
    """One failover; the new master and when a majority named it."""
    began = time.monotonic_ns()
    cluster.sentinels[0].fail_over()
    new = cluster.wait_failover(master, 60)
    majority = wait_until(lambda: watcher.find("majority", str(new.port), began), 30, "the referee has seen it")
    time.sleep(AFTER_S)
    return new, began, majority


def calm_down(cluster, new):
    """All others are its replicas again. What the Sentinels know of that is their matter: until then they refuse a failover."""
    for node in cluster.redis:
        if node is not new and node.role() == "master":
            node.call("REPLICAOF", new.host, str(new.port))
    for node in cluster.redis:
        if node is not new:
            wait_until(node.in_sync, 30, f"{node.name} is in sync")


def measure():
    """Times in ms after the majority's word: to the agent's answer; by way to the first connection that reached the new
    master, and to when no more went elsewhere. What did not happen while it was watched took for ever."""
    answers, firsts, lasts = [], {way: [] for way in WAYS}, {way: [] for way in WAYS}
    with Cluster() as cluster, tempfile.TemporaryDirectory(prefix="sentinel-spoa-") as folder:
        cluster.start()
        ports = free_ports(2)
        recipes = []
        for name, port, text in zip(("tcp-check", "nbsrv"), ports, (recipe_config, nbsrv_config)):
            proxy = HAProxy(Path(folder), port, name=name)
            proxy.config_path.write_text(text(cluster, f"{HOST}:{port}"))
            recipes.append(proxy.start())
        watcher = Watcher(cluster, [cluster.haproxy.port, *ports])
        master = cluster.redis[0]
        for _ in range(FAILOVERS):
            new, began, majority = next_failover(cluster, watcher, master)
            answers.append(after_ms(majority, watcher.find("agent", new.name, began)))
            for index, way in enumerate(WAYS):
                note_path(watcher, f"path{index}", str(new.port), (began, majority), firsts[way], lasts[way])
            calm_down(cluster, new)
            master = new
        watcher.stop()
        for proxy in recipes:
            proxy.stop()
    return answers, firsts, lasts


def after_ms(majority, when):
    """`when` may be None: not at all."""
    return float("inf") if when is None else (when - majority) / 1e6


def note_path(watcher, path, new, times, firsts, lasts):
    """When a connection first reached the new master, and when one last went elsewhere."""
    began, majority = times
    changes = [(when, what) for when, who, what in list(watcher.events) if who == path and when >= began]
    reached = next((when for when, what in changes if what == new), None)
    firsts.append(after_ms(majority, reached))
    # Until it stayed there: the last change to the new master, or the end where it still goes elsewhere.
    settled = changes[-1][0] if changes and changes[-1][1] == new else None
    lasts.append(after_ms(majority, settled))


def quantiles(times):
    """Median, 99th percentile and both ends, in ms, as text."""
    times = sorted(times)
    p99 = times[min(len(times) - 1, round(0.99 * (len(times) - 1)))]
    return statistics.median(times), p99, times[0], times[-1]


def text(ms):
    return f"over {AFTER_S * 1000:,.0f}" if ms == float("inf") else f"{ms:+.1f}"


def tables():
    os.sched_setaffinity(0, CPUS)  # a dozen programs, which the kernel may place as it likes
    answers, firsts, lasts = measure()
    os.sched_setaffinity(0, {CLIENT_CPU})
    table = Table(f"Time to switch in {FAILOVERS} failovers (SENTINEL FAILOVER): ms after a majority of the Sentinels named the new master",
                  ["what", "p50", "p99", "least", "most", f"p50 < {P50_MS}", f"p99 < {P99_MS}"])
    rows = [("the agent's first answer with it", answers, True)]
    for way in WAYS:
        rows.append((f"{way}: first connection that reaches it", firsts[way], way == "agent"))
    for way in WAYS:
        rows.append((f"{way}: from when on no connection goes elsewhere", lasts[way], way == "agent"))
    for name, times, is_ours in rows:
        p50, p99, least, most = quantiles(times)
        table.add(name, text(p50), text(p99), text(least), text(most),
                  *((verdict(p50, P50_MS), verdict(p99, P99_MS)) if is_ours else ("", "")))
    return [table]
