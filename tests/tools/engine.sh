#!/bin/bash
# engine.sh: what podman needs to run docker/'s manifests without a registry, into build/engine: `debian.tar` is a root file
# system with Redis and HAProxy, `agent.tar` the image that image.sh built. Needs root.
set -eu
cd "$(dirname "$0")/../.."
out=$PWD/build/engine
# Redis 8.0 and HAProxy 3.0. curl and procps are what a person would look for in there.
suite=trixie
packages=redis-server,redis-sentinel,redis-tools,haproxy,busybox
mkdir -p "$out"

make_base() {
    [ "$(cat "$out/packages" 2>/dev/null)" != "$suite $packages" ] || return 0
    # Half of it is documentation and languages that nobody reads there.
    mmdebstrap --variant=essential --include=$packages \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        "$suite" "$out/debian.tar" "${MATRIX_MIRROR:-http://deb.debian.org/debian}" >"$out/log" 2>&1 || {
        cat "$out/log" >&2
        return 1
    }
    echo "$suite $packages" >"$out/packages"
}

export_agent() {
    rm -f "$out/agent.tar"
    CONTAINERS_STORAGE_CONF=build/image/storage.conf buildah push -q localhost/sentinel-spoa "docker-archive:$out/agent.tar"
}

make_base
export_agent
