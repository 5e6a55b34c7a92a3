#!/bin/bash
# fuzz.sh SECONDS: libFuzzer over every target that is built, two at a time. Exits with 1 where one found something.
#
# What is new goes to build/fuzz/corpus; MERGE=1 then adds to tests/fuzz/corpus what covers more.
set -u
cd "$(dirname "$0")/../.." || exit 2

seconds=$1
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=0

run_target() {
    local target=$1
    local found=build/fuzz/corpus/$target log=build/fuzz/$target.log
    mkdir -p "$found" build/fuzz/crashes
    if ! "build/fuzz/fuzz/$target" -max_total_time="$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=1024 \
        -print_final_stats=1 -artifact_prefix="build/fuzz/crashes/$target-" "$found" "tests/fuzz/corpus/$target" \
        >"$log" 2>&1; then
        tail -50 "$log"
        echo "fuzz: $target: FAILED, see build/fuzz/crashes and $log"
        return 1
    fi
    echo "fuzz: $target: $(sed -n 's/^stat::number_of_executed_units: */executions /p' "$log")," \
        "$(grep -o 'cov: [0-9]* ft: [0-9]* corp: [0-9]*' "$log" | tail -1)"
    if [ -n "${MERGE:-}" ]; then
        "build/fuzz/fuzz/$target" -merge=1 "tests/fuzz/corpus/$target" "$found" >>"$log" 2>&1
    fi
}

export -f run_target
export seconds
printf '%s\n' build/fuzz/fuzz/fuzz_* | xargs -n1 basename | xargs -P2 -I{} bash -c 'run_target {}'
