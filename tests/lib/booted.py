"""A root file system whose systemd runs, in namespaces of its own and on this machine's network (or, with `is_alone`, with no
network but a loopback of its own): units run as they are shipped, with their users, their folders and their filters.

    with Booted(root, directory) as system:
        system.run("systemctl", "start", "haproxy")
"""

import subprocess
from pathlib import Path

from process import Process, wait_until

CGROUPS = Path("/sys/fs/cgroup")
PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"

# Arguments: the root. No terminals and no way to change this machine's kernel: /dev has what programs need, /proc/sys is not
# to be written.
BOOT = """
set -e
root=$1
ip link set lo up
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/var/tmp"
# The journal of this start alone.
[ ! -d "$root/var/log/journal" ] || mount -t tmpfs tmpfs "$root/var/log/journal"
mount -t tmpfs tmpfs "$root/dev"
for name in null zero full random urandom tty; do
    touch "$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t devpts -o newinstance devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
cd "$root"
pivot_root . mnt
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . sh -c 'umount -l /mnt; exec "$@"' sh \\
    /lib/systemd/systemd --unit=sysinit.target --log-target=null --show-status=no
"""


def find_hierarchy():
    """Where cgroups of version 2 are, None where there are none."""
    return next((path for path in (CGROUPS, CGROUPS / "unified") if (path / "cgroup.procs").exists()), None)


class Booted(Process):
    """Its files are in `root`."""

    def __init__(self, root, directory, is_alone=False):
        super().__init__("systemd", directory)
        self.root = root
        self.network = ["--net"] if is_alone else []
        self.cgroup = find_hierarchy() / f"sentinel-spoa-{directory.name}"

    def command(self):
        # A cgroup of its own before the namespace is made, for that begins there.
        enter = f'echo $$ > "{self.cgroup}/cgroup.procs" && exec "$@"'
        return ["sh", "-c", enter, "sh", "unshare", *self.network, "--mount", "--pid", "--fork", "--kill-child", "--uts",
                "--ipc", "--cgroup", "sh", "-c", BOOT, "sh", str(self.root)]

    def __enter__(self):
        self.cgroup.mkdir()
        return self.start(60)

    def __exit__(self, *exc):
        self.kill()
        for path in sorted(self.cgroup.glob("**/"), reverse=True):
            wait_until(lambda path=path: self.remove(path), 30, f"{path} is empty")

    @staticmethod
    def remove(path):
        path.rmdir()
        return True

    @property
    def init(self):
        """The process that is number 1 in there."""
        return Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()[0]

    def ready(self):
        return self.run("systemctl", "is-active", "sysinit.target", check=False).stdout.strip() == "active"

    def run(self, *words, check=True):
        """As root, in there; subprocess.CompletedProcess with text."""
        try:
            enter = ["nsenter", "--target", self.init, "--all", f"--root=/proc/{self.init}/root", f"--wd=/proc/{self.init}/root"]
        except IndexError:
            raise OSError("not yet") from None
        done = subprocess.run([*enter, "env", "-i", PATH, "LANG=C.UTF-8", *words], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
        assert done.returncode == 0 or not check, f"{words}: {done.stdout}"
        return done
