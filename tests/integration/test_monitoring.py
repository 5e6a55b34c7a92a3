"""What watches the agent: alert rules, dashboard and metrics fit each other."""

import json
import re
import subprocess

import pytest
from cluster import ROOT
from test_http import FAST, LISTEN, Rig, ask, families

RULES = ROOT / "docker/prometheus/sentinel-spoa.rules.yml"
DASHBOARD = ROOT / "docker/grafana/sentinel-spoa.json"
SUFFIXES = re.compile(r"_(bucket|sum|count)$")


@pytest.fixture(scope="module")
def promtool():
    """Its path; it is downloaded where it is not installed."""
    done = subprocess.run([ROOT / "tests/tools/promtool.sh"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def metrics():
    with Rig(sentinels=FAST, listen=LISTEN) as rig:
        rig.wait_votes(3)
        return ask(rig, "/metrics")[2]


def test_promtool_takes_the_metrics(promtool, metrics):
    done = subprocess.run([promtool, "check", "metrics"], input=metrics, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_promtool_takes_the_rules(promtool):
    for words in (["check", "rules", RULES], ["test", "rules", RULES.with_name("sentinel-spoa.test.yml")]):
        done = subprocess.run([promtool, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested():
    alerts = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
    tested = RULES.with_name("sentinel-spoa.test.yml").read_text()
    assert {alert for alert in alerts if alert in tested} == alerts


def used(text):
    return {SUFFIXES.sub("", name) for name in re.findall(r"\b((?:redis_spoa|process)_\w+)", text)}


def test_what_is_used_is_there(metrics):
    """No rule and no panel asks for a metric that the agent does not have."""
    assert used(RULES.read_text()) - families(metrics) == set()
    assert used(DASHBOARD.read_text()) - families(metrics) == set()


def test_the_dashboard_is_whole():
    board = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    assert all(target["expr"] for panel in board["panels"] for target in panel["targets"])
    assert {variable["name"] for variable in board["templating"]["list"]} == {"datasource", "job", "instance", "service"}
