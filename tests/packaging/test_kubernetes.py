"""docker/k8s: valid by the API's own description, true to each other and to the program, and what they describe works
(tests/lib/pods.py)."""

import re
import signal
import subprocess

import chart
import kube_fit
import kube_schema
import pods
import pytest
import yaml
from cluster import ROOT
from compose import Programs
from container import read_config
from kube_fit import containers_of
from netns import why_not
from process import wait_until
from rig import run_agent

K8S = ROOT / "docker/k8s"
FOLDERS = ("redis", "sidecar", "deployment", "monitoring")
# As the real images have it.
IMAGES = {"redis:7": Programs("999:999", ["/data"]), "haproxy:3.0-alpine": Programs("99:99")}


def objects(*folders):
    return [one for folder in folders for one in pods.load(f"docker/k8s/{folder}")]


@pytest.fixture(scope="module")
def world():
    assert why_not() is None, why_not()
    with pods.Pods(objects("redis", "sidecar", "deployment"), IMAGES) as running:
        running.start("redis", "sentinel", "haproxy-redis", "sentinel-spoa")
        yield running


def write(world, pod="haproxy-redis-0"):
    """By a client in the cluster, through the HAProxy of this pod; what it says."""
    address = world.pods[pod].host.address
    done = world.pods["sentinel-0"].containers["sentinel"].execute(["redis-cli", "-h", address, "SET", "test", "x"])
    return done.stdout.strip()


def agent_of(world, pod="haproxy-redis-0"):
    return world.pods[pod].containers["sentinel-spoa"]


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if folder != "monitoring"])
def test_schema(folder):
    assert [problem for one in objects(folder) for problem in kube_schema.check(one)] == []


def test_the_schema_check_can_fail():
    one = next(one for one in objects("sidecar") if one["kind"] == "Deployment")
    one["spec"]["replicas"] = "two"
    one["spec"]["template"]["spec"]["container"] = []
    del one["spec"]["selector"]
    problems = "\n".join(kube_schema.check(one))
    assert "'two' is no int" in problems and "unknown field container" in problems and "`selector`" in problems


def test_labels_ports_and_volumes_fit():
    kube_fit.check(objects(*FOLDERS))


def test_paths_and_ports_are_those_of_the_program():
    """What the manifests say of the agent is what its configuration and the image say."""
    image = read_config()
    for folder in ("sidecar", "deployment"):
        text = (K8S / folder / "sentinel-spoa.conf").read_text()
        listens = {int(port) for port in re.findall(r"^(?:listen|check|http) = \S+:(\d+)$", text, re.MULTILINE)}
        workload = next(one for one in objects(folder) if one["kind"] == "Deployment")
        agent = next(one for one in containers_of(workload) if one["name"] == "sentinel-spoa")
        assert {port["containerPort"] for port in agent["ports"]} == listens
        assert {f"{port}/tcp" for port in listens} <= set(image["ExposedPorts"])
        assert agent["args"] == image["Cmd"]
        mounts = [mount["mountPath"] for mount in agent["volumeMounts"]]
        paths = [agent["args"][1], *re.findall(r"^password-file = (\S+)$", text, re.MULTILINE),
                 *re.findall(r"(?:unix:|runtime-api = )(/\S+)", text)]
        assert all(any(path.startswith(f"{mount}/") for mount in mounts) for path in paths), paths
        version = image["Labels"]["org.opencontainers.image.version"]
        assert agent["image"] == f"sentinel-spoa:{version}"


def test_park_fits_haproxy_and_probes():
    """Clients wait for less than HAProxy gives the agent, and no pod is taken out of its Service meanwhile."""
    park = int(re.search(r"^park = (\d+)s$", (K8S / "sidecar/sentinel-spoa.conf").read_text(), re.MULTILINE)[1])
    processing = int(re.search(r"timeout processing (\d+)s", (K8S / "sidecar/spoe.conf").read_text())[1])
    workload = next(one for one in objects("sidecar") if one["kind"] == "Deployment")
    probe = next(one for one in containers_of(workload) if one["name"] == "sentinel-spoa")["readinessProbe"]
    assert park < processing < probe["periodSeconds"] * probe["failureThreshold"]


@pytest.mark.parametrize("path", ["docker/k8s/sidecar/haproxy.cfg", "docker/compose/haproxy/haproxy.cfg",
                                  "haproxy-conf/keepalived/haproxy.cfg"])
def test_clients_leave_room_for_probes(path):
    """HAProxy accepts `maxconn` of global in all. Clients that wait must not take them all, for the probes come by HAProxy, too."""
    in_all, of_clients = map(int, re.findall(r"^    maxconn (\d+)$", (ROOT / path).read_text(), re.MULTILINE))
    assert of_clients <= in_all - 50


@pytest.mark.parametrize("folder", ["sidecar", "deployment"])
def test_the_agent_accepts_its_file(folder, tmp_path):
    """But for the secret, which is not there."""
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "password").chmod(0o440)
    text = (K8S / folder / "sentinel-spoa.conf").read_text()
    (tmp_path / "agent.conf").write_text(text.replace("/run/secrets/redis/password", str(tmp_path / "password")))
    done = run_agent("-t", "-f", tmp_path / "agent.conf")
    assert (done.returncode, done.stderr) == (0, "")


def test_monitoring(tmp_path):
    """The rules are those that are tested; the monitor finds the Services' ports, and gives the job the name the rules have."""
    rule, monitor = [next(one for one in objects("monitoring") if one["kind"] == kind) for kind in ("PrometheusRule", "ServiceMonitor")]
    rules = yaml.safe_load((ROOT / "docker/prometheus/sentinel-spoa.rules.yml").read_text())
    assert rule["spec"] == rules
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rule["spec"]))
    promtool = subprocess.run([ROOT / "tests/tools/promtool.sh"], capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run([promtool, "check", "rules", tmp_path / "rules.yml"], check=True, capture_output=True)
    assert set(monitor["spec"]) == {"selector", "endpoints"}
    (endpoint,) = monitor["spec"]["endpoints"]
    assert set(endpoint) == {"port", "interval", "relabelings"}
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    for folder in ("sidecar", "deployment"):
        services = [one for one in objects(folder) if one["kind"] == "Service" and wanted <= one["metadata"]["labels"].items()]
        assert [port["port"] for one in services for port in one["spec"]["ports"] if port["name"] == endpoint["port"]] == [9912], folder
    (label,) = endpoint["relabelings"]
    assert f'job="{label["replacement"]}"' in str(rules)


def test_a_failover_by_names(world):
    """A pod is gone, and its name; clients go on with the new master; it comes back with its name, as a replica."""
    wait_until(lambda: write(world) == "OK" and write(world, "haproxy-redis-1") == "OK", 30, "writes before")
    agent = agent_of(world)
    sentinels = {f"sentinel-{i}.sentinel:26379" for i in range(3)}
    wait_until(lambda: {line["sentinel"] for line in agent.log_lines(event="sentinel-up")} == sentinels, 30, "Sentinels by name")
    wait_until(lambda: world.pods["sentinel-0"].containers["sentinel"].call("SENTINEL", "CKQUORUM", "mymaster", port=26379)[:2] == "OK",
               60, "the Sentinels know each other")
    mark = agent.mark()
    world.kill("redis-0")
    assert write(world) == "OK"  # it waits for as long as it takes
    switched = agent.wait_log(event="master-switch", old="redis-0.redis:6379")
    assert switched["new-server"] in ("R1", "R2")
    assert agent.wait_log(event="sessions-cut", server="R0", since=mark)
    assert not agent.find_log(event="runtime-api-failed", since=mark)
    for other in ("sentinel-spoa-0", "sentinel-spoa-1"):
        assert agent_of(world, other).wait_log(event="master-switch", new_server=switched["new-server"])
    world.start("redis")
    redis = world.pods["redis-0"].containers["redis"]
    wait_until(lambda: redis.call("ROLE").startswith("slave"), 30, "back as a replica")
    assert agent.passes("readinessProbe") and agent.passes("livenessProbe")


def test_what_the_chart_says_to_run(world):
    """`helm test`, and the commands of NOTES.txt: the check finds nothing, and the rehearsal says what it would do."""
    values = ROOT / "docker/helm/values/sidecar.yaml"
    client = world.pods["sentinel-0"].containers["sentinel"]
    haproxys = [world.pods[f"haproxy-redis-{i}"].host.address for i in range(2)]
    for name in ("redis-master", "haproxy-redis-metrics"):  # as the Services lead there
        world.dns.names[f"{name}.{pods.DOMAIN}"] = haproxys
    done = chart.call("template", "haproxy-redis", chart.CHART, "--values", values, "--show-only", "templates/tests/write.yaml")
    containers = yaml.safe_load(done.stdout)["spec"]["containers"]
    assert [one["name"] for one in containers] == ["ready", "write-0"]
    for one in containers:
        done = client.execute(["env", f"HOSTNAME={one['name']}", *one["command"], *one.get("args", [])])
        assert done.returncode == 0, done.stdout + done.stderr
    assert client.execute(["redis-cli", "-h", haproxys[0], "GET", "sentinel-spoa-test"]).stdout.strip() == "write-0"
    notes = chart.call("install", "haproxy-redis", chart.CHART, "--dry-run=client", "--values", values).stdout.split("NOTES:")[1]
    commands = re.findall(r"^ +(/usr/bin/sentinel-spoa .*)$", notes, re.MULTILINE)
    assert [command.split()[3] for command in commands] == ["check", "rehearse"]
    # The Sentinels may still be learning of each other.
    wait_until(lambda: agent_of(world).execute(commands[0].split()).returncode == 0, 30, "a check that finds nothing")
    plan = commands[1].removesuffix(" --yes").split()
    # After a failover Sentinel needs its time to see that the replicas are good.
    wait_until(lambda: "HAProxy at 127.0.0.1:6379 leads to R" in agent_of(world).execute(plan).stdout, 30, "a plan")


def test_a_config_map_changes(world):
    """All agents take it over by themselves, and HAProxy's connections to them stay."""
    text = (K8S / "sidecar/sentinel-spoa.conf").read_text().replace("[agent]", "[agent]\nlog-level = debug")
    for pod in ("haproxy-redis-0", "haproxy-redis-1"):
        agent = agent_of(world, pod)
        mark = agent.mark()
        pods.publish(world.pods[pod].directory / "agent", {"sentinel-spoa.conf": text})
        agent.wait_log(event="reloaded", since=mark, timeout=30)
    assert write(world) == "OK"


def test_haproxys_files_change(world):
    """HAProxy is reloaded, unless the new files have an error. Neither the agent nor a session notices."""
    pod = world.pods["haproxy-redis-0"]
    agent, haproxy = pod.containers["sentinel-spoa"], pod.containers["haproxy"]
    child, mark = agent.child.pid, agent.mark()
    files = {name: (K8S / "sidecar" / name).read_text() for name in ("haproxy.cfg", "haproxy.sh", "spoe.conf")}

    def change(old, new, until):
        assert old in files["haproxy.cfg"]
        begin = haproxy.log_text().count(until)
        pods.publish(pod.directory / "haproxy", {**files, "haproxy.cfg": files["haproxy.cfg"].replace(old, new)})
        wait_until(lambda: haproxy.log_text().count(until) > begin, 20, until)

    change("retries 0", "retires 0", "HAProxy goes on with the old ones")
    assert "unknown keyword 'retires'" in haproxy.log_text()
    assert write(world) == "OK"
    change("fe_redis\n", "fe_changed\n", "have changed, reload")
    wait_until(lambda: write(world) == "OK" and " fe_changed be_redis/" in haproxy.log_text(), 20, "the new process serves")
    assert haproxy.alive() and agent.child.pid == child
    assert not agent.find_log(event="runtime-api-failed", since=mark)


def test_a_pod_ends_in_order(world):
    """HAProxy first, the sidecar after it: it answers to the last."""
    pod = world.pods["haproxy-redis-1"]
    agent, haproxy = pod.containers["sentinel-spoa"], pod.containers["haproxy"]
    assert list(pod.containers) == ["sentinel-spoa", "haproxy"]
    assert write(world, "haproxy-redis-1") == "OK"
    haproxy.signal(signal.SIGUSR1)  # what the image's STOPSIGNAL is
    assert haproxy.child.wait(15) == 0
    assert agent.stop(30) == 0


def test_the_secret_is_needed_and_not_for_others(world):
    """Nodes and Sentinels ask for the password; it is the group's to read, and stands in no command line."""
    for pod, name, port in (("redis-1", "redis", 6379), ("sentinel-1", "sentinel", 26379)):
        said = world.pods[pod].containers[name].execute(["env", "-u", "REDISCLI_AUTH", "redis-cli", "-p", str(port), "PING"])
        assert said.stdout.startswith("NOAUTH")
    folder = world.pods["haproxy-redis-0"].directory / "secret-redis"
    assert (folder / "password").stat().st_mode & 0o777 == 0o440
    password = world.secret("redis")["password"]
    for container in world.all_services():
        if container.alive():
            words = open(f"/proc/{container.child.pid}/cmdline", "rb").read()
            assert password.encode() not in words, container.name
