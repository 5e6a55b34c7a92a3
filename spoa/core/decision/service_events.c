#include "spoa/core/decision/service_events.h"

#include "spoa/core/decision/service_alarms.h"

/* Whether a vote, a report, the decision or the master named last still refers to `candidate`. */
static bool is_referred(const void *context, int32_t candidate)
{
    const struct service *service = context;

    if (service->current == candidate || service->subject == candidate ||
        evidence_is_about(&service->evidence, candidate) ||
        (service->replicas != NULL && replicas_is_about(service->replicas, candidate)))
        return true;
    for (unsigned i = 0; i < service->settings->quorum.voters; i++)
        if (service->votes[i].ballot == QUORUM_NAMES && service->votes[i].candidate == candidate)
            return true;
    return false;
}

int32_t service_find_candidate(struct service *service, const struct addr *addr)
{
    return server_map_find(&service->map, addr, is_referred, service);
}

/* ---- each of these records; false where the event was of no use ---- */

/*
 * Whether a voter on another host means itself, or its neighbour, by a loopback address, and we would take it
 * for our own host: also the map has no better address.
 */
static bool leads_astray(const struct service *service, const struct service_event *event, int32_t candidate)
{
    return event->is_remote && candidate != QUORUM_NO_CANDIDATE && addr_is_loopback(event->addr) &&
           addr_is_loopback(server_map_addr(&service->map, candidate));
}

static bool note_vote(struct service *service, const struct service_event *event, int64_t now_ms)
{
    struct quorum_vote vote = {
        .t_sent_ms = event->t_sent_ms,
        .candidate = QUORUM_NO_CANDIDATE,
        .ballot = event->ballot,
    };

    if (quorum_is_late(&service->settings->quorum, event->t_sent_ms, now_ms))
        return false;
    if (event->ballot == QUORUM_NAMES) {
        vote.candidate = service_find_candidate(service, event->addr);
        if (vote.candidate == QUORUM_NO_CANDIDATE)
            vote.ballot = QUORUM_INVALID;
    }
    service->evidence.sentinels[event->voter].names_loopback =
        event->ballot == QUORUM_NAMES && leads_astray(service, event, vote.candidate);
    enum quorum_receipt receipt =
        quorum_note_vote(&service->quorum, event->voter, &vote, service->current, now_ms);
    if (receipt == QUORUM_NEWS)
        service->asks_all = quorum_suspect(&service->quorum, now_ms) || service->asks_all;
    return receipt != QUORUM_DROPPED;
}

static void review_loss(struct service *service, int64_t now_ms)
{
    service_alarms_loss(&service->alarms, service->settings, &service->evidence, &service->quorum,
                        service->takes_lone_writes, now_ms);
}

static bool note_facts(struct service *service, const struct service_event *event, int64_t now_ms)
{
    int32_t candidate = service_find_candidate(service, event->addr);

    evidence_note_facts(&service->evidence, event->voter, candidate, event->facts, event->t_sent_ms);
    if (event->facts->is_failing_over && candidate != QUORUM_NO_CANDIDATE && candidate == service->current)
        policy_note_failover(&service->policy, candidate, now_ms);
    service_alarms_facts(&service->alarms, service->settings, &service->evidence, &service->quorum, now_ms);
    review_loss(service, now_ms);
    return true;
}

static bool note_view(struct service *service, const struct service_event *event)
{
    if (service->replicas == NULL)
        return false;
    const struct replicas_view view = {
        .t_sent_ms = event->t_sent_ms,
        .master = service_find_candidate(service, event->addr),
        .up = event->servers,
    };
    replicas_note_view(service->replicas, event->voter, &view);
    return true;
}

/* The decision does not depend on this, so nothing is evaluated. */
static bool note_strangers(struct service *service, const struct service_event *event, int64_t now_ms)
{
    struct sentinel_strangers *told = &service->evidence.sentinels[event->voter].strangers;
    const struct service_strangers *strangers = event->strangers;

    *told = (struct sentinel_strangers){.node = QUORUM_NO_CANDIDATE, .leader = QUORUM_NO_CANDIDATE};
    /* Each is kept at once: the next one must not get its place in the map. */
    if (strangers->node != NULL)
        told->node = service_find_candidate(service, strangers->node);
    if (strangers->leader != NULL)
        told->leader = service_find_candidate(service, strangers->leader);
    told->follower = strangers->follower;
    service_alarms_strangers(&service->alarms, service->settings, &service->map, &service->evidence,
                             &service->quorum, now_ms);
    return false;
}

/* Whether it is the master named last, or, with `role-check = require`, the one that would be. */
static bool is_of_subject(const struct service *service, int32_t candidate)
{
    return candidate != QUORUM_NO_CANDIDATE &&
           (candidate == service->current || candidate == service->subject);
}

static bool note_role(struct service *service, const struct service_event *event, int64_t now_ms)
{
    const struct node_report report = {
        .t_sent_ms = event->t_sent_ms,
        .candidate = server_map_lookup(&service->map, event->addr),
        .role = event->role,
    };

    if (report.candidate == QUORUM_NO_CANDIDATE)
        return false;
    if (is_of_subject(service, report.candidate))
        service_alarms_refusal(&service->alarms, service->settings, NULL, false, now_ms);
    evidence_note_role(&service->evidence, &report);
    doubt_end(&service->doubt, report.candidate);
    return true;
}

/* False where there is no doubt that it ends. */
static bool note_presence(struct service *service, const struct service_event *event, int64_t now_ms)
{
    int32_t candidate = server_map_lookup(&service->map, event->addr);

    if (!doubt_is_about(&service->doubt, candidate, now_ms))
        return false;
    doubt_end(&service->doubt, candidate);
    return true;
}

/* Whether an event is about the master named last. */
static bool is_of_current(const struct service *service, const struct service_event *event)
{
    return service->current != QUORUM_NO_CANDIDATE &&
           server_map_lookup(&service->map, event->addr) == service->current;
}

/* The decision does not depend on this, so nothing is evaluated. */
static bool note_word(struct service *service, const struct service_event *event, int64_t now_ms)
{
    int server = service_find_server(service, event->addr);

    if (server != -1)
        node_word_note(&service->node_words[server], event->saying, event->words,
                       service->settings->quorum.vote_life_ms, now_ms);
    return false;
}

/* Those that the master lists. */
static void note_listed(struct service *service, const int64_t *offsets, int64_t now_ms)
{
    for (size_t i = 0; i < service->settings->server_count && i < REPLICAS_MAX; i++)
        if (offsets[i] != REPLICA_NOT_CONNECTED)
            node_word_note(&service->node_words[i], NODE_LISTED, span_of("", 0),
                           service->settings->quorum.vote_life_ms, now_ms);
}

static bool note_offsets(struct service *service, const struct service_event *event, int64_t now_ms)
{
    if (!is_of_current(service, event))
        return false;
    note_listed(service, event->offsets, now_ms);
    if (service->replicas == NULL)
        return false;
    replicas_note_offsets(service->replicas, event->offset, event->offsets, event->t_sent_ms);
    service_alarms_offsets(&service->alarms, service->settings,
                           replicas_find_unlisted(service->replicas, service->current, now_ms),
                           event->unlisted, now_ms);
    return true;
}

/* The node is there, whatever it says. */
static bool note_no_role(struct service *service, const struct service_event *event, int64_t now_ms)
{
    if (is_of_subject(service, server_map_lookup(&service->map, event->addr)))
        service_alarms_refusal(&service->alarms, service->settings, &event->words, event->wants_password,
                               now_ms);
    return note_presence(service, event, now_ms);
}

/* The decision does not depend on this, so nothing is evaluated. */
static bool note_min_replicas(struct service *service, const struct service_event *event, int64_t now_ms)
{
    if (is_of_current(service, event)) {
        service->takes_lone_writes = !event->is_so;
        review_loss(service, now_ms);
    }
    return false;
}

static bool note_failover(struct service *service, const struct service_event *event, int64_t now_ms)
{
    if (!is_of_current(service, event))
        return false;
    policy_note_failover(&service->policy, service->current, now_ms);
    return true;
}

static bool note_link(struct service *service, const struct service_event *event, int64_t now_ms)
{
    int32_t candidate = server_map_lookup(&service->map, event->addr);
    int64_t park_ms = service->decision.park_ms;

    if (event->kind == SERVICE_LINK_REFUSED)
        return doubt_confirm(&service->doubt, candidate, event->until_ms, park_ms, service->down_after_ms,
                             now_ms);
    doubt_begin(&service->doubt, candidate, event->kind == SERVICE_LINK_SILENT ? DOUBT_SILENT : DOUBT_CLOSED,
                park_ms, now_ms);
    return true;
}

static void forget_voter(struct service *service, unsigned voter)
{
    quorum_forget(&service->quorum, voter);
    evidence_forget(&service->evidence, voter);
    if (service->replicas != NULL)
        replicas_forget(service->replicas, voter);
}

bool service_is_said_by_voter(enum service_event_kind kind)
{
    switch (kind) {
    case SERVICE_SAID_MASTER:
    case SERVICE_SAID_FACTS:
    case SERVICE_SAID_WITNESS:
    case SERVICE_SAID_PEERS:
    case SERVICE_SAID_REPLICAS:
    case SERVICE_SAID_STRANGERS:
        return true;
    case SERVICE_SAID_ROLE:
    case SERVICE_SAID_OFFSETS:
    case SERVICE_SAID_MIN_REPLICAS:
    case SERVICE_SAID_NO_ROLE:
    case SERVICE_SAID_ANYTHING:
    case SERVICE_NODE_WORD:
    case SERVICE_LINK_CLOSED:
    case SERVICE_LINK_SILENT:
    case SERVICE_LINK_REFUSED:
    case SERVICE_FAILOVER_BEGINS:
    case SERVICE_VOTER_REFUSES:
    case SERVICE_VOTER_REFUSES_US:
    case SERVICE_VOTER_FORGOTTEN:
        return false;
    }
    return false;
}

bool service_note_event(struct service *service, const struct service_event *event, int64_t now_ms)
{
    switch (event->kind) {
    case SERVICE_SAID_MASTER:
        return note_vote(service, event, now_ms);
    case SERVICE_SAID_FACTS:
        return note_facts(service, event, now_ms);
    case SERVICE_SAID_WITNESS:
        evidence_note_witness(&service->evidence, event->voter, event->is_so, event->t_sent_ms);
        return true;
    case SERVICE_SAID_PEERS:
        evidence_note_peers(&service->evidence, event->voter, event->age_ms, event->t_sent_ms);
        return true;
    case SERVICE_SAID_REPLICAS:
        return note_view(service, event);
    case SERVICE_SAID_STRANGERS:
        return note_strangers(service, event, now_ms);
    case SERVICE_SAID_ROLE:
        return note_role(service, event, now_ms);
    case SERVICE_SAID_NO_ROLE:
        return note_no_role(service, event, now_ms);
    case SERVICE_SAID_OFFSETS:
        return note_offsets(service, event, now_ms);
    case SERVICE_SAID_MIN_REPLICAS:
        return note_min_replicas(service, event, now_ms);
    case SERVICE_SAID_ANYTHING:
        return note_presence(service, event, now_ms);
    case SERVICE_NODE_WORD:
        return note_word(service, event, now_ms);
    case SERVICE_LINK_CLOSED:
    case SERVICE_LINK_SILENT:
    case SERVICE_LINK_REFUSED:
        return note_link(service, event, now_ms);
    case SERVICE_FAILOVER_BEGINS:
        return note_failover(service, event, now_ms);
    case SERVICE_VOTER_REFUSES:
        quorum_note_refusal(&service->quorum, event->voter, event->is_so);
        return true;
    case SERVICE_VOTER_REFUSES_US:
        quorum_note_refusal_of_us(&service->quorum, event->voter, event->is_so);
        return true;
    case SERVICE_VOTER_FORGOTTEN:
        forget_voter(service, event->voter);
        return true;
    }
    return false;
}
