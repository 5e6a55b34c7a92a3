"""A Sentinel that says what a test wants it to: a small RESP2 server with scripted replies.

    with FakeSentinel(master=("127.0.0.1", 7001)) as fake:
        fake.master = ("127.0.0.1", 7002)                       # what it says from now on
        fake.reply("SENTINEL MYID", Raw(b"-NOPERM no\\r\\n"))   # another reply to the commands that begin so
        fake.publish("+switch-master", "mymaster 127.0.0.1 7001 127.0.0.1 7002")

A reply is str (bulk), int, list, None (nil array), NIL, OK, Raw (bytes as they are), Endless, HANG (none at all), or
a function of the command's words that returns one. It is looked up when the command comes in, so a test may change its
mind at any time. Connections are served by a thread each; all end with stop().
"""

import socket
import threading
import time

from process import free_ports

HANG = object()  # no reply, and none to later commands of the connection either
OK = object()
NIL = object()  # a null bulk, as an element or alone

GET_MASTER = "SENTINEL GET-MASTER-ADDR-BY-NAME"


class Raw(bytes):
    """Bytes that go out as they are."""


class Endless:
    """A reply that begins with `head` and goes on with `more` for ever."""

    def __init__(self, head, more):
        self.head, self.more = head, more


def error(message):
    """An error reply: "NOAUTH Authentication required."."""
    return Raw(b"-" + message.encode() + b"\r\n")


def encode(value):
    """A reply as RESP2."""
    if isinstance(value, Raw):
        return bytes(value)
    if value is OK:
        return b"+OK\r\n"
    if value is None:
        return b"*-1\r\n"
    if value is NIL:
        return b"$-1\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, (list, tuple)):
        return b"*%d\r\n" % len(value) + b"".join(encode(item) for item in value)
    data = str(value).encode()
    return b"$%d\r\n%s\r\n" % (len(data), data)


class FakeSentinel:
    """Listens on a free loopback port from the start."""

    count = 0

    def __init__(self, master=None, service="mymaster", password=None, host="127.0.0.1", port=0):
        """master: (host, port) that it names for `service`; password: what AUTH must end with, if anything; host, port:
        where it listens. Without `port` it has one that nobody gets by chance once it has stopped, as those are that the
        kernel chooses."""
        FakeSentinel.count += 1
        self.myid = f"{FakeSentinel.count:040x}"
        self.masters = {service: master}
        self.service = service
        self.password = password
        self.delay = 0.0  # seconds before each GET-MASTER-ADDR-BY-NAME is answered
        self.poured = 0  # bytes of endless replies that the peers have taken
        self.greeting = b""  # sent at once on every new connection
        self.replies = {}  # beginning of a command, upper case -> reply
        self.asked = []  # (time.monotonic(), words) of each command that came in
        self.subscribers = {}  # connection -> its channels
        self.connections = set()
        self.lock = threading.Lock()
        self.ending = threading.Event()
        self.listener = socket.create_server((host, port or free_ports(1)[0]))
        self.port = self.listener.getsockname()[1]
        self.where = f"{host}:{self.port}"
        self.accepted = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    @property
    def master(self):
        return self.masters[self.service]

    @master.setter
    def master(self, address):
        self.masters[self.service] = address

    def reply(self, command, value):
        """From now on reply so to commands that begin with these words."""
        self.replies[command.upper()] = value

    def heal(self):
        """Forget all scripted replies, delays and greetings."""
        self.replies.clear()
        self.delay, self.greeting = 0.0, b""

    def times_asked(self, command=GET_MASTER):
        """How often such a command came in so far."""
        return len(self.times_of(command))

    def times_of(self, command=GET_MASTER):
        """When (time.monotonic()) such commands came in."""
        with self.lock:
            return [when for when, words in self.asked if " ".join(words).upper().startswith(command)]

    def last_asked(self):
        """When (time.monotonic()) a command came in last; 0 where none has."""
        with self.lock:
            return self.asked[-1][0] if self.asked else 0.0

    def publish(self, channel, payload):
        """Send a message to the subscribers of the channel; the number of them."""
        with self.lock:
            hearers = [sock for sock, channels in self.subscribers.items() if channel in channels]
        for sock in hearers:
            sock.sendall(encode(["message", channel, payload]))
        return len(hearers)

    def say(self, data):
        """Send bytes to every connection, asked or not."""
        with self.lock:
            hearers = list(self.connections)
        for sock in hearers:
            sock.sendall(data)
        return len(hearers)

    def drop(self):
        """Close all connections; it goes on listening."""
        with self.lock:
            for sock in self.connections:
                shut(sock)

    def stop(self):
        """Close everything: connections are refused from now on."""
        self.ending.set()
        shut(self.listener)
        self.listener.close()
        self.drop()

    def accept(self):
        while not self.ending.is_set():
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections.add(sock)
                self.accepted += 1
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        """One connection until its end."""
        known = self.password is None
        try:
            if self.greeting:
                sock.sendall(self.greeting)
            with sock.makefile("rb") as reader:
                while words := read_command(reader):
                    with self.lock:
                        self.asked.append((time.monotonic(), words))
                    known = self.execute(sock, words, known)
        except (OSError, ValueError):
            pass  # the peer went away, or we did
        finally:
            with self.lock:
                self.connections.discard(sock)
                self.subscribers.pop(sock, None)
            sock.close()

    def execute(self, sock, words, known):
        """Answer one command; whether the connection is authenticated afterwards."""
        if words[0].upper() == "AUTH" and "AUTH" not in self.replies:
            known = self.password is not None and words[-1] == self.password
            wrong = "ERR Client sent AUTH, but no password is set" if self.password is None else "WRONGPASS no"
            sock.sendall(encode(OK if known else error(wrong)))
            return known or self.password is None
        if not known:
            sock.sendall(error("NOAUTH Authentication required."))
            return known
        value = self.decide(sock, words)
        if self.delay and " ".join(words).upper().startswith(GET_MASTER):
            self.ending.wait(self.delay)
        if value is HANG:
            self.ending.wait()
        elif isinstance(value, Endless):
            self.pour(sock, value)
        else:
            sock.sendall(encode(value))
        return known

    def pour(self, sock, reply):
        """Send an endless reply until the peer has enough of it."""
        sock.sendall(reply.head)
        while not self.ending.is_set():
            sock.sendall(reply.more)
            self.poured += len(reply.more)

    def decide(self, sock, words):
        """The reply to a command: that of the longest scripted beginning, else what a Sentinel says."""
        line = " ".join(words).upper()
        fitting = [beginning for beginning in list(self.replies) if line.startswith(beginning)]
        if not fitting:
            return self.ordinary(sock, words)
        value = self.replies[max(fitting, key=len)]
        return value(words) if callable(value) else value

    def ordinary(self, sock, words):
        """What a Sentinel in good health replies."""
        line = " ".join(words).upper()
        if line.startswith(GET_MASTER):
            address = self.masters.get(words[2])
            return [str(part) for part in address] if address else None
        if line == "SENTINEL MYID":
            return self.myid
        if line.startswith(("SENTINEL MASTER ", "SENTINEL REPLICAS ", "SENTINEL SENTINELS ")):
            return []  # nothing that a test has not scripted
        if words[0].upper() == "SUBSCRIBE":
            with self.lock:
                self.subscribers[sock] = set(words[1:])
            return Raw(b"".join(encode(["subscribe", name, i + 1]) for i, name in enumerate(words[1:])))
        if line == "PING":
            return Raw(b"+PONG\r\n")
        if line.startswith("CLIENT SETNAME"):
            return OK
        return error(f"ERR unknown command '{words[0]}'")


def shut(sock):
    """Wake whoever waits on the socket."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the peer was quicker, or it is shut already


def read_command(reader):
    """One command's words; an empty list at the end of the stream."""
    line = reader.readline()
    if not line.startswith(b"*"):
        return []
    words = []
    for _ in range(int(line[1:])):
        length = int(reader.readline()[1:])
        words.append(reader.read(length + 2)[:-2].decode())
    return words
