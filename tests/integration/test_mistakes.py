"""The mistakes of the first hour, each made on purpose in a real cluster: `-t` or `check` tells each as one finding, with its
place and what to write, before a failover shows it."""

import contextlib
import grp
import os
import pwd
import subprocess

import pytest
from cluster import Cluster
from own_etc import needs_root
from process import wait_until
from resp import connect_unix
from rig import check_findings, run_agent

PASSWORD = "s3cret"
SENTINELS, SERVICE = "[sentinels]\n", "[service mymaster]\n"


@pytest.fixture(scope="module", name="cluster")
def make_cluster():
    with Cluster(recipe="runtime-api") as started:
        started.park = "5s"
        started.start()
        yield started


class Files:
    """Copies of the cluster's three files, after edits (old text, new text)."""

    def __init__(self, cluster, directory):
        self.agent, self.haproxy, self.spoe = (directory / name for name in ("agent.conf", "haproxy.cfg", "spoe.conf"))
        self.agent.write_text(cluster.agent.config_path.read_text())
        self.spoe.write_text((cluster.directory / "spoe.conf").read_text())
        self.haproxy.write_text(cluster.haproxy.config_path.read_text().replace(str(cluster.directory / "spoe.conf"), str(self.spoe)))
        self.agent.chmod(0o640)

    @staticmethod
    def edit(path, old, new):
        text = path.read_text()
        assert old in text, old
        path.write_text(text.replace(old, new))

    @staticmethod
    def line(path, beginning):
        """The number of the first line that begins so, blanks aside."""
        lines = path.read_text().splitlines()
        return next(i + 1 for i, line in enumerate(lines) if line.strip().startswith(beginning))

    def findings(self):
        return check_findings(self.agent, "--haproxy", self.haproxy)

    def only(self, code, path, beginning, *subjects):
        """There is one finding: this one, about this line. Returns it."""
        findings = self.findings()
        assert [(finding["code"], *finding["subject"]) for finding in findings] == [(code, *subjects)], findings
        assert (findings[0]["file"], findings[0]["line"]) == (str(path), self.line(path, beginning))
        return findings[0]


@pytest.fixture(name="files")
def make_files(cluster, tmp_path):
    return Files(cluster, tmp_path)


def test_no_mistake(files):
    assert files.findings() == []


# ---- passwords ----

@contextlib.contextmanager
def protected(servers, *words, undo):
    """Each server gets the command, and `undo` afterwards. Who is connected stays so."""
    with contextlib.ExitStack() as stack:
        for server in servers:
            connection = stack.enter_context(server.connect())
            assert connection.call(*words) == "OK"
            stack.callback(connection.call, *undo)
        yield


@pytest.fixture(name="sentinel_password")
def set_sentinel_password(cluster):
    with protected(cluster.sentinels, "ACL", "SETUSER", "default", "resetpass", f">{PASSWORD}", undo=("ACL", "SETUSER", "default", "nopass")):
        yield [sentinel.where for sentinel in cluster.sentinels]


def test_sentinel_password_missing(files, sentinel_password):
    finding = files.only("voter-password", files.agent, "[sentinels]", *sentinel_password)
    line = files.line(files.agent, "[sentinels]")
    assert finding["fix"] == f"set `password` or `password-file` in [sentinels] ({files.agent}:{line})"


def test_sentinel_password_wrong(files, sentinel_password):
    files.edit(files.agent, SENTINELS, f"{SENTINELS}password = other\n")
    finding = files.only("voter-password", files.agent, "password = other", *sentinel_password)
    assert finding["fix"].startswith("correct `password`") and "WRONGPASS" in finding["message"]


def test_sentinel_password_right(files, sentinel_password):
    assert sentinel_password
    files.edit(files.agent, SENTINELS, f"{SENTINELS}password = {PASSWORD}\n")
    assert files.findings() == []


def test_redis_password_missing(cluster, files):
    with protected(cluster.redis, "CONFIG", "SET", "requirepass", PASSWORD, undo=("CONFIG", "SET", "requirepass", "")):
        finding = files.only("node-password", files.agent, "[service mymaster]", "R1", "R2", "R3")
        assert finding["fix"].startswith("set `password` or `password-file` in [service mymaster]")
        files.edit(files.agent, SERVICE, f"{SERVICE}password = {PASSWORD}\n")
        assert files.findings() == []


@pytest.mark.parametrize("value, code, said", [
    ('"s3cret"', 2, "error: the value of 'password' is in quotes"),
    ("s3cret ; of the nodes", 0, "warning: 'password' ends before the ';'"),
])
def test_password_that_is_not_what_it_seems(files, value, code, said):
    files.edit(files.agent, SENTINELS, f"{SENTINELS}password = {value}\n")
    done = run_agent("-f", files.agent, "-t")
    line = files.line(files.agent, "password")
    kind, text = said.split(": ")
    assert done.returncode == code
    assert [one for one in done.stderr.splitlines()
            if one.startswith(f"{'warning: ' if kind == 'warning' else ''}{files.agent}:{line}: {text}")], done.stderr


def test_file_with_a_password_that_everybody_can_read(files):
    files.edit(files.agent, SENTINELS, f"{SENTINELS}password = {PASSWORD}\n")
    files.agent.chmod(0o644)
    line = files.line(files.agent, "password")
    assert run_agent("-f", files.agent, "-t").stderr == f"warning: {files.agent}:{line}: everybody can read the password in '{files.agent}'\n"


# ---- rights ----

def test_acl_without_rights(cluster, files):
    """The user of the Sentinels may do what is documented, but for one command."""
    where = [sentinel.where for sentinel in cluster.sentinels]
    rights = ("on", f">{PASSWORD}", "resetchannels", "&*", "+@all", "-sentinel|get-master-addr-by-name")
    if cluster.sentinels[0].call("INFO", "server").split("redis_version:")[1].startswith("6."):
        pytest.skip("Redis 6 has no rights to single commands of SENTINEL")
    with protected(cluster.sentinels, "ACL", "SETUSER", "agent", *rights, undo=("ACL", "DELUSER", "agent")):
        files.edit(files.agent, SENTINELS, f"{SENTINELS}username = agent\npassword = {PASSWORD}\n")
        finding = files.only("voter-rights", files.agent, "[sentinels]", *where)
    assert finding["fix"] == "there: `ACL SETUSER agent +sentinel|get-master-addr-by-name`"


def has_account(name):
    try:
        return bool(pwd.getpwnam(name) and grp.getgrnam(name))
    except KeyError:
        return False


needs_haproxy_user = pytest.mark.skipif(not has_account("haproxy"), reason="there is no user haproxy")


@needs_root
@needs_haproxy_user
def test_admin_socket_that_the_agent_may_not_write(cluster, files):
    cluster.directory.chmod(0o711)
    files.edit(files.agent, "[agent]\n", "[agent]\nuser = nobody\n")
    finding = files.only("api-rights", files.haproxy, "stats socket", f"unix:{cluster.api}")
    assert "usermod -aG haproxy nobody" in finding["fix"]


@needs_root
@needs_haproxy_user
@pytest.mark.parametrize("is_there", [False, True])
def test_socket_that_haproxy_may_not_write(cluster, files, tmp_path, is_there):
    cluster.directory.chmod(0o711)
    path = tmp_path / "spop.sock"
    address = files.agent.read_text().split("listen = ")[1].split()[0]
    files.edit(files.agent, f"listen = {address}", f"listen = unix:{path} mode=600")
    files.edit(files.haproxy, f"server agent1 {address}", f"server agent1 unix@{path}")
    if is_there:
        path.touch(0o600)
        for folder in tmp_path.parents:
            folder.chmod(folder.stat().st_mode | 0o011)
    finding = files.only("listen-rights", files.agent, "listen = ", f"unix:{path}")
    assert finding["fix"] == f"write `listen = unix:{path} mode=660 group=haproxy`"


@needs_root
@needs_haproxy_user
def test_sockets_that_get_the_group_of_their_folder(files, cluster, tmp_path):
    """As those in Debian's /run/haproxy do. HAProxy and the agent do not run yet."""
    folder = tmp_path / "run"
    folder.mkdir()
    os.chown(folder, 0, grp.getgrnam("haproxy").gr_gid)
    folder.chmod(0o2775)
    address = files.agent.read_text().split("listen = ")[1].split()[0]
    line = files.haproxy.read_text().splitlines()[files.line(files.haproxy, "stats socket") - 1]
    files.edit(files.haproxy, line, f"    stats socket {folder}/admin.sock mode 660 level admin")
    files.edit(files.haproxy, f"server agent1 {address}", f"server agent1 unix@{folder}/spop.sock")
    files.edit(files.agent, f"runtime-api = {cluster.api}", f"runtime-api = {folder}/admin.sock")
    files.edit(files.agent, f"listen = {address}", f"listen = unix:{folder}/spop.sock mode=660")
    files.edit(files.agent, "[agent]\n", "[agent]\nuser = nobody\ngroup = haproxy\n")
    assert [finding["code"] for finding in files.findings()] == ["api-unreachable"]
    folder.chmod(0o775)
    assert [finding["code"] for finding in files.findings()] == ["api-unreachable", "api-rights"]


# ---- the map and the Sentinels ----

def test_monitor_wrong(cluster, files):
    files.edit(files.agent, SERVICE, f"{SERVICE}monitor = mymastre\n")
    finding = files.only("unknown-monitor", files.agent, "monitor = mymastre", *(sentinel.where for sentinel in cluster.sentinels))
    assert finding["fix"] == "write `monitor = mymaster` in [service mymaster]"


def test_sentinel_not_listed(cluster, files):
    where = cluster.sentinels[2].where
    files.edit(files.agent, f"address = {where}\n", "")
    finding = files.only("unlisted-sentinel", files.agent, "[sentinels]", where)
    assert finding["fix"].startswith(f"write `address = {where}` in [sentinels]")


def test_redis_port_for_a_sentinel(cluster, files):
    where = cluster.redis[1].where
    files.edit(files.agent, cluster.sentinels[1].where, where)
    finding = files.only("not-a-sentinel", files.agent, f"address = {where}", where)
    assert "26379" in finding["fix"]


def test_redis_port_for_a_sentinel_with_a_password(cluster, files):
    """The Redis asks for a password. That the Sentinels do is not said, for the map has this address."""
    where = cluster.redis[1].where
    files.edit(files.agent, cluster.sentinels[1].where, where)
    files.edit(files.agent, SERVICE, f"{SERVICE}password = {PASSWORD}\n")
    with protected(cluster.redis, "CONFIG", "SET", "requirepass", PASSWORD, undo=("CONFIG", "SET", "requirepass", "")):
        files.only("not-a-sentinel", files.agent, f"address = {where}", where)


def test_sentinel_port_for_a_redis(cluster, files):
    """The Sentinels' replica is not in the map then, and HAProxy's server has another address: both are told, too."""
    files.edit(files.agent, f"server = R2 {cluster.redis[1].where}", f"server = R2 {cluster.sentinels[1].where}")
    found = {finding["code"]: finding for finding in files.findings()}
    assert set(found) == {"not-a-node", "unmapped-replica", "server-address"}
    assert found["not-a-node"]["line"] == files.line(files.agent, "server = R2")


# ---- HAProxy's files, with a HAProxy that runs with them ----

def answers_by_api(path):
    """The worker of HAProxy is there: its master listens before it has forked one."""
    with contextlib.closing(connect_unix(path, 5)) as sock:
        sock.sendall(b"show version\n")
        return sock.recv(100) != b""


@pytest.fixture(name="run")
def make_run(cluster, files):
    """Starts HAProxy with the edited files."""
    def start(text):
        cluster.haproxy.stop()
        cluster.haproxy.config_path.write_text(text)
        cluster.haproxy.start()
        wait_until(lambda: answers_by_api(cluster.api), 15, "HAProxy's runtime API")
    good = cluster.haproxy.config_path.read_text()
    yield lambda: start(files.haproxy.read_text())
    start(good)


def test_park_is_longer_than_the_timeout(files, run):
    files.edit(files.spoe, "timeout processing 10s", "timeout processing 5s")
    run()
    finding = files.only("processing-timeout", files.spoe, "timeout processing", "mymaster")
    assert finding["fix"] == "write `timeout processing 7s`"


def test_service_misspelt(files, run):
    files.edit(files.spoe, "str(mymaster)", "str(mymastre)")
    run()
    finding = files.only("unknown-service", files.spoe, "args", "mymastre")
    assert finding["fix"].startswith("write `str(mymaster)`")


def test_admin_socket_without_level(cluster, files, run):
    files.edit(files.haproxy, " level admin", "")
    run()
    files.only("api-level", files.haproxy, "stats socket", f"unix:{cluster.api}")


def test_server_missing(cluster, files, run):
    files.edit(files.haproxy, f"    server R3 {cluster.redis[2].where} tcp-ut 3s\n", "")
    run()
    finding = files.only("missing-server", files.haproxy, "backend be_redis", "be_redis/R3")
    assert finding["fix"] == f"write `server R3 {cluster.redis[2].where} tcp-ut 3s` in backend be_redis"


def test_weight_removed(files, run):
    files.edit(files.haproxy, "default-server weight 0 ", "default-server ")
    run()
    files.only("server-weight", files.haproxy, "backend be_redis", *(f"be_redis/R{i}" for i in (1, 2, 3)))


def test_reject_rule_removed(files, run):
    rule = "tcp-request content reject unless { var(txn.redis.master) -m found }"
    files.edit(files.haproxy, f"    {rule}\n", "")
    run()
    finding = files.only("no-reject", files.haproxy, "filter spoe", "fe_redis")
    assert finding["fix"] == f"below this line write `{rule}`"


def test_haproxy_takes_what_is_to_be_written(files):
    """The good files are good for HAProxy, too, after the answer to a finding was written down."""
    rule = "tcp-request content reject unless { var(txn.redis.master) -m found }"
    files.edit(files.haproxy, f"    {rule}\n", "")
    fix = files.findings()[0]["fix"].split("`")[1]
    filter_line = files.haproxy.read_text().splitlines()[files.line(files.haproxy, "filter spoe") - 1]
    files.edit(files.haproxy, filter_line, f"{filter_line}\n    {fix}")
    assert files.findings() == []
    subprocess.run(["haproxy", "-c", "-f", files.haproxy], check=True, capture_output=True)
