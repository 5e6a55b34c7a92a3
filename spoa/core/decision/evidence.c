#include "spoa/core/decision/evidence.h"

static const struct sentinel_report no_report = {
    .facts_sent_ms = INT64_MIN, .witness_sent_ms = INT64_MIN, .candidate = QUORUM_NO_CANDIDATE};

void reports_init(struct reports *reports, struct sentinel_report *sentinels, unsigned voters,
                  int64_t life_ms)
{
    *reports = (struct reports){
        .sentinels = sentinels,
        .voters = voters,
        .life_ms = life_ms,
        .node = {.t_sent_ms = INT64_MIN, .candidate = QUORUM_NO_CANDIDATE},
    };
    for (unsigned i = 0; i < voters; i++)
        sentinels[i] = no_report;
}

void reports_forget(struct reports *reports, unsigned voter)
{
    reports->sentinels[voter] = no_report;
}

void reports_take_facts(struct reports *reports, unsigned voter, int32_t candidate,
                        const struct sentinel_facts *facts, int64_t t_sent_ms)
{
    struct sentinel_report *report = &reports->sentinels[voter];

    if (t_sent_ms < report->facts_sent_ms)
        return;
    report->facts_sent_ms = t_sent_ms;
    report->candidate = candidate;
    report->facts = *facts;
}

void reports_take_witness(struct reports *reports, unsigned voter, bool says_ok, int64_t t_sent_ms)
{
    reports->sentinels[voter].witness_sent_ms = says_ok ? t_sent_ms : INT64_MIN;
}

void reports_take_role(struct reports *reports, const struct node_report *report)
{
    if (report->candidate != reports->node.candidate || report->t_sent_ms >= reports->node.t_sent_ms)
        reports->node = *report;
}

/* Whether something asked for at `t_sent_ms` still counts; if so it may be the first to expire. */
static bool is_fresh(const struct reports *reports, int64_t t_sent_ms, int64_t now_ms, int64_t *ret_expiry_ms)
{
    if (t_sent_ms == INT64_MIN || now_ms - t_sent_ms >= reports->life_ms)
        return false;
    if (t_sent_ms + reports->life_ms < *ret_expiry_ms)
        *ret_expiry_ms = t_sent_ms + reports->life_ms;
    return true;
}

unsigned reports_count_down(const struct reports *reports, int32_t candidate, const uint8_t *identities,
                            int64_t now_ms, int64_t *ret_expiry_ms)
{
    bool is_counted[QUORUM_VOTERS_MAX] = {false};
    unsigned count = 0;

    for (unsigned i = 0; i < reports->voters; i++) {
        const struct sentinel_report *report = &reports->sentinels[i];
        if (identities[i] == QUORUM_NO_IDENTITY || is_counted[identities[i]] ||
            report->candidate != candidate || !report->facts.is_o_down ||
            !is_fresh(reports, report->facts_sent_ms, now_ms, ret_expiry_ms))
            continue;
        is_counted[identities[i]] = true;
        count++;
    }
    return count;
}

bool reports_is_witness(const struct reports *reports, unsigned voter, int64_t now_ms, int64_t *ret_expiry_ms)
{
    return is_fresh(reports, reports->sentinels[voter].witness_sent_ms, now_ms, ret_expiry_ms);
}

enum node_role reports_role(const struct reports *reports, int32_t candidate, int64_t now_ms,
                            int64_t *ret_expiry_ms)
{
    if (reports->node.candidate != candidate ||
        !is_fresh(reports, reports->node.t_sent_ms, now_ms, ret_expiry_ms))
        return NODE_ROLE_UNKNOWN;
    return reports->node.role;
}

uint32_t reports_longest_down_after_ms(const struct reports *reports)
{
    uint32_t longest_ms = 0;

    for (unsigned i = 0; i < reports->voters; i++)
        if (reports->sentinels[i].facts.down_after_ms > longest_ms)
            longest_ms = reports->sentinels[i].facts.down_after_ms;
    return longest_ms;
}

bool reports_refer(const struct reports *reports, int32_t candidate)
{
    if (reports->node.candidate == candidate)
        return true;
    for (unsigned i = 0; i < reports->voters; i++)
        if (reports->sentinels[i].candidate == candidate)
            return true;
    return false;
}
