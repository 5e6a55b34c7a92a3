"""`make install`, into a folder."""

import re
import subprocess

import pytest
from cluster import ROOT

UNIT, SOCKET, USER = "lib/systemd/system/sentinel-spoa.service", "lib/systemd/system/sentinel-spoa.socket", "lib/sysusers.d/sentinel-spoa.conf"


@pytest.mark.parametrize("prefix", ["/usr/local", "/opt/agent"])
def test_units_where_there_is_systemd(prefix, tmp_path):
    """The unit runs the program that was installed. `uninstall` leaves nothing."""
    def make(target, *words):
        subprocess.run(["make", "-s", "-C", ROOT, target, f"DESTDIR={tmp_path}", f"prefix={prefix}", *words], check=True, capture_output=True)

    top = tmp_path / prefix[1:]
    make("install", "systemd=yes")
    programs = re.findall(r"^Exec\w+=(\S+)", (top / UNIT).read_text(), re.MULTILINE)
    assert set(programs) == {f"{prefix}/bin/sentinel-spoa"} and (top / "bin/sentinel-spoa").exists()
    assert (top / SOCKET).exists() and (top / USER).exists()
    make("uninstall")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    make("install", "systemd=")
    assert not list(tmp_path.rglob("*.service"))
