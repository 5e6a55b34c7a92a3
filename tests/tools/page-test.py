#!/usr/bin/python3
"""make page-test: the status page in headless Chromium, through a real failover and the agent's end.

With SCREENSHOT=file.png the page is kept as it looks after the failover. Exit code 1 where something is not as it should be.
"""

import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from cluster import Cluster  # noqa: E402
from process import wait_until  # noqa: E402
from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402

PHONE, DESK = (375, 800), (1100, 820)


def browser():
    options = webdriver.ChromeOptions()
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options)


def text_of(page, selector):
    return page.execute_script("const e = document.querySelector(arguments[0]); return e ? e.textContent : '';", selector)


def check(condition, what):
    print(f"{'ok' if condition else 'FAILED'}: {what}", flush=True)
    if not condition:
        sys.exit(1)


def outside_requests(page, origin):
    """Addresses that the page asked which are not the agent's."""
    urls = page.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name);")
    return [url for url in urls if not url.startswith((origin, "data:"))]


def is_wide(page):
    """Whether the page is wider than the screen: a reader on a phone would have to scroll sideways."""
    return page.execute_script("return document.documentElement.scrollWidth > window.innerWidth;")


def watch(cluster, page):
    origin = f"http://{cluster.agent.listening('http')['address']}"
    page.set_window_size(*DESK)
    page.get(origin + "/")
    master = "section[data-service=mymaster] .master"
    wait_until(lambda: text_of(page, master) == "R1", 15, "the page shows R1")
    page.execute_script("window.isTheSamePage = true;")
    check(text_of(page, "#agent").startswith("ready"), "the agent is ready")
    check(len(page.find_elements(By.CSS_SELECTOR, "section[data-service=mymaster] tr")) == 4, "a row for each Sentinel")
    cluster.redis[0].kill()
    new = cluster.wait_failover(cluster.redis[0], 30)
    wait_until(lambda: text_of(page, master) == new.name, 10, "the page shows the new master")
    check(page.execute_script("return window.isTheSamePage === true;"), "without a reload")
    cluster.call("PING")
    wait_until(lambda: text_of(page, "#switches").count("+") >= 2, 10, "the switch is in the timeline")
    if os.environ.get("SCREENSHOT"):
        page.save_screenshot(os.environ["SCREENSHOT"])
    page.set_window_size(*PHONE)
    check(not is_wide(page), "no sideways scrolling on a phone")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
    check(page.execute_script("return getComputedStyle(document.body).backgroundColor;") == "rgb(18, 22, 28)", "dark in the dark")
    check(outside_requests(page, origin) == [], "nothing is asked of anybody else")
    errors = [entry["message"] for entry in page.get_log("browser") if entry["level"] == "SEVERE"]
    check(errors == [], f"no errors in the console {errors}")
    cluster.agent.stop()
    wait_until(lambda: page.execute_script("return document.body.classList.contains('is-gone');"), 15, "the agent is gone")
    check(page.find_element(By.ID, "gone").is_displayed(), "the page says that the agent is gone")


def main():
    with Cluster(recipe="runtime-api") as cluster:
        cluster.park = "8s"
        cluster.start_redis()
        cluster.start_sentinels(down_after=2500)
        cluster.start_agent({"listen = 127.0.0.1:9012\n": "listen = 127.0.0.1:9012\nhttp = 127.0.0.1:0\n"})
        cluster.start_haproxy(spoe_edits={"timeout processing 5s": "timeout processing 10s"})
        cluster.wait_served()
        page = browser()
        try:
            watch(cluster, page)
        finally:
            page.quit()


if __name__ == "__main__":
    main()
