"""docker/helm/sentinel-spoa: what helm prints for many values is valid by the API's own description, fits together, and both
programs accept the files; presets, mistakes, and the folders of docker/k8s that the chart prints."""

import os
import re
import shutil
import subprocess

import chart
import kube_schema
import pods
import pytest
import yaml
from certificates import Authority
from cluster import ROOT
from process import PATH
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
