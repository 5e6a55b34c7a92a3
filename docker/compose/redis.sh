#!/bin/sh
# redis.sh NAME FIRST SENTINEL...: a Redis node that is known to the others as NAME. It begins as a replica of the master that
# the Sentinels name, as the master where they name it, and as a replica of FIRST (or the master, if it is that) where there
# are no Sentinels yet. So a node that comes back does not take itself for the master until Sentinel demotes it.
set -eu
name=$1
master=$2
shift 2

for sentinel in "$@"; do
    # One is enough: what it starts as is for Sentinel to correct.
    named=$(timeout 1 redis-cli -h "$sentinel" -p 26379 SENTINEL GET-MASTER-ADDR-BY-NAME mymaster 2>/dev/null | head -n 1) || named=
    case $named in
    '' | *' '*) ;; # no answer, an error
    *)
        master=$named
        break
        ;;
    esac
done

# Announced by name: the address of a container is another one after a restart.
set -- redis-server --dir /data --protected-mode no --replica-announce-ip "$name"
[ "$master" = "$name" ] || set -- "$@" --replicaof "$master" 6379
exec "$@"
