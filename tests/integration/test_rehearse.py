"""`rehearse`: a failover on purpose, and what it counts, against what a referee saw. `explain`: whom the agent names and why."""

import contextlib
import re
import signal
import subprocess
import time

import pytest
from cluster import Cluster
from observers import Referee, Writer
from process import wait_until
from resp import Resp
from rig import Rig, check_clean, run_agent
from test_http import LISTEN
from test_parking import doubt_node, lose_master
from test_rule import NodeRig

WITHIN = 0.5  # seconds that two who watch the same may differ: the machine may be busy
END = 100  # seconds: the command has a limit of its own
KEYS = "sentinel-spoa:*"


class Rehearsal:
    """The command, with the time at which each of its lines came."""

    def __init__(self, cluster, *words):
        self.child = subprocess.Popen([*cluster.agent.command(), "rehearse", "mymaster", "--through", cluster.haproxy.where, *words],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = []  # (when, text)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.child.kill()
        self.child.wait(10)
        self.child.stdout.close()

    @property
    def text(self):
        return "".join(line for _, line in self.lines)

    def read_until(self, words):
        """Returns when the line with these words came."""
        while not self.lines or words not in self.lines[-1][1]:
            line = self.child.stdout.readline()
            assert line, f"{words!r} is not in {self.text}"
            self.lines.append((time.monotonic(), line))
        return self.lines[-1][0]

    def end(self):
        """Its exit code."""
        self.lines += [(time.monotonic(), line) for line in self.child.stdout]
        return self.child.wait(END)

    def number(self, pattern):
        found = re.search(pattern, self.text, re.MULTILINE)
        assert found, f"{pattern} is not in {self.text}"
        return int(found[1])

    def event(self, words):
        """When it happened by its own account, in seconds since the failover was ordered."""
        return self.number(rf"^ *\+(\d+) ms  {words}") / 1000


def kept_keys(cluster):
    return [key for node in cluster.redis if node.alive() for key in node.call("KEYS", KEYS)]


def master_of(cluster):
    return next(node for node in cluster.redis if node.role() == "master")


def is_settled(cluster):
    """All Sentinels name one master, and see the others in sync."""
    return (len({sentinel.named() for sentinel in cluster.sentinels}) == 1
            and all(sentinel.knows_all(len(cluster.redis) - 1, len(cluster.sentinels) - 1) for sentinel in cluster.sentinels))


@pytest.fixture(scope="module")
def plain():
    """As shipped: with `park`, without `early-fence` and without the runtime API."""
    with Cluster() as cluster:
        cluster.park = None
        cluster.start()
        yield cluster
        check_clean(cluster.agent)


@pytest.fixture
def settled(plain):
    wait_until(lambda: is_settled(plain), 60, "the cluster is settled")
    plain.wait_served()
    return plain


def longest_gap(writes):
    return max(after.ended - before.ended for before, after in zip(writes, writes[1:]))


def test_it_agrees_with_a_referee(settled):
    """Beside it another client writes, another session is open, and a referee asks the Sentinels."""
    old = master_of(settled)
    with (Writer(settled.haproxy.address) as writer, Referee(settled.sentinels, settled.agent) as referee,
          Resp(settled.haproxy.address) as session, Rehearsal(settled, "--yes") as rehearsal):
        assert session.call("PING") == "PONG"
        ordered = rehearsal.read_until("ordered at")
        cut = rehearsal.read_until("is cut")
        wait_until(session.is_closed, 1, "the referee's session is closed, too")
        assert time.monotonic() < cut + 1
        code = rehearsal.end()
    new = master_of(settled)
    assert new is not old and f"  new master     {new.name}\n" in rehearsal.text
    assert abs(rehearsal.event(f"a first Sentinel names {new.name}") - (referee.first_named[new.address] - ordered)) < WITHIN
    assert abs(rehearsal.event(f"a majority of the Sentinels names {new.name}") - (referee.majority_named[new.address] - ordered)) < WITHIN
    assert abs(rehearsal.event(f"first write acknowledged by {new.name}") - (writer.acknowledged(new.port)[0].ended - ordered)) < WITHIN
    assert abs(rehearsal.number(r"^  gap +(\d+) ms") / 1000 - longest_gap(writer.acknowledged())) < WITHIN
    assert rehearsal.number(r"^  refused +(\d+) of") == len(writer.refused()) == 0
    assert rehearsal.number(r"^  misrouted +(\d+) ") == len([write for write in writer.acknowledged() if write.port not in (old.port, new.port)]) == 0
    # The old master takes writes for about a second after the promotion: both clients have lost some of that time.
    acknowledged = writer.acknowledged()
    found = new.call("MGET", *[write.key for write in acknowledged])
    lost = [write for write, value in zip(acknowledged, found) if value is None]
    first, last = re.search(r"^Writes were lost, from \+(\d+) to \+(\d+) ms", rehearsal.text, re.MULTILINE).groups()
    assert lost and rehearsal.number(r"^  lost +(\d+) of") > 0 and code == 1
    assert abs(int(first) / 1000 - (lost[0].ended - ordered)) < WITHIN
    assert abs(int(last) / 1000 - (lost[-1].ended - ordered)) < WITHIN
    assert "'early-fence'" in rehearsal.text
    assert kept_keys(settled) == []


def test_without_yes_it_asks_only(settled):
    before = [(node.role(), re.search(r"cmdstat_setbit:calls=\d+", node.call("INFO", "commandstats"))) for node in settled.redis]
    with Rehearsal(settled) as rehearsal:
        assert rehearsal.end() == 2
    master = master_of(settled)
    assert f"{master.name} is the master. All 3 Sentinels name it, and 2 replicas can be promoted." in rehearsal.text
    assert f"With --yes a Sentinel is told to replace {master.name}." in rehearsal.text
    after = [(node.role(), re.search(r"cmdstat_setbit:calls=\d+", node.call("INFO", "commandstats"))) for node in settled.redis]
    assert [(role, calls and calls[0]) for role, calls in before] == [(role, calls and calls[0]) for role, calls in after]


@pytest.mark.parametrize("words, said", [
    (("rehearse", "--through", "127.0.0.1:1"), "needs the name of a service"),
    (("rehearse", "mymaster"), "needs --through ADDR"),
    (("rehearse", "other", "--through", "127.0.0.1:1"), "there is no [service other]"),
    (("rehearse", "mymaster", "--through", "6379"), "'6379' is no address for --through"),
    (("rehearse", "mymaster", "more", "--through", "127.0.0.1:1"), "unexpected argument 'more'"),
    (("status", "--yes"), "--through and --yes are of the command 'rehearse'"),
])
def test_wrong_command_lines(plain, words, said):
    result = run_agent("-f", plain.agent.config_path, *words)
    assert result.returncode == 2 and said in result.stderr


def test_haproxy_leads_elsewhere(settled):
    """--through is a replica's own address, or nobody's."""
    replica = next(node for node in settled.redis if node.role() == "slave")
    result = run_agent("-f", settled.agent.config_path, "rehearse", "mymaster", "--through", replica.where, "--yes")
    assert result.returncode == 1 and f"HAProxy leads to a node that is not the master: {replica.name}" in result.stderr
    result = run_agent("-f", settled.agent.config_path, "rehearse", "mymaster", "--through", settled.sentinels[0].where, "--yes")
    assert result.returncode == 1 and "HAProxy leads to a node that is no server of the service" in result.stderr
    result = run_agent("-f", settled.agent.config_path, "rehearse", "mymaster", "--through", "127.0.0.1:1", "--yes")
    assert result.returncode == 1 and "HAProxy gives no connection to the master: Connection refused" in result.stderr
    assert kept_keys(settled) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_removes_the_key(settled, number):
    with Rehearsal(settled, "--yes") as rehearsal:
        rehearsal.read_until("ordered at")
        assert kept_keys(settled)
        rehearsal.child.send_signal(number)
        assert rehearsal.end() == 1
    assert "Interrupted. The failover goes on.\n" in rehearsal.text
    assert kept_keys(settled) == []


def test_no_failover_is_possible(settled):
    """A Sentinel is away; and then there is no replica that could be promoted."""
    words = ("-f", settled.agent.config_path, "rehearse", "mymaster", "--through", settled.haproxy.where, "--yes")
    master, last = master_of(settled), settled.sentinels[-1]
    last.kill()
    result = run_agent(*words)
    assert result.returncode == 1
    assert f"no rehearsal: the Sentinel {last.where} does not answer: Connection refused" in result.stderr
    last.start()
    replicas = [node for node in settled.redis if node is not master]
    for node in replicas:
        node.kill()
    wait_until(lambda: "no good replica" in run_agent(*words).stderr, 30, "the Sentinels have noticed it")
    assert run_agent(*words).returncode == 1
    assert master.role() == "master" and kept_keys(settled) == []
    for node in replicas:
        node.configure(master)
        node.start()
