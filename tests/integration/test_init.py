"""`sentinel-spoa init`: what it writes by the word of real Sentinels serves as it is, and what it cannot know it says."""

import os
import re
import socket
import subprocess
import time

import pytest
from cluster import HOST, SERVICE, Agent, Cluster, HAProxy, Redis, documented_rights
from netns import Network, inside, run, why_not
from own_etc import OwnEtc, needs_root
from process import PATH, free_ports, wait_until
from resp import Resp, RespError, fields
from rig import agent_words, check_clean, run_agent

SENTINEL_SECRET, NODE_SECRET = "a-sentinels-secret", "a-nodes-secret"
FILES = ("sentinel-spoa.conf", "haproxy.cfg", "spoe.conf")
FAST = 2500  # down-after-milliseconds; init writes `park = auto`, which fits it
NOT_HERE = why_not()
needs_namespaces = pytest.mark.skipif(NOT_HERE is not None, reason=str(NOT_HERE))


def init(sentinel, *words, prefix=()):
    """The command's CompletedProcess; sentinel: its address."""
    return subprocess.run([*prefix, *agent_words("init", "--sentinel", sentinel, *words)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, check=False)


def notes(done):
    """What it says that it does not know, or that does not fit."""
    return [line.strip() for line in done.stdout.split("\nsentinel-spoa -f")[0].splitlines() if line.startswith("  ! ")]


def check_valid(directory):
    """Both programs take the files."""
    done = run_agent("-t", "-f", directory / "sentinel-spoa.conf")
    assert (done.returncode, done.stderr) == (0, ""), done
    done = subprocess.run(["haproxy", "-c", "-f", str(directory / "haproxy.cfg")], env={**os.environ, "PATH": PATH}, capture_output=True,
                          text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done


def check_nothing_written(done, directory, code, *words):
    """It ends with this code and one sentence, which has these words."""
    assert done.returncode == code, done
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr
    assert list(directory.iterdir()) == []


@pytest.fixture(name="cluster", scope="module")
def plain():
    """Three nodes and three Sentinels without passwords."""
    with Cluster() as cluster:
        cluster.start_redis()
        cluster.start_sentinels(down_after=FAST)
        yield cluster


def test_files(cluster, tmp_path):
    """All that the Sentinels know is in them, and the check has nothing to say."""
    tmp_path /= "new"  # it makes the folder
    done = init(cluster.sentinels[0].where, "-o", tmp_path)
    assert (done.returncode, done.stderr, notes(done)) == (0, "", []), done
    check_valid(tmp_path)
    text = (tmp_path / "sentinel-spoa.conf").read_text()
    assert sorted(re.findall("^address = (.*)", text, re.MULTILINE)) == sorted(s.where for s in cluster.sentinels)
    servers = re.findall("^server = (R[123]) (.*)", text, re.MULTILINE)
    assert servers == [(f"R{i + 1}", where) for i, where in enumerate(sorted((n.where for n in cluster.redis), key=lambda w: int(w.split(":")[1])))]
    assert [oct(os.stat(tmp_path / name).st_mode & 0o777) for name in FILES] == ["0o640", "0o644", "0o644"]
    assert f"config {tmp_path}/spoe.conf\n" in (tmp_path / "haproxy.cfg").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    for word in ("install -m 640", f"HAProxy reads {tmp_path}/spoe.conf there", "/etc/sentinel-spoa.conf", "haproxy -c", "127.0.0.1:6379", "0 findings"):
        assert word in done.stdout


def test_the_same_whoever_is_asked(cluster, tmp_path):
    texts = []
    for sentinel in cluster.sentinels:
        done = init(sentinel.where, "--force", "-o", tmp_path)
        assert done.returncode == 0, done
        texts.append([(tmp_path / name).read_text() for name in FILES])
    assert texts[0] == texts[1] == texts[2]


def test_versions(cluster, tmp_path):
    assert init(cluster.sentinels[0].where, "-o", tmp_path, "--haproxy", "3.2").returncode == 0
    assert "    mode spop\n" in (tmp_path / "haproxy.cfg").read_text()
    assert "async" not in (tmp_path / "spoe.conf").read_text()


def test_without_a_folder(cluster, tmp_path):
    """It writes here, and HAProxy looks where its files usually are."""
    done = subprocess.run(agent_words("init", "--sentinel", cluster.sentinels[0].where), cwd=tmp_path, capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0, done
    assert "config /etc/haproxy/spoe.conf\n" in (tmp_path / "haproxy.cfg").read_text()
    assert f"install -m 644 {tmp_path}/spoe.conf /etc/haproxy/spoe.conf" in done.stdout


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_replaced(cluster, tmp_path, name):
    """Not one of the three, unless that is wanted."""
    (tmp_path / name).write_text("mine")
    done = init(cluster.sentinels[0].where, "-o", tmp_path)
    assert done.returncode == 1 and f"{tmp_path / name} is there already" in done.stderr, done
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
    done = init(cluster.sentinels[0].where, "-o", tmp_path, "--force")
    assert done.returncode == 0 and f"Kept the former file as {tmp_path / name}.bak\n" in done.stdout, done
    assert "mine" not in (tmp_path / name).read_text()
    assert (tmp_path / f"{name}.bak").read_text() == "mine"
    text = (tmp_path / name).read_text()
    assert init(cluster.sentinels[0].where, "-o", tmp_path, "--force").returncode == 0
    assert (tmp_path / f"{name}.bak").read_text() == text  # one is kept


@needs_root
def test_the_next_steps_keep_what_is_there(cluster, tmp_path):
    """A HAProxy that serves a website keeps its file. A path with a blank is one word for the shell."""
    etc = OwnEtc(tmp_path)
    (etc.folder / "haproxy").mkdir()
    (etc.folder / "haproxy/haproxy.cfg").write_text("frontend web\n")
    done = init(cluster.sentinels[0].where, "-o", tmp_path / "a b", prefix=etc.words())
    assert done.returncode == 0, done
    steps = done.stdout.split("Next, as root:\n")[1].splitlines()
    at = steps.index(f"  install -b -m 644 '{tmp_path}/a b/haproxy.cfg' /etc/haproxy/haproxy.cfg")
    assert steps[at - 1].startswith("  # There is a /etc/haproxy/haproxy.cfg. This replaces it")
    assert f"\nsentinel-spoa -f '{tmp_path}/a b/sentinel-spoa.conf' check\n" in done.stdout
    assert "  systemctl enable sentinel-spoa haproxy" in steps  # or nothing runs after a reboot
    assert steps[-1] == "Only clients on this host reach these ports: change `bind` in haproxy.cfg for others."


def test_mistakes(cluster, tmp_path):
    """One clear sentence, and nothing is written."""
    with socket.socket() as closed:
        closed.bind((HOST, 0))
        nobody = f"{HOST}:{closed.getsockname()[1]}"
        check_nothing_written(init(nobody, "-o", tmp_path), tmp_path, 1, nobody, "cannot be reached", "refused")
    check_nothing_written(init("nowhere.invalid:26379", "-o", tmp_path), tmp_path, 1, "its name has no address here")
    check_nothing_written(init(cluster.redis[0].where, "-o", tmp_path), tmp_path, 1, "is a Redis, not a Sentinel")
    check_nothing_written(init("10.0.0.11", "-o", tmp_path), tmp_path, 2, "'10.0.0.11'", "HOST:PORT")
    check_nothing_written(init(HOST + ":1", "-o", tmp_path, "--haproxy", "2.4"), tmp_path, 2, "'2.4'")
    check_nothing_written(init(HOST + ":1", "-o", tmp_path, "--what"), tmp_path, 2, "'--what'", "unknown option")
    check_nothing_written(init(HOST + ":1", "-xyz", "-o", tmp_path), tmp_path, 2, "'-x'", "unknown option")
    check_nothing_written(init(HOST + ":1", "-o", tmp_path, "--user", "u"), tmp_path, 2, "--user", "needs --password-file")
    check_nothing_written(init(HOST + ":1", "-o", tmp_path, "--password-file", "/nowhere"), tmp_path, 2, "'/nowhere'", "No such file")
    check_nothing_written(init(nobody, "-o", tmp_path / "new"), tmp_path, 1, nobody)
    done = init(cluster.sentinels[0].where, "-o", tmp_path / "missing/new")
    check_nothing_written(done, tmp_path, 1, "missing/new", "No such file")
    assert run_agent("init").returncode == 2
    assert run_agent("init", "--help").stdout.startswith("usage: sentinel-spoa init")


def test_what_cannot_be_written(cluster, tmp_path):
    """Where one of the files cannot be written, no other is."""
    (tmp_path / "spoe.conf").mkdir()
    done = init(cluster.sentinels[0].where, "-o", tmp_path, "--force")
    assert (done.returncode, "spoe.conf is there already" in done.stderr) == (1, True), done
    assert [path.name for path in tmp_path.iterdir()] == ["spoe.conf"]
    done = init(cluster.sentinels[0].where, "-o", "/proc")
    assert (done.returncode, "cannot write /proc/sentinel-spoa.conf" in done.stderr) == (1, True), done


def test_who_is_down(tmp_path):
    """A replica and a Sentinel that have gone are told of, and are in the file: they may come back."""
    with Cluster() as cluster:
        cluster.start_redis()
        cluster.start_sentinels(down_after=FAST)
        node, sentinel = cluster.redis[2], cluster.sentinels[2]
        node.kill()
        sentinel.kill()
        done = init(cluster.sentinels[0].where, "-o", tmp_path)
        assert done.returncode == 1  # says the check
        said = "\n".join(notes(done))
        assert f"The node {node.where} of '{SERVICE}' cannot be reached" in said
        assert f"The Sentinel {sentinel.where} cannot be reached" in said
        text = (tmp_path / "sentinel-spoa.conf").read_text()
        assert f" {node.where}\n" in text and f"address = {sentinel.where}\n" in text


def test_who_hangs_costs_one_time_limit(tmp_path):
    """They are asked side by side: three seconds for the Sentinels, three for the nodes, and three for the check."""
    with Cluster() as cluster:
        cluster.start_redis()
        cluster.start_sentinels(down_after=60000)
        hanging = [*cluster.redis[1:], *cluster.sentinels[1:]]
        for process in hanging:
            process.pause()
        begin = time.monotonic()
        done = init(cluster.sentinels[0].where, "-o", tmp_path)
        took = time.monotonic() - begin
        for process in hanging:
            process.resume()
    said = "\n".join(notes(done))
    assert all(process.where in said for process in hanging), done
    assert 5 < took < 12, took


def test_a_refusal_in_a_sentence(tmp_path):
    """Redis ends some words with a full stop. One is enough."""
    with Cluster() as cluster:
        cluster.start_redis()
        cluster.start_sentinels(down_after=FAST)
        node = cluster.redis[1]
        node.call("CONFIG", "SET", "masterauth", "x")
        connection = node.connect()
        connection.call("CONFIG", "SET", "requirepass", "x")
        done = init(cluster.sentinels[0].where, "-o", tmp_path)
        connection.close()
        refused = [note for note in notes(done) if f"The node {node.where} refuses us" in note]
    assert len(refused) == 1 and refused[0].endswith(".") and not refused[0].endswith(".."), done


def test_no_master(tmp_path):
    """A Sentinel that monitors nobody."""
    with Cluster(redis=1, sentinels=1) as cluster:
        sentinel = cluster.sentinels[0]
        sentinel.config_path.write_text("\n".join(sentinel.listen_lines()) + "\n")
        sentinel.start()
        check_nothing_written(init(sentinel.where, "-o", tmp_path), tmp_path, 1, "monitors no master")


# ---- passwords ----

@pytest.fixture(name="guarded", scope="module")
def with_passwords(tmp_path_factory):
    """Sentinels with one password, nodes with another. The cluster has the files' paths in `secrets`."""
    directory = tmp_path_factory.mktemp("secrets")
    with Cluster() as cluster:
        for node in cluster.redis:
            node.extra = (f"requirepass {NODE_SECRET}\nmasterauth {NODE_SECRET}\n"
                          f"user probe on >{NODE_SECRET} -@all {' '.join(documented_rights('replication'))}")
            node.credentials = (NODE_SECRET,)
        for sentinel in cluster.sentinels:
            sentinel.credentials = (SENTINEL_SECRET,)
        cluster.start_redis()
        cluster.start_sentinels(down_after=FAST, extra=f"requirepass {SENTINEL_SECRET}\nsentinel sentinel-pass {SENTINEL_SECRET}\n"
                                                       f"sentinel auth-pass {SERVICE} {NODE_SECRET}")
        cluster.secrets = []
        for name, secret in (("sentinel", SENTINEL_SECRET), ("redis", NODE_SECRET), ("wrong", "wrong")):
            path = directory / name
            path.write_text(f"{secret}\n")
            path.chmod(0o600)
            cluster.secrets.append(path)
        yield cluster


def test_passwords(guarded, tmp_path):
    """By file, and no secret is in what is written or said."""
    at_sentinels, at_nodes, _ = guarded.secrets
    done = init(guarded.sentinels[0].where, "-o", tmp_path, "--password-file", at_sentinels, "--redis-password-file",
                os.path.relpath(at_nodes))
    assert (done.returncode, done.stderr) == (0, ""), done
    check_valid(tmp_path)
    text = (tmp_path / "sentinel-spoa.conf").read_text()
    assert re.findall("^password-file = (.*)", text, re.MULTILINE) == [str(at_sentinels), str(at_nodes)]
    said = done.stdout + "".join((tmp_path / name).read_text() for name in FILES)
    assert SENTINEL_SECRET not in said and NODE_SECRET not in said


def test_a_user_of_the_nodes_alone(guarded, tmp_path):
    """The Sentinels do not know the user: none is written for them."""
    at_sentinels, at_nodes, _ = guarded.secrets
    done = init(guarded.sentinels[0].where, "-o", tmp_path, "--password-file", at_sentinels, "--redis-password-file", at_nodes, "--user", "probe")
    assert done.returncode == 0, done
    assert any("takes the password without the user 'probe'" in note for note in notes(done))
    sentinels, service = (tmp_path / "sentinel-spoa.conf").read_text().split("[service")
    assert "username" not in sentinels and "\nusername = probe\n" in service


def test_passwords_that_are_missing_or_wrong(guarded, tmp_path):
    at_sentinels, _, wrong = guarded.secrets
    sentinel = guarded.sentinels[0].where
    check_nothing_written(init(sentinel, "-o", tmp_path), tmp_path, 1, "asks for a password: give --password-file")
    check_nothing_written(init(sentinel, "-o", tmp_path, "--password-file", wrong), tmp_path, 1, "refuses the password", "WRONGPASS")
    done = init(sentinel, "-o", tmp_path, "--password-file", at_sentinels)
    check_nothing_written(done, tmp_path, 1, "Redis asks for a password: give --redis-password-file")
    done = init(sentinel, "-o", tmp_path, "--password-file", at_sentinels, "--redis-password-file", wrong)
    check_nothing_written(done, tmp_path, 1, "Redis does not take the password")


def test_a_user_without_the_right(tmp_path):
    """The right is named."""
    with Cluster(redis=1, sentinels=1) as cluster:
        secret = tmp_path / "secret"
        secret.write_text("s\n")
        folder = tmp_path / "out"
        folder.mkdir()
        cluster.start_redis()
        cluster.start_sentinels(extra="user agent on >s -@all +sentinel|myid")
        done = init(cluster.sentinels[0].where, "-o", folder, "--password-file", secret, "--user", "agent")
        check_nothing_written(done, folder, 1, "SENTINEL MASTERS", "NOPERM", "+sentinel|masters")


# ---- what is announced ----

def test_two_masters_and_an_odd_name(tmp_path):
    """A service and a port for each; a name that HAProxy does not take stands in `monitor`."""
    with Cluster() as cluster:
        other = Redis("Q1", cluster.directory, free_ports(1)[0])
        other.configure()
        other.start()
        try:
            cluster.start_redis()
            cluster.start_sentinels(down_after=FAST, extra=f'sentinel monitor "a/b $1" {other.host} {other.port} 2')
            for sentinel in cluster.sentinels:
                wait_until(lambda s=sentinel: s.knows_all(0, 2, "a/b $1"), 30, "all know the other master")
            done = init(cluster.sentinels[0].where, "-o", tmp_path)
            check_valid(tmp_path)
            text = (tmp_path / "sentinel-spoa.conf").read_text()
            assert f"[service a_b__1]\nmonitor = a/b $$1\nbackend = be_a_b__1\nserver = R1 {other.where}\n" in text
            assert f"[service {SERVICE}]\nbackend = be_{SERVICE}\n" in text
            assert set(re.findall(r"^    bind (\S+)", (tmp_path / "haproxy.cfg").read_text(), re.MULTILINE)) == {f"{HOST}:6379", f"{HOST}:6380"}
            assert f"a_b__1          {other.where}" not in done.stdout and "nobody will be named" not in done.stdout
        finally:
            other.kill()


@needs_root
def test_an_alias(tmp_path):
    """The replicas call the master by a name, and Sentinel by its address: one server has both."""
    with Cluster() as cluster:
        (tmp_path / "out").mkdir()
        etc = OwnEtc(tmp_path, hosts=f"127.0.0.1 localhost\n{HOST} redis-1.test\n")
        for process in cluster.redis:
            process.prefix = etc.words()
        cluster.redis[0].host = "redis-1.test"  # for the replicas' `replicaof`
        cluster.redis[0].listen_lines = lambda: [f"bind {HOST}", f"dir {cluster.directory}", f"port {cluster.redis[0].port}"]
        cluster.start_redis()
        cluster.redis[0].host = HOST
        cluster.start_sentinels(down_after=FAST)
        done = init(cluster.sentinels[0].where, "-o", tmp_path / "out", prefix=etc.words())
        assert (done.returncode, notes(done)) == (0, []), done
        port = cluster.redis[0].port
        text = (tmp_path / "out" / "sentinel-spoa.conf").read_text()
        assert re.search(f"^server = R[123] {HOST}:{port} alias=redis-1.test:{port}$", text, re.MULTILINE), text
        assert len(re.findall("^server = ", text, re.MULTILINE)) == 3
        # Where the name says nothing, that is told, and all else is as it was.
        done = init(cluster.sentinels[0].where, "-o", tmp_path / "out", "--force")
        assert done.returncode == 0, done
        assert any("redis-1.test" in note and "its name has no address here" in note for note in notes(done))
        assert "alias" not in (tmp_path / "out" / "sentinel-spoa.conf").read_text()


def test_an_address_behind_translation(cluster, tmp_path):
    """The fellows know a Sentinel by a port that leads nowhere: it is written as it was asked."""
    asked, other = cluster.sentinels[:2]
    own = asked.call("SENTINEL", "MYID")
    with socket.socket() as closed:
        closed.bind((HOST, 0))
        port = closed.getsockname()[1]

        def known_at(wanted):
            fellows = [fields(fellow) for fellow in other.call("SENTINEL", "SENTINELS", SERVICE)]
            return any((fellow["runid"], fellow["port"]) == (own, str(wanted)) for fellow in fellows)
        asked.call("SENTINEL", "CONFIG", "SET", "announce-port", str(port))
        try:
            wait_until(lambda: known_at(port), 30, "the new port is known")
            done = init(asked.where, "-o", tmp_path)
            assert any(f"know {asked.where} as {HOST}:{port}: is there address translation" in note for note in notes(done)), done
            text = (tmp_path / "sentinel-spoa.conf").read_text()
            assert f"address = {asked.where}\n" in text and f":{port}\n" not in text
            done = init(other.where, "-o", tmp_path, "--force")
            assert any(f"The Sentinel {HOST}:{port} cannot be reached" in note for note in notes(done)), done
        finally:
            asked.call("SENTINEL", "CONFIG", "SET", "announce-port", "0")
            wait_until(lambda: known_at(asked.port), 30, "the port is known again")


@needs_namespaces
def test_a_loopback_address_of_another_host(tmp_path):
    """The Sentinel's own view is no use to others."""
    with Network(2) as network, Cluster(redis=1, sentinels=1) as cluster:
        for server in (*cluster.redis, *cluster.sentinels):
            server.move(network.hosts[0].address, network.hosts[0].words())
        redis, sentinel = cluster.redis[0], cluster.sentinels[0]
        redis.listen_lines = lambda: [f"bind {HOST}", f"dir {cluster.directory}", f"port {redis.port}", f"unixsocket {redis.address}"]
        redis.configure()
        redis.start()
        redis.host = HOST
        sentinel.configure(redis, 1, FAST, 10000)
        sentinel.start()
        done = init(sentinel.where, "-o", tmp_path, prefix=network.hosts[1].words())
        assert any(f"announces {HOST}:{redis.port}, a loopback address" in note for note in notes(done)), done
        done = init(sentinel.where, "-o", tmp_path, "--force", prefix=network.hosts[0].words())
        assert notes(done) == [], done


@needs_root
def test_what_the_user_of_the_agent_may(guarded, tmp_path):
    """The file is for the agent's group. That its user cannot read a password, or write to HAProxy, is told, with the command."""
    out = tmp_path / "out"
    out.mkdir()
    etc = OwnEtc(tmp_path)
    for name, lines in (("passwd", "root:x:0:0::/root:/bin/sh\nsentinel-spoa:x:64998:64997::/:/bin/false\n"),
                        ("group", "root:x:0:\nsentinel-spoa:x:64997:\nhaproxy:x:64996:\n"),
                        ("sentinel-secret", f"{SENTINEL_SECRET}\n"), ("redis-secret", f"{NODE_SECRET}\n")):
        (etc.folder / name).write_text(lines)
    for name in ("sentinel-secret", "redis-secret"):
        (etc.folder / name).chmod(0o640)
    os.chown(etc.folder / "redis-secret", 0, 64997)

    def said(at_sentinels):
        return notes(init(guarded.sentinels[0].where, "-o", out, "--force", "--password-file", at_sentinels, "--redis-password-file",
                          "/etc/redis-secret", prefix=etc.words()))
    assert said("/etc/sentinel-secret") == [
        "! The user sentinel-spoa cannot read '/etc/sentinel-secret': chgrp sentinel-spoa '/etc/sentinel-secret'; chmod 640 '/etc/sentinel-secret'",
        "! The user sentinel-spoa is not in the group haproxy, and cannot cut sessions: usermod -aG haproxy sentinel-spoa"]
    status = (out / "sentinel-spoa.conf").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (0, 64997, 0o640)
    os.chown(etc.folder / "sentinel-secret", 0, 64997)
    (etc.folder / "group").write_text("root:x:0:\nsentinel-spoa:x:64997:\nhaproxy:x:64996:sentinel-spoa\n")
    assert said("/etc/sentinel-secret") == []
    assert [note for note in said(guarded.secrets[0]) if "cannot see" in note]  # in /tmp, which the service has for itself


# ---- it serves ----

class Written(Cluster):
    """The agent and HAProxy with the files of `init`, not one line edited: in a network namespace, where all ports are free, and
    with a /run/haproxy of their own."""

    def __init__(self, namespace, host):
        super().__init__()
        self.words = ["ip", "netns", "exec", namespace]
        self.namespace = namespace
        self.folder = self.directory / "etc"
        api = self.directory / "run"
        for folder in (self.folder, api):
            folder.mkdir()
        self.directory.chmod(0o755)
        for server in (*self.redis, *self.sentinels):
            server.move(host, self.words)
        own = [*self.words, "unshare", "--mount", "sh", "-c", 'mkdir -p /run/haproxy && mount --bind "$1" /run/haproxy && shift && exec "$@"', "sh", str(api)]
        self.agent, self.haproxy = Agent(self.folder, name="sentinel-spoa"), HAProxy(self.folder, 6379)
        self.agent.prefix = self.haproxy.prefix = own
        self.agent.address = f"{HOST}:9012"

    def init(self, *words):
        return init(self.sentinels[0].where, "-o", self.folder, *words, prefix=self.words)

    def server_of(self, node):
        """Its name in the agent's file."""
        return re.search(rf"^server = (\S+) {re.escape(node.where)}$", (self.folder / "sentinel-spoa.conf").read_text(), re.MULTILINE)[1]

    def client(self):
        """A connection through HAProxy."""
        with inside(self.namespace):
            return Resp((HOST, 6379), 30)

    def call(self, *args, timeout=8.0):
        with self.client() as client:
            if self.redis[0].credentials:
                client.call("AUTH", *self.redis[0].credentials)
            return client.call(*args)


@pytest.fixture(name="namespace")
def own_namespace():
    name = f"ssp{os.getpid()}init"
    run("ip", "netns", "add", name)
    try:
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", name, "addr", "add", "10.77.0.1/32", "dev", "lo")
        yield name
    finally:
        run("ip", "netns", "del", name)


@needs_namespaces
@pytest.mark.parametrize("host", ["10.77.0.1", "::1"])
def test_serves(namespace, host):
    """Through a failover by order and one by force; the sessions to the former master are cut."""
    with Written(namespace, host) as cluster:
        cluster.start_redis()
        cluster.start_sentinels(down_after=FAST)
        done = cluster.init()
        assert (done.returncode, notes(done)) == (0, []), done
        cluster.agent.start()
        cluster.haproxy.ready = lambda: cluster.client().close() is None
        cluster.haproxy.start()
        cluster.wait_served()
        old = cluster.redis[0]
        with cluster.client() as staying:
            assert staying.call("SET", "key", "1") == "OK"
            cluster.sentinels[0].fail_over()
            new = cluster.wait_failover(old)
            cluster.agent.wait_log(event="sessions-cut", server=cluster.server_of(old), timeout=15)  # the start cuts those of the others
            with pytest.raises((OSError, RespError, EOFError)):
                staying.call("SET", "key", "2")
                staying.call("SET", "key", "3")
        wait_until(lambda: int(cluster.call("CONFIG", "GET", "port")[1]) == new.port, 15, "the new master is served")
        wait_until(lambda: all(s.knows_all(2, 2) for s in cluster.sentinels), 30, "all is well again")
        checked = subprocess.run([*cluster.agent.prefix, *agent_words("-f", cluster.agent.config_path, "check")], capture_output=True, text=True,
                                 timeout=60, check=False)
        assert (checked.returncode, "HAProxy" in checked.stdout) == (0, True), checked
        mark = cluster.agent.mark()
        new.kill()
        cluster.agent.wait_log(event="master-doubted", since=mark)  # before that HAProxy connects to it and is refused
        assert cluster.call("SET", "key", "4", timeout=15) == "OK"  # it waits
        check_clean(cluster.agent)
