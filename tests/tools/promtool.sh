#!/bin/bash
# promtool.sh: prints the path of promtool; where there is none it is taken out of Debian's package into build/tools,
# because installing that package would start a Prometheus.
set -eu
cd "$(dirname "$0")/../.."
if command -v promtool; then
    exit 0
fi
if [ ! -x build/tools/promtool ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    chmod 755 "$work"
    download() {
        # From trixie on promtool is a package of its own. The lists of packages may be missing.
        apt-get -q download promtool || apt-get -q download prometheus || {
            apt-get -q update
            apt-get -q download promtool || apt-get -q download prometheus
        }
    }
    (cd "$work" && download) >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        echo "promtool.sh: cannot download promtool" >&2
        exit 1
    }
    dpkg-deb --fsys-tarfile "$work"/prom*.deb | tar -x -C "$work" ./usr/bin/promtool
    mkdir -p build/tools
    mv "$work/usr/bin/promtool" build/tools/
fi
echo "$PWD/build/tools/promtool"
