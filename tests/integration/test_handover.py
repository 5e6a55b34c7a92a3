"""What is promised holds while a reload changes the configuration: doubt, fences, what nodes said, counters, waiting clients."""

import time

from rig import SERVERS, Rig
from spop_client import question
from test_parking import FAST, ask_and_wait, ask_timed, doubt_node, find_master, lose_master
from test_rule import NodeRig

HTTP = "http = 127.0.0.1:0"
R2 = SERVERS["R2"]


def test_a_doubt_goes_on():
    """The master is dead and clients wait: a reload sends neither these nor new ones to it."""
    with NodeRig(service="park = 2s") as rig, rig.connect() as waiting, rig.connect() as haproxy:
        rig.wait_master("N1")
        doubt_node(rig, down_after=6000)
        asked = time.monotonic()
        waiting.send(question(stream_id=1))
        rig.reload()
        name, waited = ask_timed(haproxy, "doubted")
        assert name == "N1"
        assert waited > 1.5
        assert waiting.read().variables()["master"] == "N1"
        assert time.monotonic() - asked > 1.9
        name, waited = ask_timed(haproxy, "doubted")  # the new links go on being refused
        assert waited > 1.5
        assert not rig.agent.find_log(event="master-trusted")


def test_what_the_node_said_counts():
    """The node that is named says that it is a replica, and takes its time to say so again: it is never named."""
    with NodeRig(service="park = 10s") as rig, rig.connect() as waiting:
        rig.wait_master("N1")
        rig.nodes[0].be("slave")
        rig.agent.wait_log(event="state-change", new="not-master")
        rig.nodes[0].delay = 0.4
        waiting.send(question(stream_id=1))
        for _ in range(3):
            rig.reload()
            with rig.connect() as haproxy:
                ask_and_wait(haproxy, [7])  # no answer: it waits
        rig.nodes[0].delay = 0
        rig.nodes[0].be("master")
        assert waiting.read().variables()["master"] == "N1"
        assert rig.ask()["generation"] == 1


def test_a_switch_while_nobody_is_named():
    """The next configuration sees the switch and loses its majority again before it takes over: the switch is told once it
    names the new master, with the old one as the one that is replaced."""
    with Rig(sentinels=FAST) as rig:
        rig.wait_votes(3)
        lose_master(rig)
        for fake in rig.fakes:
            fake.master = R2
        rig.change()
        find_master(rig)
        for fake in rig.fakes:
            fake.master = R2
        rig.wait_master("R2")
        rig.agent.wait_log(event="reloaded")
        switches = rig.agent.log_lines(event="master-switch", new_server="R2")
        assert [line["old-server"] for line in switches] == ["R1"]
        assert rig.ask()["generation"] == 2


def test_a_service_that_is_new_tells_its_first_master():
    with Rig(sentinels=FAST, agent=HTTP) as rig:
        rig.wait_votes(3)
        for fake in rig.fakes:
            fake.masters.update(new=R2)
        text = rig.agent.config_path.read_text()
        rig.agent.config_path.write_text(text + "[service new]\nserver = B 127.0.0.1:7002\n")
        rig.reload()
        line = rig.agent.wait_log(event="master-switch", service="new")
        assert (line["old-server"], line["new-server"]) == ("none", "B")
        assert len(rig.agent.log_lines(event="master-switch", service="mymaster")) == 1


def test_counters_never_fall():
    """Answers go out while the next configuration waits for a slow Sentinel: they are counted all the same."""
    name = 'redis_spoa_service_answers_total{service="mymaster",role="master",outcome="ok"}'
    with Rig(sentinels=FAST, agent=HTTP) as rig, rig.connect() as haproxy:
        rig.wait_votes(3)
        for fake in rig.fakes:
            fake.delay = 0.3
        mark = rig.agent.mark()
        rig.change()
        answers = 0
        while not rig.agent.find_log(event="reloaded", since=mark):
            haproxy.ask()
            answers += 1
        assert answers > 10
        before = rig.agent.metric(name)
        assert before >= answers
        haproxy.ask()
        assert rig.agent.metric(name) == before + 1


def refuses(rig):
    """The Sentinels want a password that the next file has wrong; the links that are there stay."""
    for fake in rig.fakes:
        fake.password = "secret"


def test_a_wrong_password_is_not_taken_over():
    """The old links work, the new ones do not: the old configuration stays, and the new one takes over when it is right."""
    with Rig(sentinels=FAST, agent=HTTP) as rig:
        rig.wait_votes(3)
        refuses(rig)
        line = rig.reload((FAST, f"{FAST}\npassword = wrong"), event="reload-failed")
        assert "mymaster" in line["error"]
        assert rig.agent.metric("redis_spoa_config_last_reload_successful") == 0
        assert rig.ask()["master"] == "R1"
        time.sleep(2.5)  # longer than votes live: they are renewed over the old links
        answer = rig.ask()
        assert (answer["state"], answer["master"], answer["votes"]) == ("ok", "R1", 3)
        # The Sentinels accept it after all: the configuration has gone on trying.
        mark = rig.agent.mark()
        for fake in rig.fakes:
            fake.password = "wrong"
        rig.agent.wait_log(event="reloaded", since=mark, timeout=30)
        assert rig.agent.metric("redis_spoa_config_last_reload_successful") == 1
        assert rig.ask()["master"] == "R1"


def test_a_shorter_park_holds_for_those_who_wait():
    with Rig(sentinels=FAST, service="park = 30s\ndebounce = 0") as rig, rig.connect() as one, rig.connect() as other:
        rig.wait_votes(3)
        lose_master(rig)
        ask_and_wait(one, [1])
        asked = time.monotonic()
        rig.reload(("park = 30s", "park = 1s"))
        other.send(question(stream_id=2))
        assert one.read().variables()["master"] is None
        assert other.read().variables()["master"] is None
        assert time.monotonic() - asked < 10


