#!/bin/bash
# version.sh: the version is the Makefile's VERSION. Prints the lines of files that cannot read it there and say another one.
set -eu
cd "$(dirname "$0")/../.."
version=$(sed -n 's/^VERSION := //p' Makefile)
found=$(grep -nE '^ARG VERSION=|image: sentinel-spoa:|^sentinel-spoa \(|^(version|appVersion):' docker/Dockerfile docker/packaging/debian/changelog \
    docker/k8s/*/*.yaml docker/helm/sentinel-spoa/Chart.yaml)
# Of the changelog the newest entry, which is the first.
lines=$(grep -v changelog <<<"$found" && grep -m 1 changelog <<<"$found")
! grep -vE "[=:(] ?${version//./\\.}(-[0-9]+\\))?( |\$)" <<<"$lines"
