"""Random faults under load, for as long as one likes, with a referee: nothing may be answered that the Sentinels do not say.

    Soak(seconds=60, seed=1).run()      # AssertionError where an invariant is broken, or the agent does not stay flat

A fault is something that is done to the cluster, the agent or its peers, and undone some time later; up to three hold at one
time, and whatever they are the agent must stay right. At the end all is healed, and must be served again.
"""

import contextlib
import random
import signal
import socket
import time

from cluster import SERVICE, Cluster
from former import FormerMasters
from load import Load
from process import Timeout, wait_until
from referee import Watch
from resp import RespError
from rig import check_clean
from spop_client import SpopClient, hello, notify, question
from workers import Workers

DOWN_AFTER = 2500
# What the agent may have taken by the end: the heap has found its size after the first rounds.
GROWTH_KIB = 4096
GROWTH_DESCRIPTORS = 8
REST_S = 5.0  # longer than a reload takes until the links of the former configuration have ended
AT_ONCE = 3
SESSIONS = 8  # clients that stay connected, so that a reload of HAProxy leaves them in its old process
AGAIN = object()  # it could not be undone yet


class Soak:
    def __init__(self, seconds, seed=None, log=print):
        self.seconds = seconds
        self.seed = random.randrange(1 << 32) if seed is None else seed
        self.random = random.Random(self.seed)
        self.log = log
        self.cluster = Cluster(recipe="runtime-api")
        self.cluster.park = None  # as shipped
        self.workers = Workers(self.cluster)
        self.faults = [self.kill_node, self.stop_node, self.kill_sentinel, self.stop_sentinel, self.stop_majority,
                       self.deceive_sentinel, self.fail_over, self.cut_links, self.reload, self.reload_garbage, self.garbage, self.flood, self.half_open, self.freeze_agent,
                       self.restart_haproxy, self.reload_haproxy]
        self.done = {}  # fault -> times
        self.deceived = None  # the Sentinel that is
        self.frozen = []  # (begin, end) of each time in which the agent was

    # ---- faults: each does something and returns what undoes it, or None; IndexError or ValueError
    # where nobody is left for it ----

    def kill_node(self):
        node = self.random.choice([node for node in self.cluster.redis if node.alive()])
        node.kill()
        return lambda: self.start_node(node)

    def start_node(self, node):
        named = self.cluster.named()
        node.configure(master=named if named is not node else None)
        node.start()

    def stop_node(self):
        node = self.random.choice([node for node in self.cluster.redis if node.alive() and not node.paused])
        node.pause()
        return node.resume

    def kill_sentinel(self):
        sentinel = self.random.choice([one for one in self.cluster.sentinels if one.alive()])
        sentinel.kill()
        return sentinel.start

    def stop_sentinel(self):
        sentinel = self.random.choice([one for one in self.cluster.sentinels if one.alive() and not one.paused])
        sentinel.pause()
        return sentinel.resume

    def stop_majority(self):
        """Nobody may be named when the votes have run out."""
        two = self.random.sample([one for one in self.cluster.sentinels if one.alive() and not one.paused], 2)
        for sentinel in two:
            sentinel.pause()
        return lambda: [sentinel.resume() for sentinel in two]

    def deceive_sentinel(self):
        """One of them is told to monitor a node that is no master. One at a time: two would be a majority that is wrong."""
        named = self.cluster.named()
        if self.deceived is not None or named is None:
            raise IndexError
        sentinel = self.random.choice([one for one in self.cluster.sentinels if one.alive() and not one.paused])
        self.monitor(sentinel, self.random.choice([node for node in self.cluster.redis if node is not named]))
        self.deceived = sentinel
        return self.undeceive

    def undeceive(self):
        """What the others say; a higher epoch of theirs may have told it already. AGAIN where they do not agree now."""
        sentinel, named = self.deceived, self.cluster.named()
        if named is None or not sentinel.alive() or sentinel.paused:
            return AGAIN
        try:
            if sentinel.named() != (named.host, named.port):
                self.monitor(sentinel, named)
        except (OSError, RespError):
            return AGAIN
        self.deceived = None
        return None

    @staticmethod
    def monitor(sentinel, node):
        with contextlib.suppress(RespError):
            sentinel.call("SENTINEL", "REMOVE", SERVICE)
        sentinel.call("SENTINEL", "MONITOR", SERVICE, node.host, str(node.port), "2")
        sentinel.call("SENTINEL", "SET", SERVICE, "down-after-milliseconds", str(DOWN_AFTER), "failover-timeout", "10000")

    def fail_over(self):
        """By order: the old master lives on. The first Sentinel that accepts it carries it out."""
        sentinels = [one for one in self.cluster.sentinels if one.alive() and not one.paused]
        for sentinel in self.random.sample(sentinels, len(sentinels)):
            with contextlib.suppress(OSError, RespError):
                sentinel.call("SENTINEL", "FAILOVER", SERVICE)
                return

    def cut_links(self):
        """The agent's connections to a Sentinel and to the nodes are closed under its hands."""
        for server in (self.random.choice(self.cluster.sentinels), *self.cluster.redis):
            if server.alive() and not server.paused:
                with contextlib.suppress(OSError, RespError):
                    server.call("CLIENT", "KILL", "TYPE", self.random.choice(["normal", "pubsub"]))

    def reload(self):
        path = self.cluster.agent.config_path
        text = self.config.replace("[sentinels]\n", f"[sentinels]\npoll = {self.random.choice(['500ms', '1s'])}\n")
        path.write_text(text)
        self.cluster.agent.signal(signal.SIGHUP)

    def reload_garbage(self):
        path = self.cluster.agent.config_path
        path.write_text(self.config + self.random.choice(["nonsense = 1\n", "[service x]\n", "\0\n", "server = R9\n"]))
        self.cluster.agent.signal(signal.SIGHUP)

    def addresses(self):
        agent = self.cluster.agent
        return [tuple(where.rsplit(":", 1)) for where in (agent.address, agent.http_address) if where]

    def garbage(self):
        """Random bytes, frames with a byte changed, requests with one, to every port; and gone, in order or not."""
        for host, port in self.addresses() * 5:
            frames = bytearray(hello() + notify(messages=[("find-master", {"service": SERVICE})]) + b"GET /status HTTP/1.1\r\n\r\n")
            frames[self.random.randrange(len(frames))] ^= 1 << self.random.randrange(8)
            data = self.random.choice([bytes(frames), self.random.randbytes(self.random.randrange(1, 5000))])
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 5) as sock:
                sock.sendall(data)
                if self.random.random() < 0.5:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def flood(self):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError, AssertionError):
            clients = [stack.enter_context(SpopClient(self.cluster.agent.address)) for _ in range(200)]
            for client in clients:
                client.send(hello() + b"".join(question(stream_id=i) for i in range(100)))

    def half_open(self):
        """Peers that said half of something, and stay."""
        stack = contextlib.ExitStack()
        with contextlib.suppress(OSError):
            for _ in range(20):
                client = stack.enter_context(SpopClient(self.cluster.agent.address))
                client.send(hello()[:self.random.randrange(1, 60)])
        return stack.close

    def freeze_agent(self):
        agent = self.random.choice([agent for agent in [self.cluster.agent] if not agent.paused])
        agent.pause()
        begin = time.monotonic()

        def resume():
            agent.resume()
            self.frozen.append((begin, time.monotonic()))
        return resume

    def restart_haproxy(self):
        haproxy = self.random.choice([haproxy for haproxy in [self.cluster.haproxy] if haproxy.alive()])
        haproxy.kill()
        return haproxy.start

    def reload_haproxy(self):
        """The sessions stay in the old process, and the master changes."""
        if not self.cluster.haproxy.alive():
            raise IndexError
        self.workers.send_reload()
        self.fail_over()

    # ---- the run ----

    def start(self):
        self.cluster.start_redis()
        self.cluster.start_sentinels(down_after=DOWN_AFTER)
        self.cluster.start_agent(self.workers.agent_edits())
        self.cluster.start_haproxy()
        self.cluster.wait_served()
        self.config = self.cluster.agent.config_path.read_text()

    def measure(self):
        """Memory in KiB, and the fewest descriptors in a while: during a reload the links of both configurations are there."""
        until = time.monotonic() + REST_S
        descriptors = self.descriptors()
        while time.monotonic() < until:
            time.sleep(0.1)
            descriptors = min(descriptors, self.descriptors())
        return self.cluster.agent.resident_kib(), descriptors

    def descriptors(self):
        """Without HAProxy's connections. It opens one for each client that waits while the agent is frozen, and keeps it for
        `timeout idle`."""
        agent = self.cluster.agent
        return agent.descriptors(besides=int(agent.address.rpartition(":")[2]))

    def begin_fault(self, pending):
        """One more, where it can be; what undoes it is kept with its time."""
        fault = self.random.choice(self.faults)
        try:
            undo = fault()
        except (IndexError, ValueError):
            return  # nobody is left to be hurt so
        self.done[fault.__name__] = self.done.get(fault.__name__, 0) + 1
        if undo is not None:
            pending.append((time.monotonic() + self.random.uniform(0.2, 6), undo))

    def end_faults(self, pending, until):
        """Undo those whose time has come; one that cannot be undone yet stays."""
        for one in list(pending):
            if one[0] <= until:
                pending.remove(one)
                if one[1]() is AGAIN:
                    pending.append((time.monotonic() + 1, one[1]))

    def trouble(self, until):
        """Faults come and go; all are undone at the end."""
        pending = []
        while time.monotonic() < until:
            self.end_faults(pending, time.monotonic())
            if len(pending) < AT_ONCE:
                self.begin_fault(pending)
            time.sleep(self.random.uniform(0.05, 0.8))
            self.cluster.agent.check_alive()
        wait_until(lambda: self.end_faults(pending, float("inf")) or not pending, 60, "all faults are undone")

    def settle(self):
        """All is well again: a majority agrees, and what it names is served."""
        self.cluster.agent.config_path.write_text(self.config)
        self.cluster.agent.signal(signal.SIGHUP)
        try:
            wait_until(self.cluster.named, 60, "a majority agrees")
            self.cluster.wait_served(60)
        except Timeout:
            self.describe()
            raise

    def describe(self):
        """Where everybody stands, for whoever has to find out."""
        for server in (*self.cluster.sentinels, *self.cluster.redis):
            with contextlib.suppress(OSError, RespError):
                self.log(f"{server.name} {server.where}: {server.named() if server in self.cluster.sentinels else server.role()}")
        self.log(self.cluster.agent.log_text()[-3000:])

    def run(self):
        self.log(f"soak: {self.seconds} s, seed {self.seed}")
        with self.cluster:
            self.start()
            sessions = Load(self.cluster.haproxy.address, SESSIONS, persistent=True, prefix="session")
            with FormerMasters(self.cluster) as former, Watch(self.cluster) as watch, sessions:
                began = time.monotonic()
                self.trouble(began + self.seconds / 4)
                self.settle()
                early = self.measure()
                self.trouble(began + self.seconds)
                self.settle()
                late = self.measure()
            wait_until(lambda: not self.workers.old(), 40, "no old process of HAProxy is left")
            watch.judge()
            former.judge([*sessions.attempts, *watch.writer.writes], self.frozen)
            self.report(watch, early, late)
            self.log(f"soak: {former.story()}")
            assert self.cluster.agent.is_sanitized or late[0] <= early[0] + GROWTH_KIB, f"memory grew from {early[0]} to {late[0]} KiB"
            assert late[1] <= early[1] + GROWTH_DESCRIPTORS, f"descriptors grew from {early[1]} to {late[1]}"
            check_clean(self.cluster.agent)

    def report(self, watch, early, late):
        answers = watch.questioner.answers
        named = sum(answer.master is not None for answer in answers)
        writes = watch.writer.writes
        self.log(f"soak: faults: {', '.join(f'{name} {count}' for name, count in sorted(self.done.items()))}")
        self.log(f"soak: {len(answers)} answers, {named} with a name, none wrong; "
                 f"{len({answer.master for answer in answers} - {None})} masters; "
                 f"{len(watch.writer.acknowledged())} of {len(writes)} writes acknowledged")
        self.log(f"soak: memory {early[0]} to {late[0]} KiB, descriptors {early[1]} to {late[1]}")
