#!/usr/bin/python3
"""make demo: see a Redis failover through HAProxy, with real programs on free loopback ports.

Starts three Redis, three Sentinels, sentinel-spoa and HAProxy with the shipped configuration files, writes
through HAProxy with a new connection per write, kills the master and prints what happened when. Of the files only
addresses and paths are changed. With KEEP=1 in the environment everything runs on: each key kills the master again,
q and Ctrl-C end it. Needs no package beside Python itself.

Exit codes: 0 the writes ended on the new master, 1 they did not, 2 something is missing to start with.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import termios
import time
import tty
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from cluster import Cluster  # noqa: E402
from observers import Referee, Writer  # noqa: E402
from process import PATH, Timeout, wait_until  # noqa: E402
from resp import RespError, ask  # noqa: E402

WRITES_BEFORE = 200  # acknowledged writes before the kill
WRITES_AFTER = 200  # and on the new master, before the demo ends
# ms. Sentinel pings a new master after 1 s at the earliest: with 1000 it sometimes fails over a second time at once.
DOWN_AFTER = 2500
FAILOVER_TIMEOUT = 10000  # ms
PACKAGES = {"redis-server": "redis-server", "redis-sentinel": "redis-sentinel", "haproxy": "haproxy"}


def say(text=""):
    print(text, flush=True)


def missing(agent):
    """What lacks for the demo, one sentence each."""
    lacks = [f"{program} is not installed (Debian package {package})"
             for program, package in PACKAGES.items() if shutil.which(program, path=PATH) is None]
    if shutil.which(agent.binary[0], path=PATH) is None:
        lacks.append(f"{agent.binary[0]} is not built: run make first")
    return lacks


def version():
    """HAProxy's version number."""
    shown = subprocess.run(["haproxy", "-v"], env={**os.environ, "PATH": PATH}, capture_output=True, text=True,
                           check=True)
    return shown.stdout.split()[2]


def start(cluster):
    say(f"Starting 3 Redis, 3 Sentinels (quorum 2, down-after {DOWN_AFTER} ms), sentinel-spoa and HAProxy {version()} ...")
    cluster.start_redis()
    cluster.start_sentinels(quorum=2, down_after=DOWN_AFTER, failover_timeout=FAILOVER_TIMEOUT)
    cluster.start_agent()
    cluster.start_haproxy()
    cluster.wait_served()
    cluster.agent.wait_log(event="park")  # how long clients wait follows from what the Sentinels tell


def addresses(cluster):
    nodes = "  ".join(f"{node.name} {node.where}" for node in cluster.redis)
    sentinels = "  ".join(f"{sentinel.name} {sentinel.where}" for sentinel in cluster.sentinels)
    say(f"  HAProxy    {cluster.haproxy.where}   (redis-cli -p {cluster.haproxy.port})")
    say(f"  agent      {cluster.agent.address}")
    say(f"  its page   http://{cluster.agent.http_address}/")
    say(f"  Redis      {nodes}")
    say(f"  Sentinels  {sentinels}")
    say(f"  directory  {cluster.directory}   (haproxy.cfg, spoe.conf, agent.conf, *.log)")


def fail_over(cluster, writer, referee):
    """Write, kill the master, write on until the new master has taken enough. Returns (old, new, killed)."""
    say(f"\nWriting through HAProxy, one connection per write; after {WRITES_BEFORE} writes the master is killed.")
    wait_until(lambda: len(writer.acknowledged()) >= WRITES_BEFORE, 30, f"{WRITES_BEFORE} writes")
    old = cluster.node(writer.acknowledged()[-1].port)
    old.kill()
    killed = time.monotonic()
    new = cluster.wait_failover(old)
    wait_until(lambda: len(writer.acknowledged(new.port)) >= WRITES_AFTER, 30, f"{WRITES_AFTER} writes on {new.name}")
    wait_until(lambda: referee.agent_event(event="master-switch", new=new.where), 5, "the agent logged its switch")
    return old, new, killed


def found_on(node, keys):
    """How many of the keys the node has, asked from the node itself."""
    return sum(value is not None for value in ask(node.address, "MGET", *keys))


def timeline(writer, referee, old, new, killed):
    """(when, text) of each thing that happened, in order."""
    refused = [write for write in writer.refused() if write.ended >= killed]
    events = [
        (killed, f"{old.name}, the master, killed (SIGKILL)"),
        (writer.acknowledged(old.port)[-1].ended, f"last write acknowledged by {old.name}"),
        (referee.first_named[new.address], f"a first Sentinel named {new.name}"),
        (referee.majority_named[new.address], f"a majority of the Sentinels named {new.name}"),
        (referee.agent_event(event="master-switch", new=new.where)[0], f"sentinel-spoa switched to {new.name}"),
        (writer.acknowledged(new.port)[0].ended, f"first write acknowledged by {new.name}"),
    ]
    if refused:
        events.append((refused[0].ended, "first connection refused"))
        events.append((refused[-1].ended, "last connection refused"))
    return sorted(events)


def report(writer, referee, old, new, killed):
    """Print the timeline and the sums; True if all is as it should be."""
    say("\n      ms  what")
    for when, text in timeline(writer, referee, old, new, killed):
        say(f"{(when - killed) * 1000:+8.0f}  {text}")

    acknowledged, refused = writer.acknowledged(), writer.refused()
    gap = writer.acknowledged(new.port)[0].ended - writer.acknowledged(old.port)[-1].ended
    lost = len(acknowledged) - found_on(new, [write.key for write in acknowledged])
    stray = [write for write in writer.writes if write.replied or write.port not in (0, old.port, new.port)]
    say(f"\n  gap               {gap * 1000:.0f} ms without a write")
    say(f"  refused           {len(refused)} attempts of {len(writer.writes)}")
    say(f"  sent astray       {len(stray)} (to a node that was not the master)")
    say(f"  writes lost       {lost} of {len(acknowledged)} acknowledged are not on {new.name}")
    last = writer.writes[-1]
    say(f"  new master        {new.name} {new.where}, by its own word: {new.role()}")
    if stray:
        say(f"FAILED: {stray[0].key} met port {stray[0].port}, reply {stray[0].error!r}")
    elif last.port != new.port or new.role() != "master" or found_on(new, [last.key]) != 1:
        say(f"FAILED: the last write did not end on {new.name}")
    else:
        say(f"OK: the writes ended on {new.name}.")
        return True
    return False


@contextlib.contextmanager
def keys_at_once():
    """A key counts without Enter, and none that was pressed before. Nothing changes where there is no terminal."""
    usual = termios.tcgetattr(sys.stdin) if sys.stdin.isatty() else None
    try:
        if usual is not None:
            tty.setcbreak(sys.stdin)
        yield
    finally:
        if usual is not None:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, usual)


def is_another_wanted():
    """Wait for a key: False where it ends the demo. Without a terminal only a signal does."""
    try:
        with keys_at_once():
            say("\nKEEP=1: all goes on running. Press a key to kill the master again, q or Ctrl-C to stop everything.")
            while not sys.stdin.isatty():
                signal.pause()
            return os.read(sys.stdin.fileno(), 1) not in (b"q", b"Q", b"")
    except KeyboardInterrupt:
        say()
        return False


def bring_back(cluster, dead):
    """Start the old master again. It takes itself for the master until the Sentinels make it a replica."""
    dead.start()
    say(f"\n{dead.name} is started again; the Sentinels make it a replica within some ten seconds.")
    wait_until(dead.in_sync, 60, f"{dead.name} is a replica in sync")
    addresses(cluster)


def run_once(cluster):
    """One failover. Returns whether all was as it should be, and the node that was killed."""
    with Writer(cluster.haproxy.address) as writer, Referee(cluster.sentinels, cluster.agent) as referee:
        old, new, killed = fail_over(cluster, writer, referee)
    return report(writer, referee, old, new, killed), old


def demo(cluster, keep):
    start(cluster)
    addresses(cluster)
    good, dead = run_once(cluster)
    while keep and is_another_wanted():
        bring_back(cluster, dead)
        is_good, dead = run_once(cluster)
        good = good and is_good
    return good


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with it ignored
    keep = os.environ.get("KEEP", "") not in ("", "0")
    with Cluster() as cluster:
        cluster.park = None
        lacks = missing(cluster.agent)
        if lacks:
            say("\n".join(lacks))
            return 2
        try:
            good = demo(cluster, keep)
        except (Timeout, RuntimeError, RespError, OSError) as error:
            say(f"FAILED: {error}")
            say("\n".join(["The agent's log ends with:", *cluster.agent.log_text().splitlines()[-10:]]))
            good = False
        except KeyboardInterrupt:
            say("\nInterrupted.")
            good = False
        say("Stopping everything ...")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
