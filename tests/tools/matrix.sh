#!/bin/bash
# matrix.sh SUITE...: builds and tests the tree in root file systems of other Debian releases (bookworm, trixie, forky).
#
# Needs root. Each is made once, in build/matrix/SUITE, and made anew where the lists of packages have changed. What runs
# in it sees a copy of the committed and changed files, its own processes, and no file of this machine's.
# In the environment:
#   MATRIX_TESTS   integration tests to run ("test_tls test_failover"); all where it is empty
#   MATRIX_SERVER  redis (the default), valkey, or both: what the nodes and Sentinels are
#   SHOW           1: what the integration tests print is shown
set -eu
cd "$(dirname "$0")/../.."

tests=${MATRIX_TESTS:-}
servers=${MATRIX_SERVER:-redis}
[ "$servers" != both ] || servers="redis valkey"

packages_for() {
    # Not npm, for which Debian has hundreds of packages: the clients of Node.js are skipped.
    tests/tools/deps.sh list build test clients-short
    case $1 in
    bookworm) ;; # has no Valkey
    *) echo valkey-server valkey-sentinel valkey-tools ;;
    esac
}

make_root() {
    local suite=$1 root=$2 packages=$3
    [ "$(cat "$root.packages" 2>/dev/null)" != "$packages" ] || return 0
    rm -rf "$root" "$root.packages"
    echo "matrix: making $root"
    # A testing release's file may be out of date. The services of the packages are not started in there.
    mmdebstrap --quiet --variant=apt --aptopt='Acquire::Check-Valid-Until "false"' \
        --include="$(tr -s ' \n' ',,' <<<"$packages" | sed 's/,$//')" "$suite" "$root" \
        "${MATRIX_MIRROR:-http://deb.debian.org/debian}" >"$root.log" 2>&1 || {
        cat "$root.log" >&2
        return 1
    }
    echo "127.0.0.1 localhost" >"$root/etc/hosts"
    echo "$packages" >"$root.packages"
}

copy_tree() {
    rm -rf "$1/src"
    mkdir "$1/src"
    git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -cf - -T - 2>/dev/null | tar -xf - -C "$1/src"
}

# Runs a command in the root file system, in namespaces of its own: what it mounts and starts ends with it.
run_in() {
    local root=$1
    shift
    # shellcheck disable=SC2016  # the inner shell expands it
    unshare --mount --pid --fork --kill-child --uts --ipc sh -c '
        root=$1
        shift
        mount --bind "$root" "$root"
        mount -t proc proc "$root/proc"
        mount --rbind /sys "$root/sys"
        mount --rbind /dev "$root/dev"
        mount -t tmpfs tmpfs "$root/tmp"
        mount -t tmpfs tmpfs "$root/run"
        exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"' sh "$root" "$@"
}

show_versions() {
    # shellcheck disable=SC2016  # the inner shell expands it
    run_in "$1" sh -c 'cd /src
        haproxy -v | head -1
        redis-server --version | cut -d" " -f1-4
        valkey-server --version 2>/dev/null | cut -d" " -f1-4
        echo "hiredis $(pkg-config --modversion hiredis), cmocka $(pkg-config --modversion cmocka), gcc $(gcc -dumpfullversion)"
        build/release/sentinel-spoa -V'
}

run_suite() {
    local suite=$1 root server
    root=$PWD/build/matrix/$suite
    make_root "$suite" "$root" "$(packages_for "$suite")" || return 1
    copy_tree "$root"
    run_in "$root" make -s -C /src -j2 all unit-release >"$root.log" 2>&1 || {
        cat "$root.log"
        return 1
    }
    echo "matrix: $suite: $(show_versions "$root" | paste -sd';' | sed 's/;/; /g')"
    for server in $servers; do
        if [ "$server" = valkey ] && [ "$suite" = bookworm ]; then
            echo "matrix: bookworm has no Valkey"
            continue
        fi
        echo "matrix: $suite with $server"
        run_in "$root" env SERVER="$server" INTEGRATION="$tests" SKIP="test_page test_failover_shown test_diagrams" SHOW="${SHOW:-}" \
            sh -c 'cd /src && python3 tests/tools/run-tests.py unit:release integration:release' || return 1
    done
}

mkdir -p build/matrix
failed=0
for suite in "$@"; do
    run_suite "$suite" || {
        echo "matrix: $suite failed"
        failed=1
    }
done
exit $failed
