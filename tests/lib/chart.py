"""The Helm chart: what `helm template` prints, as objects and as the files that come of it.

    objects = render({"services": [{"preset": "bitnami", "release": "my-redis"}]})
    find(objects, "ConfigMap", "redis-ha-sentinel-spoa-agent")["data"]["sentinel-spoa.conf"]
"""

import functools
import re
import subprocess

import yaml
from cluster import ROOT

CHART = ROOT / "docker/helm/sentinel-spoa"
NAME = "redis-ha"
NAMESPACE = "test"


@functools.cache
def tool(name):
    """The path of helm or of kubectl, which is beside it."""
    path = subprocess.run([ROOT / "tests/tools/helm.sh"], stdout=subprocess.PIPE, text=True, check=True, timeout=300).stdout.strip()
    return path.replace("/helm/helm", f"/helm/{name}")


def call(*words, values=None):
    """helm, with these values (a dictionary) on standard input for `--values -`; subprocess.CompletedProcess with text."""
    return subprocess.run([tool("helm"), *map(str, words)], input=yaml.safe_dump(values or {}), capture_output=True, text=True,
                          timeout=60, check=False)


def template(values, name=NAME, words=()):
    return call("template", name, CHART, "--namespace", NAMESPACE, "--values", "-", *words, values=values)


def render(values, name=NAME, words=()):
    """The objects."""
    done = template(values, name, words)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def refusal(values):
    """What helm says of values that the chart refuses: the message alone."""
    done = template(values)
    assert done.returncode != 0, done.stdout
    return done.stderr


def find(objects, kind, name):
    return next(one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name))


def files_of(objects):
    """{name: text} of all that ConfigMaps have."""
    return {name: text for one in objects if one["kind"] == "ConfigMap" for name, text in one["data"].items()}


def print_folder(name, values, shown):
    """A release as a folder for `kubectl apply -k`. `shown`: {file: words for helm, such as which templates}. Returns
    {file: text}: the manifests, and what ConfigMaps have as files of their own."""
    files = {}
    for file, words in shown.items():
        done = call("template", name, CHART, "--skip-tests", "--values", values, *words)
        assert done.returncode == 0, done.stderr
        documents = [re.sub(r"^# Source: .*\n", "", text) for text in re.split(r"^---\n", done.stdout, flags=re.MULTILINE)]
        objects = {text: yaml.safe_load(text) for text in documents if text.strip()}
        files[file] = "---\n".join(text for text, one in objects.items() if one["kind"] != "ConfigMap")
        files.update(files_of(objects.values()))
    return files
