"""The Debian package that `make deb` built, in a clean root file system: installed, configured, started as its unit says,
reloaded, removed, purged. The tests go from one to the next."""

import configparser
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from cluster import ROOT, Agent
from container import enter_root
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
