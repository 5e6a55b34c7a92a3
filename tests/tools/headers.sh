#!/bin/bash
# headers.sh FILE...: every header among the files compiles alone (it includes what its own text needs) and twice.
set -u
read -r -a flags <<<"${LINT_FLAGS:-}"
failed=0
for header in "$@"; do
    case $header in *.h) ;; *) continue ;; esac
    printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
        "${CC:-gcc}" "${flags[@]}" -std=c11 -D_GNU_SOURCE -I. -Wall -Wextra -Werror -fsyntax-only -x c - ||
        { echo "$header: does not compile alone"; failed=1; }
done
exit $failed
