"""autoreload: the file changes in each of the ways in which files are changed, and nobody sends a signal."""

import os
import time

import pytest
from fake_sentinel import FakeSentinel
from rig import SERVERS, Rig

FAST = "poll = 100ms"
# Not a port that the kernel chooses: Agent would write it into the file.
SOCKET = "unix:DIRECTORY/spop.sock"
# Longer than the agent lets pass after a change before it looks.
SETTLED = 1.5


def rewrite(path, text):
    path.write_text(text)


def replace(path, text):
    """As most editors do, and tools that manage configurations."""
    other = path.with_suffix(".new")
    other.write_text(text)
    other.rename(path)


def remove_and_create(path, text):
    path.unlink()
    path.write_text(text)


class Volume:
    """A ConfigMap or Secret as the kubelet lays it out: the file is a link into `..data`, itself a link to a folder that is
    another one after each change."""

    def __init__(self, folder, name):
        self.folder, self.name, self.count = folder, name, 0
        folder.mkdir()
        (folder / name).symlink_to(f"..data/{name}")

    def publish(self, text):
        self.count += 1
        version = self.folder / f"..{self.count}"
        version.mkdir()
        (version / self.name).write_text(text)
        (self.folder / "..data_tmp").symlink_to(version.name)
        old = (self.folder / "..data").resolve()
        (self.folder / "..data_tmp").rename(self.folder / "..data")
        if self.count > 1:
            (old / self.name).unlink()
            old.rmdir()


def renamed(text):
    return text.replace("server = R1 ", "server = redis-a ")


@pytest.mark.parametrize("write", [rewrite, replace, remove_and_create])
def test_the_file_changes(write):
    with Rig(sentinels=FAST, agent="autoreload = yes", listen=SOCKET) as rig:
        rig.wait_votes(3)
        write(rig.agent.config_path, renamed(rig.config))
        rig.wait_master("redis-a")
        assert len(rig.agent.log_lines(event="file-changed", file=str(rig.agent.config_path))) == 1
        mark = rig.agent.mark()
        began = time.monotonic()
        write(rig.agent.config_path, rig.config)  # and once more: it watches the new file
        rig.agent.wait_log(event="file-changed", since=mark, timeout=15)
        assert time.monotonic() - began > 1  # it lets the writer finish, this time too
        rig.wait_master("R1")


def test_the_file_changes_within_a_second_of_the_start():
    """Its size is the same all the time, and its times differ in the part of a second only."""
    with Rig(sentinels=FAST, agent="autoreload = yes", listen=SOCKET) as rig:
        rig.wait_votes(3)
        rig.agent.stop()
        time.sleep(1 - time.time() % 1)
        rewrite(rig.agent.config_path, rig.config)
        rig.agent.start()
        with rig.agent.config_path.open("r+") as file:
            file.write(rig.config.replace("server = R1 ", "server = R9 "))
        rig.wait_master("R9")


def test_a_config_map_changes():
    rig = Rig(sentinels=FAST, agent="autoreload = yes", listen=SOCKET)
    volume = Volume(rig.directory / "volume", "sentinel-spoa.conf")
    volume.publish(rig.config)
    rig.agent.config_path = volume.folder / volume.name
    with rig:
        rig.wait_votes(3)
        for text, master in ((renamed(rig.config), "redis-a"), (rig.config, "R1")):
            volume.publish(text)
            rig.wait_master(master)


def test_a_secret_changes():
    """The file of a password, not the configuration's own: the Sentinels' is another one now, and so is ours."""
    fakes = [FakeSentinel(SERVERS["R1"], password="one") for _ in range(3)]
    rig = Rig(sentinels=f"{FAST}\npassword-file = DIRECTORY/secrets/password", agent="autoreload = yes",
              listen=SOCKET, fakes=fakes)
    volume = Volume(rig.directory / "secrets", "password")
    volume.publish("one\n")
    with rig:
        rig.wait_votes(3)
        for fake in fakes:
            fake.password = "two"
            fake.drop()
        rig.wait_state("no-quorum")
        volume.publish("two\n")
        rig.wait_votes(3)


def test_other_files_change():
    """The folder is watched, but what else happens in it is no reason; nor is what is done by SIGHUP already."""
    with Rig(sentinels=FAST, agent="autoreload = yes", listen=SOCKET) as rig:
        rig.wait_votes(3)
        (rig.directory / "other").write_text("x")
        time.sleep(SETTLED)  # nothing is to happen: there is no condition to wait for
        assert not rig.agent.find_log(event="file-changed")
        rig.reload(("server = R1 ", "server = redis-a "))
        time.sleep(SETTLED)
        assert not rig.agent.find_log(event="file-changed")
        assert len(rig.agent.log_lines(event="reloaded")) == 1


def test_a_mistake_and_its_correction():
    """The old configuration stays, the mistake is in the log, and the correction is seen, even that of a file that is not there yet."""
    with Rig(sentinels=FAST, agent="autoreload = yes", listen=SOCKET) as rig:
        rig.wait_votes(3)
        replace(rig.agent.config_path, rig.config.replace("server = R1 ", "sever = R1 "))
        rig.agent.wait_log(event="reload-failed", timeout=15)
        assert rig.ask()["master"] == "R1"
        secret = rig.directory / "later" / "password"
        secret.parent.mkdir()
        mark = rig.agent.mark()
        replace(rig.agent.config_path, renamed(rig.config).replace("poll = 100ms", f"poll = 100ms\npassword-file = {secret}"))
        rig.agent.wait_log(event="reload-failed", since=mark, timeout=15)
        secret.write_text("secret\n")
        os.chmod(secret, 0o600)
        rig.agent.wait_log(event="file-changed", since=mark, file=str(secret), timeout=15)
        rig.wait_master("redis-a")


def test_it_is_off_unless_wanted():
    with Rig(sentinels=FAST, listen=SOCKET) as rig:
        rig.wait_votes(3)
        replace(rig.agent.config_path, renamed(rig.config))
        time.sleep(SETTLED)
        assert rig.ask()["master"] == "R1"
        rig.reload(("[agent]", "[agent]\nautoreload = yes"))
        assert rig.ask()["master"] == "redis-a"
        replace(rig.agent.config_path, rig.config.replace("[agent]", "[agent]\nautoreload = no"))
        rig.wait_master("R1")
        replace(rig.agent.config_path, renamed(rig.config))
        time.sleep(SETTLED)
        assert rig.ask()["master"] == "R1"
