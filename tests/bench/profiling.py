"""What an answer is made of, by numbers that hardly depend on the machine: system calls (strace) and instructions outside
the kernel (callgrind) for each NOTIFY."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

import bench
from bench import CLIENT_CPU, Echo, Program, Setting, Table, ask, load
from field import Field

SETTINGS = [Setting(16, 32), Setting(200, 1)]
SECONDS = 2


def tables():
    table = Table("System calls and instructions (outside the kernel) per NOTIFY",
                  ["connections × in flight", "system calls, agent", "baseline", "instructions, agent", "baseline"])
    for setting in SETTINGS:
        table.add(setting, *system_calls(setting), *instructions(setting))
    return [table]


# ---- strace ----

def count_calls(server, setting):
    """Per NOTIFY, those of connecting included: there are few."""
    tracer = subprocess.Popen(["strace", "-c", "-p", str(server.pid)], stderr=subprocess.PIPE, text=True)
    tracer.stderr.readline()  # "attached"
    answers = load(server, setting, SECONDS)["answers"]
    tracer.terminate()
    return int(re.search(r"^100\.00\s+\S+\s+\d+\s+(\d+)", tracer.communicate()[1], re.MULTILINE)[1]) / answers


def system_calls(setting):
    with Field() as field, Echo(field.actions()) as echo:
        return [f"{count_calls(server, setting):.2f}" for server in (field.tcp, echo)]


# ---- callgrind ----

def collected(folder):
    """The instructions in the one profile that was written on demand."""
    text = next(folder.glob("profile.*")).read_text()
    return int(re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)[1])


def count_instructions(pid, address, setting, folder):
    """Collection begins now, in a process under callgrind that began without it."""
    subprocess.run(["callgrind_control", "-i", "on", str(pid)], capture_output=True, check=True)
    answers = ask("load", address, pid, setting.connections, setting.depth, setting.batch, setting.services, setting.idle, SECONDS)["answers"]
    subprocess.run(["callgrind_control", "-d", str(pid)], capture_output=True, check=True)
    return collected(folder) / answers


def under_callgrind(folder):
    return f"valgrind --quiet --tool=callgrind --instr-atstart=no --callgrind-out-file={folder}/profile"


def instructions(setting):
    found = []
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        os.environ["SENTINEL_SPOA"] = f"{under_callgrind(one)} {bench.ROOT}/build/release/sentinel-spoa"
        with Field() as field:
            del os.environ["SENTINEL_SPOA"]
            found.append(count_instructions(field.agent.pid, field.agent.address, setting, Path(one)))
            actions = field.actions()
        with Program("echo", "-", actions.hex(), cpu=CLIENT_CPU, prefix=under_callgrind(other).split()) as echo:
            found.append(count_instructions(echo.pid, f"127.0.0.1:{echo.lines[0]}", setting, Path(other)))
    return [f"{value:,.0f}" for value in found]
