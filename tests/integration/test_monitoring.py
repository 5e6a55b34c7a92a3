"""What watches the agent: alert rules, dashboard, metrics and spoa/doc/monitoring.md fit each other and the code."""

import json
import re
import subprocess

import pytest
from cluster import ROOT
from marks import check_part, part, table
from test_http import FAST, LISTEN, Rig, ask

RULES = ROOT / "docker/prometheus/sentinel-spoa.rules.yml"
DASHBOARD = ROOT / "docker/grafana/sentinel-spoa.json"
DOCUMENT = "spoa/doc/monitoring.md"
SUFFIXES = re.compile(r"_(bucket|sum|count)$")


def families(text):
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))


@pytest.fixture(scope="module")
def promtool():
    """Its path; it is downloaded where it is not installed."""
    done = subprocess.run([ROOT / "tests/tools/promtool.sh"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def metrics():
    """With a sample of each."""
    with Rig(sentinels=FAST, listen=LISTEN, more="[haproxy]\nruntime-api = DIRECTORY/none.sock\nbackend = be_redis") as rig:
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


# ---- the document ----

def rows(header, name):
    """The rows of an X-macro: a list of the arguments of each X(...), without quotes."""
    text = (ROOT / header).read_text().replace("\\\n", "\n")
    macro = re.search(rf"^#define {name}\(X\)(.*?)^\s*$", text, re.MULTILINE | re.DOTALL)[1]
    return [[argument(words) for words in re.findall(r'((?:"[^"]*"\s*)+|[^\s,"][^,"]*)(?:,|$)', row)]
            for row in re.findall(r"\bX\(((?:\"[^\"]*\"|[^\"()])*)\)", macro)]


def argument(words):
    return "".join(re.findall(r'"([^"]*)"', words)) if words.startswith('"') else words.strip()


@pytest.mark.parametrize("group", ["SERVICE", "SESSIONS", "VOTERS", "HOOKS", "AGENT"])
def test_events_are_documented(group):
    events = [[f"`{text}`", level.lower(), when] for _, text, level, _, when in rows("spoa/core/base/events.h", f"EVENTS_{group}")]
    check_part(DOCUMENT, f"events-{group.lower()}", table(["event", "level", "when"], events))


def test_every_event_is_logged():
    sources = "".join(path.read_text() for path in (ROOT / "spoa").glob("**/*.c"))
    names = [name for group in ("SERVICE", "SESSIONS", "VOTERS", "HOOKS", "AGENT") for name, *_ in rows("spoa/core/base/events.h", f"EVENTS_{group}")]
    assert len(names) > 80
    assert [name for name in names if not re.search(rf"\bEVENT_{name}\b", sources)] == []


def test_alarms_are_documented():
    alarms = [[f"`{text}`", f"{int(hold) // 1000} s" if hold != "0" else "at once", meaning]
              for _, text, hold, meaning in rows("spoa/core/base/alarms.h", "ALARMS")]
    check_part(DOCUMENT, "alarms", table(["alarm", "raised after", "what it means, and what to do"], alarms))


def labels(metrics, name):
    """Those of its samples, without `le`."""
    sample = re.search(rf"^{name}(?:_bucket)?(?:\{{(.*)\}})? ", metrics, re.MULTILINE)
    return " ".join(f"`{label}`" for label in re.findall(r'(\w+)="', sample[1] or "") if label != "le")


def test_metrics_are_documented(metrics):
    found = re.findall(r"^# HELP (\S+) (.*)\n# TYPE \S+ (.*)", metrics, re.MULTILINE)
    check_part(DOCUMENT, "metrics", table(["metric", "type", "labels", "meaning"],
                                          [[f"`{name}`", kind, labels(metrics, name), meaning] for name, meaning, kind in found]))


def test_alerts_are_documented():
    """Name, severity and delay of each rule, in the rules' order; the words are the document's own."""
    rules = re.findall(r"- alert: (\w+)\n(?:(?!- alert).*\n)*?(?:\s+for: (\w+)\n)?\s+labels: \{severity: (\w+)\}", RULES.read_text())
    documented = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \|", "\n".join(part(DOCUMENT, "alerts")), re.MULTILINE)
    assert documented == [(name, severity, delay or "at once") for name, delay, severity in rules]


def test_status_is_documented():
    """The names of the fields, as status_json.c writes them. Those in an object of their own stand in its meaning."""
    source = (ROOT / "spoa/core/status/status_json.c").read_text()
    written = set(re.findall(r'\(\s*json(?:, status)?, "([a-z][a-z-]*)"', source)) | set(re.findall(r'add_words\(json, "([a-z-]+)"', source))
    cells = [row.split(" | ") for row in part(DOCUMENT, "status") if row.startswith("| ")]
    fields, others = ({name for row in cells for cell in place(row) for name in re.findall(r"`([a-z][a-z-]*)`", cell)}
                      for place in (lambda row: row[:-1], lambda row: row[-1:]))
    assert len(written) > 80
    assert fields - written == set()
    assert written - fields - others == set()


def test_reasons_are_documented():
    reasons = [text for _, text in rows("spoa/core/decision/service_state.h", "SERVICE_REASONS") if text]
    assert len(reasons) > 10
    assert re.findall(r"^\| `(\S+)`", "\n".join(part(DOCUMENT, "reasons")), re.MULTILINE) == reasons


def test_paths_are_documented():
    source = (ROOT / "spoa/core/status/http_routes.c").read_text()
    routes = set(re.findall(r'\{"(/\S*)", respond_', source)) | set(re.findall(r'takes_prefix\(request->path, "(/\w+/)"', source))
    documented = re.findall(r"`(/\S*)`", "".join(row.split("|")[1] for row in part(DOCUMENT, "paths") if row.startswith("| `")))
    assert {re.sub(r"[A-Z].*", "", path) for path in documented} == routes
