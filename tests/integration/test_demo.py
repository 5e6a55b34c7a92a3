"""make demo KEEP=1, as somebody at a terminal uses it."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from cluster import ROOT, SHIPPED
from masked import masked_failover

FAILOVER = 90  # seconds: a failover, and the old master's return


class Terminal:
    """The demo, with a terminal."""

    def __init__(self):
        self.ours, theirs = pty.openpty()
        self.child = subprocess.Popen([sys.executable, ROOT / "tests/tools/demo.py"], env={**os.environ, "KEEP": "1"},
                                      stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        self.text = ""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.child.terminate()
        self.child.wait(30)
        os.close(self.ours)

    def read(self):
        """What has come since the last call; nothing where it has ended."""
        try:
            return os.read(self.ours, 65536).decode().replace("\r", "") if select.select([self.ours], [], [], 0.5)[0] else ""
        except OSError:
            return ""

    def wait(self, words, timeout):
        """What was printed up to these words."""
        until = time.monotonic() + timeout
        while words not in self.text:
            assert time.monotonic() < until and self.child.poll() is None, f"{words!r} is not in {self.text}"
            self.text += self.read()
        seen, _, self.text = self.text.partition(words)
        return seen

    def press(self, key):
        os.write(self.ours, key)


def check_files(directory):
    """They are the shipped ones, but for addresses and paths."""
    for name, own in (("spoe.conf", "spoe.conf"), ("haproxy.cfg", "haproxy.cfg"), ("sentinel-spoa.conf", "agent.conf")):
        def keys(path):
            return [re.sub(r"\S*[/:]\S*", "PLACE", line) for line in path.read_text().splitlines() if not re.match(r" *(#|;|user|group)", line)]
        assert keys(SHIPPED / name) == keys(directory / own), name


def check_shown(said):
    """README.md shows what is printed; what happens at the same time may stand in another order."""
    block = re.search(r"^```\n( +ms  what\n.*?)```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)[1]
    assert {masked_failover(line) for line in block.splitlines()} - {masked_failover(line) for line in said.splitlines()} == set()


def test_each_key_kills_the_master():
    with Terminal() as demo:
        said = demo.wait("Press a key", FAILOVER)
        assert "OK: the writes ended on" in said
        assert re.search(r"^  refused +[01] attempts of", said, re.MULTILINE), said  # one may be caught by the kill
        check_shown(said)
        check_files(Path(re.search(r"directory +(\S+)", said)[1]))
        page = re.search(r"its page +(\S+)", said)[1]
        first = re.search(r"new master +(\S+)", said)[1]
        with urllib.request.urlopen(f"{page}status", timeout=10) as reply:
            assert json.load(reply)["services"][0]["server"] == first
        demo.press(b" ")
        said = demo.wait("Press a key", FAILOVER)
        assert f"{first}, the master, killed" in said and "OK: the writes ended on" in said
        demo.press(b"q")
        demo.wait("Stopping everything", 10)
        assert demo.child.wait(60) == 0
