"""The agent by itself or with fake Sentinels: what a test needs where no real cluster is wanted.

    with Rig(fakes=3, sentinels="poll = 100ms") as rig:     # an agent with three fake Sentinels that name R1
        rig.wait_state("ok")
        rig.fakes[0].stop()
        assert rig.ask()["votes"] == 2
"""

import json
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from cluster import Agent
from fake_sentinel import FakeSentinel
from process import wait_until
from spop_client import SpopClient

SERVERS = {"R1": ("127.0.0.1", 7001), "R2": ("127.0.0.1", 7002)}
SERVICE = "mymaster"
# What a sanitizer or valgrind would say in the agent's log.
FINDINGS = ("Sanitizer", "runtime error:", "Invalid read", "Invalid write", "definitely lost")


def check_clean(agent):
    """Stop the agent; it must end in good order, with nothing found by a sanitizer it may be built with."""
    status = agent.stop(15)
    log = agent.log_text()
    assert not [word for word in FINDINGS if word in log], log
    assert status == 0, f"exit status {status}\n{log[-3000:]}"


class Rig:
    """An agent in a directory of its own, started by the `with` block; what it is told can be changed before."""

    def __init__(self, fakes=3, agent="", sentinels="", service="", listen="127.0.0.1:0", more=""):
        """fakes: their number, or a list of them. The other arguments are lines added to the sections of the
        configuration, `more` goes to its end; DIRECTORY is that of the agent. Nothing is parked unless `service` says so."""
        self.directory = Path(tempfile.mkdtemp(prefix="sentinel-spoa-"))
        self.directory.chmod(0o711)  # another user may look for a UNIX socket in it
        self.fakes = [FakeSentinel(SERVERS["R1"]) for _ in range(fakes)] if isinstance(fakes, int) else fakes
        self.agent = Agent(self.directory)
        servers = "".join(f"server = {name} {host}:{port}\n" for name, (host, port) in SERVERS.items())
        addresses = "".join(f"address = {fake.where}\n" for fake in self.fakes)
        self.config = (f"[agent]\nlisten = {listen}\n{agent}\n[sentinels]\n{addresses}{sentinels}\n"
                       f"[service {SERVICE}]\n{servers}{service}\n{'' if 'park =' in service else 'park = 0'}\n{more}\n").replace("DIRECTORY", str(self.directory))

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.clear()
            raise

    def __exit__(self, kind, *rest):
        try:
            if kind is not None:
                print(f"The agent's log:\n{self.agent.log_text()[-4000:]}")  # pytest shows it, for the test failed
            elif self.agent.alive():
                check_clean(self.agent)
        finally:
            self.clear()

    def start(self):
        """Write the configuration and start the agent."""
        self.agent.config_path.write_text(self.config)
        self.agent.start()
        return self

    def reload(self, *edits, event="reloaded"):
        """As change(), but waits; returns the line that says what became of it."""
        mark = self.agent.mark()
        self.change(*edits)
        return self.agent.wait_log(event=event, since=mark, timeout=15)

    def change(self, *edits):
        """Change the agent's file, (old text, new text) each, and tell it."""
        text = self.agent.config_path.read_text()
        for old, new in edits:
            assert old in text, old
            text = text.replace(old, new)
        self.agent.config_path.write_text(text)
        self.agent.signal(signal.SIGHUP)

    def clear(self):
        self.agent.kill()
        for fake in self.fakes:
            fake.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def processes(self):
        """The real programs; as Cluster has it."""
        return [self.agent]

    def connect(self, **options):
        """A connection that has said HELLO."""
        client = SpopClient(self.agent.address, **options)
        try:
            client.hello()
        except BaseException:
            client.close()
            raise
        return client

    def ask(self, service=SERVICE, role="master"):
        """The variables that the agent sets for one question, on a connection of its own."""
        with self.connect() as client:
            return client.ask(service, role)

    def state(self):
        return self.ask()["state"]

    def wait_state(self, state, timeout=15):
        """Wait until the service is in this state; returns all variables of that answer."""
        def asked():
            answer = self.ask()
            return answer if answer["state"] == state else None
        return wait_until(asked, timeout, f"state {state}; log:\n{self.agent.log_text()[-2000:]}")

    def wait_master(self, name, timeout=15):
        """Wait until this server is named; returns all variables of that answer."""
        def asked():
            answer = self.ask()
            return answer if answer["master"] == name else None
        return wait_until(asked, timeout, f"master {name}")

    def wait_votes(self, count, timeout=15):
        """Wait until so many Sentinels have voted for the master; returns all variables of that answer."""
        def asked():
            answer = self.ask()
            return answer if answer["votes"] == count else None
        return wait_until(asked, timeout, f"{count} votes")

    def wait_quiet(self, seconds=0.3, timeout=15):
        """Wait until no fake has been asked anything for so long: the agent has nothing more to clear up."""
        def quiet():
            return all(time.monotonic() > fake.last_asked() + seconds for fake in self.fakes)
        wait_until(quiet, timeout, "the agent asks nothing")

    def wait_polls(self, count, timeout=15):
        """Wait until every fake was asked for the master so many times more."""
        goals = [(fake, fake.times_asked() + count) for fake in self.fakes]
        wait_until(lambda: all(fake.times_asked() >= goal for fake, goal in goals), timeout, f"{count} polls")


def agent_words(*arguments):
    """The command line of the agent's program with these arguments."""
    return [*Agent(Path("/")).binary, *map(str, arguments)]


def run_agent(*arguments, timeout=30, **options):
    """The agent's program with these arguments, until it ends; a subprocess.CompletedProcess with text."""
    return subprocess.run(agent_words(*arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, check=False, **options)


def check_findings(path, *words):
    """What `check` finds, as its JSON has it."""
    return json.loads(run_agent("-f", path, "check", "--json", *words).stdout)["findings"]


def found_about(path, words):
    """The subjects of all findings whose message has these words."""
    return [subject for finding in check_findings(path) if words in finding["message"] for subject in finding["subject"]]
