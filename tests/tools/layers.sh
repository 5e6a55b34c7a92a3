#!/bin/bash
# layers.sh: which folder may know which, from the top of the tree. A file includes files of its own folder and of
# folders further down, never of another folder on the same level. proto/ and spoa/core/ also know no socket, loop,
# library or clock, and spoa/io/ does nothing that blocks outside of lookup_threads.c. The symbols are read from the objects in build/release.
set -u
shopt -s nullglob
failed=0

complain() {
    echo "layers: $1"
    failed=1
}

# A level a line, from the top.
levels='
spoa
spoa/cli
spoa/io/serve spoa/io/redis spoa/io/effects
spoa/io/process
spoa/io/net
spoa/core/status spoa/core/config
spoa/core/haproxy spoa/core/observers spoa/core/voters
spoa/core/decision spoa/core/redis
spoa/core/base
proto
'

# What a pure module may take from libc; of stdio the formatting, also into a stream that the caller hands in. Not in
# it, on purpose: time, clock_gettime, read, write, open, fopen, stdout, stderr, rand, getenv.
allowed='(__)?(mem|str)[a-z_0-9]+|malloc|calloc|realloc|free|(__)?explicit_bzero(_chk)?|qsort|bsearch|abort'
allowed+='|__v?(sn|as|f)printf_chk|v?snprintf|v?asprintf|v?fprintf|fput[cs]|fwrite'
allowed+='|__assert_fail|__stack_chk_fail|__ctype_[a-z_]+|is(alnum|alpha|digit|space|print|xdigit)|to(lower|upper)'
allowed+='|inet_(ntop|pton)|__errno_location|__isoc99_sscanf|_GLOBAL_OFFSET_TABLE_'

external='ev|hiredis[^>]*|microhttpd|openssl[^>]*|sys/[^>]*|netdb\.h|syslog\.h|pthread|unistd|time|poll|fcntl'

# An arrow a line: FILE INCLUDED-FILE.
arrows=$(grep -rnoE --include='*.[ch]' '^#include "[^"]+"' proto spoa | sed -E 's/:[0-9]+:#include "/ /; s/"$//')

check_arrows() {
    awk -v levels="$levels" '
        function folder(path) { sub("/[^/]*$", "", path); return path }
        BEGIN {
            count = split(levels, lines, "\n")
            for (i = 1; i <= count; i++) {
                n = split(lines[i], folders, " ")
                for (j = 1; j <= n; j++) level[folders[j]] = i
            }
        }
        $2 ~ "^build/" { next }
        {
            from = folder($1); to = folder($2)
            if (!(from in level)) print $1 " stands in a folder without a level"
            else if (!(to in level)) print $1 " includes " $2 ", which stands in a folder without a level"
            else if (from != to && level[from] >= level[to]) print $1 " includes " $2 ", which is not below it"
            # What may block is for the command line only.
            else if (to == "spoa/cli" && from != to && $1 != "spoa/main.c") print $1 " includes " $2 ": only main.c may"
        }' <<<"$arrows"
}

found=$(check_arrows)
[ -z "$found" ] || complain "arrows that do not point down:
$found"
# Within a folder, too: no header leads back to itself.
found=$(grep -E '^[^ ]*\.h ' <<<"$arrows" | tsort 2>&1 >/dev/null)
[ -z "$found" ] || complain "a circle of headers:
$found"
found=$(grep -rnE "#include *<($external)" proto spoa/core) && complain "the core or the wire reaches out:
$found"
# Look-ups of names block, in threads of their own. Nothing else has threads.
found=$(grep -rnE '\bgetaddrinfo\(|\bpthread_|\bSO_(RCV|SND)TIMEO\b' spoa/io | grep -v '^spoa/io/net/lookup_threads\.[ch]:') &&
    complain "spoa/io/ blocks or has a thread:
$found"
found=$(grep -rnE '\b(socket|accept4)\(.*\bSOCK_' spoa/io | grep -v SOCK_NONBLOCK) && complain "a socket in spoa/io/ blocks:
$found"

# Symbols of libraries and of the system that the objects of these folders use.
check_symbols() {
    local name=$1 source objects=() defined undefined
    shift
    for source in "$@"; do
        objects+=("build/release/obj/${source%.c}.o")
    done
    if ! defined=$(nm --defined-only --extern-only -f posix "${objects[@]}" | awk 'NF > 1 {print $1}' | sort -u) ||
        ! undefined=$(nm --undefined-only -f posix "${objects[@]}" | awk 'NF > 1 {print $1}' | sort -u); then
        complain "no objects of $name to look at"
        return
    fi
    found=$(comm -13 <(echo "$defined") <(echo "$undefined") | grep -vxE "$allowed|") &&
        complain "symbols from outside in $name: $(echo "$found" | paste -sd ' ')"
}

check_symbols proto proto/*.c
check_symbols 'proto and spoa/core' proto/*.c spoa/core/*/*.c
exit $failed
