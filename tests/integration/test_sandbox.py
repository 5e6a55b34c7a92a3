"""What the agent gives up once it has started, as the kernel sees it."""

import os
import shutil
from pathlib import Path

import pytest
from rig import Rig, check_clean

NOBODY = 65534
FAST = "poll = 100ms"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
# CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_NET_BIND_SERVICE
KEPT_AS_ROOT = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 10


def status(rig):
    """What /proc says of the process, by key."""
    lines = Path(f"/proc/{rig.agent.pid}/status").read_text().splitlines()
    return {key: value.split() for key, _, value in (line.partition(":") for line in lines)}


def capabilities(rig):
    """Of all sets together."""
    found = status(rig)
    return int("".join(found["CapEff"]), 16) | int("".join(found["CapPrm"]), 16) | int("".join(found["CapBnd"]), 16)


@needs_root
def test_user_and_group():
    with Rig(agent="user = nobody\ngroup = nogroup\nlisten = unix:DIRECTORY/spop.sock", sentinels=FAST) as rig:
        rig.directory.chmod(0o777)  # the UNIX socket is to be removed by nobody
        rig.agent.wait_log(event="sandbox")
        found = status(rig)
        assert found["Uid"] == [str(NOBODY)] * 4 and found["Gid"] == [str(NOBODY)] * 4
        assert found["NoNewPrivs"] == ["1"]
        assert found["Groups"] == [str(NOBODY)]
        rig.wait_votes(3)
        assert rig.reload()
        assert rig.ask()["master"] == "R1"
        if not rig.agent.is_sanitized:
            assert capabilities(rig) == 0


@needs_root
def test_a_unix_socket_after_the_rights_are_given_up():
    """A reload opens it with the mode that was asked for, and the stop removes it, with its lock file."""
    with Rig(agent="user = nobody\ngroup = nogroup\nlisten = unix:DIRECTORY/spop.sock", sentinels=FAST) as rig:
        rig.directory.chmod(0o777)
        rig.agent.config_path.chmod(0o644)
        rig.wait_votes(3)
        path = rig.directory / "late.sock"
        rig.reload(("[sentinels]", f"http = unix:{path} mode=620\n[sentinels]"))
        assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (NOBODY, 0o620)
        check_clean(rig.agent)
        assert not [name for name in os.listdir(rig.directory) if ".sock" in name]


@needs_root
def test_memory_and_environment_are_closed_to_its_own_user():
    """Where it is started as that user: not dumpable, so that its files in /proc are root's."""
    with Rig(sentinels=FAST) as rig:
        if rig.agent.is_sanitized:
            pytest.skip("this build is open to its leak check")
        rig.agent.kill()
        binary = shutil.copy(rig.agent.binary[0], rig.directory / "agent")  # the tree may be closed to others
        rig.agent.binary = [binary]
        rig.agent.prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        rig.agent.start()
        rig.agent.wait_log(event="sandbox")
        assert status(rig)["Uid"][0] == str(NOBODY)
        assert os.stat(f"/proc/{rig.agent.pid}/environ").st_uid == 0


@needs_root
def test_root_keeps_what_a_reload_needs():
    with Rig(sentinels=FAST) as rig:
        rig.wait_votes(3)
        rig.agent.wait_log(event="sandbox")
        if not rig.agent.is_sanitized:
            assert capabilities(rig) & ~KEPT_AS_ROOT == 0
        own = "listen = unix:DIRECTORY/own.sock mode=600 owner=nobody".replace("DIRECTORY", str(rig.directory))
        rig.reload(("[sentinels]", f"{own}\n[sentinels]"), event="reload-failed")  # another folder's sockets: a restart


@needs_root
def test_unknown_user():
    rig = Rig(agent="user = nobody-at-all")
    try:
        with pytest.raises(RuntimeError, match="cannot become user 'nobody-at-all': there is none"):
            rig.start()
            rig.agent.child.wait(10)
            rig.agent.check_alive()
        assert rig.agent.child.returncode == 1
    finally:
        rig.clear()


def sandbox_of(rig):
    line = rig.agent.wait_log(event="sandbox")
    if line["files"] != "its own" and "reason" in line and line["reason"] != "'sandbox = no'":
        pytest.skip(f"no Landlock here: {line['reason']}")
    return line["files"]


@pytest.fixture(name="far")
def make_far(tmp_path):
    """A file that no configuration has named so far, readable by everybody."""
    path = tmp_path / "far" / "secret"
    path.parent.mkdir()
    path.write_text("x\n")
    return path


def test_reload_reads_what_is_beside(far):
    with Rig(sentinels=FAST) as rig:
        assert sandbox_of(rig) == "its own"
        rig.wait_votes(3)
        (rig.directory / "beside").write_text("x\n")
        rig.reload(("[service mymaster]\n", f"[service mymaster]\npassword-file = {rig.directory}/beside\n"))
        line = rig.reload((f"{rig.directory}/beside", str(far)), event="reload-failed")
        assert "Permission denied" in line["error"]
        assert rig.ask()["master"] == "R1"


def test_what_was_named_can_be_read_again(far):
    """And what is put in its place, as Kubernetes does it: a link to another file."""
    with Rig(sentinels=FAST, service=f"password-file = {far}") as rig:
        assert sandbox_of(rig) == "its own"
        (far.parent / "other").write_text("y\n")
        far.unlink()
        far.symlink_to("other")
        rig.wait_votes(3)
        rig.reload()


def test_without_sandbox(far):
    with Rig(agent="sandbox = no", sentinels=FAST) as rig:
        assert sandbox_of(rig) == "all"
        rig.wait_votes(3)
        rig.reload(("[service mymaster]\n", f"[service mymaster]\npassword-file = {far}\n"))
