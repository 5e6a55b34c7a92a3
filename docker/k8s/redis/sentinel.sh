#!/bin/sh
# sentinel.sh NAME MASTER: a Sentinel that is known to the others as NAME, and begins with MASTER. Its file, which it
# rewrites, survives a restart: in it are its identity and whom it holds to be the master.
# REDISCLI_AUTH in the environment: the password of nodes and Sentinels, at the first start.
set -eu
umask 077
file=/data/sentinel.conf

# All of the lines about names, and in every Sentinel, or none: a mixture names what others cannot find.
write_file() {
    cat <<END
port 26379
dir /data
protected-mode no
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip $1
sentinel announce-port 26379
sentinel monitor mymaster $2 6379 2
sentinel down-after-milliseconds mymaster 2500
sentinel failover-timeout mymaster 10000
sentinel parallel-syncs mymaster 1
END
    [ -z "${REDISCLI_AUTH:-}" ] || cat <<END
requirepass "$REDISCLI_AUTH"
sentinel sentinel-pass $REDISCLI_AUTH
sentinel auth-pass mymaster $REDISCLI_AUTH
END
}

[ -f "$file" ] || write_file "$@" >"$file"
exec redis-sentinel "$file"
