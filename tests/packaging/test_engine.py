"""The chart, as `helm template` prints it, and docker/k8s/redis, as containers: by podman with runc (tests/lib/engine.py,
tests/lib/kube_play.py). What such pods go through: a failover, other nodes, another password, an end."""

import csv
import sys

import chart
import pods
import pytest
import yaml
from cluster import ROOT
from engine import BUILT, Engine, why_not
from kube_play import Played
from process import wait_until

RELEASE = "haproxy-redis"
SENTINELS = ("sentinel-0", "sentinel-1", "sentinel-2")


def read_values():
    return yaml.safe_load((ROOT / "docker/helm/values/sidecar.yaml").read_text())


@pytest.fixture(scope="module")
def cluster(request):
    """Where a test fails, what all containers said is in build/engine/failed.log."""
    assert why_not() is None, why_not()
    with Engine() as engine:
        played = Played(engine, [*pods.load("docker/k8s/redis"), *chart.render(read_values(), RELEASE)])
        try:
            played.start("redis", "sentinel")
            played.start(RELEASE)
            wait_until(lambda: sentinel(played, "SENTINEL", "CKQUORUM", "mymaster").startswith("OK 3"), 60, "the Sentinels know each other")
            yield played
        finally:
            if request.session.testsfailed or sys.exc_info()[0]:
                (BUILT / "failed.log").write_text(played.logs())


def client(cluster, address, *words, password=None, port=6379):
    """The command line of redis-cli in a pod of the cluster."""
    password = password or cluster.data("Secret", "redis")["password"]
    return ["podman", "exec", "--env", f"REDISCLI_AUTH={password}", "sentinel-0-sentinel", "redis-cli", "-h", address, "-p", str(port), *words]


def call(cluster, address, *words, **how):
    return cluster.engine.run(*client(cluster, address, *words, **how)).stdout.strip()


def sentinel(cluster, *words, pod="sentinel-0", password=None):
    return call(cluster, f"{pod}.sentinel", *words, port=26379, password=password)


def write(cluster, pod="haproxy-redis-0"):
    """Through the HAProxy of this pod; what the client is told."""
    return call(cluster, cluster.pods[pod].address, "SET", "test", "x")


def stay(cluster, pod, seconds):
    """A client that stays connected and asks for the number of its connection ten times a second; subprocess.Popen."""
    return cluster.engine.spawn(*client(cluster, cluster.pods[pod].address, "-r", str(seconds * 10), "-i", "0.1", "CLIENT", "ID"))


def servers(cluster, pod):
    """HAProxy's counters: {server: {field: text}}, of be_redis."""
    text = cluster.engine.run("curl", "-s", f"http://{cluster.pods[pod].address}:8404/;csv").stdout
    return {row["svname"]: row for row in csv.DictReader(text.removeprefix("# ").splitlines()) if row["pxname"] == "be_redis"}


def sessions(cluster, pod):
    """How many clients are connected to a server by this pod."""
    return int(servers(cluster, pod).get("BACKEND", {}).get("scur", 0))


def agent_of(cluster, pod="haproxy-redis-0"):
    return cluster.pods[pod].containers["sentinel-spoa"]


def haproxy_of(cluster, pod="haproxy-redis-0"):
    return cluster.pods[pod].containers["haproxy"]


def running(cluster):
    return [pod for pod in cluster.pods.values() if pod.address and pod.spec.get("restartPolicy") != "Never"]


def beginnings(cluster, pod="haproxy-redis-0"):
    """When its containers were started; another one where one was restarted."""
    return {name: container.inspect("State.StartedAt") for name, container in cluster.pods[pod].containers.items()}


def test_users_and_rights(cluster):
    """Those of the manifest, in the kernel's words."""
    for pod in running(cluster):
        for container in pod.containers.values():
            path = cluster.engine.path(f"/proc/{container.inspect('State.Pid')}/status")
            status = dict(line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line)
            user, group = ({**pod.spec["securityContext"], **container.spec["securityContext"]}[key] for key in ("runAsUser", "runAsGroup"))
            assert (status["Uid"].split(), status["Gid"].split()) == ([str(user)] * 4, [str(group)] * 4), container.name
            assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0" * 16}, container.name
            assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2"), container.name
            assert container.inspect("HostConfig.ReadonlyRootfs") == "true", container.name
    agent = agent_of(cluster)
    assert int(agent.inspect("HostConfig.Memory")) == 128 << 20


def test_probes(cluster):
    """All pass, also those by podman's own healthcheck; and they do not pass by themselves."""
    for pod in running(cluster):
        for container in pod.containers.values():
            assert all(container.passes(probe) for probe in ("startupProbe", "readinessProbe", "livenessProbe")), container.name
            if "exec" in container.spec["livenessProbe"]:
                cluster.engine.podman("healthcheck", "run", container.name)
    agent = agent_of(cluster, "haproxy-redis-1")
    cluster.engine.podman("pause", agent.name)
    try:
        assert not agent.passes("livenessProbe") and not agent.passes("readinessProbe")
    finally:
        cluster.engine.podman("unpause", agent.name)
    wait_until(lambda: agent.passes("readinessProbe"), 30, "ready again")


def test_helm_test(cluster):
    """What `helm test` runs ends well."""
    assert set(cluster.pods[f"{RELEASE}-test"].run_to_end().values()) == {0}


def test_a_failover(cluster):
    """The master's pod is gone, and its name. A client waits, then writes to the new master. The pod comes back as a replica."""
    assert [write(cluster, pod) for pod in ("haproxy-redis-0", "haproxy-redis-1")] == ["OK", "OK"]
    name = sentinel(cluster, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster").split(".")[0]
    marks = {pod: agent_of(cluster, pod).mark() for pod in ("haproxy-redis-0", "haproxy-redis-1")}
    begun = beginnings(cluster)
    cluster.pods[name].kill()
    assert write(cluster) == "OK"
    for pod, mark in marks.items():
        agent = agent_of(cluster, pod)
        assert agent.wait_log(event="master-switch", since=mark, timeout=30)["old"] == f"{name}.redis:6379"
        assert agent.wait_log(event="sessions-cut", since=mark)["server"] == f"R{name[-1]}"
        assert write(cluster, pod) == "OK"
        assert not agent.find_log(event="runtime-api-failed", since=mark)
    cluster.pods[name].play()
    wait_until(lambda: call(cluster, f"{name}.redis", "ROLE").startswith("slave"), 60, "back as a replica")
    assert beginnings(cluster) == begun


def test_one_more_node(cluster):
    """The values have a fourth node: `helm upgrade` changes two ConfigMaps. The agent takes its file over, HAProxy reloads, both by
    themselves; no container is started again, and a connected client stays."""
    begun, agent, haproxy = beginnings(cluster), agent_of(cluster), haproxy_of(cluster)
    cluster.scale("StatefulSet", "redis", 4)
    cluster.pods["redis-3"].play()
    values = read_values()
    values["services"][0]["servers"].append({"name": "R3", "address": "redis-3.redis:6379",
                                             "haproxyAddress": "redis-3.redis.${POD_NAMESPACE}.svc.cluster.local:6379"})
    marks = agent.mark(), haproxy.mark()
    child = stay(cluster, "haproxy-redis-0", 10)
    cluster.apply(chart.render(values, RELEASE))
    agent.wait_log(event="reloaded", since=marks[0], timeout=30)
    haproxy.wait_log("haproxy.sh: the files have changed, reload", since=marks[1], timeout=30)
    wait_until(lambda: servers(cluster, "haproxy-redis-0").get("R3", {}).get("status") == "UP", 30, "HAProxy has it")
    assert write(cluster) == "OK"
    said, _ = child.communicate(timeout=60)
    assert len(said.split()) == 100 and len(set(said.split())) == 1, said
    assert beginnings(cluster) == begun
    values["haproxy"] = {"extraGlobal": "no-such-keyword"}
    cluster.apply(chart.render(values, RELEASE))
    haproxy.wait_log("haproxy.sh: the changed files have an error", since=marks[1], timeout=30)
    assert write(cluster) == "OK"


def wait_sentinels(agent, mark):
    """All have let the agent in since then."""
    wait_until(lambda: len({line["sentinel"] for line in agent.log_lines(event="sentinel-up", since=mark)}) == 3, 30, "all Sentinels again")


def test_another_password(cluster):
    """Nodes and Sentinels take both passwords, the Secret is changed, the old password is taken away: the agent has the new one by
    then, by itself."""
    old, new = cluster.data("Secret", "redis")["password"], "another-word"
    nodes = [pod.name for pod in cluster.pods_of("redis")]
    agents = [agent_of(cluster, pod) for pod in ("haproxy-redis-0", "haproxy-redis-1")]
    begun, marks = beginnings(cluster), [agent.mark() for agent in agents]
    for pod in nodes:
        assert call(cluster, f"{pod}.redis", "ACL", "SETUSER", "default", f">{new}") == "OK"
        assert call(cluster, f"{pod}.redis", "CONFIG", "SET", "masterauth", new) == "OK"
    for pod in SENTINELS:
        assert sentinel(cluster, "ACL", "SETUSER", "default", f">{new}", pod=pod) == "OK"
        assert sentinel(cluster, "SENTINEL", "CONFIG", "SET", "sentinel-pass", new, pod=pod) == "OK"
        assert sentinel(cluster, "SENTINEL", "SET", "mymaster", "auth-pass", new, pod=pod) == "OK"
    cluster.apply([{**cluster.objects["Secret", "redis"], "stringData": {"password": new}}])
    for agent, mark in zip(agents, marks):
        agent.wait_log(event="reloaded", since=mark, timeout=30)
        wait_sentinels(agent, mark)
    marks = [agent.mark() for agent in agents]
    for pod in nodes:
        assert call(cluster, f"{pod}.redis", "ACL", "SETUSER", "default", f"<{old}") == "OK"
        call(cluster, f"{pod}.redis", "CLIENT", "KILL", "TYPE", "normal")
    for pod in SENTINELS:
        assert sentinel(cluster, "ACL", "SETUSER", "default", f"<{old}", pod=pod) == "OK"
        sentinel(cluster, "CLIENT", "KILL", "TYPE", "normal", pod=pod)
    assert sentinel(cluster, "PING", password=old).startswith("NOAUTH")
    for agent, mark in zip(agents, marks):
        wait_sentinels(agent, mark)
        assert agent.passes("readinessProbe")
        assert not agent.log_lines("WRONGPASS|NOAUTH", since=mark)
    assert write(cluster) == "OK"
    assert beginnings(cluster) == begun


def test_a_pod_ends(cluster):
    """HAProxy is told first, the agent after it. A client that is connected is served to its own end, and both end well."""
    child = stay(cluster, "haproxy-redis-1", 8)
    wait_until(lambda: sessions(cluster, "haproxy-redis-1") == 1, 10, "the client is there")
    assert cluster.pods["haproxy-redis-1"].end() == {"haproxy": 0, "sentinel-spoa": 0}
    said, _ = child.communicate(timeout=60)
    assert len(said.split()) == 80 and len(set(said.split())) == 1, said
    assert write(cluster) == "OK"
