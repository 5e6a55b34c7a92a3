#!/bin/bash
# deps.sh list GROUP...: prints the Debian packages of the groups.
# deps.sh GROUP...: makes sure that the Debian packages of the groups are installed. The lists stand here only.
# Installs what is missing as root or through `sudo -n`; else prints the command to run and exits 1.
set -eu

packages_of() {
    case $1 in
    build) echo gcc libc6-dev make pkg-config libev-dev libhiredis-dev libmicrohttpd-dev libssl-dev uthash-dev libcmocka-dev scdoc python3 ;;
    test) echo haproxy redis-server redis-sentinel redis-tools nutcracker keepalived python3 python3-pytest iproute2 mount procps curl openssl dnsmasq-base ;;
    # The clients of `make test`, and those of `make clients-report` besides.
    clients-short) echo python3-redis ruby ruby-redis ;;
    node) echo nodejs npm ;;
    clients) echo php-cli php-redis libredis-perl ;;
    page) echo chromium chromium-driver python3-selenium fonts-dejavu-core ;;
    model) echo spin gcc libc6-dev ;;
    lint) echo clang-format clang-tidy cppcheck shellcheck universal-ctags jq pyflakes3 ;;
    valgrind) echo valgrind libc6-dbg ;;
    bench) echo strace valgrind libc6-dbg ;;
    matrix) echo mmdebstrap ;;
    fuzz) echo clang libclang-rt-14-dev ;;
    image) echo mmdebstrap buildah jq ;;
    # What runs containers; image.sh only builds.
    engine) echo mmdebstrap buildah podman runc conmon netavark catatonit iptables dnsmasq-base iproute2 curl python3-yaml ;;
    deb) echo build-essential debhelper dpkg-dev lintian mmdebstrap ;;
    rpm) echo rpm cpio mmdebstrap ;;
    # wget is what the health checks of the Compose file run.
    deploy) echo docker-compose python3-yaml python3-kubernetes wget ;;
    *)
        echo "deps.sh: unknown group '$1' (build, test, clients-short, node, clients, page, model, lint, valgrind, bench, matrix, fuzz, image, deb, rpm, deploy, engine)" >&2
        exit 2
        ;;
    esac
}

is_installed() {
    # A package that another one merely mentions is "not-installed".
    case " $(dpkg-query -W -f '${db:Status-Status} ' "$1" 2>/dev/null)" in
    *" installed "*) return 0 ;;
    esac
    # It may come from elsewhere: pkgconf provides pkg-config, and a nodejs that is not Debian's has npm in it and conflicts
    # with Debian's.
    case $1 in
    pkg-config | npm) command -v "$1" >/dev/null ;;
    nodejs) command -v node >/dev/null ;;
    *) return 1 ;;
    esac
}

if [ "${1:-}" = list ]; then
    shift
    for group in "$@"; do
        packages_of "$group"
    done
    exit 0
fi

if ! command -v dpkg-query >/dev/null; then
    # Not Debian or a relative of it: whoever runs this has to know the names. The build says what it misses.
    exit 0
fi

missing=()
for group in "$@"; do
    for package in $(packages_of "$group"); do
        is_installed "$package" || missing+=("$package")
    done
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "Packages are missing. As root, run: apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo -n)
fi

install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -y -q --no-install-recommends "${missing[@]}"
}

echo "Installing: ${missing[*]}"
# Debian's lists may be old or, in a fresh image, absent. RUNLEVEL=1 keeps the packages from starting their services.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "${as_root[@]}" apt-get update -q && install; } >"$log" 2>&1; then
    cat "$log" >&2
    echo "apt-get failed. Needed: ${missing[*]}" >&2
    exit 1
fi
