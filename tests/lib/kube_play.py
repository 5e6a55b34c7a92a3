"""Kubernetes manifests as containers: `podman kube play` of each pod that StatefulSets and Deployments would have.

    with Engine() as engine:
        cluster = Played(engine, objects)
        cluster.start("redis", "sentinel", "haproxy-redis")
        cluster.pods["redis-0"].containers["redis"].execute("redis-cli", "PING")

podman knows pods, their containers with users, rights, limits, commands, environment, volumes and stop signals. What it does
not know is changed or done here, and nothing else:

- A StatefulSet or Deployment: a Pod for each replica, NAME-0 and so on. If a pod ends, only play() starts it again. Its address is another one then.
- Services: each of their names leads to its pods, and a pod of a StatefulSet has its own, by the whole names that the cluster has
  for them; `dnsConfig` has the cluster's search list. Ports are the containers' own, and a pod that is not ready keeps its name.
- Native sidecars (initContainers with `restartPolicy: Always`), which podman would wait for: the first of `containers`.
- Volumes: folders of this machine, with the owners, modes and links that the kubelet gives them (fsGroup, defaultMode, `..data`).
  apply() exchanges what is in a ConfigMap or Secret, as the kubelet does it a minute after `kubectl apply`.
- Probes by HTTP: podman would run curl in the container, which the agent's image does not have. The node asks, as the kubelet
  does: passes(). Probes that run a program run by `podman exec`; podman's own healthcheck of them needs a timer of systemd.
- preStop, and the order in which containers are told to stop: end().
- Secrets for `env`: `podman secret create`, for podman 4.3 writes those of a manifest in a form that it cannot read.
- `fieldRef` and `$(NAME)`: as values. `ports` go, for podman would publish them at the node's address.

NetworkPolicy, PodDisruptionBudget, affinity, and whatever is the API server's: no object of these is looked at.
"""

import base64
import copy
import itertools
import json

import yaml
from pods import DOMAIN, NAMESPACE, make_volume_folder, publish
from process import Log, wait_until

NETWORK, SUBNET, GATEWAY = "cluster", "10.79.0.0/24", "10.79.0.1"
DNS = {"nameservers": [GATEWAY], "searches": [DOMAIN, "svc.cluster.local", "cluster.local"],
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

    def execute(self, *words):
        """One more process in it; subprocess.CompletedProcess with text."""
        return self.pod.engine.run("podman", "exec", self.name, *words)

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
    """template: metadata and spec. claims: volumeClaimTemplates. service: whose name the pod's own name is in, or None."""

    def __init__(self, cluster, name, template, claims=(), service=None):
        self.cluster, self.engine, self.name, self.service = cluster, cluster.engine, name, service
        self.labels, self.spec = template["metadata"]["labels"], template["spec"]
        self.directory = cluster.engine.directory / name
        self.directory.mkdir()
        self.folders = {claim["metadata"]["name"]: self.make_folder(claim["metadata"]["name"]) for claim in claims}
        self.folders.update({volume["name"]: self.make_volume(volume) for volume in self.spec.get("volumes", [])})
        self.sidecars = [one for one in self.spec.get("initContainers", []) if one.get("restartPolicy") == "Always"]
        self.containers = {one["name"]: Container(self, one) for one in [*self.sidecars, *self.spec["containers"]]}
        self.address = None

    def make_folder(self, name):
        return make_volume_folder(self.directory / name, self.spec)

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
        sidecars = [one for one in spec.pop("initContainers", []) if one.pop("restartPolicy", None) == "Always"]
        spec["containers"] = [*sidecars, *spec["containers"]]
        for one in spec["containers"]:
            self.simplify(one)
        spec["volumes"] = [{"name": name, "hostPath": {"path": str(path), "type": "Directory"}} for name, path in self.folders.items()]
        spec["dnsConfig"] = DNS
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": self.name, "labels": self.labels}, "spec": spec}

    def simplify(self, container):
        """Its copy for podman."""
        container.pop("ports", None)
        for probe in PROBES:
            if "httpGet" in container.get(probe, {}):
                del container[probe]
        fields = {"metadata.name": self.name, "metadata.namespace": NAMESPACE}
        for variable in container.get("env", []):
            if "fieldRef" in variable.get("valueFrom", {}):
                variable["value"] = fields[variable.pop("valueFrom")["fieldRef"]["fieldPath"]]
        values = {variable["name"]: variable["value"] for variable in container.get("env", []) if "value" in variable}
        for words in ("command", "args"):
            if words in container:
                container[words] = [expand(word, values) for word in container[words]]

    def names(self):
        """By which it is found."""
        for service in self.cluster.services:
            if service["spec"]["selector"].items() <= self.labels.items():
                yield f"{service['metadata']['name']}.{DOMAIN}"
        if self.service is not None:
            yield f"{self.name}.{self.service}.{DOMAIN}"

    def play(self):
        path = self.directory / "pod.yaml"
        path.write_text(yaml.safe_dump(self.manifest()))
        self.engine.podman("pod", "rm", "--force", "--ignore", self.name)
        self.address = next(self.cluster.addresses)
        self.cluster.name_pods()
        self.engine.podman("kube", "play", "--quiet", "--network", f"{NETWORK}:ip={self.address}", path)
        self.cluster.pin_gateway()
        for container in self.containers.values():
            container.log_path = self.engine.path(container.inspect("HostConfig.LogConfig.Path"))

    def wait(self, timeout=60):
        """Until it is ready."""
        for container in self.containers.values():
            wait_until(lambda one=container: one.passes("readinessProbe"), timeout, f"{container.name} is ready")

    def kill(self):
        """It ends at once, and so do its names. play() starts it again, with the same volumes."""
        self.engine.podman("pod", "stop", "--time", "0", self.name)
        self.address = None
        self.cluster.name_pods()

    def end(self):
        """As the kubelet ends a pod: preStop and the stop signal, to the sidecars after the others. {container: exit code}"""
        codes = {}
        for one in [*self.spec["containers"], *reversed(self.sidecars)]:
            container = self.containers[one["name"]]
            stop = one.get("lifecycle", {}).get("preStop")
            if stop is not None:
                assert container.execute(*stop["exec"]["command"]).returncode == 0
            self.engine.podman("stop", "--time", str(self.spec["terminationGracePeriodSeconds"]), container.name)
            codes[one["name"]] = int(container.inspect("State.ExitCode"))
        return codes

    def run_to_end(self, timeout=60):
        """A pod with `restartPolicy: Never`. {container: exit code}"""
        self.play()
        wait_until(lambda: {one.inspect("State.Status") for one in self.containers.values()} == {"exited"}, timeout, f"{self.name} has ended")
        return {name: int(one.inspect("State.ExitCode")) for name, one in self.containers.items()}


class Played:
    """All pods of the objects, none of them started."""

    def __init__(self, engine, objects):
        self.engine = engine
        self.objects = {(one["kind"], one["metadata"]["name"]): one for one in objects}
        self.services = [one for one in objects if one["kind"] == "Service"]
        self.addresses = (f"{SUBNET.rsplit('.', 1)[0]}.{i}" for i in itertools.count(2))
        engine.podman("network", "create", "--disable-dns", "--subnet", SUBNET, "--gateway", GATEWAY, NETWORK)
        self.pods = {}
        for (kind, name), one in self.objects.items():
            if kind == "Secret":
                self.make_secret(name)
            elif kind == "Pod":
                self.pods[name] = Pod(self, name, one)
            elif kind in ("StatefulSet", "Deployment"):
                self.scale(kind, name, one["spec"]["replicas"])

    def logs(self):
        """For whoever looks why it failed."""
        parts = [self.engine.run("podman", "ps", "--all").stdout]
        for pod in self.pods.values():
            for container in pod.containers.values():
                said = self.engine.run("podman", "logs", "--timestamps", container.name)
                parts.append(f"--- {container.name}\n{said.stdout}{said.stderr}")
        return "".join(parts)

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
        what = self.objects[kind, name]["spec"]
        for i in range(replicas):
            if f"{name}-{i}" not in self.pods:
                self.pods[f"{name}-{i}"] = Pod(self, f"{name}-{i}", what["template"], what.get("volumeClaimTemplates", []), what.get("serviceName"))

    def pin_gateway(self):
        """Else a bridge takes the lowest of its ports' addresses, and the pods, which have another one in mind, find no name server
        for some seconds after each start."""
        bridge = self.engine.podman("network", "inspect", "--format", "{{.NetworkInterface}}", NETWORK)
        address = json.loads(self.engine.run("ip", "-json", "link", "show", bridge).stdout)[0]["address"]
        self.engine.run("ip", "link", "set", bridge, "address", address)

    def name_pods(self):
        names = {}
        for pod in self.pods.values():
            for name in pod.names() if pod.address else ():
                names.setdefault(name, []).append(pod.address)
        self.engine.name(names)

    def pods_of(self, workload):
        """Those that run, of a StatefulSet or Deployment."""
        return [pod for pod in self.pods.values() if pod.name.rsplit("-", 1)[0] == workload and pod.address]

    def start(self, *workloads):
        """All pods of these, then wait until they are ready."""
        started = [pod for pod in self.pods.values() if pod.name.rsplit("-", 1)[0] in workloads]
        for pod in started:
            pod.play()
        for pod in started:
            pod.wait()
