/*
 * The answers of one service: the actions that tell its decision, whose turn it is among the replicas, and how often what
 * was answered. An observer of the service: after a change the actions are written again with the next answer.
 */
#ifndef SPOA_CORE_HAPROXY_ANSWER_H
#define SPOA_CORE_HAPROXY_ANSWER_H

#include "proto/span.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/haproxy/actions.h"

#include <stdbool.h>
#include <stdint.h>

/* Answers that went out. */
struct answer_counters {
    uint64_t masters[SERVICE_STATE_COUNT]; /* for the master, by the state that was told */
    uint64_t replicas_named;
    uint64_t replicas_unnamed;
};

struct answer_replicas;

struct answer {
    struct service_observer observer;
    struct service *service;
    const struct service_decision *decision; /* the service's */
    bool is_stale;                           /* the decision has changed since `actions` was written */
    bool is_first_due;                       /* nobody was told of the last switch yet */
    uint8_t len;
    uint8_t actions[ACTIONS_MAX]; /* who is the master */
    struct answer_counters counters;
    struct answer_replicas *replicas; /* NULL: the service has them disabled */
};

/* Begins to observe `service`, which is borrowed. The answer must not move, and must outlive the service's last change. False
 * where memory is short. */
bool answer_init(struct answer *answer, struct service *service);
void answer_finish(struct answer *answer);

/* Goes on counting where `former`, of the same service under another configuration, stands now. */
void answer_inherit(struct answer *answer, const struct answer *former);

/*
 * The actions of an ACK, valid until the next call that takes the answer. Reviews the service first where its decision has
 * run out, so no answer rests on expired votes, however late the timers are. Each answer that names a replica names the
 * next one. Allocates nothing.
 */
struct span answer_give(struct answer *answer, enum service_role role, int64_t now_ms);

/* What answer_give() said last for this role went out; `is_named`: it named a node. */
void answer_note(struct answer *answer, enum service_role role, bool is_named, int64_t now_ms);

#endif
