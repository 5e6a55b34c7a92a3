#include "spoa/core/decision/policy.h"

#include "spoa/core/decision/review.h"

void policy_init(struct policy *policy, const struct policy_config *config)
{
    *policy = (struct policy){
        .config = config,
        .t_lost_ms = POLICY_NEVER,
        .t_unnamed_ms = POLICY_NEVER,
        .unconfirmed = QUORUM_NO_CANDIDATE,
        .leaving = QUORUM_NO_CANDIDATE,
        .silenced = QUORUM_NO_CANDIDATE,
        .t_backed_ms = POLICY_NEVER,
    };
}

static void note_backed(struct policy *policy, int64_t t_ms)
{
    if (t_ms > policy->t_backed_ms)
        policy->t_backed_ms = t_ms;
}

void policy_inherit(struct policy *policy, const struct policy *former, const struct succession *succession)
{
    int32_t own = policy->leaving;
    int64_t t_own_ms = policy->t_leaving_ms;

    policy->t_lost_ms = former->t_lost_ms;
    policy->t_unnamed_ms = former->t_unnamed_ms;
    policy->may_keep = former->may_keep;
    if (policy->config->down_after_ms > 0)
        policy->silenced = succession->candidate(succession->context, former->silenced);
    note_backed(policy, former->t_backed_ms);
    policy->t_unconfirmed_ms = former->t_unconfirmed_ms;
    policy->unconfirmed = succession->candidate(succession->context, former->unconfirmed);
    policy->leaving = QUORUM_NO_CANDIDATE;
    policy_note_failover(policy, succession->candidate(succession->context, former->leaving),
                         former->t_leaving_ms);
    if (policy->leaving == QUORUM_NO_CANDIDATE || policy->leaving == own)
        policy_note_failover(policy, own, t_own_ms);
}

void policy_note_failover(struct policy *policy, int32_t candidate, int64_t now_ms)
{
    int64_t rest_ms = (1 + EARLY_FENCE_REST) * policy->config->early_fence_max_ms;

    if (!policy->config->early_fence)
        return;
    if (candidate == policy->leaving && now_ms - policy->t_leaving_ms < rest_ms)
        return;
    policy->leaving = candidate;
    policy->t_leaving_ms = now_ms;
}

static void rule_as(struct policy_ruling *ruling, enum service_state state, enum service_reason reason)
{
    ruling->state = state;
    ruling->reason = reason;
}

/* ---- whom the voters name: a majority's master, a witnessed one, a kept one, or nobody ---- */

static enum service_reason reason_of(enum quorum_reason reason)
{
    static const enum service_reason reasons[] = {
        [QUORUM_REASON_NONE] = SERVICE_BECAUSE_NONE,  [QUORUM_UNREACHABLE] = SERVICE_BECAUSE_UNREACHABLE,
        [QUORUM_REFUSED] = SERVICE_BECAUSE_REFUSED,   [QUORUM_REFUSED_US] = SERVICE_BECAUSE_REFUSED_US,
        [QUORUM_DISAGREE] = SERVICE_BECAUSE_DISAGREE, [QUORUM_UNKNOWN] = SERVICE_BECAUSE_UNKNOWN_NAME,
    };
    return reasons[reason];
}

static bool is_out_of_reach(const struct quorum_result *quorum)
{
    return service_reason_is_out_of_reach(reason_of(quorum->reason));
}

static void rule_won(struct policy *policy, const struct policy_facts *facts, struct policy_ruling *ruling)
{
    policy->t_lost_ms = POLICY_NEVER;
    policy->t_unnamed_ms = POLICY_NEVER;
    note_backed(policy, facts->quorum->oldest_sent_ms);
    ruling->state = SERVICE_OK;
    ruling->candidate = facts->quorum->winner;
}

/*
 * Whether the last master may be named although too few voters are in reach. A disagreement ends that for
 * good: the voter that is missing may be the one that names another node.
 */
static bool is_kept(const struct policy *policy, const struct policy_facts *facts, int64_t now_ms)
{
    const struct policy_config *config = policy->config;

    /* A service that a reload adds may have heard of masters, and named none. */
    if (facts->current == QUORUM_NO_CANDIDATE)
        return false;
    if (config->keep_when == KEEP_WHEN_REFUSED && facts->quorum->reason != QUORUM_REFUSED)
        return false;
    return policy->may_keep && now_ms - policy->t_lost_ms < config->keep_ms;
}

static int64_t fence_due_ms(const struct policy *policy, const struct policy_facts *facts)
{
    int64_t fence_ms = policy->config->fence_ms;
    int64_t unnamed_ms = policy->t_unnamed_ms;

    if (policy->config->down_after_ms == 0 || policy->t_backed_ms == POLICY_NEVER)
        return unnamed_ms + fence_ms;
    /* A witness is asked when the name is lost. Its answer may save the sessions. */
    int64_t answered_ms = unnamed_ms + facts->reply_timeout_ms;
    int64_t due_ms = policy->t_backed_ms + fence_ms;
    if (due_ms < answered_ms)
        due_ms = answered_ms;
    return due_ms < unnamed_ms + fence_ms ? due_ms : unnamed_ms + fence_ms;
}

static void rule_unnamed(struct policy *policy, const struct policy_facts *facts, int64_t now_ms,
                         struct policy_ruling *ruling)
{
    const struct policy_config *config = policy->config;
    bool had_name = facts->current != QUORUM_NO_CANDIDATE;

    if (policy->t_unnamed_ms == POLICY_NEVER)
        policy->t_unnamed_ms = now_ms;
    int64_t debounced_ms = policy->t_lost_ms + config->debounce_ms;
    int64_t fenced_ms = fence_due_ms(policy, facts);
    rule_as(ruling, SERVICE_NO_QUORUM, reason_of(facts->quorum->reason));
    if (had_name && now_ms < debounced_ms) {
        ruling->state = SERVICE_PENDING;
        review_by(&ruling->review_ms, debounced_ms);
    }
    ruling->is_fenced = config->fence_ms > 0 && now_ms >= fenced_ms;
    if (config->fence_ms > 0 && !ruling->is_fenced)
        review_by(&ruling->review_ms, fenced_ms);
}

static void rule_lost(struct policy *policy, const struct policy_facts *facts, int64_t now_ms,
                      struct policy_ruling *ruling)
{
    bool is_reachability = is_out_of_reach(facts->quorum);

    if (!is_reachability)
        policy->may_keep = false;
    if (policy->t_lost_ms == POLICY_NEVER)
        policy->t_lost_ms = now_ms;
    if (is_reachability && facts->is_witnessed) {
        policy->t_lost_ms = POLICY_NEVER;
        policy->t_unnamed_ms = POLICY_NEVER;
        rule_as(ruling, SERVICE_WITNESSED, reason_of(facts->quorum->reason));
        ruling->candidate = facts->quorum->sole;
        review_by(&ruling->review_ms, facts->witness_expiry_ms);
    } else if (is_reachability && is_kept(policy, facts, now_ms)) {
        policy->t_unnamed_ms = POLICY_NEVER;
        note_backed(policy, policy->t_lost_ms + policy->config->keep_ms);
        rule_as(ruling, SERVICE_KEPT, reason_of(facts->quorum->reason));
        ruling->candidate = facts->current;
        review_by(&ruling->review_ms, policy->t_lost_ms + policy->config->keep_ms);
    } else {
        rule_unnamed(policy, facts, now_ms, ruling);
    }
}

static void rule_quorum(struct policy *policy, const struct policy_facts *facts, int64_t now_ms,
                        struct policy_ruling *ruling)
{
    const struct quorum_result *quorum = facts->quorum;

    /* A voter in reach does not name the last master, even if too few voters are left for a majority. */
    if (quorum->in_reach > 0 && quorum->sole != facts->current)
        policy->may_keep = false;
    switch (quorum->verdict) {
    case QUORUM_STARTING:
        rule_as(ruling, SERVICE_STARTING, SERVICE_BECAUSE_NONE);
        break;
    case QUORUM_PENDING:
        rule_as(ruling, SERVICE_PENDING, SERVICE_BECAUSE_SUSPECTED);
        break;
    case QUORUM_LOST:
        rule_lost(policy, facts, now_ms, ruling);
        break;
    case QUORUM_WON:
        rule_won(policy, facts, ruling);
        break;
    }
}

/* ---- what speaks against that node ---- */

static void check_down(struct policy *policy, const struct policy_facts *facts, int64_t now_ms,
                       struct policy_ruling *ruling)
{
    int64_t expiry_ms = INT64_MAX;
    unsigned down = evidence_count_down(facts->evidence, ruling->candidate, now_ms, &expiry_ms);

    if (down < facts->threshold)
        return;
    review_by(&ruling->review_ms, expiry_ms);
    rule_as(ruling, SERVICE_DOWN, SERVICE_BECAUSE_O_DOWN);
    if (ruling->candidate == facts->current)
        policy_note_failover(policy, ruling->candidate, now_ms);
}

/* The agent's own down-after-milliseconds, which may be far shorter than Sentinel's. */
static void check_silent(struct policy *policy, const struct policy_facts *facts, int64_t now_ms,
                         struct policy_ruling *ruling)
{
    int64_t limit_ms = policy->config->down_after_ms;
    int64_t expiry_ms = INT64_MAX;

    if (limit_ms == 0 || evidence_count_silent(facts->evidence, ruling->candidate, limit_ms, now_ms,
                                               &expiry_ms) < facts->threshold)
        return;
    review_by(&ruling->review_ms, expiry_ms);
    rule_as(ruling, SERVICE_DOWN, SERVICE_BECAUSE_SILENT);
    if (ruling->candidate == facts->current)
        policy->silenced = ruling->candidate;
}

/*
 * Sessions of a master that was silent are cut until somebody is named: it itself because it is heard again,
 * or its successor. So nothing comes between, whether votes expire or Sentinels change their minds one by one.
 */
static void check_silenced(struct policy *policy, const struct policy_facts *facts,
                           struct policy_ruling *ruling)
{
    if (service_state_names(ruling->state) || policy->silenced != facts->current)
        policy->silenced = QUORUM_NO_CANDIDATE;
    if (policy->silenced != QUORUM_NO_CANDIDATE)
        ruling->is_fenced = true;
}

/* A new master must say that it is one. It has confirm_ms for that. */
static void require_master(struct policy *policy, const struct policy_facts *facts, int64_t now_ms,
                           struct policy_ruling *ruling)
{
    if (ruling->candidate == facts->current)
        return;
    if (policy->unconfirmed != ruling->candidate) {
        policy->unconfirmed = ruling->candidate;
        policy->t_unconfirmed_ms = now_ms;
    }
    int64_t deadline_ms = policy->t_unconfirmed_ms + policy->config->confirm_ms;
    if (now_ms < deadline_ms) {
        review_by(&ruling->review_ms, deadline_ms);
        rule_as(ruling, SERVICE_PENDING, SERVICE_BECAUSE_UNCONFIRMED);
    } else {
        rule_as(ruling, SERVICE_NOT_MASTER, SERVICE_BECAUSE_UNCONFIRMED);
    }
}

static void check_role(struct policy *policy, const struct policy_facts *facts, int64_t now_ms,
                       struct policy_ruling *ruling)
{
    int64_t expiry_ms = INT64_MAX;

    if (policy->config->role_check == ROLE_CHECK_OFF)
        return;
    switch (evidence_role(facts->evidence, ruling->candidate, now_ms, &expiry_ms)) {
    case NODE_ROLE_MASTER:
        return;
    case NODE_ROLE_REPLICA:
        rule_as(ruling, SERVICE_NOT_MASTER, SERVICE_BECAUSE_REPLICA);
        break;
    case NODE_ROLE_LOADING:
        rule_as(ruling, SERVICE_NOT_MASTER, SERVICE_BECAUSE_LOADING);
        break;
    case NODE_ROLE_UNKNOWN:
        if (policy->config->role_check == ROLE_CHECK_REQUIRE)
            require_master(policy, facts, now_ms, ruling);
        return;
    }
    review_by(&ruling->review_ms, expiry_ms);
}

/*
 * All that is written to a master after the promotion of its successor is lost. A majority names the
 * successor about a second after the promotion.
 */
static void check_leaving(struct policy *policy, const struct policy_facts *facts, int64_t now_ms,
                          struct policy_ruling *ruling)
{
    bool names = service_state_names(ruling->state);
    int64_t until_ms = policy->t_leaving_ms + policy->config->early_fence_max_ms;

    if (policy->leaving != facts->current)
        policy->leaving = QUORUM_NO_CANDIDATE;
    if (policy->leaving == QUORUM_NO_CANDIDATE || now_ms >= until_ms)
        return;
    if (names && ruling->candidate != policy->leaving)
        return;
    if (names)
        rule_as(ruling, SERVICE_PENDING, SERVICE_BECAUSE_FAILOVER);
    ruling->is_fenced = true;
    review_by(&ruling->review_ms, until_ms);
}

/* I5: the map has the last word. A node outside the map is never named, whatever it says of itself. */
static void check_map(const struct policy_facts *facts, struct policy_ruling *ruling)
{
    if (ruling->candidate != QUORUM_NO_CANDIDATE && !facts->is_nameable(facts->context, ruling->candidate))
        rule_as(ruling, SERVICE_UNKNOWN_ADDRESS, SERVICE_BECAUSE_NONE);
}

struct policy_ruling policy_rule(struct policy *policy, const struct policy_facts *facts, int64_t now_ms)
{
    struct policy_ruling ruling = {
        .candidate = QUORUM_NO_CANDIDATE,
        .review_ms = facts->quorum->review_ms,
    };

    if (facts->is_witnessed)
        note_backed(policy, facts->witness_expiry_ms);
    rule_quorum(policy, facts, now_ms, &ruling);
    if (service_state_names(ruling.state)) {
        check_role(policy, facts, now_ms, &ruling);
        check_silent(policy, facts, now_ms, &ruling);
        check_down(policy, facts, now_ms, &ruling);
        check_map(facts, &ruling);
    }
    check_leaving(policy, facts, now_ms, &ruling);
    check_silenced(policy, facts, &ruling);
    if (facts->quorum->verdict == QUORUM_WON)
        policy->may_keep = ruling.state == SERVICE_OK;
    if (ruling.reason != SERVICE_BECAUSE_UNCONFIRMED)
        policy->unconfirmed = QUORUM_NO_CANDIDATE;
    return ruling;
}
