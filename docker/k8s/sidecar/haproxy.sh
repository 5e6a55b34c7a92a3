#!/bin/sh
# haproxy.sh: HAProxy in the foreground. When its files change they are checked, and HAProxy is reloaded (SIGUSR2 to its
# master process). So a changed ConfigMap or certificate is used, and neither the pod nor the agent restarts.
set -u
umask 077
config=/usr/local/etc/haproxy/haproxy.cfg

checksum() {
    # A look in the middle of a change sees other bytes than the next one, and the next one counts.
    cat /usr/local/etc/haproxy/* 2>/dev/null | cksum
}

watch() {
    while sleep 2 && kill -0 "$1" 2>/dev/null; do
        now=$(checksum)
        [ "$now" != "$used" ] || continue
        used=$now
        if haproxy -c -f "$config" >/dev/null; then
            echo "haproxy.sh: the files have changed, reload"
            kill -USR2 "$1"
        else
            echo "haproxy.sh: the changed files have an error, HAProxy goes on with the old ones" >&2
        fi
    done
}

# Before HAProxy reads the files: a change in between is seen.
used=$(checksum)
# The master process goes on for as long as it has a child: the watch must be the shell's, and so the shell stays.
haproxy -W -db -S /run/sentinel-spoa/master.sock,mode,660 -f "$config" &
master=$!
trap 'kill -USR1 $master' USR1
trap 'kill -TERM $master' TERM INT
watch $master &
while :; do
    # A signal ends the wait, not HAProxy.
    wait $master && exit
    code=$?
    kill -0 $master 2>/dev/null || exit $code
done
