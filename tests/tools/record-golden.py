#!/usr/bin/python3
"""record-golden.py DIRECTORY: records what a real HAProxy sends to an SPOE agent, a file for each kind of frame.

haproxy (the one in PATH) runs with the shipped spoe.conf against a peer that keeps every frame and answers HELLO:
healthcheck.bin, hello.bin, notify.bin, disconnect.bin. HAProxy 3.1 and later send no DISCONNECT.
"""
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lib"))

import spop_client as spop  # noqa: E402
from process import free_ports, wait_until  # noqa: E402

AGENT_HELLO = spop.frame(101, payload=spop.pairs({"version": "2.0", "max-frame-size": (spop.uint32(4096),),
                                                  "capabilities": "pipelining"}))
KINDS = {1: "hello", 2: "disconnect", 3: "notify"}
CONFIG = """\
defaults
    mode tcp
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend fe
    bind 127.0.0.1:{front}
    filter spoe engine sentinel config {spoe}
    tcp-request content reject
backend be_sentinel_spoa
    option spop-check
    server agent1 127.0.0.1:{agent} check inter 200ms
"""


def read_frames(peer, frames):
    """Keeps the first frame of each kind; a NOTIFY stays without its answer."""
    data = b""
    while more := peer.recv(65536):
        data += more
        while len(data) >= 4 and len(data) >= (size := 4 + int.from_bytes(data[:4], "big")):
            frame, data = data[:size], data[size:]
            kind = "healthcheck" if b"healthcheck" in frame else KINDS.get(frame[4], "unknown")
            frames.setdefault(kind, frame)
            if frame[4] == 1:
                peer.sendall(AGENT_HELLO)


def follow(peer, frames):
    try:
        read_frames(peer, frames)
    except ConnectionError:
        pass  # that is how HAProxy 3.1 and later end an idle connection


def serve(listening, frames):
    while True:
        peer, _ = listening.accept()
        threading.Thread(target=follow, args=(peer, frames), daemon=True).start()


def main(target):
    target.mkdir(parents=True, exist_ok=True)
    frames = {}
    listening = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listening, frames), daemon=True).start()
    front = free_ports(1)[0]
    with tempfile.TemporaryDirectory() as directory:
        # A short processing time, so that HAProxy takes leave soon after the unanswered question.
        spoe = re.sub(r"timeout (idle|processing) \w+", r"timeout \1 300ms",
                      (ROOT / "haproxy-conf" / "spoe.conf").read_text())
        (Path(directory) / "spoe.conf").write_text(spoe)
        config = Path(directory) / "haproxy.cfg"
        config.write_text(CONFIG.format(front=front, spoe=f"{directory}/spoe.conf",
                                        agent=listening.getsockname()[1]))
        haproxy = subprocess.Popen(["haproxy", "-db", "-f", config], stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: "healthcheck" in frames, 15, "a health check")
            with socket.create_connection(("127.0.0.1", front)):
                wait_until(lambda: "notify" in frames, 15, "a NOTIFY")
                deadline = time.monotonic() + 5
                while "disconnect" not in frames and time.monotonic() < deadline:
                    time.sleep(0.05)
        finally:
            haproxy.terminate()
            haproxy.wait(10)
    for kind, frame in sorted(frames.items()):
        (target / f"{kind}.bin").write_bytes(frame)
        print(f"{kind}.bin: {len(frame)} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
