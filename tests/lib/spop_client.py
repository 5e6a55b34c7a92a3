"""HAProxy's side of SPOP 2.0 on a blocking socket: whole frames for the ordinary, single bytes for the rude.

    with SpopClient("127.0.0.1:9012") as haproxy:
        haproxy.hello()
        answer = haproxy.ask("mymaster")            # {"state": "ok", "master": "R1", ...}; None: unset by the agent
        haproxy.send(notify(5, 1, [("find-master", {"service": "mymaster"})]))
        frame = haproxy.read()                      # Frame(type=ACK, stream_id=5, frame_id=1, ...)
"""

import ipaddress
import socket
import struct
import threading
import time
from dataclasses import dataclass

from process import wait_until

UNSET, HELLO, DISCONNECT, NOTIFY = 0, 1, 2, 3
AGENT_HELLO, AGENT_DISCONNECT, ACK = 101, 102, 103
FIN = 1
SET_VAR, UNSET_VAR, SCOPE_TXN = 1, 2, 2

# Type nibbles of typed data.
NULL, BOOL, INT32, UINT32, INT64, UINT64, IPV4, IPV6, STRING, BINARY = range(10)
TRUE_FLAG = 0x10


class Malformed(AssertionError):
    """The agent sent something that is not SPOP."""


class Closed(ConnectionError):
    """The agent closed the connection."""


@dataclass
class Frame:
    """One frame from the agent."""
    type: int
    flags: int
    stream_id: int
    frame_id: int
    payload: bytes

    def pairs(self):
        """The KV list of an AGENT-HELLO or AGENT-DISCONNECT as a dict."""
        reader, found = Reader(self.payload), {}
        while reader.left():
            name = reader.text()
            found[name] = reader.value()
        return found

    def variables(self):
        """What an ACK does to the variables, as a dict; None for one that it unsets."""
        reader, found = Reader(self.payload), {}
        while reader.left():
            action, count, scope = reader.take(3)
            if (action, count, scope) not in ((SET_VAR, 3, SCOPE_TXN), (UNSET_VAR, 2, SCOPE_TXN)):
                raise Malformed(f"action {action} with {count} arguments, scope {scope}")
            name = reader.text()
            found[name] = reader.value() if action == SET_VAR else None
        return found


class Reader:
    """Takes values off the front of a payload."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def left(self):
        return len(self.data) - self.at

    def take(self, count):
        if count > self.left():
            raise Malformed(f"{count} bytes wanted, {self.left()} left of {self.data.hex()}")
        self.at += count
        return self.data[self.at - count:self.at]

    def varint(self):
        value = first = self.take(1)[0]
        if first < 240:
            return value
        shift = 4
        while True:
            byte = self.take(1)[0]
            value += byte << shift
            shift += 7
            if byte < 128:
                return value

    def text(self):
        return self.take(self.varint()).decode()

    def value(self):
        head = self.take(1)[0]
        kind = head & 0x0F
        if kind == BOOL:
            return bool(head & TRUE_FLAG)
        if kind in (INT32, UINT32, INT64, UINT64):
            value = self.varint()
            return value - (1 << 64) if kind in (INT32, INT64) and value >> 63 else value
        if kind in (IPV4, IPV6):
            return ipaddress.ip_address(self.take(4 if kind == IPV4 else 16))
        if kind == STRING and head == STRING:
            return self.text()
        raise Malformed(f"an agent has no reason to send type byte {head:#x}")


def varint(value):
    """HAProxy's own variable-length integer (SPOE.txt 3.1), not LEB128."""
    if value < 240:
        return bytes([value])
    out = bytearray([(value & 0xFF) | 0xF0])
    value = (value - 240) >> 4
    while value >= 128:
        out.append((value & 0xFF) | 0x80)
        value = (value - 128) >> 7
    out.append(value)
    return bytes(out)


def text(value):
    """A name: varint length and bytes."""
    data = value.encode() if isinstance(value, str) else value
    return varint(len(data)) + data


def typed(value):
    """A typed value as HAProxy sends it: None, bool, int, str, bytes (BINARY) or an address."""
    if value is None:
        return bytes([NULL])
    if isinstance(value, bool):
        return bytes([BOOL | (TRUE_FLAG if value else 0)])
    if isinstance(value, int):
        return bytes([INT64]) + varint(value & (1 << 64) - 1)
    if isinstance(value, str):
        return bytes([STRING]) + text(value)
    if isinstance(value, bytes):
        return bytes([BINARY]) + text(value)
    return bytes([IPV4 if value.version == 4 else IPV6]) + value.packed


def uint32(value):
    """The type that HELLO uses for max-frame-size."""
    return bytes([UINT32]) + varint(value)


def pairs(values):
    """A KV list; a value that is a tuple is taken as encoded already: (bytes,)."""
    return b"".join(text(name) + (value[0] if isinstance(value, tuple) else typed(value))
                    for name, value in values.items())


def frame(kind, stream_id=0, frame_id=0, payload=b"", flags=FIN):
    """One frame with its length in front."""
    body = struct.pack(">BI", kind, flags) + varint(stream_id) + varint(frame_id) + payload
    return struct.pack(">I", len(body)) + body


def hello(without=(), stream_id=0, flags=FIN, **changes):
    """HAPROXY-HELLO as HAProxy 2.6 sends it; changes by key (underscores for dashes), without: keys left out."""
    values = {"supported-versions": "2.0", "max-frame-size": (uint32(16380),), "capabilities": "pipelining,async",
              "engine-id": "12345678-1234-1234-1234-123456789abc"}
    values.update({name.replace("_", "-"): value for name, value in changes.items()})
    return frame(HELLO, stream_id, 0, pairs({k: v for k, v in values.items() if k not in without}), flags)


def health_check():
    """The HELLO of `option spop-check`."""
    return hello(without=("engine-id",), capabilities="", healthcheck=True)


def message(name, arguments):
    """One message of a NOTIFY: its name, the number of arguments, the arguments (a dict)."""
    return text(name) + bytes([len(arguments)]) + pairs(arguments)


def notify(stream_id=1, frame_id=1, messages=(), flags=FIN):
    """A NOTIFY of (name, arguments) pairs."""
    return frame(NOTIFY, stream_id, frame_id, b"".join(message(*one) for one in messages), flags)


def question(service="mymaster", stream_id=1, frame_id=1, role="master"):
    """The NOTIFY that the shipped spoe.conf makes; None leaves an argument out."""
    arguments = {"service": service, "role": role}
    return notify(stream_id, frame_id, [("find-master", {k: v for k, v in arguments.items() if v is not None})])


class SpopClient:
    """One connection to the agent. `address` as the agent logs it: host:port, [v6]:port or unix:/path."""

    def __init__(self, address, timeout=15, buffers=None, tls=None):
        """timeout in seconds bounds every read and write; buffers: what the kernel may hold each way, bytes. tls: an
        ssl.SSLContext for one that talks TLS."""
        unix = address.startswith("unix:")
        self.sock = socket.socket(socket.AF_UNIX if unix else socket.AF_INET6 if address.startswith("[") else socket.AF_INET)
        self.sock.settimeout(timeout)
        if buffers is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffers)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffers)
        try:
            if unix:
                self.sock.connect(address[len("unix:"):])
            else:
                host, port = address.rsplit(":", 1)
                self.sock.connect((host.strip("[]"), int(port)))
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                self.sock = tls.wrap_socket(self.sock, server_hostname=host.strip("[]"))
        except OSError:
            self.sock.close()
            raise
        self.reader = self.sock.makefile("rb")
        self.stream_id = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.reader.close()
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def read_bytes(self, count):
        data = self.reader.read(count)
        if len(data) != count:
            raise Closed(f"closed after {len(data)} of {count} bytes")
        return data

    def read(self):
        """The next frame; Closed at the end of the stream, TimeoutError where none comes."""
        body = self.read_bytes(struct.unpack(">I", self.read_bytes(4))[0])
        kind, flags = struct.unpack(">BI", body[:5])
        rest = Reader(body[5:])
        found = Frame(kind, flags, rest.varint(), rest.varint(), rest.data[rest.at:])
        if found.flags != FIN:
            raise Malformed(f"an agent must not fragment: {found}")
        return found

    def hello(self):
        """Say HELLO and return what the agent says, as a dict."""
        self.send(hello())
        return self.expect(AGENT_HELLO).pairs()

    def expect(self, kind):
        """The next frame, which must be of this type."""
        found = self.read()
        if found.type != kind:
            said = found.pairs() if found.type == AGENT_DISCONNECT else found
            raise Malformed(f"frame type {kind} expected, got {said}")
        return found

    def ask(self, service="mymaster", role="master"):
        """One question on a stream of its own; the variables that the agent sets. None leaves an argument out."""
        self.stream_id += 1
        self.send(question(service, self.stream_id, 1, role))
        found = self.expect(ACK)
        if (found.stream_id, found.frame_id) != (self.stream_id, 1):
            raise Malformed(f"asked on stream {self.stream_id}, answered {found}")
        return found.variables()

    def read_disconnect(self):
        """The status code of the AGENT-DISCONNECT that must come now; then the agent must close."""
        said = self.expect(AGENT_DISCONNECT)
        if (said.stream_id, said.frame_id) != (0, 0):
            raise Malformed(f"AGENT-DISCONNECT with ids: {said}")
        self.expect_closed()
        return said.pairs()["status-code"]

    def expect_closed(self):
        """Nothing more comes, and the agent closes (in order or with a reset)."""
        try:
            rest = self.reader.read(1)
        except ConnectionResetError:
            rest = b""
        if rest:
            raise Malformed(f"more after the end: {rest!r}")


class Sender(threading.Thread):
    """Sends bytes from a thread of its own, for a peer that may not read them."""

    def __init__(self, client, data):
        super().__init__(daemon=True)
        self.sock = client.sock
        self.data = data
        self.progress = time.monotonic()

    def run(self):
        try:
            for at in range(0, len(self.data), 4096):
                self.sock.sendall(self.data[at:at + 4096])
                self.progress = time.monotonic()
        except OSError:
            pass  # closed by the test, or by the agent

    def wait_stuck(self):
        """Wait until nothing could be sent for half a second; AssertionError where all of it was sent."""
        wait_until(lambda: not self.is_alive() or time.monotonic() > self.progress + 0.5, 30, "the peer stops reading")
        assert self.is_alive(), "the peer has read everything"


def ask_once(address, service="mymaster", role="master"):
    """One question on a connection of its own."""
    with SpopClient(address) as client:
        client.hello()
        return client.ask(service, role)
