"""What an operator is told while it happens: doubt, outages, and mistakes in HAProxy's files that hurt only at the next failover."""

import contextlib
import json
import re
import socket
import time

from cluster import Cluster
from process import wait_until
from rig import Rig, check_clean
from test_ghosts import ParkedCluster, connect
from test_http import LISTEN
from test_http import ask as ask_http
from test_parking import ask_and_wait, doubt_node, find_master, lose_master
from test_rule import Node, NodeRig

FAST = "poll = 100ms"
PROCESSING = "timeout processing 10s"


def status(rig):
    return json.loads(ask_http(rig, "/status")[2])


def service(rig):
    return status(rig)["services"][0]


def is_raised(shown, alarm):
    return alarm in [one["alarm"] for one in shown["alarms"]]


# ---- doubt ----

def test_a_doubt_is_told_everywhere():
    """The agent's own link to the master broke, and the Sentinels name it still."""
    with NodeRig(service="park = 3s", listen=LISTEN) as rig, rig.connect() as haproxy:
        rig.wait_master("N1")
        doubt_node(rig, down_after=10000)
        shown = service(rig)
        assert (shown["state"], shown["reason"], shown["server"], shown["named"], shown["waits"]) == ("doubted", "closed", "N1", True, True)
        assert shown["outage"]["state"] == "doubted"
        assert ask_http(rig, "/readyz")[0] == 200
        metrics = ask_http(rig, "/metrics")[2]
        assert '\nredis_spoa_service_state{service="mymaster",state="doubted"} 1\n' in metrics
        assert '\nredis_spoa_master_agreed{service="mymaster"} 1\n' in metrics
        ask_and_wait(haproxy, [1])
        wait_until(lambda: service(rig)["oldest-wait-ms"] >= 1000, 15, "the client has waited for a second")
        assert (service(rig)["waiting"], service(rig)["replica-waiting"]) == (1, 0)
        assert haproxy.read().variables()["state"] == "doubted"  # it can wait no longer, and gets the name
        rig.nodes[0] = Node(port=rig.nodes[0].port)
        rig.wait_state("ok")
        shown = status(rig)
        assert shown["services"][0]["outage"] is None
        assert [(one["state"], one["waited"] >= 1, one["refused"], one["old-server"], one["new-server"])
                for one in shown["outages"]] == [("doubted", True, 0, "N1", "N1")]
        assert shown["outages"][0]["longest-wait-ms"] >= 3000
        assert shown["services"][0]["generation"] == 1
        over = rig.agent.find_log(event="outage-over")
        assert (over["level"], over["state"], over["reason"], over["refused"]) == ("info", "doubted", "closed", "0")


# ---- outages ----

def test_an_outage_without_a_switch_has_a_history():
    """It survives a reload, while it goes on and after it."""
    with Rig(sentinels=FAST, service="park = 1s\ndebounce = 0", listen=LISTEN) as rig, rig.connect() as haproxy:
        rig.wait_votes(3)
        assert status(rig)["outages"] == []
        lose_master(rig)
        began = time.monotonic()
        ask_and_wait(haproxy, [1, 2])
        rig.reload(("park = 1s", "park = 2s"))
        assert [haproxy.read().variables()["state"] for _ in range(2)] == ["no-quorum"] * 2
        shown = service(rig)["outage"]
        assert (shown["state"], shown["reason"], shown["waited"], shown["refused"]) == ("no-quorum", "unknown-name", 2, 2)
        find_master(rig)
        rig.wait_master("R1")
        lasted = 1000 * (time.monotonic() - began)
        rig.reload(("park = 2s", "park = 1s"))
        (outage,) = status(rig)["outages"]
        assert (outage["state"], outage["refused"]) == ("no-quorum", 2)
        assert outage["waited"] in (2, 3)  # who asks for the master meanwhile may have waited, too
        assert 900 <= outage["longest-wait-ms"] <= lasted
        assert 900 <= outage["ended"] - outage["begun"] <= lasted + 300
        metrics = ask_http(rig, "/metrics")[2]
        assert '\nredis_spoa_service_outages_total{service="mymaster"} 1\n' in metrics
        over = rig.agent.find_log(event="outage-over")
        assert (over["level"], over["refused"], over["new-server"]) == ("warning", "2", "R1")
        assert re.search(r"mymaster: \d\.\d s without a master \(no-quorum, unknown-name\), [23] clients waited, \d\.\d s at most, 2 refused\n",
                         ask_http(rig, "/status.txt")[2])


def test_a_failover_says_what_clients_felt():
    """With a real HAProxy: the line of the switch has how long it took, and how many waited."""
    with Cluster(recipe="runtime-api") as cluster:
        cluster.park = "8s"
        cluster.start_redis()
        cluster.start_sentinels(down_after=2500)
        cluster.start_agent({"listen = 127.0.0.1:9012\n": "listen = 127.0.0.1:9012\nhttp = 127.0.0.1:0\n"})
        cluster.start_haproxy()
        cluster.wait_served()
        cluster.redis[0].kill()
        cluster.agent.wait_log(event="master-doubted")
        with contextlib.closing(connect(cluster)) as sock:
            sock.sendall(b"PING\r\n")
            sock.settimeout(20)
            assert sock.recv(100) == b"+PONG\r\n"
        switch = cluster.agent.log_lines(event="master-switch")[-1]
        assert (int(switch["waited"]) >= 1, switch["refused"]) == (True, "0")
        assert 2000 <= int(switch["outage-ms"]) <= 15000
        over = cluster.agent.find_log(event="outage-over", state="doubted")
        assert over["old-server"] != over["new-server"]
        assert 1000 <= int(over["longest-wait-ms"]) <= int(over["outage-ms"])
        check_clean(cluster.agent)


# ---- mistakes in HAProxy's files ----

def test_a_misspelt_service():
    """spoe.conf asks for a service that is not there: told with the first client, and until it is corrected."""
    with Cluster(recipe="runtime-api") as cluster:
        cluster.start_redis()
        cluster.start_sentinels()
        cluster.start_agent({"listen = 127.0.0.1:9012\n": "listen = 127.0.0.1:9012\nhttp = 127.0.0.1:0\n"})
        cluster.start_haproxy(spoe_edits={"str(mymaster)": "str(mymastre)"})
        wait_until(lambda: cluster.named() is not None, 15, "a majority names the master")
        with contextlib.closing(connect(cluster)) as sock:
            assert sock.recv(100) == b""  # refused
        alarm = cluster.agent.wait_log(event="alarm", alarm="unknown-service")
        assert (alarm["service"], alarm["detail"]) == ("mymastre", "'mymastre' is asked for: did you mean 'mymaster'?")
        assert cluster.agent.metric('redis_spoa_agent_alarm{alarm="unknown-service"}') == 1
        check_clean(cluster.agent)


def give_up(cluster, seconds):
    """A client that waits until HAProxy closes its connection."""
    with contextlib.closing(connect(cluster)) as sock:
        began = time.monotonic()
        sock.settimeout(20)
        sock.sendall(b"PING\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(100) == b""
        assert seconds - 0.2 < time.monotonic() - began < seconds + 2


def test_a_time_limit_of_haproxy_below_park():
    """The second client that HAProxy gives up after the same wait is proof. Both count as refused."""
    with ParkedCluster() as cluster:
        cluster.start_all(spoe_edits={PROCESSING: "timeout processing 2s"})
        with cluster.nobody_named():
            give_up(cluster, 2)
            time.sleep(0.6)
            assert not cluster.agent.find_log(event="alarm", alarm="park-timeout")
            give_up(cluster, 2)
            alarm = cluster.agent.wait_log(event="alarm", alarm="park-timeout")
            assert alarm["service"] == "mymaster"
            assert "'park' may be 20000 ms: set 'timeout processing' and 'timeout client' to 22000ms or more" in alarm["detail"]
            after = int(alarm["detail"].split()[2])
            assert 1900 <= after <= 2700
        over = cluster.agent.wait_log(event="outage-over")
        assert (over["level"], int(over["refused"]) >= 2) == ("warning", True)
        assert not cluster.agent.find_log(event="alarm-cleared", alarm="park-timeout")
        check_clean(cluster.agent)


def test_clients_that_give_up_are_no_alarm():
    """They close, or reset, always after the same time."""
    with ParkedCluster() as cluster:
        cluster.start_all()
        with cluster.nobody_named():
            for linger in (False, False, True, True, True):
                with contextlib.closing(connect(cluster)) as sock:
                    sock.sendall(b"PING\r\n")
                    if linger:
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    time.sleep(1.2)
            time.sleep(0.6)
        assert not cluster.agent.find_log(event="alarm", alarm="park-timeout")
        check_clean(cluster.agent)
