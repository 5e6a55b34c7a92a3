#!/bin/bash
# rpm.sh: builds the RPM package from the committed and changed files, into build/rpm.
# DEB_BUILD_OPTIONS=nocheck leaves out the unit tests, as for the Debian package.
set -eu
cd "$(dirname "$0")/../.."
version=$(sed -n 's/^VERSION := //p' Makefile)
work=$PWD/build/rpm

rm -rf "$work"
mkdir -p "$work/SOURCES"
git ls-files -z --cached --others --exclude-standard |
    tar --null --ignore-failed-read -czf "$work/SOURCES/sentinel-spoa-$version.tar.gz" \
        --transform "s,^,sentinel-spoa-$version/,SH" -T - 2>/dev/null
cp docker/systemd/sentinel-spoa.sysusers "$work/SOURCES"
options=(--define "_topdir $work" --define "agent_version $version")
[ "${DEB_BUILD_OPTIONS:-}" != nocheck ] || options+=(--nocheck)
# Another distribution's rpmbuild, Debian's for one, has neither the macros nor the packages by these names.
if [ "$(rpm --eval '%{_unitdir}')" = '%{_unitdir}' ]; then
    options+=(--nodeps --define "_unitdir /usr/lib/systemd/system" --define "_sysusersdir /usr/lib/sysusers.d"
        --define "_tmpfilesdir /usr/lib/tmpfiles.d"
        --define "systemd_post() %{nil}" --define "systemd_preun() %{nil}" --define "systemd_postun() %{nil}"
        --define "systemd_postun_with_restart() %{nil}"
        --define "optflags -O2 -g")
fi
rpmbuild -bb "${options[@]}" docker/packaging/sentinel-spoa.spec >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    echo "rpm.sh: rpmbuild failed" >&2
    exit 1
}
ls "$work"/RPMS/*/*.rpm
