"""sentinel-spoa check: nothing to find where all fits, and each thing that does not fit is found."""

import re

import pytest
from cluster import SHIPPED, Cluster
from fake_api import FakeApi
from fake_sentinel import GET_MASTER, Endless, FakeSentinel, error
from resp import Resp
from rig import SERVERS, Rig, run_agent


def examine(path, *words):
    """(exit status, findings, all that was printed)."""
    done = run_agent("-f", path, "check", *words)
    assert all(line.startswith("warning: ") for line in done.stderr.splitlines()), done.stderr
    findings = re.findall(r"^  ! (.*)$", done.stdout, re.MULTILINE)
    assert f"{len(findings)} findings" in done.stdout
    return done.returncode, findings, done.stdout


@pytest.fixture(scope="module")
def cluster():
    """All as the recipe says, and a `park` that fits."""
    with Cluster(recipe="runtime-api") as started:
        started.park = "5s"
        started.start()
        yield started


def edited(cluster, tmp_path, *edits):
    text = cluster.agent.config_path.read_text()
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    path = tmp_path / "edited.conf"
    path.write_text(text)
    return path


def test_all_is_well(cluster):
    status, findings, text = examine(cluster.agent.config_path)
    assert (status, findings) == (0, []), text
    assert re.search(r"R1 +\S+ +master$", text, re.MULTILINE)
    assert len(re.findall(r"^    R[23] +\S+ +slave$", text, re.MULTILINE)) == 2
    assert text.count(f"names {cluster.redis[0].where}") == 3


def test_settings_that_do_not_fit(cluster, tmp_path):
    path = edited(cluster, tmp_path, ("park = 5s", "park = 1s"), ("[sentinels]\n", "[sentinels]\nvote-life = 3s\n"))
    status, findings, _ = examine(path)
    assert status == 1
    assert sum("'vote-life' 3000" in finding for finding in findings) == 3
    assert sum("'park' 1000: set 'park' to 4500 ms or more" in finding for finding in findings) == 3
    assert len(findings) == 6


def test_a_map_with_gaps(cluster, tmp_path):
    master, replica = (f"server = {node.name} {node.where}\n" for node in cluster.redis[:2])
    _, findings, _ = examine(edited(cluster, tmp_path, (replica, "")))
    assert len(findings) == 3
    assert all(f"a replica {cluster.redis[1].where} that no 'server'" in finding for finding in findings)
    _, findings, text = examine(edited(cluster, tmp_path, (master, "")))
    where = cluster.redis[0].where
    assert findings == [f"a majority names {where}, which no 'server' has: write 'server = NAME {where}', or 'alias={where}' "
                        "behind the server that it is"], text


def test_a_sentinel_is_not_listed(cluster, tmp_path):
    lines = [f"address = {sentinel.where}\n" for sentinel in cluster.sentinels]
    _, findings, _ = examine(edited(cluster, tmp_path, (lines[2], "")))
    assert [finding for finding in findings if "knows of 3 Sentinels, configured are 2" in finding] == findings
    assert len(findings) == 2


def test_wrong_names_in_haproxy(cluster, tmp_path):
    _, findings, _ = examine(edited(cluster, tmp_path, ("server = R2 ", "server = R9 ")))
    assert len(findings) == 1
    assert "has no server be_redis/R9: No such server" in findings[0]
    _, findings, _ = examine(edited(cluster, tmp_path, ("backend = be_redis", "backend = be_other")))
    assert len(findings) == 3
    assert all("No such backend" in finding for finding in findings)
    _, findings, _ = examine(edited(cluster, tmp_path, (cluster.api, f"{cluster.api}.none")))
    assert findings == ["cannot be asked: No such file or directory"]


def test_nothing_was_changed(cluster):
    """All these questions cut no session."""
    with Resp(cluster.haproxy.address, 10) as session:
        examine(cluster.agent.config_path)
        assert session.call("PING") == "PONG"


@pytest.fixture
def played(tmp_path):
    """An agent, and a runtime API that is played."""
    with FakeApi(tmp_path / "api.sock") as api, Rig(service="backend = b", more=f"[haproxy]\nruntime-api = {tmp_path}/api.sock") as rig:
        rig.wait_votes(3)
        yield api, rig


def test_what_would_hurt_at_a_failover(played):
    api, rig = played
    _, before, _ = examine(rig.agent.config_path)
    api.servers = {"b/R1": 0, "b/R2": 100}
    api.may_shut = False
    _, findings, text = examine(rig.agent.config_path)
    found = [finding for finding in findings if finding not in before]
    assert found[0] == "the socket has no 'level admin': sessions cannot be cut", text
    assert "the server b/R2 has weight 100: HAProxy sends clients there" in found[1]
    assert len(found) == 2
    api.version = None
    assert any("this is no HAProxy" in finding for finding in examine(rig.agent.config_path)[1])


def test_a_worker_is_no_master(played):
    api, rig = played
    path = rig.agent.config_path
    path.write_text(path.read_text().replace("runtime-api = ", "runtime-api = master:"))
    _, findings, text = examine(path)
    assert "cannot be asked: this is no master with workers" in findings
    assert f"[haproxy] master:unix:{api.path}\n" in text


# ---- HAProxy's file ----

PAIR = "on-marked-down shutdown-sessions"


@pytest.mark.parametrize("version, is_found", [("2.6.12", False), ("3.0.11-1", True), ("3.2.26", False), (None, True)])
def test_what_leaves_clients_hanging(tmp_path, version, is_found):
    """A health check that shuts sessions, on a HAProxy that hangs then, or on one that could not be asked."""
    file = tmp_path / "haproxy.cfg"
    file.write_text(f"backend b\n    default-server weight 0 check inter 1s {PAIR}\n    server R1 127.0.0.1:7001\n")
    with FakeApi(tmp_path / "api.sock") as api, Rig(service="backend = b", more=f"[haproxy]\nruntime-api = {tmp_path}/api.sock") as rig:
        rig.wait_votes(3)
        api.version = version
        _, findings, text = examine(rig.agent.config_path, "--haproxy", file)
    found = [finding for finding in findings if PAIR in finding]
    assert [f"{file}:2: " in finding for finding in found] == ([True] if is_found else []), text
    assert (version is None) != (f"HAProxy {(version or '')[:3]}\n" in text)


def test_recipes_leave_nobody_hanging():
    with Rig() as rig:
        rig.wait_votes(3)
        for file in SHIPPED.glob("**/haproxy.cfg"):
            _, findings, _ = examine(rig.agent.config_path, "--haproxy", file)
            assert not [finding for finding in findings if PAIR in finding], file


def test_a_file_that_is_not_there(tmp_path):
    with Rig() as rig:
        rig.wait_votes(3)
        status, findings, _ = examine(rig.agent.config_path, "--haproxy", tmp_path / "none.cfg")
    assert (status, findings[-1]) == (1, "cannot be read: No such file or directory")
    with Rig() as rig:
        rig.wait_votes(3)
        assert examine(rig.agent.config_path, "--haproxy", tmp_path)[1][-1] == "cannot be read: Is a directory"
    done = run_agent("-f", rig.agent.config_path, "status", "--haproxy", "x")
    assert (done.returncode, "--haproxy is of the command 'check'" in done.stderr) == (2, True)


# ---- scripted Sentinels ----

def test_sentinels_that_refuse_or_disagree():
    fakes = [FakeSentinel(SERVERS["R1"]), FakeSentinel(SERVERS["R2"]), FakeSentinel(SERVERS["R1"])]
    fakes[2].myid = fakes[0].myid
    fakes[1].reply("SUBSCRIBE", error("NOPERM no channel"))
    fakes[1].reply("SENTINEL MASTER", error("NOPERM no command"))
    with Rig(fakes=fakes) as rig:
        status, findings, text = examine(rig.agent.config_path)
    assert status == 1
    for expected in (f"{fakes[0].where} and {fakes[2].where} are one Sentinel", f"{fakes[1].where} refuses SUBSCRIBE",
                     f"{fakes[1].where} refuses SENTINEL MASTER", "no 2 Sentinels name the same master"):
        assert [finding for finding in findings if expected in finding], (expected, text)


def test_a_reply_without_an_end():
    fakes = [FakeSentinel(SERVERS["R1"]) for _ in range(3)]
    fakes[0].reply(GET_MASTER, Endless(b"*1000000\r\n", b"$8\r\nendless.\r\n" * 1000))
    with Rig(fakes=fakes) as rig:
        status, findings, text = examine(rig.agent.config_path)
    assert status == 1
    assert f"{fakes[0].where} names nobody: reply too large" in findings, text


def test_nobody_is_there(tmp_path):
    fakes = [FakeSentinel(SERVERS["R1"]) for _ in range(3)]
    with Rig(fakes=fakes) as rig:
        text = rig.agent.config_path.read_text()
    path = tmp_path / "gone.conf"
    path.write_text(text)
    status, findings, _ = examine(path)
    assert status == 1
    assert sum("cannot be reached: Connection refused" in finding for finding in findings) == 3


def test_bad_configuration(tmp_path):
    path = tmp_path / "bad.conf"
    path.write_text("[agent]\nx = 1\n")
    done = run_agent("-f", path, "check")
    assert (done.returncode, done.stdout) == (2, "")
