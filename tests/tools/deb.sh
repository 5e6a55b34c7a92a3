#!/bin/bash
# deb.sh: builds the Debian package from the committed and changed files, into build/deb, and has lintian look at it.
# DEB_BUILD_OPTIONS=nocheck leaves out the unit tests.
set -eu
cd "$(dirname "$0")/../.."
version=$(sed -n 's/^VERSION := //p' Makefile)
work=$PWD/build/deb
source=$work/sentinel-spoa-$version

rm -rf "$work"
mkdir -p "$source"
git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -cf - -T - 2>/dev/null | tar -xf - -C "$source"
cp -rL docker/packaging/debian "$source/debian"
(cd "$source" && dpkg-buildpackage --build=binary --no-sign) >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    echo "deb.sh: dpkg-buildpackage failed" >&2
    exit 1
}
rm -r "$source"
# What it says of an upload to Debian is left out: there has been none, and no maintainer has an address for it yet.
lintian --allow-root --fail-on error,warning --display-info --tag-display-limit 0 \
    --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog,initial-upload-closes-no-bugs "$work"/*.changes
ls "$work"/*.deb
