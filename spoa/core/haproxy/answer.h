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

/* What is answered. */
struct answer_words {
    bool is_named;                /* it names a node */
    bool is_open;                 /* and a new connection may be sent there at once */
    uint16_t len;                 /* of `actions` */
    uint8_t actions[ACTIONS_MAX]; /* of an ACK */
};

static inline struct span answer_actions(const struct answer_words *words)
{
    return span_of(words->actions, words->len);
}

struct answer_replicas;

struct answer {
    /* Every question looks at these. */
    const struct service_decision *decision; /* the service's */
    bool is_stale;                           /* the decision has changed since `master` was written */
    bool is_first_due;                       /* no client was told of the last switch yet */
    struct answer_words master;              /* for that role */
    struct answer_counters counters;
    /* Few do at these. */
    struct service_observer observer;
    struct service *service;
    struct answer_replicas *replicas; /* NULL if the service has replicas disabled */
};

/* Begins to fetch from memory what answer_give() looks at, but for the beginning of `answer`. */
static inline void answer_fetch(const struct answer *answer)
{
    __builtin_prefetch(answer->decision);
    __builtin_prefetch(&answer->counters);
    __builtin_prefetch(answer->master.actions + 64);
}

/* Begins to observe `service`, which is borrowed. The answer must not move, and must outlive the service's
 * last change. False if memory is short. */
bool answer_init(struct answer *answer, struct service *service);
void answer_finish(struct answer *answer);

/* Takes over from `former`, the answer of the same service under another configuration: the counts, and
 * whether a first client is still to be told of the last switch. */
void answer_inherit(struct answer *answer, const struct answer *former);

/*
 * What to answer for this role; valid until the next call with this answer. If the decision has expired, the
 * service is reviewed first: no answer rests on expired votes, however late the timers are. Each answer that
 * names a replica takes the next one in turn. Allocates nothing.
 */
const struct answer_words *answer_give(struct answer *answer, enum service_role role, int64_t now_ms);

/*
 * What answer_give() would answer for the master, if that is known without work and a new connection may be sent there
 * at once; else NULL. It holds until the service changes or time passes.
 */
static inline const struct answer_words *answer_at_hand(const struct answer *answer, int64_t now_ms);

/* Notes that such an answer was sent to so many. */
static inline void answer_note_at_hand(struct answer *answer, uint64_t times, int64_t now_ms);

/* Notes that the last answer of answer_give() for this role was sent. `is_named`: it named a node. */
static inline void answer_note(struct answer *answer, enum service_role role, bool is_named, int64_t now_ms);

/* Tells the service's observers of the first answer after a switch. */
__attribute__((cold)) void answer_tell_first(struct answer *answer, int64_t now_ms);

static inline const struct answer_words *answer_at_hand(const struct answer *answer, int64_t now_ms)
{
    bool is_at_hand = !answer->is_stale && now_ms < answer->decision->review_ms && answer->master.is_open;

    return is_at_hand ? &answer->master : NULL;
}

static inline void answer_note_at_hand(struct answer *answer, uint64_t times, int64_t now_ms)
{
    answer->counters.masters[answer->decision->state] += times;
    if (answer->is_first_due)
        answer_tell_first(answer, now_ms);
}

static inline void answer_note(struct answer *answer, enum service_role role, bool is_named, int64_t now_ms)
{
    if (role == SERVICE_ROLE_REPLICA) {
        answer->counters.replicas_named += is_named;
        answer->counters.replicas_unnamed += !is_named;
        return;
    }
    answer->counters.masters[answer->decision->state]++;
    if (!is_named)
        service_note_refusal(answer->service);
    else if (answer->is_first_due)
        answer_tell_first(answer, now_ms);
}

#endif
