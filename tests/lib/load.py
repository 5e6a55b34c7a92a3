"""Writers by the dozen, in a process of their own so that they and those who watch do not slow each other down.

    with Load(haproxy.address, clients=50) as short, Load(haproxy.address, clients=4, persistent=True) as persistent:
        ...
    short.attempts          # all that they did, in the order of time, known after the block
    short.refused()

A short-lived writer connects for every write, a persistent one stays connected for as long as it can.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import astuple, dataclass

from process import die_with
from resp import Resp, RespError

TIMEOUT = 30.0  # seconds that a writer waits for a connection or a reply


@dataclass
class Attempt:
    """One write. Times are of time.monotonic(), which all processes share."""
    key: str
    started: float
    ended: float
    port: int = 0  # of the Redis that acknowledged the write; 0 where none did
    error: str = ""
    replied: bool = False  # the error is a reply of a Redis


class Load:
    """The parent's side: begins and ends with the `with` block."""

    def __init__(self, address, clients, persistent=False, pause=0.02, prefix="load"):
        """pause: seconds between two writes of one client."""
        where = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else address
        self.command = [sys.executable, __file__, where, str(clients), str(int(persistent)), str(pause), prefix]
        self.child = None
        self.attempts = []

    def __enter__(self):
        self.child = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      preexec_fn=die_with(os.getpid()))
        return self

    def __exit__(self, *exc):
        output, _ = self.child.communicate("", TIMEOUT + 30)
        self.attempts = [Attempt(*fields) for fields in json.loads(output)]

    def acknowledged(self, port=None):
        """The writes that a Redis (the one on this port) has acknowledged."""
        return [one for one in self.attempts if one.port and port in (None, one.port)]

    def refused(self):
        """The attempts that met no Redis: refused, or closed before an answer came."""
        return [one for one in self.attempts if one.error and not one.replied]


# ---- the child's side ----

class Writer(threading.Thread):
    """One client."""

    def __init__(self, address, persistent, pause, prefix, ending):
        super().__init__()
        self.address = address
        self.persistent = persistent
        self.pause = pause
        self.prefix = prefix
        self.ending = ending
        self.attempts = []
        self.connection = None
        self.port = 0

    def run(self):
        while not self.ending.wait(self.pause):
            attempt = Attempt(f"{self.prefix}:{len(self.attempts)}", time.monotonic(), 0.0)
            try:
                attempt.port = self.write(attempt.key)
            except RespError as error:
                attempt.error, attempt.replied = str(error), True
            except OSError as error:
                attempt.error = str(error) or type(error).__name__
                self.hang_up()
            attempt.ended = time.monotonic()
            self.attempts.append(attempt)
        self.hang_up()

    def write(self, key):
        """Set the key; the port of the Redis that did. Both questions of a new connection in one round trip."""
        if self.connection is not None:
            self.connection.call("SET", key, key)
            return self.port
        self.connection = Resp(self.address, TIMEOUT)
        self.connection.send("CONFIG", "GET", "port")
        self.connection.send("SET", key, key)
        self.port = int(self.connection.read()[1])
        try:
            self.connection.read()
        finally:
            if not self.persistent:
                self.hang_up()
        return self.port

    def hang_up(self):
        if self.connection is not None:
            with contextlib.suppress(OSError):
                self.connection.close()
        self.connection = None


def main(where, clients, persistent, pause, prefix):
    host, colon, port = where.rpartition(":")
    address = (host, int(port)) if colon and port.isdigit() else where
    ending = threading.Event()
    writers = [Writer(address, persistent == "1", float(pause), f"{prefix}:{i}", ending) for i in range(int(clients))]
    for writer in writers:
        writer.start()
    sys.stdin.read()
    ending.set()
    for writer in writers:
        writer.join()
    attempts = sorted((one for writer in writers for one in writer.attempts), key=lambda one: one.ended)
    json.dump([astuple(one) for one in attempts], sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
