/*
 * A service: one monitored master, the votes on it, the server map, the decision and the answer prepared from
 * it. It tells its observers of every change and knows none of them.
 */
#ifndef SPOA_CORE_SERVICE_H
#define SPOA_CORE_SERVICE_H

#include "proto/addr.h"
#include "proto/span.h"
#include "spoa/core/answer.h"
#include "spoa/core/quorum.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The states that HAProxy sees in the variable `state`. */
#define SERVICE_STATES(X)                                                                                    \
    X(STARTING, "starting")                                                                                  \
    X(OK, "ok")                                                                                              \
    X(PENDING, "pending")                                                                                    \
    X(NO_QUORUM, "no-quorum")                                                                                \
    X(UNKNOWN_ADDRESS, "unknown-address")

enum service_state {
#define X(name, text) SERVICE_##name,
    SERVICE_STATES(X)
#undef X
};

/* One line of the server map: the address as Sentinel says it, and the name that HAProxy has for it. */
struct service_server {
    const char *name; /* borrowed from the configuration */
    struct addr addr;
};

struct service_settings {
    const char *name;    /* what HAProxy asks for */
    const char *monitor; /* what Sentinel calls it */
    const struct service_server *servers;
    size_t server_count;
    bool allow_any_address; /* name addresses outside the map too, without a server name */
    struct quorum_config quorum;
};

/* What is answered now, and why. */
struct service_decision {
    enum service_state state;
    enum quorum_reason reason; /* with SERVICE_NO_QUORUM */
    const struct addr *addr;   /* OK: the master. UNKNOWN_ADDRESS: what a majority names. Else NULL */
    const char *server;        /* OK: the master's server, NULL where it is outside the map. Else NULL */
    unsigned votes;            /* with `addr` */
    int64_t oldest_sent_ms;    /* with `addr`: when the oldest of these votes was asked for */
    uint64_t generation;       /* switches so far; the first master counts as one */
    int64_t review_ms;         /* the decision must not be used from this time on */
};

/* What an observer is told. */
struct service_change {
    const struct service_decision *before;
    const struct service_decision *after;
    bool switched;               /* another master than the one named last, however long ago that was */
    const struct addr *replaced; /* with `switched`: the master named before, NULL for the first one */
    const char *replaced_server; /* its server, or NULL */
    int64_t now_ms;
};

struct service;

/* Called after every change of state, reason, votes or master; the pointers are valid during the call. */
struct service_observer {
    void (*changed)(struct service_observer *self, const struct service *service,
                    const struct service_change *change);
    struct service_observer *next;
};

/* What a voter says of the service's master. */
struct service_ballot {
    enum quorum_ballot ballot;
    const struct addr *addr; /* with QUORUM_NAMES */
    int64_t t_sent_ms;
};

/* `settings` and what they point to must outlive the service. NULL where memory is short. */
struct service *service_create(const struct service_settings *settings, int64_t now_ms);
void service_destroy(struct service *service); /* NULL is fine */

/* Adds an observer, which must outlive the service. */
void service_observe(struct service *service, struct service_observer *observer);

const struct service_settings *service_settings(const struct service *service);

/* The decision as it stood at the last evaluation. */
const struct service_decision *service_decision(const struct service *service);

/*
 * Records what `voter` said and evaluates. `identities` as in quorum_evaluate(). `*ret_ask_all` is true where
 * all voters must be asked at once because this one disagrees.
 */
enum quorum_receipt service_vote(struct service *service, unsigned voter, const struct service_ballot *ballot,
                                 const uint8_t *identities, int64_t now_ms, bool *ret_ask_all);

/* Drops the vote of `voter`, which turned out to be another Sentinel than before, and evaluates. */
void service_forget(struct service *service, unsigned voter, const uint8_t *identities, int64_t now_ms);

/* Evaluates: to be called when decision->review_ms has come, or identities changed. */
void service_review(struct service *service, const uint8_t *identities, int64_t now_ms);

/*
 * The actions of an ACK for this service, valid until the next call that takes the service. Reviews first where
 * the decision has run out, so an answer never rests on expired votes, however late the timers are.
 */
struct span service_answer(struct service *service, const uint8_t *identities, int64_t now_ms);

const char *service_state_text(enum service_state state);

/* "", "unreachable", "disagree", "unknown-name". */
const char *service_reason_text(enum quorum_reason reason);

#endif
