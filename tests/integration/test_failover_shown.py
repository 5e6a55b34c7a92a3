"""A failover as an operator sees it: the agent's log, HAProxy's log, `explain` and the page. spoa/doc/failover.md shows one,
and what it shows must look like what the programs print. Its text, logs and pictures are of one failover (see lib/shown.py).
"""

import datetime
import re
import time

import pytest
import shown
from cluster import Cluster
from load import Load
from process import parse_logfmt, wait_until
from resp import Resp
from rig import run_agent
from test_page import DESK, Page, start_chromium

PARTS = ("steps", "log", "haproxy", "explain")
WAITS = 1000  # ms; a client that had to wait for the new master waited longer
# The events of a failover, with what they mean for clients.
STEPS = {
    "master-doubted": "The agent's own link to {old} breaks. New connections wait from now on.",
    "state-change": "A majority of the Sentinels holds {old} to be down. New connections go on waiting.",
    "master-switch": "A majority names {new}. All waiting clients are answered, and HAProxy is told to cut the old sessions.",
    "sessions-cut": "HAProxy has confirmed that no session to {old} is left. The first cut had come after {first-ms} ms.",
}
chromium = start_chromium


def is_shown(fields):
    """Of the lines about the failover those that come in every one: the state may be another one for a moment."""
    return fields.get("event") in STEPS and fields.get("new") in (None, "down") or fields.get("event") == "master-switch"


def when(fields):
    """Of a line of the agent's log, in seconds since the epoch."""
    return datetime.datetime.fromisoformat(fields["ts"].replace("Z", "+00:00")).timestamp()


class Failover:
    """The failover, and what was printed of it: a list of lines for each part of the document."""

    def __init__(self, cluster, browser):
        self.cluster = cluster
        self.page = Page(browser, cluster.agent)
        self.browser = browser
        self.killed = 0.0
        self.parts = {}

    def picture(self, name):
        self.page.look(DESK, "light")
        if shown.destination():
            self.browser.save_screenshot(str(shown.destination().parent / "pictures" / f"{name}.png"))

    def run(self):
        """Two clients that connect for each write, and one that stays connected and is silent."""
        cluster = self.cluster
        with Resp(cluster.haproxy.address) as session, Load(cluster.haproxy.address, 2, pause=0.2):
            assert session.call("PING") == "PONG"
            wait_until(lambda: cluster.redis[0].call("DBSIZE") > 20, 20, "some writes")
            mark = cluster.agent.mark()
            self.killed = time.time()
            cluster.redis[0].kill()
            self.page.wait("2 clients wait")
            if shown.destination():
                time.sleep(1.5)
                self.picture("failover-waits")
                assert not cluster.agent.find_log(event="master-switch", since=mark), "the picture is of the time before"
            cluster.agent.wait_log(event="sessions-cut", server="R1", since=mark, timeout=30)
            new = cluster.named()
            wait_until(lambda: new.call("DBSIZE") > 40, 20, "more writes")
            self.page.wait(f"{new.name} is the master")
            self.page.wait("nobody refused", selector="#events")
            self.picture("failover-over")
            explain = run_agent("-f", cluster.agent.config_path, "explain").stdout.splitlines()
        lines = [line for line in cluster.agent.log_text(mark).splitlines() if is_shown(parse_logfmt(line))]
        self.parts["log"] = self.told(lines)
        self.parts["steps"] = self.steps([parse_logfmt(line) for line in lines])
        self.parts["haproxy"] = self.told(self.haproxy_lines(new))
        self.parts["explain"] = ["```", explain[0], "[...]", explain[-1], "```"]

    def told(self, lines):
        return ["```", *(line.replace(str(self.cluster.directory), "/run/haproxy") for line in lines), "```"]

    def steps(self, events):
        first = {}
        for fields in events:
            first.setdefault(fields["event"], fields)
        switch = first["master-switch"]
        names = {"old": switch["old-server"], "new": switch["new-server"], **first["sessions-cut"]}
        rows = [("0", f"{names['old']} is killed (`kill -9`).", "")]
        for event, text in STEPS.items():
            rows.append((f"{(when(first[event]) - self.killed) * 1000:+.0f}", text.format(**names), f"`{event}`"))
        return ["| ms | what happens | in the log |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]

    def haproxy_lines(self, new):
        """One client each: cut, waited, served after."""
        lines = [line for line in self.cluster.haproxy.log_text().splitlines() if " fe_redis be_redis/" in line]
        waited = {line: int(re.search(r" (\d+)/\d+/\d+ ", line)[1]) for line in lines}
        cut = next(line for line in lines if " K- " in line)
        late = [line for line in lines if f"/{new.name} " in line]
        return [cut, next(line for line in late if waited[line] > WAITS), next(line for line in late if waited[line] < WAITS)]


def shape(part, lines):
    """Of the agent's log the fields of each event, for events may come in another order; else all words."""
    if part != "log":
        return shown.masked(lines)
    return {fields["event"]: list(fields) for fields in map(parse_logfmt, lines) if fields}


@pytest.fixture(scope="module", name="failover")
def see_one(chromium):
    with Cluster(recipe="runtime-api") as cluster:
        cluster.park = None
        cluster.redis[1].extra = "replica-priority 1"  # the Sentinels prefer it
        cluster.start()
        failover = Failover(cluster, chromium)
        failover.run()
        for part, lines in failover.parts.items():
            shown.put(part, lines)
        yield failover


@pytest.mark.parametrize("part", PARTS)
def test_the_document_shows_what_is_printed(failover, part):
    assert shape(part, shown.kept(part)) == shape(part, failover.parts[part])


def test_the_document_shows_one_failover():
    """Each part has the numbers of the others."""
    log = {fields["event"]: fields for fields in map(parse_logfmt, shown.kept("log")) if fields}
    haproxy = shown.kept("haproxy")
    switch = log["master-switch"]
    waits = [int(number) for number in re.findall(r" (\d+)/\d+/\d+ ", "\n".join(haproxy))]
    assert 0 <= int(switch["outage-ms"]) - max(waits) < 1000 and switch["refused"] == "0"
    assert any(f"master={switch['new-server']} " in line and f"port={switch['new'].rpartition(':')[2]} " in line for line in haproxy)
    took = when(switch) - when(log["master-doubted"])
    steps = {event: int(ms) for ms, event in re.findall(r"^\| ([-+]\d+) \|.*`(.*)` \|$", "\n".join(shown.kept("steps")), re.MULTILINE)}
    assert abs(steps["master-switch"] - steps["master-doubted"] - took * 1000) < 2
