"""The Debian package that `make deb` built, in a clean root file system: installed, configured, started as its unit says,
reloaded, removed, purged. The tests go from one to the next."""

import configparser
import contextlib
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from booted import Booted
from cluster import HOST, ROOT, SHIPPED, Agent, Cluster
from container import enter_root
from process import free_ports, wait_until
from resp import Resp
from rig import Rig

MIRROR = "http://deb.debian.org/debian"
CONFIG = "/etc/sentinel-spoa.conf"
UNIT = "/lib/systemd/system/sentinel-spoa.service"
OWN = "[agent]\n"  # the administrator's file, to be recognised
PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"


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

    def unit(self):
        """Its [Service]; of keys that stand there twice, the last."""
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.optionxform = str
        parser.read_string(self.read(UNIT))
        return parser["Service"]

    def files_of_package(self):
        return self.run("dpkg", "-L", "sentinel-spoa").stdout.split()

    def leftovers(self):
        """What is named after it and is still there, but for the administrator's own file and dpkg's logs."""
        found = subprocess.run(["find", self.root, "-xdev", "-name", "*sentinel-spoa*", "-not", "-path", "*/var/log/*"],
                               capture_output=True, text=True, check=True).stdout.split()
        return [path for path in found if path != f"{self.root}{CONFIG}"]


@pytest.fixture(scope="module")
def system():
    """With the package installed."""
    folder = Path(tempfile.mkdtemp(prefix="sentinel-spoa-deb-"))
    folder.chmod(0o755)
    try:
        system = System(folder / "root")
        package = next(path for path in (ROOT / "build/deb").glob("sentinel-spoa_*.deb"))
        shutil.copy(package, system.root / "tmp" / package.name)
        system.package = f"/tmp/{package.name}"
        system.run("apt-get", "update", "-q")
        system.run("apt-get", "install", "-y", "-q", "--no-install-recommends", system.package)
        yield system
    finally:
        shutil.rmtree(folder)


class Installed(Agent):
    """The agent as its unit runs it: that command line, that user, its own folder in /run."""

    def __init__(self, system, directory):
        super().__init__(directory)
        self.system = system
        self.config_path = system.root / CONFIG[1:]
        account = system.run("getent", "passwd", system.unit()["User"]).stdout.split(":")
        self.user, self.group = account[2:4]
        self.runtime = f"/run/{system.unit()['RuntimeDirectory']}"
        (system.root / self.runtime[1:]).mkdir(exist_ok=True)
        self.volume = directory / "run"
        self.volume.mkdir()
        shutil.chown(self.volume, int(self.user), int(self.group))

    def enter(self, key):
        words = self.system.unit()[key].split()
        return enter_root(self.system.root, self.user, self.group, words, {self.volume: self.runtime},
                          [PATH, f"RUNTIME_DIRECTORY={self.runtime}"])

    def command(self):
        return self.enter("ExecStart")

    def test_config(self):
        """What the unit does before it starts the agent."""
        return subprocess.run(self.enter("ExecStartPre"), capture_output=True, text=True, timeout=60, check=False)


def test_installed(system):
    files = system.files_of_package()
    for path in ("/usr/bin/sentinel-spoa", UNIT, UNIT.replace("service", "socket"), "/usr/share/man/man1/sentinel-spoa.1.gz",
                 "/usr/share/man/man5/sentinel-spoa.conf.5.gz", "/usr/share/bash-completion/completions/sentinel-spoa",
                 "/usr/share/doc/sentinel-spoa/examples/haproxy.cfg", "/usr/share/doc/sentinel-spoa/examples/prometheus"):
        assert path in files
    version = system.run("dpkg-query", "-W", "-f", "${Version}", "sentinel-spoa").stdout
    assert f"({version})" in system.run("sentinel-spoa", "-V").stdout
    account = system.run("getent", "passwd", "sentinel-spoa").stdout.strip().split(":")
    assert account[5:] == ["/run/sentinel-spoa", "/usr/sbin/nologin"]
    assert not (system.root / CONFIG[1:]).exists()


def test_its_units_are_in_order(system):
    """What systemd thinks of them; the service is to be started at the next boot, the socket is not."""
    said = system.run("systemd-analyze", "verify", UNIT, UNIT.replace("service", "socket"), check=False).stdout
    # There is no man(1) in there.
    assert not [line for line in said.splitlines() if "sentinel-spoa" in line and "Command 'man " not in line], said
    wants = system.root / "etc/systemd/system"
    assert (wants / "multi-user.target.wants/sentinel-spoa.service").is_symlink()
    assert not (wants / "sockets.target.wants/sentinel-spoa.socket").exists()
    # Before there is a configuration there is nothing to start, and that is no failure.
    assert f"ConditionPathExists={CONFIG}" in system.read(UNIT)


def test_configured_started_reloaded_stopped(system):
    rig = Rig(agent="listen = unix:/run/sentinel-spoa/spop.sock mode=660", sentinels="poll = 100ms")
    rig.agent = Installed(system, rig.directory)
    rig.agent.config_path.write_text(rig.config.replace("server = R1", "sever = R1"))
    said = rig.agent.test_config()
    assert said.returncode == 2 and f"{CONFIG}:" in said.stderr and "did you mean 'server'" in said.stderr
    with rig:
        assert rig.agent.test_config().returncode == 0
        rig.wait_votes(3)
        assert (rig.agent.volume / "spop.sock").is_socket()
        rig.reload(("server = R1 ", "server = redis-a "))
        assert rig.ask()["master"] == "redis-a"
        rig.agent.config_path.write_text(OWN)


class Packaged(Cluster):
    """The recipe with the agent and HAProxy of the packages: their files are where the recipe says, their units start them."""

    def __init__(self, system, booted):
        super().__init__(recipe="runtime-api")
        self.system, self.booted = system, booted
        self.agent.address = f"{HOST}:{free_ports(1)[0]}"

    @staticmethod
    def readdressed(text, addresses):
        return Cluster.readdressed(text, {old: new for old, new in addresses.items() if not old.startswith("/")})

    def write(self, path, text):
        (self.system.root / path[1:]).write_text(text)

    def start(self, agent_edits=None, haproxy_edits=None):
        self.start_redis()
        self.start_sentinels()
        self.write(CONFIG, self.agent_config(agent_edits).replace(f"{HOST}:0", self.agent.address))
        self.write("/etc/haproxy/haproxy.cfg", self.haproxy_config(haproxy_edits))
        self.write("/etc/haproxy/spoe.conf", self.spoe_config())
        done = self.booted.run("systemctl", "start", "haproxy", "sentinel-spoa", check=False)
        assert done.returncode == 0, done.stdout + self.log()
        self.wait_served()

    def log(self):
        return self.booted.run("journalctl", "--no-pager", "--output=cat", "--unit=sentinel-spoa").stdout


@pytest.fixture(scope="module")
def with_haproxy(system):
    """HAProxy comes after the agent, which has made the group."""
    system.run("apt-get", "install", "-y", "-q", "--no-install-recommends", "haproxy")
    return system


def documented(recipe, pattern):
    """What the README of the recipe says."""
    return re.search(pattern, (SHIPPED / recipe / "README.md").read_text())[1]


AGENT_TCP, HAPROXY_TCP = f"listen = {HOST}:9012", f"server agent1 {HOST}:9012"
API = "runtime-api = /run/haproxy/admin.sock"


def by_unix_socket():
    return {AGENT_TCP: documented(".", r"`(listen = unix:\S+[^`]*)`")}, {HAPROXY_TCP: documented(".", r"`(server agent1 unix@[^`]*)`")}, ""


def by_master():
    options = " ".join(documented("runtime-api", r"`haproxy -W (-S\s[^`]*)`").split())
    return {API: documented("runtime-api", r"`(runtime-api = master:[^`]*)`")}, {}, f'EXTRAOPTS="{options}"\n'


def in_a_chroot():
    """As Debian's own haproxy.cfg has it."""
    return {}, {"    group haproxy\n": "    group haproxy\n    chroot /var/lib/haproxy\n"}, ""


@pytest.mark.parametrize("way", [lambda: ({}, {}, ""), in_a_chroot, by_unix_socket, by_master],
                         ids=["recipe", "chroot", "unix socket", "master"])
def test_old_sessions_are_cut(with_haproxy, way, tmp_path):
    """The recipe as it is shipped, and in the ways of its README, with the packages' users, units and folders."""
    agent_edits, haproxy_edits, defaults = way()
    (with_haproxy.root / "etc/default/haproxy").write_text(defaults)
    with Booted(with_haproxy.root, tmp_path) as booted, Packaged(with_haproxy, booted) as cluster, contextlib.ExitStack() as stack:
        cluster.start(agent_edits, haproxy_edits)
        sessions = [stack.enter_context(Resp(cluster.haproxy.address, 10)) for _ in range(5)]
        assert all(session.call("SET", "key", "before") == "OK" for session in sessions)
        cluster.sentinels[0].fail_over()  # the old master lives on
        wait_until(lambda: re.search(r"event=sessions-cut .* server=R1", cluster.log()), 15, "the cut is confirmed")
        wait_until(lambda: all(session.is_closed() for session in sessions), 1, "old sessions are closed")
        # HAProxy comes after the agent.
        assert not re.search("event=runtime-api-failed (?!.*No such file)", cluster.log()), cluster.log()
    cluster.write(CONFIG, OWN)


def test_upgraded(system):
    """The administrator's file stays as it is."""
    system.run("apt-get", "install", "-y", "-q", "--reinstall", "--no-install-recommends", system.package)
    assert system.read(CONFIG) == OWN


def test_removed_and_purged(system):
    """Nothing is left but the administrator's own file."""
    system.run("apt-get", "remove", "-y", "-q", "sentinel-spoa")
    assert not (system.root / "usr/bin/sentinel-spoa").exists()
    assert system.read(CONFIG) == OWN
    system.run("apt-get", "purge", "-y", "-q", "sentinel-spoa")
    shutil.rmtree(system.root / "run/sentinel-spoa")  # systemd's
    (system.root / system.package[1:]).unlink()
    assert system.leftovers() == []
