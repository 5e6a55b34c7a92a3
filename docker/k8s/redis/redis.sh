#!/bin/sh
# redis.sh NAME FIRST SENTINEL...: a Redis node that is known to the others as NAME. It begins as a replica of the master that
# the Sentinels name, as the master where they name it, and as a replica of FIRST (or the master, if it is that) where there
# are no Sentinels yet. So a node that comes back does not take itself for the master until Sentinel demotes it.
# REDISCLI_AUTH in the environment: the password of nodes and Sentinels; redis-cli takes it by itself.
set -eu
umask 077
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

{
    echo "dir /data"
    echo "protected-mode no"
    # By name: the address of a container is another one after a restart.
    echo "replica-announce-ip $name"
    [ "$master" = "$name" ] || echo "replicaof $master 6379"
    [ -z "${REDISCLI_AUTH:-}" ] || printf 'requirepass "%s"\nmasterauth "%s"\n' "$REDISCLI_AUTH" "$REDISCLI_AUTH"
} >/data/redis.conf
exec redis-server /data/redis.conf
