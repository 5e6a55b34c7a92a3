"""What grows with what: the cost of an answer, memory, CPU of an agent that nobody asks, the time to start."""

import contextlib
import time

import spop_client as spop
from bench import Echo, Setting, Table, compare, cpu_ns, median, ratio, resident_bytes, verdict, wait_idle
from field import Field

FLAT = 1.1
KIB = 1024
IDLE_S = 5
IDLE_SHARE = 0.5  # per cent
WAITING_CONNECTIONS = 10
START_S = 0.3


def tables():
    yield answer_cost()
    yield parked()
    yield idle()
    yield memory()


# ---- the cost of an answer ----

def cost(field, setting):
    """Processor time per answer in ns, and that against the baseline. What the agent does for itself all the time, polling,
    is not the answers'."""
    background = idle_share(field) / 100 * 1e9  # ns in a second
    with Echo(field.actions()) as echo:
        agent, other = compare(field.tcp, echo, setting)
    for one in agent:
        one["ns"] -= background / one["per_s"]
    return median(agent, "ns"), ratio(agent, other, "ns")


def answer_cost():
    """One thing grows at a time. The baseline is measured beside each, for the machine is not the same all the time."""
    table = Table("Cost of an answer as things grow: CPU time against the baseline, at 16 connections × 1, role-check = off",
                  ["what", "how many", "ns", "times the baseline", "against the smallest", "target", ""])

    def rows(what, numbers, measure_one):
        first = None
        for number in numbers:
            ns, times = measure_one(number)
            first = first or times
            table.add(what, f"{number:,}", f"{ns:,.0f}", f"{times:.2f}", f"{times / first:.2f}",
                      *(("", "") if number == numbers[0] else (f"≤ {FLAT}", verdict(times / first, FLAT))))

    rows("services, asked by turns", [1, 100, 10000], lambda number: with_field(number, 3, 0))
    rows("Sentinels", [3, 7, 15], lambda number: with_field(1, number, 0))
    rows("SPOP connections, all but 16 idle", [16, 1000, 5000], lambda number: with_field(1, 3, number - 16))
    rows("services, asked by turns, 16 × 32", [1, 100, 10000], lambda number: with_field(number, 3, 0, depth=32))
    return table


def with_field(services, sentinels, idle_connections, depth=1):
    with Field(sentinels=sentinels, services=services, agent="max-connections = 20000\n",
               service="role-check = off\n") as field:
        return cost(field, Setting(16, depth, services=services, idle=idle_connections))


# ---- parked streams ----

def park(field, clients, count):
    """So many NOTIFYs for a service that has no master."""
    for i in range(count):
        clients[i % len(clients)].send(spop.question("w0", i // len(clients) + 1))


def parked():
    table = Table("Parked streams", ["streams that wait", "cost of another service's answer, times the baseline",
                                     "against the smallest", "target", "", "CPU µs per stream that is answered at last"])
    first = None
    for count in (10, 1000, 10000):
        with contextlib.ExitStack() as stack:
            field = stack.enter_context(Field(waiting=1, service="park = 60s\n", agent="park-max = 10000\n"))
            clients = [stack.enter_context(spop.SpopClient(field.agent.address)) for _ in range(WAITING_CONNECTIONS)]
            for client in clients:
                client.hello()
            park(field, clients, count)
            _, times = cost(field, Setting(16, 1))
            first = first or times
            before = cpu_ns(field.agent.pid)
            field.fail_over()
            for i in range(count):
                assert clients[i % len(clients)].read().variables()["master"] == "B"
            released = (cpu_ns(field.agent.pid) - before) / count / 1000
            table.add(f"{count:,}", f"{times:.2f}", f"{times / first:.2f}",
                      *(("", "") if count == 10 else (f"≤ {FLAT}", verdict(times / first, FLAT))), f"{released:.1f}")
    return table


# ---- an agent that nobody asks ----

def idle_share(field, seconds=2):
    """Per cent of a CPU."""
    wait_idle(field.agent.pid, share=0.5)
    before, began = cpu_ns(field.agent.pid), time.monotonic_ns()
    time.sleep(seconds)
    return 100 * (cpu_ns(field.agent.pid) - before) / (time.monotonic_ns() - began)


def idle():
    table = Table("CPU of an agent that nobody asks, with 3 Sentinels polled every second",
                  ["services", "role-check", "per cent of a CPU", "target", ""])
    for services, check in ((1, "veto"), (1000, "off"), (1000, "veto")):
        with Field(services=services, service=f"role-check = {check}\n") as field:
            share = idle_share(field, IDLE_S)
        target = (f"< {IDLE_SHARE}", verdict(share, IDLE_SHARE)) if services == 1000 else ("", "")
        table.add(f"{services:,}", check, f"{share:.2f}", *target)
    return table


# ---- memory and start ----

def connections_row(table):
    """What 5,000 connections add that said HELLO and are asked nothing."""
    count = 5000
    with Field(agent="max-connections = 20000\n") as field, contextlib.ExitStack() as stack:
        before = resident_bytes(field.agent.pid)[1]
        for _ in range(count):
            stack.enter_context(spop.SpopClient(field.agent.address)).hello()
        each = (resident_bytes(field.agent.pid)[1] - before) / count / KIB
    table.add(f"an idle SPOP connection, of {count:,}", f"{each:.2f} KiB", "≤ 8 KiB", verdict(each, 8))


def small_row(table):
    """The agent of most people."""
    with Field(agent="http = 127.0.0.1:0\n") as field, contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(spop.SpopClient(field.agent.address)).hello()
        rss, own = (size / KIB / KIB for size in resident_bytes(field.agent.pid))
    table.add("all, with one service, 100 connections and the HTTP listener",
              f"{rss:.1f} MiB, {own:.1f} of it not shared with the files of libraries", "< 8 MiB", verdict(rss, 8))


def services_row(table, check, most):
    """What 10,000 services with two servers each add, a while after the start; and how long that took."""
    count, servers = 10000, 2
    with Field(service=f"role-check = {check}\n") as field:
        wait_idle(field.agent.pid)
        least = resident_bytes(field.agent.pid)[1]
    with Field(services=count, service=f"role-check = {check}\n") as field:
        wait_idle(field.agent.pid, share=0.6)
        time.sleep(IDLE_S)
        each = (resident_bytes(field.agent.pid)[1] - least) / count / KIB
        seconds = field.ready_s
    table.add(f"a service with {servers} servers, of {count:,}, role-check = {check}", f"{each:.2f} KiB", f"≤ {most} KiB",
              verdict(each, most))
    table.add(f"start with {count:,} services, role-check = {check}, until all are decided on", f"{seconds:.2f} s",
              f"< {START_S} s", verdict(seconds, START_S))


def memory():
    table = Table("Memory and start", ["what", "measured", "target", ""])
    small_row(table)
    connections_row(table)
    services_row(table, "off", 3)
    services_row(table, "veto", 6)
    return table
