"""A minimal Debian in a folder, and the recipe with the agent and HAProxy that are installed there, under its own systemd.

    system = System(folder)
    system.run("apt-get", "install", "-y", "haproxy")
    check_cuts(system, directory)               # a failover by order: old sessions are cut
"""

import contextlib
import platform
import re
import shutil
import subprocess

from booted import PATH, Booted
from cluster import HOST, Cluster, edited
from process import free_ports, wait_until
from resp import Resp

MIRROR = "http://deb.debian.org/debian"
CONFIG = "/etc/sentinel-spoa.conf"


class System:
    """A minimal Debian of this machine's release, in a folder."""

    def __init__(self, root):
        self.root = root
        suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
        subprocess.run(["mmdebstrap", "--quiet", "--variant=apt", suite, root, MIRROR], check=True, capture_output=True, timeout=600)
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        # No service is started by its installation: nothing here is the init of this machine.
        policy = root / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)

    def run(self, *words, check=True):
        """As root, in there; subprocess.CompletedProcess with text."""
        done = subprocess.run(["chroot", self.root, "env", "-i", PATH, "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", *words],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=600, check=False)
        assert done.returncode == 0 or not check, f"{words}: {done.stdout}"
        return done

    def read(self, path):
        return (self.root / path[1:]).read_text()

    def write(self, path, text):
        (self.root / path[1:]).write_text(text)


class Packaged(Cluster):
    """The recipe with the agent and HAProxy of the packages: their files are where the recipe says, their units start them."""

    def __init__(self, system, booted, recipe="runtime-api"):
        super().__init__(recipe=recipe)
        self.system, self.booted = system, booted
        spop, http = free_ports(2)
        self.agent.address, self.http_address = f"{HOST}:{spop}", f"{HOST}:{http}"

    @staticmethod
    def readdressed(text, addresses):
        return Cluster.readdressed(text, {old: new for old, new in addresses.items() if not old.startswith("/")})

    def start(self, agent_edits=None, haproxy_edits=None):
        self.start_redis()
        self.start_sentinels()
        # An agent on a UNIX socket has no port for HAProxy.
        text = self.agent_config(agent_edits).replace(f"listen = {HOST}:0", f"listen = {self.agent.address}")
        self.system.write(CONFIG, edited(text, {f"http = {HOST}:0": f"http = {self.http_address}"}, CONFIG))
        self.system.write("/etc/haproxy/haproxy.cfg", self.haproxy_config(haproxy_edits))
        self.system.write("/etc/haproxy/spoe.conf", self.spoe_config())
        done = self.booted.run("systemctl", "start", "haproxy", "sentinel-spoa", check=False)
        assert done.returncode == 0, done.stdout + self.log()
        self.wait_served()

    def log(self):
        return self.booted.run("journalctl", "--no-pager", "--output=cat", "--unit=sentinel-spoa").stdout


def check_cuts(system, directory, agent_edits=None, haproxy_edits=None):
    """A failover by order: the old master lives on, and the sessions to it are closed at once."""
    with Booted(system.root, directory) as booted, Packaged(system, booted) as cluster, contextlib.ExitStack() as stack:
        cluster.start(agent_edits, haproxy_edits)
        sessions = [stack.enter_context(Resp(cluster.haproxy.address, 10)) for _ in range(5)]
        assert all(session.call("SET", "key", "before") == "OK" for session in sessions)
        cluster.sentinels[0].fail_over()
        wait_until(lambda: re.search(r"event=sessions-cut .* server=R1", cluster.log()), 15, "the cut is confirmed")
        wait_until(lambda: all(session.is_closed() for session in sessions), 1, "old sessions are closed")
        # HAProxy comes after the agent, so that a first attempt may fail; but never for want of rights.
        assert "Permission denied" not in cluster.log(), cluster.log()
