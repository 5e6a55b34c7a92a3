"""A small RESP2 client on a blocking socket: enough to ask Redis and Sentinel, with no package needed."""

import socket


class RespError(Exception):
    """The server answered with an error reply ("-ERR ...")."""


class Resp:
    """One connection. Use it as a context manager, or close() it."""

    def __init__(self, address, timeout=2.0, source=None):
        """address is (host, port) or the path of a UNIX socket; timeout in seconds bounds the connect and each read
        and write; source is an address of ours to connect from."""
        if isinstance(address, tuple):
            self.sock = socket.create_connection(address, timeout, source and (source, 0))
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.sock = connect_unix(address, timeout)
        self.reader = self.sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.reader.close()
        self.sock.close()

    def is_closed(self):
        """Whether the other side has closed it, without waiting. No reply must be under way."""
        timeout = self.sock.gettimeout()
        self.sock.settimeout(0.001)
        try:
            return self.sock.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True
        finally:
            self.sock.settimeout(timeout)

    def call(self, *args):
        """Send one command and return its reply: str, int, list or None. Raises RespError or OSError."""
        self.send(*args)
        return self.read()

    def send(self, *args):
        """Send one command without waiting for the reply."""
        words = [str(arg).encode() for arg in args]
        parts = [b"*%d\r\n" % len(words)]
        parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
        self.sock.sendall(b"".join(parts))

    def read(self):
        """Read one reply. ConnectionError where the server closed the connection."""
        line = self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("connection closed by the server")
        kind, rest = line[:1], line[1:-2].decode(errors="replace")
        if kind == b"+":
            return rest
        if kind == b"-":
            raise RespError(rest)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == "-1" else self.read_bulk(int(rest))
        if kind == b"*":
            return None if rest == "-1" else [self.read() for _ in range(int(rest))]
        raise ConnectionError(f"not a RESP reply: {line!r}")

    def read_bulk(self, length):
        data = self.reader.read(length + 2)
        if len(data) != length + 2:
            raise ConnectionError("connection closed by the server")
        return data[:-2].decode(errors="replace")


def connect_unix(path, timeout):
    """A connected UNIX socket."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(timeout)
    try:
        sock.connect(str(path))
    except OSError:
        sock.close()
        raise
    return sock


def ask(address, *args, timeout=2.0):
    """Open a connection, send one command, return the reply and close."""
    with Resp(address, timeout) as connection:
        return connection.call(*args)


def fields(flat):
    """The flat field/value list of a RESP2 map reply as a dict (SENTINEL MASTER and its like)."""
    return dict(zip(flat[::2], flat[1::2]))
