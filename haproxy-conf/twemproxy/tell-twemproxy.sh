#!/bin/sh
# tell-twemproxy.sh FILE PID-FILE SERVICE OLD NEW: puts the address NEW into the line of nutcracker's FILE whose server is called
# SERVICE, and ends the process in PID-FILE, for nutcracker does not read its file again. Its supervisor (systemd:
# Restart=always) starts it again. For the agent's `on-switch`, which gives the last three arguments.
#
# It may be killed at any point: the next run does what is left. FILE.restart is there from before FILE changes until nutcracker
# was ended.
set -eu
file=$1
pid_file=$2
service=$3
new=$5

# One at a time: several services may have their lines in one file.
exec 9<"$(dirname "$file")"
flock 9

# The whole file, with the new address. Names and addresses are compared as they are, not as patterns.
changed() {
    service=$service new=$new awk '
        match($0, /^ *- *[^ ]+:[0-9]+ /) && substr($0, RLENGTH + 1) == ENVIRON["service"] {
            words = substr($0, 1, RLENGTH - 1)
            match(words, /^ *- */)
            dash = substr(words, 1, RLENGTH)
            match(words, /:[0-9]+$/)
            print dash ENVIRON["new"] substr(words, RSTART) " " ENVIRON["service"]
            next
        }
        { print }' "$file"
}

# Beside it, and then in its place: nobody reads half a file. It keeps its owner and mode.
cp -p "$file" "$file.new"
changed >"$file.new"
if cmp -s "$file" "$file.new"; then
    rm "$file.new"
else
    : >"$file.restart"
    mv "$file.new" "$file"
fi

[ -e "$file.restart" ] || exit 0
if [ -s "$pid_file" ]; then
    pid=$(cat "$pid_file")
    # If the process is gone, the next one reads the new file when it starts.
    kill "$pid" 2>/dev/null || [ ! -d "/proc/$pid" ]
fi
rm "$file.restart"
