"""Whether Kubernetes objects fit together: labels and selectors, ports, volumes, the restricted profile."""


def workloads(objects):
    return [one for one in objects if one["kind"] in ("StatefulSet", "Deployment")]


def containers_of(workload):
    spec = workload["spec"]["template"]["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def check(objects, secrets=()):
    """AssertionError where something does not fit. `secrets` are Secrets that somebody else has made."""
    there = {(one["kind"], one["metadata"]["name"]) for one in objects} | {("Secret", name) for name in secrets}
    assert len(there) == len(objects) + len(secrets)
    for workload in workloads(objects):
        check_workload(workload, there)
    for one in objects:
        if one["kind"] in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
            check_selector(one, objects)


def check_workload(workload, there):
    spec = workload["spec"]["template"]["spec"]
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert workload["spec"]["selector"]["matchLabels"].items() <= labels.items()
    volumes = {volume["name"] for volume in spec.get("volumes", [])}
    volumes |= {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])}
    assert len(volumes) == len(spec.get("volumes", [])) + len(workload["spec"].get("volumeClaimTemplates", []))
    used = set()
    for container in containers_of(workload):
        mounted = [mount["mountPath"] for mount in container["volumeMounts"]]
        assert len(set(mounted)) == len(mounted)
        used |= {mount["name"] for mount in container["volumeMounts"]}
        ports = {port["name"] for port in container["ports"]}
        assert len(ports) == len({port["containerPort"] for port in container["ports"]}) == len(container["ports"])
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container.get(probe, {}).get("httpGet", {}).get("port", next(iter(ports))) in ports
    assert used == volumes
    for volume in spec.get("volumes", []):
        if "configMap" in volume:
            assert ("ConfigMap", volume["configMap"]["name"]) in there
        if "secret" in volume:
            assert ("Secret", volume["secret"]["secretName"]) in there
    check_restricted(spec)


def check_restricted(spec):
    """What the restricted profile of the Pod Security Standards asks for."""
    pod = spec["securityContext"]
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        security = {**pod, **container["securityContext"]}
        assert security["runAsNonRoot"] and security["runAsUser"] != 0 and not security["allowPrivilegeEscalation"]
        assert security["capabilities"] == {"drop": ["ALL"]} and security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert security["readOnlyRootFilesystem"]
    assert all(set(volume) & {"configMap", "secret", "emptyDir"} for volume in spec.get("volumes", []))


def check_selector(one, objects):
    """It selects one workload, and has ports of it: by name only those of containers, for Services and policies know the names
    of a sidecar's ports only since Kubernetes 1.32."""
    selector = one["spec"].get("selector") or one["spec"]["podSelector"]
    wanted = selector.get("matchLabels", selector)
    selected = [workload for workload in workloads(objects)
                if wanted.items() <= workload["spec"]["template"]["metadata"]["labels"].items()]
    assert len(selected) == 1, one["metadata"]
    names = {port["name"] for container in selected[0]["spec"]["template"]["spec"]["containers"] for port in container["ports"]}
    ports = names | {port["containerPort"] for container in containers_of(selected[0]) for port in container["ports"]}
    if one["kind"] == "Service":
        assert all(port.get("targetPort", port["port"]) in ports for port in one["spec"]["ports"]), one["metadata"]
    if one["kind"] == "NetworkPolicy":
        assert all(port["port"] in ports for rule in one["spec"]["ingress"] for port in rule.get("ports", []))
