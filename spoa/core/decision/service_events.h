/*
 * What a service consists of, and how an event is recorded in it. For service.c, which evaluates afterwards;
 * nobody else includes this.
 */
#ifndef SPOA_CORE_DECISION_SERVICE_EVENTS_H
#define SPOA_CORE_DECISION_SERVICE_EVENTS_H

#include "spoa/core/decision/service.h"

struct service {
    /* Every answer looks at the decision. With thousands of services it is memory that takes time. */
    struct service_decision decision;
    const struct service_settings *settings;
    struct service_observer *observers;
    struct service_observer *held; /* they wait for handover() */
    struct server_map map;
    struct quorum quorum;
    struct evidence evidence;
    struct policy policy;
    struct replicas *replicas; /* NULL: not enabled */
    struct alarms alarms;
    int32_t current; /* the candidate named last, QUORUM_NO_CANDIDATE before the first */
    int32_t subject; /* the candidate that the decision is about, or QUORUM_NO_CANDIDATE */
    struct doubt doubt;
    struct outage outage; /* the last one */
    struct outage_totals outages;
    struct service_waiting waiting[SERVICE_ROLES];
    int64_t t_won_ms;       /* asked since then, a majority named a master; INT64_MIN: it never did */
    uint32_t down_after_ms; /* see service_down_after_ms() */
    bool holds_observers;
    bool asks_all;
    bool asks_witness;
    bool takes_lone_writes;       /* `current` said that it takes writes while no replica follows it */
    struct node_word *node_words; /* one per server, behind the reports of the evidence */
    struct quorum_vote votes[];   /* the reports follow */
};

/*
 * The candidate with this address, a new one where it is not known yet; QUORUM_NO_CANDIDATE where there is no
 * room.
 */
int32_t service_find_candidate(struct service *service, const struct addr *addr);

/* Records an event; false where it was of no use. The caller evaluates. */
bool service_note_event(struct service *service, const struct service_event *event, int64_t now_ms);

#endif
