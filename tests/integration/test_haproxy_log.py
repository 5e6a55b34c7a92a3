"""HAProxy's log: each row of the table in haproxy-conf/README.md, "You see, it means", is what HAProxy writes."""

import contextlib
import re
import socket
import struct
import threading
import time

from cluster import HOST, SHIPPED, Cluster
from resp import Resp

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() resets
GIVES_UP = 0.5  # seconds: a client that does not wait for its master


def rows():
    """Of the table: [(server, ends, what the agent said)]. A state without a name is told as `state=no-quorum` here."""
    section = re.search(r"^## You see, it means\n(.*?)^## ", (SHIPPED / "README.md").read_text(), re.MULTILINE | re.DOTALL)[1]
    cells = [line.strip("| ").split(" | ") for line in section.splitlines() if re.match(r"\| `\w+_redis", line)]
    found = [(re.findall("`(.*?)`", server)[0], re.findall("`(.*?)`", ends), re.findall("`(.*?)`", said))
             for server, ends, said, _ in cells]
    return [(server, ends, said[0] if said else "state=no-quorum") for server, ends, said in found]


class Seen:
    """The rows that HAProxy wrote, one after the other."""

    def __init__(self, cluster):
        self.cluster, self.mark, self.rows = cluster, 0, set()

    def start_haproxy(self, edits=None, spoe_edits=None):
        """Another HAProxy, with these edits of the recipe."""
        self.cluster.haproxy.stop()
        self.cluster.start_haproxy(edits, spoe_edits)
        self.next()

    def next(self):
        """What is in the log by now is not looked at any more."""
        self.mark = self.cluster.haproxy.mark()

    def wait(self, server, end, said):
        """Wait for a line of the documented row with this server, this end and these words."""
        row = next(row for row in rows() if row[0] == server and end in row[1] and row[2] == said)
        name = re.escape(server).replace("R1", r"R\d")
        ends = "|".join(map(re.escape, row[1]))
        words = "".join(f"(?=.* {re.escape(word).replace('R1', r'R[0-9]')}( |$))" for word in said.split())
        self.cluster.haproxy.wait_log(rf" {name} \S+ \S+ ({ends}) {words}", timeout=20, since=self.mark)
        self.rows.add((row[0], row[1][0], row[2]))
        self.next()


@contextlib.contextmanager
def node_that_answers_no_connect():
    """Its queue of connections is full. The address."""
    with socket.create_server((HOST, 0), backlog=0) as server, contextlib.ExitStack() as stack:
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield f"{HOST}:{server.getsockname()[1]}"


@contextlib.contextmanager
def node_that_resets():
    """It answers one command and resets the connection. The address."""
    with socket.create_server((HOST, 0)) as server:
        def serve():
            with contextlib.suppress(OSError):
                while True:
                    client = server.accept()[0]
                    if client.recv(100):
                        client.sendall(b"+PONG\r\n")
                        time.sleep(0.1)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    client.close()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"{HOST}:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def ask(cluster, timeout=8):
    """One PING on a connection of its own, whatever comes of it."""
    with contextlib.suppress(OSError):
        cluster.call("PING", timeout=timeout)


def ask_until_cut(cluster):
    with contextlib.suppress(OSError), Resp(cluster.haproxy.address) as session:
        while session.call("PING"):
            time.sleep(0.05)


def other_nodes(seen):
    """A master in whose place another program is."""
    for node, end in ((node_that_answers_no_connect, "sC"), (node_that_resets, "SD")):
        with node() as address:
            seen.start_haproxy({"server R1 10.0.0.11:6379": f"server R1 {address}", "default-server weight 0 check": "default-server weight 0"
                                " no-check"})
            ask(seen.cluster)
            seen.wait("be_redis/R1", end, "state=ok")


def sessions(seen):
    """Clients that are served, and how their sessions end."""
    cluster = seen.cluster
    seen.start_haproxy({"timeout client 1h": "timeout client 1s"})
    ask(cluster)
    seen.wait("be_redis/R1", "--", "state=ok")
    with Resp(cluster.haproxy.address) as session:
        session.call("PING")
        session.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    seen.wait("be_redis/R1", "CD", "state=ok")
    with Resp(cluster.haproxy.address) as session:
        session.call("PING")
        seen.wait("be_redis/R1", "cD", "state=ok")
    seen.start_haproxy({"timeout server 1h": "timeout server 1s"})
    with Resp(cluster.haproxy.address) as session:
        session.call("PING")
        session.reader.read()  # until HAProxy closes
    seen.wait("be_redis/R1", "sD", "state=ok")


def failovers(seen):
    """A session that is cut; a master that dies."""
    cluster = seen.cluster
    cluster.sentinels[0].fail_over()
    ask_until_cut(cluster)
    seen.wait("be_redis/R1", "K-", "state=ok")
    new = cluster.wait_failover(cluster.redis[0])
    cluster.agent.wait_log(event="sessions-cut", server="R1")
    seen.next()
    new.kill()
    ask(cluster)
    seen.wait("be_redis/R1", "SC", "state=ok")
    cluster.haproxy.wait_log(f"be_redis/{new.name} is DOWN", since=seen.mark)
    ask(cluster)
    seen.wait("be_redis/<NOSRV>", "SC", "state=ok master=R1")


def refusals(seen):
    """Nobody is named, or there is no agent to name anybody."""
    cluster = seen.cluster
    for sentinel in cluster.sentinels[1:]:
        sentinel.kill()
    cluster.agent.wait_log(event="quorum-lost")
    seen.next()
    ask(cluster, GIVES_UP)
    seen.wait("fe_redis/<NOSRV>", "PR", "state=client-gone")
    ask(cluster)
    seen.wait("fe_redis/<NOSRV>", "PR", "state=no-quorum")
    seen.start_haproxy(spoe_edits={"timeout processing 10s": "timeout processing 1s"})
    ask(cluster)
    seen.wait("fe_redis/<NOSRV>", "PR", "state=- error=1")
    with Resp(cluster.haproxy.address) as client:
        client.send("PING")
        time.sleep(GIVES_UP)
        cluster.agent.kill()
        seen.wait("fe_redis/<NOSRV>", "PR", "state=- error=257")
    cluster.haproxy.wait_log("be_sentinel_spoa/agent1 is DOWN", since=seen.mark)
    ask(cluster)
    seen.wait("fe_redis/<NOSRV>", "PR", "state=- error=-")


def test_each_row_is_what_haproxy_writes():
    with Cluster(recipe="runtime-api") as cluster:
        cluster.park = "3s"
        cluster.start_redis()
        cluster.start_sentinels()
        cluster.start_agent({"[service mymaster]\n": "[service mymaster]\nrole-check = off\n"})
        seen = Seen(cluster)
        for scenario in (other_nodes, sessions, failovers, refusals):
            scenario(seen)
    with Cluster(recipe="agent-check") as cluster:
        cluster.start()
        checked = Seen(cluster)
        cluster.sentinels[0].fail_over()
        ask_until_cut(cluster)
        checked.wait("be_redis/R1", "D-", "state=ok")
    assert seen.rows | checked.rows == {(server, ends[0], said) for server, ends, said in rows()}
