"""Sentinels that lie, stumble or refuse, played by fakes, and real ones that ask for a password or grant little."""

import time

import pytest
from cluster import HOST, Redis, Sentinel
from fake_sentinel import GET_MASTER, HANG, OK, Endless, FakeSentinel, Raw, error, shut
from own_etc import OwnEtc, needs_root
from process import free_ports, wait_until
from resp import Resp
from rig import SERVERS, Rig

R1, R2 = SERVERS["R1"], SERVERS["R2"]
FAST = "poll = 100ms"  # reply-timeout is 500 ms, vote-life 2 s, as by default
PATIENT = f"{FAST}\nreply-timeout = 5s\nvote-life = 6s"

# What a Sentinel may say instead of an address -> the event that the log has about it, once.
NO_VOTE = {
    "NOAUTH": (error("NOAUTH Authentication required."), "sentinel-error"),
    "NOPERM": (error("NOPERM this user has no permissions"), "sentinel-error"),
    "LOADING": (error("LOADING Redis is loading the dataset in memory"), "sentinel-error"),
    "ERR": (error("ERR unknown command 'SENTINEL'"), "sentinel-error"),
    "nil array": (None, "sentinel-knows-no-master"),
    "nil bulk": (Raw(b"$-1\r\n"), "sentinel-knows-no-master"),
    "empty host": (["", "7001"], "sentinel-bad-address"),
    "port 0": ([HOST, "0"], "sentinel-bad-address"),
    "port 65537": ([HOST, "65537"], "sentinel-bad-address"),
    "port in words": ([HOST, "7001x"], "sentinel-bad-address"),
    "empty port": ([HOST, ""], "sentinel-bad-address"),
    "host with a blank": (["127.0.0.1 ", "7001"], "sentinel-bad-address"),
    "empty array": ([], "sentinel-nonsense"),
    "one element": ([HOST], "sentinel-nonsense"),
    "three elements": ([HOST, "7001", "x"], "sentinel-nonsense"),
    "port 0 as integer": ([HOST, 0], "sentinel-bad-address"),
    "nested": ([[HOST, "7001"], [HOST, "7001"]], "sentinel-nonsense"),
    "nils inside": (Raw(b"*2\r\n$-1\r\n$-1\r\n"), "sentinel-nonsense"),
    "bulk": ("127.0.0.1:7001", "sentinel-nonsense"),
    "integer": (7001, "sentinel-nonsense"),
    "OK": (OK, "sentinel-nonsense"),
}
# What ends the connection -> the reason that the log gives.
BROKEN = {
    "not RESP": (Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "Protocol error"),
    "RESP3 map": (Raw(b"%1\r\n+a\r\n+b\r\n"), "type"),  # worded by hiredis 0.14 or by us
    "huge array": (Raw(b"*2147483647\r\n"), "too large"),
    "huge bulk": (Raw(b"*2\r\n$2147483647\r\n"), "reply timeout"),
    "deep": (Raw(b"*1\r\n" * 1000), "nested"),
    "endless bulk": (Endless(b"*2\r\n$999999999\r\n", b"x" * 65536), "too large"),
    "endless array": (Endless(b"*1000000\r\n", b"$1\r\nx\r\n" * 8192), "too large"),
    "endless line": (Endless(b"+", b"x" * 65536), "too large"),
}


def lines_about(rig, fake, **wanted):
    return rig.agent.log_lines(sentinel=fake.where, **wanted)


@pytest.mark.parametrize("name", NO_VOTE)
def test_reply_without_a_vote(name):
    """One such Sentinel of three has no vote; two, and there is no master. The log says it once each."""
    reply, event = NO_VOTE[name]
    with Rig(sentinels=FAST) as rig:
        rig.wait_state("ok")
        rig.fakes[0].reply(GET_MASTER, reply)
        rig.wait_votes(2)
        rig.fakes[1].reply(GET_MASTER, reply)
        rig.wait_state("no-quorum")
        rig.wait_polls(5)
        for fake in rig.fakes[:2]:
            assert len(lines_about(rig, fake, event=event)) == 1
        assert rig.agent.log_lines(sentinel=rig.fakes[2].where, level="warning") == []
        rig.fakes[0].heal()
        assert rig.wait_state("ok")["master"] == "R1"


@pytest.mark.parametrize("name", BROKEN)
def test_reply_that_ends_the_connection(name):
    """The agent gives such a Sentinel up, at little cost, and believes it again when it speaks sense."""
    reply, reason = BROKEN[name]
    # The bytes of a reply without end take their time on a busy machine: they must not be late before they are too many.
    with Rig(sentinels=PATIENT if name.startswith("endless") else FAST) as rig:
        rig.wait_state("ok")
        before = rig.agent.resident_kib()
        bad = rig.fakes[0]
        bad.reply(GET_MASTER, reply)
        line = rig.agent.wait_log(event="sentinel-down", sentinel=bad.where)
        assert reason in line["reason"], line["line"]
        known = bad.times_asked("SENTINEL MYID")
        wait_until(lambda: bad.times_asked("SENTINEL MYID") >= known + 4, 30, "it is tried four times")
        attempts = bad.times_of("SENTINEL MYID")[known:]
        assert attempts[3] - attempts[0] > 0.5, "the pause between attempts does not grow"
        assert len(lines_about(rig, bad, event="sentinel-down", level="warning")) == 1
        rig.wait_votes(2)
        assert rig.agent.resident_kib() < before + 65536
        bad.heal()
        rig.wait_votes(3)


def test_unsolicited_replies():
    """Something that was not asked for must not be taken for the answer to the next question."""
    stray = Raw(b"*2\r\n$9\r\n127.0.0.1\r\n$4\r\n7002\r\n")
    with Rig(sentinels="poll = 1s\nsubscribe = no") as rig:
        rig.wait_state("ok")
        for fake in rig.fakes:
            assert fake.say(stray) > 0
        for fake in rig.fakes:
            rig.agent.wait_log(event="sentinel-down", sentinel=fake.where)
        answer = rig.wait_state("ok")
        assert (answer["master"], answer["generation"]) == ("R1", 1)
        for fake in rig.fakes:  # from the first byte on, and as much as there is room for
            fake.greeting = stray * 10
            fake.drop()
        rig.wait_state("no-quorum")
        assert not rig.agent.find_log(new_server="R2")


def test_late_replies_do_not_count():
    """A reply after reply-timeout describes another time; the connection may be good for the next one."""
    with Rig(sentinels="poll = 1s\nreply-timeout = 300ms") as rig:
        rig.wait_state("ok")
        for fake in rig.fakes[:2]:
            fake.delay = 0.6
        rig.wait_state("no-quorum")
        polls = [fake.times_asked() for fake in rig.fakes]
        wait_until(lambda: all(fake.times_asked() > count + 2 for fake, count in zip(rig.fakes, polls)), 30, "polls")
        assert rig.state() == "no-quorum"
        for fake in rig.fakes[:2]:
            fake.delay = 0.0
        assert rig.wait_state("ok")["master"] == "R1"


def test_silent_sentinels_are_left_and_tried_again():
    with Rig(sentinels=FAST) as rig:
        rig.wait_state("ok")
        for fake in rig.fakes[:2]:
            fake.reply(GET_MASTER, HANG)
        rig.wait_state("no-quorum")
        for fake in rig.fakes[:2]:
            rig.agent.wait_log(event="sentinel-down", sentinel=fake.where, reason="reply timeout")
            fake.heal()
        rig.wait_state("ok")


class ClosingSentinel(FakeSentinel):
    """Answers the first question about a master on each connection, and closes it."""

    def execute(self, sock, words, known):
        known = super().execute(sock, words, known)
        if " ".join(words).upper().startswith(GET_MASTER):
            shut(sock)
        return known


def test_sentinel_that_answers_and_closes_is_backed_off():
    """It is not connected twenty times a second, and the log has one line about it."""
    fakes = [ClosingSentinel(R1), FakeSentinel(R1), FakeSentinel(R1)]
    with Rig(fakes=fakes, sentinels="subscribe = no") as rig:
        rig.wait_state("ok")
        time.sleep(5)
        assert 4 <= fakes[0].accepted <= 10
        assert [line["event"] for line in lines_about(rig, fakes[0])] == ["sentinel-down"]
        assert rig.state() == "ok"


def test_one_sentinel_in_two_entries_has_one_vote():
    fakes = [FakeSentinel(R1) for _ in range(3)]
    fakes[1].myid = fakes[0].myid
    with Rig(fakes=fakes, sentinels=FAST) as rig:
        rig.wait_votes(2)
        line = rig.agent.wait_log(event="same-sentinel")
        assert {line["sentinel"], line["same-as"]} == {fakes[0].where, fakes[1].where}
        fakes[2].stop()
        rig.wait_state("no-quorum")
        rig.fakes[0].drop()
        rig.fakes[1].drop()
        wait_until(lambda: all(len(lines_about(rig, fake, event="sentinel-up")) == 2 for fake in fakes[:2]), 15, "both are up again")
        assert rig.state() == "no-quorum"
        assert len(rig.agent.log_lines(event="same-sentinel")) == 1


@pytest.mark.parametrize("reply", [error("NOPERM no"), error("NOAUTH no"), "short", None, OK, ["x"]])
def test_without_identity_there_is_no_vote(reply):
    with Rig(sentinels=FAST) as rig:
        rig.wait_state("ok")
        for fake in rig.fakes[:2]:
            fake.reply("SENTINEL MYID", reply)
            fake.drop()
        rig.wait_state("no-quorum")
        rig.wait_polls(3)
        assert rig.state() == "no-quorum"
        for fake in rig.fakes[:2]:
            assert len(lines_about(rig, fake, event="sentinel-without-identity")) == 1
            fake.heal()
            fake.drop()
        rig.wait_state("ok")


def test_password():
    fakes = [FakeSentinel(R1, password="right") for _ in range(3)]
    with Rig(fakes=fakes, sentinels=f"{FAST}\npassword = right") as rig:
        rig.wait_votes(3)
        wait_until(lambda: fakes[0].times_asked("AUTH RIGHT") == 2, 15, "it asks, and it listens")
        assert "right" not in rig.agent.log_text()


def test_wrong_password():
    fakes = [FakeSentinel(R1, password="right") for _ in range(3)]
    with Rig(fakes=fakes, sentinels=f"{FAST}\nusername = haproxy\npassword = wrong") as rig:
        rig.wait_state("no-quorum")
        rig.wait_polls(3)
        for fake in fakes:
            assert len(lines_about(rig, fake, event="sentinel-auth-failed")) == 1
        assert fakes[0].times_asked("AUTH HAPROXY WRONG") >= 1
        assert "wrong" not in rig.agent.log_text()


def switch_all(rig):
    for fake in rig.fakes:
        fake.master = R2


def test_polling_only():
    """SUBSCRIBE refused: a switch is seen with the next poll."""
    fakes = [FakeSentinel(R1) for _ in range(3)]
    for fake in fakes:
        fake.reply("SUBSCRIBE", error("NOPERM no access to the channel"))
    with Rig(fakes=fakes, sentinels="poll = 500ms") as rig:
        rig.wait_state("ok")
        for fake in fakes:
            rig.agent.wait_log(event="hints-refused", sentinel=fake.where)
        switch_all(rig)
        begun = time.monotonic()
        rig.wait_master("R2")
        assert time.monotonic() - begun < 5
        assert [len(lines_about(rig, fake, event="hints-refused")) for fake in fakes] == [1, 1, 1]
        wait_until(lambda: [fake.times_asked("SUBSCRIBE") for fake in fakes] == [1, 1, 1], 15, "each refused once")


def test_no_subscription_where_none_is_wanted():
    with Rig(sentinels=f"{FAST}\nsubscribe = no") as rig:
        rig.wait_state("ok")
        switch_all(rig)
        rig.wait_master("R2")
        assert [fake.times_asked("SUBSCRIBE") for fake in rig.fakes] == [0, 0, 0]


@pytest.mark.parametrize("channel, payload", [
    ("+switch-master", "mymaster 127.0.0.1 7001 127.0.0.1 7002"),
    ("+promoted-slave", "slave 127.0.0.1:7002 127.0.0.1 7002 @ mymaster 127.0.0.1 7001"),
    ("+config-update-from", "sentinel abc 127.0.0.1 26380 @ mymaster 127.0.0.1 7001"),
])
def test_hint_makes_it_ask_at_once(channel, payload):
    """Polls come once in ten minutes here, so what is seen sooner was seen for the hint."""
    with Rig(sentinels="poll = 10m\nvote-life = 20m") as rig:
        rig.wait_state("ok")
        wait_until(lambda: len(rig.fakes[0].subscribers) == 1, 15, "a subscription")
        rig.wait_quiet()
        switch_all(rig)
        assert rig.fakes[0].publish(channel, payload) == 1
        begun = time.monotonic()
        assert rig.wait_master("R2")["votes"] >= 2
        assert time.monotonic() - begun < 5
        line = rig.agent.wait_log(event="master-switch", old_server="R1", new_server="R2")
        assert (line["generation"], line["old"], line["new"]) == ("2", "127.0.0.1:7001", "127.0.0.1:7002")


def test_hint_is_no_vote():
    """+switch-master says R2, the Sentinels themselves say R1: they are asked, and believed."""
    with Rig() as rig:
        rig.wait_state("ok")
        wait_until(lambda: all(fake.subscribers for fake in rig.fakes), 15, "subscriptions")
        for fake in rig.fakes:
            fake.publish("+switch-master", "mymaster 127.0.0.1 7001 127.0.0.1 7002")
        rig.wait_polls(2)
        assert rig.ask()["master"] == "R1"
        assert not rig.agent.find_log(new_server="R2")


def test_two_views_are_no_majority():
    """One of four says R2, then two do: two of four are no majority, for neither."""
    with Rig(fakes=4, sentinels=FAST) as rig:
        rig.wait_state("ok")
        rig.fakes[0].master = R2
        rig.wait_votes(3)
        rig.fakes[1].master = R2
        rig.wait_state("no-quorum")
        rig.agent.wait_log(event="quorum-lost", reason="disagree")
        rig.fakes[2].master = R2
        assert rig.wait_state("ok")["master"] == "R2"


def test_address_outside_the_map():
    with Rig(sentinels=FAST) as rig:
        rig.wait_state("ok")
        for fake in rig.fakes:
            fake.master = (HOST, 7009)
        answer = rig.wait_state("unknown-address")
        assert [answer[name] for name in ("master", "addr", "port", "votes", "generation")] == [None] * 5
        line = rig.agent.wait_log(event="address-not-in-map", service="mymaster")
        assert line["address"] == "127.0.0.1:7009"
        switch_all(rig)
        assert rig.wait_state("ok")["master"] == "R2"


def test_any_address_where_that_is_allowed():
    with Rig(sentinels=FAST, service="allow-any-address = yes") as rig:
        rig.wait_state("ok")
        for fake in rig.fakes:
            fake.master = (HOST, 7009)
        answer = wait_until(lambda: (found := rig.ask())["port"] == 7009 and found, 15, "the address is named")
        assert (answer["state"], answer["master"], str(answer["addr"])) == ("ok", None, HOST)


@needs_root
def test_host_names():
    """The Sentinels are given as localhost: looked up by the resolver, IPv6 tried too where that comes first."""
    rig = Rig(sentinels=FAST)
    rig.config = rig.config.replace("address = 127.0.0.1:", "address = LocalHost:")
    rig.agent.prefix = OwnEtc(rig.directory, "::1 localhost\n127.0.0.1 localhost\n").words()
    with rig:
        rig.wait_votes(3)


def test_unknown_host_name():
    rig = Rig(sentinels=FAST)
    rig.config = rig.config.replace("[service", "address = sentinel.invalid:26379\n[service", 1)
    with rig:
        rig.wait_votes(3)
        rig.agent.wait_log(event="sentinel-down", sentinel="sentinel.invalid:26379", timeout=30)


# ---- real Sentinels ----

MINIMAL_ACL = ("-@all +auth +client|getname +client|id +client|setname +command +hello +ping +role "
               "+sentinel|get-master-addr-by-name +sentinel|master +sentinel|myid +sentinel|replicas "
               "+sentinel|sentinels")


class GuardedSentinel(Sentinel):
    """Asks for the password `secret`."""

    def call(self, *args, timeout=2.0):
        with Resp(self.address, timeout) as connection:
            connection.call("AUTH", "secret")
            return connection.call(*args)


def run_with_real_sentinel(kind, extra, settings):
    """A rig whose agent asks one real Sentinel (of this class); yields (rig, sentinel)."""
    rig = Rig(fakes=0, sentinels=f"{FAST}\n{settings}")
    ports = free_ports(2)
    redis, sentinel = Redis("R1", rig.directory, ports[0]), kind("S1", rig.directory, ports[1])
    rig.config = (rig.config.replace(":7001", f":{redis.port}")
                  .replace("[sentinels]\n", f"[sentinels]\naddress = {sentinel.where}\n"))
    try:
        redis.configure()
        redis.start()
        sentinel.configure(redis, 1, 1000, 10000, extra)
        sentinel.start()
        with rig:
            yield rig, sentinel
    finally:
        sentinel.kill()
        redis.kill()


@pytest.fixture(name="minimal")
def run_minimal():
    """A Sentinel that grants the user `haproxy` what Redis' documentation says a client needs."""
    yield from run_with_real_sentinel(Sentinel, f"user haproxy on >secret {MINIMAL_ACL}",
                                      "username = haproxy\npassword = secret")


def test_minimal_acl(minimal):
    rig, sentinel = minimal
    assert rig.wait_state("ok")["master"] == "R1"
    rig.agent.wait_log(event="hints-refused", sentinel=sentinel.where, timeout=15)
    clients = sentinel.call("CLIENT", "LIST")
    assert "name=sentinel-spoa" in clients and "user=haproxy" in clients
    assert rig.state() == "ok"


@pytest.fixture(name="guarded")
def run_guarded():
    yield from run_with_real_sentinel(GuardedSentinel, "requirepass secret", "password = secret")


def test_requirepass(guarded):
    rig, sentinel = guarded
    assert rig.wait_state("ok")["master"] == "R1"
    wait_until(lambda: "cmd=subscribe" in sentinel.call("CLIENT", "LIST"), 15, "a subscription")
