#!/bin/sh
# failover.sh HAPROXY SENTINEL...: writes through HAProxy, ends the master, and prints for how long nothing was acknowledged.
set -eu
haproxy=$1
shift
limit=6000 # hundredths of a second

# Since the machine started, in hundredths of a second: date(1) has seconds only everywhere.
now() { cut -d' ' -f1 /proc/uptime | tr -d .; }

write() { [ "$(timeout 10 redis-cli -h "$haproxy" SET demo "$1" 2>/dev/null)" = OK ]; }

master() {
    for sentinel in "$@"; do
        timeout 1 redis-cli -h "$sentinel" -p 26379 SENTINEL GET-MASTER-ADDR-BY-NAME mymaster | head -n 1 && return
    done
}

begun=$(now)
until write before; do
    [ $(($(now) - begun)) -lt 1000 ] || {
        echo "no write through $haproxy: is everything up?" >&2
        exit 1
    }
    sleep 0.1
done
old=$(master "$@")
echo "master            $old"
last=$(now)
# Without a save, and at once: as near to kill -9 as a client gets.
timeout 5 redis-cli -h "$old" SHUTDOWN NOSAVE NOW FORCE >/dev/null 2>&1 || true
echo "ended             $old"
until write after; do
    [ $(($(now) - last)) -lt $limit ] || {
        echo "no write within a minute" >&2
        exit 1
    }
    sleep 0.05
done
echo "gap               $((($(now) - last) * 10)) ms without a write"
echo "master            $(master "$@")"
echo "To have $old back, as a replica: docker compose up -d $old"
