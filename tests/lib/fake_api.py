"""HAProxy's runtime API, or its master CLI, played: it notes what it is told.

    with FakeApi(tmp_path / "api.sock") as api:
        api.version = "3.0.11"          # None: it does not say
        api.sessions = [session_line(0xA1, ESTABLISHED)]
        api.lines                       # (when, line) of all that it was told to shut
        api.servers = {"b/R1": 0}       # the servers that it knows, and their weights; None: all, with weight 0
        api.silent = ("get weight",)    # it says nothing to what begins so, and stays connected
        api.close()                     # nobody listens there any more
        api.open()
"""

import contextlib
import os
import socket
import time

from observers import Background

CONNECTING, ESTABLISHED, ENDING = 5, 8, 10  # HAProxy's SC_ST_CON, SC_ST_EST, SC_ST_CLO
TRY = "shutdown sessions server -/-"  # by this the agent finds out whether it may


def session_line(number, state, server="b/R1"):
    """A line of `show sess`."""
    backend, server = server.split("/")
    return f"0x{number:x}: proto=tcpv4 src=10.0.0.9:1 fe=f be={backend} srv={server} ts=00 scf=[8,0h,fd=1] scb=[{state},1h,fd=2] exp=1h"


class FakeApi(Background):
    def __init__(self, path):
        super().__init__()
        self.path = str(path)
        self.version = "3.2.1"
        self.sessions = []  # lines of `show sess`
        self.drops = False  # those that it is told to shut are gone
        self.reply = ""  # to commands that shut
        self.may_shut = True
        self.servers = None
        self.delay = 0.0  # seconds before each answer
        self.silent = ()
        self.lines = []
        self.trials = 0
        self.listener = None
        self.open()

    def open(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen(50)
        listener.settimeout(0.01)
        self.listener = listener

    def close(self):
        """Nobody listens there any more; what was asked before is answered."""
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.close()
            os.unlink(self.path)

    def __exit__(self, *exc):
        super().__exit__(*exc)
        self.close()

    def told(self, count=1):
        """Whether it was told so many lines."""
        return len(self.lines) >= count

    def told_of(self, server):
        """When it was told to shut the sessions to this server."""
        return [when for when, line in self.lines if f"shutdown sessions server {server}" in line.split(";")]

    def step(self):
        listener = self.listener
        if listener is None:
            time.sleep(0.01)
            return
        try:
            sock, _ = listener.accept()
        except OSError:  # nobody came, or it was closed
            return
        with sock:
            sock.settimeout(5)
            line = sock.makefile("rb").readline().decode().strip()
            if line.startswith(tuple(self.silent)):
                self.ending.wait(4)
                return
            self.ending.wait(self.delay)
            with contextlib.suppress(OSError):  # who asked may have given up
                sock.sendall("".join(self.answer(command) + "\n" for command in self.noted(line)).encode())

    def noted(self, line):
        """The commands in a line."""
        commands = line.split(";")
        if commands[0].startswith("shutdown") and commands[0] != TRY:
            self.lines.append((time.monotonic(), line))
        self.trials += commands[0] == TRY
        return commands

    def answer(self, command):
        """Without the empty line that ends each answer."""
        words = command.split()
        if command == "show info":
            return f"Name: HAProxy\nVersion: {self.version}\n" if self.version else ""
        if command == "show sess":
            return "\n".join([*self.sessions, "0xff: fe=GLOBAL be=<NONE> srv=<none> scb=[8,1h]", ""])
        if words[:2] == ["get", "weight"]:
            weight = 0 if self.servers is None else self.servers.get(words[2])
            return "No such server.\n" if weight is None else f"{weight} (initial {weight})\n"
        if not self.may_shut:
            return "Permission denied\n"
        if command == TRY:
            return "No such backend.\n"
        if words[:3] == ["shutdown", "sessions", "server"] and self.servers is not None and words[3] not in self.servers:
            return "No such server.\n"
        if self.drops:
            self.sessions = [one for one in self.sessions if one.split(":")[0] != words[-1]]
        return self.reply
