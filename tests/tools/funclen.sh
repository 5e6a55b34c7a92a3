#!/bin/bash
# funclen.sh FILE...: no function over 60 lines (funclen-tables.txt names the pure tables that may have 80), no C file
# over 600.
set -eu
tables=$(dirname "$0")/funclen-tables.txt

lengths() {
    printf '%s\n' "$@" | ctags --languages=C,C++ --langmap=C:.c.h --kinds-C=f --fields=+ne --output-format=json -f - -L - |
        jq -r 'select(.end) | "\(.end - .line + 1) \(.path):\(.line) \(.name)"'
}

findings=$(
    lengths "$@" | awk -v tables="$tables" '
        BEGIN { while ((getline line < tables) > 0) if (line !~ /^#/) table[line] = 1 }
        $1 > (table[$3] ? 80 : 60) { print $2 ": " $3 "() has " $1 " lines" }'
    wc -l "$@" | awk '$2 != "total" && $1 > 600 { print $2 ": " $1 " lines" }'
)
[ -z "$findings" ] && exit 0
echo "$findings"
exit 1
