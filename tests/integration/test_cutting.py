"""Old sessions are cut: real HAProxy told on its runtime API, and runtime APIs that are missing or refuse."""

import contextlib
import time

import pytest
from cluster import Cluster
from fake_api import CONNECTING, ENDING, ESTABLISHED, FakeApi, session_line
from fake_sentinel import GET_MASTER
from process import wait_until
from resp import Resp
from rig import SERVERS, Rig, check_clean

FAST = "poll = 100ms"
R2 = SERVERS["R2"]


class CutCluster(Cluster):
    """A cluster whose agent cuts sessions by HAProxy's runtime API; `backend` as the agent is told."""

    def __init__(self):
        super().__init__(recipe="runtime-api")

    def start_all(self, backend="be_redis", service=""):
        self.start_redis()
        self.start_sentinels()
        self.start_agent({"backend = be_redis": f"backend = {backend}",
                          "[service mymaster]\n": f"[service mymaster]\n{service}"})
        self.start_haproxy()
        self.wait_served()


def test_sessions_to_the_old_master_are_cut():
    """After a failover by order the old master lives on, writable: all old sessions are closed at once, no new one is."""
    with CutCluster() as cluster, contextlib.ExitStack() as stack:
        cluster.start_all()
        old = cluster.redis[0]
        sessions = [stack.enter_context(Resp(cluster.haproxy.address, 10)) for _ in range(20)]
        for session in sessions:
            assert session.call("SET", "key", "before") == "OK"
        cluster.sentinels[0].fail_over()
        cluster.agent.wait_log(event="master-switch", old_server=old.name, timeout=30)
        switched = time.monotonic()
        line = cluster.agent.wait_log(event="sessions-cut", server=old.name)
        assert (line["service"], line["backend"]) == ("mymaster", "be_redis")
        wait_until(lambda: all(session.is_closed() for session in sessions), 5, "all old sessions are closed")
        assert time.monotonic() - switched < 2
        new = cluster.named()
        late = stack.enter_context(Resp(cluster.haproxy.address, 10))
        assert int(late.call("CONFIG", "GET", "port")[1]) == new.port
        until = time.monotonic() + 1
        wait_until(lambda: time.monotonic() > until, 5, "the cut is over")
        assert late.call("PING") == "PONG"
        assert cluster.agent.log_lines(event="runtime-api-failed") == []
        check_clean(cluster.agent)


def test_wrong_backend_is_told():
    """HAProxy knows no such backend: the log has its words."""
    with CutCluster() as cluster:
        cluster.start_all(backend="no_such_backend")
        cluster.sentinels[0].fail_over()
        line = cluster.agent.wait_log(event="runtime-api-failed", timeout=30)
        assert "No such backend" in line["reason"] or "not found" in line["reason"].lower(), line
        check_clean(cluster.agent)


def test_api_that_is_not_there(tmp_path):
    """Told once a cut, and nothing else suffers."""
    with Rig(sentinels=FAST, service="backend = b", more=f"[haproxy]\nruntime-api = {tmp_path}/none.sock") as rig:
        rig.wait_votes(3)
        for fake in rig.fakes:
            fake.master = R2
        rig.wait_master("R2")
        rig.agent.wait_log(event="sessions-cut", server="R1", backend="b")
        rig.agent.wait_log(event="runtime-api-failed", reason="No such file or directory")
        rig.wait_polls(10)
        assert len(rig.agent.log_lines(event="runtime-api-failed")) == 1


@pytest.fixture
def api(tmp_path):
    with FakeApi(tmp_path / "api.sock") as made:
        yield made


def test_told_again_for_half_a_second(api, tmp_path):
    """For connections that were being made while the master changed. Then no more."""
    with Rig(sentinels=FAST, service="backend = b", more=f"[haproxy]\nruntime-api = {tmp_path}/api.sock") as rig:
        rig.wait_votes(3)
        assert not api.told()  # the first master replaces nobody
        for fake in rig.fakes:
            fake.master = R2
        rig.wait_master("R2")
        wait_until(lambda: api.told(6), 10, "six rounds")
        assert {line for _, line in api.lines} == {"shutdown sessions server b/R1"}
        assert 0.4 < api.lines[-1][0] - api.lines[0][0] < 5
        rig.wait_polls(10)
        assert len(api.lines) == 6


def test_a_master_that_comes_back_is_let_alone(api, tmp_path):
    """R1 is replaced and named again at once: its new sessions are not cut."""
    with Rig(sentinels=FAST, service="backend = b", more=f"[haproxy]\nruntime-api = {tmp_path}/api.sock") as rig:
        rig.wait_votes(3)
        for address, server in ((R2, "R2"), (SERVERS["R1"], "R1")):
            for fake in rig.fakes:
                fake.master = address
            rig.wait_master(server)
        back = time.monotonic()
        wait_until(lambda: sum("b/R2" in line for _, line in api.lines) >= 6, 10, "R2 is cut")
        assert [line for when, line in api.lines if "b/R1" in line and when > back + 0.5] == []
        assert len([line for _, line in api.lines if "b/R1" in line]) < 6


def test_fence(api, tmp_path):
    """No majority for a second: the sessions to the last master are cut."""
    with Rig(sentinels=FAST, service="backend = b\nfence = 1s\ndebounce = 0",
             more=f"[haproxy]\nruntime-api = {tmp_path}/api.sock") as rig:
        rig.wait_votes(3)
        for fake in rig.fakes:
            fake.reply(GET_MASTER, None)
        rig.agent.wait_log(event="fenced")
        wait_until(api.told, 10, "HAProxy is told")
        assert api.lines[0][1] == "shutdown sessions server b/R1"


# ---- a HAProxy that must not shut a session which is connecting ----

def switch_master(rig):
    for fake in rig.fakes:
        fake.master = R2
    rig.wait_master("R2")


@pytest.mark.parametrize("version", ["2.8.3", "3.0.11-1+deb13u4", "3.1.0"])
def test_connecting_sessions_are_looked_at_again(api, tmp_path, version):
    """Those that are established are shut one by one while another one connects; all, when nobody does any more."""
    api.version = version
    api.sessions = [session_line(0xA1, ESTABLISHED), session_line(0xA2, CONNECTING), session_line(0xA3, ESTABLISHED, "b/R2"),
                    session_line(0xA4, ESTABLISHED, "other/R1"), session_line(0xA5, ENDING)]
    with Rig(sentinels=FAST, service="backend = b", more=f"[haproxy]\nruntime-api = {tmp_path}/api.sock") as rig:
        rig.wait_votes(3)
        switch_master(rig)
        wait_until(lambda: api.told(6), 10, "six rounds")
        assert {line for _, line in api.lines} == {"shutdown session 0xa1"}
        api.sessions = [session_line(0xA2, ESTABLISHED), session_line(0xA5, ENDING)]
        wait_until(lambda: api.lines[-1][1] == "shutdown sessions server b/R1", 10, "all are shut when nobody is connecting")
        assert not rig.agent.log_lines(event="runtime-api-failed")


def test_beside_another_haproxy_it_is_looked_at_again_too(api, tmp_path):
    """One that is done with a cut does not end it for the one that waits for a session to be established."""
    api.version = "3.0.11"
    api.sessions = [session_line(0xA2, CONNECTING)]
    with FakeApi(tmp_path / "quick.sock") as quick:
        apis = f"[haproxy]\nruntime-api = {tmp_path}/api.sock\nruntime-api = {tmp_path}/quick.sock"
        with Rig(sentinels=FAST, service="backend = b", more=apis) as rig:
            rig.wait_votes(3)
            switch_master(rig)
            wait_until(lambda: quick.told(6), 20, "the other one is done")
            api.sessions = [session_line(0xA2, ESTABLISHED)]
            wait_until(lambda: any(line == "shutdown sessions server b/R1" for _, line in api.lines), 10, "it is shut")


def test_thousands_of_sessions_one_by_one(api, tmp_path):
    """In lines that HAProxy can take."""
    api.version = "3.0.11"
    api.sessions = [session_line(1, CONNECTING), *(session_line(0x7F0000000000 + i, ESTABLISHED) for i in range(5000))]
    api.drops = True
    with Rig(sentinels=FAST, service="backend = b", more=f"[haproxy]\nruntime-api = {tmp_path}/api.sock") as rig:
        rig.wait_votes(3)
        switch_master(rig)
        wait_until(lambda: len(api.sessions) == 1, 20, "all are shut but the one that is connecting")
        assert max(len(line) for _, line in api.lines) < 8192


def test_a_session_that_ended_by_itself_is_no_fault(api, tmp_path):
    api.version = "3.0.11"
    api.sessions = [session_line(0xA1, ESTABLISHED), session_line(0xA2, CONNECTING)]
    api.reply = "No such session (use 'show sess').\n" * 30
    with Rig(sentinels=FAST, service="backend = b", more=f"[haproxy]\nruntime-api = {tmp_path}/api.sock") as rig:
        rig.wait_votes(3)
        switch_master(rig)
        wait_until(lambda: api.told(6), 10, "six rounds")
        assert not rig.agent.log_lines(event="runtime-api-failed")


@pytest.mark.parametrize("version", ["3.0.11", "3.2.1"])
def test_a_slow_haproxy_is_told_all_the_same(api, tmp_path, version):
    """It takes a second for each answer, and has a HAProxy beside it that does not."""
    api.version = version
    api.delay = 1.0
    with FakeApi(tmp_path / "quick.sock") as quick:
        apis = f"[haproxy]\nruntime-api = {tmp_path}/api.sock\nruntime-api = {tmp_path}/quick.sock"
        with Rig(sentinels=FAST, service="backend = b", more=apis) as rig:
            rig.wait_votes(3)
            switch_master(rig)
            wait_until(lambda: api.told(2) and quick.told(6), 20, "both are told")
        assert {line for _, line in api.lines + quick.lines} == {"shutdown sessions server b/R1"}
        assert len(quick.lines) == 6


def test_a_complaint_does_not_keep_the_others_from_being_told(api, tmp_path):
    """More services than one line takes, and the first of them is misspelt."""
    count = 200
    api.complains_of = "wrong/R1"
    services = "".join(f"[service s{i}]\nmonitor = mymaster\nbackend = {'wrong' if i == count - 1 else 'b' * 60}{'' if i == count - 1 else i}\n"
                       "server = R1 127.0.0.1:7001\nserver = R2 127.0.0.1:7002\n" for i in range(count))
    more = f"{services}[haproxy]\nruntime-api = {tmp_path}/api.sock"
    with Rig(agent="http = 127.0.0.1:0", sentinels=FAST, service="backend = b", more=more) as rig:
        wait_until(lambda: rig.agent.metric("redis_spoa_ready") == 1, 20, "all have a master")
        switch_master(rig)
        wait_until(lambda: len({command for _, line in api.lines for command in line.split(";")}) == count + 1, 20, "all are told")
        assert rig.agent.wait_log(event="runtime-api-failed")["reason"] == "No such backend."


@pytest.mark.parametrize("version", ["3.0.11", "3.2.1"])
def test_a_server_that_is_not_known_is_told(api, tmp_path, version):
    """Also where it has no session that would be shut."""
    api.version = version
    api.reply = "No such server.\n"
    with Rig(sentinels=FAST, service="backend = b", more=f"[haproxy]\nruntime-api = {tmp_path}/api.sock") as rig:
        rig.wait_votes(3)
        switch_master(rig)
        assert rig.agent.wait_log(event="runtime-api-failed")["reason"] == "No such server."


@pytest.mark.parametrize("version", ["3.0.11", "3.2.1"])
def test_a_refusal_is_told(api, tmp_path, version):
    api.version = version
    api.sessions = [session_line(0xA1, ESTABLISHED)]
    api.reply = "Permission denied\n"
    with Rig(sentinels=FAST, service="backend = b", more=f"[haproxy]\nruntime-api = {tmp_path}/api.sock") as rig:
        rig.wait_votes(3)
        switch_master(rig)
        wait_until(lambda: api.told(3), 10, "three rounds")
        assert rig.agent.wait_log(event="runtime-api-failed")["reason"] == "Permission denied"
        assert len(rig.agent.log_lines(event="runtime-api-failed")) == 1
