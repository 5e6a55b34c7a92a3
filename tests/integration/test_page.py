"""The status page in headless Chromium, through a real failover and the agent's end.

With SCREENSHOT=file.png in the environment the page is kept as it looks after the failover.
"""

import os

from cluster import Cluster
from process import wait_until
from selenium import webdriver
from selenium.webdriver.common.by import By

PHONE, DESK = (375, 800), (1100, 820)


def browser():
    options = webdriver.ChromeOptions()
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options)


def text_of(page, selector):
    return page.execute_script("const e = document.querySelector(arguments[0]); return e ? e.textContent : '';", selector)


def outside_requests(page, origin):
    """Addresses that the page asked which are not the agent's."""
    urls = page.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name);")
    return [url for url in urls if not url.startswith((origin, "data:"))]


def is_wide(page):
    """Whether the page is wider than the screen: a reader on a phone would have to scroll sideways."""
    return page.execute_script("return document.documentElement.scrollWidth > window.innerWidth;")


def see_failover(cluster, page):
    origin = f"http://{cluster.agent.listening('http')['address']}"
    page.set_window_size(*DESK)
    page.get(origin + "/")
    master = "section[data-service=mymaster] .master"
    wait_until(lambda: text_of(page, master) == "R1", 15, "the page shows R1")
    page.execute_script("window.isTheSamePage = true;")
    assert text_of(page, "#agent").startswith("ready"), "the agent is ready"
    assert len(page.find_elements(By.CSS_SELECTOR, "section[data-service=mymaster] table:not(.nodes) tr")) == 4, "a row for each Sentinel"
    cluster.redis[0].kill()
    new = cluster.wait_failover(cluster.redis[0], 30)
    wait_until(lambda: text_of(page, master) == new.name, 10, "the page shows the new master")
    assert page.execute_script("return window.isTheSamePage === true;"), "without a reload"
    cluster.call("PING")
    wait_until(lambda: text_of(page, "#switches").count("+") >= 2, 10, "the switch is in the timeline")
    if os.environ.get("SCREENSHOT"):
        page.save_screenshot(os.environ["SCREENSHOT"])
    page.set_window_size(*PHONE)
    assert not is_wide(page), "no sideways scrolling on a phone"
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
    assert page.execute_script("return getComputedStyle(document.body).backgroundColor;") == "rgb(18, 22, 28)", "dark in the dark"
    assert outside_requests(page, origin) == [], "nothing is asked of anybody else"
    errors = [entry["message"] for entry in page.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == [], f"no errors in the console {errors}"
    cluster.agent.stop()
    wait_until(lambda: page.execute_script("return document.body.classList.contains('is-gone');"), 15, "the agent is gone")
    assert page.find_element(By.ID, "gone").is_displayed(), "the page says that the agent is gone"


def test_status_page():
    with Cluster(recipe="runtime-api") as cluster:
        cluster.park = "8s"
        cluster.start_redis()
        cluster.start_sentinels(down_after=2500)
        cluster.start_agent()
        cluster.start_haproxy()
        cluster.wait_served()
        page = browser()
        try:
            see_failover(cluster, page)
        finally:
            page.quit()
