#!/bin/bash
# layers.sh: proto/ and spoa/core/ know no socket, loop, library or clock, neither by #include nor by symbol, and no
# lower layer includes a higher one. The symbols are read from the objects in build/release.
set -u
shopt -s nullglob
failed=0

complain() {
    echo "layers: $1"
    failed=1
}

# What a pure module may take from libc; of stdio the formatting, also into a stream that the caller hands in. Not in
# it, on purpose: time, clock_gettime, read, write, open, fopen, stdout, stderr, rand, getenv.
allowed='(__)?(mem|str)[a-z_0-9]+|malloc|calloc|realloc|free|(__)?explicit_bzero(_chk)?|qsort|bsearch|abort'
allowed+='|__v?(sn|as|f)printf_chk|v?snprintf|v?asprintf|v?fprintf|fput[cs]|fwrite'
allowed+='|__assert_fail|__stack_chk_fail|__ctype_[a-z_]+|is(alnum|alpha|digit|space|print|xdigit)|to(lower|upper)'
allowed+='|inet_(ntop|pton)|__errno_location|__isoc99_sscanf|_GLOBAL_OFFSET_TABLE_'

external='ev|hiredis[^>]*|ares|ini|microhttpd|openssl[^>]*|sys/[^>]*|netdb\.h|syslog\.h|pthread|unistd|time|poll|fcntl'
found=$(grep -rnE "#include *<($external)" proto spoa/core) && complain "the core or the wire reaches out:
$found"
found=$(grep -rnE '#include *"[^"]*io/' proto spoa/core) && complain "the core or the wire includes io/:
$found"
found=$(grep -rnE '#include *"spoa/' proto) && complain "proto/ includes spoa/:
$found"
found=$(grep -rnE '#include *"tests/' proto spoa) && complain "the program includes tests/:
$found"

for layer in proto "proto spoa/core/*"; do
    objects=()
    for directory in $layer; do
        for source in "$directory"/*.c; do
            objects+=("build/release/obj/${source%.c}.o")
        done
    done
    [ ${#objects[@]} -gt 0 ] || continue
    if ! defined=$(nm --defined-only --extern-only -f posix "${objects[@]}" | awk 'NF > 1 {print $1}' | sort -u) ||
        ! undefined=$(nm --undefined-only -f posix "${objects[@]}" | awk 'NF > 1 {print $1}' | sort -u); then
        complain "no objects of $layer to look at"
        continue
    fi
    found=$(comm -13 <(echo "$defined") <(echo "$undefined") | grep -vxE "$allowed|") &&
        complain "symbols from outside in $layer: $(echo "$found" | paste -sd ' ')"
done
exit $failed
