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
watch $$ &
exec haproxy -W -db -S /run/sentinel-spoa/master.sock,mode,660 -f "$config"
