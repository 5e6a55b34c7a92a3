"""How long an answer takes while many scrape /metrics at once, and while one client after the other gets pages of 10,000 services:
beside the same agent that nobody scrapes, and beside the baseline.

The agent, the baseline and what asks them have a real-time priority: what else runs on the machine does not count as theirs. Those
who scrape have none."""

import contextlib
import http.client
import multiprocessing
import os
import time

import spop_client as spop
from bench import CLIENT_CPU, SECONDS, Echo, Table, resident_bytes, verdict, wait_idle
from field import Field
from stalls import longest_bound, stalls

SERVICES = 1000
SCRAPERS = 60
PAUSE_S = 0.0005  # between two questions: the kernel lets nobody have a CPU for himself in real time
WATCH_S = max(5.0, 12 * SECONDS)
LONGEST_MS = 10
MANY = 10000
PAGES = ["/metrics", "/status", "/status.txt", "/explain.txt", "/readyz", "/master/s09999"]


def hurry(pid, priority):
    with contextlib.suppress(PermissionError):
        # Not for the programs that it starts.
        os.sched_setscheduler(pid, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK if priority else os.SCHED_OTHER, os.sched_param(priority))


def scrape(address, path, count, ending):
    """So many clients in one process: each asks, takes the whole page and asks again, all at the same time."""
    hurry(0, 0)
    os.sched_setaffinity(0, {CLIENT_CPU})
    while not ending.is_set():
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError, http.client.HTTPException):
            clients = [http.client.HTTPConnection(address, timeout=20) for _ in range(count.value)]
            for client in clients:
                stack.callback(client.close)
                client.request("GET", path)
            for client in clients:
                client.getresponse().read()
                with scrape.done.get_lock():
                    scrape.done.value += 1


class Scrapers:
    """By `with`: so many clients in a few processes, so that they take what comes as fast as one CPU can."""

    def __init__(self, address, path="/metrics", count=SCRAPERS, processes=4):
        self.ending = multiprocessing.Event()
        scrape.done = multiprocessing.Value("L", 0)
        each = multiprocessing.Value("L", count // processes)
        self.processes = [multiprocessing.Process(target=scrape, args=(address, path, each, self.ending)) for _ in range(processes)]

    def __enter__(self):
        for process in self.processes:
            process.start()
        return self

    def __exit__(self, *exc):
        self.ending.set()
        for process in self.processes:
            process.join(30)
            process.kill()

    def done(self):
        return scrape.done.value


def ask_for(client, question, end):
    """Asks until then; how long each answer took, in ms."""
    took = []
    while time.monotonic() < end:
        begun = time.monotonic()
        client.send(question)
        client.expect(spop.ACK)
        took.append((time.monotonic() - begun) * 1000)
        time.sleep(PAUSE_S)
    return took


def ask(address, service, seconds=WATCH_S):
    """How long each answer to one client took, in ms, sorted."""
    with spop.SpopClient(address) as client:
        client.hello()
        return sorted(ask_for(client, spop.question(service), time.monotonic() + seconds))


def tables():
    yield storm()
    yield pages()


def storm():
    table = Table(f"Latency of an answer while {SCRAPERS} clients scrape /metrics of {SERVICES:,} services, each again and again",
                  ["", "answers", "p50 ms", "p99.9 ms", "longest, ms", "target", "", "scrapes", "resident"])

    def row(name, took, target="", met="", scrapes="", resident=""):
        table.add(name, f"{len(took):,}", f"{took[len(took) // 2]:.2f}", f"{took[-len(took) // 1000 - 1]:.2f}", f"{took[-1]:.2f}",
                  target, met, scrapes, resident)
    with contextlib.ExitStack() as stack:
        field = stack.enter_context(Field(services=SERVICES, agent="http = 127.0.0.1:0\n"))
        echo = stack.enter_context(Echo(field.actions()))
        wait_idle(field.agent.pid)
        for pid in (field.agent.pid, echo.pid):
            hurry(pid, 1)
        hurry(0, 2)
        row("baseline", ask(echo.address, "s00000"))
        row("agent, nobody scrapes", ask(field.tcp.address, "s00000"), resident=f"{resident_bytes(field.agent.pid)[0] >> 20} MiB")
        with Scrapers(field.agent.http_address) as scrapers:
            took = ask(field.tcp.address, "s00000")
            row("agent, scraped", took, f"< {LONGEST_MS} ms", verdict(took[-1], LONGEST_MS), scrapers.done(),
                f"{resident_bytes(field.agent.pid)[0] >> 20} MiB")
            row("baseline, beside it", ask(echo.address, "s00000"))
        hurry(0, 0)
    return table


def pages():
    table = Table(f"Latency of an answer while one client gets a page of {MANY:,} services again and again",
                  ["page", "longest answers, ms", "target", "", "the baseline's, beside it", "nobody asks", "longest turn of the loop", "pages"])
    with contextlib.ExitStack() as stack:
        field = stack.enter_context(Field(services=MANY, agent="http = 127.0.0.1:0\n"))
        echo = stack.enter_context(Echo(field.actions()))
        wait_idle(field.agent.pid, share=0.6)
        for pid in (field.agent.pid, field.said.pid, echo.pid):
            hurry(pid, 1)
        hurry(0, 2)
        for page in PAGES:
            base, calm = longest(echo.address), longest(field.tcp.address)
            before = stalls(field)
            with Scrapers(field.agent.http_address, page, 1, 1) as scrapers:
                took = longest(field.tcp.address)
                done = scrapers.done()
            table.add(page, " ".join(f"{ms:.1f}" for ms in took), f"< {LONGEST_MS} ms", verdict(took[0], LONGEST_MS),
                      " ".join(f"{ms:.1f}" for ms in base), " ".join(f"{ms:.1f}" for ms in calm),
                      longest_bound(before, stalls(field)), done)
        hurry(0, 0)
    return table


def longest(address):
    """The three longest answers, in ms."""
    return ask(address, "s00000")[:-4:-1]
