#!/bin/bash
# image.sh: builds docker/Dockerfile without an engine or a registry, into build/image: `root` is the image's root file
# system, `config.json` what the image says of itself. Prints its size and what is in it. Needs root.
#
# buildah carries out the Dockerfile; the base image is made by mmdebstrap from the packages that Debian's own is made of.
set -eu
cd "$(dirname "$0")/../.."
suite=trixie
base=docker.io/library/debian:$suite-slim
out=$PWD/build/image
mkdir -p "$out"

# Storage of its own: nobody's images are touched. chroot: a sandbox may have no rights for more.
cat >"$out/storage.conf" <<END
[storage]
driver = "vfs"
graphroot = "$out/storage"
runroot = "$out/run"
END
export CONTAINERS_STORAGE_CONF=$out/storage.conf BUILDAH_ISOLATION=chroot

make_base() {
    local container
    mmdebstrap --quiet --variant=apt "$suite" "$out/base.tar" "${MATRIX_MIRROR:-http://deb.debian.org/debian}"
    container=$(buildah from scratch)
    buildah add -q "$container" "$out/base.tar" /
    buildah commit -q "$container" "$base"
    buildah rm "$container"
    rm "$out/base.tar"
}

build() {
    buildah build --format docker --pull-never --layers=false -f docker/Dockerfile -t sentinel-spoa \
        --build-arg REVISION="$(git describe --always --dirty 2>/dev/null || echo unknown)" \
        --build-arg SOURCE_DATE_EPOCH="$(git log -1 --format=%ct 2>/dev/null || echo 0)" .
}

export_image() {
    local container
    container=$(buildah from --pull-never localhost/sentinel-spoa)
    rm -rf "$out/root"
    cp -a "$(buildah mount "$container")" "$out/root"
    chmod 755 "$out/root" # the top of a storage's folder is nobody else's
    buildah inspect --type image localhost/sentinel-spoa | jq .Docker.config >"$out/config.json"
    buildah rm "$container"
}

quietly() {
    "$@" >"$out/log" 2>&1 || {
        cat "$out/log" >&2
        echo "image.sh: $1 failed" >&2
        exit 1
    }
}

buildah inspect --type image "$base" >/dev/null 2>&1 || quietly make_base
quietly build
quietly export_image

echo "image: $(du -s --apparent-size -B1 "$out/root" | awk '{printf "%.1f MB", $1 / 1e6}')," \
    "$(find "$out/root" -type f | wc -l) files; $(tar -c -C "$out/root" . | gzip -9 | wc -c | awk '{printf "%.1f MB", $1 / 1e6}') compressed"
awk '/^Package:/ {package = $2} /^Version:/ {printf "  %s %s\n", package, $2}' "$out"/root/var/lib/dpkg/status.d/*
find "$out/root" -type f ! -path '*/status.d/*' ! -path '*/doc/*' -printf '  %9s  /%P\n' | sort -k2
