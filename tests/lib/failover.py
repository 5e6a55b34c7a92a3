"""Failovers under writers, with the agent in one of its ways or with the usual recipe, and what they cost.

    result = run("manual", "agent, push")
    result.refused, result.lost, result.late_ms ...

Four scenarios: `kill` (kill -9 of the master under 50 clients that connect for each command), `manual` (SENTINEL FAILOVER,
the old master lives on), `split` (the old master and one Sentinel are cut off from the others, and HAProxy reaches both
sides) and `minority` (HAProxy and the agent are cut off with them). The last two last 12.5 s longer than
down-after-milliseconds. Six ways of the agent and the recipe, each also with Redis' min-replicas-to-write.
"""

import contextlib
import time
from dataclasses import dataclass

from cluster import HOST, Cluster
from load import Load
from netns import NetCluster, Network
from observers import Referee
from process import wait_until
from resp import RespError, ask

SCENARIOS = ("kill", "manual", "split", "minority")
SPLITS = ("split", "minority")
DOWN_AFTER = 2500  # ms
SPLIT = 12.5  # seconds, and down-after-milliseconds
AFTER = 3.0  # seconds that are watched after the new master has taken writes
# Longer than a failover, and HAProxy's patience longer than that.
PARK = "8s"
# The same where down-after-milliseconds is another one.
PARK_OVER, PROCESSING_OVER = 5500, 7500  # ms
# Known to be dead by the agent's own link; what HAProxy was told before that cannot be helped.
NOTICED = 0.05
# Who was at work on a master that died, or was cut, knows by then.
TOLD = 0.5

LONGEST_OVER = 200  # ms that a client may wait longer than Sentinel takes
# ms after the majority's new name in which the old master may still acknowledge a write, by way: 50, and where HAProxy asks
# for it check-delay and one agent-inter more.
LATEST = {"agent, pull": 550, "agent, push": 50, "agent, push, early fence": 50}
# ms after a split in which the old master may still acknowledge a write where `down-after` is 1500 ms and `fence` 1 s.
BOUND = 2500

EARLY = "early-fence = yes\n"
BOUNDED = "the same and down-after"
# way -> folder of haproxy-conf/, lines of the agent's [service]
WAYS = {
    "tcp-check recipe": (None, ""),
    "agent, no cut": (".", ""),
    "agent, pull": ("agent-check", ""),
    "agent, push": ("runtime-api", ""),
    "agent, push, early fence": ("runtime-api", EARLY),
    "agent, push, early fence, witness, fence": ("runtime-api", f"{EARLY}witness = yes\nfence = 1s\n"),
    BOUNDED: ("runtime-api", f"{EARLY}witness = yes\nfence = 1s\ndown-after = 1500ms\n"),
}
MIN_REPLICAS = "min-replicas-to-write 1\nmin-replicas-max-lag 2"

# As it stands in a hundred blogs.
RECIPE = """\
global
    log stdout format raw local0 info
    maxconn 4000

defaults
    mode tcp
    log global
    timeout connect 500ms
    timeout client 1h
    timeout server 1h

frontend fe_redis
    bind {bind}
    default_backend be_redis

backend be_redis
    option tcp-check
    tcp-check send PING\\r\\n
    tcp-check expect string +PONG
    tcp-check send info\\ replication\\r\\n
    tcp-check expect string role:master
    tcp-check send QUIT\\r\\n
    tcp-check expect string +OK
{servers}
"""


@dataclass
class Result:
    """What a failover cost. Times in ms."""
    scenario: str
    way: str
    min_replicas: bool
    down_after: int  # Sentinel's
    attempts: int  # of short-lived writers
    refused: int  # of these: without any answer of a Redis
    refused_late: int  # of these: not at work when the master died or sessions were cut
    longest_connect: float  # of those that were served, the reply included
    gap: float  # the longest time in which no short-lived writer was served
    sentinel_took: float  # from the cause to the majority's new name
    acknowledged: int  # of all writers
    lost: int  # of these: not on the master in the end
    last: float  # from the cause to the last write that the old master acknowledged
    late: float  # from the majority's new name to that; under 0: before it
    late_writes: int  # acknowledged by the old master after that

    def row(self):
        """Of the table of HEAD."""
        return (self.scenario, self.way, str(self.down_after), "1" if self.min_replicas else "0",
                f"{self.refused} of {self.attempts}", f"{self.gap:.0f}", f"{self.longest_connect:.0f}", f"{self.sentinel_took:.0f}",
                f"{self.last:.0f}", f"{self.late:+.0f}", str(self.late_writes), f"{self.lost} of {self.acknowledged}")


HEAD = ("failover", "way", "down-after-milliseconds", "min-replicas-to-write", "connections refused", "longest gap, ms",
        "longest connect, ms", "Sentinel took, ms", "old master's last write, ms after the cause", "ms after the new name",
        "writes after that", "acknowledged and lost")


class WithoutAgent:
    """A cluster with the recipe: HAProxy looks for `role:master` itself."""

    def start_agent(self, edits=None):
        pass

    def start_haproxy(self, edits=None, spoe_edits=None):
        servers = "\n".join(f"    server {node.name} {node.where} check inter 1s" for node in self.redis)
        bind = self.haproxy.where
        if self.haproxy.host != HOST:
            bind += f"\n    bind unix@{self.haproxy.address}"
        self.haproxy.config_path.write_text(RECIPE.format(bind=bind, servers=servers))
        self.haproxy.start()


class RecipeCluster(WithoutAgent, Cluster):
    pass


class RecipeNetCluster(WithoutAgent, NetCluster):
    pass


@contextlib.contextmanager
def arena(scenario, way, min_replicas, down_after):
    """A cluster that serves."""
    recipe, service = WAYS[way]
    with contextlib.ExitStack() as stack:
        if scenario in SPLITS:
            network = stack.enter_context(Network(4))
            made = RecipeNetCluster(network) if recipe is None else NetCluster(network, recipe=recipe)
        else:
            made = RecipeCluster() if recipe is None else Cluster(recipe=recipe)
        cluster = stack.enter_context(made)
        cluster.park = f"{down_after + PARK_OVER}ms"
        for node in cluster.redis:
            node.extra = MIN_REPLICAS if min_replicas else ""
        cluster.start_redis()
        cluster.start_sentinels(down_after=down_after)
        cluster.start_agent({"[service mymaster]\n": f"[service mymaster]\n{service}"} if service else None)
        cluster.start_haproxy(spoe_edits={"timeout processing 10s": f"timeout processing {down_after + PROCESSING_OVER}ms"})
        cluster.wait_served()
        yield cluster


def cause(scenario, cluster):
    """What makes another node the master."""
    if scenario == "kill":
        cluster.redis[0].kill()
    elif scenario == "manual":
        cluster.sentinels[1].fail_over()
    else:
        one, two, three, ours = cluster.network.hosts
        cluster.network.split([one] if scenario == "split" else [one, ours], [two, three])


def keys_of(node, writes):
    """How many of the acknowledged writes the node has."""
    keys = [write.key for write in writes]
    chunks = [keys[i:i + 1000] for i in range(0, len(keys), 1000)]
    return sum(value is not None for chunk in chunks for value in ask(node.address, "MGET", *chunk, timeout=10))


def wait_writes(node, count):
    """So many more keys on this node."""
    before = node.call("DBSIZE")
    wait_until(lambda: node.call("DBSIZE") >= before + count, 60, f"{count} writes on {node.name}")


def watch(seconds):
    ended = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > ended, seconds + 10, "the time is over")


def split_ends(caused, down_after):
    return caused + SPLIT + down_after / 1000


def finish(scenario, cluster, nodes, caused, down_after):
    """Until the failover is over and a while longer."""
    old, new = nodes
    if scenario in SPLITS:
        watch(split_ends(caused, down_after) - time.monotonic())
        cluster.network.heal()
    with contextlib.suppress(RespError):
        wait_writes(new, 20)
    watch(AFTER)
    if scenario != "kill":
        wait_until(lambda: old.role() == "slave", 60, "the old master is made a replica")


def run(scenario, way, min_replicas=False, down_after=DOWN_AFTER):
    """One failover."""
    with arena(scenario, way, min_replicas, down_after) as cluster:
        old = cluster.redis[0]
        clients = 50 if scenario == "kill" else 8
        with Referee(cluster.sentinels, cluster.haproxy if WAYS[way][0] is None else cluster.agent) as referee:
            with (Load(cluster.haproxy.address, clients, prefix="short") as short,
                  Load(cluster.haproxy.address, 8, persistent=True, prefix="persistent") as persistent):
                wait_writes(old, 500)
                caused = time.monotonic()
                cause(scenario, cluster)
                new = cluster.wait_failover(old, 60)
                finish(scenario, cluster, (old, new), caused, down_after)
            named = referee.majority_named[(new.host, new.port)]
        return judge((scenario, way, min_replicas, down_after), (caused, named), (old, new), (short, persistent))


def longest_gap(writes):
    """Seconds without one of these; they are in the order of time."""
    return max(after.ended - before.ended for before, after in zip(writes, writes[1:]))


def is_caught(attempt, times):
    """Whether it was at work when the master died, or when the sessions to the old one were cut."""
    return any(attempt.started <= when + NOTICED and when - NOTICED <= attempt.ended <= when + TOLD for when in times)


def judge(what, times, nodes, loads):
    """what: scenario, way, min_replicas, down_after; times: of the cause and of the majority's new name; nodes: old and new."""
    caused, named = times
    old, new = nodes
    short, persistent = loads
    writes = short.acknowledged() + persistent.acknowledged()
    olds = [write for write in writes if write.port == old.port and write.ended <= split_ends(caused, what[3])]
    refused = short.refused()
    return Result(
        *what, attempts=len(short.attempts), refused=len(refused),
        refused_late=len([one for one in refused if not is_caught(one, times)]),
        longest_connect=max(one.ended - one.started for one in short.acknowledged()) * 1000,
        gap=longest_gap(short.acknowledged()) * 1000,
        sentinel_took=(named - caused) * 1000,
        acknowledged=len(writes), lost=len(writes) - keys_of(new, writes),
        last=(max(write.ended for write in olds) - caused) * 1000,
        late=(max(write.ended for write in olds) - named) * 1000,
        late_writes=len([write for write in olds if write.ended > named]))


def broken_promises(result):
    """What the agent promises and did not keep, a sentence each; nothing is promised of the recipe."""
    what = f"{result.scenario}, {result.way}{', min-replicas-to-write 1' if result.min_replicas else ''}"
    broken = []
    if WAYS[result.way][0] is None:
        return broken
    # Two Sentinels that each vote for themselves try again after twice failover-timeout: no client waits for so long.
    # On the minority's side nobody is served before the split ends.
    is_in_time = result.sentinel_took < result.down_after + PARK_OVER and result.scenario != "minority"
    if result.refused_late and is_in_time:
        broken.append(f"{what}: {result.refused_late} connections were refused that could have waited")
    if result.longest_connect > result.sentinel_took + LONGEST_OVER and is_in_time:
        broken.append(f"{what}: a connect took {result.longest_connect:.0f} ms, Sentinel {result.sentinel_took:.0f} ms")
    if result.way == BOUNDED and result.scenario in SPLITS and result.last > BOUND:
        broken.append(f"{what}: the old master's last write came {result.last:.0f} ms after the split")
    if result.way in LATEST and result.late > LATEST[result.way]:
        broken.append(f"{what}: the old master's last write came {result.late:.0f} ms after the majority's new name")
    return broken
