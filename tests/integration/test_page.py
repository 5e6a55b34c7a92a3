"""The status page in headless Chromium: through a failover, a split, a wrong password, with 200 services, and after the agent's
end; on a desk and on a phone, light and dark.

With SCREENSHOTS=folder in the environment the pictures of the documentation are kept there.
"""

import concurrent.futures
import os
from pathlib import Path

import pytest
from cluster import ROOT, Cluster
from fake_sentinel import FakeSentinel, error
from process import wait_until
from rig import SERVERS, Rig
from selenium import webdriver
from selenium.webdriver.common.by import By

DESK, PHONE = (1280, 900), (390, 844)
SIZE_MAX = 40_000  # bytes
SERVICES = 200


@pytest.fixture(scope="module", name="chromium")
def start_chromium():
    options = webdriver.ChromeOptions()
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options)
    yield browser
    browser.quit()


class Page:
    """The page of an agent."""

    def __init__(self, chromium, agent):
        self.chromium = chromium
        self.origin = f"http://{agent.listening('http')['address']}"
        self.look(DESK, "light")
        chromium.get(self.origin + "/")
        chromium.get_log("browser")  # what came before is the last test's

    def look(self, size, scheme):
        self.chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False})
        self.chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def run(self, script, *words):
        return self.chromium.execute_script(script, *words)

    def text(self, selector="#banner"):
        return self.run("const e = document.querySelector(arguments[0]); return e ? e.innerText : '';", selector)

    def wait(self, *words, selector="#banner"):
        wait_until(lambda: all(word in self.text(selector) for word in words), 20, f"{selector} says {words}; it says {self.text(selector)!r}")

    def tone(self):
        """Of the tab and of the sentence over the page, which must agree: good, wait or bad."""
        signs = {"\u25cf": "good", "\u25b2": "wait", "\u2716": "bad"}
        return signs[self.chromium.title[0]], self.run("return document.querySelector('#banner > div').className.split(' ')[1];")

    def picture(self, name, **looks):
        """Keeps a picture, and shows that nothing is cut off at either width, in either scheme."""
        for kind, (size, scheme) in {"desk": (DESK, "light"), "phone": (PHONE, "dark"), **looks}.items():
            self.look(size, scheme)
            assert not self.run("return document.documentElement.scrollWidth > window.innerWidth;"), f"{name} is too wide"
            if "SCREENSHOTS" in os.environ:
                self.chromium.save_screenshot(str(Path(os.environ["SCREENSHOTS"], f"{name}-{kind}.png")))
        self.look(DESK, "light")

    def check(self):
        """Nothing was asked of anybody else, and nothing went wrong in the page."""
        urls = self.run("return performance.getEntriesByType('resource').map(entry => entry.name);")
        assert urls and not [url for url in urls if not url.startswith((self.origin, "data:"))], urls
        errors = [entry["message"] for entry in self.chromium.get_log("browser") if entry["level"] == "SEVERE"]
        assert errors == [], errors


def test_size_and_sources():
    text = (ROOT / "spoa/core/status/status_page.html").read_text()
    assert len(text.encode()) < SIZE_MAX
    for word in ("http://", "https://", "<link", "@import", "src="):
        for line in text.splitlines():
            assert word not in line or "http://www.w3.org/2000/svg" in line or 'href="data:' in line or 'src="status.txt"' in line, line
    assert '<noscript><iframe src="status.txt"' in text


def test_failover(chromium):
    with Cluster(recipe="runtime-api") as cluster, concurrent.futures.ThreadPoolExecutor(8) as clients:
        cluster.park = None
        cluster.start()
        page = Page(chromium, cluster.agent)
        page.wait("R1 is the master", "3 of 3 votes")
        assert page.tone() == ("good", "good")
        page.run("window.isTheSamePage = true;")
        page.picture("before")
        cluster.redis[0].kill()
        wait_until(lambda: cluster.agent.find_log(event="master-doubted"), 5, "the agent is in doubt")
        answers = [clients.submit(cluster.call, "SET", f"key{i}", "x", timeout=20) for i in range(8)]
        page.wait("R1 is not answering: clients wait", "8 clients wait")
        assert page.tone() == ("wait", "wait")
        page.picture("doubted")
        new = cluster.wait_failover(cluster.redis[0], 30)
        assert [answer.result() for answer in answers] == ["OK"] * 8
        page.wait(f"{new.name} is the master")
        page.wait(f"R1 \u2192 {new.name}", "8 clients waited", "nobody refused", selector="#events")
        page.wait("its old sessions were cut", "the first client was served", selector="#broken")
        assert page.tone() == ("good", "good")
        assert page.run("return window.isTheSamePage === true;"), "without a reload"
        assert "outage" in page.run("return document.getElementById('strip').getAttribute('aria-label');")
        page.picture("named")
        page.check()
        cluster.agent.stop()
        wait_until(lambda: page.run("return document.body.classList.contains('is-gone');"), 15, "the agent is gone")
        assert chromium.find_element(By.ID, "gone").is_displayed()
        assert chromium.title[0] == "\u2716"


def facts(fake, flags):
    host, port = SERVERS["R1"]
    fields = {"ip": host, "port": port, "flags": flags, "num-other-sentinels": 2, "quorum": 2, "down-after-milliseconds": 5000}
    fake.reply("SENTINEL MASTER", [str(word) for pair in fields.items() for word in pair])


def test_down_and_past_help(chromium):
    """A majority holds the master to be down, and no other is elected: after `park` clients are refused."""
    with Rig(agent="http = 127.0.0.1:0", sentinels="poll = 100ms", service="park = 2s") as rig:
        rig.wait_state("ok")
        page = Page(chromium, rig.agent)
        page.wait("R1 is the master")
        for fake in rig.fakes:
            facts(fake, "s_down,o_down,master")
        page.wait("R1 is down: clients wait")
        assert page.tone() == ("wait", "wait")
        page.wait("a majority holds it to be down", selector="#broken")
        page.wait("R1 is down", "clients are refused")
        assert page.tone() == ("bad", "bad")
        page.picture("down")
        page.check()


def test_split(chromium):
    fakes = [FakeSentinel(SERVERS["R1"]), FakeSentinel(SERVERS["R2"]), FakeSentinel(("127.0.0.1", 7003))]
    with Rig(fakes=fakes, agent="http = 127.0.0.1:0", sentinels="poll = 100ms") as rig:
        rig.wait_state("no-quorum")
        page = Page(chromium, rig.agent)
        page.wait("The Sentinels disagree: clients are refused")
        assert page.tone() == ("bad", "bad")
        said = page.run("return document.querySelector('#broken svg').getAttribute('aria-label');")
        assert "names R1" in said and "names R2" in said and "names 127.0.0.1:7003" in said and "in no 'server' line" in said
        page.picture("split")
        page.check()


def test_wrong_password(chromium):
    """What the Sentinels say stands on the page, and what to do."""
    fakes = [FakeSentinel(SERVERS["R1"], password="right") for _ in range(3)]
    with Rig(fakes=fakes, agent="http = 127.0.0.1:0", sentinels="poll = 100ms\npassword = wrong") as rig:
        page = Page(chromium, rig.agent)
        page.wait("The Sentinels refuse us: clients are refused")
        page.wait("WRONGPASS", selector="#broken")
        page.wait("sentinel-password", "Set 'password'", selector="#alarms")
        assert page.tone() == ("bad", "bad")
        page.picture("password")
        page.check()


def test_many_services(chromium):
    """The broken ones first and in full, a line for each of the others; a line opens and stays open; the filter."""
    names = [f"cache-{i:03}" for i in range(SERVICES)]
    more = "".join(f"[service {name}]\npark = 0\nserver = R1 127.0.0.1:7001\nserver = R2 127.0.0.1:7002\n" for name in names[1:])
    with Rig(agent="http = 127.0.0.1:0", sentinels="poll = 500ms", more=more) as rig:
        for fake in rig.fakes:
            fake.masters.update({name: SERVERS["R1"] for name in names[1:]})
        rig.fakes[0].reply("SENTINEL GET-MASTER-ADDR-BY-NAME cache-123", error("ERR broken"))
        for fake in rig.fakes[1:]:
            fake.reply("SENTINEL GET-MASTER-ADDR-BY-NAME cache-123", None)
        page = Page(chromium, rig.agent)
        page.wait("cache-123", "know no master of this name")
        assert page.tone() == ("bad", "bad")
        lines = chromium.find_elements(By.CSS_SELECTOR, "#services details")
        assert len(lines) == SERVICES and "cache-123" in lines[0].text
        page.picture("many")
        chromium.find_element(By.ID, "filter").send_keys("cache-07")
        wait_until(lambda: len([line for line in lines if line.is_displayed()]) == 10, 5, "ten are left")
        opened = next(line for line in lines if "cache-077" in line.text)
        opened.find_element(By.TAG_NAME, "summary").send_keys("\n")
        before = page.run("return performance.getEntriesByType('resource').length;")
        wait_until(lambda: page.run("return performance.getEntriesByType('resource').length;") > before + 2, 15, "new data")
        assert "Who names whom".upper() in opened.text.upper(), "it stays open"
        assert page.run("return document.activeElement.tagName;") == "SUMMARY", "and keeps the focus"
        page.check()
