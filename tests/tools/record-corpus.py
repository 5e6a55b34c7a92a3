#!/usr/bin/python3
"""record-corpus.py: writes the first inputs of the fuzz targets, into tests/fuzz/corpus/TARGET.

What HAProxy sends is in tests/golden already; what Sentinel sends is recorded here, from three real ones, a failover
included; configurations are those that are shipped. Names are hashes of the contents, as libFuzzer has them.
"""
import hashlib
import socket
import struct
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lib"))

from cluster import Cluster  # noqa: E402
from fake_sentinel import NIL, OK, encode, error  # noqa: E402
from spop_client import question  # noqa: E402

CORPUS = ROOT / "tests" / "fuzz" / "corpus"
# The events of fuzz_session.c.
BYTES, TIME, MASTER_1, MASTER_2, NOBODY, HURRY, DRAIN = range(7)
QUESTIONS = ("CLIENT SETNAME sentinel-spoa", "SENTINEL MYID", "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster",
             "SENTINEL MASTER mymaster", "SENTINEL REPLICAS mymaster", "SENTINEL CKQUORUM mymaster")
CHANNELS = ("+switch-master", "+promoted-slave", "+failover-state-reconf-slaves", "+config-update-from", "+odown", "-odown",
            "+try-failover", "+selected-slave")


def keep(target, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def peer_says(*frames):
    data = b"".join(frames)
    return bytes([BYTES]) + struct.pack(">H", len(data)) + data


def record_spop():
    for folder in sorted((ROOT / "tests" / "golden").glob("haproxy-*")):
        frames = {path.stem: path.read_bytes() for path in sorted(folder.glob("*.bin"))}
        for data in frames.values():
            keep("fuzz_frame", data)
        notify = frames["notify"].replace(b"mymaster", b"m").replace(b"\x08m", b"\x01m")
        ask = question("m") + question("m", 2, 2, "replica")
        keep("fuzz_session", peer_says(frames["healthcheck"]))
        keep("fuzz_session", bytes([MASTER_1]) + peer_says(frames["hello"]) + peer_says(frames["notify"], notify, ask))
        keep("fuzz_session", peer_says(frames["hello"], ask) + bytes([TIME, 10, MASTER_2]) + peer_says(ask) +
             bytes([NOBODY]) + peer_says(ask) + bytes([TIME, 100, HURRY, DRAIN]) + peer_says(frames.get("disconnect", b"")))


def raw_replies(sentinel, questions):
    """The bytes that come back, and how each reply ends is not looked at: silence for a while is the end."""
    with socket.create_connection(sentinel.address, 5) as sock:
        sock.sendall("".join(f"{line}\r\n" for line in questions).encode())
        return read_until_silent(sock, 0.5)


def read_until_silent(sock, silence_s):
    sock.settimeout(silence_s)
    data = b""
    try:
        while more := sock.recv(65536):
            data += more
    except TimeoutError:
        pass
    return data


def record_sentinel():
    with Cluster() as cluster:
        cluster.start_redis()
        cluster.start_sentinels()
        sentinel = cluster.sentinels[0]
        keep("fuzz_sentinel", b"\0" + raw_replies(sentinel, QUESTIONS))
        keep("fuzz_sentinel", b"\0" + raw_replies(sentinel, ("AUTH wrong", "SENTINEL GET-MASTER-ADDR-BY-NAME other", "NONSENSE")))
        for question_line in QUESTIONS:
            keep("fuzz_sentinel", b"\0" + raw_replies(sentinel, (question_line,)))
        with socket.create_connection(sentinel.address, 5) as hints:
            hints.sendall(f"SUBSCRIBE {' '.join(CHANNELS)}\r\n".encode())
            time.sleep(0.2)
            cluster.redis[0].kill()
            cluster.wait_failover(cluster.redis[0])
            keep("fuzz_sentinel", b"\1" + read_until_silent(hints, 3))
        keep("fuzz_sentinel", b"\0" + raw_replies(sentinel, QUESTIONS))


def record_dialects():
    """Replies that other servers send, or that only some settings bring about: written here, as their sources have it."""
    myid, up = "a" * 40, "cluster_state:ok\r\n"
    node = [7001, "b" * 40, ["hostname", "redis-1"]]
    hosts = (None, "", "?", "127.0.0.1")
    slots = [[first * 4096, first * 4096 + 4095, [NIL if host is None else host, *node], ["10.0.0.2", *node]]
             for first, host in enumerate(hosts)]
    for replies in ((OK, myid, up, slots), (OK, myid, up, [*slots[1:], *slots[:1]]), (OK, myid, up, [[0, 5000, ["127.0.0.1", "7001"]]])):
        keep("fuzz_sentinel", b"\3" + b"".join(map(encode, replies)))
    dragonfly = "# Server\r\nredis_version:7.4.0\r\ndragonfly_version:df-v1.31.0\r\n"
    run_id = f"run_id:{myid}\r\n"
    active = ["active-replica", "127.0.0.1", 7002, "connected", 42]
    for role in (["master", [["127.0.0.1", "7002", "stable_sync"]]], ["replica", "127.0.0.1", "7002", "stable_sync"], active, [active, active]):
        for info in (dragonfly, run_id):
            keep("fuzz_sentinel", b"\2" + b"".join(map(encode, (OK, info, role))))
    keep("fuzz_sentinel", b"\0" + b"".join(map(encode, (OK, myid, ["127.0.0.1", 7001], error("ERR Unknown sentinel subcommand")))))
    replicas = [["127.0.0.1", "7002", "42"], ["10.0.0.9", "7003", "41"]]
    for role in (["master", 42, replicas], ["master", 42, [[], ["127.0.0.1"], *replicas]], ["master", 42, []], ["master", 42], ["master"], [],
                 ["slave", "127.0.0.1", 7002, "connected", 42], ["slave"], ["master", [["127.0.0.1", "7002", "stable_sync"]]], active, NIL):
        keep("fuzz_sentinel", b"\4" + b"".join(map(encode, (OK, OK, role, "role:master\r\nmin_slaves_good_slaves:1\r\n", OK, role))))
    for words in ("LOADING Redis is loading", "MASTERDOWN Link with MASTER is down", "NOAUTH Authentication required."):
        keep("fuzz_sentinel", b"\4" + b"".join(map(encode, (OK, error(words), ["master", 42, []], error(words), error(words), error(words)))))
    for words in ("ERR max number of clients reached", "DENIED Redis is running in protected mode", "BUSY Redis is busy"):
        for channel in range(5):
            keep("fuzz_sentinel", bytes([channel]) + encode(error(words)))


def record_runtime():
    """What HAProxy says on its runtime API, a NUL behind each reply: written here, as versions 2.6 to 3.2 have it."""
    sessions = "".join(f"0x55{i}: proto=tcpv4 fe=f be=be srv={server} scb=[{state},1h,fd={i}]\n"
                       for i, (server, state) in enumerate((("R1", 8), ("R2", 5), ("R3", 8), ("<none>", 8), ("R1", 15))))
    own = "0xff: proto=unix_stream fe=GLOBAL be=<NONE> srv=<none> scb=[8,1h,fd=-1]\n\n"
    workers = "#<PID> <type> <reloads> <uptime> <version>\n1 master 1 0d00h00m01s 3.0.11\n# workers\n17 worker 0 0d00h00m01s 3.0.11\n" \
              "# old workers\n16 worker 1 0d00h00m09s 3.0.11\n# programs\n\n"
    denied, disabled, gone = "Permission denied\n\n", "Proxy is disabled.\n\n", "Can't find the target PID matching the prefix '@!17'\n"
    for version in ("2.6.12-1+deb12u4", "3.0.11", "3.2.4"):
        info = f"Name: HAProxy\nVersion: {version}\nRelease_date: x\n\n"
        for replies in ((info, sessions + own, "\n\n", sessions + own, "\n\n\n"), (info, disabled * 2, sessions + own, "No such session (use 'show sess')\n\n\n"),
                        (info, "No such backend.\n\nNo such server.\n\n"), (info, denied), (info, "\n0 (initial 100)\n\n100 (initial 100)\n\nx\n\n"),
                        (gone,), (info, own, "\n"), (workers,), ("HTTP/1.0 400 Bad request\n",)):
            for kind in range(8):
                keep("fuzz_runtime", bytes([kind]) + b"".join(reply.encode() + b"\0" for reply in replies))


def record_texts():
    for path in sorted((ROOT / "haproxy-conf").glob("**/*.conf")):
        if b"[sentinels]" in path.read_bytes():
            keep("fuzz_config", path.read_bytes())
    for path in sorted((ROOT / "haproxy-conf").glob("*/haproxy.cfg")):
        spoe = path.with_name("spoe.conf")
        if spoe.exists():
            keep("fuzz_haproxy", path.read_bytes() + b"\0" + spoe.read_bytes())
    for path in ("/", "/metrics", "/healthz", "/readyz", "/status", "/status.txt", "/explain.txt", "/explain/m", "/explain/", "/master/m", "/master/m/R1", "/replica/m/R2",
                 "/master/", "/master/m/", "/x"):
        for method in ("GET", "HEAD", "OPTIONS", "POST"):
            keep("fuzz_http", f"{method}\n{path}\napplication/openmetrics-text\n".encode())
    for line in ("m R1\n", "m R2\r\n", "m R3\n", "other R1\n", "m\n", " \n"):
        keep("fuzz_agent_check", line.encode())
    for text in ("10.0.0.1:6379", "[2001:db8::1]:6379", "redis.example.org:6379", "unix:/run/x.sock", "10.0.0.0/8", "::/0"):
        keep("fuzz_frame", text.encode())


if __name__ == "__main__":
    record_spop()
    record_texts()
    record_dialects()
    record_runtime()
    record_sentinel()
