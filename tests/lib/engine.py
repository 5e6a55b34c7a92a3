"""An engine of our own: podman with runc, in mount, process and network namespaces that end with the `with` block, and with
them whatever runs in there: containers, bridges, firewall rules, name servers, images.

    with Engine() as engine:
        engine.podman("run", "--rm", "redis:7", "redis-cli", "-v")      # its output
        engine.run("curl", "-sf", "http://10.89.0.2:8404/healthz")      # on the node, so to speak

The images are made of what tests/tools/engine.sh put into build/engine; nothing is asked of a registry. Names are what name() has
given, by a name server in there: podman's own, aardvark-dns 1.4, loses questions whenever a container starts or ends.
"""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from cluster import ROOT
from compose import PATH as IMAGE_PATH
from pods import VERSION
from process import PATH, die_with, wait_until

PROGRAMS = ("podman", "runc", "conmon", "catatonit", "iptables", "dnsmasq", "ip", "curl", "/usr/lib/podman/netavark")
BUILT = ROOT / "build/engine"

# The first process of the namespaces; $1 is the folder with our files. All that podman writes is memory of these namespaces.
WORLD = """
set -e
mount -t proc proc /proc
mkdir -p /var/lib/containers
for folder in /run /dev/shm /var/lib/containers; do
    mount -t tmpfs -o mode=755 tmpfs $folder
done
mkdir /run/networks
ip link set lo up
touch "$1/hosts"
dnsmasq --conf-file=/dev/null --no-hosts --addn-hosts="$1/hosts" --no-resolv --local=/#/ --user=root --pid-file=/run/dnsmasq.pid
touch /run/begun
exec catatonit -P
"""

# What a container needs of the kernel, tried in namespaces of one's own; $1 is an empty folder.
TRIALS = {
    "a file system in memory": "mount -t tmpfs tmpfs $1",
    "overlayfs": "mount -t tmpfs tmpfs $1 && mkdir $1/a $1/b $1/c $1/d && mount -t overlay -o lowerdir=$1/a,upperdir=$1/b,workdir=$1/c o $1/d",
    "a bridge": "ip link add name trial type bridge && ip link add trial0 type veth peer name trial1",
    "iptables": "iptables -t nat -L && iptables -A FORWARD -m comment --comment trial -j ACCEPT",
    "cgroups that can be written to": "test -w /sys/fs/cgroup/pids -o -w /sys/fs/cgroup/cgroup.procs",
}


def why_not():
    """Why no engine can run here, in plain words; None where one can."""
    if os.geteuid() != 0:
        return "an engine needs root"
    missing = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if missing:
        return f"an engine needs {', '.join(missing)}"
    with tempfile.TemporaryDirectory(prefix="sentinel-spoa-trial-") as folder:
        for what, script in {"namespaces": "true", **TRIALS}.items():
            tried = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "sh", "-c", script, "sh", folder],
                                   env={**os.environ, "PATH": PATH}, capture_output=True, text=True, check=False)
            if tried.returncode != 0:
                return f"an engine needs {what}: {tried.stderr.strip() or 'there is none here'}"
    return None


def config():
    """For this machine: cgroups of any kind, no systemd, and no limit that is higher than our own."""
    limits = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    own = {name: resource.getrlimit(number)[1] for name, number in limits.items()}
    given = ", ".join(f'"{name}={limit}:{limit}"' for name, limit in own.items() if limit != resource.RLIM_INFINITY)
    return f"""[containers]
default_ulimits = [{given}]
log_driver = "k8s-file"
base_hosts_file = "none"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
network_config_dir = "/run/networks"
"""


def find_cgroups():
    """The folders that podman has made, of whatever version and hierarchy, the innermost first."""
    top = Path("/sys/fs/cgroup")
    parents = [path for path in (*top.glob("libpod_parent"), *top.glob("*/libpod_parent")) if not path.parent.is_symlink()]
    return [Path(folder) for parent in parents for folder, _, _ in os.walk(parent, topdown=False)]


class Engine:
    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="sentinel-spoa-engine-"))
        self.directory.chmod(0o755)
        self.cgroups = set(find_cgroups())
        self.holder = None
        self.prefix = []
        self.environment = {"PATH": PATH, "HOME": str(self.directory), "CONTAINERS_CONF": str(self.directory / "containers.conf"),
                            "CONTAINERS_STORAGE_CONF": str(self.directory / "storage.conf"), "DISABLE_HC_SYSTEMD": "true"}

    def __enter__(self):
        try:
            self.begin()
            self.load_images()
        except BaseException:
            self.clear()
            raise
        return self

    def __exit__(self, *exc):
        self.clear()

    def begin(self):
        (self.directory / "containers.conf").write_text(config())
        (self.directory / "storage.conf").write_text('[storage]\ndriver = "overlay"\ngraphroot = "/var/lib/containers/storage"\n'
                                                     'runroot = "/run/containers"\n')
        with open(self.directory / "log", "wb") as log:
            words = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", WORLD, "sh", self.directory]
            self.holder = subprocess.Popen(words, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           start_new_session=True, preexec_fn=die_with(os.getpid()))
        wait_until(self.has_begun, 20, "the engine's namespaces")
        self.prefix = ["nsenter", "--target", str(self.first_process()), "--mount", "--net", "--pid"]

    def has_begun(self):
        assert self.holder.poll() is None, (self.directory / "log").read_text()
        return self.path("/run/begun").exists()

    def first_process(self):
        """Of the namespaces, by its number here. OSError where there is none."""
        children = Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children").read_text().split()
        if len(children) != 1:
            raise OSError("not begun yet")
        return int(children[0])

    def path(self, inside):
        """Where we find what they have there."""
        return Path(f"/proc/{self.first_process()}/root{inside}")

    def load_images(self):
        """Debian's programs under the names that the manifests have for their images, with what these images say, and the agent."""
        self.podman("import", "--quiet", "--change", f"ENV {IMAGE_PATH}", BUILT / "debian.tar", "docker.io/library/redis:7")
        # Alpine's shell and wget.
        self.podman("run", "--name", "alpine", "--network", "none", "redis:7",
                    "bash", "-c", "cd /usr/bin && ln -sf busybox sh && ln -sf busybox wget")
        for name, *change in (("redis:7-alpine",), ("haproxy:3.0-alpine", "--change", "STOPSIGNAL SIGUSR1")):
            self.podman("commit", "--quiet", *change, "alpine", f"docker.io/library/{name}")
        self.podman("rm", "alpine")
        self.podman("load", "--quiet", "--input", BUILT / "agent.tar")
        self.podman("tag", "sentinel-spoa", f"sentinel-spoa:{VERSION}")

    def name(self, names):
        """{name: addresses}: there are these names from now on, and no others."""
        lines = [f"{address} {name}\n" for name, addresses in names.items() for address in addresses]
        (self.directory / "hosts").write_text("".join(lines))
        self.run("sh", "-c", "kill -HUP $(cat /run/dnsmasq.pid)")

    def run(self, *words, timeout=60):
        """A program of this machine in the engine's namespaces; subprocess.CompletedProcess with text."""
        return subprocess.run([*self.prefix, *words], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, check=False)

    def spawn(self, *words):
        """As run(), without waiting; subprocess.Popen."""
        return subprocess.Popen([*self.prefix, *words], env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, preexec_fn=die_with(os.getpid()))

    def podman(self, *words, timeout=120):
        """Its output; AssertionError with what it says where it fails."""
        done = self.run("podman", *words, timeout=timeout)
        assert done.returncode == 0, f"podman {' '.join(map(str, words))}: {done.stderr.strip()}"
        return done.stdout.strip()

    def clear(self):
        """Whatever runs ends with the first process."""
        if self.holder is not None:
            with contextlib.suppress(OSError):
                os.kill(self.first_process(), signal.SIGKILL)
            self.holder.wait()
        self.clear_cgroups()
        shutil.rmtree(self.directory, ignore_errors=True)

    def clear_cgroups(self):
        """Those that were not there before, and that nobody is in."""
        for path in find_cgroups():
            if path not in self.cgroups:
                with contextlib.suppress(OSError):
                    path.rmdir()
