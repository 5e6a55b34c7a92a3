"""What spoa/doc/troubleshooting.md quotes is what the programs print: each fault is made on purpose in a real cluster."""

import contextlib
import json
import re

import pytest
from cluster import ROOT, SERVICE, Cluster
from masked import masked
from process import wait_until
from resp import Resp, RespError
from rig import check_findings, run_agent
from test_mistakes import protected

GUIDE = (ROOT / "spoa/doc/troubleshooting.md").read_text()
SECURITY = (ROOT / "spoa/doc/security.md").read_text()
PARK = 3
R1 = "    server R1 10.0.0.11:6379 tcp-ut 3s\n"


def quoted(text):
    """The lines of output in a document. What is typed and what is written into a file begins otherwise."""
    blocks = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return {masked(line) for language, block in blocks if not language and not re.match("sentinel-spoa |ACL |install ", block)
            for line in block.splitlines() if line}


class Printed:
    """All that was printed in one cluster, line by line."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.lines = set()
        self.refusals = set()  # (headline, reason) of each status without a majority

    def add(self, text):
        for path, name in ((self.cluster.agent.config_path, "/etc/sentinel-spoa.conf"), (self.cluster.api, "/run/haproxy/admin.sock")):
            text = text.replace(str(path), name)
        self.lines |= {masked(line) for line in text.splitlines()}

    def say(self, *words):
        said = run_agent("-f", self.cluster.agent.config_path, *words)
        self.add(said.stdout + said.stderr)
        return said.stdout

    def add_logs(self):
        self.add(self.cluster.agent.log_text() + self.cluster.haproxy.log_text())

    def wait_status(self, pattern):
        """Until `status` has this; a client that is refused meanwhile is part of it."""
        return wait_until(lambda: re.search(pattern, self.say("status"), re.MULTILINE), 15, f"status has {pattern}")

    def wait_reason(self, reason):
        """Until nobody is named for this reason."""
        def found():
            one, = json.loads(run_agent("-f", self.cluster.agent.config_path, "status", "--json").stdout)["services"]
            return one["state"] in ("no-quorum", "not-master") and one["reason"] == reason

        wait_until(found, 15, f"the reason is {reason}")

    def refuse(self):
        """A client that is refused; HAProxy has logged it."""
        mark = self.cluster.haproxy.mark()
        with pytest.raises((OSError, RespError)), Resp(self.cluster.haproxy.address, 20) as client:
            client.call("PING")
        self.cluster.haproxy.wait_log(r" fe_redis .* (PR|SC) .* error=", since=mark)

    def no_majority(self, reason):
        """The status while nobody is named for this reason, once clients are refused."""
        self.wait_reason(reason)
        self.refuse()
        said, = re.findall(rf"^✖ {SERVICE}: (.*?): ", self.say("status"), re.MULTILINE)
        self.wait_reason(reason)
        self.refusals.add((said, reason))


@contextlib.contextmanager
def restarted(printed, agent=None, haproxy=None, spoe=None):
    """Agent and HAProxy with edited files; what they said is kept."""
    cluster = printed.cluster
    cluster.haproxy.stop()
    cluster.agent.stop()
    cluster.agent.address = None
    cluster.start_agent(agent)
    cluster.start_haproxy(haproxy, spoe)
    wait_until(lambda: "level=info event=sentinel-up" in cluster.agent.log_text(cluster.agent.started_at), 15, "it has heard a Sentinel")
    yield
    printed.add_logs()


def break_haproxy(printed):
    """Its files, and the way to the agent."""
    cluster = printed.cluster
    with restarted(printed, spoe={"str(mymaster)": "str(mymastre)"}):
        printed.refuse()
        printed.wait_status("unknown-service")
    with restarted(printed, haproxy={R1: ""}):
        printed.refuse()
    with restarted(printed, haproxy={"server agent1 127.0.0.1:9012": "server agent1 127.0.0.1:1"}):
        cluster.haproxy.wait_log("agent1 is DOWN")
        printed.refuse()
    with restarted(printed, spoe={"timeout processing 10s": "timeout processing 1s"}):
        cluster.wait_served()
        cluster.agent.pause()
        printed.refuse()
        cluster.agent.resume()


def break_sentinels(printed):
    """Too few, without rights, of different opinions."""
    cluster = printed.cluster
    for sentinel in cluster.sentinels[1:]:
        sentinel.pause()
    printed.no_majority("unreachable")
    for sentinel in cluster.sentinels[1:]:
        sentinel.resume()
    cluster.wait_served(60)
    right = "sentinel|get-master-addr-by-name"
    with protected(cluster.sentinels, "ACL", "SETUSER", "default", f"-{right}", undo=("ACL", "SETUSER", "default", "+@all")):
        printed.no_majority("refused-us")
        printed.say("check")
    cluster.wait_served(60)
    monitor(cluster, [cluster.redis[1]] * 3)
    printed.wait_reason("replica")
    printed.refuse()
    printed.say("status")
    monitor(cluster, [])
    printed.no_majority("unknown-name")
    monitor(cluster, cluster.redis)
    printed.no_majority("disagree")
    for sentinel in cluster.sentinels[1:]:
        sentinel.kill()
    printed.no_majority("refused")


def monitor(cluster, nodes):
    """Each Sentinel is told to monitor its node in this list, or nothing."""
    for i, sentinel in enumerate(cluster.sentinels):
        with contextlib.suppress(RespError):
            sentinel.call("SENTINEL", "REMOVE", SERVICE)
        if nodes:
            sentinel.call("SENTINEL", "MONITOR", SERVICE, nodes[i].host, nodes[i].port, 2)


def forget_a_node(printed):
    """The master is not in the file."""
    with restarted(printed, agent={"server = R1 10.0.0.11:6379\n": ""}):
        printed.wait_status("unknown-address")


def section(heading):
    return GUIDE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def test_quotes():
    """Each line that the guide quotes was printed. So was each cause of `no-quorum`, with its headline."""
    with Cluster(recipe="runtime-api") as cluster:
        cluster.park = f"{PARK}s"
        cluster.start()
        printed = Printed(cluster)
        cluster.agent.config_path.chmod(0o644)
        break_haproxy(printed)
        forget_a_node(printed)
        with restarted(printed, agent={"[sentinels]\n": "[sentinels]\npassword = x\n"}):
            cluster.agent.config_path.chmod(0o644)
            printed.say("-t")
        with restarted(printed):
            cluster.wait_served()
            printed.wait_status("sessions can be cut")
            break_sentinels(printed)
    lacking = quoted(GUIDE) | quoted(SECURITY)
    assert lacking - printed.lines == set()
    rows = re.findall(r"^\| `([^`]*)` \| `([^`]*)` \|", section("no-quorum"), re.MULTILINE)
    assert set(rows) == printed.refusals


# ---- sessions that are not cut ----

UNCUT = [
    ("No such file or directory", {"agent": {"runtime-api = /run/haproxy/admin.sock": "runtime-api = /run/haproxy/none.sock"}}),
    ("Permission denied", {"haproxy": {" level admin": ""}}),
    ("be_rediss/R2: No such backend.", {"agent": {"backend = be_redis": "backend = be_rediss"}}),
    ("be_redis/R1: No such server.", {"haproxy": {R1: ""}}),
    ("be_redis/R1 has weight 1: it must be 0", {"haproxy": {"default-server weight 0": "default-server"}}),
]


def test_sessions_that_are_not_cut():
    """The words of `status` and the codes of `check` for each cause stand in one row."""
    rows = re.findall(r"^\| `([^`]*)` \| (`\[.*?\]`) \|", section("Sessions are not cut"), re.MULTILINE)
    assert rows
    seen = set()
    with Cluster(recipe="runtime-api") as cluster:
        cluster.start()
        printed = Printed(cluster)

        def find(words):
            printed.wait_status(f"cannot cut sessions: {re.escape(words)}( |$)")
            return {finding["code"] for finding in check_findings(cluster.agent.config_path, "--haproxy", cluster.haproxy.config_path)}

        for words, edits in UNCUT:
            with restarted(printed, **edits):
                codes = find(words) - {"short-park"}
            seen |= {row for row in rows if row[0] == words and set(re.findall(r"\[(.*?)\]", row[1])) == codes}
        with restarted(printed):
            cluster.haproxy.kill()
            cluster.agent.stop()
            cluster.agent.start()  # it looks at its start, and once a minute
            assert find("Connection refused") >= {"api-unreachable"}
            seen.add(("Connection refused", "`[api-unreachable]`"))
    # The rights of another user: test_mistakes.py.
    assert set(rows) - seen == {("Permission denied", "`[api-rights]`")}


# ---- names ----

SOURCES = "".join(path.read_text() for folder in ("spoa", "proto") for path in sorted((ROOT / folder).rglob("*.[ch]")))


def names(table):
    """The names in an X-macro."""
    rows = re.search(rf"#define {table}\(X\)(.*?)[^\\]\n", SOURCES, re.DOTALL)[1]
    return set(re.findall(r'X\(\w+,\s*"([^"]+)"', rows))


def test_names():
    """Findings, alarms, events and states are called so by the programs."""
    findings = set(re.findall(r"`\[([a-z]+(?:-[a-z]+)*)\]`", GUIDE))
    assert findings and findings - names("FINDING_CODES") == {"agent", "sentinels"}
    alarms = set(re.findall(r"alarm `([a-z-]+)`", GUIDE, re.IGNORECASE))
    assert alarms and alarms <= names("ALARMS")
    events = set(re.findall(r"event=([a-z-]+)", GUIDE + SECURITY))
    assert events and [event for event in sorted(events) if f'"{event}"' not in SOURCES] == []
    sentences = re.findall(r"^\|.*?\| `(.*?)`", section("pending and other states that pass"), re.MULTILINE)
    assert sentences and [one for one in sentences if re.sub(r"\bR\d", "%", one.replace("Sentinels", "#")) not in SOURCES] == []
    states = set(re.findall(r"`(?:state=)?([a-z-]+)`", section("Find your symptom")))
    told = names("SERVICE_STATES") | {"unknown-service", "client-gone", "no-replica"}
    assert told - states == {"witnessed", "kept"}  # as good as "ok"
