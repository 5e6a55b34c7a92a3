#!/bin/sh
# A test of the simulation: breaks the rule in one place at a time, and fails where the simulation misses it.
# Run it from anywhere; CC and RUNS (scripts per mutant and invariant) may be set. It works in a temporary
# directory.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/sim-mutants.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cc=${CC:-cc}
flags="-std=c11 -D_GNU_SOURCE -O1 -I$work/tree"
runs=${RUNS:-150000}
first=1
caught=0
failed=0

mkdir "$work/tree" "$work/tree/tests" "$work/objects" "$work/originals"
cp -R "$root/proto" "$root/spoa" "$work/tree/"
cp -R "$root/tests/sim" "$work/tree/tests/"
# The build makes it; nobody looks at the page here.
mkdir "$work/tree/build"
echo '0,' >"$work/tree/build/status_page.inc"

object_of() {
    printf '%s/%s.o' "$1" "$(printf '%s' "$2" | tr '/' '_')"
}

compile() { # FILE, relative to the tree
    # shellcheck disable=SC2086 # flags are words
    $cc $flags -c "$work/tree/$1" -o "$(object_of "$work/objects" "$1")"
}

link() {
    $cc "$work"/objects/*.o -o "$work/sim"
}

# mutant NAME INVARIANTS FILE SED-ARGUMENT...: each of the INVARIANTS, checked alone, must be violated.
mutant() {
    name=$1
    invariants=$2
    file=$3
    shift 3
    object=$(object_of "$work/objects" "$file")
    cp "$work/tree/$file" "$work/originals/file.c"
    cp "$object" "$work/originals/file.o"
    sed "$@" "$work/originals/file.c" >"$work/tree/$file"
    if cmp -s "$work/originals/file.c" "$work/tree/$file"; then
        echo "mutant $name: FAILED, $file did not change"
        failed=$((failed + 1))
    elif ! compile "$file" || ! link; then
        echo "mutant $name: FAILED, does not build"
        failed=$((failed + 1))
    else
        judge
    fi
    cp "$work/originals/file.c" "$work/tree/$file"
    cp "$work/originals/file.o" "$object"
}

# rare SEED MUTANT...: one that few scripts show. It is tried from this script on, shortly before one that showed it: that
# saves minutes. After a change of the simulation another one may show it, which takes longer to find: then give that one here.
rare() {
    first=$1
    shift
    mutant "$@"
    first=1
}

judge() {
    seen=
    missed=
    for invariant in $invariants; do
        status=0
        "$work/sim" --seed "$first" --runs "$runs" --only "$invariant" >"$work/output" || status=$?
        if [ "$status" -eq 0 ]; then
            missed="$missed $invariant"
        elif [ "$status" -gt 128 ]; then # the mutant read what is not there
            seen="$seen $invariant (a crash)"
        elif grep -q "^sim: VIOLATION seed [0-9]* at [0-9]* ms: $invariant" "$work/output"; then
            seed=$(sed -n 's/^sim: VIOLATION seed \([0-9]*\) .*/\1/p' "$work/output")
            seen="$seen $invariant (seed $seed)"
        else
            missed="$missed $invariant ($(head -n 1 "$work/output"))"
        fi
    done
    if [ -n "$missed" ]; then
        echo "mutant $name: FAILED, survived $runs scripts with$missed; caught by${seen:- nothing}"
        failed=$((failed + 1))
    else
        echo "mutant $name: caught by$seen"
        caught=$((caught + 1))
    fi
}

for file in "$work"/tree/proto/*.c "$work"/tree/spoa/core/*/*.c "$work"/tree/tests/sim/*.c; do
    compile "${file#"$work/tree/"}"
done
link
if ! "$work/sim" --runs 2000 >"$work/output"; then
    echo "mutants: the unchanged rule fails already:"
    cat "$work/output"
    exit 1
fi

quorum=spoa/core/decision/quorum.c
service=spoa/core/decision/service.c
group=spoa/core/voters/voter_group.c
questions=spoa/core/voters/voter_questions.c
query=spoa/core/voters/sentinel_query.c
hints=spoa/core/voters/sentinel_hints.c
policy=spoa/core/decision/policy.c
conversation=spoa/core/redis/conversation.c
awaited=spoa/core/redis/awaited.c
node=spoa/core/voters/node_voter.c
node_reply=spoa/core/voters/node_reply.c
handover=spoa/core/decision/handover.c
evidence=spoa/core/decision/evidence.c
doubt=spoa/core/decision/doubt.c
answer=spoa/core/haproxy/answer.c
parking=spoa/core/haproxy/parking.c
park=spoa/core/decision/park.c
map=spoa/core/decision/server_map.c
probe=spoa/core/voters/role_probe.c
debts=spoa/core/haproxy/cut_debts.c
rounds=spoa/core/haproxy/cut_rounds.c
visit=spoa/core/haproxy/runtime_visit.c
table=spoa/core/haproxy/service_table.c

# The six of the rule's model, and what else could make the agent name a wrong node.
mutant trust-one-reply 'I1 I2 I3 I4' $quorum 's/if (votes >= threshold) {/if (votes >= 1) {/'
mutant threshold-half 'I1 I2 I3 I4' $quorum 's/if (votes >= threshold) {/if (votes + 1 >= threshold) {/'
mutant age-from-receipt 'I1 I2 I3 I4' $query 's/struct service_event event = said(voter, SERVICE_SAID_MASTER, request);/&\n    event.t_sent_ms = now_ms;/'
mutant votes-never-expire 'I1 I2 I3 I4' $quorum \
    -e 's/ && now_ms - vote->t_sent_ms < quorum->config->vote_life_ms;/ \&\& now_ms > 0;/' \
    -e 's/int64_t expiry_ms = .*/int64_t expiry_ms = QUORUM_NEVER;/' \
    -e 's/\*ret_expiry_ms = vote->t_sent_ms + .*/*ret_expiry_ms = QUORUM_NEVER;/'
mutant one-sentinel-twice 'I1 I2 I3 I4' $group \
    's/group->options.identities\[i\] = (uint8_t)first;/group->options.identities[i] = (uint8_t)i;/'
mutant hint-is-a-vote 'I1 I2 I3 I4' $hints \
    -e '/^static void take_hint/i\
static void mutant_vote(struct sentinel_voter *voter, struct span payload, int64_t now_ms)\
{\
    struct addr addr;\
    struct span words[5];\
    struct service_event vote = {.kind = SERVICE_SAID_MASTER, .voter = voter->index, .t_sent_ms = now_ms,\
                                 .addr = \&addr, .ballot = QUORUM_NAMES};\
    for (unsigned i = 0; i < 5; i++)\
        words[i] = span_take_word(\&payload);\
    for (size_t i = 0; addr_from_parts(words[3], words[4], \&addr) \&\& i < voter_group_service_count(voter->group); i++)\
        if (span_equals_text(words[0], voter_group_monitor(voter->group, i)))\
            (void)voter_group_step(voter->group, i, \&vote, now_ms);\
}' \
    -e 's/^    voter_group_ask(voter->group, voter->index, monitor);/    if (span_equals_text(channel, "+switch-master")) mutant_vote(voter, payload, now_ms);\n&/'
mutant late-replies 'I4' $quorum \
    's/return now_ms - t_sent_ms > config->reply_timeout_ms;/return now_ms < config->voters + t_sent_ms - t_sent_ms;/'
mutant expiry-by-timer-only 'I1 I2 I3 I4' $answer \
    's/ || now_ms >= answer->decision->review_ms)/ || now_ms < 0)/'
mutant vote-of-another 'I4' $group 's/^    if (was_known) {$/    if (!was_known) {/'
mutant identity-unknown-counts 'I1 I4' $group \
    's/group->options.identities\[i\] = QUORUM_NO_IDENTITY;/group->options.identities[i] = (uint8_t)(40 + i);/'
mutant error-keeps-vote 'I1 I4' $quorum \
    's/^    \*slot = \*vote;/    if (says_nothing) { slot->t_sent_ms = vote->t_sent_ms; return QUORUM_CONFIRMED; }\n&/'
mutant no-barrier 'barrier' $quorum 's/^    if (held)$/    if (held \&\& now_ms < 0)/'
mutant one-report-for-all-nodes 'I6' $evidence \
    's/is_server ? (size_t)candidate : evidence->servers/is_server ? evidence->servers : evidence->servers/'
mutant any-address 'I5' $service \
    's/^           (service->settings->allow_any_address &&/           (service->settings->allow_any_address ||/'
mutant generation-stays 'generation' $service \
    's/^        after->generation++;/        after->generation += after->generation == 0;/'

# What speaks against naming a majority's master, and what the operator may choose beside a majority.
mutant veto-ignored 'I6' $policy '/SERVICE_BECAUSE_REPLICA/d'
mutant require-ignored 'I6' $policy 's/^            require_master(.*/            return;/'
mutant down-ignored 'I6' $policy 's/^    if (down < facts->threshold)/    if (down < 64)/'
mutant role-of-another 'I6' $conversation \
    '/^enum conversation_action conversation_reply/,/^}/ s/ || conversation->restarts)/)/'
mutant kept-for-ever 'kept' $policy \
    -e 's/ && now_ms - policy->t_lost_ms < config->keep_ms;/ \&\& config->keep_ms > 0;/' \
    -e 's/^        review_by(\&ruling->review_ms, policy->t_lost_ms + policy->config->keep_ms);//'
mutant kept-against-dissent 'kept' $policy 's/^        policy->may_keep = false;//'
mutant witness-not-asked 'witnessed' $evidence 's/^    return report->sees_majority && is_fresh(.*/    return report != NULL \&\&/'
mutant witness-against-dissent 'witnessed' $quorum 's/^    if (!agree)$/    if (agree \&\& !agree)/'
mutant fenced-at-once 'fence' $policy 's/config->fence_ms > 0 && now_ms >= fenced_ms;/config->fence_ms > 0;/'

# Without progress nothing wrong is ever named: these keep the simulation from accepting that.
mutant replies-out-of-order 'I7' $awaited \
    's/ret_request->subject += run->answered;/ret_request->subject += run->count - 1 - run->answered;/'
mutant no-poll 'I7-poll' $query 's/^        voter_group_poll(voter->group, voter->index, .*);//'
mutant hints-ignored 'I7-push' $hints \
    's/^    voter_group_ask(voter->group, voter->index, monitor);/    (void)monitor;/'
mutant no-reconnect 'I7-link' $conversation \
    's/wait_until(conversation, now_ms + loss->retry_ms);/wait_until(conversation, INT64_MAX);/'
mutant myid-asked-once 'I7-link' $query 's/^        voter->myid_refused = true;/        voter->myid_refused = false;/'
mutant no-silence-deadline 'I7-link' $awaited 's/return run->first.t_sent_ms;/return INT64_MAX;/'
mutant alias-is-a-stranger 'I7-poll' $map 's/^        if (addr_equals(&server->aliases\[i\], addr))/        if (addr_equals(\&server->aliases[i], addr) \&\& i > 7)/'
mutant dissent-asks-nobody 'I7' $group 's/^    if (!service_take_ask_all(one))$/    if (service_take_ask_all(one) || one != NULL)/'

# Nodes that vote.
mutant node-age-from-receipt 'I1 I4' $node 's/\.t_sent_ms = request->t_sent_ms,/.t_sent_ms = now_ms,/'
mutant node-cluster-down-votes 'I4' $node 's/^    if (!voter->is_cluster_up)/    if (!voter->is_cluster_up \&\& voter == NULL)/'
mutant node-names-itself 'I1' $node_reply 's/^    if (is_self) {/    if (is_self || reply->count == 3) {/'
mutant node-any-slot 'session' $node_reply 's/ && slot <= range->elements\[1\].number)/ \&\& range->count > 0)/'
mutant node-no-poll 'I7-poll' $node 's/^        voter_group_poll(voter->group, voter->index, .*);//'
mutant node-identity-asked-once 'I7-link' $node 's/^        if (!voter->is_identified) {/        if (!voter->is_identified \&\& now_ms < 0) {/'
mutant node-seconds-are-over 'fence' $node_reply 's/(uint32_t)(seconds - 1) \* 1000/(uint32_t)seconds * 1000/'
mutant node-silence-ends-with-link 'I6' $evidence 's/^    if (!report->facts.is_link_down || /    if (report != NULL || /'
mutant node-silence-of-another-link 'fence' $evidence 's/^    if (before->candidate == report->candidate)$/    if (before != NULL)/'

# Questions that wait.
mutant doubt-ignored 'doubt' $service 's/ || service->decision.state != SERVICE_DOUBTED);/ || role == SERVICE_ROLE_MASTER);/'
mutant doubt-reviewed-late 'trust' $service 's/^        review_by(&review_ms, service->doubt.until_ms);/        (void)review_ms;/'
mutant doubt-never-ends 'trust' $doubt '/^void doubt_begin/,/^}/ s/ now_ms + park_ms/ now_ms + 1000 * park_ms/'
mutant doubt-outlives-answers 'trust' $doubt 's/^    if (doubt->candidate == candidate)$/    if (doubt->candidate == candidate \&\& doubt->cause != DOUBT_SILENT)/'
mutant silence-not-told 'doubt' $probe 's/const struct service_event silent = {.kind = SERVICE_LINK_SILENT,/const struct service_event silent = {.kind = SERVICE_SAID_ANYTHING,/'
mutant silence-after-one-ping 'trust' $probe 's/^    if (++probe->unheard == 2)$/    if (++probe->unheard == 1)/'
mutant silence-again-and-again 'trust' $probe -e '/^static void tell_silence/,/^}/ s/!probe->peer.has_answered || //' -e '/^static int64_t probe_wake_ms/,/^}/ s/probe->peer.has_answered && //'
mutant silence-of-who-is-heard 'trust' $probe '/^static enum conversation_verdict probe_reply/,/^}/ s/^    note_heard(probe);//'
mutant park-ignores-the-sentinels 'parked' $park 's/^    return down_after_ms > 0 .*/    return failover_ms > 0 ? PARK_AUTO_MAX_MS : 0;/'
mutant park-forgets-the-sentinels 'parked' $service '/^static void review_down_after/,/^}/ s/^    if (heard_ms > .*/    if (now_ms > 0)/'
mutant reload-forgets-park 'parked' $handover '/^        if (former->down_after_ms > 0)/,/;$/d'
mutant name-releases-nobody 'parked' $parking '/^static void decision_changed/,/^}/ s/^        make_ready(queue->parking, stream);/        (void)stream;/'

# Reloads: what is not taken over, not told, or taken over too early.
mutant reload-forgets-doubt 'doubt' $doubt 's/^    if (!doubt_is_about(former, former->candidate, now_ms))$/    if (now_ms > 0)/'
mutant reload-forgets-roles 'I6' $evidence '/^void evidence_inherit/,/^}/ s/^        inherit_node(.*/        (void)i;/'
mutant reload-forgets-facts 'I6' $evidence 's/^        if (succession->voters\[i\] == -1)/        if (i < 64)/'
mutant reload-forgets-failover 'early' $policy '/^    policy_note_failover(policy, succession/,/;$/d'
mutant reload-tells-nothing 'told' $handover 's/^    put_before(next, former, &succession);//'
mutant reload-tells-no-fence 'told' $handover 's/^    next->decision = former->decision;/    bool is_fenced = next->decision.is_fenced;\n&\n    next->decision.is_fenced = is_fenced;/'
mutant reload-tells-no-first-master 'told' $handover '/^static void put_before/,/^}/ s/^    next->current = QUORUM_NO_CANDIDATE;/    if (former == NULL)\n        return;\n&/'
mutant reload-forgets-first-answer 'told' $answer 's/^    answer->is_first_due = answer->is_first_due || former->is_first_due;//'
mutant reload-evaluates-nothing 'I4' $handover 's/^    service_review(next, now_ms);//'
mutant reload-counts-anew 'counters' $answer 's/^    answer->counters = former->counters;//'
mutant reload-unnamed 'ready' $handover 's/^        return HANDOVER_UNNAMED;/        (void)next;/'
mutant reload-unheard 'ready' $handover 's/^        return HANDOVER_UNHEARD;/        (void)next;/'
mutant reload-starting 'ready' $handover 's/^        return HANDOVER_STARTING;/        (void)next;/'
mutant reload-unprobed 'ready' $handover 's/^    return is_probed(next, former, now_ms) ? HANDOVER_READY : HANDOVER_UNPROBED;/    return HANDOVER_READY;/'
mutant kept-probe-tells-the-former-set 'I6' $probe '/^bool role_probe_move/,/^}/ s/^    probe->group = group;//'
mutant kept-role-gets-another-date 'I6' $handover '/^bool handover_tell_role/,/^}/ s/told->t_sent_ms, .addr/told->t_sent_ms + 60000, .addr/'
mutant reload-aims-no-probe 'probe' $probe 's/^    role_probe_aim(probe, decision->addr, now_ms);/    (void)now_ms;/'
mutant reload-reviews-late 'timers' $group '/^void voter_group_catch_up/,/^}/ s/^    follow_up(group, service);/    (void)group;\n    (void)service;/'
mutant looks-end-too-early 'timers' $group '/^int64_t voter_group_wake_ms/,/^}/ s/group->looked_at > 0 ? 0 : //'
mutant reload-keeps-deadlines 'parked' $parking 's/^    if (deadline_ms >= stream->deadline_ms)$/    if (deadline_ms != 0)/'
mutant reload-forgets-who-waits 'parked' $parking 's/^    to->count = from->count;/    (void)from->count;/'
mutant outage-does-not-end 'outage' $service 's/^        outage_end(outage, waiting, &service->outages, now_ms);/        (void)waiting;/'
mutant reload-names-who-is-gone 'parked' $parking 's/^    queue->last_word = last_word;/    (void)last_word;/'

mutant silent-is-not-down 'I6' $policy 's/^    rule_as(ruling, SERVICE_DOWN, SERVICE_BECAUSE_SILENT);/    (void)ruling;/'
mutant one-sentinel-suffices 'fence' $policy '/^static void check_silent(/,/^}/ s/< facts->threshold)/< 1)/'
rare 30600 silence-counts-for-ever 'fence' $evidence \
    '/^static unsigned count_saying/,/^}/ s/!is_fresh(evidence, report->facts_sent_ms, now_ms, ret_expiry_ms))/report->facts_sent_ms == INT64_MIN)/'
mutant silence-of-another 'fence' $evidence \
    '/^static unsigned count_saying/,/^}/ s/report->candidate != candidate || //'
rare 12900 silence-forgotten 'fence' $policy '/^static void check_silenced/,/^}/ s/^        ruling->is_fenced = true;/        (void)ruling;/'
mutant witness-hears-nobody 'witnessed' $evidence 's/^           (limit_ms == 0 || hears_peers(.*/           limit_ms >= 0;/'

# With `down-after` sentries are asked with each poll, the others once a sentry does not hear the master.
rare 24600 one-sentry-too-few 'I7-silence' $questions 's/<= quorum->voters - quorum->threshold;/< quorum->voters - quorum->threshold;/'
mutant sentries-wake-nobody 'I7-silence' $service -e '/^static bool is_any_worried/,/^}/ s/return true;/return now_ms < 0;/' \
    -e '/^bool service_is_watchful/,/^}/ s/silence_ms < near_ms(service)/silence_ms < INT64_MAX/'
mutant silence-is-not-asked-for 'I7-silence' $service '/^bool service_wants_facts/,/^}/ s/(is_sentry || /(/'

# Cuts of sessions: what is owed is forgotten or not believed, or what is not owed is cut.
mutant cut-given-up 'I8-gone' $debts 's/^    debt->due_ms = debt->t_begun_ms + wait_ms;/    debt->state = DEBT_NONE;/'
mutant cut-failure-confirms 'I8-gone' $visit 's/^        return CUT_FAILED;/        return CUT_CONFIRMED;/'
mutant cut-backs-off-for-ever 'I8-gone' $debts 's/ && wait_ms < CUT_BACKOFF_MAX_MS; i++)/ \&\& wait_ms < 60000; i++)/'
mutant cut-confirmed-at-once 'I8-gone' $debts 's/^    if (age_ms >= CUT_SETTLE_MS)/    if (age_ms >= 0)/'
mutant cut-of-connecting-confirms 'I8-gone' $visit 's/^        return CUT_INCOMPLETE;/        return CUT_CONFIRMED;/'
mutant cut-shuts-connecting 'I8-gone' $visit 's/^    visit->hangs = haproxy_hangs(.*/    visit->hangs = false;/'
mutant cut-excuses-old-process 'I8-gone' $visit 's/^        visit->marks\[index\] |= MARK_SINGLE;/        visit->marks[index] |= MARK_DONE;/'
mutant cut-not-owed-by-switch 'I8-gone' $debts 's/^            owe(debts, i, "switch", now_ms);/            (void)replaced;/'
mutant cut-not-owed-by-fence 'I8-gone' $debts 's/^            owe(debts, i, "fence", now_ms);/            (void)now_ms;/'
mutant cut-not-owed-at-start 'I8-gone' $debts '/^static void owe_unknown/,/^}/ s/^        is_any = true;/        debt->state = DEBT_NONE;/'
mutant cut-of-master 'I8-spared' $debts '/^void cut_debts_name/,/^}/ s/^            drop(debts, i);/            (void)i;/'
mutant cut-of-master-under-way 'I8-spared' $debts 's/^    return place != NOWHERE && debt_at(debts, place, api)->is_under_way;/    return place != NOWHERE;/'
mutant reload-forgets-debts 'I8-gone' $debts '/^static void copy_debts/,/^}/ s/^            \*debt_at(debts, place, i) = .*/            debt_at(debts, place, i)->state = DEBT_NONE;/'
mutant reload-forgets-stray-debts 'I8-gone' $debts 's/^        if (here == NOWHERE && !is_owed(.*/        if (here == NOWHERE)/'
rare 49900 reload-forgets-debts-of-service 'I8-gone' $debts 's/^        if (is_known || debt->state == DEBT_OWED)/        if (is_known)/'
mutant reload-loses-cut-under-way 'I8-gone' $rounds 's/^    if (!before->is_busy || before->is_trial || .*/    if (before != NULL)/'
mutant reload-adopts-nothing 'I8' $rounds 's/^    cut_debts_adopt(.*//'
mutant reload-hides-switch-from-cuts 'I8-gone' $rounds '/^static void catch_up/,/^}/ s/^        cut_debts_name(.*/        (void)last;/'
mutant reload-brings-api-too-late 'I8-gone' $rounds 's/^        (decision->generation > 0 \&\& .*/        decision->generation > UINT32_MAX)/'

# Services that move one after another: what has moved is answered, told and cut by the next file, and by nothing else.
rare 35900 mixed-cuts-hear-nothing 'I8-gone I8-spared' $rounds 's/^    rounds->former = former;/    rounds->former = former == rounds ? former : NULL;/'
rare 42500 mixed-cuts-are-told-too-early 'I8-gone' $rounds 's/^    if (rounds->has_started)$/    if (rounds->has_started || former != NULL)/'
rare 23900 mixed-cuts-of-what-returns 'I8-spared' $rounds 's/^        spare_in_former(watch, change);/        (void)change;/'
mutant mixed-cuts-of-another-service 'I8' $debts 's/^    return \*ret_service != NAME_INDEX_NONE;/    *ret_service = 0;\n    return true;/'
mutant cut-of-master-named-again 'I8-spared' $rounds 's/^        cut_debts_name_again(.*/        (void)index;/'
mutant cut-of-master-between-lines 'I8-spared' $visit '/^static bool is_still_wanted/,/^}/ s/^        return is_wanted(visit, index);/        return true;/'
mutant mixed-parked-stay 'parked' $table '/^void service_table_move/,/^}/ s/^    hand_over(&former->masters, .*//'
mutant mixed-asks-the-former 'parked told' $table 's/^    former->is_over = true;//'
mutant mixed-knows-no-successor 'parked' $table 's/^    successor->is_successor = true;//'
mutant mixed-remembers-the-former 'parked told' $table '/^void service_table_begin/,/^}/ s/^    question_cache_finish(.*//'
mutant mixed-former-goes-on-telling 'told' $handover 's/^        former->observers = NULL;//'
mutant mixed-lets-in-what-is-gone 'parked' $table 's/^        if (entry->is_over)$/        if (entry->is_over || now_ms > 0)/'

echo "mutants: $caught caught, $failed failed"
[ "$failed" -eq 0 ]
