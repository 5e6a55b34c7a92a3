#!/bin/bash
# lint.sh C-FILE...: every static check, from the top of the tree. Prints findings only; exits 1 if there are any.
# LINT_FLAGS in the environment: the preprocessor's flags of the build.
# shellcheck disable=SC2317  # check() calls the functions
set -u
cd "$(dirname "$0")/../.." || exit 2

failed=0
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# Runs a check; shows what it printed only where it failed.
check() {
    "$@" >"$output" 2>&1 && return
    echo "lint: $1:"
    # clang-tidy counts what it suppressed, too.
    grep -vE '^([0-9]+ warnings?( and [0-9]+ errors?)?|[0-9]+ errors?) generated\.$' "$output"
    failed=1
}

c_files=("$@")
sources=()
for file in "${c_files[@]}"; do
    case $file in *.c) sources+=("$file") ;; esac
done
mapfile -t scripts < <(find . -path ./build -prune -o \( -name '*.sh' -o -path ./.ci/run \) -print)
mapfile -t pythons < <(find . -path ./build -prune -o -name '*.py' -print)
read -r -a flags <<<"${LINT_FLAGS:-}"

format() { clang-format --dry-run -Werror "${c_files[@]}"; }

# One file at a time: with several, clang-tidy 14 takes a va_list of one for uninitialised in the next.
tidy() {
    # shellcheck disable=SC2016  # the inner shell expands it
    printf '%s\0' "${sources[@]}" | TIDY_FLAGS="${flags[*]} -std=c11 -D_GNU_SOURCE -I." \
        xargs -0 -P 2 -n 1 sh -c 'clang-tidy --quiet "$1" -- $TIDY_FLAGS' tidy
}

cpp_check() {
    local flag macros=()
    for flag in "${flags[@]}"; do
        case $flag in -D*) macros+=("$flag") ;; esac
    done
    cppcheck --quiet --std=c11 -j 2 --enable=warning,performance,portability,style --inline-suppr \
        --suppressions-list=tests/tools/cppcheck-suppressions.txt --error-exitcode=1 -I. -D_GNU_SOURCE "${macros[@]}" \
        "${sources[@]}"
}

shell() { shellcheck "${scripts[@]}"; }

python() { [ ${#pythons[@]} -eq 0 ] || pyflakes3 "${pythons[@]}"; }

if [ ${#sources[@]} -gt 0 ]; then
    check format
    check tests/tools/headers.sh "${c_files[@]}"
    check tests/tools/layers.sh
    check tests/tools/funclen.sh "${c_files[@]}"
    check cpp_check
    check tidy
fi
check tests/tools/version.sh
check shell
check python
exit $failed
