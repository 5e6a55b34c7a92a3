"""What the question costs a client: connections a second through HAProxy with the agent, with the baseline in its place,
and with a server that is always the same. HAProxy, the agent and the baseline share the first CPU."""

import contextlib
import statistics

from bench import ROUNDS, SERVER_CPU, Echo, Table, ask, cpu_ns, pin, verdict
from cluster import HOST, SHIPPED, HAProxy, edited
from field import Field
from process import free_ports

CLIENTS = 32
SECONDS = 1.0
WAYS = ("agent", "baseline", "static")
WITHIN = 0.97

PROXY = """\
global
    log stdout format raw local0 err
    maxconn 4000
    nbthread 1

defaults
    mode tcp
    timeout connect 500ms
    timeout client 1m
    timeout server 1m
    retries 0
"""

ASKING = """
frontend fe_{way}
    bind {bind}
    filter spoe engine sentinel config {directory}/{way}.conf
    tcp-request content reject unless {{ var(txn.redis.master) -m found }}
    default_backend be_{way}

backend be_{way}
    default-server weight 0
    use-server %[var(txn.redis.master)] if {{ var(txn.redis.master) -m found }}
    server A {node}
    server B {other}

backend be_{way}_agent
    mode tcp
    timeout connect 200ms
    timeout server 3m
    server agent1 {agent}
"""

STATIC = """
frontend fe_static
    bind {bind}
    default_backend be_static

backend be_static
    server A {node}
"""


def haproxy_config(field, agents, ports):
    """The three ways side by side; also writes their spoe.conf files."""
    node_port = field.said.lines[-1]
    words = {"directory": field.directory, "node": f"127.16.0.0:{node_port}", "other": f"127.17.0.0:{node_port}"}
    text = PROXY
    for way, agent in agents.items():
        text += ASKING.format(way=way, bind=f"{HOST}:{ports[way]}", agent=agent, **words)
        spoe = edited((SHIPPED / "spoe.conf").read_text(), {" if { nbsrv(be_sentinel_spoa) ge 1 } or { stopping }": "",
                                                            "str(mymaster)": "str(s00000)"}, "spoe.conf")
        (field.directory / f"{way}.conf").write_text(spoe.replace("be_sentinel_spoa", f"be_{way}_agent"))
    return text + STATIC.format(bind=f"{HOST}:{ports['static']}", **words)


def measure():
    """The rounds of each way: what connect.c says, with the processor time of all that serves."""
    with contextlib.ExitStack() as stack:
        field = stack.enter_context(Field())
        echo = stack.enter_context(Echo(field.actions()))
        ports = dict(zip(WAYS, free_ports(len(WAYS))))
        proxy = HAProxy(field.directory, ports["static"])
        proxy.config_path.write_text(haproxy_config(field, {"agent": field.agent.address, "baseline": echo.address}, ports))
        proxy.start()
        stack.callback(proxy.stop)
        worker = int(open(f"/proc/{proxy.pid}/task/{proxy.pid}/children").read().split()[0])
        pin(worker, SERVER_CPU)
        pids = {"agent": field.agent.pid, "baseline": echo.pid, "static": worker}
        rounds = {way: [] for way in WAYS}
        for i in range(ROUNDS + 1):
            for way in WAYS[i % 3:] + WAYS[:i % 3]:
                before = cpu_ns(pids[way])
                result = ask("connect", f"{HOST}:{ports[way]}", CLIENTS, SECONDS)
                result["ns"] = (cpu_ns(pids[way]) - before) / result["answered"]
                rounds[way].append(result)
        return {way: results[1:] for way, results in rounds.items()}  # the first warms up


def tables():
    rounds = measure()
    table = Table(f"Connections a second through HAProxy, {CLIENTS} clients that connect for one PING each",
                  ["HAProxy with", "connections/s", "against the static server", "against the baseline", "target", "",
                   "p50 ms", "p99 ms", "failed", "the agent's own µs of CPU per connection"])
    names = {"agent": "the agent", "baseline": "the baseline as agent", "static": "a static server"}
    for way in WAYS:
        against = {other: statistics.median(a["per_s"] / b["per_s"] for a, b in zip(rounds[way], rounds[other]))
                   for other in ("static", "baseline")}
        goal = (f"≥ {WITHIN}", verdict(against["baseline"], WITHIN, most=False)) if way == "agent" else ("", "")
        middle = {key: statistics.median(one[key] for one in rounds[way]) for key in ("per_s", "p50_us", "p99_us", "ns")}
        table.add(names[way], f"{middle['per_s']:,.0f}", f"{against['static']:.2f}", f"{against['baseline']:.2f}", *goal,
                  f"{middle['p50_us'] / 1000:.2f}", f"{middle['p99_us'] / 1000:.2f}", sum(one["failed"] for one in rounds[way]),
                  "" if way == "static" else f"{middle['ns'] / 1000:.1f}")
    return [table]
