"""`rehearse`: a failover on purpose, and what it counts, against what a referee saw. `explain`: whom the agent names and why."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import shown
from cluster import ROOT, SERVICE, Cluster
from failover import longest_gap
from fake_sentinel import GET_MASTER
from observers import Referee, Writer
from process import wait_until
from resp import Resp
from rig import Rig, check_clean, run_agent
from test_http import LISTEN
from test_parking import doubt_node
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


def check_removed(cluster):
    """The keys are gone; a replica hears of it a moment later than the master."""
    wait_until(lambda: not kept_keys(cluster), 10, "the rehearsal's keys are removed everywhere")


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
    check_removed(settled)
    check_shown(settled, rehearsal)


def check_shown(cluster, rehearsal):
    """The document shows what is printed; what happens at the same time may be told in another order."""
    command = f"$ sentinel-spoa rehearse mymaster --through {cluster.haproxy.where} --yes"
    lines = ["```", command, *rehearsal.text.splitlines(), "```"]
    shown.put("rehearsal", lines)
    assert sorted(set(shown.masked(shown.kept("rehearsal")))) == sorted(set(shown.masked(lines)))


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
    check_removed(settled)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_removes_the_key(settled, number):
    with Rehearsal(settled, "--yes") as rehearsal:
        rehearsal.read_until("ordered at")
        assert kept_keys(settled)
        rehearsal.child.send_signal(number)
        assert rehearsal.end() == 1
    assert "Interrupted. The failover goes on.\n" in rehearsal.text
    check_removed(settled)


def test_a_writer_that_dies(settled):
    """Nothing more comes from it, so nobody waits for 20 s, as for writes that are slow."""
    with Rehearsal(settled, "--yes") as rehearsal:
        begin = rehearsal.read_until("Writing through HAProxy")
        pid = rehearsal.child.pid
        (writer,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(int(writer), signal.SIGKILL)
        assert rehearsal.end() == 1
        assert time.monotonic() - begin < 15
    assert "no rehearsal: the writes fail already, or are slow\n" in rehearsal.text
    check_removed(settled)


def test_a_key_that_is_left_goes_by_itself(settled):
    """Nobody cleans up after SIGKILL, in the middle of the first writes."""
    with Rehearsal(settled, "--yes") as rehearsal:
        rehearsal.read_until("Writing through HAProxy")
        wait_until(lambda: kept_keys(settled), 10, "the first write")
        rehearsal.child.kill()
    wait_until(lambda: subprocess.run(["pgrep", "-f", f"rehearse mymaster --through {settled.haproxy.where}"], check=False,
                                      capture_output=True).returncode != 0, 10, "its writer has ended")
    master = master_of(settled)
    left = master.call("KEYS", KEYS)
    assert left and all(0 < master.call("TTL", key) <= 600 for key in left)
    master.call("DEL", *left)


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
    assert master.role() == "master"
    check_removed(settled)
    for node in replicas:
        node.configure(master)
        node.start()


# ---- passwords ----

SENTINEL_SECRET, NODE_SECRET, OWN_SECRET = "a-sentinels-secret", "a-nodes-secret", "the-tests-own-secret"


def documented():
    """(rights at Sentinels, rights at nodes) that `rehearse` needs, as security.md has them."""
    text = (ROOT / "spoa/doc/security.md").read_text().split("### For `rehearse`")[1].split("\n## ")[0]
    return re.search(r"at the Sentinels:\n  `(.*)`\n- at the nodes:\n  `(.*)`\n", text).groups()


def with_passwords(cluster):
    """Users with the documented rights and, for what the agent itself asks, those of `status`; ours may do all."""
    at_sentinels, at_nodes = documented()
    for node in cluster.redis:
        node.credentials = (OWN_SECRET,)
        node.extra = (f"requirepass {OWN_SECRET}\nmasterauth {OWN_SECRET}\n"
                      f"user probe on >{NODE_SECRET} resetchannels -@all {at_nodes} +client|setname")
    for sentinel in cluster.sentinels:
        sentinel.credentials = (OWN_SECRET,)
    cluster.haproxy.credentials = (OWN_SECRET,)
    cluster.start_redis()
    cluster.start_sentinels(extra=(
        f"requirepass {OWN_SECRET}\nsentinel sentinel-pass {OWN_SECRET}\nsentinel auth-pass {SERVICE} {OWN_SECRET}\n"
        f"user agent on >{SENTINEL_SECRET} resetchannels -@all {at_sentinels} +client|setname +sentinel|myid +sentinel|master "
        "+subscribe &+switch-master &+promoted-slave &+failover-state-reconf-slaves &+config-update-from &+monitor &-monitor "
        "&+reset-master &-role-change &+odown &-odown &+try-failover &+selected-slave"))
    for name, secret in (("sentinel.secret", SENTINEL_SECRET), ("node.secret", NODE_SECRET)):
        (cluster.directory / name).write_text(f"{secret}\n")
        (cluster.directory / name).chmod(0o600)


@pytest.fixture(name="guarded", scope="module")
def with_early_fence():
    """What loses no write: `early-fence`, and the runtime API for old sessions. With passwords and few rights."""
    with Cluster(recipe="runtime-api") as cluster:
        cluster.park = "8s"
        with_passwords(cluster)
        cluster.start_agent({
            "[sentinels]\n": f"[sentinels]\nusername = agent\npassword-file = {cluster.directory}/sentinel.secret\n",
            f"[service {SERVICE}]\n": f"[service {SERVICE}]\nearly-fence = yes\nusername = probe\npassword-file = {cluster.directory}/node.secret\n"})
        cluster.start_haproxy()
        cluster.wait_served()
        for sentinel in cluster.sentinels:
            wait_until(lambda one=sentinel: "cmd=subscribe" in one.call("CLIENT", "LIST"), 15, "the agent has subscribed")
        yield cluster
        check_clean(cluster.agent)


def test_nothing_is_lost_with_early_fence(guarded):
    """And the documented rights suffice."""
    old = master_of(guarded)
    with Rehearsal(guarded, "--yes") as rehearsal:
        assert rehearsal.end() == 0, rehearsal.text
    new = master_of(guarded)
    assert new is not old
    for sum_of in ("refused", "misrouted", "lost"):
        assert rehearsal.number(rf"^  {sum_of} +(\d+) ") == 0
    assert rehearsal.event(f"the old session to {old.name} is cut") < 3
    assert rehearsal.lines[-1][1] == f"OK: all writes ended on {new.name}.\n"
    check_removed(guarded)
    for server in (*guarded.sentinels, *guarded.redis):
        assert not [entry for entry in server.call("ACL", "LOG") if "agent" in entry or "probe" in entry]
    for secret in (SENTINEL_SECRET, NODE_SECRET):
        assert secret not in rehearsal.text


@pytest.mark.parametrize("right, said", [
    ("+setbit", "first write answered with an error: NOPERM"),
    ("+del", "refuses DEL sentinel-spoa:rehearsal:"),
    ("+expire", "refuses EXPIRE sentinel-spoa:rehearsal:"),
])
def test_a_right_that_lacks(guarded, right, said):
    """It is found before the failover is ordered."""
    wait_until(lambda: is_settled(guarded), 60, "the cluster is settled")
    for node in guarded.redis:
        node.call("ACL", "SETUSER", "probe", right.replace("+", "-"))
    with Rehearsal(guarded, "--yes") as rehearsal:
        assert rehearsal.end() == 1
    for node in guarded.redis:
        node.call("ACL", "SETUSER", "probe", right)
    assert said in rehearsal.text and "ordered at" not in rehearsal.text
    check_removed(guarded)


# ---- explain ----

def explain(rig, *words):
    result = run_agent("-f", rig.agent.config_path, "explain", *words)
    return result.returncode, result.stdout


def test_explain_a_master_and_none():
    with Rig(sentinels="poll = 100ms", listen=LISTEN, service="park = 3s\ndebounce = 0", more="[service a/b%c]\nserver = R9 127.0.0.1:7009") as rig:
        rig.wait_votes(3)
        code, said = explain(rig, "mymaster")
        assert code == 0
        assert said.startswith("mymaster: R1 (127.0.0.1:7001) is the master.\n    3 of 3 Sentinels name it, 2 are needed. The oldest of these votes is 0.")
        assert "    If one of these Sentinels died now: 2 of 3 would be left, which is enough.\n" in said
        assert explain(rig, "other") == (1, "no such service\n")
        for fake in rig.fakes:
            fake.reply(GET_MASTER, None)
        rig.agent.wait_log(event="quorum-lost", service="mymaster")
        code, said = explain(rig, "mymaster")
        assert code == 0 and said.startswith("mymaster: there is no master to send clients to (no-quorum).\n")
        assert f"    The Sentinel {rig.fakes[0].where} knew no master called 'mymaster' 0." in said
        assert "    New connections wait up to 3.0 s ('park').\n" in said
        assert "Compare 'monitor' of the service with SENTINEL MASTERS." in said
        assert explain(rig, "a/b%c")[1].startswith("a/b%c: ")
        both = explain(rig)[1]
        assert both.startswith("mymaster: ") and "\n\na/b%c: " in both


def test_explain_a_doubt():
    with NodeRig(service="park = 3s", listen=LISTEN) as rig:
        rig.wait_master("N1")
        doubt_node(rig, down_after=10000)
        code, said = explain(rig)
        assert code == 0 and said.startswith(f"mymaster: N1 ({rig.nodes[0].where}) is the master.\n")
        assert "    The agent's own link to N1 broke: N1 may be dead.\n" in said
        assert "    New connections wait up to 3.0 s ('park')." in said
