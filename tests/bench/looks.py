"""What it costs to look whether waiting clients are still there: beside the same agent that does not look."""

import contextlib
import ipaddress
import os
import socket
import statistics
import threading
import time

import spop_client as spop
from bench import SECONDS, SERVER_CPU, Table, cpu_ns, pin
from fake_sentinel import GET_MASTER
from process import wait_until
from rig import Rig

LOOKS_PER_S = 4  # of each client
CLIENTS = [100, 1000, 10000]
PER_LISTENER = 2000  # a client's port is used once for each address of ours
WATCH_S = max(2.0, 10 * SECONDS)


def tables():
    yield looks()


class Clients:
    """So many connections, as HAProxy would have them. HAProxy's ends are in a process of their own: one may not have as many files."""

    def __init__(self, count):
        self.listeners = [socket.create_server((f"127.0.2.{i + 1}", 0), backlog=4096) for i in range(-(-count // PER_LISTENER))]
        own, self.theirs = socket.socketpair()
        self.child = os.fork()
        if self.child == 0:
            self.accept(count, own)
        own.close()
        self.sockets, self.pairs = [], []
        for i in range(count):
            where = self.listeners[i // PER_LISTENER].getsockname()
            self.sockets.append(socket.create_connection(where))
            self.pairs.append((self.sockets[-1].getsockname(), where))
        self.theirs.recv(1)  # all are accepted

    def accept(self, count, parent):
        """Take all, and keep them until the parent closes or ends."""
        self.theirs.close()
        taken = [self.listeners[i // PER_LISTENER].accept() for i in range(count)]
        parent.send(b"x")
        parent.recv(1)
        os._exit(0 if taken else 1)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for sock in (self.theirs, *self.sockets, *self.listeners):
            sock.close()
        os.waitpid(self.child, 0)

    def questions(self):
        """A NOTIFY on behalf of each."""
        for stream_id, (src, dst) in enumerate(self.pairs, 1):
            arguments = {"service": "mymaster", "role": "master", "src": ipaddress.ip_address(src[0]), "src_port": src[1],
                         "dst": ipaddress.ip_address(dst[0]), "dst_port": dst[1]}
            yield spop.notify(stream_id, 1, [("find-master", arguments)])


class Witness(threading.Thread):
    """Asks for another service all the time; the longest answer, in ms."""

    def __init__(self, rig):
        super().__init__()
        self.client = rig.connect()
        self.ending = threading.Event()
        self.longest = 0.0

    def run(self):
        while not self.ending.is_set():
            begun = time.monotonic()
            self.client.ask("nobody")
            self.longest = max(self.longest, (time.monotonic() - begun) * 1000)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.ending.set()
        self.join()
        self.client.close()


def measure(clients, mode):
    """(CPU in ns per second while they wait, ms until the last has its answer, longest answer to others in ms)."""
    with Rig(agent="http = 127.0.0.1:0\npark-max = 20000", service=f"gone-clients = {mode}\npark = 10m", sentinels="poll = 100ms") as rig:
        pin(rig.agent.pid, SERVER_CPU)
        rig.wait_votes(3)
        for fake in rig.fakes:
            fake.reply(GET_MASTER, None)
        rig.agent.wait_log(event="quorum-lost")
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(rig.connect(timeout=60))
            for question in clients.questions():
                client.send(question)
            count = len(clients.pairs)
            wait_until(lambda: rig.agent.metric("redis_spoa_parked_streams") == count, 60, "all are parked")
            before, begun = cpu_ns(rig.agent.pid), time.monotonic()
            time.sleep(WATCH_S)
            per_s = (cpu_ns(rig.agent.pid) - before) / (time.monotonic() - begun)
            with Witness(rig) as witness:
                begun = time.monotonic()
                for fake in rig.fakes:
                    fake.heal()
                for _ in range(count):
                    client.expect(spop.ACK)
                took = (time.monotonic() - begun) * 1000
            return per_s, took, witness.longest


def looks():
    table = Table("Clients that wait, each looked at four times a second and before its answer, beside an agent that does not look",
                  ["clients", "a look, CPU", "share of a CPU", "last answer after the name", "without looks", "longest answer to others",
                   "without looks"])
    for count in CLIENTS:
        with Clients(count) as clients:
            found = {mode: [measure(clients, mode) for _ in range(3)] for mode in ("serve", "refuse")}
        plain, looking = ([statistics.median(one[i] for one in found[mode]) for i in range(3)] for mode in ("serve", "refuse"))
        extra = looking[0] - plain[0]
        table.add(f"{count:,}", f"{extra / (count * LOOKS_PER_S) / 1000:.2f} µs", f"{extra / 1e7:.2f} %", f"{looking[1]:.0f} ms",
                  f"{plain[1]:.0f} ms", f"{looking[2]:.1f} ms", f"{plain[2]:.1f} ms")
    return table
