"""Child processes that never outlive their parent, conditions with a deadline, and free ports."""

import collections
import contextlib
import ctypes
import os
import random
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

TCP_ESTABLISHED = "01"  # in /proc/net/tcp
PR_SET_PDEATHSIG = 1
POLL = 0.005  # seconds between two looks at a condition
SHARES = 8
GIVEN = collections.deque(maxlen=200)  # ports that free_ports() gave lately

# haproxy lives in /usr/sbin, which an ordinary user's PATH may lack.
PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"

LIBC = ctypes.CDLL(None, use_errno=True)


class Timeout(AssertionError):
    """A condition did not come true before its deadline."""


def wait_until(condition, timeout, what):
    """Look at condition() until it is true and return its value. OSError counts as "not yet"."""
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
        except OSError as error:
            last = error
        if time.monotonic() > deadline:
            raise Timeout(f"not within {timeout} s: {what}" + (f" (last error: {last})" if last else ""))
        time.sleep(POLL)


def free_ports(count):
    """Ports that are free on the loopback now, differing from each other. None that the kernel would choose for somebody's
    outgoing connection before the program is there that is to listen."""
    first, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    # Each of the processes that test beside each other, whose pids are near, has some of them for itself.
    begin = 10000 + os.getpid() % SHARES * ((first - 10000) // SHARES)
    sockets = []
    try:
        while len(sockets) < count:
            sock = socket.socket()
            port = random.randrange(begin, begin + (first - 10000) // SHARES)
            try:
                if port in GIVEN:
                    raise OSError("somebody may be about to listen there")
                sock.bind(("127.0.0.1", port))
                sockets.append(sock)
                GIVEN.append(port)
            except OSError:
                sock.close()
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


def parse_logfmt(line):
    """key=value and key="quoted value" pairs of one log line as a dict of strings."""
    pairs = re.findall(r'([\w.-]+)=("(?:[^"\\]|\\.)*"|\S*)', line)
    return {key: re.sub(r"\\(.)", r"\1", value[1:-1]) if value[:1] == '"' else value for key, value in pairs}


def die_with(parent):
    """Return a preexec_fn: the kernel kills the child when the thread that started it ends."""
    def arrange():
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    return arrange


class Log:
    """The lines of a program, in the file `log_path` that only grows; `name` is for messages."""

    def mark(self):
        """The present end of the log, to be given as `since` later."""
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def log_text(self, since=0):
        """The log from byte `since` on, up to the last whole line."""
        if not self.log_path.exists():
            return ""
        with open(self.log_path, "rb") as log:
            log.seek(since)
            data = log.read()
        return data[:data.rfind(b"\n") + 1].decode(errors="replace")

    def wait_log(self, pattern=None, timeout=10, since=0, **wanted):
        """Wait for a line that matches the regular expression and has all the logfmt fields `wanted`.

        A dash in a field's name is written as underscore: wait_log(event="master-switch", new_server="R2").
        Returns the fields of the first such line as a dict, the line itself under "line".
        """
        what = f"a line in the log of {self.name} with {pattern or ''} {wanted or ''}"
        return wait_until(lambda: self.find_log(pattern, since, **wanted), timeout, what)

    def find_log(self, pattern=None, since=0, **wanted):
        """As wait_log, but at once: None where there is no such line."""
        return next(iter(self.log_lines(pattern, since, **wanted)), None)

    def log_lines(self, pattern=None, since=0, **wanted):
        """All such lines, as wait_log gives them."""
        wanted = {key.replace("_", "-"): str(value) for key, value in wanted.items()}
        found = []
        for line in self.log_text(since).splitlines():
            line_fields = parse_logfmt(line)
            if (pattern is None or re.search(pattern, line)) and wanted.items() <= line_fields.items():
                found.append({**line_fields, "line": line})
        return found


class Process(Log):
    """A program in its own process, output in one log file that a restart appends to.

    Start it from the main thread: the kernel ends it when the thread that started it ends.
    """

    pass_fds = ()  # descriptors that it inherits

    def __init__(self, name, directory):
        self.name = name
        self.directory = directory
        self.log_path = directory / f"{name}.log"
        self.child = None
        self.paused = False
        self.prefix = []  # words in front of the command line

    def command(self):
        """The words of the command line; a subclass says."""
        raise NotImplementedError

    def ready(self):
        """True when the program serves; a subclass says. OSError means not yet."""
        raise NotImplementedError

    def start(self, timeout=15):
        """Start and wait until ready() says so. Returns self."""
        self.spawn()
        try:
            wait_until(lambda: self.check_alive() and self.ready(), timeout, f"{self.name} is ready")
        except Timeout as error:
            raise Timeout(f"{error}; its log ends with:\n{self.log_text()[-2000:]}") from None
        return self

    def spawn(self):
        """Start without waiting."""
        if self.alive():
            raise RuntimeError(f"{self.name} runs already")
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen([*self.prefix, *self.command()], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          cwd=self.directory, env={**os.environ, "PATH": PATH},
                                          start_new_session=True, pass_fds=self.pass_fds,
                                          preexec_fn=die_with(os.getpid()))
        self.paused = False

    def check_alive(self):
        """True, or RuntimeError with the end of the log where the program has ended."""
        if not self.alive():
            raise RuntimeError(f"{self.name} ended with {self.child.returncode}:\n{self.log_text()[-2000:]}")
        return True

    def alive(self):
        return self.child is not None and self.child.poll() is None

    @property
    def pid(self):
        return self.child.pid

    def signal(self, number):
        """Send a signal, and only to a child that has not been waited for: its pid is still its own."""
        if self.alive():
            self.child.send_signal(number)

    def terminate(self):
        """Ask the program to end (SIGTERM) without waiting; a paused one is woken, else it would not hear."""
        self.signal(signal.SIGTERM)
        if self.paused:
            self.resume()

    def stop(self, timeout=10):
        """SIGTERM, wait, SIGKILL past the timeout. Returns the exit code (-9 where SIGKILL was needed)."""
        if self.child is None:
            return None
        self.terminate()
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self):
        """SIGKILL and wait."""
        self.signal(signal.SIGKILL)
        return self.child.wait() if self.child else None

    def pause(self):
        """SIGSTOP: the program hangs, its sockets stay open."""
        self.signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        """SIGCONT."""
        self.signal(signal.SIGCONT)
        self.paused = False

    def resident_kib(self):
        """The memory that it has in use."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

    def cpu_seconds(self):
        """What it has used of a processor, by itself and in the kernel."""
        words = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self, besides=None):
        """How many it has open; without the connections of peers to the port `besides` (TCP over IPv4), if given."""
        links = []
        for descriptor in Path(f"/proc/{self.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                links.append(os.readlink(descriptor))
        peers = {f"socket:[{inode}]" for own, _, state, inode in self.connections() if own == besides and state == TCP_ESTABLISHED}
        return sum(link not in peers for link in links)

    def holds(self, sock):
        """Whether it has accepted the connection of `sock` (TCP over IPv4) and not closed it yet."""
        ends = sock.getpeername()[1], sock.getsockname()[1]
        return any((own, peer) == ends and inode != "0" for own, peer, _, inode in self.connections())

    def connections(self):
        """(own port, the peer's port, state, inode) of each TCP connection over IPv4 in its network. No program has inode 0."""
        for line in Path(f"/proc/{self.pid}/net/tcp").read_text().splitlines()[1:]:
            words = line.split()
            own, peer = (int(end.partition(":")[2], 16) for end in words[1:3])
            yield own, peer, words[3], words[9]
