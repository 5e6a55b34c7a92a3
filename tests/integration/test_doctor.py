"""sentinel-spoa check: nothing to find where all fits, and each thing that does not fit is found."""

import json
import re
import socket
import time

import pytest
from cluster import Cluster
from fake_api import FakeApi
from fake_sentinel import GET_MASTER, HANG, Endless, FakeSentinel, error
from resp import Resp
from rig import SERVERS, Rig, run_agent


def examine(path, *words):
    """(exit status, findings) of `check`, by its JSON; the text says the same."""
    done = run_agent("-f", path, "check", "--json", *words)
    assert done.stderr == ""
    findings = json.loads(done.stdout)["findings"]
    assert done.returncode == (1 if findings else 0)
    return done.returncode, findings


def codes(findings):
    """The code and the subjects of each."""
    return [(finding["code"], *finding["subject"]) for finding in findings]


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
    assert examine(cluster.agent.config_path) == (0, [])
    text = run_agent("-f", cluster.agent.config_path, "check").stdout
    assert text.endswith("\n0 findings\n")
    assert re.search(r"R1 +\S+ +master$", text, re.MULTILINE)
    assert len(re.findall(r"^    R[23] +\S+ +slave$", text, re.MULTILINE)) == 2
    assert text.count(f"names {cluster.redis[0].where}") == 3


def test_what_is_asked_is_told_as_json(cluster):
    told = json.loads(run_agent("-f", cluster.agent.config_path, "check", "--json").stdout)
    where = cluster.redis[0].where
    assert [voter["address"] for voter in told["voters"]] == [sentinel.where for sentinel in cluster.sentinels]
    assert all(re.fullmatch("[0-9a-f]{40}", voter["identity"]) for voter in told["voters"])
    service, = told["services"]
    assert (service["name"], service["master"]) == ("mymaster", where)
    assert [(vote["address"], vote["server"]) for vote in service["votes"]] == [(where, "R1")] * 3
    assert [(node["server"], node["role"]) for node in service["nodes"]] == [("R1", "master"), ("R2", "slave"), ("R3", "slave")]
    assert [haproxy["address"] for haproxy in told["haproxys"]] == [f"unix:{cluster.api}"]


def test_findings_have_a_place_and_what_to_write(cluster, tmp_path):
    path = edited(cluster, tmp_path, ("backend = be_redis", "backend = be_other"))
    line = path.read_text().splitlines().index("backend = be_other") + 1
    _, findings = examine(path)
    assert findings == [{"code": "unknown-backend", "severity": "error", "file": str(path), "line": line, "subject": ["be_other"],
                         "message": "HAProxy has no such backend: no session is cut there",
                         "fix": "write the name of the backend that has the servers of the map"}]
    text = run_agent("-f", path, "check").stdout
    assert text.endswith(f"\nerror: {path}:{line}: be_other: {findings[0]['message']} [unknown-backend]\n  -> {findings[0]['fix']}\n1 finding\n")


def test_settings_that_do_not_fit(cluster, tmp_path):
    path = edited(cluster, tmp_path, ("park = 5s", "park = 1s"), ("[sentinels]\n", "[sentinels]\nvote-life = 3s\n"))
    _, findings = examine(path)
    sentinels = [sentinel.where for sentinel in cluster.sentinels]
    assert codes(findings) == [("long-vote-life", *sentinels), ("short-park", *sentinels)]
    assert "`park = 4500ms`" in findings[1]["fix"]


def test_a_map_with_gaps(cluster, tmp_path):
    master, replica = (f"server = {node.name} {node.where}\n" for node in cluster.redis[:2])
    _, findings = examine(edited(cluster, tmp_path, (replica, "")))
    assert codes(findings) == [("unmapped-replica", cluster.redis[1].where)]
    _, findings = examine(edited(cluster, tmp_path, (master, "")))
    where = cluster.redis[0].where
    assert codes(findings) == [("unmapped-master", where)]
    assert findings[0]["fix"] == f"write `server = NAME {where}` in [service mymaster], or `alias={where}` behind the server that it is"


def test_wrong_names_in_haproxy(cluster, tmp_path):
    assert codes(examine(edited(cluster, tmp_path, ("server = R2 ", "server = R9 ")))[1]) == [("missing-server", "be_redis/R9")]
    _, findings = examine(edited(cluster, tmp_path, (cluster.api, f"{cluster.api}.none")))
    assert codes(findings) == [("api-unreachable", f"unix:{cluster.api}.none")]


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
    before = codes(examine(rig.agent.config_path)[1])
    assert before == [("node-unreachable", "R1", "R2")]
    api.servers = {"b/R1": 7, "b/R2": 100}
    api.may_shut = False
    _, findings = examine(rig.agent.config_path)
    assert codes(findings) == [*before, ("api-level", f"unix:{api.path}"), ("server-weight", "b/R1", "b/R2")]
    api.version = None
    assert "api-no-haproxy" in [finding["code"] for finding in examine(rig.agent.config_path)[1]]


@pytest.mark.parametrize("command", ["shutdown", "get weight"])
def test_an_api_that_falls_silent_is_asked_no_more(played, command):
    api, rig = played
    api.silent = (command,)
    begin = time.monotonic()
    _, findings = examine(rig.agent.config_path)
    assert codes(findings)[1:] == [("api-unreachable", f"unix:{api.path}")]
    assert findings[1]["message"].endswith(": no reply")
    assert time.monotonic() - begin < 5


def test_a_worker_is_no_master(played):
    api, rig = played
    path = rig.agent.config_path
    path.write_text(path.read_text().replace("runtime-api = ", "runtime-api = master:"))
    _, findings = examine(path)
    assert findings[-1]["message"].endswith("this is no master with workers")
    assert f"[haproxy] master:unix:{api.path}\n" in run_agent("-f", path, "check").stdout


# ---- HAProxy's file ----

PAIR = "on-marked-down shutdown-sessions"


def haproxy_files(folder, backend):
    """haproxy.cfg, with a backend `b` that has these lines, and its spoe.conf in the folder."""
    (folder / "spoe.conf").write_text("[e]\nspoe-agent a\n    messages m\n    option var-prefix redis\n    use-backend agent\n"
                                      "    timeout processing 60s\nspoe-message m\n    args role=str(master)\n    event on-client-session\n")
    file = folder / "haproxy.cfg"
    file.write_text(f"global\n    stats socket {folder}/api.sock level admin\n"
                    f"frontend f\n    filter spoe engine e config {folder}/spoe.conf\n"
                    "    tcp-request content reject unless { var(txn.redis.master) -m found }\n    default_backend b\n"
                    f"backend agent\n    server a 127.0.0.1:9012\n{backend}")
    return file


@pytest.mark.parametrize("version, is_found", [("2.6.12", False), ("3.0.11-1", True), ("3.2.26", False), (None, True)])
def test_what_leaves_clients_hanging(tmp_path, version, is_found):
    """A health check that shuts sessions, on a HAProxy that hangs then, or on one that could not be asked."""
    with FakeApi(tmp_path / "api.sock") as api, Rig(service="backend = b", more=f"[haproxy]\nruntime-api = {tmp_path}/api.sock") as rig:
        file = haproxy_files(tmp_path, f"backend b\n    default-server weight 0 check inter 1s {PAIR}\n    server R1 127.0.0.1:7001\n")
        rig.wait_votes(3)
        api.version = version
        _, findings = examine(rig.agent.config_path, "--haproxy", file)
        text = run_agent("-f", rig.agent.config_path, "check").stdout
    line = file.read_text().splitlines().index("backend b") + 2
    found = [finding for finding in findings if finding["code"] == "hanging-clients"]
    assert [(finding["file"], finding["line"]) for finding in found] == ([(str(file), line)] if is_found else [])
    assert (version is None) != (f" HAProxy {(version or '')[:3]}\n" in text)


def test_files_that_never_ask_the_agent(tmp_path):
    """An empty file, too."""
    with Rig() as rig:
        rig.wait_votes(3)
        file = tmp_path / "haproxy.cfg"
        for text in ("", "global\n    maxconn 10\n"):
            file.write_text(text)
            assert [(one["code"], one["file"]) for one in examine(rig.agent.config_path, "--haproxy", file)[1]
                    if one["file"] != str(rig.agent.config_path)] == [("no-filter", str(file))]


def test_files_that_are_not_there(tmp_path):
    with Rig() as rig:
        rig.wait_votes(3)
        path = rig.agent.config_path
        _, findings = examine(path, "--haproxy", tmp_path / "none.cfg")
        assert (findings[-1]["code"], findings[-1]["file"]) == ("unreadable-file", str(tmp_path / "none.cfg"))
        file = tmp_path / "haproxy.cfg"
        file.write_text("global\n    default-path config\nfrontend f\n    filter spoe engine e config none.conf\n")
        assert examine(path, "--haproxy", file)[1][-1]["file"] == str(tmp_path / "none.conf")
        # A folder: its files, in the order of their names.
        whole = haproxy_files(tmp_path, "").read_text()
        (tmp_path / "b.cfg").write_text(f"{whole}backend b\n    server R1 127.0.0.1:7001 check\n")
        (tmp_path / "a.cfg").write_text("defaults\n    default-server on-marked-down shutdown-sessions\n")
        (tmp_path / "c.conf").write_text("no configuration")
        file.unlink()
        _, findings = examine(path, "--haproxy", tmp_path)
        line = len(whole.splitlines()) + 2
        assert [(finding["file"], finding["line"]) for finding in findings if finding["code"] == "hanging-clients"] == [(str(tmp_path / "b.cfg"), line)]
        _, once = examine(path, "--haproxy", tmp_path / "a.cfg", "--haproxy", tmp_path / "b.cfg")
        assert once == findings
    done = run_agent("-f", rig.agent.config_path, "status", "--haproxy", "x")
    assert (done.returncode, "--haproxy is of the command 'check'" in done.stderr) == (2, True)


# ---- scripted Sentinels ----

def test_sentinels_that_refuse_or_disagree():
    fakes = [FakeSentinel(SERVERS["R1"]), FakeSentinel(SERVERS["R2"]), FakeSentinel(SERVERS["R1"])]
    fakes[2].myid = fakes[0].myid
    fakes[1].reply("SUBSCRIBE", error("NOPERM no channel"))
    fakes[1].reply("SENTINEL MASTER", error("NOPERM no command"))
    with Rig(fakes=fakes) as rig:
        _, findings = examine(rig.agent.config_path)
    assert codes(findings) == [("same-identity", fakes[2].where), ("no-majority", "mymaster"), ("node-unreachable", "R1", "R2"),
                               ("voter-rights", fakes[1].where)]
    assert findings[-1]["fix"] == "there: `ACL SETUSER default &+switch-master +sentinel|master`"


@pytest.mark.parametrize("reply, code", [(HANG, "voter-unreachable"), (error("NOPERM no permission"), "voter-rights")])
def test_an_identity_that_is_not_told(reply, code):
    """One finding says why, and no other follows from it."""
    fakes = [FakeSentinel(SERVERS["R1"]) for _ in range(3)]
    fakes[0].reply("SENTINEL MYID", reply)
    with Rig(fakes=fakes) as rig:
        _, findings = examine(rig.agent.config_path)
    assert [finding for finding in codes(findings) if fakes[0].where in finding] == [(code, fakes[0].where)]


def test_a_reply_without_an_end():
    fakes = [FakeSentinel(SERVERS["R1"]) for _ in range(3)]
    fakes[0].reply(GET_MASTER, Endless(b"*1000000\r\n", b"$8\r\nendless.\r\n" * 1000))
    with Rig(fakes=fakes) as rig:
        _, findings = examine(rig.agent.config_path)
    assert codes(findings)[0] == ("no-vote", fakes[0].where)
    assert "reply too large" in findings[0]["message"]


def test_nobody_is_there(tmp_path):
    fakes = [FakeSentinel(SERVERS["R1"]) for _ in range(3)]
    with Rig(fakes=fakes) as rig:
        text = rig.agent.config_path.read_text()
    path = tmp_path / "gone.conf"
    path.write_text(text)
    _, findings = examine(path)
    assert codes(findings) == [("voter-unreachable", *(fake.where for fake in fakes)), ("node-unreachable", "R1", "R2")]


def silent_listener():
    """A socket whose queue is full: who connects hears nothing, as where packets are dropped. All sockets must be kept."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    sockets = [listener]
    for _ in range(4):
        sockets.append(socket.socket())
        sockets[-1].setblocking(False)
        sockets[-1].connect_ex(listener.getsockname())
    return sockets


@pytest.mark.parametrize("accepts, tls", [(False, "no"), (True, "no"), (True, "yes")])
def test_silent_voters_cost_one_time_limit(tmp_path, accepts, tls):
    """Five of six say nothing: they do not answer to the connect, or the kernel does and they do not."""
    kept = [[socket.create_server(("127.0.0.1", 0))] if accepts else silent_listener() for _ in range(5)]
    path = tmp_path / "agent.conf"
    with FakeSentinel(SERVERS["R1"]) as fake:
        silent = [f"127.0.0.1:{sockets[0].getsockname()[1]}" for sockets in kept]
        addresses = "".join(f"address = {where}\n" for where in [fake.where, *silent])
        path.write_text(f"[agent]\n[sentinels]\n{addresses}tls = {tls}\n[service mymaster]\nserver = R1 127.0.0.1:7001\npark = 0\n")
        begin = time.monotonic()
        _, findings = examine(path)
        took = time.monotonic() - begin
    for sockets in kept:
        for sock in sockets:
            sock.close()
    lost = [finding for finding in findings if finding["subject"] == silent]
    assert [finding["code"] for finding in lost] == ["voter-unreachable"]
    assert ("TLS" in lost[0]["message"]) == (tls == "yes")
    assert 2.5 < took < 5.5


@pytest.mark.parametrize("words, said", [
    (["check", *["--haproxy", "x"] * 65], "--haproxy is given more than 64 times"),
    (["--takeover", "check"], "--takeover, -t and --dump-config go with no command"),
    (["-t", "status"], "--takeover, -t and --dump-config go with no command"),
    (["-xy"], "unknown option '-x'\ncommand line: unknown option '-y'"),
])
def test_what_would_be_ignored(words, said):
    done = run_agent(*words)
    assert done.returncode == 2 and said in done.stderr, done


def test_the_nearest_master_is_to_be_written():
    """With several, one is a valid line."""
    fakes = [FakeSentinel() for _ in range(3)]
    for fake in fakes:
        fake.reply("SENTINEL MASTERS", [["name", "cache"], ["name", "mymastre1"], ["name", "queue"]])
    with Rig(fakes=fakes) as rig:
        _, findings = examine(rig.agent.config_path)
    fix, = {finding["fix"] for finding in findings if finding["code"] == "unknown-monitor"}
    assert fix == "write `monitor = mymastre1` in [service mymaster]"


def test_bad_configuration(tmp_path):
    path = tmp_path / "bad.conf"
    path.write_text("[agent]\nx = 1\n")
    done = run_agent("-f", path, "check")
    assert (done.returncode, done.stdout) == (2, "")
    done = run_agent("-f", path, "check", "--json")
    first, *_ = json.loads(done.stdout)["findings"]
    assert done.returncode == 2
    assert (first["code"], first["file"], first["line"]) == ("bad-configuration", str(path), 2)
    assert first["message"] == "unknown key 'x' in [agent]"
