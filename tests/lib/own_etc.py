"""A program with an /etc/hosts, resolv.conf and nsswitch.conf of its own, whatever this machine's say.

    etc = OwnEtc(directory, hosts="127.0.0.1 redis-1.test\\n")
    agent.prefix = etc.words()                              # in front of its command line
    etc.hosts.write_text("127.0.0.2 redis-1.test\\n")        # the program sees it

Only root can mount, hence `needs_root`, a mark for tests.
"""

import os

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")

# The files lie above this machine's /etc: a bind mount would need files of these names there.
MOUNT = 'mount -t overlay overlay -o "lowerdir=$1:/etc" /etc && shift && exec "$@"'


class OwnEtc:
    def __init__(self, directory, hosts="127.0.0.1 localhost\n", resolv_conf="", services="files dns"):
        """directory: where a folder `etc` is made for the files; services: where host names are looked for."""
        self.folder = directory / "etc"
        self.folder.mkdir()
        self.hosts, self.resolv_conf = self.folder / "hosts", self.folder / "resolv.conf"
        self.hosts.write_text(hosts)
        self.resolv_conf.write_text(resolv_conf)
        (self.folder / "nsswitch.conf").write_text(f"hosts: {services}\n")

    def words(self):
        """What to put in front of a command line. What is mounted ends with the program."""
        return ["unshare", "--mount", "sh", "-c", MOUNT, "sh", str(self.folder)]
