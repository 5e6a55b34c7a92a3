#include "spoa/core/decision/evidence.h"

#include "spoa/core/decision/review.h"

static const struct sentinel_report no_report = {
    .facts_sent_ms = INT64_MIN,
    .witness_sent_ms = INT64_MIN,
    .peers_sent_ms = INT64_MIN,
    .candidate = QUORUM_NO_CANDIDATE,
    .strangers = {.node = QUORUM_NO_CANDIDATE, .leader = QUORUM_NO_CANDIDATE},
};

void evidence_init(struct evidence *evidence, struct sentinel_report *sentinels, struct node_report *nodes,
                   size_t servers, const struct quorum_config *config)
{
    *evidence = (struct evidence){
        .sentinels = sentinels,
        .nodes = nodes,
        .servers = servers,
        .config = config,
    };
    for (unsigned i = 0; i < config->voters; i++)
        sentinels[i] = no_report;
    for (size_t i = 0; i <= servers; i++)
        nodes[i] = (struct node_report){.t_sent_ms = INT64_MIN, .candidate = QUORUM_NO_CANDIDATE};
}

/* Where the report about `candidate` stands, or would. */
static struct node_report *node_of(const struct evidence *evidence, int32_t candidate)
{
    bool is_server = candidate != QUORUM_NO_CANDIDATE && (size_t)candidate < evidence->servers;

    return &evidence->nodes[is_server ? (size_t)candidate : evidence->servers];
}

void evidence_forget(struct evidence *evidence, unsigned voter)
{
    evidence->sentinels[voter] = no_report;
}

/* The link that is down in `report`: its silence goes on from `before`, unless the two are too far apart. */
static void go_on_from(const struct evidence *evidence, const struct sentinel_report *before,
                       struct sentinel_report *report)
{
    if (!report->facts.is_link_down || before->facts_sent_ms == INT64_MIN ||
        report->facts_sent_ms - before->facts_sent_ms >= evidence->config->vote_life_ms)
        return;
    int64_t silent_ms = 0;
    if (before->candidate == report->candidate)
        silent_ms = before->facts.silent_ms + (report->facts_sent_ms - before->facts_sent_ms);
    report->facts.silent_ms = silent_ms < UINT32_MAX ? (uint32_t)silent_ms : UINT32_MAX;
    report->facts.owed_ms = report->facts.silent_ms;
}

void evidence_note_facts(struct evidence *evidence, unsigned voter, int32_t candidate,
                         const struct sentinel_facts *facts, int64_t t_sent_ms)
{
    struct sentinel_report *report = &evidence->sentinels[voter];
    struct sentinel_report before = *report;

    if (t_sent_ms < report->facts_sent_ms)
        return;
    report->facts_sent_ms = t_sent_ms;
    report->candidate = candidate;
    report->facts = *facts;
    go_on_from(evidence, &before, report);
}

void evidence_note_witness(struct evidence *evidence, unsigned voter, bool sees_majority, int64_t t_sent_ms)
{
    struct sentinel_report *report = &evidence->sentinels[voter];

    if (t_sent_ms < report->witness_sent_ms)
        return;
    report->witness_sent_ms = t_sent_ms;
    report->sees_majority = sees_majority;
}

void evidence_note_peers(struct evidence *evidence, unsigned voter, uint32_t age_ms, int64_t t_sent_ms)
{
    struct sentinel_report *report = &evidence->sentinels[voter];

    if (t_sent_ms < report->peers_sent_ms)
        return;
    report->peers_sent_ms = t_sent_ms;
    report->peers_age_ms = age_ms;
}

void evidence_note_role(struct evidence *evidence, const struct node_report *report)
{
    struct node_report *node = node_of(evidence, report->candidate);

    if (report->candidate != node->candidate || report->t_sent_ms >= node->t_sent_ms)
        *node = *report;
}

static void inherit_node(struct evidence *evidence, const struct node_report *former,
                         const struct succession *succession)
{
    struct node_report report = *former;

    if (former->candidate == QUORUM_NO_CANDIDATE)
        return;
    report.candidate = succession->candidate(succession->context, former->candidate);
    /* Also where it is about another node: the place for addresses outside the map is one for all. */
    if (report.candidate != QUORUM_NO_CANDIDATE &&
        report.t_sent_ms > node_of(evidence, report.candidate)->t_sent_ms)
        *node_of(evidence, report.candidate) = report;
}

/* What is newer of our own goes on from what the former said. */
static void inherit_facts(struct evidence *evidence, unsigned voter, const struct sentinel_report *former,
                          const struct succession *succession)
{
    struct sentinel_report *report = &evidence->sentinels[voter];
    struct sentinel_report told = *former;

    told.candidate = succession->candidate(succession->context, former->candidate);
    if (told.facts_sent_ms <= report->facts_sent_ms) {
        go_on_from(evidence, &told, report);
        return;
    }
    report->facts_sent_ms = told.facts_sent_ms;
    report->candidate = told.candidate;
    report->facts = told.facts;
}

void evidence_inherit(struct evidence *evidence, const struct evidence *former,
                      const struct succession *succession)
{
    for (size_t i = 0; i <= former->servers; i++)
        inherit_node(evidence, &former->nodes[i], succession);
    for (unsigned i = 0; i < evidence->config->voters; i++) {
        if (succession->voters[i] == -1)
            continue;
        const struct sentinel_report *told = &former->sentinels[succession->voters[i]];
        evidence_note_witness(evidence, i, told->sees_majority, told->witness_sent_ms);
        /* A larger majority was heard within that time, too. */
        if (former->config->threshold >= evidence->config->threshold)
            evidence_note_peers(evidence, i, told->peers_age_ms, told->peers_sent_ms);
        inherit_facts(evidence, i, told, succession);
    }
}

/* Whether something asked for at `t_sent_ms` still counts; if so it may be the first to expire. */
static bool is_fresh(const struct evidence *evidence, int64_t t_sent_ms, int64_t now_ms,
                     int64_t *ret_expiry_ms)
{
    if (t_sent_ms == INT64_MIN || now_ms - t_sent_ms >= evidence->config->vote_life_ms)
        return false;
    review_by(ret_expiry_ms, t_sent_ms + evidence->config->vote_life_ms);
    return true;
}

static bool is_down(const struct sentinel_facts *facts, int64_t limit_ms)
{
    (void)limit_ms;
    return facts->is_o_down;
}

static bool is_silent(const struct sentinel_facts *facts, int64_t limit_ms)
{
    return facts->silent_ms >= limit_ms && facts->owed_ms >= limit_ms - EVIDENCE_OWED_SLACK_MS;
}

/* How many identities report what `says` looks for about `candidate`. */
static unsigned count_saying(const struct evidence *evidence, int32_t candidate,
                             bool (*says)(const struct sentinel_facts *facts, int64_t limit_ms),
                             int64_t limit_ms, int64_t now_ms, int64_t *ret_expiry_ms)
{
    const uint8_t *identities = evidence->config->identities;
    bool is_counted[QUORUM_VOTERS_MAX] = {false};
    unsigned count = 0;

    for (unsigned i = 0; i < evidence->config->voters; i++) {
        const struct sentinel_report *report = &evidence->sentinels[i];
        if (identities[i] == QUORUM_NO_IDENTITY || is_counted[identities[i]] ||
            report->candidate != candidate || !says(&report->facts, limit_ms) ||
            !is_fresh(evidence, report->facts_sent_ms, now_ms, ret_expiry_ms))
            continue;
        is_counted[identities[i]] = true;
        count++;
    }
    return count;
}

unsigned evidence_count_down(const struct evidence *evidence, int32_t candidate, int64_t now_ms,
                             int64_t *ret_expiry_ms)
{
    return count_saying(evidence, candidate, is_down, 0, now_ms, ret_expiry_ms);
}

unsigned evidence_count_silent(const struct evidence *evidence, int32_t candidate, int64_t limit_ms,
                               int64_t now_ms, int64_t *ret_expiry_ms)
{
    return count_saying(evidence, candidate, is_silent, limit_ms, now_ms, ret_expiry_ms);
}

int64_t evidence_silence_ms(const struct evidence *evidence, unsigned voter, int32_t candidate,
                            int64_t now_ms)
{
    const struct sentinel_report *report = &evidence->sentinels[voter];
    int64_t expiry_ms = INT64_MAX;
    bool is_known =
        report->candidate == candidate && is_fresh(evidence, report->facts_sent_ms, now_ms, &expiry_ms);

    return is_known ? (int64_t)report->facts.silent_ms : -1;
}

bool evidence_is_down(const struct evidence *evidence, unsigned voter, int32_t candidate, int64_t now_ms)
{
    return evidence_silence_ms(evidence, voter, candidate, now_ms) != -1 &&
           evidence->sentinels[voter].facts.is_o_down;
}

bool evidence_is_silent(const struct evidence *evidence, unsigned voter, int32_t candidate, int64_t limit_ms,
                        int64_t now_ms)
{
    return evidence_silence_ms(evidence, voter, candidate, now_ms) != -1 &&
           is_silent(&evidence->sentinels[voter].facts, limit_ms);
}

/* Whether `report` still shows a majority heard within `limit_ms`. Its age goes on growing. */
static bool hears_peers(const struct sentinel_report *report, int64_t limit_ms, int64_t now_ms,
                        int64_t *ret_expiry_ms)
{
    if (report->peers_sent_ms == INT64_MIN || report->peers_age_ms >= limit_ms)
        return false;
    int64_t until_ms = report->peers_sent_ms + limit_ms - report->peers_age_ms;
    review_by(ret_expiry_ms, until_ms);
    return now_ms < until_ms;
}

bool evidence_is_witness(const struct evidence *evidence, unsigned voter, int64_t limit_ms, int64_t now_ms,
                         int64_t *ret_expiry_ms)
{
    const struct sentinel_report *report = &evidence->sentinels[voter];

    return report->sees_majority && is_fresh(evidence, report->witness_sent_ms, now_ms, ret_expiry_ms) &&
           (limit_ms == 0 || hears_peers(report, limit_ms, now_ms, ret_expiry_ms));
}

const struct node_report *evidence_node(const struct evidence *evidence, int32_t candidate)
{
    const struct node_report *node = node_of(evidence, candidate);

    return candidate != QUORUM_NO_CANDIDATE && node->candidate == candidate ? node : NULL;
}

enum node_role evidence_role(const struct evidence *evidence, int32_t candidate, int64_t now_ms,
                             int64_t *ret_expiry_ms)
{
    const struct node_report *node = node_of(evidence, candidate);

    if (node->candidate != candidate || !is_fresh(evidence, node->t_sent_ms, now_ms, ret_expiry_ms))
        return NODE_ROLE_UNKNOWN;
    return node->role;
}

uint32_t evidence_longest_down_after_ms(const struct evidence *evidence, const struct quorum *quorum,
                                        int64_t now_ms)
{
    uint32_t longest_ms = 0;

    for (unsigned i = 0; i < evidence->config->voters; i++) {
        uint32_t told_ms = evidence->sentinels[i].facts.down_after_ms;
        if (told_ms > longest_ms && quorum_is_heard(quorum, i, now_ms))
            longest_ms = told_ms;
    }
    return longest_ms;
}

bool evidence_is_about(const struct evidence *evidence, int32_t candidate)
{
    if (node_of(evidence, candidate)->candidate == candidate)
        return true;
    for (unsigned i = 0; i < evidence->config->voters; i++) {
        const struct sentinel_report *told = &evidence->sentinels[i];
        if (told->candidate == candidate || told->strangers.node == candidate ||
            told->strangers.leader == candidate)
            return true;
    }
    return false;
}
