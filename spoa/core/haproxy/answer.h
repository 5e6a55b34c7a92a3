/*
 * The answers of one service: the actions that tell its decision, the turn among its replicas, and the counts
 * of what was answered. It observes the service: after a change, the next answer writes the actions again.
 */
#ifndef SPOA_CORE_HAPROXY_ANSWER_H
#define SPOA_CORE_HAPROXY_ANSWER_H

#include "proto/span.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/haproxy/actions.h"

#include <stdbool.h>
#include <stdint.h>

/* Counts of the answers that were sent. */
struct answer_counters {
    uint64_t masters[SERVICE_STATE_COUNT]; /* for the master, by the state that was answered */
    uint64_t replicas_named;
    uint64_t replicas_unnamed;
};

struct answer_replicas;

struct answer {
    struct service_observer observer;
    struct service *service;
    const struct service_decision *decision; /* the service's */
    bool is_stale;                           /* the decision has changed since `actions` was written */
    bool is_first_due;                       /* no client was told of the last switch yet */
    /* For the role master: */
    bool is_named;
    bool is_open;
    uint8_t len;
    uint8_t actions[ACTIONS_MAX];
    struct answer_counters counters;
    struct answer_replicas *replicas; /* NULL if the service has replicas disabled */
};

/* Begins to observe `service`, which is borrowed. The answer must not move, and must outlive the service's
 * last change. False if memory is short. */
bool answer_init(struct answer *answer, struct service *service);
void answer_finish(struct answer *answer);

/* Takes over from `former`, the answer of the same service under another configuration: the counts, and
 * whether a first client is still to be told of the last switch. */
void answer_inherit(struct answer *answer, const struct answer *former);

/* What to answer. */
struct answer_given {
    struct span actions; /* of an ACK; valid until the next answer_give() with this answer */
    bool is_named;       /* they name a node */
    bool is_open;        /* and a new connection may be sent there at once */
};

/*
 * What to answer for this role. If the decision has expired, the service is reviewed first: no answer rests on expired votes, however late the timers are. Each answer that names a
 * replica takes the next one in turn. Allocates nothing.
 */
struct answer_given answer_give(struct answer *answer, enum service_role role, int64_t now_ms);

/* Notes that the last answer of answer_give() for this role was sent. `is_named`: it named a node. */
void answer_note(struct answer *answer, enum service_role role, bool is_named, int64_t now_ms);

#endif
