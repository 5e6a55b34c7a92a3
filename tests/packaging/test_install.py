"""`make install`, into a folder."""

import re
import subprocess

import pytest
from cluster import ROOT

UNIT, SOCKET = "lib/systemd/system/sentinel-spoa.service", "lib/systemd/system/sentinel-spoa.socket"
USER, FOLDER = "lib/sysusers.d/sentinel-spoa.conf", "lib/tmpfiles.d/sentinel-spoa.conf"


@pytest.mark.parametrize("prefix", ["/usr/local", "/opt/agent"])
def test_units_where_there_is_systemd(prefix, tmp_path):
    """The unit runs the program that was installed. `uninstall` leaves nothing."""
    def make(target, *words):
        subprocess.run(["make", "-s", "-C", ROOT, target, f"DESTDIR={tmp_path}", f"prefix={prefix}", *words], check=True, capture_output=True)

    top = tmp_path / prefix[1:]
    make("install", "systemd=yes")
    programs = re.findall(r"^Exec\w+=(\S+)", (top / UNIT).read_text(), re.MULTILINE)
    assert set(programs) == {f"{prefix}/bin/sentinel-spoa"} and (top / "bin/sentinel-spoa").exists()
    assert all((top / path).exists() for path in (SOCKET, USER, FOLDER))
    make("uninstall")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    make("install", "systemd=")
    assert not list(tmp_path.rglob("*.service"))


def test_documentation(tmp_path):
    """All documents and pictures, and the recipes where the documents' links lead. No link leads nowhere."""
    subprocess.run(["make", "-s", "-C", ROOT, "install", f"DESTDIR={tmp_path}", "prefix=/usr", "systemd="], check=True, capture_output=True)
    top = tmp_path / "usr/share/doc/sentinel-spoa"
    for room in ("spoa/doc", "haproxy-conf"):
        files = [path.relative_to(ROOT) for path in (ROOT / room).rglob("*") if path.is_file()]
        assert files and not [path for path in files if not (top / path).is_file()]
    pages = [path for path in top.rglob("*.md") if path.resolve() == path]
    links = [page.parent / link for page in pages for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())]
    assert len(links) > 100 and [link for link in links if not link.exists()] == []


@pytest.mark.parametrize("status, is_there", [("installed ", True), ("not-installed ", False), ("config-files ", False), ("", False)])
def test_packages_that_are_merely_known_are_installed(status, is_there, tmp_path):
    """dpkg knows packages that another one mentions, or that were removed: they are not there."""
    for name, body in (("dpkg-query", f"printf '{status}'"), ("apt-get", f'echo "$@" >>{tmp_path}/log'), ("sudo", 'shift; exec "$@"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    subprocess.run([ROOT / "tests/tools/deps.sh", "valgrind"], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True, capture_output=True)
    asked = (tmp_path / "log").read_text() if (tmp_path / "log").exists() else ""
    assert ("install -y" in asked and " valgrind " in asked) is not is_there
