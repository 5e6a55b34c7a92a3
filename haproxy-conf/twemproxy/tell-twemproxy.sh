#!/bin/sh
# tell-twemproxy.sh FILE PID-FILE SERVICE OLD NEW: puts the address NEW into the line of nutcracker's FILE whose server is called
# SERVICE, and ends the process in PID-FILE, for nutcracker does not read its file again. Whoever supervises it (systemd:
# Restart=always) starts it anew. For the agent's `on-switch`, which gives the last three arguments.
set -eu
file=$1
pid_file=$2
service=$3
new=$5

# Beside it, and then in its place: nobody reads half a file.
sed "s/^\( *- *\)[^ ]*:\([0-9]*\) $service\$/\1$new:\2 $service/" "$file" >"$file.new"
if cmp -s "$file" "$file.new"; then
    rm "$file.new"
    exit 0
fi
mv "$file.new" "$file"
[ ! -s "$pid_file" ] || kill "$(cat "$pid_file")"
