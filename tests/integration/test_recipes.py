"""The shipped recipes: each folder is whole, `haproxy -c` has nothing to say about it, and what is promised works."""

import os
import random
import re
import subprocess
import time

import pytest
from certificates import Authority
from cluster import HOST, SHIPPED, Cluster, Redis, edited
from process import PATH, free_ports, wait_until
from random_config import Writer
from resp import Resp, RespError
from rig import check_clean, run_agent
from spop_client import SpopClient

RECIPES = [".", "active-backup", "agent-check", "any-address", "cluster", "http-health", "keepalived", "many-services",
           "read-write-split", "remote-agent", "replication", "runtime-api", "twemproxy", "two-agents"]
WITHOUT = [("http-health", "spoe.conf")]
CONFIGURATIONS = 60  # at random
FILES = ("haproxy.cfg", "spoe.conf", "sentinel-spoa.conf", "README.md")


def placed(text, directory):
    """A shipped file with its paths in this directory."""
    text = re.sub("/etc/haproxy/|/run/haproxy/|/etc/sentinel-spoa/", f"{directory}/", text)
    return text if os.geteuid() == 0 else re.sub(r"    (user|group) haproxy\n", "", text)


def place(recipe, directory):
    """The files of a recipe in this directory, with certificates made as its README says. The path of the agent's file."""
    for path in (SHIPPED / recipe).iterdir():
        if path.is_file():
            (directory / path.name).write_text(placed(path.read_text(), directory))
    commands = re.search(r"^```\n(new=.*?)```", (SHIPPED / recipe / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    if commands:
        subprocess.run(["bash", "-e", "-c", commands[1]], cwd=directory, capture_output=True, check=True)
    return directory / "sentinel-spoa.conf"


def test_all_are_tested():
    assert sorted(path.name for path in SHIPPED.iterdir() if path.is_dir()) == RECIPES[1:]


@pytest.mark.parametrize("recipe", RECIPES)
def test_whole_and_valid(recipe, tmp_path):
    """Every file is there; HAProxy takes its two without a warning, the agent its own."""
    folder = SHIPPED / recipe
    assert all((folder / name).exists() for name in FILES if (recipe, name) not in WITHOUT)
    place(recipe, tmp_path)
    done = subprocess.run(["haproxy", "-c", "-f", str(tmp_path / "haproxy.cfg")], env={**os.environ, "PATH": PATH},
                          capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done
    done = run_agent("-t", "-f", tmp_path / "sentinel-spoa.conf")
    warned = "'when-alone = name'" in done.stderr if recipe == "active-backup" else not done.stderr
    assert (done.returncode, warned) == (0, True), done


@pytest.mark.parametrize("recipe", RECIPES)
def test_backends_stand_by_themselves(recipe):
    """What keeps a client from another server, or from waiting, stands in the sections, not in the defaults: those are another
    file's where a recipe is pasted. HAProxy ignores `tcp-ut` in default-server."""
    text = (SHIPPED / recipe / "haproxy.cfg").read_text()
    sections = [part for part in re.split(r"^(?=\S)", text, flags=re.MULTILINE) if re.match("backend|frontend fe_(?!health)", part)]
    wanted = {"backend be_sentinel_spoa": ("mode tcp", "retries 0", "no option redispatch", "timeout connect", "timeout server"),
              "frontend": ("mode tcp", "timeout client", "option clitcpka", "clitcpka-idle"),
              "backend": ("mode tcp", "retries 0", "no option redispatch", "no option persist", "timeout connect", "timeout queue",
                          "timeout server", "option srvtcpka")}
    if recipe == "two-agents":  # the question may go to another agent; no client's connection does
        wanted["backend be_sentinel_spoa"] = ("mode tcp", "retries 2", "option redispatch 1", "timeout connect", "timeout server")
    for section in sections:
        lines = next(lines for start, lines in wanted.items() if section.startswith(start))
        assert [line for line in lines if f"    {line}" not in section] == [], section
        if lines is wanted["backend"]:
            servers = re.findall(r"^    server .*", section, re.MULTILINE)
            assert servers and all(" tcp-ut 3s" in server for server in servers), section
    assert not re.search("default-server.* tcp-ut", text)


@pytest.mark.parametrize("recipe", [recipe for recipe in RECIPES if (recipe, "spoe.conf") not in WITHOUT])
def test_questions_carry_the_client(recipe):
    """Once, and at the end: so the agent knows a question by its beginning."""
    lines = re.findall(r"^    args (.*)$", (SHIPPED / recipe / "spoe.conf").read_text(), re.MULTILINE)
    assert lines
    for line in lines:
        assert re.fullmatch(r"service=\S+ role=\S+ src=src src_port=src_port dst=dst dst_port=dst_port", line), line


@pytest.mark.parametrize("recipe", RECIPES)
def test_names_agree(recipe):
    """Services and servers are called the same in all files of a recipe; agent-checks ask for names that there are."""
    haproxy, spoe, agent = ((SHIPPED / recipe / name).read_text() if (recipe, name) not in WITHOUT else ""
                            for name in FILES[:3])
    services = set(re.findall(r"^\[service (\S+)\]", agent, re.MULTILINE))
    servers = dict(re.findall(r"^server = (\S+) (\S+)", agent, re.MULTILINE))
    # A twemproxy stands for the Redis on its host.
    redis = {name: f"{host}:6379" for name, host in re.findall(r"^    server (\S+) (\S+):3?6379", haproxy, re.MULTILINE)}
    assert servers == redis
    asked = set(re.findall(r"uri-lf /master/(\S+?)/", haproxy))
    asked |= set(re.findall(r"service=str\((\S+?)\)", spoe))
    asked |= set(re.findall(r"set-var\(sess.service\) str\((\S+)\)", haproxy))
    assert asked == services
    for service, server in re.findall(r'agent-send "(\S+) (\S+)\\n"', haproxy):
        assert service in services
        assert server in servers


class ManyCluster(Cluster):
    """The recipe with two services: `cache` is this cluster's, `queue` has nodes of its own and the same Sentinels."""

    def __init__(self):
        super().__init__(recipe="many-services")
        *ports, self.by_source = free_ports(4)
        self.queue = [Redis(f"Q{i + 1}", self.directory, port) for i, port in enumerate(ports)]

    def node_edits(self):
        return {**super().node_edits(), **{f"10.0.0.{14 + i}:6379": node.where for i, node in enumerate(self.queue)},
                f"bind {HOST}:6381": f"bind {HOST}:{self.by_source}"}

    def agent_config(self, edits=None):
        text = self.shipped("sentinel-spoa.conf")
        addresses = {f"10.0.0.{11 + i}:26379": node.where for i, node in enumerate(self.sentinels)}
        return edited(text, {**addresses, **self.node_edits_of_agent(), f"{HOST}:9012": f"{HOST}:0", f"{HOST}:9912": f"{HOST}:0"}, "sentinel-spoa.conf")

    def node_edits_of_agent(self):
        edits = self.node_edits()
        del edits[f"bind {HOST}:6381"]
        return edits

    def start(self):
        self.redis, cache = self.queue, self.redis
        self.start_redis()
        self.redis = cache
        self.start_redis()
        for sentinel in self.sentinels:
            sentinel.configure(self.redis[0], 2, 2500, 10000)
            text = sentinel.config_path.read_text()
            queue = text.replace(f"monitor mymaster {self.redis[0].host} {self.redis[0].port}",
                                 f"monitor queue {self.queue[0].host} {self.queue[0].port}").replace("mymaster", "queue")
            monitors = [line for line in queue.splitlines() if " queue " in line]
            sentinel.config_path.write_text(text.replace("mymaster", "cache") + "\n".join(monitors) + "\n")
            sentinel.spawn()
        for sentinel in self.sentinels:
            for service in ("cache", "queue"):
                wait_until(lambda s=sentinel, n=service: s.knows_all(2, 2, n), 30, f"{sentinel.name} knows all of {service}")
        (self.directory / "services.map").write_text(self.shipped("services.map"))
        self.start_agent()
        self.start_haproxy()
        self.wait_served()

    def processes(self):
        return [*super().processes(), *self.queue]

    def stop(self):
        for node in self.queue:
            node.kill()
        super().stop()


def port_behind(address, source=HOST):
    """The port of the Redis that a connection from this source leads to; 0 where it is refused."""
    try:
        with Resp(address, 10, source=source) as connection:
            return int(connection.call("CONFIG", "GET", "port")[1])
    except OSError:
        return 0


def test_many_services():
    with ManyCluster() as cluster:
        cluster.start()
        by_source = (HOST, cluster.by_source)
        wait_until(lambda: port_behind(cluster.reads) == cluster.queue[0].port, 15, "the queue is served by its port")
        assert cluster.served_by() is cluster.redis[0]
        assert port_behind(by_source, "127.0.0.1") == cluster.redis[0].port
        assert port_behind(by_source, "127.0.0.2") == cluster.queue[0].port
        assert port_behind(by_source, "127.0.0.3") == 0  # in no line of the map
        check_clean(cluster.agent)


def test_http_health():
    """Without SPOE: after a failover the balancer leads to the new master, and to it alone."""
    with Cluster(recipe="http-health") as cluster:
        cluster.start()
        old = cluster.redis[0]
        # HAProxy holds all servers to be up until it has asked.
        wait_until(lambda: {cluster.served_by() for _ in range(10)} == {old}, 15, "only the master is up")
        cluster.sentinels[0].fail_over()
        new = cluster.wait_failover(old)
        wait_until(lambda: {cluster.served_by() for _ in range(10)} == {new}, 15, "only the new master is up")
        check_clean(cluster.agent)


def documented_tls():
    """The lines of the README's section: {where: line}."""
    section = re.search(r"^## TLS\n(.*?)^## ", (SHIPPED / "README.md").read_text(), re.MULTILINE | re.DOTALL)[1]
    lines = re.findall(r"`([^`]*)`", section)
    return {key: next(line for line in lines if line.startswith(start)) for key, start in
            (("bind", "bind "), ("nodes", "ssl verify"), ("name", "verifyhost"), ("agent", "tls ="), ("ca", "tls-ca ="))}


def test_tls(tmp_path):
    """runtime-api/ with the README's lines: TLS from the client to the node, and to all whom the agent asks."""
    lines, name = documented_tls(), "redis-1.example.org"
    ca = Authority(tmp_path)
    pair = ca.issue("all", f"IP:{HOST},DNS:{name}")
    (tmp_path / "redis.pem").write_text("".join(open(path, encoding="ascii").read() for path in pair))
    keys = f"{lines['agent']}\n{lines['ca']}\n".replace("/etc/haproxy/ca.pem", ca.certificate)
    with Cluster(recipe="runtime-api") as cluster:
        (cluster.directory / "ca.pem").write_text(open(ca.certificate, encoding="ascii").read())
        for server in (*cluster.redis, *cluster.sentinels):
            server.secure(pair, ca.certificate)
        cluster.start_redis()
        cluster.start_sentinels()
        cluster.start_agent({"[sentinels]\n": f"[sentinels]\n{keys}", "[service mymaster]\n": f"[service mymaster]\n{keys}"})
        cluster.haproxy.ready = lambda: True  # it does not answer without TLS
        cluster.start_haproxy({"bind 127.0.0.1:6379": lines["bind"].replace("/etc/haproxy/redis.pem", str(tmp_path / "redis.pem")),
                               "default-server weight 0": f"default-server weight 0 {lines['nodes']}", " tcp-ut 3s": f" tcp-ut 3s {lines['name']}"})

        def write():
            said = subprocess.run(["redis-cli", "-h", HOST, "-p", str(cluster.haproxy.port), "--tls", "--cacert", ca.certificate, "--sni", name,
                                   "SET", "key", "1"], capture_output=True, text=True, timeout=20, check=False)
            return said.stdout.strip() == "OK"

        wait_until(write, 15, "a write by TLS")
        cluster.sentinels[0].fail_over()
        cluster.wait_failover(cluster.redis[0])
        cluster.agent.wait_log(event="sessions-cut", server="R1", timeout=15)
        wait_until(write, 15, "a write to the new master")
        check_clean(cluster.agent)


def refuses(cluster):
    try:
        return not cluster.served_by()
    except (OSError, RespError):
        return True


def test_http_health_keeps_the_sessions_of_a_healthy_master():
    """Neither an agent that stands still for a moment nor Sentinels that end close a session; without a majority nobody gets a new one."""
    with Cluster(recipe="http-health") as cluster:
        cluster.start()
        wait_until(lambda: {cluster.served_by() for _ in range(10)} == {cluster.redis[0]}, 15, "only the master is up")
        with Resp(cluster.haproxy.address, 10) as session:
            assert session.call("SET", "key", "1") == "OK"
            for _ in range(5):
                cluster.agent.pause()
                time.sleep(0.3)
                cluster.agent.resume()
                time.sleep(0.3)
            assert session.call("SET", "key", "2") == "OK"
            for sentinel in cluster.sentinels[1:]:
                sentinel.kill()
            wait_until(lambda: refuses(cluster), 15, "no new sessions")
            time.sleep(1)  # longer than the balancer needs to close the old ones
            assert session.call("SET", "key", "3") == "OK"
            cluster.sentinels[1].spawn()
            wait_until(lambda: not refuses(cluster) and cluster.served_by() is cluster.redis[0], 15, "served again")
            assert session.call("SET", "key", "4") == "OK"


def test_remote_agent():
    """Questions go by TLS, with certificates on both sides; a failover is followed. Who has no certificate is refused."""
    with Cluster(recipe="remote-agent") as cluster:
        place("remote-agent", cluster.directory)
        address, own = "10.0.0.20:9012", {"/etc/sentinel-spoa/": f"{cluster.directory}/"}
        cluster.start_redis()
        cluster.start_sentinels()
        cluster.start_agent({address: f"{HOST}:9012", **own})
        cluster.start_haproxy({address: f"{HOST}:9012"})
        cluster.wait_served()
        old = cluster.redis[0]
        assert cluster.served_by() is old
        assert "event=spop-tls-failed" not in cluster.agent.log_text()
        with pytest.raises((ConnectionError, AssertionError)), SpopClient(cluster.agent.address) as plain:
            plain.hello()
        cluster.agent.wait_log(event="spop-tls-failed")
        cluster.sentinels[0].fail_over()
        new = cluster.wait_failover(old)
        wait_until(lambda: cluster.served_by() is new, 15, "the new master is served")
        check_clean(cluster.agent)


# ---- sentinel-spoa haproxy-conf ----

def printed(path, *words):
    done = run_agent("-f", path, "haproxy-conf", *words)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def check_haproxy(tmp_path, cfg, spoe):
    """HAProxy takes both files, and warns of nothing but of host names that nobody here knows."""
    for name, text in (("haproxy.cfg", cfg), ("spoe.conf", spoe)):
        (tmp_path / name).write_text(placed(text, tmp_path))
    done = subprocess.run(["haproxy", "-c", "-f", str(tmp_path / "haproxy.cfg")], env={**os.environ, "PATH": PATH},
                          capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if not re.search(r"^\[NOTICE\]|could not resolve address", line)]
    assert (done.returncode, said) == (0, []), done.stderr


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_is_printed_is_valid(recipe, tmp_path):
    """For the configuration of every recipe, and for the version of HAProxy that is here."""
    path = place(recipe, tmp_path)
    check_haproxy(tmp_path, printed(path), printed(path, "--spoe"))


# What is in a recipe by hand: (recipe, file) -> the printed lines that it does not have. None: there is no such file.
BY_HAND = {
    ("http-health", "haproxy.cfg"): None,  # no SPOE
    ("http-health", "spoe.conf"): None,
    ("keepalived", "haproxy.cfg"): ["    bind 127.0.0.1:6379"],  # a shared address, and a frontend for keepalived
    ("many-services", "haproxy.cfg"): [],  # one more frontend, by the client's address
    ("twemproxy", "haproxy.cfg"): [f"    server T{i} 10.0.0.1{i}:6379 tcp-ut 3s" for i in (1, 2, 3)],  # another program stands there
    # The agent's file does not know the name in the certificate, nor how far away HAProxy is.
    ("remote-agent", "haproxy.cfg"): ["    timeout connect 200ms", "    timeout check 500ms",
                                      "    # ca.crt: who has signed the agent's certificate. Add 'verifyhost NAME' where it signs for others, too.",
                                      "    # haproxy.pem: HAProxy's own certificate and key.",
                                      '    # An agent on a UNIX socket: "server agent1 unix@/run/sentinel-spoa/spop.sock"',
                                      "    server agent1 10.0.0.20:9012 ssl verify required ca-file /etc/haproxy/ca.crt crt /etc/haproxy/haproxy.pem"],
    # An agent's file does not know the other agent.
    ("two-agents", "haproxy.cfg"): ["    # The first refused connection marks the agent down, so that clients are refused at once and do not wait.",
                                    '    # An agent on a UNIX socket: "server agent1 unix@/run/sentinel-spoa/spop.sock"'],
    ("two-agents", "spoe.conf"): [],
}


def without_head(text):
    """The lines behind the first comment, which says what the recipe is for."""
    return text.split("\n\n", 1)[1].splitlines()


@pytest.mark.parametrize("name", FILES[:2])
@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_are_what_is_printed(recipe, name, tmp_path):
    """Byte for byte, but for the paths of the test; a recipe that has more has at least every line that is printed."""
    lacks = BY_HAND.get((recipe, name), "nothing")
    if lacks is None:
        return
    text = placed(printed(place(recipe, tmp_path), *(["--spoe"] if name == "spoe.conf" else [])), tmp_path)
    shipped = placed((SHIPPED / recipe / name).read_text(), tmp_path)
    if lacks == "nothing":
        assert text == shipped
    else:
        lines = set(without_head(shipped))
        assert [line for line in without_head(text) if line not in lines] == [placed(line, tmp_path) for line in lacks]


def test_what_is_printed_is_valid_for_every_configuration(tmp_path):
    """Whatever is valid here is printed as what HAProxy takes without a word. SEED=N repeats a run."""
    seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
    print(f"SEED={seed}")
    rng = random.Random(seed)
    said = subprocess.run(["haproxy", "-v"], env={**os.environ, "PATH": PATH}, capture_output=True, text=True, check=True).stdout
    version = re.search(r"version (\d+\.\d+)", said)[1]
    path = tmp_path / "sentinel-spoa.conf"
    for _ in range(CONFIGURATIONS):
        path.write_text(Writer(rng).text())
        print(path.read_text())  # pytest shows the last one where it fails
        done = run_agent("-t", "-f", path)
        assert done.returncode == 0, done.stderr
        check_haproxy(tmp_path, printed(path, "--for", version), printed(path, "--spoe", "--for", version))


def test_what_differs_by_version():
    path = SHIPPED / "sentinel-spoa.conf"
    assert "    mode tcp\n    retries 0\n    no option redispatch\n    option spop-check" in printed(path, "--for", "3.0.11")
    assert "    mode spop\n    retries 0\n    no option redispatch\n    option spop-check" in printed(path, "--for", "3.2")
    assert "no option async" in printed(path, "--spoe")
    assert "async" not in printed(path, "--spoe", "--for", "3.1")
    for bad in ("2.4", "3", "x", "3.x", "-1.2"):
        done = run_agent("-f", path, "haproxy-conf", f"--for={bad}")
        assert (done.returncode, done.stdout) == (2, "")
        assert f"bad value '{bad}' for '--for'" in done.stderr


def test_what_is_printed_serves():
    """As it is but for the paths and the port."""
    with Cluster(recipe="runtime-api") as cluster:
        cluster.start_redis()
        cluster.start_sentinels()
        cluster.start_agent()
        path = cluster.agent.config_path
        text = printed(path).replace("bind 127.0.0.1:6379", f"bind {cluster.haproxy.where}")
        check_haproxy(cluster.directory, text, printed(path, "--spoe"))
        cluster.haproxy.start()
        cluster.wait_served()
        assert cluster.served_by() is cluster.redis[0]
        check_clean(cluster.agent)
