#!/usr/bin/python3
"""make clients-report: real clients through failovers, with the agent, with their own support of Sentinel, and with the usual
recipe, as tables in build/clients/report.md. With --update the tables also replace those in spoa/doc/clients.md.

About six minutes. Exit code 1 where the agent broke what it promises, or where a client is not there.
"""

import re
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import clients  # noqa: E402
import marks  # noqa: E402
from cluster import ROOT, SERVER  # noqa: E402
from process import PATH  # noqa: E402

PAGE = ROOT / "spoa" / "doc" / "clients.md"
HEAD = ("client", "way", "errors", "longest stall, s", "acknowledged and lost", "executed twice",
        "executed though reported as failed", "served again", "messages missed")
WHAT = {
    "kill": "The master is killed (kill -9)",
    "manual": "A failover by order (SENTINEL FAILOVER); the old master lives on",
    "stop": "The master hangs (SIGSTOP) and does not come back",
}


def server_version(program):
    """The first version number in what `PROGRAM -v` prints."""
    text = subprocess.run([program, "-v"], env={"PATH": PATH}, capture_output=True, text=True, check=True).stdout
    return re.search(r"\d+(\.\d+)+", text)[0]


def told(outcome):
    """Whether its writers were served again."""
    if outcome.ended:
        return f"{outcome.recovered} of {outcome.writers}, a program ended ({outcome.ended})"
    if outcome.recovered == outcome.writers:
        return "yes"
    how_many = "no" if outcome.recovered == 0 else f"{outcome.recovered} of {outcome.writers}"
    return f"{how_many}, `{outcome.last_error[:60]}`" if outcome.last_error else f"{how_many}, it waits"


def missed(channel):
    if channel is None:
        return "–"
    text = f"{channel.lost} of {channel.acknowledged}"
    if channel.ended:
        return f"{text}, a program ended ({channel.ended})"
    return text if channel.recovered == channel.writers else f"{text}, then no more could be sent"


def row(outcome, channel):
    """channel: the outcome of Pub/Sub, None where there is none."""
    stall = f"{outcome.stall:.1f}"
    return (outcome.client, outcome.way, f"{outcome.errors} of {outcome.operations}",
            stall if outcome.recovered == outcome.writers else f"over {stall}",
            f"{outcome.lost} of {outcome.acknowledged}" + (f", {outcome.waiting} wait" if outcome.waiting else ""),
            str(outcome.twice), str(outcome.ghosts), told(outcome), missed(channel))


def broken_promises(scenario, outcome):
    """What the agent promises and did not keep, a sentence each; nothing is promised of the other ways."""
    if outcome.way not in (clients.AGENT, clients.EARLY):
        return []
    found = {f"{outcome.recovered} of {outcome.writers} writers were served again": outcome.recovered < outcome.writers}
    # In a failover by order the old master takes writes until it is replaced, and whose connection to it is cut may miss an
    # answer. BullMQ does a job again whose end it missed.
    if scenario != "manual":
        # One of each writer may have been acknowledged and not been sent to the replicas yet.
        found[f"{outcome.lost} acknowledged writes were lost"] = outcome.lost > outcome.writers
        found[f"{outcome.ghosts} operations were executed though reported as failed"] = outcome.ghosts
        if not clients.CLIENTS[outcome.client].has_jobs:
            found[f"{outcome.twice} operations were executed twice"] = outcome.twice
    return [f"{scenario}, {outcome.client}, {outcome.way}: {text}" for text, is_so in found.items() if is_so]


def measure(scenario):
    """The lines of its section, and the broken promises."""
    writes = clients.run(scenario, "write", list(clients.CLIENTS))
    channels = clients.run(scenario, "publish", [name for name, client in clients.CLIENTS.items() if client.has_channels])
    of = {(outcome.client, outcome.way): outcome for outcome in channels.outcomes}
    rows = [row(outcome, of.get((outcome.client, outcome.way))) for outcome in writes.outcomes]
    rows.sort(key=lambda cells: list(clients.CLIENTS).index(cells[0]))
    lines = ["", f"### {WHAT[scenario]}", f"A majority named the new master after {writes.took:.1f} s; in the run with "
             f"publishers and subscribers after {channels.took:.1f} s.", "", *marks.table(HEAD, rows)]
    return lines, [text for outcome in writes.outcomes for text in broken_promises(scenario, outcome)]


def introduction():
    rows = [(name, clients.version(name), client.set) for name, client in clients.CLIENTS.items()]
    return [f"HAProxy {server_version('haproxy')}, {SERVER} {server_version(f'{SERVER}-server')}, `down-after-milliseconds` "
            f"{clients.DOWN_AFTER}, `park` {clients.PARK}, `{clients.PROCESSING}`.", "",
            *marks.table(("client", "version", "set"), rows)]


def main(words):
    absent = [reason for reason in map(clients.why_not, clients.CLIENTS) if reason]
    if absent:
        print("\n".join(absent), file=sys.stderr)
        return 1
    lines, broken = introduction(), []
    print("\n".join(lines), flush=True)
    for scenario in clients.SCENARIOS:
        section, texts = measure(scenario)
        print("\n".join(section), flush=True)
        lines += section
        broken += texts
    (clients.BUILT / "report.md").write_text("\n".join(lines) + "\n")
    if "--update" in words:
        PAGE.write_text(marks.replace(PAGE.read_text(), "clients-report", lines))
    for text in broken:
        print(f"BROKEN: {text}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
