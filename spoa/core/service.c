#include "spoa/core/service.h"

#include <stdlib.h>
#include <string.h>

/*
 * Candidates of the quorum are indices: first the servers of the map, then places for addresses outside it. A
 * place is taken while a vote, the decision or the master named last refers to it, so one for each of these and
 * one for a newcomer always suffice. They are made when the first such address turns up.
 */
struct service {
    const struct service_settings *settings;
    struct service_observer *observers;
    struct quorum quorum;
    struct service_decision decision;
    struct addr *strangers; /* settings->quorum.voters + 3 of them, or NULL */
    int32_t current;        /* the candidate named last, QUORUM_NO_CANDIDATE before the first */
    int32_t winner;         /* the candidate that the decision is about, or QUORUM_NO_CANDIDATE */
    size_t answer_len;
    uint8_t answer[ANSWER_MAX];
    struct quorum_vote votes[];
};

const char *service_state_text(enum service_state state)
{
    static const char *const texts[] = {
#define X(name, text) [SERVICE_##name] = (text),
        SERVICE_STATES(X)
#undef X
    };
    return texts[state];
}

const char *service_reason_text(enum quorum_reason reason)
{
    switch (reason) {
    case QUORUM_REASON_NONE:
        break;
    case QUORUM_UNREACHABLE:
        return "unreachable";
    case QUORUM_DISAGREE:
        return "disagree";
    case QUORUM_UNKNOWN:
        return "unknown-name";
    }
    return "";
}

static bool is_named(const struct service_decision *decision)
{
    return decision->state == SERVICE_OK;
}

static void prepare_answer(struct service *service)
{
    const struct service_decision *decision = &service->decision;
    struct answer answer = {
        .state = service_state_text(decision->state),
        .server = decision->server,
        .addr = is_named(decision) ? decision->addr : NULL,
        .votes = decision->votes,
        .generation = decision->generation,
    };

    service->answer_len = answer_encode(&answer, service->answer);
}

struct service *service_create(const struct service_settings *settings, int64_t now_ms)
{
    size_t votes_size = settings->quorum.voters * sizeof(struct quorum_vote);
    struct service *service = calloc(1, sizeof(*service) + votes_size);

    if (service == NULL)
        return NULL;
    service->settings = settings;
    service->current = QUORUM_NO_CANDIDATE;
    service->winner = QUORUM_NO_CANDIDATE;
    quorum_init(&service->quorum, &settings->quorum, service->votes, now_ms);
    service->decision = (struct service_decision){.state = SERVICE_STARTING, .review_ms = now_ms};
    prepare_answer(service);
    return service;
}

void service_destroy(struct service *service)
{
    if (service == NULL)
        return;
    free(service->strangers);
    free(service);
}

void service_observe(struct service *service, struct service_observer *observer)
{
    observer->next = service->observers;
    service->observers = observer;
}

const struct service_settings *service_settings(const struct service *service)
{
    return service->settings;
}

const struct service_decision *service_decision(const struct service *service)
{
    return &service->decision;
}

/* Whether a vote, the decision or the master named last still refers to `candidate`. */
static bool is_referred(const struct service *service, int32_t candidate)
{
    if (service->current == candidate || service->winner == candidate)
        return true;
    for (unsigned i = 0; i < service->settings->quorum.voters; i++)
        if (service->votes[i].ballot == QUORUM_NAMES && service->votes[i].candidate == candidate)
            return true;
    return false;
}

/* The candidate for an address outside the map; QUORUM_NO_CANDIDATE where memory is short. */
static int32_t find_stranger(struct service *service, const struct addr *addr)
{
    int32_t places = (int32_t)service->settings->quorum.voters + 3;
    int32_t base = (int32_t)service->settings->server_count;
    int32_t vacant = QUORUM_NO_CANDIDATE;

    if (service->strangers == NULL)
        service->strangers = calloc((size_t)places, sizeof(*service->strangers));
    if (service->strangers == NULL)
        return QUORUM_NO_CANDIDATE;
    for (int32_t i = 0; i < places; i++) {
        if (!is_referred(service, base + i))
            vacant = i;
        else if (addr_equals(&service->strangers[i], addr))
            return base + i;
    }
    if (vacant == QUORUM_NO_CANDIDATE)
        return QUORUM_NO_CANDIDATE;
    service->strangers[vacant] = *addr;
    return base + vacant;
}

static int32_t find_candidate(struct service *service, const struct addr *addr)
{
    const struct service_settings *settings = service->settings;

    for (size_t i = 0; i < settings->server_count; i++)
        if (addr_equals(&settings->servers[i].addr, addr))
            return (int32_t)i;
    return find_stranger(service, addr);
}

static const struct addr *candidate_addr(const struct service *service, int32_t candidate)
{
    size_t servers = service->settings->server_count;

    if (candidate == QUORUM_NO_CANDIDATE)
        return NULL;
    if ((size_t)candidate < servers)
        return &service->settings->servers[candidate].addr;
    return &service->strangers[(size_t)candidate - servers];
}

static const char *candidate_server(const struct service *service, int32_t candidate)
{
    if (candidate == QUORUM_NO_CANDIDATE || (size_t)candidate >= service->settings->server_count)
        return NULL;
    return service->settings->servers[candidate].name;
}

/* Whether set-dst can use the address; with the unspecified one HAProxy would connect to itself. */
static bool is_numeric(const struct addr *addr)
{
    static const uint8_t unspecified[sizeof(addr->ip)] = {0};

    return (addr->kind == ADDR_IPV4 || addr->kind == ADDR_IPV6) &&
           memcmp(addr->ip, unspecified, sizeof(unspecified)) != 0;
}

/* The state that a won quorum leads to: the map has the last word. */
static enum service_state judge_winner(const struct service *service, int32_t winner)
{
    if ((size_t)winner < service->settings->server_count)
        return SERVICE_OK;
    bool is_allowed = service->settings->allow_any_address && is_numeric(candidate_addr(service, winner));
    return is_allowed ? SERVICE_OK : SERVICE_UNKNOWN_ADDRESS;
}

static struct service_decision decide(const struct service *service, const struct quorum_result *result)
{
    static const enum service_state states[] = {
        [QUORUM_STARTING] = SERVICE_STARTING,
        [QUORUM_PENDING] = SERVICE_PENDING,
        [QUORUM_LOST] = SERVICE_NO_QUORUM,
    };
    struct service_decision decision = {
        .reason = result->reason,
        .generation = service->decision.generation,
        .review_ms = result->review_ms,
    };

    if (result->verdict != QUORUM_WON) {
        decision.state = states[result->verdict];
        return decision;
    }
    decision.state = judge_winner(service, result->winner);
    decision.addr = candidate_addr(service, result->winner);
    decision.votes = result->votes;
    decision.oldest_sent_ms = result->oldest_sent_ms;
    if (is_named(&decision))
        decision.server = candidate_server(service, result->winner);
    return decision;
}

static void notify_observers(const struct service *service, const struct service_change *change)
{
    struct service_observer *next;

    for (struct service_observer *observer = service->observers; observer != NULL; observer = next) {
        next = observer->next;
        observer->changed(observer, service, change);
    }
}

void service_review(struct service *service, const uint8_t *identities, int64_t now_ms)
{
    struct quorum_result result = quorum_evaluate(&service->quorum, identities, now_ms);
    struct service_decision before = service->decision;
    struct service_decision after = decide(service, &result);
    int32_t previous = service->current;
    bool switched = is_named(&after) && result.winner != previous;

    if (result.verdict == QUORUM_WON || result.verdict == QUORUM_LOST)
        quorum_settle(&service->quorum);
    if (switched) {
        after.generation++;
        service->current = result.winner;
    }
    service->decision = after;
    service->winner = result.winner;
    if (after.state == before.state && after.reason == before.reason && after.addr == before.addr &&
        !switched && after.votes == before.votes)
        return;
    prepare_answer(service);
    struct service_change change = {
        .before = &before,
        .after = &service->decision,
        .switched = switched,
        .replaced = switched ? candidate_addr(service, previous) : NULL,
        .replaced_server = switched ? candidate_server(service, previous) : NULL,
        .now_ms = now_ms,
    };
    notify_observers(service, &change);
}

enum quorum_receipt service_vote(struct service *service, unsigned voter, const struct service_ballot *ballot,
                                 const uint8_t *identities, int64_t now_ms, bool *ret_ask_all)
{
    struct quorum_vote vote = {
        .t_sent_ms = ballot->t_sent_ms,
        .candidate = QUORUM_NO_CANDIDATE,
        .ballot = ballot->ballot,
    };

    *ret_ask_all = false;
    if (quorum_is_late(&service->settings->quorum, ballot->t_sent_ms, now_ms))
        return QUORUM_DROPPED;
    if (ballot->ballot == QUORUM_NAMES) {
        vote.candidate = find_candidate(service, ballot->addr);
        if (vote.candidate == QUORUM_NO_CANDIDATE)
            vote.ballot = QUORUM_INVALID;
    }
    enum quorum_receipt receipt = quorum_record(&service->quorum, voter, &vote, service->current, now_ms);
    if (receipt == QUORUM_DROPPED)
        return receipt;
    if (receipt == QUORUM_NEWS)
        *ret_ask_all = quorum_suspect(&service->quorum, now_ms);
    service_review(service, identities, now_ms);
    return receipt;
}

void service_forget(struct service *service, unsigned voter, const uint8_t *identities, int64_t now_ms)
{
    quorum_forget(&service->quorum, voter);
    service_review(service, identities, now_ms);
}

struct span service_answer(struct service *service, const uint8_t *identities, int64_t now_ms)
{
    if (now_ms >= service->decision.review_ms)
        service_review(service, identities, now_ms);
    return span_of(service->answer, service->answer_len);
}
