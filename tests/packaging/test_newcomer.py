"""A newcomer on a bare Debian: packages, a cluster with passwords, `init`, `check`, start, a failover. Every line is typed as it
stands here, no file is edited. With TRANSCRIPT=file.md in the environment what was typed and what came of it is kept there."""

import os
import re
import shutil
import time
from pathlib import Path

import pytest
from booted import Booted
from cluster import ROOT
from packaged import System
from process import wait_until

LIMIT = 120  # seconds, from the first line to the write after the failover

PACKAGES = ["apt-get update -q", "apt-get install -y -q --no-install-recommends redis-server redis-sentinel haproxy procps /root/sentinel-spoa.deb"]

# What he has already, or sets up as the handbook of Redis says: three nodes and three Sentinels, with passwords.
CLUSTER = r"""
for i in 1 2 3; do
    cat >/etc/redis/redis-$i.conf <<END
port 637$i
dir /var/lib/redis
dbfilename redis-$i.rdb
requirepass redis-secret
masterauth redis-secret
repl-diskless-sync-delay 0
END
    cat >/etc/redis/sentinel-$i.conf <<END
port 2637$i
dir /var/lib/redis
requirepass sentinel-secret
sentinel sentinel-pass sentinel-secret
sentinel monitor mymaster 127.0.0.1 6371 2
sentinel auth-pass mymaster redis-secret
sentinel down-after-milliseconds mymaster 3000
END
done
echo 'replicaof 127.0.0.1 6371' | tee -a /etc/redis/redis-2.conf >>/etc/redis/redis-3.conf
chown redis:redis /etc/redis/*.conf
systemctl start redis-server@1 redis-server@2 redis-server@3
systemctl start redis-sentinel@1 redis-sentinel@2 redis-sentinel@3
""".strip()

FOLDER = "install -d -m 750 -g sentinel-spoa /etc/sentinel-spoa && cd /etc/sentinel-spoa"
# In this folder.
SET_UP = r"""
echo sentinel-secret >sentinel-password
echo redis-secret >redis-password
chgrp sentinel-spoa *-password && chmod 640 *-password
sentinel-spoa init --sentinel 127.0.0.1:26371 --password-file sentinel-password --redis-password-file redis-password
install -m 640 -g sentinel-spoa sentinel-spoa.conf /etc/sentinel-spoa.conf
install -m 644 haproxy.cfg spoe.conf /etc/haproxy/
haproxy -c -f /etc/haproxy/haproxy.cfg
systemctl enable sentinel-spoa haproxy
systemctl restart sentinel-spoa haproxy
sentinel-spoa check --haproxy /etc/haproxy/haproxy.cfg
""".strip()

HEAD = """# From a bare Debian 12 to a failover that nobody noticed
Every line is typed as it stands here, and no file is edited. It took {:.0f} seconds on a machine with two cores. The test
`tests/packaging/test_newcomer.py` types these lines (`make deb-test`) and, with `TRANSCRIPT=spoa/doc/first-minutes.md`, writes this page.
"""

WRITE = "redis-cli -p 6379 -a redis-secret --no-auth-warning SET greeting"


class Newcomer:
    """Types lines, and keeps what he sees."""

    def __init__(self, run):
        self.run = run
        self.folder = "/root"
        self.begin = time.monotonic()
        self.seen = []

    def type(self, line, is_noisy=False):
        began = time.monotonic() - self.begin
        done = self.run("bash", "-ec", f"cd {self.folder}\n{line}", check=False)
        self.seen.append((began, line, "[...]\n" if is_noisy else done.stdout))
        assert done.returncode == 0, f"{line}\n{done.stdout}"
        return done.stdout

    def transcript(self):
        """For a Markdown file: what was typed, with the seconds when, and what came of it."""
        return "".join(f"\nAfter {at:.0f} s:\n```\n# {line}\n{text}```\n" for at, line, text in self.seen)


@pytest.fixture(name="system")
def bare_debian(tmp_path):
    tmp_path.chmod(0o755)
    system = System(tmp_path / "root")
    package = next((ROOT / "build/deb").glob("sentinel-spoa_*.deb"))
    shutil.copy(package, system.root / "root/sentinel-spoa.deb")
    yield system
    shutil.rmtree(system.root)


def test_two_minutes_and_no_edited_line(system, tmp_path):
    (tmp_path / "log").mkdir()
    newcomer = Newcomer(system.run)
    for line in PACKAGES:
        newcomer.type(line, is_noisy=True)
    with Booted(system.root, tmp_path / "log", is_alone=True) as booted:
        newcomer.run = booted.run
        newcomer.type(CLUSTER)
        sentinels = "for i in 1 2 3; do redis-cli -p 2637$i -a sentinel-secret --no-auth-warning SENTINEL CKQUORUM mymaster; done"
        wait_until(lambda: booted.run("bash", "-c", sentinels).stdout.count("OK 3 usable Sentinels") == 3, 30, "the Sentinels know each other")
        newcomer.type(FOLDER)
        newcomer.folder = "/etc/sentinel-spoa"
        for line in SET_UP.splitlines():
            said = newcomer.type(line)
        assert "\n0 findings" in said
        wait_until(lambda: newcomer.run("bash", "-c", f"{WRITE} hello").stdout.strip() == "OK", 20, "HAProxy serves")
        newcomer.type(f"{WRITE} hello")
        newcomer.type("systemctl stop redis-server@1")
        # Nobody can know of a node's end in its last moment: HAProxy still sends it a client then. A person types more slowly.
        wait_until(lambda: not re.search(r"mymaster: R1 is the master$", newcomer.run("bash", "-c", "sentinel-spoa status", check=False).stdout, re.MULTILINE),
                   20, "the agent has noticed")
        assert newcomer.type(f"{WRITE} goodbye").strip() == "OK"
        took = time.monotonic() - newcomer.begin
        assert re.search(r"mymaster: R[23] is the master$", newcomer.type("sentinel-spoa status"), re.MULTILINE)
    if os.environ.get("TRANSCRIPT"):
        Path(os.environ["TRANSCRIPT"]).write_text(HEAD.format(took) + newcomer.transcript())
    assert took < LIMIT, newcomer.transcript()
