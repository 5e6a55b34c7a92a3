"""A name server that says what a test wants it to.

    with FakeDns() as dns:
        dns.names["sentinel-1.test"] = ["127.0.0.1", "::1"] # A and AAAA records, TTL 0; another name is NXDOMAIN
        dns.ignores = {AAAA}                                # such questions get no answer
        dns.refuses = "corp.example"                        # names below it are REFUSED
        dns.delay = 3.0                                     # seconds before an answer
        dns.mood = "silent"                                 # or "servfail", "garbage", "answer"
        dns.resolv_conf                                     # the text of an /etc/resolv.conf

It has an address of the loopback for itself: there is no way to tell a port in resolv.conf.
"""

import os
import random
import socket
import struct
import threading
import time

from netns import inside

A, AAAA = 1, 28
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5


class FakeDns:
    def __init__(self, namespace=None):
        """namespace: the network namespace in which it listens, on all addresses; else it has one of its own."""
        self.names = {}
        self.delay = 0.0
        self.mood = "answer"
        self.ignores = set()
        self.refuses = None
        self.asked = 0
        self.questions = []  # the names, in order
        self.sock, self.host = self.bind_in(namespace) if namespace else self.bind()
        self.sock.settimeout(0.1)
        self.is_ending = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    @staticmethod
    def bind():
        while True:
            host = f"127.53.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                sock.bind((host, 53))
                return sock, host
            except OSError:
                sock.close()

    @staticmethod
    def bind_in(namespace):
        with inside(namespace):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("0.0.0.0", 53))
        return sock, None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.is_ending = True
        self.thread.join()
        self.sock.close()

    @property
    def resolv_conf(self):
        return f"nameserver {self.host}\n"

    def serve(self):
        waiting = []  # (when, answer, peer)
        while not self.is_ending:
            try:
                query, peer = self.sock.recvfrom(4096)
                self.asked += 1
                name, kind = self.read(query)
                self.questions.append(name)
                if self.mood != "silent" and kind not in self.ignores:
                    waiting.append((time.monotonic() + self.delay, self.answer(query), peer))
            except TimeoutError:
                pass
            due = [one for one in waiting if one[0] <= time.monotonic()]
            waiting = [one for one in waiting if one not in due]
            for _, answer, peer in due:
                self.sock.sendto(answer, peer)

    @staticmethod
    def read(query):
        """The name that is asked for, and the type."""
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        return ".".join(labels).lower(), struct.unpack(">H", query[at + 1:at + 3])[0]

    def code(self, name):
        if self.mood == "servfail":
            return SERVFAIL
        if self.refuses and name.endswith(f".{self.refuses}"):
            return REFUSED
        return NOERROR if name in self.names else NXDOMAIN

    def answer(self, query):
        if self.mood == "garbage":
            return os.urandom(40)
        name, kind = self.read(query)
        code = self.code(name)
        family = {A: socket.AF_INET, AAAA: socket.AF_INET6}.get(kind)
        addresses = [one for one in self.names.get(name, ()) if (":" in one) == (kind == AAAA)]
        records = [socket.inet_pton(family, one) for one in addresses] if family and code == NOERROR else []
        header = query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(records), 0, 0)
        body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(one)) + one for one in records)
        return header + query[12:query.index(b"\0", 12) + 5] + body
