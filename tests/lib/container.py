"""Root file systems of their own: the agent in the image that tests/tools/image.sh built, run as an engine would run it (as its
user, without capabilities, the root file system read-only, with the arguments and the environment that the image says), and
whatever else is to be run in one."""

import json
import subprocess
import sys
from pathlib import Path

from cluster import ROOT, Agent

IMAGE = ROOT / "build" / "image"
CONFINE = str(ROOT / "tests/lib/confine.py")
CONFIG_FOLDER = "/etc/sentinel-spoa"

# Arguments: the root, whether it is read-only (or ""), volumes ("HOST:INSIDE"), "--", what to run then.
MOUNT = """
set -e
root=$1 read_only=$2
shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
    mount --bind "${1%%:*}" "$root${1#*:}"
    shift
done
shift
[ -z "$read_only" ] || mount -o remount,bind,ro "$root"
exec "$@"
"""


def read_config():
    """What the image says of itself: User, Entrypoint, Cmd, Env, Healthcheck ..."""
    return json.loads((IMAGE / "config.json").read_text())


def copy_image(root):
    """All of it, with owners."""
    subprocess.run(["cp", "-a", f"{IMAGE}/root/.", root], check=True)


def enter_root(root, user, group, words, volumes=None, environment=(), is_read_only=True):
    """The command line that runs `words` in there, as user and group (numbers), with this environment only.
    volumes: {folder here: folder in there}."""
    mounts = [f"{host}:{inside}" for host, inside in (volumes or {}).items()]
    return ["env", "-i", *environment, "unshare", "--mount", "sh", "-c", MOUNT, "sh", str(root), "yes" if is_read_only else "", *mounts, "--",
            sys.executable, "-I", CONFINE, str(root), str(user), str(group), *words]


class Container(Agent):
    """The agent in its image; its configuration is a volume. On the network of whoever starts it."""

    def __init__(self, directory, name="agent"):
        super().__init__(directory, name=name)
        self.image = read_config()
        self.root = directory / f"{name}-root"
        self.config_path = directory / f"{name}-etc" / "sentinel-spoa.conf"
        self.config_path.parent.mkdir()
        self.volumes = {str(self.config_path.parent): CONFIG_FOLDER}
        self.root.mkdir()
        copy_image(self.root)
        # What an engine adds: where file systems are mounted, and files of its own.
        for folder in ("proc", "dev"):
            (self.root / folder).mkdir()
        for file in ("etc/hosts", "etc/resolv.conf"):
            (self.root / file).touch()

    def enter(self, words):
        user, group = self.image["User"].split(":")
        return enter_root(self.root, user, group, words, self.volumes, self.image["Env"])

    def command(self):
        return self.enter([*self.image["Entrypoint"], *self.image["Cmd"]])

    def run(self, *words):
        """One more process in it, as `docker exec`; subprocess.CompletedProcess with text."""
        return subprocess.run([*self.prefix, *self.enter(words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, check=False)

    def check_health(self):
        """As the engine does it: the exit status of HEALTHCHECK."""
        kind, *words = self.image["Healthcheck"]["Test"]
        assert kind == "CMD"  # without a shell
        return self.run(*words).returncode

    def status(self, field):
        """Of /proc/PID/status."""
        text = Path(f"/proc/{self.child.pid}/status").read_text()
        return next(line.split(":", 1)[1].split() for line in text.splitlines() if line.startswith(f"{field}:"))
