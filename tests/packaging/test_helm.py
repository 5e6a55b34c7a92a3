"""docker/helm/sentinel-spoa: what helm prints for many values is valid by the API's own description, fits together, and both
programs accept the files; presets, mistakes, and the folders of docker/k8s that the chart prints."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import chart
import kube_fit
import kube_schema
import pods
import pytest
import yaml
from certificates import Authority
from cluster import ROOT
from process import PATH, Process, wait_until
from rig import run_agent

HELM = ROOT / "docker/helm"
K8S = ROOT / "docker/k8s"
# Of docker/k8s: the release's name, and which file has what.
FOLDERS = {
    "sidecar": ("haproxy-redis", {"haproxy.yaml": []}),
    "deployment": ("sentinel-spoa", {"sentinel-spoa.yaml": []}),
    "monitoring": ("sentinel-spoa", {f"{kind}.yaml": ["--show-only", f"templates/{kind}.yaml"] for kind in ("servicemonitor", "prometheusrule")}),
}
# What the chart has copies of, for it cannot read outside of its folder.
COPIES = {"sentinel-spoa.rules.yml": ROOT / "docker/prometheus", "sentinel-spoa.json": ROOT / "docker/grafana"}


def print_folder(folder):
    name, shown = FOLDERS[folder]
    return chart.print_folder(name, HELM / f"values/{folder}.yaml", shown)


@pytest.mark.parametrize("name", COPIES)
def test_copies(name):
    copy, original = chart.CHART / "files" / name, COPIES[name] / name
    if os.environ.get("UPDATE"):
        shutil.copyfile(original, copy)
    assert copy.read_bytes() == original.read_bytes(), f"{copy}: UPDATE=1 in the environment writes it"


@pytest.mark.parametrize("folder", FOLDERS)
def test_folders(folder):
    """The folders for `kubectl apply -k` are what the chart prints. With UPDATE=1 in the environment they are written first."""
    files = print_folder(folder)
    if os.environ.get("UPDATE"):
        for name, text in files.items():
            (K8S / folder / name).write_text(text)
    there = {path.name: path.read_text() for path in (K8S / folder).iterdir() if path.name != "kustomization.yaml"}
    assert there == files, "UPDATE=1 in the environment writes it"


@pytest.mark.parametrize("folder", [*FOLDERS, "redis"])
def test_kustomize(folder):
    """kubectl makes of a folder what tests/lib/pods.py makes of it: what the other tests run is what `kubectl apply -k` gets."""
    done = subprocess.run([chart.tool("kubectl"), "kustomize", K8S / folder], capture_output=True, text=True, check=True, timeout=60)
    by_name = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(done.stdout)}
    expected = {(one["kind"], one["metadata"]["name"]): one for one in pods.load(f"docker/k8s/{folder}")}
    assert {key: {**one, "apiVersion": "v1"} if one["kind"] == "ConfigMap" else one for key, one in by_name.items()} == expected


# ---- what the chart prints for many values ----

def by_hand(name, first, **more):
    """A service without a preset, whose nodes are host FIRST and the two behind it."""
    return {"name": name, "servers": [{"name": f"R{i}", "address": f"10.0.{first}.{i}:6379"} for i in range(3)],
            "sentinels": {"addresses": [f"10.0.{first}.{i}:26379" for i in range(3)]}, **more}


# preset: values of the service; the last Sentinel; the last node and its other addresses; the master's name; Secret and key.
IN_TEST = "test.svc.cluster.local"
PRESETS = {
    "bitnami": ({"release": "my-redis"}, f"my-redis-node-2.my-redis-headless.{IN_TEST}:26379",
                [f"my-redis-node-2.my-redis-headless.{IN_TEST}:6379"], "mymaster", ("my-redis", "redis-password")),
    "bitnami-valkey": ({"release": "cache"}, f"cache-valkey-node-2.cache-valkey-headless.{IN_TEST}:26379",
                       [f"cache-valkey-node-2.cache-valkey-headless.{IN_TEST}:6379"], "myprimary", ("cache-valkey", "valkey-password")),
    "cloudpirates": ({"release": "cache", "nodes": 5}, f"cache-redis-4.cache-redis-headless.{IN_TEST}:26379",
                     [f"cache-redis-4.cache-redis-headless.{IN_TEST}:6379"], "mymaster", ("cache-redis", "redis-password")),
    "cloudpirates-valkey": ({"release": "valkey"}, f"valkey-2.valkey-headless.{IN_TEST}:26379",
                            [f"valkey-2.valkey-headless.{IN_TEST}:6379", "valkey-2.valkey-headless:6379"], "mymaster", ("valkey", "password")),
    "valkey": ({"release": "db"}, f"db-valkey-2.db-valkey-headless.{IN_TEST}:26379",
               [f"db-valkey-2.db-valkey-headless.{IN_TEST}:6379"], "mymaster", None),
    "dandydeveloper": ({"release": "redis", "nodeAliases": [[], [], ["10.96.0.12:6379"]]}, f"redis-redis-ha-announce-2.{IN_TEST}:26379",
                       [f"redis-redis-ha-announce-2.{IN_TEST}:6379", "redis-redis-ha-announce-2.test.svc:6379", "10.96.0.12:6379"],
                       "mymaster", None),
    "ot": ({"release": "cache", "anyAddress": True, "sentinels": {"release": "watch"}},
           f"watch-sentinel-2.watch-sentinel-headless.{IN_TEST}:26379", None, "myMaster", None),
}
BITNAMI = {"preset": "bitnami", "release": "r"}
NODES = by_hand("mymaster", 1)
TLS = {"enabled": True, "secret": "certificates", "clientCertificate": True}
MATRIX = {
    **{preset: {"services": [{"preset": preset, **what[0]}]} for preset, what in PRESETS.items()},
    "ot, embedded": {"services": [{"preset": "ot", "release": "cache", "anyAddress": True, "sentinels": {"count": 5}}]},
    "another namespace": {"services": [{"preset": "bitnami", "release": "r", "namespace": "data", "auth": {"secret": "copied", "key": "p"}}]},
    "valkey, Sentinels of their own": {"services": [{"preset": "valkey", "release": "db", "sentinels": {"addresses": [f"s-{i}.s:26379" for i in range(3)]}}]},
    "no password of the Sentinels": {"services": [{"preset": "bitnami", "release": "r", "sentinels": {"auth": {"none": True}}}]},
    "another fullname": {"services": [{"preset": "bitnami", "release": "r", "fullname": "cache", "auth": {"none": True}}]},
    "passwords": {"services": [by_hand("mymaster", 1, auth={"secret": "nodes", "key": "word", "username": "haproxy"})],
                  "serviceDefaults": {"sentinels": {"auth": {"secret": "watchers"}}}},
    "TLS": {"services": [by_hand("mymaster", 1, tls={**TLS, "serverName": "redis"})], "haproxy": {"tls": {"secret": "own"}}},
    "TLS by preset": {"services": [{"preset": "bitnami", "release": "redis", "tls": TLS}]},
    "TLS, CloudPirates": {"services": [{"preset": "cloudpirates", "release": "redis", "tls": {**TLS, "cert": "c.crt", "key": "c.key"}}]},
    "TLS, the image's authorities": {"services": [by_hand("mymaster", 1, tls={"enabled": True})]},
    "TLS, any address": {"services": [{"preset": "ot", "release": "redis", "anyAddress": True, "tls": {**TLS, "serverName": "redis"}}]},
    "Secrets alike": {"services": [by_hand("mymaster", 1, auth={"secret": "a.b"}, tls={"enabled": True, "secret": "a-b"})],
                      "serviceDefaults": {"sentinels": {"auth": {"secret": f"{'n' * 60}-a"}, "tls": {"enabled": True, "secret": f"{'n' * 60}-b"}}}},
    "IPv4": {"services": [by_hand("mymaster", 1)], "bind": "ipv4"},
    "IPv6": {"services": [{"name": "mymaster", "servers": [{"name": "R0", "address": "[fd00::11]:6379", "aliases": ["redis-0:6379"]}],
                           "sentinels": {"addresses": ["[fd00::11]:26379"]}}],
             "bind": "ipv6", "ipFamilies": ["IPv6"], "ipFamilyPolicy": "SingleStack"},
    "dual stack": {"services": [by_hand("mymaster", 1, replicas={"enabled": True})], "ipFamilies": ["IPv6", "IPv4"],
                   "ipFamilyPolicy": "RequireDualStack"},
    "five masters": {"services": [by_hand("a.b:c_D", 1), by_hand("cache", 2, port=7001, replicas={"enabled": True, "port": 7101, "maxLag": "10s"}),
                                  {"name": "queue", "preset": "bitnami", "release": "q", "port": 7002, "park": "20s"},
                                  {"name": "search", "preset": "ot", "release": "s", "port": 7003, "anyAddress": True},
                                  by_hand("last", 5, port=7004, monitor="mymaster", settings={"early-fence": True, "keep": "5s"})]},
    "one group of Sentinels": {"services": [{**by_hand("cache", 1), "sentinels": {}}, {**by_hand("queue", 1), "sentinels": {}, "port": 6380}],
                               "sentinels": {"addresses": ["watch-0:26379", "watch-1:26379", "watch-2:26379"], "auth": {"secret": "watchers"},
                                             "tls": {"enabled": True, "secret": "certificates"}, "settings": {"poll": "500ms"}},
                               "serviceDefaults": {"sentinels": {"auth": {"secret": "not-used"}}}},
    "agents alone": {"services": [by_hand("mymaster", 1, settings={"gone-clients": "refuse"})], "haproxy": {"enabled": False},
                     "agent": {"allow": ["10.0.0.0/8"], "settings": {"log-format": "json", "max-connections": 3000000}}},
    "everything": {"services": [by_hand("mymaster", 1, clients={"type": "NodePort", "nodePort": 30001, "annotations": {"a": "b"}})],
                   "serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
                   "dashboard": {"enabled": True}, "labels": {"team": "data"}, "podLabels": {"r-client": "true"}, "podAnnotations": {"note": "ours"},
                   "imagePullSecrets": [{"name": "registry"}], "priorityClassName": "high", "nodeSelector": {"disk": "ssd"},
                   "tolerations": [{"operator": "Exists"}], "affinity": {"nodeAffinity": {}},
                   "agent": {"image": {"digest": f"sha256:{'0' * 64}", "pullPolicy": "Always"}},
                   "networkPolicy": {"clients": [{"podSelector": {"matchLabels": {"redis": "client"}}}], "monitoring": []},
                   "haproxy": {"extraGlobal": "nbthread 2", "extraSections": "frontend fe_more\n    bind :7000\n    mode tcp\n    timeout client 1h",
                               "timeouts": {"hardStop": "1m", "processing": "30s"}, "image": {"pullPolicy": "Never"}}},
}


@pytest.fixture(scope="module", params=MATRIX)
def release(request):
    """(values, the objects)"""
    values = MATRIX[request.param]
    return values, chart.render(values)


def secrets_of(objects):
    return {volume["secret"]["secretName"] for one in objects if one["kind"] == "Deployment"
            for volume in one["spec"]["template"]["spec"]["volumes"] if "secret" in volume}


def test_lint():
    for values in ({}, MATRIX["five masters"], MATRIX["everything"]):
        done = chart.call("lint", "--strict", chart.CHART, "--values", "-", values=values)
        assert done.returncode == 0, done.stdout + done.stderr


def test_valid_and_fitting(release):
    """By the API's description; monitoring's objects are of another API, and their content is tests' of its own."""
    _, objects = release
    own = [one for one in objects if not one["apiVersion"].startswith("monitoring.coreos.com/")]
    assert [problem for one in own for problem in kube_schema.check(one)] == []
    kube_fit.check([one for one in own if one["kind"] != "Pod"], secrets_of(objects))
    for one in own:
        if one["kind"] == "Pod":
            kube_fit.check_restricted(one["spec"])
    assert all(len(one["metadata"]["name"]) <= 63 for one in objects)


def test_a_master_that_is_gone_takes_no_other_one_with_it():
    """One service: a pod without its master is not ready. Several: it goes on serving the others."""
    paths = [find_agent(MATRIX[name])["readinessProbe"]["httpGet"]["path"] for name in ("bitnami", "five masters")]
    assert paths == ["/readyz", "/healthz"]


@pytest.mark.parametrize("change", [{"nodes": 5}, {"park": "5s"}, {"settings": {"early-fence": True}}], ids=str)
def test_pods_stay(change):
    """What the files alone have to say reaches the pods by reloads: the Deployment is the same, and the ConfigMaps are not."""
    before, after = (chart.render({"services": [{**BITNAMI, **more}]}) for more in ({}, change))
    assert chart.files_of(before) != chart.files_of(after)
    assert [one for one in before if one["kind"] != "ConfigMap"] == [one for one in after if one["kind"] != "ConfigMap"]


@pytest.mark.parametrize("name", ["bitnami", "TLS", "everything"])
def test_a_new_script_needs_new_pods(name):
    objects = chart.render(MATRIX[name])
    template = next(one for one in objects if one["kind"] == "Deployment")["spec"]["template"]
    script = chart.files_of(objects)["haproxy.sh"].encode()
    assert template["metadata"]["annotations"] == {"checksum/haproxy.sh": hashlib.sha256(script).hexdigest(), **MATRIX[name].get("podAnnotations", {})}


def test_the_policy_lets_the_test_pod_in(release):
    objects = release[1]
    labels = next(one for one in objects if one["kind"] == "Pod")["metadata"]["labels"]
    rules = next(one for one in objects if one["kind"] == "NetworkPolicy")["spec"]["ingress"]
    peers = [peer.get("podSelector", {}).get("matchLabels") for rule in rules if "ports" not in rule for peer in rule["from"]]
    assert any(peer and peer.items() <= labels.items() for peer in peers)


def test_the_agent_gets_no_key_of_the_clients_TLS():
    paths = [mount["mountPath"] for mount in find_agent(MATRIX["TLS"])["volumeMounts"]]
    assert "/run/secrets/certificates" in paths and "/run/secrets/own" not in paths


def test_the_agent_gets_the_secrets_that_its_file_names(release):
    objects = release[1]
    named = set(re.findall(r"^[a-z-]+ = /run/secrets/([^/]+)/", chart.files_of(objects)["sentinel-spoa.conf"], re.MULTILINE))
    deployment = next(one for one in objects if one["kind"] == "Deployment")
    agent = next(one for one in kube_fit.containers_of(deployment) if one["name"] == "sentinel-spoa")
    assert {mount["mountPath"].removeprefix("/run/secrets/") for mount in agent["volumeMounts"] if "secrets" in mount["mountPath"]} == named


def test_a_release_with_a_dot():
    """Services' names are DNS labels."""
    for values in ({}, {"nameOverride": "a.b"}):
        objects = chart.render({"services": [NODES], **values}, name="my.redis")
        assert all(re.fullmatch("[a-z][a-z0-9-]*", one["metadata"]["name"]) for one in objects)


def find_agent(values):
    deployment = next(one for one in chart.render(values) if one["kind"] == "Deployment")
    return next(one for one in kube_fit.containers_of(deployment) if one["name"] == "sentinel-spoa")


@pytest.mark.parametrize("preset", PRESETS)
def test_presets(preset):
    """The names that README.md says, by what the charts and operators print."""
    _, sentinel, node, monitor, secret = PRESETS[preset]
    files = chart.files_of(chart.render(MATRIX[preset]))
    lines = files["sentinel-spoa.conf"].splitlines()
    count = MATRIX[preset]["services"][0].get("nodes", 3)
    assert [line for line in lines if line.startswith("address = ")][-1] == f"address = {sentinel}"
    assert len([line for line in lines if line.startswith("address = ")]) == count
    servers = [line for line in lines if line.startswith("server = ")]
    if node is None:
        assert servers == [] and "allow-any-address = yes" in lines and "server any 0.0.0.0:0" in files["haproxy.cfg"]
    else:
        aliases = "".join(f" alias={alias}" for alias in node[1:])
        assert len(servers) == count and servers[-1] == f"server = R{count - 1} {node[0]}{aliases}"
        assert f"server R{count - 1} {node[0]} tcp-ut" in files["haproxy.cfg"]
    assert ("monitor = " + monitor in lines) == (monitor != "mymaster")
    paths = [line for line in lines if line.startswith("password-file = ")]
    assert paths == ([f"password-file = /run/secrets/{secret[0]}/{secret[1]}"] * 2 if secret else [])


def test_cloudpirates_with_TLS():
    """It has another port for TLS, and Sentinels that are fast."""
    text = chart.files_of(chart.render(MATRIX["TLS, CloudPirates"]))["sentinel-spoa.conf"]
    assert re.findall(r"^server = .*", text, re.MULTILINE) == [
        f"server = R{i} redis-{i}.redis-headless.{IN_TEST}:6380" for i in range(3)]
    assert re.findall(r"^address = .*", text, re.MULTILINE) == [f"address = redis-{i}.redis-headless.{IN_TEST}:26379" for i in range(3)]
    assert re.findall(r"^(poll|reply-timeout|vote-life) = (.*)", text, re.MULTILINE) == [
        ("poll", "500ms"), ("reply-timeout", "400ms"), ("vote-life", "1200ms")]


def test_sentinels_in_place_of_a_preset():
    text = chart.files_of(chart.render(MATRIX["valkey, Sentinels of their own"]))["sentinel-spoa.conf"]
    assert re.findall(r"^address = .*", text, re.MULTILINE) == [f"address = s-{i}.s:26379" for i in range(3)]
    assert len(re.findall(r"^server = R\d db-valkey-\d\.", text, re.MULTILINE)) == 3


def test_sentinels_without_a_password():
    text = chart.files_of(chart.render(MATRIX["no password of the Sentinels"]))["sentinel-spoa.conf"]
    sentinels, service = text.split("\n[service ")
    assert "password-file" not in sentinels and "password-file = /run/secrets/r-redis/redis-password\n" in service


def test_each_service_leads_to_its_frontend():
    objects = chart.render(MATRIX["five masters"])
    config = chart.files_of(objects)["haproxy.cfg"]
    ports = dict(re.findall(r"^frontend (\S+)\n(?:    .*\n)*?    bind \S+:(\d+)", config, re.MULTILINE))
    led = {one["metadata"]["name"].removeprefix("redis-ha-sentinel-spoa-"): one["spec"]["ports"] for one in objects if one["kind"] == "Service"}
    del led["metrics"]
    expected = {"a-b-c-d": "fe_a.b:c_D", "cache": "fe_cache", "cache-replicas": "fe_cache_read", "queue": "fe_queue", "search": "fe_search",
                "last": "fe_last"}
    assert led == {name: [{"name": "redis", "port": 6379, "targetPort": f"redis-{ports[frontend]}"}] for name, frontend in expected.items()}


def test_tls_goes_to_nodes_and_sentinels():
    """Of a preset's release both have it: the same authority, the same certificate of ours, and names are compared."""
    files = chart.files_of(chart.render(MATRIX["TLS by preset"]))
    sentinels, service = re.split(r"^\[service ", files["sentinel-spoa.conf"].split("\n[sentinels ")[1], flags=re.MULTILINE)
    for part in (sentinels, service):
        assert re.findall(r"^tls.*", part, re.MULTILINE) == [
            "tls = yes", *(f"tls-{key} = /run/secrets/certificates/{file}" for key, file in (("ca", "ca.crt"), ("cert", "tls.crt"), ("key", "tls.key")))]
    assert " ssl verify required ca-file /run/secrets/certificates/ca.crt crt /run/haproxy/nodes-mymaster.pem\n" in files["haproxy.cfg"]
    for i in range(3):
        name = f"redis-node-{i}.redis-headless.{IN_TEST}"
        assert f"    server R{i} {name}:6379 tcp-ut 3s verifyhost {name}\n" in files["haproxy.cfg"]


# ---- mistakes ----

REFUSED = {
    "services is empty": {},
    "no `release`": {"services": [{"preset": "bitnami"}]},
    "no `preset`": {"services": [{"release": "r"}]},
    "Remove `servers`": {"services": [{**NODES, **BITNAMI}]},
    "has no nodes: set `servers`": {"services": [{**NODES, "servers": []}]},
    "has no Sentinels: set sentinels.addresses": {"services": [{**NODES, "sentinels": {}}]},
    "only one of them": {"services": [{**NODES, "anyAddress": True}]},
    "the name 'mymaster' is there twice": {"services": [NODES, {**NODES, "port": 6380}]},
    "port 6379 has two users in the pod: 'cache' and 'queue'": {"services": [by_hand("cache", 1), by_hand("queue", 2)]},
    "port 6380 has two users in the pod": {"services": [{**NODES, "replicas": {"enabled": True}}, by_hand("queue", 2, port=6380)]},
    "port 8404 has two users in the pod: 'HAProxy's page'": {"services": [{**NODES, "port": 8404}]},
    "Secret r-redis cannot be mounted here": {"services": [{**BITNAMI, "namespace": "data"}]},
    "there is a Sentinel in each pod": {"services": [{**BITNAMI, "sentinels": {"count": 5}}]},
    "Set anyAddress: true": {"services": [{"preset": "ot", "release": "r"}]},
    "nothing stable to list. Use its Service rfrm-r": {"services": [{"preset": "spotahome", "release": "r", "anyAddress": True}]},
    "Sentinels speak without TLS": {"services": [{"preset": "cloudpirates-valkey", "release": "r", "tls": {"enabled": True}}]},
    "is not longer than the longest `park` (8000 ms)": {"services": [NODES], "haproxy": {"timeouts": {"processing": "8s"}}},
    "is not longer than the longest `park` (120000 ms)": {"services": [{**NODES, "park": "2m"}], "haproxy": {"timeouts": {"processing": "10s"}}},
    "'redis-ha-sentinel-spoa-a-b', a name that is too long or is there twice": {"services": [by_hand("a.b", 1), by_hand("a_b", 2, port=7000)]},
    "-replicas', a name that is too long": {"services": [by_hand("n" * 40, 1, replicas={"enabled": True})]},
    "anyAddress knows no replicas: set replicas.enabled: false": {
        "services": [{"preset": "ot", "release": "r", "anyAddress": True, "replicas": {"enabled": True}}]},
    "let everybody ask the agents: set networkPolicy.clients": {"services": [NODES], "haproxy": {"enabled": False}},
    "has sentinels.auth.none and sentinels.auth.secret": {"services": [{**BITNAMI, "sentinels": {"auth": {"none": True, "secret": "s"}}}]},
    "has auth.none and auth.secret": {"services": [{**BITNAMI, "auth": {"none": True, "secret": "s"}}]},
    "use serviceDefaults.sentinels": {"services": [BITNAMI], "sentinels": {"auth": {"secret": "s"}}},
    "no Sentinels of its own: set its sentinels.addresses": {
        "services": [{**NODES, "sentinels": {"auth": {"secret": "s"}}}], "sentinels": {"addresses": ["s:1"]}},
    "'health' would name a section": {"services": [NODES, by_hand("health", 2, port=7000)]},
    "'sentinel_spoa' would name a section": {"services": [NODES, by_hand("sentinel_spoa", 2, port=7000)]},
    "'redis-ha-sentinel-spoa-metrics', a name that is": {"services": [by_hand("metrics", 1)]},
    ": tls.clientCertificate without a certificate: set tls.secret": {"services": [{**NODES, "tls": {"enabled": True, "clientCertificate": True}}]},
    "sentinels.tls.clientCertificate without a certificate: set tls.secret": {
        "services": [{**BITNAMI, "sentinels": {"tls": {"enabled": True, "clientCertificate": True}}}]},
    "sentinels: tls.clientCertificate": {"services": [{**NODES, "sentinels": {}}], "sentinels": {
        "addresses": ["s:1"], "tls": {"enabled": True, "clientCertificate": True}}},
    **{f"has `{key}` and no `preset`": {"services": [{**NODES, key: value}]}
       for key, value in (("nodes", 5), ("nodeAliases", [["10.96.0.12:6379"]]), ("fullname", "r"), ("namespace", "data"))},
    "has more nodeAliases than nodes (3)": {"services": [{**BITNAMI, "nodeAliases": [[]] * 4}]},
    "without a preset that makes the Sentinels' list": {"services": [{**NODES, "sentinels": {**NODES["sentinels"], "count": 3}}]},
    "which is for preset ot only": {"services": [{**BITNAMI, "sentinels": {"release": "watch"}}]},
    "name two backends": {"services": [by_hand("a", 1, replicas={"enabled": True}), by_hand("a_read", 2, port=7000)]},
}


@pytest.mark.parametrize("words", REFUSED)
def test_refused(words):
    assert words in chart.refusal(REFUSED[words])


MISSPELT = [{"servces": []}, {"services": [{**NODES, "nmae": "x"}]}, {"services": [{**NODES, "preset": "bitnamy"}]},
            {"services": [{**NODES, "settings": {"erly-fence": True}}]}, {"services": [{**NODES, "replicas": {"enable": True}}]},
            {"services": [{**NODES, "servers": [{"name": "R0", "adress": "x:1"}]}]}, {"services": [{**NODES, "servers": [{"name": "R0", "address": "x"}]}]},
            {"services": [{**NODES, "park": "8 s"}]}, {"services": [{**NODES, "tls": {"enabled": "yes"}}]},
            {"haproxy": {"timeouts": {"processing": "soon"}}}, {"haproxy": {"maxconn": "4k"}}, {"networkPolicy": {"client": []}},
            {"agent": {"image": {"tags": "1"}}}, {"fullnameOverride": "a.b"}, {"services": [{**NODES, "clients": {"name": "a.b"}}]}, {"bind": "v6"}, {"sentinels": {"adresses": []}}, {"agent": {"settings": {"listen": "0.0.0.0:1"}}}]


@pytest.mark.parametrize("values", MISSPELT, ids=str)
def test_misspelt(values):
    assert "specifications of the schema" in chart.refusal({"services": [NODES], **values})


SCHEMA = json.loads((chart.CHART / "values.schema.json").read_text())


def resolve(schema):
    return SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema


def schema_objects(schema, path=""):
    """(path, schema) of each object with properties."""
    schema = resolve(schema)
    if "properties" in schema:
        yield path, schema
        for key, below in schema["properties"].items():
            yield from schema_objects(below, f"{path}.{key}")
    if isinstance(schema.get("items"), dict):
        yield from schema_objects(schema["items"], f"{path}[]")


def test_the_schema_lets_nothing_unknown_pass():
    objects = dict(schema_objects(SCHEMA))
    assert len(objects) > 30
    assert [path for path, schema in objects.items() if schema.get("additionalProperties") is not False] == []


def test_the_schema_and_the_values_have_the_same_keys():
    """values.yaml shows each value that there is, but for what is in lists and among further keys of the agent."""
    values = yaml.safe_load((chart.CHART / "values.yaml").read_text())

    def walk(given, schema, path):
        properties = set(resolve(schema).get("properties", ()))
        if not properties or path.endswith(".settings"):
            return
        yield from ((path, name) for name in properties ^ set(given))
        for key, value in given.items():
            if isinstance(value, dict):
                yield from walk(value, resolve(schema)["properties"][key], f"{path}.{key}")

    assert list(walk(values, SCHEMA, "")) == [("", "global")]


# Keys of the agent that values of their own set, or that a pod cannot have.
OWN = {"agent": {"listen", "check", "http", "takeover", "allow", "user", "group", "syslog", "sandbox", "autoreload"},
       "sentinels": {"source", "address", "username", "password"},
       "service": {"monitor", "sentinels", "nodes", "slot", "when-alone", "server", "allow-any-address", "backend", "replicas", "max-lag",
                   "replica-fallback", "park", "username", "password"}}


@pytest.mark.parametrize("section", OWN)
def test_further_keys_are_those_of_the_agent(section):
    text = (ROOT / "spoa/doc/configuration.md").read_text()
    keys = set(re.findall(rf'<a id="{section}-[a-z-]+"></a>`([a-z-]+)`', text))
    assert OWN[section] <= keys
    further = {key for key in keys - OWN[section] if not key.startswith(("tls", "password-", "on-switch"))}
    assert set(SCHEMA["$defs"][f"{section}Settings"]["properties"]) == further


def read_notes(values):
    done = chart.call("install", chart.NAME, chart.CHART, "--dry-run=client", "--namespace", "data", "--values", "-", values=values)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("NOTES:")[1]


def test_what_the_notes_say():
    notes = read_notes({"services": [by_hand("cache", 1, replicas={"enabled": True}), by_hand("queue", 2, port=7000)]})
    for name in ("redis-ha-sentinel-spoa-cache.data:6379", "redis-ha-sentinel-spoa-cache-replicas.data:6379", "redis-ha-sentinel-spoa-queue.data:6379",
                 "helm test redis-ha --namespace data", "rehearse cache --through 127.0.0.1:6379 --yes"):
        assert name in notes
    # Its pod has several containers, and is gone when it was right.
    assert "--logs" not in notes + (chart.CHART / "README.md").read_text()
    # The rehearsal reaches HAProxy as it does the nodes, and needs a list of them.
    assert not any("rehearse" in read_notes(MATRIX[name]) for name in ("TLS", "TLS by preset", "ot", "agents alone"))
    notes = read_notes({"services": [by_hand("safe", 1, tls=TLS), by_hand("plain", 2, port=7000)], "bind": "ipv6"})
    assert "rehearse plain --through [::1]:7000 --yes" in notes and "WARNING" not in notes
    assert "WARNING: 'mymaster' has 2 of 3 Sentinels" in read_notes({"services": [{**BITNAMI, "nodes": 2}]})


# ---- the programs' files ----

def place_files(objects, directory):
    """The release's files in a directory, where the paths in them lead to; {name: path}. Passwords and certificates are new ones."""
    authority = Authority(directory)
    pair = authority.issue("all", "DNS:redis")
    contents = {"ca.crt": authority.certificate, "tls.crt": pair.certificate, "c.crt": pair.certificate, "tls.key": pair.key, "c.key": pair.key}
    moves = {"/usr/local/etc/haproxy/": f"{directory}/etc/", "/run/secrets/": f"{directory}/secrets/", "/run/haproxy/": f"{directory}/",
             "/run/sentinel-spoa/": f"{directory}/"}
    paths = {}
    (directory / "etc").mkdir()
    for name, text in chart.files_of(objects).items():
        for secret, key in re.findall(r"/run/secrets/([\w.-]+)/([\w.-]+)", text):
            path = directory / "secrets" / secret / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(Path(contents[key]).read_text() if key in contents else "secret\n")
            path.chmod(0o440)
        for old, new in moves.items():
            text = text.replace(old, new)
        paths[name] = directory / "etc" / name
        paths[name].write_text(text)
    return paths


class HaproxyContainer(Process):
    """haproxy.sh in namespaces of its own, for processes and network."""

    def __init__(self, script, directory):
        super().__init__("haproxy", directory)
        self.script = script

    def command(self):
        return ["unshare", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", 'ip link set lo up && exec sh "$1"', "sh", str(self.script)]

    def ready(self):
        return self.certificate_subject() != ""

    def certificate_subject(self):
        """Of what HAProxy shows clients at the first port."""
        enter = ["nsenter", f"--net=/proc/{self.child.pid}/ns/net", "openssl"]
        shown = subprocess.run([*enter, "s_client", "-connect", "127.0.0.1:6379"], stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)
        return subprocess.run(["openssl", "x509", "-noout", "-subject"], input=shown.stdout, capture_output=True, timeout=10, check=False).stdout.decode()


def test_a_new_certificate(tmp_path):
    """A Secret with another certificate: HAProxy shows it to clients without a restart. Half of it is not used."""
    paths = place_files(chart.render(MATRIX["TLS"]), tmp_path)
    pair = Authority(tmp_path, "other").issue("renewed", "DNS:redis")
    haproxy = HaproxyContainer(paths["haproxy.sh"], tmp_path).start()
    try:
        assert "CN = all" in haproxy.certificate_subject()
        shutil.copyfile(pair.certificate, tmp_path / "secrets/own/tls.crt")
        wait_until(lambda: "HAProxy goes on with the old ones" in haproxy.log_text(), 20, "no key for it yet")
        assert "CN = all" in haproxy.certificate_subject()
        shutil.copyfile(pair.key, tmp_path / "secrets/own/tls.key")
        wait_until(lambda: "CN = renewed" in haproxy.certificate_subject(), 20, "the new certificate")
        assert haproxy.alive()
    finally:
        haproxy.kill()


def prepare_certificates(script):
    """As haproxy.sh does it before it starts HAProxy."""
    function = re.search(r"^prepare\(\) \{\n.*?^\}\n", script, re.MULTILINE | re.DOTALL)
    if function:
        subprocess.run(["sh", "-euc", f"{function[0]}\nprepare"], check=True, timeout=10)


def normalise(text):
    """What HAProxy reads, but for what a pod has otherwise: users, limits, addresses to listen on, probes, TLS to nodes."""
    text = re.sub(r"^frontend (fe_health|fe_more)$.*?(?=^\S|\Z)", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line.split(" #")[0].rstrip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    lines = [re.sub(r" ssl verify required ca-file \S+( crt \S+)?| verifyhost \S+", "", re.sub(r"^( +bind).*", r"\1", line)) for line in lines]
    return [re.sub(r"config /\S+/", "config ", line) for line in lines if not re.match(r" +(user|group|maxconn|hard-stop-after|nbthread) ", line)]


def test_the_programs_accept_the_files(release, tmp_path):
    """The agent's file, HAProxy's files without a warning; and HAProxy's are what `sentinel-spoa haproxy-conf` prints."""
    values, objects = release
    paths = place_files(objects, tmp_path)
    agents = ["-f", paths["sentinel-spoa.conf"]]
    done = run_agent(*agents, "-t")
    assert done.returncode == 0, done.stderr
    if not values.get("haproxy", {}).get("enabled", True):
        assert set(chart.files_of(objects)) == {"sentinel-spoa.conf"}
        return
    prepare_certificates(paths["haproxy.sh"].read_text())
    # Without a network, so that look-ups of names fail at once. What HAProxy says of that is not a mistake of the file.
    done = subprocess.run(["unshare", "-n", "haproxy", "-c", "-f", paths["haproxy.cfg"]], capture_output=True, text=True, timeout=60, check=False,
                          env={"PATH": PATH, "POD_NAMESPACE": "test"})
    said = [line for line in done.stderr.splitlines() if not re.match(r"\[NOTICE\]|.*could not resolve address|.*can't connect socket for nameserver", line)]
    assert (done.returncode, said) == (0, [])
    assert normalise(paths["haproxy.cfg"].read_text()) == normalise(run_agent(*agents, "haproxy-conf").stdout)
    expected = normalise(run_agent(*agents, "haproxy-conf", "--spoe").stdout)
    if "processing" in values.get("haproxy", {}).get("timeouts", {}):
        expected = [re.sub("processing .*", f"processing {values['haproxy']['timeouts']['processing']}", line) for line in expected]
    assert normalise(paths["spoe.conf"].read_text()) == expected
