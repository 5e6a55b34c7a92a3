"""`status` in a terminal: colours, a screen that is drawn again in place, an agent that goes and comes back."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
from fake_agent import FakeAgent
from fake_sentinel import GET_MASTER
from process import wait_until
from rig import SERVERS, Rig, agent_words, run_agent

LISTEN = "127.0.0.1:0\nhttp = 127.0.0.1:0"
GOOD, WAIT, BAD, DIM = "\033[1m\033[32m", "\033[1m\033[33m", "\033[1m\033[31m", "\033[2m"
HIDE, SHOW, HOME = "\033[?25l", "\033[?25h", "\033[H"
WHOLE = "\033[J"  # ends a picture, except in a low window
GONE = BAD + "✖ No answer from 127.0.0.1:"
SEQUENCE = re.compile(r"\033\[[?0-9]*[A-Za-z]")


@pytest.fixture
def rig():
    with Rig(sentinels="poll = 100ms", listen=LISTEN, service="debounce = 0") as made:
        made.wait_votes(3)
        yield made


class Played:
    """An agent that is played, and the file that names it."""

    def __init__(self, agent, path):
        self.agent, self.path = agent, path
        path.write_text(f"[agent]\nhttp = {agent.where}\n[sentinels]\naddress = 127.0.0.1:1\n[service mymaster]\nserver = R1 127.0.0.1:2\n")
        agent.config_path = path
        agent.says["/status.txt"] = (200, "● one\n")


@pytest.fixture
def played(tmp_path):
    with FakeAgent() as agent:
        yield Played(agent, tmp_path / "agent.conf")


class Terminal:
    """A command in a terminal of this size."""

    def __init__(self, rig, *words, rows=40, columns=160, **environment):
        self.ours, theirs = pty.openpty()
        self.set_size(rows, columns)
        clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
        self.child = subprocess.Popen(agent_words("-f", rig.agent.config_path, "status", *words), stdin=theirs, stdout=theirs, stderr=theirs,
                                      start_new_session=True, env={**clean, "TERM": "xterm", **environment})
        os.close(theirs)
        self.text = ""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.child.kill()
        self.child.wait(30)
        os.close(self.ours)

    def set_size(self, rows, columns):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds=0.1):
        """Whether there was something."""
        with contextlib.suppress(OSError):  # it has ended
            if select.select([self.ours], [], [], seconds)[0]:
                self.text += os.read(self.ours, 65536).decode(errors="replace").replace("\r", "")
                return True
        return False

    def wait(self, *words, seconds=15):
        """The newest picture, as soon as it has all these words; there may be more of it to come. What came before is forgotten."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            picture = self.text.rsplit(HIDE, 1)[-1]
            if all(word in picture for word in words):
                self.text = HIDE + picture
                return picture
            self.read()
        raise AssertionError(f"{words} is not in {self.text!r}")

    def end(self):
        """All that is said until the command ends."""
        until = time.monotonic() + 15
        while self.child.poll() is None:
            assert time.monotonic() < until, "it does not end"
            self.read()
        while self.read():
            pass
        return self.text


def lose_master(rig):
    for fake in rig.fakes:
        fake.reply(GET_MASTER, None)
    rig.wait_state("no-quorum")


def test_colours(rig):
    with Terminal(rig) as terminal:
        said = terminal.end()
        assert said.startswith(GOOD + "● mymaster: R1 is the master\033[0m\n")
        assert said.count("    \033[32m●\033[0m 127.0.0.1:") == 3  # a Sentinel each
        assert "\033[1mLast switches and outages: no outage since the agent started " in said and HOME not in said
        assert terminal.child.returncode == 0
    plain = run_agent("-f", rig.agent.config_path, "status").stdout
    assert plain.startswith("● mymaster: R1 is the master\n") and "\033" not in plain
    lose_master(rig)
    with Terminal(rig) as terminal:
        assert terminal.end().startswith(BAD + "✖ mymaster: The Sentinels know no master of this name: clients are refused")


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": ""}])
def test_no_colours(rig, environment):
    with Terminal(rig, **environment) as terminal:
        said = terminal.end()
        assert said.startswith("● mymaster: R1 is the master\n") and "\033" not in said


def test_watching(rig):
    """Drawn in place; a change is seen; an agent that goes leaves its last picture, and is seen at once when it is back."""
    with Terminal(rig, "--watch") as terminal:
        picture = terminal.wait("sentinel-spoa ", WHOLE)
        assert picture.startswith(HOME + "\033[K" + GOOD + "● mymaster: R1 is the master\033[0m\n\033[K") and picture.endswith(WHOLE)
        for fake in rig.fakes:
            fake.master = SERVERS["R2"]
        terminal.wait("● mymaster: R2 is the master", "mymaster: R1 → R2 in ")
        rig.agent.kill()
        picture = terminal.wait(GONE, "sentinel-spoa ")
        assert re.search(r"^\S+ No answer from 127\.0\.0\.1:\d+ since \d\d:\d\d:\d\d UTC, for \d+(\.\d)? m?s: Connection refused$",
                         SEQUENCE.sub("", picture), re.MULTILINE), picture
        assert DIM + "● mymaster: R2 is the master" in picture and GOOD not in picture
        terminal.wait("UTC, for 2.0 s: ")
        rig.agent.start()
        picture = terminal.wait(GOOD + "● mymaster: R2")
        assert "No answer" not in picture and DIM not in picture


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_the_cursor_comes_back(played, number):
    with Terminal(played, "--watch") as terminal:
        terminal.wait("one", WHOLE)
        terminal.child.send_signal(number)
        assert terminal.end().endswith(SHOW + "\n")
        assert terminal.child.returncode == -number


def test_a_pause(played):
    """The cursor is there while it is stopped, and hidden again with the next picture."""
    with Terminal(played, "--watch") as terminal:
        terminal.wait("one", WHOLE)
        terminal.child.send_signal(signal.SIGTSTP)
        process = Path(f"/proc/{terminal.child.pid}/stat")
        wait_until(lambda: process.read_text().rsplit(") ", 1)[1].startswith("T"), 15, "it is stopped")
        while terminal.read():
            pass
        assert terminal.text.endswith(SHOW + "\n")
        played.agent.says["/status.txt"] = (200, "● two\n")
        terminal.child.send_signal(signal.SIGCONT)
        terminal.wait("two", WHOLE)


def test_how_often_it_asks(played):
    """Once a second where the agent answers, five times where it does not: never without a pause."""
    for reply, most in (((200, "one\n"), 5), ((503, ""), 18)):
        played.agent.says["/status.txt"] = reply
        with Terminal(played, "--watch") as terminal:
            terminal.wait("No answer" if most > 5 else "one")
            played.agent.asked.clear()
            time.sleep(3)
            assert 1 <= len(played.agent.asked) <= most


def test_a_refusal(played):
    """The last picture stays, below a line that says why it is an old one."""
    with Terminal(played, "--watch") as terminal:
        terminal.wait("one", WHOLE)
        begin = time.time()
        played.agent.says["/status.txt"] = (403, "no\n")
        picture = terminal.wait("No answer", "one")
        assert f"{BAD}✖ No answer from {played.agent.where} since " in picture and ": it refuses to tell its status" in picture
        assert DIM + "● one" in picture
        moments = [time.strftime(" since %H:%M:%S UTC, ", time.gmtime(when)) for when in range(int(begin), int(time.time()) + 1)]
        assert any(moment in picture for moment in moments)
        played.agent.says["/status.txt"] = (200, "")
        terminal.wait("No answer", "one")  # an answer that says nothing is none


def test_the_size_of_a_terminal(played):
    """It is taken to have 24 rows of 80 columns, and one that knows it to have these."""
    played.agent.says["/status.txt"] = (200, "● " + "wörd " * 100 + "\n" + "line\n" * 40)
    with Terminal(played, "--watch", rows=0, columns=0) as terminal:
        rows = SEQUENCE.sub("", terminal.wait("lines more: this window is too low")).split("\n")
        assert len(rows) == 24 and max(len(row) for row in rows[:2]) in range(76, 81), rows
    played.agent.says["/status.txt"] = (200, "x" * 80 + "\n" + "y" * 81 + "\n")
    with Terminal(played, "--watch", rows=0, columns=0) as terminal:
        rows = SEQUENCE.sub("", terminal.wait("yy", WHOLE)).split("\n")
        assert "x" * 80 in rows and "y" * 81 not in rows, rows
    for rows, columns in ((1, 160), (40, 1)):  # the least that it may be
        with Terminal(played, "--watch", rows=rows, columns=columns) as terminal:
            terminal.wait("lines more: this window is too low")


def test_json_in_a_terminal(played):
    """It has no colours, nor does it ask for the other page."""
    played.agent.says["/status"] = (200, '{"● x": 1}\n')
    for words in ((), ("--watch",)):
        with Terminal(played, "--json", *words) as terminal:
            picture = terminal.wait('{"● x": 1}')
            assert GOOD not in picture and BAD not in picture and ("\033" in picture) == bool(words)


def test_a_block_is_seen_at_once(played):
    """Though nobody has the next one yet; and it ends when nobody reads it any more."""
    with subprocess.Popen(agent_words("-f", played.path, "status", "--watch"), stdout=subprocess.PIPE, text=True) as watching:
        for _ in range(2):
            asked = len(played.agent.asked)
            assert watching.stdout.readline() == "● one\n"
            assert len(played.agent.asked) <= asked + 2
        watching.stdout.close()
        watching.wait(15)


def test_a_low_window(rig):
    """Nothing scrolls: the last row says how much is left out. A new size counts at once."""
    with Terminal(rig, "--watch", rows=5, columns=60) as terminal:
        picture = terminal.wait("lines more: this window is too low")
        rows = SEQUENCE.sub("", picture).split("\n")
        assert len(rows) == 5 and all(len(row) <= 60 for row in rows), rows
        assert int(rows[-1].split()[0]) > 5
        terminal.set_size(50, 160)
        assert "lines more" not in terminal.wait("sentinel-spoa ", seconds=5)


def test_without_a_terminal(rig):
    """Block after block, each whole."""
    with subprocess.Popen(agent_words("-f", rig.agent.config_path, "status", "--watch"), stdout=subprocess.PIPE, text=True) as watching:
        try:
            heads = 0
            for line in watching.stdout:
                assert "\033" not in line
                heads += line.startswith("● mymaster: R1 is the master")
                if heads == 3:
                    break
        finally:
            watching.kill()
