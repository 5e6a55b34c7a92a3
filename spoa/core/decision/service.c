#include "spoa/core/decision/service.h"

#include <stdlib.h>
#include <string.h>

#include "spoa/core/decision/review.h"
#include "spoa/core/decision/service_alarms.h"
#include "spoa/core/decision/service_events.h"

_Static_assert(_Alignof(struct sentinel_report) <= _Alignof(struct quorum_vote), "stands behind the votes");
_Static_assert(_Alignof(struct node_report) <= _Alignof(struct sentinel_report), "stands behind those");
_Static_assert(_Alignof(struct node_word) <= _Alignof(struct node_report), "stands behind those");

struct service *service_create(const struct service_settings *settings, int64_t now_ms)
{
    unsigned voters = settings->quorum.voters;
    size_t size = sizeof(struct service) + voters * sizeof(struct quorum_vote) +
                  voters * sizeof(struct sentinel_report) +
                  (settings->server_count + 1) * sizeof(struct node_report) +
                  settings->server_count * sizeof(struct node_word);
    struct service *service = calloc(1, size);

    if (service == NULL)
        return NULL;
    service->settings = settings;
    service->current = QUORUM_NO_CANDIDATE;
    service->subject = QUORUM_NO_CANDIDATE;
    service->t_won_ms = INT64_MIN;
    doubt_init(&service->doubt);
    struct sentinel_report *reports = (struct sentinel_report *)(void *)&service->votes[voters];
    struct node_report *node_reports = (struct node_report *)(void *)&reports[voters];
    service->node_words = (struct node_word *)(void *)&node_reports[settings->server_count + 1];
    /*
     * Referred to by each voter's vote, report, strangers (two) and view, the node's report, the decision,
     * the master named last.
     */
    server_map_init(&service->map, settings->servers, settings->server_count, 5 * (size_t)voters + 4);
    quorum_init(&service->quorum, &settings->quorum, service->votes, now_ms);
    evidence_init(&service->evidence, reports, node_reports, settings->server_count, &settings->quorum);
    policy_init(&service->policy, &settings->policy);
    service->decision = (struct service_decision){
        .state = SERVICE_STARTING,
        .t_switched_ms = INT64_MIN,
        .review_ms = now_ms,
        .park_ms = park_limit_ms(settings->park_ms, 0),
    };
    if (!settings->replicas.is_enabled)
        return service;
    service->replicas =
        replicas_create(&settings->replicas, &settings->quorum, settings->servers, settings->server_count);
    if (service->replicas == NULL) {
        service_destroy(service);
        return NULL;
    }
    return service;
}

void service_destroy(struct service *service)
{
    if (service == NULL)
        return;
    server_map_finish(&service->map);
    alarms_finish(&service->alarms);
    for (size_t i = 0; i < service->settings->server_count; i++)
        node_word_finish(&service->node_words[i]);
    replicas_destroy(service->replicas);
    free(service);
}

const char *service_last_server(const struct service *service)
{
    return server_map_server(&service->map, service->current);
}

void service_observe(struct service *service, struct service_observer *observer)
{
    struct service_observer **list = service->holds_observers ? &service->held : &service->observers;

    observer->next = *list;
    *list = observer;
}

void service_hold_observers(struct service *service)
{
    service->holds_observers = true;
}

const struct service_settings *service_settings(const struct service *service)
{
    return service->settings;
}

const struct service_decision *service_decision(const struct service *service)
{
    return &service->decision;
}

const char *service_decision_reason(const struct service_decision *decision)
{
    return decision->state == SERVICE_DOUBTED ? doubt_cause_text(decision->doubt_cause)
                                              : service_reason_text(decision->reason);
}

const struct alarms *service_alarms(const struct service *service)
{
    return &service->alarms;
}

/* ---- evaluation ---- */

/* Whether set-dst can use the address. With 0.0.0.0 or [::] HAProxy would connect to itself. */
static bool is_numeric(const struct addr *addr)
{
    static const uint8_t unspecified[sizeof(addr->ip)] = {0};

    return (addr->kind == ADDR_IPV4 || addr->kind == ADDR_IPV6) &&
           memcmp(addr->ip, unspecified, sizeof(unspecified)) != 0;
}

/* I5: an address outside the map is named only if the operator allows any address. */
static bool is_nameable(const void *context, int32_t candidate)
{
    const struct service *service = context;

    return server_map_is_mapped(&service->map, candidate) ||
           (service->settings->allow_any_address && is_numeric(server_map_addr(&service->map, candidate)));
}

bool service_may_name(const struct service *service, const struct addr *addr)
{
    int32_t candidate = server_map_lookup(&service->map, addr);

    return candidate != QUORUM_NO_CANDIDATE && is_nameable(service, candidate);
}

/* Whether `voter` names a master and says that it is down, or silent: it is no witness for that one then. */
static bool speaks_against(const struct service *service, unsigned voter, int32_t candidate, int64_t now_ms)
{
    int64_t limit_ms = service->settings->policy.down_after_ms;

    return evidence_is_down(&service->evidence, voter, candidate, now_ms) ||
           (limit_ms > 0 && evidence_is_silent(&service->evidence, voter, candidate, limit_ms, now_ms));
}

/* Looks for a voter that sees a majority of Sentinels itself, if all voters in reach name the same master. */
static void find_witness(const struct service *service, int64_t now_ms, struct policy_facts *facts)
{
    const uint8_t *identities = service->settings->quorum.identities;

    if (!service->settings->policy.witness || facts->quorum->sole == QUORUM_NO_CANDIDATE)
        return;
    for (unsigned i = 0; i < service->settings->quorum.voters; i++) {
        int64_t expiry_ms = INT64_MAX;
        if (identities[i] == QUORUM_NO_IDENTITY || speaks_against(service, i, facts->quorum->sole, now_ms) ||
            !quorum_has_vote(&service->quorum, i, facts->quorum->sole, now_ms, &expiry_ms) ||
            !evidence_is_witness(&service->evidence, i, service->settings->policy.witness_age_ms, now_ms,
                                 &expiry_ms))
            continue;
        /* The witness that lasts longest: until then the others do not matter. */
        if (!facts->is_witnessed || expiry_ms > facts->witness_expiry_ms)
            facts->witness_expiry_ms = expiry_ms;
        facts->is_witnessed = true;
    }
}

static struct policy_ruling rule(struct service *service, const struct quorum_result *quorum, int64_t now_ms)
{
    struct policy_facts facts = {
        .quorum = quorum,
        .threshold = service->settings->quorum.threshold,
        .evidence = &service->evidence,
        .is_nameable = is_nameable,
        .context = service,
        .current = service->current,
        .reply_timeout_ms = service->settings->quorum.reply_timeout_ms,
    };

    find_witness(service, now_ms, &facts);
    return policy_rule(&service->policy, &facts, now_ms);
}

static unsigned votes_behind(const struct quorum_result *quorum, const struct policy_ruling *ruling)
{
    if (quorum->verdict == QUORUM_WON)
        return quorum->votes;
    return ruling->candidate != QUORUM_NO_CANDIDATE && quorum->sole == ruling->candidate ? quorum->in_reach
                                                                                         : 0;
}

static struct service_decision decide(const struct service *service, const struct quorum_result *quorum,
                                      const struct policy_ruling *ruling, int64_t now_ms)
{
    bool names = service_state_names(ruling->state);
    bool is_doubted = names && doubt_is_about(&service->doubt, ruling->candidate, now_ms);
    int64_t review_ms = ruling->review_ms;
    uint64_t replicas = 0;

    if (is_doubted)
        review_by(&review_ms, service->doubt.until_ms);
    if (service->replicas != NULL)
        replicas = replicas_evaluate(service->replicas, names ? ruling->candidate : service->current, now_ms,
                                     &review_ms);
    return (struct service_decision){
        .state = is_doubted ? SERVICE_DOUBTED : ruling->state,
        .ruled = ruling->state,
        .reason = ruling->reason,
        .addr = server_map_addr(&service->map, ruling->candidate),
        .server = names ? server_map_server(&service->map, ruling->candidate) : NULL,
        .votes = votes_behind(quorum, ruling),
        .oldest_sent_ms = quorum->verdict == QUORUM_WON ? quorum->oldest_sent_ms : now_ms,
        .generation = service->decision.generation,
        .t_switched_ms = service->decision.t_switched_ms,
        .doubt_cause = service->doubt.cause,
        .is_fenced = ruling->is_fenced,
        .replicas = replicas,
        .review_ms = review_ms,
        .park_ms = park_limit_ms(service->settings->park_ms, service->down_after_ms),
    };
}

static bool is_same(const struct service_decision *a, const struct service_decision *b)
{
    return a->state == b->state && a->ruled == b->ruled && a->reason == b->reason && a->addr == b->addr &&
           a->votes == b->votes && a->is_fenced == b->is_fenced && a->replicas == b->replicas &&
           a->park_ms == b->park_ms;
}

static void notify_observers(const struct service *service, const struct service_change *change)
{
    struct service_observer *next;

    for (struct service_observer *observer = service->observers; observer != NULL; observer = next) {
        next = observer->next;
        observer->changed(observer, service, change);
    }
}

/* Whether no service could be given yet: nothing was decided, or the first master is being asked for. */
static bool is_starting(const struct service_decision *decision)
{
    return decision->state == SERVICE_STARTING ||
           (decision->state == SERVICE_PENDING && decision->generation == 0);
}

/* Follows the decision that was just adopted. Returns the outage that goes on or ends with it, or NULL. */
static const struct outage *review_outage(struct service *service, int32_t previous, int64_t now_ms)
{
    const struct service_decision *decision = &service->decision;
    const struct service_waiting *waiting = &service->waiting[SERVICE_ROLE_MASTER];
    struct outage *outage = &service->outage;
    bool is_open = service_is_open(service, SERVICE_ROLE_MASTER);

    if (!outage->is_running && (is_open || is_starting(decision)))
        return NULL;
    if (!outage->is_running)
        outage_begin(outage, server_map_addr(&service->map, previous), waiting, now_ms);
    if (is_open)
        outage_end(outage, waiting, &service->outages, now_ms);
    else
        outage_note_state(outage, decision->state, decision->reason, decision->doubt_cause, now_ms);
    return outage;
}

/* Adopts a decision and tells the observers of the change. */
static void adopt(struct service *service, struct service_decision *after, int32_t subject, int64_t now_ms)
{
    struct service_decision before = service->decision;
    int32_t previous = service->current;
    bool switched = service_state_names(after->state) && subject != previous;

    if (switched) {
        after->generation++;
        after->t_switched_ms = now_ms;
        service->current = subject;
        service->takes_lone_writes = false;
        if (service->replicas != NULL)
            replicas_forget_offsets(service->replicas);
    }
    if (subject != QUORUM_NO_CANDIDATE && subject != service->subject)
        service_alarms_refusal(&service->alarms, service->settings, NULL, false, now_ms);
    service->decision = *after;
    service->subject = subject;
    const struct outage *outage = review_outage(service, previous, now_ms);
    if (!switched && is_same(&before, after))
        return;
    struct service_change change = {
        .before = &before,
        .after = &service->decision,
        .switched = switched,
        .replaced = switched ? server_map_addr(&service->map, previous) : NULL,
        .replaced_server = switched ? server_map_server(&service->map, previous) : NULL,
        .outage = outage,
        .now_ms = now_ms,
    };
    notify_observers(service, &change);
}

/* The loopback address that a Sentinel on another host names as the master; NULL where none does. */
static const struct addr *find_loopback(const struct service *service, int64_t now_ms)
{
    for (unsigned i = 0; i < service->settings->quorum.voters; i++)
        if (service->evidence.sentinels[i].names_loopback && quorum_is_heard(&service->quorum, i, now_ms))
            return service_vote(service, i).addr;
    return NULL;
}

/* A Sentinel may be lost together with the master. Then `park` must not become shorter while clients wait. */
static void review_down_after(struct service *service, int64_t now_ms)
{
    uint32_t heard_ms = evidence_longest_down_after_ms(&service->evidence, &service->quorum, now_ms);

    if (heard_ms > service->down_after_ms || (heard_ms > 0 && !service->outage.is_running))
        service->down_after_ms = heard_ms;
}

void service_review(struct service *service, int64_t now_ms)
{
    review_down_after(service, now_ms);
    service->asks_all = quorum_take_ask_again(&service->quorum, now_ms) || service->asks_all;
    struct quorum_result quorum = quorum_evaluate(&service->quorum, now_ms);
    bool was_unnamed = service->policy.t_unnamed_ms != POLICY_NEVER;
    struct policy_ruling ruling = rule(service, &quorum, now_ms);
    struct service_decision after = decide(service, &quorum, &ruling, now_ms);

    if (quorum.verdict == QUORUM_WON && quorum.oldest_sent_ms > service->t_won_ms)
        service->t_won_ms = quorum.oldest_sent_ms;
    bool is_lost = !was_unnamed && service->policy.t_unnamed_ms != POLICY_NEVER;
    service->asks_witness = service->asks_witness || (is_lost && service->settings->policy.witness);
    if (quorum.verdict == QUORUM_WON || quorum.verdict == QUORUM_LOST)
        quorum_note_settled(&service->quorum);
    adopt(service, &after, ruling.candidate, now_ms);
    service_alarms_review(&service->alarms, service->settings, &service->decision, &quorum, now_ms);
    service_alarms_loopback(&service->alarms, service->settings, find_loopback(service, now_ms), now_ms);
}

void service_review_to_answer(struct service *service, int64_t now_ms)
{
    service->alarms.is_answering = true;
    service_review(service, now_ms);
    service->alarms.is_answering = false;
}

bool service_step(struct service *service, const struct service_event *event, int64_t now_ms)
{
    bool is_of_use = service_note_event(service, event, now_ms);

    if (is_of_use)
        service_review(service, now_ms);
    return is_of_use;
}

/* ---- what is asked for ---- */

bool service_take_ask_all(struct service *service)
{
    bool asks_all = service->asks_all;

    service->asks_all = false;
    return asks_all;
}

bool service_take_ask_witness(struct service *service)
{
    bool asks_witness = service->asks_witness;

    service->asks_witness = false;
    return asks_witness;
}

/* The silence from which on `down-after` is near: what is missing is the life of a vote, or less. */
static int64_t near_ms(const struct service *service)
{
    int64_t left_ms = service->settings->policy.down_after_ms - service->settings->quorum.vote_life_ms;

    return left_ms > SERVICE_WATCH_MS ? left_ms : SERVICE_WATCH_MS;
}

/* Whether a voter holds the master to be down, or has not heard it for nearly as long as `down-after`. */
static bool is_any_worried(const struct service *service, int64_t now_ms)
{
    const struct evidence *evidence = &service->evidence;

    for (unsigned i = 0; i < service->settings->quorum.voters; i++)
        if (evidence_is_down(evidence, i, service->subject, now_ms) ||
            evidence_silence_ms(evidence, i, service->subject, now_ms) >= near_ms(service))
            return true;
    return false;
}

bool service_wants_facts(const struct service *service, unsigned voter, bool is_sentry, int64_t now_ms)
{
    const struct policy_config *policy = &service->settings->policy;

    if (service->evidence.sentinels[voter].facts.is_o_down || service->decision.state == SERVICE_DOWN ||
        policy->early_fence)
        return true;
    return policy->down_after_ms > 0 &&
           (is_sentry || service_wants_witness(service) || is_any_worried(service, now_ms));
}

bool service_wants_witness(const struct service *service)
{
    return service->settings->policy.witness && service->decision.votes < service->settings->quorum.voters;
}

bool service_wants_replicas(const struct service *service, bool is_its_turn)
{
    return service->settings->replicas.is_enabled || (is_its_turn && !service->settings->allow_any_address);
}

bool service_wants_peers(const struct service *service)
{
    return service->settings->policy.witness_age_ms > 0 && service_wants_witness(service);
}

bool service_is_watchful(const struct service *service, unsigned voter, int64_t now_ms)
{
    int64_t limit_ms = service->settings->policy.down_after_ms;
    int64_t silence_ms = evidence_silence_ms(&service->evidence, voter, service->subject, now_ms);

    if (service->decision.ruled == SERVICE_WITNESSED)
        return service_wants_peers(service);
    if (limit_ms == 0 || silence_ms < near_ms(service))
        return false;
    /* One voter that is cut off from the master for hours is no reason. */
    return service->decision.state == SERVICE_DOWN ||
           silence_ms < limit_ms + service->settings->quorum.vote_life_ms ||
           !evidence_is_silent(&service->evidence, voter, service->subject, limit_ms, now_ms);
}

bool service_wants_min_replicas(const struct service *service, int64_t now_ms)
{
    return service->settings->policy.down_after_ms == 0 &&
           evidence_longest_down_after_ms(&service->evidence, &service->quorum, now_ms) >
               SERVICE_ALARMS_LOSS_MS;
}

int service_find_server(const struct service *service, const struct addr *addr)
{
    int32_t candidate = server_map_lookup(&service->map, addr);

    return server_map_is_mapped(&service->map, candidate) ? candidate : -1;
}

const struct node_word *service_node_word(const struct service *service, size_t server)
{
    return &service->node_words[server];
}

const char *service_server(const struct service *service, const struct addr *addr)
{
    return server_map_server(&service->map, service_find_server(service, addr));
}

bool service_is_same_node(const struct service *service, const struct addr *a, const struct addr *b)
{
    int server = service_find_server(service, a);

    return addr_equals(a, b) || (server != -1 && server == service_find_server(service, b));
}

struct vote service_vote(const struct service *service, unsigned voter)
{
    const struct quorum_vote *vote = &service->votes[voter];
    bool names = vote->ballot == QUORUM_NAMES;

    return (struct vote){
        .ballot = vote->ballot,
        .addr = names ? server_map_addr(&service->map, vote->candidate) : NULL,
        .t_sent_ms = vote->t_sent_ms,
    };
}

uint32_t service_down_after_ms(const struct service *service)
{
    return service->down_after_ms;
}

int64_t service_silence_ms(const struct service *service, unsigned voter, int64_t now_ms)
{
    const struct quorum_vote *vote = &service->votes[voter];

    return vote->ballot == QUORUM_NAMES
               ? evidence_silence_ms(&service->evidence, voter, vote->candidate, now_ms)
               : -1;
}

/* ---- for those who answer ---- */

static bool falls_back(const struct service *service)
{
    return service->settings->replicas.fall_back && service->decision.replicas == 0;
}

bool service_has_name(const struct service *service, enum service_role role)
{
    if (role == SERVICE_ROLE_REPLICA && !falls_back(service))
        return service->decision.replicas != 0;
    return service_state_names(service->decision.state);
}

bool service_is_open(const struct service *service, enum service_role role)
{
    bool is_of_replicas = role == SERVICE_ROLE_REPLICA && !falls_back(service);
    return service_has_name(service, role) && (is_of_replicas || service->decision.state != SERVICE_DOUBTED);
}

void service_note_waiting(struct service *service, enum service_role role,
                          const struct service_waiting *waiting)
{
    struct service_waiting *before = &service->waiting[role];

    if (role == SERVICE_ROLE_MASTER && service->outage.is_running && waiting->count > before->count)
        service->outage.waited += waiting->count - before->count;
    *before = *waiting;
}

void service_note_wait(struct service *service, enum service_role role, int64_t waited_ms)
{
    if (role == SERVICE_ROLE_MASTER)
        outage_note_wait(&service->outage, waited_ms);
}

void service_note_refusal(struct service *service)
{
    service->outage.refused += service->outage.is_running;
}

const struct service_waiting *service_waiting(const struct service *service, enum service_role role)
{
    return &service->waiting[role];
}

const struct outage *service_outage(const struct service *service)
{
    return &service->outage;
}

const struct outage_totals *service_outage_totals(const struct service *service)
{
    return &service->outages;
}

void service_note_first_answer(struct service *service, int64_t now_ms)
{
    struct service_change change = {
        .before = &service->decision,
        .after = &service->decision,
        .is_first_answer = true,
        .now_ms = now_ms,
    };

    notify_observers(service, &change);
}

void service_note_given_up(struct service *service, enum service_role role, int64_t after_ms, int64_t now_ms)
{
    service_alarms_given_up(&service->alarms, service->settings, role, after_ms, now_ms);
}

void service_note_sight(struct service *service, enum service_role role, enum service_sight sight,
                        int64_t now_ms)
{
    service_alarms_sight(&service->alarms, service->settings, role, sight, now_ms);
}
