"""docker/Dockerfile, built by tests/tools/image.sh: what is in the image, and that it does its work."""

import os
import re
import signal
import stat
import subprocess

import pytest
from cluster import ROOT
from container import CONFIG_FOLDER, IMAGE, Container, read_config
from fake_dns import FakeDns
from process import wait_until
from rig import Rig
from spop_client import AGENT_DISCONNECT, SpopClient

SIZE_MAX = 25_000_000  # bytes, before compression
FAST = "poll = 100ms"


@pytest.fixture(scope="module")
def files():
    """Of the image: path -> os.lstat()."""
    top = IMAGE / "root"
    found = {}
    for folder, folders, names in os.walk(top):
        for name in [*folders, *names]:
            path = os.path.join(folder, name)
            found["/" + os.path.relpath(path, top)] = os.lstat(path)
    return found


def contained(**options):
    """A rig whose agent is the image's."""
    rig = Rig(**options)
    rig.agent = Container(rig.directory)
    return rig


def test_nothing_but_the_agent(files):
    """One program; no shell, no package manager, nothing that gives more rights."""
    programs = [path for path, info in files.items() if "/bin/" in path or "/sbin/" in path]
    assert programs == ["/usr/bin/sentinel-spoa"]
    assert not [path for path, info in files.items() if info.st_mode & 0o6000 and not stat.S_ISDIR(info.st_mode)]
    assert sum(info.st_size for info in files.values()) < SIZE_MAX


def test_nothing_can_be_changed(files):
    """By the user that it runs as, but for the folders of sockets and of temporary files."""
    user = int(read_config()["User"].split(":")[0])
    assert user != 0
    owned = [path for path, info in files.items() if info.st_uid == user]
    writable = [path for path, info in files.items() if info.st_mode & 0o002 and not os.path.islink(IMAGE / "root" / path[1:])]
    assert (owned, writable) == (["/run/sentinel-spoa"], ["/tmp"])


def test_the_same_bytes_again(files):
    """As far as it is ours: each file is of the commit's time, not of the build's."""
    assert len({int(info.st_mtime) for info in files.values()}) == 1


def test_scanners_see_the_packages(files):
    """Each library is of a package with its version and licence."""
    root = IMAGE / "root"
    packages = [path for path in files if path.startswith("/var/lib/dpkg/status.d/")]
    assert {"libc6", "libssl3t64", "libhiredis1.1.0", "ca-certificates"} <= {os.path.basename(path) for path in packages}
    for path in packages:
        text = (root / path[1:]).read_text()
        assert re.search(r"^Version: \S+$", text, re.MULTILINE), path
        assert f"/usr/share/doc/{os.path.basename(path)}/copyright" in files
    assert "Debian" in (root / "etc/os-release").read_text()


def test_what_the_image_says():
    config = read_config()
    makefile = (ROOT / "Makefile").read_text()
    sample = (ROOT / "haproxy-conf/sample.conf").read_text()
    ports = set(re.findall(r"^;? ?(?:listen|check|http) = \S*:(\d+)", sample, re.MULTILINE))
    assert {f"{port}/tcp" for port in ports} == set(config["ExposedPorts"])
    assert config["StopSignal"] == "SIGTERM"
    assert config["Cmd"] == ["-f", f"{CONFIG_FOLDER}/sentinel-spoa.conf"]
    assert config["Healthcheck"]["Test"] == ["CMD", *config["Entrypoint"], "--healthcheck", *config["Cmd"]]
    version = re.search(r"^VERSION := (\S+)$", makefile, re.MULTILINE)[1]
    assert config["Labels"]["org.opencontainers.image.version"] == version
    assert config["Labels"]["org.opencontainers.image.licenses"] == "MIT"


def test_it_serves():
    """As its user, with no capability, without a file that it could write: a name, health, metrics, a reload, an end."""
    with contained(sentinels=FAST, agent="http = 127.0.0.1:0") as rig:
        assert rig.wait_votes(3)["master"] == "R1"
        agent = rig.agent
        assert agent.status("Uid") == ["65532"] * 4 and agent.status("Gid") == ["65532"] * 4
        assert [agent.status(name) for name in ("CapEff", "CapBnd", "NoNewPrivs")] == [["0" * 16], ["0" * 16], ["1"]]
        assert agent.check_health() == 0
        with rig.connect() as client:
            rig.reload(("server = R1 ", "server = redis-a "))
            assert client.ask()["master"] == "redis-a"
        for fake in rig.fakes:
            fake.stop()
        rig.wait_state("no-quorum")
        assert agent.check_health() == 0  # an engine must not replace it in the middle of a failover
        agent.pause()
        assert agent.check_health() == 1
        agent.resume()


def test_version_and_revision():
    with contained() as rig:
        said = rig.agent.run(*rig.agent.image["Entrypoint"], "-V").stdout
    assert read_config()["Labels"]["org.opencontainers.image.revision"] in said
    assert "TLS: OpenSSL" in said


def test_without_a_configuration():
    """The usual first attempt: the message says what is missing, and the exit status that it is the caller's to mend."""
    with contained() as rig:
        rig.agent.stop()
        rig.agent.config_path.unlink()
        said = rig.agent.run(*rig.agent.image["Entrypoint"], *rig.agent.image["Cmd"])
    assert said.returncode == 2
    assert f"{CONFIG_FOLDER}/sentinel-spoa.conf" in said.stderr and "No such file" in said.stderr


def test_a_socket_that_is_shared():
    """In a volume that is mounted over /run/sentinel-spoa; the image's folder has the owner that it needs."""
    rig = contained(sentinels=FAST, agent="listen = unix:/run/sentinel-spoa/spop.sock mode=666")
    shared = rig.directory / "shared"
    shared.mkdir()
    image = os.stat(IMAGE / "root/run/sentinel-spoa")
    os.chown(shared, image.st_uid, image.st_gid)  # as an engine makes a new volume
    rig.agent.volumes[str(shared)] = "/run/sentinel-spoa"
    with rig:
        rig.wait_votes(3)
        with SpopClient(f"unix:{shared}/spop.sock") as client:
            client.hello()
            assert client.ask()["master"] == "R1"


def test_names_by_the_engines_name_server():
    """/etc/resolv.conf is the engine's."""
    rig = contained(sentinels=FAST, fakes=3)
    with FakeDns() as dns:
        for i, fake in enumerate(rig.fakes):
            dns.names[f"sentinel-{i}"] = ["127.0.0.1"]
            rig.config = rig.config.replace(f"address = {fake.where}", f"address = sentinel-{i}:{fake.where.rsplit(':', 1)[1]}")
        (rig.agent.root / "etc/resolv.conf").write_text(dns.resolv_conf)
        with rig:
            assert rig.wait_votes(3)["master"] == "R1"


def test_a_config_map():
    """A folder as the kubelet makes it, mounted read-only, with autoreload."""
    rig = contained(sentinels=FAST, agent="autoreload = yes")
    folder = rig.agent.config_path.parent
    (folder / "..data").symlink_to("..1")
    (folder / "..1").mkdir()
    rig.agent.config_path.symlink_to("..data/sentinel-spoa.conf")
    with rig:
        rig.wait_votes(3)
        (folder / "..2").mkdir()
        text = rig.agent.config_path.read_text().replace("server = R1 ", "server = redis-a ")
        (folder / "..2" / "sentinel-spoa.conf").write_text(text)
        (folder / "..new").symlink_to("..2")
        (folder / "..new").rename(folder / "..data")
        rig.wait_master("redis-a")


def test_the_stop_signal_drains():
    """What is in flight is answered, HAProxy is told, and the exit status is 0."""
    with contained(sentinels=FAST) as rig:
        rig.wait_votes(3)
        with rig.connect() as client:
            rig.agent.signal(signal.Signals[rig.agent.image["StopSignal"]])
            assert client.read().type == AGENT_DISCONNECT
        wait_until(lambda: rig.agent.child.poll() is not None, 15, "the end")
        assert rig.agent.child.returncode == 0


def test_its_own_certificates():
    """SSL_CERT_FILE leads to the system's authorities, which OpenSSL can read."""
    path = next(word.split("=", 1)[1] for word in read_config()["Env"] if word.startswith("SSL_CERT_FILE="))
    bundle = IMAGE / "root" / path[1:]
    listed = subprocess.run(["openssl", "crl2pkcs7", "-nocrl", "-certfile", bundle], capture_output=True, check=True)
    assert bundle.read_text().count("BEGIN CERTIFICATE") > 100 and listed.stdout

