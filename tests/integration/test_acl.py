"""Access lists: the documented rights suffice, passwords change under way, and secrets stay where they are."""

import re
import socket
from pathlib import Path

import pytest
from cluster import ROOT, Redis, Sentinel
from process import free_ports, wait_until
from rig import Rig, check_findings, run_agent

FAST = "poll = 100ms"
SENTINEL_SECRET, NODE_SECRET = "a-sentinels-secret", "a-nodes-secret"


def documented():
    """(rights at Sentinels, rights at nodes): all that security.md lists."""
    text = (ROOT / "spoa/doc/security.md").read_text()
    lists = re.search(r"^### At the Sentinels\n(.*)^### At the nodes\n(.*)^### For `check`", text, re.MULTILINE | re.DOTALL).groups()
    return tuple(" ".join(re.findall(r"^  `(.*)`$", one, re.MULTILINE)) for one in lists)


class Guarded:
    """An agent, a real Sentinel and the real Redis that it names, each with a user of its own for the agent."""

    def __init__(self, settings="", service=""):
        self.rig = Rig(fakes=0, agent="log-level = debug\nhttp = 127.0.0.1:0",
                       sentinels=f"{FAST}\nusername = agent\npassword-file = DIRECTORY/sentinel.secret\n{settings}",
                       service=f"role-check = require\nusername = probe\npassword-file = DIRECTORY/node.secret\n{service}")
        ports = free_ports(2)
        self.redis = Redis("R1", self.rig.directory, ports[0])
        self.sentinel = Sentinel("S1", self.rig.directory, ports[1])
        self.sentinel.credentials = ("the-tests-own-secret",)
        for name, secret in (("sentinel", SENTINEL_SECRET), ("node", NODE_SECRET)):
            self.keep_secret(name, secret)
        self.rig.config = (self.rig.config.replace(":7001", f":{self.redis.port}")
                           .replace("[sentinels]\n", f"[sentinels]\naddress = {self.sentinel.where}\n"))

    def keep_secret(self, name, secret):
        path = self.rig.directory / f"{name}.secret"
        path.write_text(f"{secret}\n")
        path.chmod(0o600)

    def __enter__(self):
        at_sentinels, at_nodes = documented()
        # The default user is ours; at the node the Sentinel is that one, too.
        self.redis.extra = f"user probe on >{NODE_SECRET} -@all {at_nodes}"
        self.redis.configure()
        self.redis.start()
        self.sentinel.configure(self.redis, 1, 60000, 10000,
                                f"user default reset on >{self.sentinel.credentials[0]} &* +@all\n"
                                f"user agent on >{SENTINEL_SECRET} resetchannels -@all {at_sentinels}")
        self.sentinel.start()
        self.rig.__enter__()
        return self

    def __exit__(self, *exc):
        self.rig.__exit__(*exc)
        self.sentinel.kill()
        self.redis.kill()

    def change_password(self, server, user, secret):
        """On the server, while it runs; who is connected has to say it again."""
        with server.connect() as connection:
            assert connection.call("ACL", "SETUSER", user, "resetpass", f">{secret}") == "OK"
            connection.call("CLIENT", "KILL", "USER", user)


def test_documented_rights_suffice():
    """With all that can ask for more: nothing is refused, neither says the agent nor do the servers."""
    with Guarded(service="replicas = yes\nwitness = yes\nmax-lag = 10s\nearly-fence = yes\npark = 3s") as all_of_it:
        rig = all_of_it.rig
        assert rig.wait_state("ok")["master"] == "R1"
        wait_until(lambda: "cmd=subscribe" in all_of_it.sentinel.call("CLIENT", "LIST"), 15, "a subscription")
        wait_until(lambda: "user=probe" in all_of_it.redis.call("CLIENT", "LIST"), 15, "a probe")
        for server in (all_of_it.sentinel, all_of_it.redis):
            assert server.call("ACL", "LOG") == []
        assert not re.search(r"event=\S*refused|NOPERM", rig.agent.log_text())


def test_no_right_is_idle():
    """What is documented for the nodes is made use of, by the server's own count."""
    with Guarded() as all_of_it:
        all_of_it.rig.wait_state("ok")
        for command in re.findall(r"\+([a-z|-]+)", documented()[1]):
            wait_until(lambda c=command: f"cmdstat_{c}:" in all_of_it.redis.call("INFO", "commandstats"), 15, command)


def test_check_needs_no_other_rights():
    with Guarded(service="replicas = yes\nwitness = yes\nmax-lag = 10s\nearly-fence = yes") as all_of_it:
        all_of_it.rig.wait_state("ok")
        findings = check_findings(all_of_it.rig.agent.config_path)
        assert {finding["code"] for finding in findings} == {"unbounded-loss", "node-unreachable"}  # R2 is not there
        for server in (all_of_it.sentinel, all_of_it.redis):
            assert server.call("ACL", "LOG") == []


@pytest.mark.parametrize("which", ["sentinel", "node"])
def test_password_changes_while_all_runs(which):
    """Changed on the server first: no name, and the log says why. Then in our file, and a reload: it goes on."""
    with Guarded() as all_of_it:
        rig = all_of_it.rig
        rig.wait_state("ok")
        server, user = (all_of_it.sentinel, "agent") if which == "sentinel" else (all_of_it.redis, "probe")
        all_of_it.change_password(server, user, "another-secret")
        if which == "sentinel":
            rig.agent.wait_log(event="sentinel-auth-failed", timeout=15)
            rig.wait_state("no-quorum")
        else:
            rig.agent.wait_log(event="role-probe-refused", timeout=15)
        all_of_it.keep_secret(which, "another-secret")
        mark = rig.agent.mark()
        rig.reload()
        assert rig.wait_state("ok")["master"] == "R1"
        wait_until(lambda: f"user={user}" in server.call("CLIENT", "LIST"), 15, "the agent is connected as its user")
        assert not rig.agent.find_log(event="sentinel-auth-failed", since=mark)


def test_secrets_are_shown_nowhere(tmp_path, monkeypatch):
    """Not in the log at its loudest, not in dump, status, metrics, command line; and memory and environment are closed."""
    with Guarded() as all_of_it:
        rig = all_of_it.rig
        rig.wait_state("ok")
        all_of_it.change_password(all_of_it.sentinel, "agent", "not-ours")
        rig.agent.wait_log(event="sentinel-auth-failed", timeout=15)
        shown = [rig.agent.log_text(), Path(f"/proc/{rig.agent.pid}/cmdline").read_text()]
        for path in ("/status", "/status.txt", "/explain.txt", "/metrics", "/"):
            shown.append(fetch(rig, path))
        shown.append(run_agent("-f", rig.agent.config_path, "--dump-config").stdout)
        shown.append(run_agent("-f", rig.agent.config_path, "check").stdout)
        for text in shown:
            assert text and SENTINEL_SECRET not in text and NODE_SECRET not in text
        assert re.search(r"^Max core file size +0 +0 ", Path(f"/proc/{rig.agent.pid}/limits").read_text(), re.MULTILINE)
        monkeypatch.setenv("TEST_PASSWORD", NODE_SECRET)
        bad = tmp_path / "bad.conf"
        bad.write_text("[sentinels]\naddress = s:1\npassword = ${TEST_PASSWORD}\npassword = ${TEST_PASSWORD}\npasswrd = x\n")
        said = run_agent("-f", bad, "-t")
        assert said.returncode == 2 and NODE_SECRET not in said.stderr + said.stdout


def fetch(rig, path):
    host, port = rig.agent.http_address.split(":")
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        return b"".join(iter(lambda: sock.recv(65536), b"")).decode()
