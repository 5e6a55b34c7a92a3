"""docker/compose.yaml: valid by Compose's own schema, true to the tree, and what it describes works (tests/lib/compose.py)."""

import json
import re
import subprocess

import pytest
import yaml
from cluster import ROOT
from compose import Compose, Programs, expand
from container import read_config
from netns import why_not
from process import wait_until

DOCKER = ROOT / "docker"
FILE = DOCKER / "compose.yaml"
# As the real images have it: Redis gives up root for this user in its entry point, HAProxy's begins as this one.
IMAGES = {"redis:7": Programs("999:999", ["/data"]), "haproxy:3.0-alpine": Programs("99:99")}
WITHOUT = ["prometheus", "grafana"]


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load(expand(FILE.read_text()))["services"]


@pytest.fixture(scope="module")
def world():
    assert why_not() is None, why_not()
    with Compose(FILE, IMAGES, leave_out=WITHOUT) as compose:
        # HAProxy is there before its agent, and asks every 200 ms whether that has come.
        wait_until(lambda: (write(compose, "haproxy-1"), write(compose, "haproxy-2")) == ("OK", "OK"), 30, "both serve")
        yield compose


def write(world, haproxy="haproxy-1"):
    """A write through this HAProxy; what it says."""
    return world.services[haproxy].call("SET", "test", "x")


def role(world, name):
    lines = world.services[name].call("ROLE").splitlines()
    return lines[0] if lines else ""


def test_schema():
    done = subprocess.run(["docker-compose", "-f", FILE, "config", "-q"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_files_are_there(services):
    """What is mounted from the tree; nothing of the tree that a service could write to."""
    for name, service in services.items():
        for volume in service.get("volumes", []):
            if volume.startswith("."):
                source, _, mode = volume.split(":")
                assert (DOCKER / source).exists() and mode == "ro", f"{name}: {volume}"


def test_no_more_rights_than_needed(services):
    for name, service in services.items():
        if name.startswith(("agent", "haproxy")):
            assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
            assert service["security_opt"] == ["no-new-privileges:true"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_start_order(services):
    """Whoever needs another waits until it is healthy; whoever is waited for, and stays, says whether it is."""
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}, name
            assert "healthcheck" in services[other] or services[other]["image"] == "sentinel-spoa"
        assert "healthcheck" in service or service["image"] == "sentinel-spoa" or "profiles" in service, name


def test_ports_are_those_of_the_programs(services):
    """Inside: what the agent and HAProxy listen on, what Prometheus scrapes."""
    agent = (DOCKER / "compose/agent/sentinel-spoa.conf").read_text()
    haproxy = (DOCKER / "compose/haproxy/haproxy.cfg").read_text()
    listens = {"agent": set(re.findall(r"^http = \S+:(\d+)$", agent, re.MULTILINE)),
               "haproxy": set(re.findall(r"^ +bind :::(\d+) v4v6$", haproxy, re.MULTILINE))}
    reachable = listens["agent"] | listens["haproxy"]  # the agent is in HAProxy's network
    for name, service in services.items():
        if name.startswith("haproxy"):
            assert {port.rsplit(":", 1)[1] for port in service["ports"]} == reachable, name
            assert services[name.replace("haproxy", "agent")]["network_mode"] == f"service:{name}"
    scraped = yaml.safe_load((DOCKER / "compose/prometheus.yml").read_text())["scrape_configs"]
    for target in (target for job in scraped for one in job["static_configs"] for target in one["targets"]):
        name, port = target.split(":")
        assert name.startswith("haproxy") and name in services and port in reachable, target
    exposed = read_config()["ExposedPorts"]
    assert all(f"{port}/tcp" in exposed for port in listens["agent"])


def test_prometheus_and_grafana(services, tmp_path):
    """Prometheus accepts its file and finds the rules; Grafana's files lead to the dashboard and to Prometheus."""
    promtool = subprocess.run([ROOT / "tests/tools/promtool.sh"], capture_output=True, text=True, check=True).stdout.strip()
    mounted = {volume.split(":")[1]: DOCKER / volume.split(":")[0] for volume in services["prometheus"]["volumes"]}
    text = mounted["/etc/prometheus/prometheus.yml"].read_text()
    (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus/rules", str(mounted["/etc/prometheus/rules"])))
    done = subprocess.run([promtool, "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "1 rule files found" in done.stdout, done.stdout + done.stderr
    mounted = {volume.split(":")[1]: DOCKER / volume.split(":")[0] for volume in services["grafana"]["volumes"]}
    provider = yaml.safe_load(mounted["/etc/grafana/provisioning/dashboards/sentinel-spoa.yml"].read_text())["providers"][0]
    dashboards = list(mounted[provider["options"]["path"]].glob("*.json"))
    assert dashboards and all(json.loads(path.read_text())["title"] for path in dashboards)
    source = yaml.safe_load(mounted["/etc/grafana/provisioning/datasources/prometheus.yml"].read_text())["datasources"][0]
    name, port = source["url"].removeprefix("http://").split(":")
    assert f"127.0.0.1:{port}:{port}" in services[name]["ports"]


def test_failover(world):
    """The profile: the master is ended, its name with it, and clients go on with the new one; the old one comes back as a replica."""
    assert (write(world, "haproxy-1"), write(world, "haproxy-2")) == ("OK", "OK")
    done = world.run("failover")
    assert done.returncode == 0, done.stdout
    print(done.stdout)
    assert re.search(r"^ended +redis-1$", done.stdout, re.MULTILINE)
    new = re.findall(r"^master +(\S+)$", done.stdout, re.MULTILINE)[-1]
    assert new in ("redis-2", "redis-3")
    assert 0 < int(re.search(r"^gap +(\d+) ms", done.stdout, re.MULTILINE)[1]) < 60000
    assert (write(world, "haproxy-1"), write(world, "haproxy-2")) == ("OK", "OK")
    for agent in ("agent-1", "agent-2"):
        assert world.services[agent].wait_log(event="master-switch", old="redis-1:6379", new=f"{new}:6379")
        assert world.services[agent].wait_log(event="sessions-cut", server="R1")
    mark = world.services["redis-1"].mark()
    world.start("redis-1")
    assert role(world, "redis-1") == "slave"
    log = world.services["redis-1"].log_text(mark)
    assert f"Connecting to MASTER {new}:6379" in log


def test_agents_see_clients(world):
    """Of the very HAProxy that asks: a client that gives up is not served later."""
    for agent, haproxy in (("agent-1", "haproxy-1"), ("agent-2", "haproxy-2")):
        assert write(world, haproxy) == "OK"
        assert world.services[agent].wait_log(event="clients-seen", service="mymaster")


def test_metrics_are_where_they_are_scraped(world):
    for job in yaml.safe_load((DOCKER / "compose/prometheus.yml").read_text())["scrape_configs"]:
        for target in job["static_configs"][0]["targets"]:
            name, port = target.split(":")
            host = world.services[name].network_host
            done = subprocess.run([*host.words(), "curl", "-sf", f"http://{host.address}:{port}/metrics"], capture_output=True,
                                  text=True, timeout=30, check=True)
            assert ("redis_spoa_ready 1" if port == "9912" else "haproxy_process_uptime_seconds") in done.stdout


def test_an_agent_that_is_started_again(world):
    """While it is away its HAProxy refuses; afterwards it finds the new socket in the old volume."""
    world.kill("agent-1")
    wait_until(lambda: write(world) != "OK", 30, "refused without an agent")
    assert write(world, "haproxy-2") == "OK"
    world.start("agent-1")
    wait_until(lambda: write(world) == "OK", 30, "served again")


def test_a_sentinel_that_is_made_anew(world):
    """A name with another Sentinel behind it, which knows the first master only: the majority does not change its mind."""
    master = world.services["sentinel-1"].call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster", port=26379).splitlines()[0]
    assert master != "redis-1"
    world.kill("sentinel-3")
    (world.services["sentinel-3"].root / "data/sentinel.conf").unlink()
    mark = world.services["agent-1"].mark()
    world.start("sentinel-3")
    world.services["agent-1"].wait_log(event="sentinel-up", sentinel="sentinel-3:26379", since=mark)
    wait_until(lambda: write(world) == "OK", 30, "served")
    assert not world.services["agent-1"].find_log(event="master-switch", since=mark)
