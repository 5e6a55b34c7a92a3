"""The rule beside the plain majority, with scripted Sentinels and nodes: vetoes, o_down, witness, keep, fence, alarms."""

import time

import pytest
from cluster import HOST
from fake_sentinel import GET_MASTER, OK, FakeSentinel, Raw, error
from process import wait_until
from rig import SERVERS, Rig

R2 = SERVERS["R2"]
FAST = "poll = 100ms"
SHORT = "poll = 100ms\nreply-timeout = 300ms\nvote-life = 600ms"


class Node(FakeSentinel):
    """A Redis node, as far as a probe sees one."""

    def __init__(self, role="master", port=0):
        super().__init__(port=port)
        self.address = (HOST, self.port)
        self.be(role)

    def be(self, role):
        """master, slave, or loading."""
        self.reply("PING", error("LOADING Redis is loading the dataset in memory") if role == "loading" else Raw(b"+PONG\r\n"))
        self.reply("ROLE", ["slave", HOST, 1, "connected", 0] if role == "slave" else ["master", 0, []])

    @property
    def probes(self):
        return self.times_asked("ROLE")


class NodeRig(Rig):
    """A rig whose three Sentinels name a scripted node, N1; N2 is there too."""

    def __init__(self, service="", sentinels=FAST, **more):
        self.nodes = [Node(), Node()]
        lines = "".join(f"server = N{i + 1} {node.where}\n" for i, node in enumerate(self.nodes))
        super().__init__(service=f"{lines}{service}", sentinels=sentinels, **more)
        self.name(self.nodes[0])

    def name(self, node, count=3):
        for fake in self.fakes[:count]:
            fake.master = node.address

    def clear(self):
        super().clear()
        for node in self.nodes:
            node.stop()


def facts(address, flags="master", others=2, quorum=2, down_after=30000):
    """SENTINEL MASTER's reply."""
    values = {"name": "mymaster", "ip": address[0], "port": address[1], "flags": flags,
              "num-other-sentinels": others, "quorum": quorum, "down-after-milliseconds": down_after}
    return [str(part) for pair in values.items() for part in pair]


def say_facts(rig, count=3, **more):
    for fake in rig.fakes[:count]:
        fake.reply("SENTINEL MASTER", lambda words, fake=fake: facts(fake.master, **more))


# ---- ROLE ----

@pytest.mark.parametrize("role, reason", [("slave", "replica"), ("loading", "loading")])
def test_veto(role, reason):
    """The node that all name says that it is no master: not named until it says otherwise."""
    with NodeRig() as rig:
        rig.wait_master("N1")
        mark = rig.agent.mark()
        rig.nodes[0].be(role)
        rig.wait_state("not-master")
        rig.agent.wait_log(event="state-change", new="not-master", reason=reason, node=rig.nodes[0].where, since=mark)
        rig.nodes[0].be("master")
        assert rig.wait_master("N1")["generation"] == 1


def test_veto_of_the_next():
    """The majority moves to a node that is a replica: the probe follows, and vetoes it."""
    with NodeRig() as rig:
        rig.wait_master("N1")
        rig.nodes[1].be("slave")
        rig.name(rig.nodes[1])
        rig.wait_state("not-master")
        rig.nodes[1].be("master")
        rig.wait_master("N2")
        asked = rig.nodes[0].probes
        seen = rig.nodes[1].probes
        wait_until(lambda: rig.nodes[1].probes >= seen + 3, 15, "three probes more")
        assert rig.nodes[0].probes == asked  # nobody asks the former one any more


def test_silence_is_no_veto():
    """A node that cannot be asked is named as before; so is one that wants a password that we do not have."""
    with NodeRig() as rig:
        rig.wait_master("N1")
        rig.nodes[0].reply("ROLE", error("NOAUTH Authentication required."))
        rig.agent.wait_log(event="role-probe-refused", node=rig.nodes[0].where)
        rig.wait_polls(25)  # longer than a report lives
        assert rig.ask()["master"] == "N1"
        rig.nodes[0].stop()
        rig.wait_polls(25)
        assert rig.ask()["master"] == "N1"


def test_credentials_of_nodes(tmp_path):
    """The nodes have a user and a password of their own; nobody sees it in the dump or the log."""
    secret = tmp_path / "secret"
    secret.write_text("node-secret\n")
    secret.chmod(0o600)
    with NodeRig(service=f"username = probe\npassword-file = {secret}") as rig:
        rig.nodes[0].be("slave")
        rig.wait_state("not-master")
        assert ["AUTH", "probe", "node-secret"] in [words for _, words in rig.nodes[0].asked]
        assert all("AUTH" not in words for fake in rig.fakes for _, words in fake.asked)
        assert "node-secret" not in rig.agent.log_text()


def test_role_check_off():
    with NodeRig(service="role-check = off") as rig:
        rig.nodes[0].be("slave")
        rig.wait_polls(10)
        assert rig.ask()["master"] == "N1"
        assert rig.nodes[0].accepted == 0


def test_require():
    """A new master is named only when it has said that it is one; the one that is named may fall silent."""
    with NodeRig(service="role-check = require") as rig:
        rig.wait_master("N1")
        rig.nodes[0].stop()
        rig.wait_polls(25)
        assert rig.ask()["master"] == "N1"
        rig.nodes[1].reply("ROLE", error("NOPERM no"))
        rig.name(rig.nodes[1])
        rig.wait_state("not-master")
        rig.agent.wait_log(event="state-change", new="not-master", reason="unconfirmed")
        rig.nodes[1].be("master")
        rig.wait_master("N2")


# ---- o_down ----

def test_o_down_of_a_majority():
    with NodeRig() as rig:
        rig.wait_master("N1")
        say_facts(rig, count=1, flags="s_down,o_down,master")
        rig.fakes[0].publish("+odown", "master mymaster 127.0.0.1 1 #quorum 2/2")
        rig.wait_polls(5)
        assert rig.ask()["state"] == "ok"
        say_facts(rig, count=2, flags="s_down,o_down,master")
        rig.fakes[1].publish("+odown", "master mymaster 127.0.0.1 1 #quorum 2/2")
        rig.wait_state("down")
        say_facts(rig)  # without an event: it is asked again with every poll
        assert rig.wait_state("ok")["master"] == "N1"


def test_without_the_right_to_facts():
    """Told once a connection; all else works."""
    with NodeRig() as rig:
        for fake in rig.fakes:
            fake.reply("SENTINEL MASTER", error("NOPERM this user has no permissions to run the 'sentinel|master' command"))
            fake.drop()
        rig.wait_polls(25)
        assert rig.ask()["votes"] == 3
        assert len(rig.agent.log_lines(event="sentinel-facts-refused")) == 3


# ---- losing reach ----

def test_debounce():
    """A short loss is pending, and not told as a loss."""
    with Rig(sentinels=SHORT, service="debounce = 3s") as rig:
        rig.wait_votes(3)
        mark = rig.agent.mark()
        for fake in rig.fakes[:2]:
            fake.reply(GET_MASTER, error("LOADING"))
        rig.wait_state("pending")
        for fake in rig.fakes[:2]:
            fake.heal()
        rig.wait_state("ok")
        assert rig.agent.log_lines(event="quorum-lost", since=mark) == []
        for fake in rig.fakes[:2]:
            fake.reply(GET_MASTER, error("LOADING"))
        rig.wait_state("no-quorum")
        rig.agent.wait_log(event="quorum-lost", reason="refused-us", since=mark)


def test_witness():
    """Two of three are gone; the third believes that it sees a majority."""
    with Rig(sentinels=SHORT, service="witness = yes\ndebounce = 0") as rig:
        rig.wait_votes(3)
        rig.fakes[2].reply("SENTINEL CKQUORUM", Raw(b"+OK 3 usable Sentinels. Quorum and failover authorization can be reached\r\n"))
        for fake in rig.fakes[:2]:
            fake.stop()
        answer = rig.wait_state("witnessed")
        assert (answer["master"], answer["votes"]) == ("R1", 1)
        rig.fakes[2].master = R2
        rig.wait_master("R2")
        rig.fakes[2].reply("SENTINEL CKQUORUM", error("NOQUORUM 1 usable Sentinels"))
        rig.wait_state("no-quorum")


def test_no_witness_unless_asked_for():
    with Rig(sentinels=SHORT, service="debounce = 0") as rig:
        rig.wait_votes(3)
        rig.fakes[2].reply("SENTINEL CKQUORUM", Raw(b"+OK 3 usable Sentinels\r\n"))
        for fake in rig.fakes[:2]:
            fake.stop()
        rig.wait_state("no-quorum")
        assert rig.fakes[2].times_asked("SENTINEL CKQUORUM") == 0


def test_keep_after_all_died():
    """Nobody is left to disagree: kept for its time, then refused, then fenced."""
    with Rig(sentinels=SHORT, service="keep = 2s\nkeep-when = refused\nfence = 1s\ndebounce = 0") as rig:
        rig.wait_votes(3)
        mark = rig.agent.mark()
        for fake in rig.fakes:
            fake.stop()
        assert rig.wait_state("kept")["master"] == "R1"
        kept = time.monotonic()
        rig.agent.wait_log(event="state-change", new="kept", reason="refused", since=mark)
        rig.wait_state("no-quorum")
        assert time.monotonic() - kept > 1.5
        rig.agent.wait_log(event="fenced", service="mymaster", since=mark)


def test_nothing_is_kept_where_sentinels_hang():
    """`keep-when = refused`: a Sentinel that hangs may have been cut off from us, so a failover may go on."""
    with Rig(sentinels=SHORT, service="keep = 60s\nkeep-when = refused\ndebounce = 0") as rig:
        rig.wait_votes(3)
        for fake in rig.fakes[:2]:
            fake.stop()
        rig.fakes[2].delay = 60
        rig.wait_state("no-quorum")
        assert rig.agent.find_log(event="quorum-lost", reason="unreachable")


def test_nothing_is_kept_after_a_disagreement():
    with Rig(sentinels=SHORT, service="keep = 60s\ndebounce = 0") as rig:
        rig.wait_votes(3)
        rig.fakes[0].master = R2
        rig.wait_votes(2)
        for fake in rig.fakes[1:]:
            fake.stop()
        rig.wait_state("no-quorum")
        rig.fakes[0].stop()
        rig.wait_state("no-quorum")
        assert [line for line in rig.agent.log_lines(event="state-change") if line["new"] == "kept"] == []


# ---- alarms ----

def test_alarms():
    with Rig(fakes=4, sentinels=FAST) as rig:
        rig.agent.wait_log(event="alarm", alarm="voter-count", sentinels="")
        rig.wait_votes(4)
        say_facts(rig, count=1, others=3, quorum=9, down_after=1000)
        rig.fakes[0].publish("+odown", "master mymaster 127.0.0.1 1")
        rig.agent.wait_log(event="alarm", alarm="vote-life", service="mymaster",
                           detail="vote-life 2000 ms, down-after-milliseconds 1000")
        rig.agent.wait_log(event="alarm", alarm="sentinel-quorum", service="mymaster")
        say_facts(rig, count=1, others=3, quorum=2)
        rig.fakes[0].publish("-odown", "master mymaster 127.0.0.1 1")
        rig.agent.wait_log(event="alarm-cleared", alarm="vote-life")
        rig.agent.wait_log(event="alarm-cleared", alarm="sentinel-quorum")


def test_alarm_of_disagreement():
    with Rig(sentinels=FAST) as rig:
        rig.wait_votes(3)
        rig.fakes[0].master = R2
        rig.agent.wait_log(event="alarm", alarm="disagreement", timeout=20)
        assert rig.ask()["master"] == "R1"
        rig.fakes[0].master = SERVERS["R1"]
        rig.agent.wait_log(event="alarm-cleared", alarm="disagreement")


# ---- many services ----

def test_many_services():
    """Two thousand services in two groups: each Sentinel gets all questions of a poll at once, and each service its answer."""
    count = 2000
    groups = [[FakeSentinel() for _ in range(3)] for _ in range(2)]
    lines = "".join(f"[sentinels g{i}]\n{FAST.replace('100ms', '500ms')}\n" + "".join(f"address = {fake.where}\n" for fake in group)
                    for i, group in enumerate(groups))
    for i in range(count):
        lines += f"[service s{i}]\nmonitor = m{i}\nsentinels = g{i % 2}\nrole-check = off\nserver = A{i} 127.0.0.1:{10000 + i}\n"
        for fake in groups[i % 2]:
            fake.masters[f"m{i}"] = (HOST, 10000 + i)
    try:
        with Rig(more=lines) as rig, rig.connect() as haproxy:
            wait_until(lambda: haproxy.ask(f"s{count - 1}")["votes"] == 3, 30, "the last service has three votes")
            wait_until(lambda: haproxy.ask(f"s{count - 2}")["votes"] == 3, 30, "so has the last of the other group")
            named = [haproxy.ask(f"s{i}")["master"] for i in range(count)]
            assert named == [f"A{i}" for i in range(count)]
            for fake in groups[1]:
                fake.masters["m1"] = (HOST, 9)
            wait_until(lambda: haproxy.ask("s1")["state"] == "unknown-address", 30, "the service is on its own")
            assert haproxy.ask("s3")["master"] == "A3"
    finally:
        for fake in groups[0] + groups[1]:
            fake.stop()


def test_ok_is_not_enough_for_a_witness():
    """A Sentinel without a vote of its own is no witness."""
    with Rig(sentinels=SHORT, service="witness = yes\ndebounce = 0") as rig:
        rig.wait_votes(3)
        for fake in rig.fakes:
            fake.reply("SENTINEL CKQUORUM", OK)
            fake.reply(GET_MASTER, error("LOADING"))
        rig.wait_state("no-quorum")
