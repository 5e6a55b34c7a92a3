"""A real name server: dnsmasq, on an address of the loopback for itself.

    with Dnsmasq(directory, {"sentinel-1.test": "127.0.0.1"}) as dns:   # what it does not know it refuses
        dns.resolv_conf                                                 # the text of an /etc/resolv.conf
"""

import random
import socket

from process import Process


class Dnsmasq(Process):
    def __init__(self, directory, names):
        super().__init__("dnsmasq", directory)
        self.host = f"127.54.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
        self.names = names

    def command(self):
        return ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file", "--user=root", "--no-resolv",
                "--no-hosts", "--bind-interfaces", f"--listen-address={self.host}", "--log-queries", "--log-facility=-",
                *(f"--host-record={name},{address}" for name, address in self.names.items())]

    def ready(self):
        with socket.create_connection((self.host, 53), 1):
            return True

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.kill()

    @property
    def resolv_conf(self):
        return f"nameserver {self.host}\n"
