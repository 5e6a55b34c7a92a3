#include "spoa/core/decision/handover.h"

#include "spoa/core/decision/service_alarms.h"
#include "spoa/core/decision/service_events.h"
#include "spoa/core/decision/succession.h"

/* ---- is the next one good enough? ---- */

/* Whether what a node says of itself counts for this service. */
static bool is_role_checked(const struct service *service)
{
    return service->settings->policy.role_check != ROLE_CHECK_OFF;
}

/*
 * Whether the next service has heard the node that the former one has heard lately: the node may have changed
 * its mind.
 */
static bool is_probed(const struct service *next, const struct service *former, int64_t now_ms)
{
    int64_t expiry_ms = INT64_MAX;
    const struct addr *addr = server_map_addr(&former->map, former->subject);

    if (addr == NULL || !is_role_checked(next) || !is_role_checked(former) ||
        evidence_role(&former->evidence, former->subject, now_ms, &expiry_ms) == NODE_ROLE_UNKNOWN)
        return true;
    int32_t candidate = server_map_match(&next->map, &former->map, former->subject);
    return candidate == QUORUM_NO_CANDIDATE || candidate != next->subject ||
           evidence_role(&next->evidence, candidate, now_ms, &expiry_ms) != NODE_ROLE_UNKNOWN;
}

static bool hears_majority(const struct service *service, int64_t now_ms)
{
    return quorum_count_naming(&service->quorum, now_ms) >= service->settings->quorum.threshold;
}

static bool is_outside_map(const struct service *service)
{
    return service->decision.state == SERVICE_UNKNOWN_ADDRESS;
}

/*
 * Whether the voters of the next service say as much as those of the former one. In each failover, and after
 * each pause of the machine, nobody is named for a moment. What never had a majority must not be let in then.
 */
static bool is_heard(const struct service *next, const struct service *former, int64_t now_ms)
{
    if (next->t_won_ms == INT64_MIN && former->t_won_ms > next->quorum.t_start_ms)
        return false;
    if (!hears_majority(former, now_ms))
        return true;
    return hears_majority(next, now_ms) && (is_outside_map(former) || !is_outside_map(next));
}

/*
 * Whether the next service will go on naming a master that the former one keeps: from the memory that it is
 * given. It will not where any voter is in reach, be it one that knows no master.
 */
static bool will_keep(const struct service *next, const struct service *former, int64_t now_ms)
{
    const struct policy_config *config = &next->settings->policy;
    int32_t kept = server_map_match(&next->map, &former->map, former->current);
    bool is_refused = next->decision.reason == SERVICE_BECAUSE_REFUSED;

    return former->decision.ruled == SERVICE_KEPT && service_reason_is_out_of_reach(next->decision.reason) &&
           (config->keep_when != KEEP_WHEN_REFUSED || is_refused) &&
           now_ms - former->policy.t_lost_ms < config->keep_ms && server_map_is_mapped(&next->map, kept) &&
           quorum_evaluate(&next->quorum, now_ms).in_reach == 0;
}

enum handover_lack handover_lack(const struct service *next, const struct service *former, int64_t now_ms)
{
    /* A decision that has run out says nothing. Timers are late after a pause of the machine. */
    if (next->decision.state == SERVICE_STARTING || now_ms >= next->decision.review_ms)
        return HANDOVER_STARTING;
    if (former == NULL)
        return HANDOVER_READY;
    if (service_state_names(former->decision.state) && !service_state_names(next->decision.state) &&
        !will_keep(next, former, now_ms))
        return HANDOVER_UNNAMED;
    if (!is_heard(next, former, now_ms))
        return HANDOVER_UNHEARD;
    return is_probed(next, former, now_ms) ? HANDOVER_READY : HANDOVER_UNPROBED;
}

bool handover_tell_role(const struct service *next, const struct service *former,
                        struct service_event *ret_event)
{
    const struct addr *addr = server_map_addr(&next->map, next->subject);

    if (addr == NULL)
        return false;
    const struct node_report *known = evidence_node(&next->evidence, next->subject);
    const struct node_report *told = evidence_node(&former->evidence, server_map_lookup(&former->map, addr));
    if (told == NULL || (known != NULL && known->t_sent_ms >= told->t_sent_ms))
        return false;
    *ret_event = (struct service_event){
        .kind = SERVICE_SAID_ROLE, .t_sent_ms = told->t_sent_ms, .addr = addr, .role = told->role};
    return true;
}

/* ---- the change-over ---- */

struct translation {
    struct service *next;
    const struct service *former;
};

static int32_t translate(void *context, int32_t candidate)
{
    const struct translation *translation = context;
    const struct addr *addr = server_map_addr(&translation->former->map, candidate);
    int32_t match = server_map_match(&translation->next->map, &translation->former->map, candidate);

    if (match != QUORUM_NO_CANDIDATE)
        return match;
    return addr != NULL ? service_find_candidate(translation->next, addr) : QUORUM_NO_CANDIDATE;
}

static int translate_server(void *context, size_t server)
{
    const struct translation *translation = context;

    int32_t match = server_map_match(&translation->next->map, &translation->former->map, (int32_t)server);

    return server_map_is_mapped(&translation->next->map, match) ? match : -1;
}

/*
 * What the observers were told last, in the words of the next service. It has told nobody anything yet: what
 * it has decided until now is forgotten, and is found again by the evaluation.
 */
static void put_before(struct service *next, const struct service *former,
                       const struct succession *succession)
{
    next->current = QUORUM_NO_CANDIDATE;
    next->subject = QUORUM_NO_CANDIDATE;
    if (former == NULL) {
        next->decision = (struct service_decision){
            .state = SERVICE_STARTING, .t_switched_ms = INT64_MIN, .park_ms = next->decision.park_ms};
        next->outage = (struct outage){.is_running = false};
        next->outages = (struct outage_totals){.count = 0};
        return;
    }
    next->current = succession->candidate(succession->context, former->current);
    next->subject = succession->candidate(succession->context, former->subject);
    next->decision = former->decision;
    next->outage = former->outage;
    next->outages = former->outages;
    next->decision.addr = server_map_addr(&next->map, next->subject);
    next->decision.server =
        service_state_names(former->decision.state) ? server_map_server(&next->map, next->subject) : NULL;
    next->decision.replicas = replicas_translate(former->decision.replicas, succession);
}

static void inherit_words(struct service *next, const struct service *former,
                          const struct succession *succession)
{
    for (size_t i = 0; i < former->settings->server_count; i++) {
        int server = succession->server(succession->context, i);
        if (server != -1 && former->node_words[i].t_ms > next->node_words[server].t_ms)
            node_word_copy(&next->node_words[server], &former->node_words[i]);
    }
}

/* As if they were added now. */
static void release_observers(struct service *service)
{
    struct service_observer **end = &service->held;

    while (*end != NULL)
        end = &(*end)->next;
    *end = service->observers;
    service->observers = service->held;
    service->held = NULL;
    service->holds_observers = false;
}

void handover(struct service *next, struct service *former, const int *voters, int64_t now_ms)
{
    struct translation translation = {.next = next, .former = former};
    const struct succession succession = {
        .voters = voters, .candidate = translate, .server = translate_server, .context = &translation};

    put_before(next, former, &succession);
    release_observers(next);
    if (former != NULL) {
        former->observers = NULL;
        evidence_inherit(&next->evidence, &former->evidence, &succession);
        inherit_words(next, former, &succession);
        policy_inherit(&next->policy, &former->policy, &succession);
        doubt_inherit(&next->doubt, &former->doubt, &succession, now_ms + next->settings->policy.confirm_ms,
                      now_ms);
        if (next->replicas != NULL && former->replicas != NULL)
            replicas_inherit(next->replicas, former->replicas, &succession);
        service_alarms_inherit(&next->alarms, next->settings, &former->alarms, now_ms);
        if (former->down_after_ms > 0)
            next->down_after_ms = former->down_after_ms;
        next->waiting[SERVICE_ROLE_MASTER] = former->waiting[SERVICE_ROLE_MASTER];
        if (former->quorum.is_settled)
            quorum_note_settled(&next->quorum);
    }
    service_review(next, now_ms);
}
