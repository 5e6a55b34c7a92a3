#!/bin/bash
# assemble.sh PROGRAM ROOT: makes the root file system of the image in ROOT, which is new, from PROGRAM and this (Debian)
# system: the shared libraries that it loads, the packages' licences and entries in dpkg's database, users, certificates.
# SOURCE_DATE_EPOCH in the environment: the time of every file.
set -eu
program=$1
root=$2
umask 022

# A file, and where it is a link what that leads to, under the same names.
copy() {
    local path=$1
    mkdir -p "$root$(dirname "$path")"
    cp -P --preserve=mode "$path" "$root$path"
    [ ! -L "$path" ] || copy "$(realpath "$(dirname "$path")")/$(readlink "$path")"
}

# Paths of the program's libraries, its loader among them, by the folders' real names.
list_libraries() {
    local path
    ldd "$program" | grep -o '/[^ ]*' | while read -r path; do
        echo "$(realpath "$(dirname "$path")")/$(basename "$path")"
    done
}

describe_package() {
    local package=$1
    mkdir -p "$root/var/lib/dpkg/status.d"
    dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/${package%%:*}"
    copy "/usr/share/doc/${package%%:*}/copyright"
}

mkdir -p "$root"
# Debian's /lib and /lib64 are links into /usr.
for link in /lib /lib64; do
    [ ! -L "$link" ] || cp -P "$link" "$root$link"
done
install -D -m 755 "$program" "$root/usr/bin/sentinel-spoa"
strip "$root/usr/bin/sentinel-spoa"
install -D -m 644 LICENSE "$root/usr/share/doc/sentinel-spoa/copyright"

libraries=$(list_libraries)
for library in $libraries; do
    copy "$library"
done
# shellcheck disable=SC2086  # a word each
for package in $(dpkg-query -S $libraries | cut -d' ' -f1 | sed 's/:$//' | sort -u) ca-certificates; do
    describe_package "$package"
done
for file in /etc/ssl/certs/ca-certificates.crt /etc/os-release /etc/debian_version; do
    copy "$file"
done

echo "root:x:0:0:root:/:/usr/sbin/nologin
nonroot:x:65532:65532:nonroot:/:/usr/sbin/nologin" >"$root/etc/passwd"
echo "root:x:0:
nonroot:x:65532:" >"$root/etc/group"
echo "hosts: files dns" >"$root/etc/nsswitch.conf"
mkdir -m 1777 "$root/tmp"
mkdir -p "$root/etc/sentinel-spoa" "$root/run/sentinel-spoa"
# UNIX sockets that are shared with HAProxy: a new volume that is mounted here takes this owner.
chown 65532:65532 "$root/run/sentinel-spoa"
# HAProxy, with that group, can put its own socket there, and the group is that of all sockets.
chmod 2775 "$root/run/sentinel-spoa"
find "$root" -exec touch -h -d "@${SOURCE_DATE_EPOCH:-0}" {} +
