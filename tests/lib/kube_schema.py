"""Kubernetes objects against the API's own description, as the official Python client has it: no unknown field, none of the wrong
type, none missing."""

import re

from kubernetes import client

MODELS = {
    ("v1", "ConfigMap"): "V1ConfigMap",
    ("v1", "Pod"): "V1Pod",
    ("v1", "Secret"): "V1Secret",
    ("v1", "Service"): "V1Service",
    ("apps/v1", "Deployment"): "V1Deployment",
    ("apps/v1", "StatefulSet"): "V1StatefulSet",
    ("networking.k8s.io/v1", "NetworkPolicy"): "V1NetworkPolicy",
    ("policy/v1", "PodDisruptionBudget"): "V1PodDisruptionBudget",
}
# Newer than Debian's client: Kubernetes 1.29.
LATER = {("V1Container", "restartPolicy")}
PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float), "datetime": str, "object": object}


def check(one):
    """What is wrong with the object, a line each."""
    kind = one.get("apiVersion"), one.get("kind")
    if kind not in MODELS:
        return [f"{kind}: unknown"]
    return list(check_value(one, MODELS[kind], one["kind"]))


def check_value(value, kind, path):
    if listed := re.fullmatch(r"list\[(.+)\]", kind):
        if not isinstance(value, list):
            yield f"{path}: not a list"
            return
        for i, item in enumerate(value):
            yield from check_value(item, listed[1], f"{path}[{i}]")
    elif mapped := re.fullmatch(r"dict\(str, (.+)\)", kind):
        if not isinstance(value, dict):
            yield f"{path}: not a map"
            return
        for key, item in value.items():
            yield from check_value(item, mapped[1], f"{path}.{key}")
    elif kind in PLAIN:
        if not isinstance(value, PLAIN[kind]) or (isinstance(value, bool) and kind == "int"):
            yield f"{path}: {value!r} is no {kind}"
    else:
        yield from check_model(value, kind, path)


def check_model(value, kind, path):
    model = getattr(client, kind)
    if not isinstance(value, dict):
        yield f"{path}: not a map"
        return
    fields = {json: (name, model.openapi_types[name]) for name, json in model.attribute_map.items()}
    given = {}
    for key, item in value.items():
        if key in fields:
            name, field_kind = fields[key]
            given[name] = item
            yield from check_value(item, field_kind, f"{path}.{key}")
        elif (kind, key) not in LATER:
            yield f"{path}: unknown field {key}"
    try:
        model(**given)
    except ValueError as error:
        yield f"{path}: {error}"
