#!/bin/bash
# Checks the model of the quorum rule with spin, completely, and its mutants, which must be violated. DEEP=1 checks larger
# bounds too (minutes, 8 GB). Needs spin and a C compiler; works in a temporary directory.
set -u

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/model.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work" || exit 1
passed=0
failed=0

# check EXPECTATION NAME SWITCH...: runs the model; EXPECTATION is "sound", or the invariants of which one must break.
check() {
    expectation=$1
    name=$2
    shift 2
    began=$SECONDS
    # Breadth first, so that what breaks does so in as few steps as can be. States are stored whole: no hash-compaction.
    if ! spin "$@" -a "$here/quorum.pml" >output 2>&1 ||
        ! "${CC:-cc}" -w -O2 -DSAFETY -DBFS -DMEMLIM="${MEMLIM:-8000}" -o pan pan.c >>output 2>&1; then
        cat output
        say FAILED "does not build"
        return
    fi
    ./pan -n >output 2>&1
    judge
}

judge() {
    states=$(awk '/states, stored/ {print $1; exit}' output)
    depth=$(sed -n 's/.*depth reached \([0-9]*\),.*/\1/p' output)
    broken=$(sed -n 's/^pan:1: assertion violated (*\([^)]*\).*/\1/p' output)
    if [ "$expectation" = sound ]; then
        if [ -z "$broken" ] && grep -q 'errors: 0' output && ! grep -qE 'not completed|too small|out of memory' output; then
            say ok "complete, no error: $states states, $depth steps deep"
        else
            cat output
            say FAILED "${broken:-not complete}"
        fi
    elif [ -n "$broken" ]; then
        say ok "violated in $(sed -n 's/.*(at depth \([0-9]*\)).*/\1/p' output) steps: $(invariant "$broken")"
    else
        say FAILED "not violated: $states states"
    fi
}

invariant() {
    case $1 in
    *backed*) echo "I1 backed" ;;
    *steady*) echo "I3 resurrection" ;;
    *count*) echo "I4 votes" ;;
    *known*) echo "I2 agreement" ;;
    *before*) echo "I9 reload" ;;
    *won*) echo "false alarm" ;;
    *answer*) echo "alarm" ;;
    *) echo "$1" ;;
    esac
}

say() {
    if [ "$1" = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    printf '%-6s %-42s %s (%d s)\n' "$1" "$name" "$2" $((SECONDS - began))
}

# Each assertion can be checked alone: the others are left out.
for_each_invariant() {
    mutant=$1
    shift
    for invariant in "$@"; do
        check violated "$mutant, $invariant" -DAGENTS=2 "-DMUTANT_$mutant" "-DONLY_$invariant"
    done
}

check sound "1 agent" -DAGENTS=1
check sound "1 agent, F 3, T 2" -DAGENTS=1 -DF=3 -DT=2
check sound "2 agents" -DAGENTS=2
check sound "1 agent, reloads" -DAGENTS=1 -DRELOAD
check sound "1 agent, down-after" -DAGENTS=1 -DDOWN_AFTER
if [ -n "${DEEP:-}" ]; then
    check sound "2 agents, F 3, T 1" -DAGENTS=2 -DF=3 -DT=1
    check sound "5 Sentinels, 1 agent" -DAGENTS=1 -DN=5
    check sound "1 agent, down-after, F 3, T 2" -DAGENTS=1 -DDOWN_AFTER -DF=3 -DT=2
fi
for_each_invariant TRUST_ONE I1 I2 I3 I4
for_each_invariant HALF I1 I2 I3 I4
for_each_invariant TWICE I1 I2 I3 I4
for_each_invariant RECEIPT I1 I2 I3 I4
for_each_invariant NEVER_EXPIRES I1 I2 I3 I4
for_each_invariant HINT I1 I2 I3 I4
check violated "RELOAD_AT_ONCE, I9" -DAGENTS=1 -DRELOAD -DMUTANT_RELOAD_AT_ONCE -DONLY_I9
for invariant in I1 I3 I4; do
    check violated "RELOAD_REDATES, $invariant" -DAGENTS=1 -DRELOAD -DMUTANT_RELOAD_REDATES "-DONLY_$invariant"
done
for mutant in ONE_SUFFICES SILENT_FOR_EVER TWICE RECEIPT; do
    check violated "$mutant, false alarm" -DAGENTS=1 -DDOWN_AFTER "-DMUTANT_$mutant" -DONLY_FALSE_ALARM
done
check violated "ALL_MUST, alarm" -DAGENTS=1 -DDOWN_AFTER -DMUTANT_ALL_MUST -DONLY_ALARM
echo "model: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
