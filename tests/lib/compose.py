"""What a Compose file describes, run without an engine: each service in a network namespace and a root file system of its own,
as its user, with its volumes, in the order of depends_on, each begun when those before it are healthy.

    with Compose(ROOT / "docker/compose.yaml", {"redis:7": PROGRAMS}, leave_out=["grafana"]) as compose:
        compose.services["redis-1"].call("PING")
        compose.services["redis-1"].kill()                  # its name is gone then, as with an engine
        compose.run("failover")                             # a service of a profile; its output

An image is either that of this project (tests/tools/image.sh) or a Programs: this machine's programs, and the user that the
real image becomes.
"""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml
from container import copy_image, enter_root, read_config
from fake_dns import FakeDns
from netns import Network
from process import Process, wait_until

# Of this machine, read-only, so that its programs run.
SHARED = ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/usr/share")
COPIED = ("/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/ssl/openssl.cnf")
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Programs:
    """An image that is not to be had: this machine's programs. `folders` belong to its user."""

    def __init__(self, user, folders=()):
        self.user = user
        self.folders = folders
        self.entrypoint, self.command, self.environment, self.healthcheck = [], [], [PATH], None

    def make_root(self, root):
        for link in ("bin", "sbin", "lib", "lib64"):
            if os.path.islink(f"/{link}"):
                (root / link).symlink_to(os.readlink(f"/{link}"))
        for folder in ("tmp", "run", *(folder[1:] for folder in self.folders)):
            (root / folder).mkdir(parents=True)
            shutil.chown(root / folder, *map(int, self.user.split(":")))
        for path in COPIED:
            if os.path.exists(path):
                (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, root / path[1:])
        uid, gid = self.user.split(":")
        (root / "etc/passwd").write_text(f"root:x:0:0::/:/bin/sh\nuser:x:{uid}:{gid}::/:/bin/sh\n")
        (root / "etc/group").write_text(f"root:x:0:\nuser:x:{gid}:\n")
        return {path: path for path in SHARED if os.path.isdir(path)}


class OwnImage:
    """That of docker/Dockerfile."""

    def __init__(self):
        config = read_config()
        self.user, self.entrypoint, self.command = config["User"], config["Entrypoint"], config["Cmd"]
        self.environment, self.healthcheck = config["Env"], config["Healthcheck"]["Test"]

    def make_root(self, root):
        copy_image(root)
        return {}


class Service(Process):
    """One container."""

    def __init__(self, name, what, image, directory, host, volumes):
        super().__init__(name, directory)
        self.what, self.image, self.network_host = what, image, host
        self.prefix = host.words()
        self.root = directory / f"{name}-root"
        self.root.mkdir()
        self.mounts = image.make_root(self.root)
        self.mounts.update(self.find_volumes(volumes))
        for folder in ("proc", "dev", "etc", *(inside[1:] for inside in self.mounts.values())):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "etc/hosts").write_text(f"127.0.0.1 localhost\n{host.address} {name}\n")
        (self.root / "etc/resolv.conf").write_text(f"nameserver {host.gateway}\noptions timeout:1\n")

    def find_volumes(self, volumes):
        """{here: in there}: a path beside the Compose file, or a volume, which is made when it is first used, with the owner and
        the mode of the folder in the image, as an engine does."""
        found = {}
        for text in self.what.get("volumes", []):
            source, inside = text.split(":")[:2]
            if not source.startswith("."):
                path = volumes.setdefault(source, self.directory / f"volume-{source}")
                if not path.exists():
                    path.mkdir()
                    like = os.stat(self.root / inside[1:])
                    os.chown(path, like.st_uid, like.st_gid)
                    path.chmod(like.st_mode & 0o7777)
            else:
                path = volumes["."] / source
            found[str(path)] = inside
        return found

    def enter(self, words):
        user, group = str(self.what.get("user", self.image.user)).split(":")
        environment = [*self.image.environment, *(f"{key}={value}" for key, value in self.what.get("environment", {}).items())]
        program = shutil.which(words[0], path=environment[0].split("=", 1)[1]) if "/" not in words[0] else words[0]
        return enter_root(self.root, user, group, [program, *words[1:]], self.mounts, environment,
                          is_read_only=self.what.get("read_only", False))

    def command(self):
        given = self.what.get("command", self.image.command)
        return self.enter([*self.image.entrypoint, *(shlex.split(given) if isinstance(given, str) else given)])

    def execute(self, words, timeout=60):
        """One more process in it, as `docker exec`."""
        return subprocess.run([*self.prefix, *self.enter(words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, check=False)

    def is_healthy(self):
        kind, *words = self.what.get("healthcheck", {}).get("test") or self.image.healthcheck
        assert kind == "CMD"
        return self.execute(words).returncode == 0

    ready = is_healthy

    def call(self, *words, port=6379):
        """One command of redis-cli in there; its output."""
        done = self.execute(["redis-cli", "-p", str(port), *words])
        return done.stdout.strip()


class Stage:
    """A network with a name server, on which services run; a subclass says which."""

    def __init__(self, images, own_image, hosts):
        self.images = {**images, own_image: OwnImage()}
        self.directory = Path(tempfile.mkdtemp(prefix="sentinel-spoa-stage-"))
        self.directory.chmod(0o755)
        self.network = Network(hosts)
        self.dns = None

    def build(self):
        """Make the services, and start those that are to run from the beginning."""
        raise NotImplementedError

    def all_services(self):
        raise NotImplementedError

    def __enter__(self):
        try:
            self.network.__enter__()
            self.dns = FakeDns(namespace=self.network.router)
            self.build()
        except BaseException:
            self.clear()
            raise
        return self

    def __exit__(self, kind, *exc):
        if kind is not None:
            for service in self.all_services():
                print(f"--- {service.name}\n{service.log_text()[-2000:]}")
        self.clear()

    def clear(self):
        for service in self.all_services():
            service.kill()
        if self.dns is not None:
            self.dns.__exit__()
        self.network.clear()
        shutil.rmtree(self.directory, ignore_errors=True)


class Compose(Stage):
    def __init__(self, path, images, leave_out=()):
        self.what = yaml.safe_load(expand(path.read_text()))["services"]
        self.volumes = {".": path.parent}
        self.names = [name for name in self.what if name not in leave_out]
        self.services = {}
        super().__init__(images, "sentinel-spoa", len(self.names))

    def build(self):
        hosts = dict(zip(self.names, self.network.hosts))
        for name in self.names:
            image = self.images[self.what[name]["image"]]
            host = hosts[self.network_of(name) or name]
            self.services[name] = Service(name, self.what[name], image, self.directory, host, self.volumes)
        for name in self.names:
            if "profiles" not in self.what[name]:
                self.start(name)

    def all_services(self):
        return list(self.services.values())

    def network_of(self, name):
        """The service in whose network this one is; None where it has its own, and a name in it."""
        kind, _, other = self.what[name].get("network_mode", "").partition(":")
        return other if kind == "service" else None

    def start(self, name):
        """After those that it depends on; waits until it is healthy."""
        service = self.services[name]
        if service.alive():
            return
        for other, how in self.what[name].get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            if other in self.services:
                self.start(other)
        if self.network_of(name):
            self.start(self.network_of(name))
        else:
            self.dns.names[name] = [service.network_host.address]
        service.start(timeout=60)

    def kill(self, name):
        """Nobody finds it by its name any more."""
        self.services[name].kill()
        self.dns.names.pop(name, None)

    def run(self, name, timeout=120):
        """A service of a profile, until it ends; subprocess.CompletedProcess with text. A service that ends meanwhile loses its
        name."""
        service = self.services[name]
        self.dns.names[name] = [service.network_host.address]
        with open(service.log_path, "wb") as log:
            child = subprocess.Popen([*service.prefix, *service.command()], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_until(lambda: self.forget_ended() or child.poll() is not None, timeout, f"{name} has ended")
        finally:
            child.kill()
            child.wait()
        return subprocess.CompletedProcess(name, child.returncode, service.log_path.read_text(), "")

    def forget_ended(self):
        for name, service in self.services.items():
            if service.child is not None and not service.alive():
                self.dns.names.pop(name, None)


def expand(text):
    """${NAME:-default} as where NAME is not set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
