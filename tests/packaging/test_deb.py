"""The Debian package that `make deb` built, in a clean root file system: installed, configured, started as its unit says,
reloaded, removed, purged. The tests go from one to the next."""

import configparser
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from booted import PATH, Booted
from cluster import HOST, ROOT, SHIPPED, Agent, edited
from container import enter_root
from packaged import CONFIG, Packaged, System, check_cuts
from process import free_ports, wait_until
from rig import Rig

UNIT = "/lib/systemd/system/sentinel-spoa.service"
OWN = "[agent]\n"  # the administrator's file, to be recognised


class Debian(System):
    """With our package, or what is left of it."""

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
        system = Debian(folder / "root")
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
        return subprocess.run([*self.enter("ExecStart"), "-t"], capture_output=True, text=True, timeout=60, check=False)


def test_installed(system):
    files = system.files_of_package()
    for path in ("/usr/bin/sentinel-spoa", UNIT, UNIT.replace("service", "socket"), "/usr/share/man/man1/sentinel-spoa.1.gz",
                 "/usr/share/man/man5/sentinel-spoa.conf.5.gz", "/usr/share/bash-completion/completions/sentinel-spoa",
                 "/usr/share/doc/sentinel-spoa/spoa/doc/configuration.md", "/usr/share/doc/sentinel-spoa/haproxy-conf",
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
    # There is no man(1) in there, and systemd before 254 does not know two of the keys.
    known = r"Command 'man |Unknown key '(RestartSteps|RestartMaxDelaySec)'"
    assert not [line for line in said.splitlines() if "sentinel-spoa" in line and not re.search(known, line)], said
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


@pytest.fixture(scope="module")
def with_haproxy(system):
    """HAProxy comes after the agent, which has made the group."""
    system.run("apt-get", "install", "-y", "-q", "--no-install-recommends", "haproxy")
    return system


@pytest.fixture
def machine(with_haproxy):
    """The administrator's file is what it was, afterwards."""
    yield with_haproxy
    with_haproxy.write(CONFIG, OWN)


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
def test_old_sessions_are_cut(machine, way, tmp_path):
    """The recipe as it is shipped, and in the ways of its README, with the packages' users, units and folders."""
    agent_edits, haproxy_edits, defaults = way()
    machine.write("/etc/default/haproxy", defaults)
    check_cuts(machine, tmp_path, agent_edits, haproxy_edits)


def state(booted, *keys):
    """What systemd has of the service."""
    said = booted.run("systemctl", "show", "sentinel-spoa").stdout
    return [re.search(f"^{key}=(.*)$", said, re.MULTILINE)[1] for key in keys]


def test_a_mistake_is_not_tried_again(machine, tmp_path):
    """The unit fails at once and stays so; the log says where the mistake is."""
    machine.write(CONFIG, "[agent]\nlisten = 127.0.0.1:0\nlissten = 127.0.0.1:1\n")
    with Booted(machine.root, tmp_path) as booted:
        assert booted.run("systemctl", "start", "sentinel-spoa", check=False).returncode != 0
        time.sleep(2.5)  # longer than RestartSec
        assert state(booted, "ActiveState", "NRestarts") == ["failed", "0"]
        assert f"{CONFIG}:3: unknown key 'lissten'" in booted.run("journalctl", "--no-pager", "--unit=sentinel-spoa").stdout


def test_killed_again_and_again(machine, tmp_path):
    """It comes back each time: systemd's own limit is five times in ten seconds."""
    with Booted(machine.root, tmp_path) as booted, Packaged(machine, booted) as cluster:
        cluster.start()
        for times in range(1, 8):
            booted.run("systemctl", "kill", "--signal=KILL", "sentinel-spoa")
            wait_until(lambda n=times: state(booted, "ActiveState", "NRestarts") == ["active", str(n)], 20, f"restart {times}")
        cluster.wait_served()


def test_reload_says_whether_it_worked(machine, tmp_path):
    with Booted(machine.root, tmp_path) as booted, Packaged(machine, booted) as cluster:
        cluster.start()
        good = machine.read(CONFIG)
        booted.run("systemctl", "reload", "sentinel-spoa")
        machine.write(CONFIG, good.replace("[agent]\n", "[agent]\nlissten = 1\n"))
        assert booted.run("systemctl", "reload", "sentinel-spoa", check=False).returncode != 0
        machine.write(CONFIG, re.sub("address = .*", "address = 127.0.0.1:1", good))  # nobody is there
        assert booted.run("systemctl", "reload", "sentinel-spoa", check=False).returncode != 0
        assert state(booted, "ActiveState") == ["active"]
        cluster.wait_served()


def test_two_agents(machine, tmp_path):
    """The second one as the recipe's README makes it: each serves alone."""
    second, web = (f"{HOST}:{port}" for port in free_ports(2))
    commands = documented("two-agents", r"(?s)\n```\n(.*?)```")
    with Booted(machine.root, tmp_path) as booted, Packaged(machine, booted, "two-agents") as cluster:
        cluster.start(haproxy_edits={f"server agent2 {HOST}:9014": f"server agent2 {second}"})
        own = {cluster.agent.address: second, cluster.http_address: web}
        machine.write("/etc/sentinel-spoa-2.conf", edited(machine.read(CONFIG), own, CONFIG))
        booted.run("sh", "-ec", commands)
        for unit in ("sentinel-spoa", "sentinel-spoa-2"):
            booted.run("systemctl", "stop", unit)
            cluster.wait_served()
            booted.run("systemctl", "start", unit)
        booted.run("systemctl", "disable", "--now", "sentinel-spoa-2")
        booted.run("rm", "/etc/sentinel-spoa-2.conf", "/etc/systemd/system/sentinel-spoa-2.service")


def test_its_own_test(with_haproxy):
    """What Debian runs where a package that it depends on has changed (autopkgtest)."""
    folder = ROOT / "docker/packaging/debian/tests"
    wanted = re.search(r"^Depends: @, (.*)$", (folder / "control").read_text(), re.MULTILINE)[1].split(", ")
    with_haproxy.run("apt-get", "install", "-y", "-q", "--no-install-recommends", *wanted)
    name = re.search(r"^Tests: (\w+)$", (folder / "control").read_text(), re.MULTILINE)[1]
    shutil.copy(folder / name, with_haproxy.root / "tmp" / name)
    with_haproxy.run(f"/tmp/{name}")


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
