"""Old sessions are cut: real HAProxy told on its runtime API and by its master, and runtime APIs that are away, refuse, or hang.

What is owed to a HAProxy is owed until it has confirmed: over its absence, over a restart and a reload of the agent."""

import contextlib
import re
import signal
import time

import pytest
from cluster import Cluster
from fake_api import CONNECTING, ENDING, ESTABLISHED, FakeApi, session_line
from fake_sentinel import GET_MASTER
from process import wait_until
from resp import Resp
from rig import SERVERS, Rig, check_clean, run_agent
from workers import Workers

FAST = "poll = 100ms"
R1, R2 = SERVERS["R1"], SERVERS["R2"]
SETTLE = 0.5  # by then a confirmation is for good


class CutCluster(Cluster):
    """A cluster whose agent cuts sessions by HAProxy's runtime API."""

    def __init__(self):
        super().__init__(recipe="runtime-api")

    def start_all(self, agent_edits=None, haproxy_edits=None):
        self.start_redis()
        self.start_sentinels()
        self.start_agent(agent_edits)
        self.start_haproxy(haproxy_edits)
        self.wait_served()
        self.wait_settled()

    def wait_settled(self):
        """What is owed from the start is confirmed, of both servers that are no master."""
        wait_until(lambda: len(self.agent.log_lines(event="sessions-cut")) >= 2, 15, "the start's cuts are confirmed")

    def hold(self, stack, count=20):
        """So many sessions to the master, in use."""
        sessions = [stack.enter_context(Resp(self.haproxy.address, 10)) for _ in range(count)]
        for session in sessions:
            assert session.call("SET", "key", "before") == "OK"
        return sessions

    def switch(self, timeout=30):
        """A failover by order: the old master lives on, writable. When it was named, and the line of the log."""
        mark = self.agent.mark()
        self.sentinels[0].fail_over()
        line = self.agent.wait_log(event="master-switch", since=mark, timeout=timeout)
        return time.monotonic(), line


def closed_within(sessions, begun, seconds):
    wait_until(lambda: all(session.is_closed() for session in sessions), 15, "all old sessions are closed")
    took = time.monotonic() - begun
    assert took < seconds, f"it took {took:.2f} s"


def test_sessions_to_the_old_master_are_cut():
    """After a failover by order the old master lives on, writable: all old sessions are closed at once, no new one is."""
    with CutCluster() as cluster, contextlib.ExitStack() as stack:
        cluster.start_all()
        old = cluster.redis[0]
        sessions = cluster.hold(stack)
        mark = cluster.agent.mark()
        switched, _ = cluster.switch()
        closed_within(sessions, switched, 1)
        begun = cluster.agent.wait_log(event="cutting-sessions", server=old.name, since=mark)
        assert (begun["service"], begun["backend"], begun["cause"]) == ("mymaster", "be_redis", "switch")
        new = cluster.named()
        late = stack.enter_context(Resp(cluster.haproxy.address, 10))
        assert int(late.call("CONFIG", "GET", "port")[1]) == new.port
        line = cluster.agent.wait_log(event="sessions-cut", server=old.name, since=mark)
        assert (line["service"], line["backend"], line["api"]) == ("mymaster", "be_redis", f"unix:{cluster.api}")
        assert 1000 * SETTLE <= int(line["ms"]) < 2000 and int(line["first-ms"]) < 500
        assert late.call("PING") == "PONG"
        assert not cluster.agent.find_log(event="runtime-api-failed", since=mark)
        check_clean(cluster.agent)


def test_several_backends():
    """The servers of a service are in two backends: the sessions through both are cut."""
    with CutCluster() as cluster, contextlib.ExitStack() as stack:
        cluster.start_redis()
        cluster.start_sentinels()
        cluster.start_agent({"backend = be_redis": "backend = be_redis be_other"})
        text = cluster.shipped("haproxy.cfg")
        backend = text[text.index("backend be_redis\n"):text.index("backend be_sentinel_spoa\n")]
        frontend = text[text.index("frontend fe_redis\n"):text.index("backend be_redis\n")]
        other = (frontend + backend).replace("fe_redis", "fe_other").replace("be_redis", "be_other")
        other = other.replace("bind 127.0.0.1:6379", f"bind 127.0.0.1:{cluster.reads[1]}")
        cluster.start_haproxy({"backend be_sentinel_spoa\n": other + "backend be_sentinel_spoa\n"})
        cluster.wait_served()
        wait_until(lambda: len(cluster.agent.log_lines(event="sessions-cut")) == 4, 15, "the start's cuts are confirmed")
        sessions = [*cluster.hold(stack, 3), *(stack.enter_context(Resp(cluster.reads, 10)) for _ in range(3))]
        assert all(session.call("PING") == "PONG" for session in sessions)
        switched, _ = cluster.switch()
        closed_within(sessions, switched, 1)
        check_clean(cluster.agent)


def test_wrong_backend_is_told():
    """HAProxy knows no such backend: an alarm says so before there is anything to cut, in its words, until the file is right."""
    with CutCluster() as cluster:
        cluster.start_redis()
        cluster.start_sentinels()
        cluster.start_agent({"backend = be_redis": "backend = no_such_backend"})
        cluster.start_haproxy()
        line = cluster.agent.wait_log(event="alarm", alarm="runtime-api", timeout=15)
        assert line["api"] == f"unix:{cluster.api}" and re.match(r"no_such_backend/R\d: No such backend", line["detail"]), line
        cluster.agent.wait_log("No such backend", event="runtime-api-failed")
        assert not cluster.agent.find_log(event="sessions-cut")
        path = cluster.agent.config_path
        path.write_text(path.read_text().replace("no_such_backend", "be_redis"))
        cluster.agent.signal(signal.SIGHUP)
        cluster.agent.wait_log(event="alarm-cleared", alarm="runtime-api", timeout=15)
        cluster.wait_settled()
        check_clean(cluster.agent)


def test_wrong_rights_are_told_before_the_first_failover():
    """The socket has no `level admin`: an alarm, and after a failover no word of sessions that were cut."""
    with CutCluster() as cluster, contextlib.ExitStack() as stack:
        cluster.start_redis()
        cluster.start_sentinels()
        cluster.start_agent()
        cluster.start_haproxy({"level admin": "level operator"})
        cluster.wait_served()
        line = cluster.agent.wait_log(event="alarm", alarm="runtime-api", timeout=15)
        assert line["detail"] == "Permission denied"
        sessions = cluster.hold(stack, 3)
        cluster.switch()
        until = time.monotonic() + 1.5
        wait_until(lambda: time.monotonic() > until, 5, "rounds have gone by")
        assert not cluster.agent.find_log(event="sessions-cut")
        assert cluster.agent.metric("redis_spoa_cuts_total") == 0
        assert cluster.agent.find_log(event="runtime-api-failed", reason="Permission denied")
        assert not all(session.is_closed() for session in sessions)
        check_clean(cluster.agent)


def test_an_agent_that_was_away_during_the_failover():
    """It is restarted when all is over: the sessions that are still on the old master are cut."""
    with CutCluster() as cluster, contextlib.ExitStack() as stack:
        cluster.start_all()
        old = cluster.redis[0]
        sessions = cluster.hold(stack, 5)
        cluster.agent.kill()
        cluster.sentinels[0].fail_over()
        cluster.wait_failover(old)
        mark = cluster.agent.mark()
        assert not any(session.is_closed() for session in sessions)
        cluster.agent.start()
        cluster.agent.wait_log(event="master-switch", since=mark)
        closed_within(sessions, time.monotonic(), 1)
        assert cluster.agent.wait_log(event="sessions-cut", server=old.name, since=mark)
        check_clean(cluster.agent)


class WorkersCluster(CutCluster):
    """A cluster whose HAProxy is reached by its master."""

    def __init__(self):
        super().__init__()
        self.workers = Workers(self)

    def reload_haproxy(self):
        """The old worker stays while it has sessions."""
        self.workers.reload()
        self.wait_served()


def test_old_workers_are_reached_by_the_master():
    """HAProxy was reloaded twice: the sessions in both old workers are cut at the switch, as those in the new one."""
    with WorkersCluster() as cluster, contextlib.ExitStack() as stack:
        cluster.start_all(cluster.workers.agent_edits())
        old = cluster.redis[0]
        checked = run_agent("-f", cluster.agent.config_path, "check").stdout
        assert re.search(rf"^\[haproxy\] master:unix:{cluster.workers.socket} HAProxy \d+\.\d+$", checked, re.MULTILINE), checked
        assert not re.search("^! .*(HAProxy|be_redis|master with workers)", checked, re.MULTILINE), checked
        sessions = []
        for _ in range(2):
            sessions += cluster.hold(stack, 5)
            cluster.reload_haproxy()
        sessions += cluster.hold(stack, 5)
        assert len(cluster.workers.old()) == 2
        mark = cluster.agent.mark()
        switched, _ = cluster.switch()
        closed_within(sessions, switched, 1)
        line = cluster.agent.wait_log(event="sessions-cut", server=old.name, since=mark)
        assert line["api"] == f"master:unix:{cluster.workers.socket}" and int(line["ms"]) < 2000
        wait_until(lambda: cluster.workers.old() == [], 15, "the old workers end")
        assert not cluster.agent.find_log(event="runtime-api-failed", since=mark)
        assert cluster.call("PING") == "PONG"
        check_clean(cluster.agent)


def test_an_old_worker_is_out_of_reach_without_the_master():
    """What the recipe's `hard-stop-after` is for: by the socket of the worker alone an old one is not reached."""
    with WorkersCluster() as cluster, contextlib.ExitStack() as stack:
        cluster.start_all()
        sessions = cluster.hold(stack, 2)
        cluster.reload_haproxy()
        mark = cluster.agent.mark()
        cluster.switch()
        cluster.agent.wait_log(event="sessions-cut", server="R1", since=mark)
        assert not any(session.is_closed() for session in sessions)
        check_clean(cluster.agent)


def test_no_master_behind_master(tmp_path):
    """`master:` in front of a worker's own socket."""
    with FakeApi(tmp_path / "api.sock"), Rig(sentinels=FAST, service="backend = b", more=f"[haproxy]\nruntime-api = master:{tmp_path}/api.sock") as rig:
        line = rig.agent.wait_log(event="alarm", alarm="runtime-api", timeout=15)
        assert line["api"] == f"master:unix:{tmp_path}/api.sock" and "no master with workers" in line["detail"], line


# ---- a runtime API that is played ----

@pytest.fixture
def api(tmp_path):
    with FakeApi(tmp_path / "api.sock") as made:
        yield made


def cut_rig(api, service="backend = b", more="", **options):
    """An agent that tells this API of the sessions of b/R1 and b/R2."""
    return Rig(sentinels=FAST, service=service, more=f"{more}[haproxy]\nruntime-api = {api.path}\n", **options)


def name(rig, address):
    for fake in rig.fakes:
        fake.master = address


def wait_start(rig, api, server="R1"):
    """R1 is named, and what is owed from the start is confirmed; returns where the log stands."""
    rig.wait_master(server)
    rig.agent.wait_log(event="sessions-cut", api=f"unix:{api.path}")
    api.lines.clear()
    return rig.agent.mark()


def switch_master(rig, address=R2, server="R2"):
    name(rig, address)
    rig.wait_master(server)
    return time.monotonic()


def test_told_again_for_half_a_second(api):
    """For connections that were being made while the master changed. Then no more."""
    with cut_rig(api) as rig:
        wait_start(rig, api)
        switch_master(rig)
        line = rig.agent.wait_log(event="sessions-cut", server="R1")
        assert {line for _, line in api.lines} == {"shutdown sessions server b/R1"}
        assert 6 <= len(api.lines) <= 7
        assert SETTLE - 0.1 < api.lines[-1][0] - api.lines[0][0] < 5
        assert int(line["ms"]) >= 1000 * SETTLE
        rig.wait_polls(10)
        assert len(api.lines) <= 7
        assert len(rig.agent.log_lines(event="sessions-cut", server="R1")) == 1


def test_the_start_owes_all_but_the_master(api):
    """Nobody knows what was before: all servers but the one that is named, and nothing before somebody is."""
    fakes = 3
    with cut_rig(api, fakes=fakes) as rig:
        wait_until(lambda: api.trials > 0, 10, "it is tried")
        line = rig.agent.wait_log(event="sessions-cut")
        assert (line["server"], line["api"]) == ("R2", f"unix:{api.path}")
        assert rig.agent.find_log(event="cutting-sessions", server="R2", cause="start")
        assert {line for _, line in api.lines} == {"shutdown sessions server b/R2"}
        assert not api.told_of("b/R1")


def test_nobody_is_cut_before_somebody_is_named(api):
    with Rig(fakes=0, sentinels="address = 127.0.0.1:1", service="backend = b", more=f"[haproxy]\nruntime-api = {api.path}") as rig:
        wait_until(lambda: api.trials > 0, 10, "it is tried")
        rig.wait_state("no-quorum")
        assert not api.told()


@pytest.mark.parametrize("seconds", [1, 10])
def test_an_api_that_is_away_at_the_switch(api, seconds):
    """HAProxy is told within a second of its return, and not before that is it said that sessions were cut."""
    with cut_rig(api, agent="http = 127.0.0.1:0") as rig:
        mark = wait_start(rig, api)
        api.close()
        switch_master(rig)
        until = time.monotonic() + seconds
        wait_until(lambda: time.monotonic() > until, seconds + 5, "it was away for so long")
        assert not rig.agent.find_log(event="sessions-cut", since=mark)
        assert rig.agent.metric('redis_spoa_runtime_api_up{api="unix:' + api.path + '"}') == 0
        assert (rig.agent.find_log(event="alarm", alarm="runtime-api") is not None) == (seconds > 3)
        api.open()
        back = time.monotonic()
        wait_until(lambda: api.told_of("b/R1"), 10, "HAProxy is told")
        assert api.told_of("b/R1")[0] - back < 1
        line = rig.agent.wait_log(event="sessions-cut", server="R1", since=mark)
        assert int(line["first-ms"]) >= 1000 * seconds
        assert len(rig.agent.log_lines(event="runtime-api-failed", since=mark)) == 1
        if seconds > 3:
            rig.agent.wait_log(event="alarm-cleared", alarm="runtime-api")
        wait_until(lambda: rig.agent.metric('redis_spoa_runtime_api_up{api="unix:' + api.path + '"}') == 1, 10, "up")


def test_one_that_is_away_is_not_confirmed_by_another(api, tmp_path):
    """Two HAProxys, one of them away: the other's confirmation is its own."""
    with FakeApi(tmp_path / "other.sock") as other, cut_rig(api, more=f"[haproxy]\nruntime-api = {tmp_path}/other.sock\n",
                                                           agent="http = 127.0.0.1:0") as rig:
        wait_start(rig, api)
        rig.agent.wait_log(event="sessions-cut", api=f"unix:{other.path}")
        before = rig.agent.metric("redis_spoa_cuts_total")
        other.close()
        switch_master(rig)
        rig.agent.wait_log(event="sessions-cut", server="R1", api=f"unix:{api.path}")
        assert not rig.agent.find_log(event="sessions-cut", server="R1", api=f"unix:{other.path}")
        assert rig.agent.metric("redis_spoa_cuts_total") == before + 1
        assert rig.agent.metric('redis_spoa_runtime_api_owed{api="unix:' + other.path + '"}') == 1
        assert rig.agent.metric('redis_spoa_runtime_api_owed{api="unix:' + api.path + '"}') == 0
        other.open()
        rig.agent.wait_log(event="sessions-cut", server="R1", api=f"unix:{other.path}")


def test_api_that_is_never_there(tmp_path):
    """Told once, and nothing else suffers."""
    with Rig(sentinels=FAST, service="backend = b", more=f"[haproxy]\nruntime-api = {tmp_path}/none.sock") as rig:
        rig.wait_votes(3)
        switch_master(rig)
        assert rig.agent.wait_log(event="cutting-sessions", server="R1", backend="b")["cause"] == "switch"
        rig.agent.wait_log(event="runtime-api-failed", reason="No such file or directory")
        rig.wait_polls(10)
        assert len(rig.agent.log_lines(event="runtime-api-failed")) == 1
        assert not rig.agent.find_log(event="sessions-cut")
        assert rig.agent.wait_log(event="alarm", alarm="runtime-api")["detail"] == "No such file or directory"


def test_there_and_back_and_nobody(api):
    """R1 is replaced, named again at once, and then nobody is: its new sessions are not cut."""
    with cut_rig(api) as rig:
        wait_start(rig, api)
        switch_master(rig)
        switch_master(rig, R1, "R1")
        for fake in rig.fakes:
            fake.reply(GET_MASTER, None)
        back = time.monotonic()
        rig.agent.wait_log(event="sessions-cut", server="R2", pattern="first-ms")
        wait_until(lambda: len(api.told_of("b/R2")) >= 6 and time.monotonic() > back + 2 * SETTLE, 10, "R2 is cut, R1 would be")
        assert [when for when in api.told_of("b/R1") if when > back + 0.05] == []
        assert not rig.agent.find_log(event="sessions-cut", server="R1")


def test_fence(api):
    """No majority for a second: the sessions to the last master are cut."""
    with cut_rig(api, service="backend = b\nfence = 1s\ndebounce = 0") as rig:
        wait_start(rig, api)
        for fake in rig.fakes:
            fake.reply(GET_MASTER, None)
        rig.agent.wait_log(event="fenced")
        wait_until(api.told, 10, "HAProxy is told")
        assert api.lines[0][1] == "shutdown sessions server b/R1"
        assert rig.agent.find_log(event="cutting-sessions", server="R1", cause="fence")


def test_a_fence_that_ends_for_a_moment(api):
    """The last master is fenced, named again for a few milliseconds, and then nobody is: who came meanwhile is not cut."""
    with Rig(sentinels="poll = 20ms", service="backend = b\nfence = 1s",
             more=f"[haproxy]\nruntime-api = {api.path}") as rig:
        mark = wait_start(rig, api)
        for fake in rig.fakes:
            fake.reply(GET_MASTER, None)
        wait_until(api.told, 10, "HAProxy is told")
        for fake in rig.fakes:
            fake.replies.pop(GET_MASTER)
        rig.agent.wait_log(event="fence-ended", since=mark)
        back = time.monotonic()
        for fake in rig.fakes:
            fake.reply(GET_MASTER, None)
        wait_until(lambda: time.monotonic() > back + 2 * SETTLE, 5, "the debt would be told of")
        assert [when for when in api.told_of("b/R1") if when > back + 0.02] == []
        assert not rig.agent.find_log(event="sessions-cut", since=mark)


# ---- reloads of the agent ----

def test_a_reload_takes_the_debt_over(api):
    """The API is away at the switch, and the agent is reloaded: what is owed is told when it is back, since when it was owed."""
    with cut_rig(api) as rig:
        mark = wait_start(rig, api)
        api.close()
        switch_master(rig)
        rig.reload()
        rig.reload((FAST, "poll = 150ms"))
        assert not rig.agent.find_log(event="sessions-cut", since=mark)
        api.open()
        line = rig.agent.wait_log(event="sessions-cut", server="R1", since=mark)
        assert int(line["first-ms"]) > 20
        assert len(rig.agent.log_lines(event="cutting-sessions", since=mark)) == 1
        api.lines.clear()
        rig.reload((FAST.replace("100", "150"), FAST))
        rig.wait_polls(10)
        assert not api.told()  # what is confirmed is not owed again


def test_a_reload_during_a_slow_call(api):
    """HAProxy takes 1.5 s for each answer, longer than a deployment stays that was replaced: nothing is lost."""
    with cut_rig(api) as rig:
        mark = wait_start(rig, api)
        api.delay = 1.5
        switch_master(rig)
        rig.reload()
        wait_until(lambda: api.told_of("b/R1"), 10, "HAProxy is told")
        line = rig.agent.wait_log(event="sessions-cut", server="R1", since=mark, timeout=20)
        assert int(line["ms"]) >= 1000 * SETTLE
        assert not rig.agent.find_log(event="runtime-api-failed", since=mark)
        api.delay = 0.0


def test_an_api_that_a_reload_adds(api, tmp_path):
    """Of it nothing is known: all servers but the master are owed to it, and to it alone."""
    with FakeApi(tmp_path / "other.sock") as other, cut_rig(api) as rig:
        mark = wait_start(rig, api)
        rig.reload((f"runtime-api = {api.path}\n", f"runtime-api = {api.path}\nruntime-api = {other.path}\n"))
        line = rig.agent.wait_log(event="sessions-cut", since=mark)
        assert (line["server"], line["api"]) == ("R2", f"unix:{other.path}")
        assert not api.told()


# ---- what is tried ----

def test_a_weight_is_told(api):
    """HAProxy would balance over a server whose weight is not 0 when the one that is named is down."""
    api.servers = {"b/R1": 0, "b/R2": 100}
    with cut_rig(api) as rig:
        assert rig.agent.wait_log(event="alarm", alarm="runtime-api")["detail"] == "b/R2 has weight 100: it must be 0"
        wait_start(rig, api)  # which it can cut all the same
        api.servers["b/R2"] = 0
        rig.agent.wait_log(event="alarm-cleared", alarm="runtime-api")


def test_what_is_no_haproxy_is_told(api):
    api.version = None
    with cut_rig(api) as rig:
        assert "this is no HAProxy" in rig.agent.wait_log(event="alarm", alarm="runtime-api")["detail"]
        assert not api.told()
        api.version = "3.2.1"
        rig.agent.wait_log(event="alarm-cleared", alarm="runtime-api")
        wait_start(rig, api)


# ---- a HAProxy that must not shut a session which is connecting ----

@pytest.mark.parametrize("version", ["2.8.3", "3.0.11-1+deb13u4", "3.1.0"])
def test_connecting_sessions_are_looked_at_again(api, version):
    """Those that are established are shut one by one while another one connects; all, when nobody does any more."""
    api.version = version
    with cut_rig(api) as rig:
        mark = wait_start(rig, api)
        api.sessions = [session_line(0xA1, ESTABLISHED), session_line(0xA2, CONNECTING), session_line(0xA3, ESTABLISHED, "b/R2"),
                        session_line(0xA4, ESTABLISHED, "other/R1"), session_line(0xA5, ENDING)]
        switch_master(rig)
        wait_until(lambda: api.told(6), 10, "six rounds")
        assert {line for _, line in api.lines} == {"shutdown session 0xa1"}
        until = time.monotonic() + 1
        wait_until(lambda: time.monotonic() > until, 5, "half a second and more has gone by")
        assert not rig.agent.find_log(event="sessions-cut", since=mark)
        api.sessions = [session_line(0xA2, ESTABLISHED), session_line(0xA5, ENDING)]
        wait_until(lambda: api.lines[-1][1] == "shutdown sessions server b/R1", 10, "all are shut when nobody is connecting")
        rig.agent.wait_log(event="sessions-cut", server="R1")
        assert not rig.agent.log_lines(event="runtime-api-failed")


def test_beside_another_haproxy_it_is_looked_at_again_too(api, tmp_path):
    """One that is done with a cut does not end it for the one that waits for a session to be established."""
    api.version = "3.0.11"
    with FakeApi(tmp_path / "quick.sock") as quick, cut_rig(api, more=f"[haproxy]\nruntime-api = {tmp_path}/quick.sock\n") as rig:
        wait_start(rig, api)
        rig.agent.wait_log(event="sessions-cut", api=f"unix:{quick.path}")
        api.sessions = [session_line(0xA2, CONNECTING)]
        switch_master(rig)
        rig.agent.wait_log(event="sessions-cut", server="R1", api=f"unix:{quick.path}")
        api.sessions = [session_line(0xA2, ESTABLISHED)]
        wait_until(lambda: api.told_of("b/R1"), 10, "it is shut")


def test_thousands_of_sessions_one_by_one(api):
    """In lines that HAProxy can take."""
    api.version = "3.0.11"
    with cut_rig(api) as rig:
        wait_start(rig, api)
        api.drops = True
        api.sessions = [session_line(1, CONNECTING), *(session_line(0x7F0000000000 + i, ESTABLISHED) for i in range(5000))]
        switch_master(rig)
        wait_until(lambda: len(api.sessions) == 1, 20, "all are shut but the one that is connecting")
        assert max(len(line) for _, line in api.lines) < 8192


def test_a_session_that_ended_by_itself_is_no_fault(api):
    api.version = "3.0.11"
    with cut_rig(api) as rig:
        wait_start(rig, api)
        api.sessions = [session_line(0xA1, ESTABLISHED), session_line(0xA2, CONNECTING)]
        api.reply = "No such session (use 'show sess').\n"
        switch_master(rig)
        wait_until(lambda: api.told(6), 10, "six rounds")
        assert not rig.agent.log_lines(event="runtime-api-failed")


@pytest.mark.parametrize("version", ["3.0.11", "3.2.1"])
def test_a_slow_haproxy_is_told_all_the_same(api, tmp_path, version):
    """It takes a second for each answer, and has a HAProxy beside it that does not."""
    api.version = version
    with FakeApi(tmp_path / "quick.sock") as quick, cut_rig(api, more=f"[haproxy]\nruntime-api = {tmp_path}/quick.sock\n") as rig:
        mark = wait_start(rig, api)
        rig.agent.wait_log(event="sessions-cut", api=f"unix:{quick.path}")
        quick.lines.clear()
        api.delay = 1.0
        switch_master(rig)
        for one in (quick, api):
            rig.agent.wait_log(event="sessions-cut", server="R1", api=f"unix:{one.path}", since=mark, timeout=20)
        api.delay = 0.0
        assert {line for _, line in api.lines + quick.lines} == {"shutdown sessions server b/R1"}
        assert len(quick.lines) <= 7


def test_a_complaint_does_not_keep_the_others_from_being_cut(api):
    """More services than one line takes, and one of them is misspelt: its cut is not confirmed, all others are."""
    count = 200
    backends = [f"{'b' * 60}{i}" for i in range(count - 1)] + ["wrong"]
    services = "".join(f"[service s{i}]\nmonitor = mymaster\nbackend = {backend}\n"
                       "server = R1 127.0.0.1:7001\nserver = R2 127.0.0.1:7002\n" for i, backend in enumerate(backends))
    api.servers = {f"{backend}/{server}": 0 for backend in ("b", *backends) if backend != "wrong" for server in ("R1", "R2")}
    owed = f'redis_spoa_runtime_api_owed{{api="unix:{api.path}"}}'
    with cut_rig(api, agent="http = 127.0.0.1:0", more=services) as rig:
        wait_until(lambda: rig.agent.metric("redis_spoa_ready") == 1, 20, "all have a master")
        wait_until(lambda: rig.agent.metric("redis_spoa_cuts_total") == count, 20, "the start's cuts")
        switch_master(rig)
        wait_until(lambda: rig.agent.metric("redis_spoa_cuts_total") == 2 * count, 20, "all are confirmed but one")
        assert rig.agent.metric(owed) == 1
        assert rig.agent.wait_log(event="runtime-api-failed")["reason"] == "wrong/R2: No such server."
        assert max(len(line) for _, line in api.lines) < 8192


@pytest.mark.parametrize("version", ["3.0.11", "3.2.1"])
def test_a_server_that_is_not_known_is_told(api, version):
    """Also where it has no session that would be shut."""
    api.version = version
    api.servers = {"b/R2": 0}
    with cut_rig(api) as rig:
        wait_start(rig, api)
        switch_master(rig)
        assert rig.agent.wait_log(event="runtime-api-failed")["reason"] == "b/R1: No such server."


@pytest.mark.parametrize("version", ["3.0.11", "3.2.1"])
def test_a_refusal_is_told(api, version):
    api.version = version
    with cut_rig(api) as rig:
        mark = wait_start(rig, api)
        api.sessions = [session_line(0xA1, ESTABLISHED)]
        api.may_shut = False
        switch_master(rig)
        wait_until(lambda: api.told(3), 10, "three rounds")
        assert rig.agent.wait_log(event="runtime-api-failed")["reason"] == "Permission denied"
        assert len(rig.agent.log_lines(event="runtime-api-failed")) == 1
        assert not rig.agent.find_log(event="sessions-cut", since=mark)
