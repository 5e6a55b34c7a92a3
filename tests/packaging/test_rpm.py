"""The RPM package that `make rpm` built. There is no Fedora here: its files are unpacked into a Debian whose HAProxy has lost what
Fedora's does not have, and its systemd runs them."""

import re
import shutil
import subprocess

import pytest
from cluster import ROOT
from packaged import System, check_cuts


@pytest.fixture(scope="module", name="package")
def find_package():
    return next(path for path in (ROOT / "build/rpm/RPMS").glob("*/*.rpm") if "debug" not in path.name)


def test_what_it_runs():
    """Its units are started, stopped and forgotten with it: both of them."""
    spec = (ROOT / "docker/packaging/sentinel-spoa.spec").read_text()
    for scriptlet in ("post", "preun"):
        assert re.search(rf"^%systemd_{scriptlet} %{{name}}.service %{{name}}.socket$", spec, re.MULTILINE)
    assert re.search(r"^%systemd_postun_with_restart %{name}.service$", spec, re.MULTILINE)
    assert re.search(r"^%systemd_postun %{name}.socket$", spec, re.MULTILINE)


def test_version(package):
    makefile = re.search(r"^VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert subprocess.run(["rpm", "-qp", "--queryformat", "%{VERSION}", package], capture_output=True, text=True, check=True).stdout == makefile


def test_documentation(package):
    files = subprocess.run(["rpm", "-qpl", package], capture_output=True, text=True, check=True).stdout.splitlines()
    for path in ("spoa/doc/configuration.md", "haproxy-conf", "examples/sample.conf"):
        assert f"/usr/share/doc/sentinel-spoa/{path}" in files


def test_old_sessions_are_cut(package, tmp_path):
    root = tmp_path / "root"
    tmp_path.chmod(0o755)
    try:
        system = System(root)
        system.run("apt-get", "update", "-q")
        system.run("apt-get", "install", "-y", "-q", "--no-install-recommends", "systemd", "haproxy", "libev4", "libhiredis0.14",
                   "libmicrohttpd12", "procps")
        (root / "usr/lib/tmpfiles.d/haproxy.conf").unlink()
        (root / "etc/default/haproxy").write_text("")
        subprocess.run(f"rpm2cpio {package} | cpio --quiet -idmu --no-absolute-filenames", shell=True, cwd=root, check=True)
        system.run("systemd-sysusers", "sentinel-spoa.conf")
        (tmp_path / "log").mkdir()
        check_cuts(system, tmp_path / "log")
    finally:
        shutil.rmtree(root, ignore_errors=True)
