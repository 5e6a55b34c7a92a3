"""HAProxy's runtime API, played: it notes what it is told.

    with FakeApi(tmp_path / "api.sock") as api:
        api.version = "3.0.11"          # None: it does not say
        api.sessions = [session_line(0xA1, ESTABLISHED)]
        api.lines                       # (when, line) of all that it was told, but for `show info` and `show sess`
"""

import contextlib
import socket
import time

from observers import Background

CONNECTING, ESTABLISHED, ENDING = 5, 8, 10  # HAProxy's SC_ST_CON, SC_ST_EST, SC_ST_CLO


def session_line(number, state, server="b/R1"):
    """A line of `show sess`."""
    backend, server = server.split("/")
    return f"0x{number:x}: proto=tcpv4 src=10.0.0.9:1 fe=f be={backend} srv={server} ts=00 scf=[8,0h,fd=1] scb=[{state},1h,fd=2] exp=1h"


class FakeApi(Background):
    def __init__(self, path):
        super().__init__()
        self.version = "3.2.1"
        self.sessions = []  # lines of `show sess`
        self.drops = False  # those that it is told to shut are gone
        self.reply = "\n"  # to commands
        self.complains_of = None  # a server that it does not know
        self.delay = 0.0  # seconds before each answer
        self.lines = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(50)
        self.listener.settimeout(0.01)

    def __exit__(self, *exc):
        super().__exit__(*exc)
        self.listener.close()

    def told(self, count=1):
        """Whether it was told so many lines."""
        return len(self.lines) >= count

    def step(self):
        try:
            sock, _ = self.listener.accept()
        except TimeoutError:
            return
        with sock:
            sock.settimeout(5)
            line = sock.makefile("rb").readline()
            self.ending.wait(self.delay)
            with contextlib.suppress(OSError):  # who asked may have given up
                sock.sendall(self.answer(line.decode().strip()).encode() + b"\n")

    def answer(self, line):
        if line == "show info":
            return f"Name: HAProxy\nVersion: {self.version}\n" if self.version else "\n"
        if line == "show sess":
            return "\n".join([*self.sessions, "0xff: fe=GLOBAL be=<NONE> srv=<none> scb=[8,1h]", ""])
        self.lines.append((time.monotonic(), line))
        if self.drops:
            shut = {command.split()[-1] for command in line.split(";")}
            self.sessions = [one for one in self.sessions if one.split(":")[0] not in shut]
        return "No such backend.\n" if self.complains_of and self.complains_of in line else self.reply
