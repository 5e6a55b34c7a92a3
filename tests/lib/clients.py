"""Real clients through a failover, each beside the others: behind HAProxy with the agent in two of its ways, with their own
support of Sentinel, and behind HAProxy with the usual recipe, all against one cluster and through the same failover.

    run("kill", "write", ["ioredis", "redis-rb"]).outcomes      # an Outcome for each client and way
    why_not("ioredis")                                          # None, or why it cannot be run here

The programs are in tests/clients/. The words of their command line:

    ROLE MODE SERVICE PREFIX ADDRESS...

ROLE is `write` (INCR of a key of its own for each operation, PREFIX:N), `publish` or `subscribe` (the channel PREFIX).
MODE is `proxy` (ADDRESS is HAProxy's) or `sentinel` (the addresses are Sentinels). A program goes on until it is killed and
prints JSON lines:

    {"n": N, "started": S, "ended": S, "ok": BOOL, "error": TEXT}   an operation; times as of time.monotonic()
    {"done": N}                                                     a message was received, or a job done
    {"ready": true}                                                 it is subscribed

N is a number, with Node.js LOOP:NUMBER: there four loops share one client, elsewhere there are four processes. In the
environment of some, REPLY_TIMEOUT is a reply time limit in seconds and CLIENT_NAME the connection's name.
"""

import collections
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import failover
from cluster import ROOT, SERVICE, Cluster
from failover import DOWN_AFTER, PARK, RecipeCluster
from process import PATH, Process, Timeout, wait_until
from resp import ask
from rig import check_clean

PROGRAMS = ROOT / "tests" / "clients"
BUILT = ROOT / "build" / "clients"
NODE_PATH = BUILT / "node_modules"

SCENARIOS = ("kill", "manual", "stop")
# But for the clients' own support, ways of failover.WAYS.
AGENT, EARLY, SENTINEL, TCP_CHECK = WAYS = ("agent, push", "agent, push, early fence", "own Sentinel support",
                                            "tcp-check recipe")

PROCESSES = 4  # of a client whose program has one writer
GOING = 10  # operations of each writer before the failover
RECOVERY = 30.0  # seconds after the failover in which a client has to be served again
AFTER = 2.0  # seconds that are watched after that
# BullMQ gives a job to another worker when its lock is over (30 s) and the next look at such jobs comes (30 s).
DELIVERY = 75.0


@dataclass(frozen=True)
class Client:
    """words: its program; version: prints its version, or fails where it is not there."""
    words: tuple
    version: tuple
    set: str = "defaults"
    processes: int = PROCESSES
    has_channels: bool = True  # Pub/Sub
    has_jobs: bool = False  # what was executed is what its worker did
    environment: tuple = ()


def node(program, package, **more):
    return Client(("node", program), ("node", "-p", f"require('{package}/package.json').version"), processes=1, **more)


REDIS_PY, REDIS_PY_VERSION = (sys.executable, "redis_py.py"), (sys.executable, "-c", "import redis; print(redis.__version__)")
REDIS_RB, REDIS_RB_VERSION = ("ruby", "redis_rb.rb"), ("ruby", "-r", "redis", "-e", "puts Redis::VERSION")
IMPATIENT = ("REPLY_TIMEOUT=1",)  # seconds

CLIENTS = {
    "ioredis": node("ioredis.js", "ioredis"),
    "node-redis": node("node-redis.js", "redis", set="a listener for errors"),
    "BullMQ": node("bullmq.js", "bullmq", set="listeners for errors", has_channels=False, has_jobs=True),
    "redis-py": Client(REDIS_PY, REDIS_PY_VERSION),
    "redis-py, impatient": Client(REDIS_PY, REDIS_PY_VERSION, "`socket_timeout=1`, three retries", environment=IMPATIENT),
    "phpredis": Client(("php", "phpredis.php"), ("php", "-r", "echo phpversion('redis') ?: exit(1);")),
    "redis-rb": Client(REDIS_RB, REDIS_RB_VERSION),
    "redis-rb, impatient": Client(REDIS_RB, REDIS_RB_VERSION, "`timeout: 1`, as redis-rb 5 has it by default",
                                  environment=IMPATIENT),
    "redis-rb, impatient, named": Client(REDIS_RB, REDIS_RB_VERSION, "`timeout: 1`, `id:`, so that CLIENT SETNAME comes first",
                                         environment=(*IMPATIENT, "CLIENT_NAME=report")),
    "Redis.pm": Client(("perl", "redis_pm.pl"), ("perl", "-MRedis", "-e", "print Redis->VERSION"), set="`reconnect => 60`"),
}


# ---- whether they are there ----

def install_packages():
    """What the programs for Node.js need, as the lock has it; again only where the lock has changed."""
    lock = (PROGRAMS / "package-lock.json").read_bytes()
    digest, stamp = hashlib.sha256(lock).hexdigest(), BUILT / "installed"
    if stamp.exists() and stamp.read_text() == digest:
        return
    BUILT.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PROGRAMS / name, BUILT)
    said("npm", "ci", "--prefix", str(BUILT), "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund",
         "--fetch-retries=1", "--fetch-timeout=30000")
    stamp.write_text(digest)


def said(*words):
    """What a program prints; OSError with its complaint where it fails."""
    done = subprocess.run(words, env={**os.environ, "PATH": PATH, "NODE_PATH": str(NODE_PATH)}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        complaint = " ".join(done.stderr.split())[:500]
        raise OSError(f"{words[0]}: {complaint or f'exit status {done.returncode}'}")
    return done.stdout.strip()


def version(name):
    """OSError where the client cannot be run here."""
    client = CLIENTS[name]
    if client.words[0] == "node":
        install_packages()
    return said(*client.version)


def why_not(name):
    """None where the client can be run."""
    try:
        version(name)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{name} cannot be run: {error}"
    return None


# ---- one program ----

@dataclass
class Operation:
    """Times are of time.monotonic()."""
    n: str
    started: float
    ended: float
    ok: bool
    error: str

    @property
    def writer(self):
        """Which of the program's loops."""
        return self.n.rpartition(":")[0]


class Program(Process):
    """One process of a client, and what it has printed so far."""

    def __init__(self, directory, client, role, where, prefix):
        """where: the way, and the addresses."""
        super().__init__(prefix.replace(":", "-") + f"-{role}", directory)
        self.prefix = ["env", f"NODE_PATH={NODE_PATH}", *client.environment]
        self.client = client
        self.role = role
        self.way, self.addresses = where
        self.keys = prefix
        self.read_up_to = 0
        self.operations = []
        self.done = collections.Counter()
        self.is_subscribed = False

    def command(self):
        program, source = self.client.words
        mode = "sentinel" if self.way == SENTINEL else "proxy"
        return [program, str(PROGRAMS / source), self.role, mode, SERVICE, self.keys,
                *(f"{host}:{port}" for host, port in self.addresses)]

    def read(self):
        """What it has printed since; beside the lines are the complaints of the client. Returns self."""
        with open(self.log_path, "rb") as log:
            log.seek(self.read_up_to)
            data = log.read()
        data = data[:data.rfind(b"\n") + 1]
        self.read_up_to += len(data)
        for line in data.decode(errors="replace").splitlines():
            if line.startswith('{"'):
                self.note(json.loads(line))
        return self

    def note(self, line):
        if "n" in line:
            self.operations.append(Operation(**line))
        elif "done" in line:
            self.done[line["done"]] += 1
        else:
            self.is_subscribed = True

    def writers(self):
        """The operations of each writer, in the order of time."""
        found = {}
        for operation in self.operations:
            found.setdefault(operation.writer, []).append(operation)
        return found

    def is_going(self):
        self.read()
        if self.role == "subscribe":
            return self.is_subscribed
        writers = self.writers().values()
        return bool(writers) and all(sum(one.ok for one in writer) >= GOING for writer in writers)

    def recovered(self, since):
        """Of how many writers an operation was acknowledged that began after this moment."""
        return sum(any(one.ok and one.started > since for one in writer) for writer in self.writers().values())

    def has_recovered(self, since):
        self.read()
        return self.role == "subscribe" or self.recovered(since) == len(self.writers())

    def fate(self):
        """How it ended by itself, with its last words; empty where it has not."""
        if self.alive():
            return ""
        code = self.child.returncode
        words = [line for line in self.log_text().splitlines() if not line.startswith('{"')]
        return " ".join([f"exit status {code}" if code >= 0 else signal.Signals(-code).name, *words[-1:]])

    def acknowledged(self, before):
        return [one.n for one in self.operations if one.ok and one.ended <= before]


# ---- what came of it ----

@dataclass
class Outcome:
    """How one client fared in one way. Of Pub/Sub only what `publish` says."""
    client: str
    way: str
    operations: int = 0
    errors: int = 0
    stall: float = 0.0  # seconds: the longest that a writer was without an acknowledged operation
    acknowledged: int = 0
    lost: int = 0  # of these: never executed (messages: never received)
    waiting: int = 0  # jobs that are still in the queue
    twice: int = 0  # operations that were executed more than once
    ghosts: int = 0  # operations that were executed though their client was told that they failed
    writers: int = 0
    recovered: int = 0  # of these
    ended: str = ""  # how programs ended that did so by themselves
    last_error: str = ""  # of a writer that has not recovered


@dataclass
class Failover:
    """took: seconds from the cause to the majority's new name."""
    scenario: str
    took: float
    outcomes: list


def longest_stall(writer, closing):
    moments = [one.ended for one in writer if one.ok and one.ended <= closing] + [closing]
    return max(later - earlier for earlier, later in zip(moments, moments[1:]))


def values(address, keys):
    """What is in these keys: {key: number}, 0 where nothing is."""
    found = {}
    for i in range(0, len(keys), 1000):
        chunk = keys[i:i + 1000]
        found.update(zip(chunk, (int(value or 0) for value in ask(address, "MGET", *chunk, timeout=10))))
    return found


def executions(program, master):
    """How often each of its operations was executed."""
    if program.client.has_jobs:
        return program.done
    keys = [f"{program.keys}:{one.n}" for one in program.operations]
    return {key[len(program.keys) + 1:]: value for key, value in values(master.address, keys).items()}


def jobs_left(program, master):
    """The jobs that its queue still has."""
    if not program.client.has_jobs:
        return set()
    queue = "bull:" + program.keys.replace(":", "-")
    ids = [job for state in ("wait", "active") for job in master.call("LRANGE", f"{queue}:{state}", 0, -1)]
    return {json.loads(master.call("HGET", f"{queue}:{job}", "data"))["n"] for job in ids}


def add_writer_program(outcome, program, master, moments):
    """To the outcome of its client and way."""
    over, closing = moments
    times, left = executions(program, master), jobs_left(program, master)
    judged = [one for one in program.operations if one.ended <= closing]
    missing = {one.n for one in judged if one.ok and not times.get(one.n)}
    writers = program.writers()
    outcome.operations += len(judged)
    outcome.errors += sum(not one.ok for one in judged)
    outcome.acknowledged += sum(one.ok for one in judged)
    outcome.lost += len(missing - left)
    outcome.waiting += len(missing & left)
    outcome.twice += sum(times.get(one.n, 0) > 1 for one in judged)
    outcome.ghosts += sum(not one.ok and times.get(one.n, 0) > 0 for one in judged)
    outcome.stall = max(outcome.stall, *(longest_stall(writer, closing) for writer in writers.values()))
    outcome.writers += len(writers)
    outcome.recovered += program.recovered(over)
    outcome.last_error = outcome.last_error or next((one.error for one in reversed(judged) if not one.ok), "")


def add_publisher(outcome, publisher, subscriber, moments):
    over, closing = moments
    sent = publisher.acknowledged(closing)
    outcome.acknowledged += len(sent)
    outcome.lost += sum(n not in subscriber.done for n in sent)
    outcome.writers += len(publisher.writers())
    outcome.recovered += publisher.recovered(over)


# ---- a failover ----

def front(way, cluster, stack):
    """HAProxy, and the agent where the way has one, before the nodes and Sentinels of the cluster; the stack ends them."""
    recipe, service = failover.WAYS[way]
    made = stack.enter_context(RecipeCluster() if recipe is None else Cluster(recipe=recipe))
    made.redis, made.sentinels = cluster.redis, cluster.sentinels
    made.park = PARK
    made.start_agent({f"[service {SERVICE}]\n": f"[service {SERVICE}]\n{service}"})
    made.start_haproxy()
    if recipe is None:
        # Until its first checks HAProxy takes all nodes for masters.
        for replica in cluster.redis[1:]:
            made.haproxy.wait_log(f"Server be_redis/{replica.name} is DOWN", 30)
    made.wait_served()
    return made


class Arena:
    """What stands before a cluster, and the programs."""

    def __init__(self, cluster, stack):
        self.cluster = cluster
        self.stack = stack  # what is to be ended
        self.fronts = []
        self.programs = {}

    def start(self, role, names, ways):
        """Returns when all are at work."""
        self.cluster.start_redis()
        self.cluster.start_sentinels(down_after=DOWN_AFTER)
        for way in ways:
            addresses = self.addresses(way)
            for name in names:
                self.programs[name, way] = self.make(role, name, (way, addresses), f"{ways.index(way)}")
        for program in self.all():
            self.stack.callback(program.kill)
            program.spawn()
        for program in self.all():
            wait_going(program)

    def addresses(self, way):
        if way == SENTINEL:
            return [sentinel.address for sentinel in self.cluster.sentinels]
        self.fronts.append(front(way, self.cluster, self.stack))
        return [self.fronts[-1].haproxy.address]

    def make(self, role, name, where, suffix):
        client, directory = CLIENTS[name], self.cluster.directory
        prefix = f"{re.sub('[, ]+', '-', name)}:{suffix}"
        if role == "write":
            return [Program(directory, client, role, where, f"{prefix}:{i}") for i in range(client.processes)]
        return [Program(directory, client, one, where, prefix) for one in ("subscribe", "publish")]

    def all(self):
        return [program for programs in self.programs.values() for program in programs]


def wait_going(program):
    try:
        wait_until(lambda: program.check_alive() and program.is_going(), 60, f"{program.name} is at work")
    except Timeout as error:
        raise Timeout(f"{error}; it says:\n{program.log_text()[-2000:]}") from None


def cause(scenario, cluster):
    """What makes another node the master. A node that hangs does not come back."""
    if scenario == "kill":
        cluster.redis[0].kill()
    elif scenario == "stop":
        cluster.redis[0].pause()
    else:
        cluster.sentinels[1].fail_over()


def wait_or_not(condition, deadline):
    """Until the condition or the moment comes."""
    wait_until(lambda: condition() or time.monotonic() > deadline, deadline - time.monotonic() + 10, "the time is over")


def wait_over(scenario, cluster):
    """Until the failover is over: the old master is gone for good, or a replica. Returns when that was."""
    if scenario == "manual":
        wait_until(lambda: cluster.redis[0].role() == "slave", 60, "the old master is made a replica")
    return time.monotonic()


def wait_recovered(arena, over):
    """Until all writers are served again or had their time, and a while longer. Returns when that was."""
    wait_or_not(lambda: all(program.has_recovered(over) for program in arena.all()), over + RECOVERY)
    failover.watch(AFTER)
    return time.monotonic()


def wait_done(arena, closing):
    """Until what was acknowledged has come out at the other end, or had its time: jobs are long in coming back."""
    for programs in arena.programs.values():
        sender, receiver = programs[-1], programs[0]
        if sender.client.has_jobs or sender.role == "publish":
            sent = set(sender.read().acknowledged(closing))
            patience = DELIVERY if sender.client.has_jobs else AFTER
            wait_or_not(lambda s=sent, r=receiver: s <= r.read().done.keys(), closing + patience)


def outcome_of(name, way, programs, master, moments):
    """moments: when the failover was over, and up to which operations count."""
    outcome = Outcome(name, way, ended=", ".join(filter(None, (program.fate() for program in programs))))
    if programs[0].role == "subscribe":
        add_publisher(outcome, programs[1], programs[0], moments)
        return outcome
    for program in programs:
        add_writer_program(outcome, program, master, moments)
    return outcome


def run(scenario, role, names, ways=WAYS):
    """One failover. role: `write`, or `publish` for a publisher and a subscriber of each client."""
    with contextlib.ExitStack() as stack:
        arena = Arena(stack.enter_context(Cluster()), stack)
        arena.start(role, names, ways)
        caused = time.monotonic()
        cause(scenario, arena.cluster)
        master = arena.cluster.wait_failover(arena.cluster.redis[0], 60)
        took = time.monotonic() - caused
        over = wait_over(scenario, arena.cluster)
        closing = wait_recovered(arena, over)
        wait_done(arena, closing)
        for program in arena.all():
            program.read()
        result = Failover(scenario, took, [outcome_of(*which, programs, master, (over, closing))
                                           for which, programs in arena.programs.items()])
        for agent in (made.agent for made in arena.fronts if made.agent.alive()):
            check_clean(agent)
    return result
