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


def record_texts():
    for path in sorted((ROOT / "haproxy-conf").glob("**/*.conf")):
        if b"[sentinels]" in path.read_bytes():
            keep("fuzz_config", path.read_bytes())
    for path in ("/", "/metrics", "/healthz", "/readyz", "/status", "/status.txt", "/master/m", "/master/m/R1", "/replica/m/R2",
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
    record_sentinel()
