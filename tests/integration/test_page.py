"""The status page in headless Chromium: through a failover, a split, a wrong password, with 200 services, and after the agent's
end; on a desk and on a phone, light and dark.

With SCREENSHOTS=folder in the environment the pictures of the documentation are kept there.
"""

import concurrent.futures
import os
import time
from pathlib import Path

import pytest
from browser import look, start_browser
from cluster import ROOT, Cluster
from fake_sentinel import FakeSentinel, error
from process import wait_until
from rig import SERVERS, Rig
from selenium.webdriver.common.by import By

DESK, PHONE = (1280, 900), (390, 844)
LOOKS = {"desk": (DESK, "light"), "phone": (PHONE, "light"), "desk-dark": (DESK, "dark"), "phone-dark": (PHONE, "dark")}
SIGNS = {"good": "\u25cf", "wait": "\u25b2", "bad": "\u2716"}
SIZE_MAX = 40_000  # bytes
TEXT_MIN = 11  # pixels
SERVICES = 200

# Texts that are seen, and are smaller than arguments[0] pixels on the screen.
SMALL_TEXTS = """
const small = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode, parent = node.parentElement;
  if (!node.nodeValue.trim() || ["SCRIPT", "STYLE", "NOSCRIPT"].includes(parent.tagName) || !parent.getClientRects().length) continue;
  const scale = parent.getScreenCTM ? parent.getScreenCTM().a : 1;
  if (parseFloat(getComputedStyle(parent).fontSize) * scale < arguments[0]) small.push(node.nodeValue);
}
return small;
"""

# The agent's answer, as arguments[0] changes it, a function of JavaScript. The page sees it from its next question on.
BEND = """
window.realFetch ||= window.fetch;
const change = eval(arguments[0]);
window.fetch = async (...words) => {
  const status = await (await realFetch(...words)).json();
  change(status);
  return new Response(JSON.stringify(status));
};
"""


@pytest.fixture(scope="module", name="chromium")
def start_chromium():
    browser = start_browser()
    yield browser
    browser.quit()


class Page:
    """The page of an agent."""

    def __init__(self, chromium, agent):
        self.chromium = chromium
        self.origin = f"http://{agent.listening('http')['address']}"
        self.look(*LOOKS["desk"])
        chromium.get(self.origin + "/")
        chromium.get_log("browser")  # what came before is the last test's

    def look(self, size, scheme):
        look(self.chromium, size, scheme)

    def run(self, script, *words):
        return self.chromium.execute_script(script, *words)

    def text(self, selector="#banner"):
        return self.run("const e = document.querySelector(arguments[0]); return e && !e.closest('[hidden]') ? e.innerText : '';", selector)

    def wait(self, *words, selector="#banner", timeout=20):
        wait_until(lambda: all(word in self.text(selector) for word in words), timeout, f"{selector} says {words}")

    def wait_for(self, script, what, *words):
        return wait_until(lambda: self.run(script, *words), 20, what)

    def wait_tone(self, tone):
        """The tab and the sentence over the page have it."""
        self.wait_for("return document.title[0] === arguments[0] && document.getElementById('banner').classList.contains(arguments[1]);",
                      f"tone {tone}", SIGNS[tone], tone)

    def polls(self):
        """How often the agent was asked so far."""
        return self.run("return performance.getEntriesByType('resource').filter(entry => entry.name.endsWith('/status')).length;")

    def wait_polls(self, count):
        goal = self.polls() + count
        wait_until(lambda: self.polls() >= goal, 30, f"{count} answers more")

    def bend(self, change):
        self.run(BEND, change)

    def straighten(self):
        self.run("window.fetch = window.realFetch;")

    def picture(self, name=None, keep=("desk", "phone")):
        """Keeps pictures, and shows that nothing is cut off and no text is too small at either width, in either scheme."""
        for kind, look in LOOKS.items():
            self.look(*look)
            assert not self.run("return document.documentElement.scrollWidth > window.innerWidth;"), f"{name} is too wide: {kind}"
            assert self.run(SMALL_TEXTS, TEXT_MIN) == [], kind
            if name and kind in keep and "SCREENSHOTS" in os.environ:
                self.chromium.save_screenshot(str(Path(os.environ["SCREENSHOTS"], f"{name}-{kind}.png")))
        self.look(*LOOKS["desk"])

    def check(self):
        """Nothing was asked of anybody else, and nothing went wrong in the page."""
        urls = self.run("return performance.getEntriesByType('resource').map(entry => entry.name);")
        assert urls and not [url for url in urls if not url.startswith((self.origin, "data:"))], urls
        errors = [entry["message"] for entry in self.chromium.get_log("browser") if entry["level"] == "SEVERE"]
        assert errors == [], errors


@pytest.fixture(scope="module", name="calm")
def start_calm():
    """An agent whose one service is well. Tests leave it as it was."""
    with Rig(agent="http = 127.0.0.1:0", sentinels="poll = 100ms") as rig:
        rig.wait_votes(3)
        yield rig


def test_size_and_sources():
    text = (ROOT / "spoa/core/status/status_page.html").read_text()
    assert len(text.encode()) < SIZE_MAX and text.isascii()
    for word in ("http://", "https://", "<link", "@import", "src="):
        for line in text.splitlines():
            assert word not in line or "http://www.w3.org/2000/svg" in line or 'href="data:' in line or 'src="status.txt"' in line, line
    assert '<noscript><iframe src="status.txt"' in text


def test_failover(chromium):
    with Cluster(recipe="runtime-api") as cluster, concurrent.futures.ThreadPoolExecutor(8) as clients:
        cluster.park = None
        cluster.start_redis()
        cluster.start_sentinels(down_after=5000)  # a slow machine must see the doubt, too
        cluster.start_agent()
        cluster.start_haproxy()
        cluster.wait_served()
        page = Page(chromium, cluster.agent)
        page.wait("R1 is the master", "3 of 3 votes")
        page.wait_tone("good")
        page.wait("sessions can be cut", selector="#peers")
        page.run("window.isTheSamePage = true;")
        page.picture("before")
        cluster.redis[0].kill()
        wait_until(lambda: cluster.agent.find_log(event="master-doubted"), 5, "the agent is in doubt")
        answers = [clients.submit(cluster.call, "SET", f"key{i}", "x", timeout=20) for i in range(8)]
        page.wait("R1 is not answering", "8 clients wait")
        page.wait("8\nclients wait", "longest wait", selector="#counts")
        page.wait_tone("wait")
        page.picture("doubted", keep=LOOKS)
        new = cluster.wait_failover(cluster.redis[0], 30)
        assert [answer.result() for answer in answers] == ["OK"] * 8
        page.wait(f"{new.name} is the master")
        page.wait(f"R1 \u2192 {new.name}", "8 clients waited", "nobody refused", selector="#events")
        page.wait("the first sign that R1 is in trouble", "a majority held it to be down", "its old sessions were cut", "the first client was served", selector="#broken")
        page.wait_tone("good")
        assert page.run("return window.isTheSamePage === true;"), "without a reload"
        page.wait_for("return document.getElementById('strip').getAttribute('aria-label').includes('1 outage');", "the day has the outage")
        assert page.run("return document.querySelectorAll('#strip .w').length;") == 1
        page.picture("named")
        page.check()


def facts(fake, flags, down_after=5000):
    host, port = SERVERS["R1"]
    fields = {"ip": host, "port": port, "flags": flags, "num-other-sentinels": 2, "quorum": 2, "down-after-milliseconds": down_after}
    fake.reply("SENTINEL MASTER", [str(word) for pair in fields.items() for word in pair])


def test_down_and_past_help(chromium):
    """A majority holds the master to be down, and no other is elected: after `park` clients are refused. While numbers run, what is
    read aloud stays, and so does what is selected."""
    with Rig(agent="http = 127.0.0.1:0", sentinels="poll = 100ms", service="park = 6s") as rig, concurrent.futures.ThreadPoolExecutor(1) as client:
        rig.wait_state("ok")
        page = Page(chromium, rig.agent)
        page.wait("R1 is the master")
        for fake in rig.fakes:
            facts(fake, "s_down,o_down,master")
        page.wait("R1 is down")
        client.submit(rig.ask)
        page.wait("R1 is down", "1 client waits")
        page.wait_tone("wait")
        page.wait("a majority holds it to be down", selector="#broken")
        picked = page.run("""
            window.changes = 0;
            new MutationObserver(list => { changes += list.length; }).observe(document.querySelector('[role=status]'),
              { subtree: true, childList: true, characterData: true });
            const walker = document.createTreeWalker(document.getElementById('broken'), NodeFilter.SHOW_TEXT);
            while (walker.nextNode() && !walker.currentNode.nodeValue.includes('127.0.0.1:'));
            getSelection().selectAllChildren(walker.currentNode.parentElement);
            return getSelection().toString();""")
        before = page.text("#counts")
        time.sleep(2)
        page.wait_polls(2)
        assert page.text("#counts") != before, "the numbers run"
        assert page.run("return window.changes;") == 0
        assert picked in page.run("return getSelection().toString();") and "127.0.0.1:" in picked
        page.wait("1\nrefused", selector="#counts")
        page.run("getSelection().removeAllRanges();")
        page.wait_tone("bad")
        page.picture("down")
        page.check()


def test_split(chromium):
    fakes = [FakeSentinel(SERVERS["R1"]), FakeSentinel(SERVERS["R2"]), FakeSentinel(("127.0.0.1", 7003))]
    with Rig(fakes=fakes, agent="http = 127.0.0.1:0", sentinels="poll = 100ms") as rig:
        rig.wait_state("no-quorum")
        page = Page(chromium, rig.agent)
        page.wait("The Sentinels disagree", "clients are refused")
        page.wait_tone("bad")
        said = page.run("return document.querySelector('#broken [role=img]').getAttribute('aria-label');")
        assert "names R1" in said and "names R2" in said and "names 127.0.0.1:7003" in said and "in no 'server' line" in said
        page.picture("split")
        page.check()


def test_wrong_password(chromium):
    """What the Sentinels say stands on the page, and what to do."""
    fakes = [FakeSentinel(SERVERS["R1"], password="right") for _ in range(3)]
    with Rig(fakes=fakes, agent="http = 127.0.0.1:0", sentinels="poll = 100ms\npassword = wrong") as rig:
        page = Page(chromium, rig.agent)
        page.wait("The Sentinels refuse us", "clients are refused")
        page.wait("WRONGPASS", selector="#broken")
        page.wait("sentinel-password", "Set 'password'", selector="#alarms")
        page.wait_tone("bad")
        page.picture("password")
        page.check()


def test_many_services(chromium):
    """The broken ones first and in full, a line for each of the others; an alarm of all of them is one paragraph; a line that moves
    keeps the focus; the filter."""
    names = [f"cache-{i:03}" for i in range(SERVICES)]
    more = "".join(f"[service {name}]\nserver = R1 127.0.0.1:7001\nserver = R2 127.0.0.1:7002\n{'park = 0' if name == 'cache-123' else ''}\n"
                   for name in names[1:])
    with Rig(agent="http = 127.0.0.1:0", sentinels="poll = 500ms", more=more) as rig:
        for fake in rig.fakes:
            fake.masters.update({name: SERVERS["R1"] for name in names[1:]})
            facts(fake, "master", down_after=30_000)
        rig.fakes[0].reply("SENTINEL GET-MASTER-ADDR-BY-NAME cache-123", error("ERR broken"))
        for fake in rig.fakes[1:]:
            fake.reply("SENTINEL GET-MASTER-ADDR-BY-NAME cache-123", None)
        page = Page(chromium, rig.agent)
        page.wait("cache-123", "know no master of this name")
        page.wait_tone("bad")
        page.wait("and 195 more", selector="#alarms")
        alarms = [text for text in page.run("return [...document.querySelectorAll('#alarms > li')].map(line => line.innerText);") if "'park' is shorter" in text]
        assert len(alarms) == 1, alarms
        broken, well = (page.run(f"return [...document.querySelectorAll('{where} details')].map(line => line.dataset.service);") for where in ("#broken", "#services"))
        assert broken == ["cache-123"] and len(well) == SERVICES - 1
        order = page.run("return ['broken', 'alarmed', 'listed'].map(id => document.getElementById(id).getBoundingClientRect().top);")
        assert order == sorted(order)
        page.picture("many")

        chromium.find_element(By.ID, "filter").send_keys("cache-07")
        lines = chromium.find_elements(By.CSS_SELECTOR, "#services details")
        wait_until(lambda: len([line for line in lines if line.is_displayed()]) == 10, 5, "ten are left")
        opened = chromium.find_element(By.CSS_SELECTOR, "[data-service=cache-077]")
        turned = "return getComputedStyle(document.querySelector('[data-service=cache-077] .turn')).transform;"
        assert page.run(turned) == "none"
        opened.find_element(By.TAG_NAME, "summary").send_keys("\n")
        page.wait_for("return document.querySelector('[data-service=cache-077]').open;", "the line opens")
        page.wait_polls(2)
        assert page.run(turned) != "none", "it can be seen that it is open"
        assert "Who names whom".upper() in opened.text.upper(), "it stays open"
        for fake in rig.fakes:
            fake.reply("SENTINEL GET-MASTER-ADDR-BY-NAME cache-077", None)
            fake.reply("SENTINEL GET-MASTER-ADDR-BY-NAME cache-150", None)
        page.wait("cache-077", selector="#broken")
        page.wait("cache-150", selector="#broken")  # the filter had hidden it
        assert page.run("return document.activeElement.tagName + document.activeElement.parentElement.dataset.service;") == "SUMMARYcache-077"
        for fake in rig.fakes:
            del fake.replies["SENTINEL GET-MASTER-ADDR-BY-NAME CACHE-077"]
            del fake.replies["SENTINEL GET-MASTER-ADDR-BY-NAME CACHE-150"]
        wait_until(lambda: "cache-077" not in page.text("#broken"), 20, "it is whole again")
        assert page.run("return document.activeElement.tagName + document.activeElement.parentElement.dataset.service;") == "SUMMARYcache-077"

        box = chromium.find_element(By.ID, "filter")
        box.clear()
        box.send_keys("names whom")  # in what is open, not in a line
        wait_until(lambda: not [line for line in lines if line.is_displayed()], 5, "none is left")
        starts = page.run("return performance.getEntriesByType('resource').filter(entry => entry.name.endsWith('/status')).map(entry => entry.startTime);")
        assert min(b - a for a, b in zip(starts, starts[1:])) >= 5 * SERVICES, "a large answer is asked for less often"
        page.check()


def test_tone_of_all_parts(chromium):
    """A master alone does not make the page green: clients of an unknown service are refused, and a reload failed."""
    with Rig(agent="http = 127.0.0.1:0", sentinels="poll = 100ms") as rig:
        rig.wait_votes(3)
        page = Page(chromium, rig.agent)
        page.wait_tone("good")
        rig.reload(("[service mymaster]", "[service mymaster]\nnonsense = 1"), event="reload-failed")
        page.wait_tone("wait")
        page.wait("the last reload failed", selector="#agent")
        rig.ask(service="stranger")
        page.wait_tone("bad")
        page.wait("unknown-service", selector="#alarms")
        page.wait_for("return document.querySelectorAll('#strip .b').length === 1;", "the day has it")
        page.wait("no outage", "but clients were refused", selector="#quarters")
        page.check()


def test_agent_gone_and_back(chromium):
    with Rig(agent="http = 127.0.0.1:0", sentinels="poll = 100ms") as rig:
        rig.wait_votes(3)
        page = Page(chromium, rig.agent)
        page.wait_tone("good")
        rig.agent.stop()
        page.wait("This page gets no answer from the agent", "HAProxy refuses new connections", "What is below is from", selector="#gone")
        page.wait_for("return document.title[0] === arguments[0];", "the tab shows it", SIGNS["bad"])
        page.picture()
        rig.agent.start()
        page.wait_tone("good")
        wait_until(lambda: page.text("#gone") == "", 5, "no alert is left")


NAMED_BY = """return {
  said: document.querySelector('#broken [role=img]').getAttribute('aria-label'),
  rings: [...document.querySelectorAll('#broken .ring .left')].map(ring => parseFloat(ring.getAttribute('stroke-dasharray')) > 0),
  edges: [...document.querySelectorAll('#broken .edges path')].map(edge => edge.getAttribute('class')),
  nodes: [...document.querySelectorAll('#broken .node')].map(node => node.classList[1]),
};"""


def test_a_vote_outlives_its_link(chromium, calm):
    """It counts for its life, and is shown as long."""
    page = Page(chromium, calm.agent)
    page.wait_tone("good")
    fault = "status => { Object.assign(status.services[0].sentinels[0], { fault: 'connection closed', 'fault-ms': 100, 'age-ms': %d }); }"
    page.bend(fault % 500)
    page.wait_for("return document.querySelector('#broken .under').innerText.includes('connection closed');", "the fault")
    seen = page.run(NAMED_BY)
    assert "names R1, but: connection closed" in seen["said"], seen
    assert seen["rings"] == [True] * 3 and seen["edges"] == ["good"] * 3, seen
    page.bend(fault % 5000)
    page.wait_for("return document.querySelectorAll('#broken .edges path').length === 2;", "it is over")
    seen = page.run(NAMED_BY)
    assert "does not vote: connection closed" in seen["said"] and seen["rings"] == [False, True, True], seen


def test_a_dissent(chromium, calm):
    """The alarm makes the service amber. Who names the master is right all the same."""
    page = Page(chromium, calm.agent)
    page.wait_tone("good")
    page.bend("""status => { const [one] = status.services; one.tone = 'wait'; one.nodes[0].says = 'master'; const { server, addr } = one.nodes[1]; Object.assign(one.sentinels[2], { server, addr }); }""")
    page.wait_for("return document.querySelector('#broken [role=img]').getAttribute('aria-label').includes('names R2');", "the dissent")
    seen = page.run(NAMED_BY)
    assert seen["edges"] == ["good", "good", "wait"] and seen["nodes"][:2] == ["good", "faint"], seen


def test_age(chromium, calm):
    """It is told where the agent is asked seldom: with many services."""
    page = Page(chromium, calm.agent)
    page.wait_tone("good")
    assert page.text("#age") == ""
    page.bend("status => { for (let i = 1; i < 500; i++) status.services.push({ ...status.services[0], service: 'x' + i }); }")
    page.wait("as of ", " UTC, 1 s ago", selector="#age")
    page.picture()


def test_no_answer_from_the_first(chromium, calm):
    script = chromium.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": "window.fetch = () => Promise.reject(new Error('cut off'));"})
    try:
        page = Page(chromium, calm.agent)
        page.wait("no answer", selector="#gone")
        assert "never" not in page.text("body") and "What is below" not in page.text("body")
    finally:
        chromium.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def test_error_in_the_page(chromium, calm):
    """What was true before goes away, and comes back."""
    page = Page(chromium, calm.agent)
    page.wait_tone("good")
    page.bend("status => { delete status.services[0].nodes; }")
    page.wait("This page has an error; reload it", "status.txt", selector="#error")
    assert page.text("main") == "" and chromium.title[0] == SIGNS["bad"]
    page.straighten()
    page.wait_tone("good")
    assert page.text("#error") == "" and "R1 is the master" in page.text()


def test_next_version(chromium, calm):
    """A page of the last version reloads itself."""
    page = Page(chromium, calm.agent)
    page.wait_tone("good")
    page.run("window.isTheSamePage = true;")
    page.bend("status => { status.version = 'next'; }")
    page.wait_for("return window.isTheSamePage !== true;", "it is another page")
    page.wait_tone("good")


def test_hidden_tab(chromium, calm):
    """The agent is asked seldom while nobody looks. The tab goes on to show the state."""
    page = Page(chromium, calm.agent)
    page.wait_tone("good")
    hide = "Object.defineProperty(document, 'hidden', { value: arguments[0], configurable: true }); document.dispatchEvent(new Event('visibilitychange'));"
    page.run(hide, True)
    page.wait_for("return !isAsking;", "no answer is on its way")
    before = page.polls()
    page.bend("status => { status.tone = 'bad'; }")
    page.wait_for("return document.title[0] === arguments[0];", "the tab says it", SIGNS["bad"])
    assert page.polls() <= before + 2
    page.run(hide, False)
    page.wait_polls(2)


def test_peers(chromium, calm):
    """The worst first, HAProxies among them; after 64 only how many are left."""
    page = Page(chromium, calm.agent)
    page.wait_tone("good")
    page.bend("""status => {
      const [peers, [one]] = [status.groups[0].sentinels, status.groups[0].sentinels];
      for (let i = 0; i < 97; i++) peers.push({ ...one, sentinel: 'sentinel-' + i });
      status.apis.push({ api: 'admin.sock', up: false, reason: '', owed: 0, alarms: [], tone: 'bad', sentence: 'it does not answer' });
    }""")
    page.wait("HAProxy admin.sock", selector="#peers li:first-child")
    assert page.run("return document.querySelectorAll('#peers li').length;") == 65
    assert page.text("#peers li:last-child") == "37 more, all well"
    page.bend("""status => { const [one] = status.groups[0].sentinels;
      for (let i = 0; i < 97; i++) status.groups[0].sentinels.push({ ...one, sentinel: 'sentinel-' + i, tone: 'bad', fault: 'gone' }); }""")
    page.wait("36 more, 33 of them not well", selector="#peers li:last-child")
    page.picture()


LONG = """status => {
  const one = status.services[0], name = 'redis-production-eu-west-1a-node-0001', addr = '[2001:db8:85a3:1234:5678:8a2e:370:7334]:6379';
  one.nodes[0] = { ...one.nodes[0], server: name, addr };
  one.server = name;
  one.addr = addr;
  one.sentinels.forEach((vote, i) => { vote.sentinel = '[2001:db8:85a3:1234:5678:8a2e:370:' + i + ']:26379'; vote.server = name; vote.addr = addr; });
  one.service = status['headline-service'] = 'the-cache-of-all-shopping-carts-of-the-shop-in-production';
}"""


def test_long_names(chromium, calm):
    """They are shortened in the middle, and are there in full."""
    page = Page(chromium, calm.agent)
    page.wait_tone("good")
    page.bend(LONG)
    page.wait("the-cache-of-all")
    page.picture()
    whole = page.run("return [...document.querySelectorAll('#broken [title]')].map(part => [part.title, part.innerText]);")
    assert any(title.startswith("[2001:db8:85a3:1234:5678:8a2e:370:0]:26379") and "\u2026" in text and "26379" in text for title, text in whole), whole
    assert any(title.startswith("redis-production-eu-west-1a-node-0001") and "\u2026" in text and "0001" in text for title, text in whole), whole


def test_nodes_that_vote(chromium, calm):
    """They are no Sentinels."""
    page = Page(chromium, calm.agent)
    page.wait_tone("good")
    page.bend("status => { status.services[0]['voters-are'] = 'nodes'; }")
    page.wait_for("return document.querySelector('#broken .ring text').textContent === 'N1';", "nodes")


def test_any_address(chromium):
    """A master that is named by its address alone is no stranger."""
    with Rig(fakes=[FakeSentinel(("127.0.0.1", 7003)) for _ in range(3)], agent="http = 127.0.0.1:0", service="allow-any-address = yes") as rig:
        rig.wait_votes(3)
        page = Page(chromium, rig.agent)
        page.wait("127.0.0.1:7003 is the master")
        page.wait_tone("good")
        named = "[...document.querySelectorAll('#broken .node')].find(node => node.innerText.includes('7003'))"
        page.wait_for(f"return {named} && {named}.className === 'node good';", "it is drawn as the master")
        assert page.run("return document.querySelectorAll('#broken .edges path').length;") == 3
        page.check()


def test_past_failover_without_a_doubt(chromium, calm):
    """How a failover began is what the agent says, and the mark of `park` has no width."""
    page = Page(chromium, calm.agent)
    page.wait_tone("good")
    page.bend("""status => {
      const at = status.now - 60000;
      status.services[0]['park-ms'] = 4000;
      status.switches = [{ service: 'mymaster', 'old-server': 'R2', 'new-server': 'R1', 'old-addr': '127.0.0.1:7002', 'new-addr': '127.0.0.1:7001',
        suspected: at, named: at + 5000, cut: null, 'first-answer': null, state: 'pending', reason: 'failover', sentence: 'it went well' }];
    }""")
    page.wait("R2 was no longer named", "a majority named R1", selector="#broken")
    assert "not answer" not in page.text("#broken") and "it went well" in page.text("#events")
    assert page.run("return document.querySelector('.bar .park').clientWidth;") == 0


def test_without_javascript(calm):
    """The text of /status.txt is what is seen."""
    browser = start_browser(**{"profile.managed_default_content_settings.javascript": 2})
    try:
        browser.get(f"http://{calm.agent.listening('http')['address']}/")
        assert "all services" not in browser.title and browser.title == "sentinel-spoa", "no script ran"
        frame = browser.find_element(By.TAG_NAME, "iframe")
        assert frame.is_displayed() and not browser.find_element(By.TAG_NAME, "main").is_displayed()
        browser.switch_to.frame(frame)
        wait_until(lambda: "R1 is the master" in browser.find_element(By.TAG_NAME, "body").text, 10, "the text is seen")
    finally:
        browser.quit()


def test_motion(chromium, calm):
    """Nothing moves for those who want it so."""
    page = Page(chromium, calm.agent)
    page.bend("status => { status.services.push({ ...status.services[0], service: 'second' }); }")
    moves = "const turn = document.querySelector('.turn'); return turn && getComputedStyle(turn).transitionDuration;"
    page.wait_for(moves, "a line is there")
    assert page.run(moves) != "0s"
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]})
    assert page.run(moves) == "0s"
