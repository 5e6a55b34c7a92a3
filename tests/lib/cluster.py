"""Redis, Sentinels, HAProxy and the agent as real programs on the loopback, for the demo and the tests.

    with Cluster() as cluster:                  # three Redis, three Sentinels, the shipped configuration files
        cluster.start()                         # all of it; returns when a PING through HAProxy is answered
        cluster.redis[0].kill()
        cluster.agent.wait_log(event="master-switch")
        cluster.call("SET", "key", "value")     # through HAProxy; RespError or OSError where refused

Each part also starts by itself: start_redis(), start_sentinels(), start_agent(), start_haproxy(). The shipped
files are used as they are but for the addresses and for the `edits` of the caller; an edit whose text is not in
the file is an error, so a test cannot pass by an edit that no longer applies.

SENTINEL_SPOA in the environment names another agent (words as in a shell, e.g. "valgrind build/asan/..."), SERVER=valkey
other nodes and Sentinels.
"""

import atexit
import os
import re
import shlex
import shutil
import tempfile
from pathlib import Path

from process import Process, free_ports, wait_until
from resp import Resp, RespError, fields

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "haproxy-conf"
HOST = "127.0.0.1"
SERVICE = "mymaster"
SERVER = os.environ.get("SERVER", "redis")


def edited(text, edits, where):
    """text with each key of edits replaced by its value; KeyError where a key is not in the text."""
    for old, new in edits.items():
        if old not in text:
            raise KeyError(f"{where} does not contain {old!r}")
        text = text.replace(old, new)
    return text


class Server(Process):
    """A program with one address that answers PING: on the loopback, unless move() says otherwise."""

    def __init__(self, name, directory, port):
        super().__init__(name, directory)
        self.port = port
        self.host = HOST
        self.address = (HOST, port)
        self.tls_lines = []

    def move(self, host, prefix):
        """To another host, where it is started by the words in `prefix`. We reach it there by a UNIX socket."""
        self.host = host
        self.prefix = prefix
        self.address = str(self.directory / f"{self.name}.sock")

    @property
    def where(self):
        """host:port or [v6]:port, as configuration files and logs have it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def secure(self, pair, authority, asks_clients=False):
        """From the next configure() on it speaks TLS only, with this certificate; we reach it by a UNIX socket. It
        trusts what the authority (a path) has signed, and may ask clients for such a certificate."""
        self.address = str(self.directory / f"{self.name}.sock")
        self.tls_lines = [f"tls-port {self.port}", "port 0", f"unixsocket {self.address}", "tls-replication yes",
                          f"tls-cert-file {pair.certificate}", f"tls-key-file {pair.key}",
                          f"tls-ca-cert-file {authority}", f"tls-auth-clients {'yes' if asks_clients else 'no'}"]

    def listen_lines(self):
        """The lines of a Redis' or Sentinel's file that say where it listens."""
        lines = [f"bind {self.host}", f"dir {self.directory}"]
        if self.tls_lines:
            return [*lines, *self.tls_lines]
        lines.append(f"port {self.port}")
        return lines if self.host == HOST else [*lines, "protected-mode no", f"unixsocket {self.address}"]

    @property
    def config_path(self):
        return self.directory / f"{self.name}.conf"

    credentials = ()  # with which we ask it: password, or user and password

    def connect(self, timeout=2.0):
        """A connection on which we may ask what we like."""
        connection = Resp(self.address, timeout)
        if self.credentials:
            connection.call("AUTH", *self.credentials)
        return connection

    def call(self, *args, timeout=2.0):
        """One command on a connection of its own. RespError or OSError where it fails."""
        with self.connect(timeout) as connection:
            return connection.call(*args)

    def ready(self):
        return self.call("PING") == "PONG"


def documented_rights(recipe):
    """What a node's user needs, as the recipe's README has it."""
    text = (SHIPPED / recipe / "README.md").read_text()
    return re.search(r"^The rights that a node's user needs: `(.*)`\.$", text, re.MULTILINE)[1].split()


class Redis(Server):
    """A redis-server; a replica of `master` (another Redis) where one is given."""

    extra = ""  # lines of its configuration

    def __init__(self, name, directory, port, master=None):
        super().__init__(name, directory, port)
        self.master = master

    def command(self):
        return [f"{SERVER}-server", str(self.config_path)]

    def configure(self, master=None):
        """Write its configuration file anew: Redis itself rewrites it when Sentinel changes its role."""
        lines = [*self.listen_lines(), 'save ""', "appendonly no", "repl-diskless-sync-delay 0",
                 f"dbfilename {self.name}.rdb", self.extra]
        if master is not None:
            lines.append(f"replicaof {master.host} {master.port}")
        self.config_path.write_text("\n".join(lines) + "\n")

    def role(self):
        """"master" or "slave", by its own word."""
        return self.call("ROLE")[0]

    def in_sync(self):
        """True for a replica whose link to its master is up."""
        role = self.call("ROLE")
        return role[0] == "slave" and role[3] == "connected"


class Sentinel(Server):
    """A redis-sentinel that monitors one master under the name `mymaster`."""

    def command(self):
        return [f"{SERVER}-sentinel", str(self.config_path)]

    def configure(self, master, quorum, down_after, failover_timeout, extra=""):
        """Times in milliseconds; extra is appended to the file as it is."""
        self.config_path.write_text(
            "\n".join(self.listen_lines()) + "\n"
            f"sentinel monitor {SERVICE} {master.host} {master.port} {quorum}\n"
            f"sentinel down-after-milliseconds {SERVICE} {down_after}\n"
            f"sentinel failover-timeout {SERVICE} {failover_timeout}\n"
            f"sentinel parallel-syncs {SERVICE} 1\n{extra}\n")

    def named(self, service=SERVICE):
        """The (host, port) that it names, None where it does not know the service."""
        reply = self.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)
        return (reply[0], int(reply[1])) if reply else None

    def fail_over(self, refusals=("NOGOODSLAVE", "INPROG")):
        """Order a failover, again and again where it is refused for now: no replica is good enough yet, or one is going on.
        This Sentinel carries it out by itself."""
        def accepted():
            try:
                return self.call("SENTINEL", "FAILOVER", SERVICE) == "OK"
            except RespError as error:
                assert str(error).startswith(refusals), error
                return False
        wait_until(accepted, 30, "SENTINEL FAILOVER is accepted")

    def knows_all(self, replicas, others, service=SERVICE):
        """True when it sees so many replicas in sync and so many other Sentinels, and nobody down."""
        master = fields(self.call("SENTINEL", "MASTER", service))
        if (master["flags"], master["num-other-sentinels"]) != ("master", str(others)):
            return False
        seen = [fields(replica) for replica in self.call("SENTINEL", "REPLICAS", service)]
        return len(seen) == replicas and all(
            (replica["flags"], replica["master-link-status"]) == ("slave", "ok") for replica in seen)


class HAProxy(Server):
    """haproxy, its log on its standard output.

    It runs as master and worker: one process would give up our "die with the parent" when it changes its user,
    while a worker ends when its master does.
    """

    def __init__(self, directory, port, name="haproxy"):
        super().__init__(name, directory, port)

    @property
    def config_path(self):
        return self.directory / f"{self.name}.cfg"

    def command(self):
        return ["haproxy", "-W", "-db", "-f", str(self.config_path)]

    def ready(self):
        """It listens; whether it has a master to give is another question."""
        Resp(self.address).close()
        return True


class Agent(Process):
    """sentinel-spoa. Port 0 in its configuration becomes the port it was given, for later starts too."""

    def __init__(self, directory, binary=None, name="agent"):
        super().__init__(name, directory)
        words = binary or os.environ.get("SENTINEL_SPOA") or str(ROOT / "build/release/sentinel-spoa")
        self.binary = [str(ROOT / word) if (ROOT / word).is_file() else word for word in shlex.split(words)]
        self.config_path = directory / f"{name}.conf"
        self.address = None
        self.started_at = 0

    @property
    def spop_address(self):
        """Where we reach it: by its UNIX socket where it is on another host."""
        return f"unix:{self.directory / self.name}.sock" if self.prefix else self.address

    @property
    def is_sanitized(self):
        """A build with AddressSanitizer: it keeps what was freed for a while, and stays open to its leak check."""
        return any("asan" in word for word in self.binary)

    def command(self):
        return [*self.binary, "-f", str(self.config_path)]

    def spawn(self):
        self.started_at = self.mark()
        super().spawn()

    def ready(self):
        """It listens, as its log says; notes where."""
        text = self.config_path.read_text()
        keys = {"spop": "listen", "agent-check": "check", "http": "http"}
        wanted = ["spop", *(name for name, key in keys.items() if name != "spop" and f"\n{key} = {HOST}:0" in text)]
        lines = [self.listening(protocol) for protocol in wanted]
        if not all(lines):
            return False
        chosen = text
        for protocol, line in zip(wanted, lines):
            chosen = chosen.replace(f"\n{keys[protocol]} = {HOST}:0", f"\n{keys[protocol]} = {line['address']}", 1)
        if chosen != text:  # the agent may watch its file
            self.config_path.write_text(chosen)
        self.address = self.address or lines[0]["address"]
        return True

    def listening(self, protocol):
        """The line of the log that says where it listens for this; None where it does not."""
        return self.find_log(event="listening", protocol=protocol, since=self.started_at)

    @property
    def http_address(self):
        """Where it listens for HTTP; None where it does not."""
        line = self.listening("http")
        return line and line["address"]

    def metric(self, name):
        """The value of a metric without labels; it listens for HTTP."""
        with Resp(tuple(self.http_address.rsplit(":", 1)), 10) as connection:
            connection.sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = connection.reader.read().decode()
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))

    @property
    def check_address(self):
        """Where it listens for agent-checks; None where it does not."""
        line = self.listening("agent-check")
        return line and line["address"]


class Cluster:
    """All of it in one temporary directory, gone with the `with` block (or stop()) unless keep is set."""

    def __init__(self, redis=3, sentinels=3, keep=False, recipe="."):
        """recipe: a folder of haproxy-conf/; a file that it does not have is taken from haproxy-conf/ itself."""
        self.recipe = SHIPPED / recipe
        self.directory = Path(tempfile.mkdtemp(prefix="sentinel-spoa-"))
        self.keep = keep
        ports = free_ports(redis + sentinels + 2)
        self.redis = [Redis(f"R{i + 1}", self.directory, ports[i]) for i in range(redis)]
        self.sentinels = [Sentinel(f"S{i + 1}", self.directory, ports[redis + i]) for i in range(sentinels)]
        self.haproxy = HAProxy(self.directory, ports[-2])
        self.reads = (HOST, ports[-1])  # where HAProxy leads to replicas, with a recipe that does
        self.agent = Agent(self.directory)
        self.api = str(self.directory / "admin.sock")  # HAProxy's runtime API, with a recipe that has one
        self.park = "0"  # tests look at answers without a name too; None: as shipped
        atexit.register(self.stop)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def start(self):
        """Start all in the right order and wait until a PING through HAProxy reaches the master."""
        self.start_redis()
        self.start_sentinels()
        self.start_agent()
        self.start_haproxy()
        self.wait_served()

    def start_redis(self):
        """The first is the master, the others are its replicas; returns when they are in sync."""
        master, *replicas = self.redis
        for node in self.redis:
            node.configure(master=None if node is master else master)
            node.spawn()
        wait_until(master.ready, 15, "the master is ready")
        for node in replicas:
            wait_until(node.in_sync, 15, f"{node.name} is in sync")

    def start_sentinels(self, quorum=None, down_after=2500, failover_timeout=10000, extra=""):
        """Returns when each knows all replicas and all other Sentinels (two to three seconds)."""
        quorum = quorum or len(self.sentinels) // 2 + 1
        for sentinel in self.sentinels:
            sentinel.configure(self.redis[0], quorum, down_after, failover_timeout, extra)
            sentinel.spawn()
        others, replicas = len(self.sentinels) - 1, len(self.redis) - 1
        for sentinel in self.sentinels:
            wait_until(lambda s=sentinel: s.knows_all(replicas, others), 30, f"{sentinel.name} knows all")

    def start_agent(self, edits=None):
        """The agent with the shipped file; edits as in agent_config."""
        self.agent.config_path.write_text(self.agent_config(edits))
        self.agent.start()

    def start_haproxy(self, edits=None, spoe_edits=None):
        """HAProxy with the shipped files; the agent must have been started, for its address."""
        self.haproxy.config_path.write_text(self.haproxy_config(edits))
        (self.directory / "spoe.conf").write_text(self.spoe_config(spoe_edits))
        self.haproxy.start()

    def shipped(self, name):
        """The text of a shipped file."""
        path = self.recipe / name
        return (path if path.exists() else SHIPPED / name).read_text()

    def node_edits(self):
        """10.0.0.11 and its like become the addresses of our Redis nodes."""
        return {f"10.0.0.{11 + i}:6379": node.where for i, node in enumerate(self.redis)}

    def agent_config(self, edits=None):
        """The text of sentinel-spoa.conf with our addresses, after the caller's edits (old text -> new text)."""
        text = edited(self.shipped("sentinel-spoa.conf"), edits or {}, "sentinel-spoa.conf")
        if self.park is not None:
            section = f"[service {SERVICE}]\n"
            text = edited(text, {section: f"{section}park = {self.park}\n"}, "sentinel-spoa.conf")
        addresses = {f"10.0.0.{11 + i}:26379": node.where for i, node in enumerate(self.sentinels)}
        return self.readdressed(text, {**addresses, **self.node_edits(), f"{HOST}:9012": f"{HOST}:0",
                                       f"{HOST}:9013": f"{HOST}:0", f"{HOST}:9912": f"{HOST}:0", "/run/haproxy/admin.sock": self.api})

    def haproxy_config(self, edits=None):
        """The text of haproxy.cfg, as agent_config. Not root: HAProxy cannot change its user, so need not."""
        text = edited(self.shipped("haproxy.cfg"), edits or {}, "haproxy.cfg")
        if os.geteuid() != 0:
            text = edited(text, {"    user haproxy\n": "", "    group haproxy\n": ""}, "haproxy.cfg")
        return self.readdressed(text, {
            f"bind {HOST}:6379": f"bind {self.haproxy.where}", **self.node_edits(),
            f"{HOST}:9012": self.agent.address or f"{HOST}:9012",
            "agent-port 9013": f"agent-port {(self.agent.check_address or ':9013').rpartition(':')[2]}",
            "port 9912": f"port {(self.agent.http_address or ':9912').rpartition(':')[2]}",
            f"bind {HOST}:6380": f"bind {HOST}:{self.reads[1]}", "/run/haproxy/admin.sock": self.api,
            "/etc/haproxy/": f"{self.directory}/"})

    def spoe_config(self, edits=None):
        """The text of spoe.conf after the caller's edits."""
        return edited(self.shipped("spoe.conf"), edits or {}, "spoe.conf")

    @staticmethod
    def readdressed(text, addresses):
        """As edited(), for addresses that an edit of the caller may have taken away."""
        for old, new in addresses.items():
            text = text.replace(old, new)
        return text

    def call(self, *args, timeout=8.0):
        """One command through HAProxy on a connection of its own. RespError or OSError where it fails."""
        return self.haproxy.call(*args, timeout=timeout)

    def serves(self):
        """True when HAProxy gives a connection to a node that answers."""
        try:
            return self.call("PING") == "PONG"
        except RespError:
            return False

    def wait_served(self, timeout=15):
        wait_until(self.serves, timeout, "a PING through HAProxy is answered")

    def served_by(self):
        """The Redis that a connection through HAProxy reaches (by its port). OSError where refused."""
        port = int(self.call("CONFIG", "GET", "port")[1])
        return self.node(port)

    def node(self, port):
        """Our Redis on this port, None where there is none."""
        return next((node for node in self.redis if node.port == port), None)

    def named(self):
        """The Redis that a majority of all Sentinels names at this moment, None where there is no majority."""
        names = []
        for sentinel in self.sentinels:
            try:
                names.append(sentinel.named())
            except (OSError, RespError):
                continue
        for name in set(names):
            if name and 2 * names.count(name) > len(self.sentinels):
                return self.node(name[1])
        return None

    def wait_failover(self, old, timeout=30):
        """Wait until a majority names another node than old; returns that node."""
        def other():
            node = self.named()
            return node if node is not old else None
        return wait_until(other, timeout, f"a majority names another master than {old.name}")

    def processes(self):
        """All, in the order in which they are stopped."""
        return [self.haproxy, self.agent, *self.sentinels, *self.redis]

    def stop(self):
        """Stop all that runs; the nodes hold nothing worth a clean end. Remove the directory unless keep."""
        atexit.unregister(self.stop)
        for process in (self.haproxy, self.agent):
            process.stop()
        for process in (*self.sentinels, *self.redis):
            process.kill()
        if not self.keep:
            shutil.rmtree(self.directory, ignore_errors=True)
