"""Kubernetes manifests as containers: `podman kube play` of each pod that StatefulSets and Deployments would have.

    with Engine() as engine, Played(engine, objects) as cluster:
        cluster.start("redis", "sentinel", "haproxy-redis")
        cluster.pods["redis-0"].containers["redis"].execute("redis-cli", "PING")

podman knows pods, their containers with users, rights, limits, commands, environment, volumes and stop signals. What it does
not know is changed or done here, and nothing else:

- A StatefulSet or Deployment: a Pod for each replica, NAME-0 and so on. Nobody makes a pod anew but play().
- Services: each name is an alias of the pods in podman's DNS, by the whole name that the cluster has for it, and `dnsConfig`
  has the cluster's search list. Nothing is balanced, ports are the containers' own, and a pod that is not ready keeps its name.
- Native sidecars (initContainers with `restartPolicy: Always`), which podman would wait for: the first of `containers`.
- Volumes: folders of this machine, with the owners, modes and links that the kubelet gives them (fsGroup, defaultMode, `..data`).
  publish() exchanges what is in a ConfigMap or Secret, as the kubelet does it a minute after `kubectl apply`.
- Probes by HTTP: podman would run curl in the container, which the agent's image does not have. The node asks, as the kubelet
  does: passes(). Probes that run a program run by `podman exec`; podman's own healthcheck of them needs a timer of systemd.
- preStop, and the order in which containers are told to stop: end().
- Secrets for `env`: `podman secret create`, for podman 4.3 writes those of a manifest in a form that it cannot read.
- `metadata.namespace` in `env`, and `ports`, which podman would publish at the node's address.

NetworkPolicy, PodDisruptionBudget, affinity, and whatever is the API server's: no object of these is looked at.
"""

import base64
import copy
import json
import os

import yaml
from pods import DOMAIN, NAMESPACE, publish
from process import Log, wait_until

SEARCH = {"searches": [DOMAIN, "svc.cluster.local", "cluster.local"],
          "options": [{"name": "ndots", "value": "5"}, {"name": "timeout", "value": "1"}]}
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def expand(word, values):
    """$(NAME), as the kubelet does it."""
    for name, value in values.items():
        word = word.replace(f"$({name})", value)
    return word


def source_of(volume):
    """(kind, name) of the ConfigMap or Secret that is in it; None where it is another volume."""
    if "configMap" in volume:
        return "ConfigMap", volume["configMap"]["name"]
    if "secret" in volume:
        return "Secret", volume["secret"]["secretName"]
    return None


class Container(Log):
    """One container of a pod that is played."""

    def __init__(self, pod, spec):
        self.pod, self.spec, self.name = pod, spec, f"{pod.name}-{spec['name']}"
        self.log_path = None

    def inspect(self, what):
        """A field of `podman inspect`, as text."""
        return self.pod.engine.podman("inspect", "--format", f"{{{{.{what}}}}}", self.name)

    def execute(self, *words, environment=()):
        """One more process in it; subprocess.CompletedProcess with text."""
        given = [word for one in environment for word in ("--env", one)]
        return self.pod.engine.run("podman", "exec", *given, self.name, *words)

    def passes(self, probe):
        """As the kubelet asks; True where there is no such probe."""
        what = self.spec.get(probe)
        if what is None:
            return True
        if "exec" in what:
            return self.execute(*what["exec"]["command"]).returncode == 0
        port = {port["name"]: port["containerPort"] for port in self.spec["ports"]}[what["httpGet"]["port"]]
        url = f"http://{self.pod.address}:{port}{what['httpGet']['path']}"
        return self.pod.engine.run("curl", "-sf", "-m", str(what.get("timeoutSeconds", 1)), "-o", "/dev/null", url).returncode == 0


class Pod:
    def __init__(self, cluster, name, workload):
        self.cluster, self.engine, self.name = cluster, cluster.engine, name
        self.workload, self.template = workload, workload["spec"]["template"]
        self.spec = self.template["spec"]
        self.directory = cluster.engine.directory / name
        self.directory.mkdir()
        self.folders = {claim["metadata"]["name"]: self.make_folder(claim["metadata"]["name"])
                        for claim in workload["spec"].get("volumeClaimTemplates", [])}
        self.folders.update({volume["name"]: self.make_volume(volume) for volume in self.spec.get("volumes", [])})
        self.sidecars = [one for one in self.spec.get("initContainers", []) if one.get("restartPolicy") == "Always"]
        self.containers = {one["name"]: Container(self, one) for one in [*self.sidecars, *self.spec["containers"]]}
        self.address = None

    def make_folder(self, name):
        """The pod's group may write to it, and what is made there is of this group."""
        path = self.directory / name
        path.mkdir()
        os.chown(path, 0, self.spec["securityContext"]["fsGroup"])
        path.chmod(0o2775)
        return path

    def make_volume(self, volume):
        self.make_folder(volume["name"])
        source = source_of(volume)
        if source is not None:
            self.publish(volume, self.cluster.data(*source))
        return self.directory / volume["name"]

    def publish(self, volume, data):
        """Exchange what is in a ConfigMap's or Secret's volume."""
        mode = volume.get("secret", volume.get("configMap")).get("defaultMode", 0o644)
        publish(self.directory / volume["name"], data, mode, self.spec["securityContext"]["fsGroup"])

    def manifest(self):
        """What podman is given."""
        spec = copy.deepcopy(self.spec)
        for one in [*spec.get("initContainers", []), *spec["containers"]]:
            for probe in PROBES:
                if "httpGet" in one.get(probe, {}):
                    del one[probe]
            one.pop("ports", None)
            fields = {"metadata.name": self.name, "metadata.namespace": NAMESPACE}
            for variable in one.get("env", []):
                path = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
                if path is not None:
                    del variable["valueFrom"]
                    variable["value"] = fields[path]
            values = {variable["name"]: variable["value"] for variable in one.get("env", []) if "value" in variable}
            for words in ("command", "args"):
                if words in one:
                    one[words] = [expand(word, values) for word in one[words]]
        sidecars = [one for one in spec.pop("initContainers", []) if one.pop("restartPolicy", None) == "Always"]
        spec["containers"] = [*sidecars, *spec["containers"]]
        spec["volumes"] = [{"name": name, "hostPath": {"path": str(path), "type": "Directory"}} for name, path in self.folders.items()]
        spec["dnsConfig"] = {"nameservers": [self.cluster.gateway], **SEARCH}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": self.name, "labels": self.template["metadata"]["labels"]}, "spec": spec}

    def names(self):
        """By which it is found: those of the Services that select it, and its own where a headless one gives it."""
        for service in self.cluster.services:
            if service["spec"]["selector"].items() <= self.template["metadata"]["labels"].items():
                name = f"{service['metadata']['name']}.{DOMAIN}"
                yield name
                if service["metadata"]["name"] == self.workload["spec"].get("serviceName"):
                    yield f"{self.name}.{name}"

    def play(self):
        path = self.directory / "pod.yaml"
        path.write_text(yaml.safe_dump(self.manifest()))
        aliases = ",".join(f"alias={name}" for name in self.names())
        self.engine.podman("pod", "rm", "--force", "--ignore", self.name)
        self.engine.podman("kube", "play", "--quiet", "--network", f"{self.cluster.network}:{aliases}", path)
        infra = self.engine.podman("pod", "inspect", "--format", "{{.InfraContainerID}}", self.name)
        self.address = self.engine.podman("inspect", "--format", f"{{{{.NetworkSettings.Networks.{self.cluster.network}.IPAddress}}}}", infra)

    def wait(self, probe="readinessProbe", timeout=60):
        for container in self.containers.values():
            wait_until(lambda one=container: one.passes(probe), timeout, f"{container.name} passes its {probe}")

        for container in self.containers.values():
            container.log_path = self.engine.path(container.inspect("HostConfig.LogConfig.Path"))

    def kill(self):
        """It ends, and so does its name. play() makes it anew, with the volumes that it had."""
        self.engine.podman("pod", "stop", "--time", "0", self.name)

    def end(self):
        """As the kubelet ends a pod: preStop and the stop signal, to the sidecars after the others. {container: exit code}"""
        grace = self.spec["terminationGracePeriodSeconds"]
        codes = {}
        for one in [*self.spec["containers"], *reversed(self.sidecars)]:
            container = self.containers[one["name"]]
            stop = one.get("lifecycle", {}).get("preStop")
            if stop is not None:
                assert container.execute(*stop["exec"]["command"]).returncode == 0
            self.engine.podman("stop", "--time", str(grace), container.name)
            codes[one["name"]] = int(container.inspect("State.ExitCode"))
        return codes


class Played:
    """All pods of the objects, none of them started."""

    def __init__(self, engine, objects, network="cluster"):
        self.engine, self.network = engine, network
        self.objects = {(one["kind"], one["metadata"]["name"]): one for one in objects}
        self.services = [one for one in objects if one["kind"] == "Service"]
        engine.podman("network", "create", "--subnet", "10.79.0.0/24", network)
        self.gateway = "10.79.0.1"
        self.pods = {}
        for kind, name in self.objects:
            if kind == "Secret":
                self.make_secret(name)
            if kind in ("StatefulSet", "Deployment"):
                self.scale(kind, name, self.objects[kind, name]["spec"]["replicas"])

    def __enter__(self):
        return self

    def __exit__(self, kind, *exc):
        if kind is not None:
            self.show()

    def show(self):
        """For whoever looks why it failed."""
        print(self.engine.run("podman", "ps", "--all").stdout)
        for pod in self.pods.values():
            for container in pod.containers.values():
                said = self.engine.run("podman", "logs", "--tail", "30", container.name)
                print(f"--- {container.name}\n{said.stdout}{said.stderr}")

    def data(self, kind, name):
        one = self.objects[kind, name]
        return one["stringData"] if "stringData" in one else one["data"]

    def apply(self, objects):
        """ConfigMaps and Secrets with other content: pods have it in their volumes, and later ones in their environment."""
        for one in objects:
            key = one["kind"], one["metadata"]["name"]
            if one["kind"] in ("ConfigMap", "Secret") and one != self.objects.get(key):
                self.objects[key] = one
                for pod in self.pods.values():
                    for volume in pod.spec.get("volumes", []):
                        if source_of(volume) == key:
                            pod.publish(volume, self.data(*key))
                if one["kind"] == "Secret":
                    self.make_secret(key[1])

    def make_secret(self, name):
        path = self.engine.directory / f"{name}.json"
        path.write_text(json.dumps({key: base64.b64encode(text.encode()).decode() for key, text in self.data("Secret", name).items()}))
        self.engine.run("podman", "secret", "rm", name)
        self.engine.podman("secret", "create", name, path)

    def scale(self, kind, name, replicas):
        """So many pods are there then to be played."""
        for i in range(replicas):
            if f"{name}-{i}" not in self.pods:
                self.pods[f"{name}-{i}"] = Pod(self, f"{name}-{i}", self.objects[kind, name])

    def pods_of(self, workload):
        return [pod for pod in self.pods.values() if pod.workload["metadata"]["name"] == workload]

    def start(self, *workloads):
        """All pods of these, then wait until they are ready."""
        for name in workloads:
            for pod in self.pods_of(name):
                pod.play()
        for name in workloads:
            for pod in self.pods_of(name):
                pod.wait()
