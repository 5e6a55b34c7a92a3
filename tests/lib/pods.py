"""What Kubernetes manifests describe, run without a cluster: the pods of StatefulSets and Deployments, each in a network
namespace, its containers in root file systems of their own, with ConfigMaps and Secrets laid out as the kubelet does it, and
names as the cluster's DNS has them.

    with Pods([*load("docker/k8s/redis"), *load("docker/k8s/sidecar")], IMAGES) as pods:
        pods.start("redis")
        pods.pods["redis-0"].containers["redis"].call("PING")
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import yaml
from cluster import ROOT
from compose import Service, Stage

VERSION = re.search(r"^VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
NAMESPACE = "test"
DOMAIN = f"{NAMESPACE}.svc.cluster.local"


def load(folder):
    """The objects of a kustomization: its resources, and the ConfigMaps that it makes of files."""
    folder = ROOT / folder
    what = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert set(what) <= {"resources", "configMapGenerator", "generatorOptions"}, folder
    objects = [one for path in what["resources"] for one in yaml.safe_load_all((folder / path).read_text())]
    for made in what.get("configMapGenerator", []):
        objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": made["name"]},
                        "data": {path: (folder / path).read_text() for path in made["files"]}})
    assert what.get("generatorOptions", {}) in ({}, {"disableNameSuffixHash": True})
    return objects


def make_volume_folder(path, spec):
    """A volume that the group of the pod with this `spec` may write to, and whose files are of this group."""
    path.mkdir()
    os.chown(path, 0, spec["securityContext"]["fsGroup"])
    path.chmod(0o2775)
    return path


def publish(folder, files, mode=0o644, group=0):
    """As the kubelet writes a ConfigMap or a Secret: files are links into `..data`, itself a link that is exchanged."""
    version = Path(tempfile.mkdtemp(prefix="..", dir=folder))
    version.chmod(0o755)
    for name, text in files.items():
        (version / name).write_text(text)
        (version / name).chmod(mode)
        os.chown(version / name, 0, group)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    old = (folder / "..data").resolve() if (folder / "..data").is_symlink() else None
    (folder / "..data_tmp").symlink_to(version.name)
    (folder / "..data_tmp").rename(folder / "..data")
    if old:
        shutil.rmtree(old)


class Container(Service):
    """One container of a pod."""

    def __init__(self, pod, spec, image, volumes):
        security = {**pod.spec["securityContext"], **spec["securityContext"]}
        self.spec, self.pod = spec, pod
        what = {"user": f"{security['runAsUser']}:{security['runAsGroup']}", "environment": self.find_environment(),
                "command": [self.expand(word) for word in [*spec.get("command", image.entrypoint), *spec.get("args", [])]],
                "read_only": security["readOnlyRootFilesystem"]}
        assert security["runAsNonRoot"] and not security["allowPrivilegeEscalation"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        super().__init__(f"{pod.name}-{spec['name']}", what, image, pod.directory, pod.host, volumes)
        (self.root / "etc/resolv.conf").write_text(
            f"nameserver {pod.host.gateway}\nsearch {DOMAIN} svc.cluster.local cluster.local\noptions ndots:5 timeout:1\n")

    def find_volumes(self, volumes):
        return {str(volumes[mount["name"]]): mount["mountPath"] for mount in self.spec.get("volumeMounts", [])}

    def find_environment(self):
        found = {}
        for one in self.spec.get("env", []):
            source = one.get("valueFrom", {})
            if "fieldRef" in source:
                found[one["name"]] = {"metadata.name": self.pod.name, "metadata.namespace": NAMESPACE}[source["fieldRef"]["fieldPath"]]
            elif "secretKeyRef" in source:
                found[one["name"]] = self.pod.pods.secret(source["secretKeyRef"]["name"])[source["secretKeyRef"]["key"]]
            else:
                found[one["name"]] = one["value"]
        return found

    def expand(self, word):
        """$(NAME), as the kubelet does it."""
        for name, value in self.find_environment().items():
            word = word.replace(f"$({name})", value)
        return word

    def command(self):
        return self.enter(self.what["command"])

    def kill(self):
        """With all that it has started, as an engine does it."""
        if self.alive():
            os.killpg(self.child.pid, signal.SIGKILL)
        return super().kill()

    def passes(self, probe):
        what = self.spec.get(probe)
        if what is None:
            return True
        if "exec" in what:
            return self.execute([self.expand(word) for word in what["exec"]["command"]]).returncode == 0
        port = {port["name"]: port["containerPort"] for port in self.spec["ports"]}[what["httpGet"]["port"]]
        return subprocess.run([*self.prefix, "curl", "-sf", "-o", "/dev/null", f"http://{self.pod.host.address}:{port}{what['httpGet']['path']}"],
                              timeout=30, check=False).returncode == 0

    def ready(self):
        """So far that the next container is started: a sidecar's startupProbe, else readiness."""
        return self.passes("startupProbe" if "startupProbe" in self.spec else "readinessProbe")


class Pod:
    def __init__(self, pods, name, template, host, claims):
        self.pods, self.name, self.host, self.spec = pods, name, host, template["spec"]
        self.directory = pods.directory / name
        self.directory.mkdir()
        volumes = {claim["metadata"]["name"]: self.make_folder(f"claim-{claim['metadata']['name']}") for claim in claims}
        for volume in self.spec.get("volumes", []):
            volumes[volume["name"]] = self.make_volume(volume)
        self.volumes = volumes
        sidecars = self.spec.get("initContainers", [])
        assert all(one["restartPolicy"] == "Always" for one in sidecars)
        self.containers = {one["name"]: Container(self, one, pods.images[one["image"]], volumes)
                           for one in [*sidecars, *self.spec["containers"]]}

    def make_folder(self, name):
        return make_volume_folder(self.directory / name, self.spec)

    def make_volume(self, volume):
        if "emptyDir" in volume:
            return self.make_folder(volume["name"])
        path = self.directory / volume["name"]
        path.mkdir()
        if "secret" in volume:
            publish(path, self.pods.secret(volume["secret"]["secretName"]), volume["secret"]["defaultMode"],
                    self.spec["securityContext"]["fsGroup"])
        else:
            publish(path, self.pods.objects["ConfigMap", volume["configMap"]["name"]]["data"])
        return path

    def start(self):
        for container in self.containers.values():
            if not container.alive():
                container.start(timeout=60)

    def kill(self):
        for container in self.containers.values():
            container.kill()


class Pods(Stage):
    def __init__(self, objects, images):
        self.objects = {(one["kind"], one["metadata"]["name"]): one for one in objects}
        self.sets = [one for one in objects if one["kind"] in ("StatefulSet", "Deployment")]
        self.pods = {}
        super().__init__(images, f"sentinel-spoa:{VERSION}", sum(one["spec"]["replicas"] for one in self.sets))

    def secret(self, name):
        return self.objects["Secret", name]["stringData"]

    def build(self):
        hosts = iter(self.network.hosts)
        for one in self.sets:
            for i in range(one["spec"]["replicas"]):
                name = f"{one['metadata']['name']}-{i}"
                self.pods[name] = Pod(self, name, one["spec"]["template"], next(hosts), one["spec"].get("volumeClaimTemplates", []))

    def all_services(self):
        return [container for pod in self.pods.values() for container in pod.containers.values()]

    def service_of(self, name):
        """The headless Service that gives the pods of a StatefulSet their names."""
        one = self.objects["StatefulSet", name]
        service = self.objects["Service", one["spec"]["serviceName"]]
        assert service["spec"]["clusterIP"] == "None" and service["spec"]["publishNotReadyAddresses"]
        assert service["spec"]["selector"].items() <= one["spec"]["template"]["metadata"]["labels"].items()
        return service["metadata"]["name"]

    def name_pods(self, name):
        """Names are there before the pods are ready."""
        if ("StatefulSet", name) in self.objects:
            for pod in self.pods_of(name):
                self.dns.names[f"{pod.name}.{self.service_of(name)}.{DOMAIN}"] = [pod.host.address]

    def pods_of(self, name):
        return [pod for pod in self.pods.values() if pod.name.rsplit("-", 1)[0] == name]

    def start(self, *names):
        """All pods of these."""
        for name in names:
            self.name_pods(name)
        for name in names:
            for pod in self.pods_of(name):
                pod.start()

    def kill(self, name):
        """A pod, and its name."""
        self.pods[name].kill()
        for known in list(self.dns.names):
            if known.startswith(f"{name}."):
                del self.dns.names[known]
