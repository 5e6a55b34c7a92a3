/*
 * An outage: the time in which new clients of a service cannot be sent to a master at once, and what clients felt of
 * it. It begins when nobody is named any more, or when the node that is named is in doubt. It ends when a master is
 * named without a doubt. The start of the agent is none. Pure: time is an argument.
 */
#ifndef SPOA_CORE_DECISION_OUTAGE_H
#define SPOA_CORE_DECISION_OUTAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/addr.h"
#include "spoa/core/decision/doubt.h"
#include "spoa/core/decision/service_state.h"

/* The clients whose answer is kept back now. */
struct service_waiting {
    size_t count;
    int64_t oldest_ms; /* since when the first of them waits; valid if there is one */
};

/* All zero: there was none yet. */
struct outage {
    bool is_running;
    bool is_grave;            /* nobody was named, and that was more than a question to all voters */
    bool has_former;          /* `former` is valid */
    bool has_state;           /* the next three are valid */
    enum service_state state; /* with which it began: see outage_note_state() */
    enum service_reason reason;
    enum doubt_cause doubt_cause; /* with SERVICE_DOUBTED */
    int64_t t_begun_ms;
    int64_t t_down_ms;       /* when a majority first held the master to be down; INT64_MIN: it did not */
    int64_t t_ended_ms;      /* valid once it is over */
    uint64_t waited;         /* clients that had to wait for the master */
    uint64_t refused;        /* clients that were told nobody */
    int64_t longest_wait_ms; /* of one of those clients, as far as it is over */
    struct addr former;      /* the master that was named last when it began */
};

/* All outages of a service that are over and were felt. */
struct outage_totals {
    uint64_t count;
    uint64_t ms;
};

/* `former` is the master that was named last, or NULL. `waiting` wait already. */
void outage_begin(struct outage *outage, const struct addr *former, const struct service_waiting *waiting,
                  int64_t now_ms);

/*
 * The state in which the service is now, with its reason, and the cause of a doubt. The first one is kept that says
 * more: a doubt says more than a question that is still open, and that nobody can be named says more than a doubt.
 */
void outage_note_state(struct outage *outage, enum service_state state, enum service_reason reason,
                       enum doubt_cause doubt_cause, int64_t now_ms);

/* The reason for the state with which it began, as service_decision_reason() has it: a static text. */
const char *outage_reason_text(const struct outage *outage);

/* A client waited for so long, and waits no more. */
void outage_note_wait(struct outage *outage, int64_t waited_ms);

/* It is over. Those of `waiting` that are left are answered now. It is added to `totals` if it was felt. */
void outage_end(struct outage *outage, const struct service_waiting *waiting, struct outage_totals *totals,
                int64_t now_ms);

/* Whether it matters to anybody: a client waited or was refused, or would have been. A short doubt or suspicion of
 * which no client learned does not. */
bool outage_is_felt(const struct outage *outage);

/* How long it took, or takes until now, in ms. */
int64_t outage_length_ms(const struct outage *outage, int64_t now_ms);

/* The longest wait, in ms. While it runs, those of `waiting` count. */
int64_t outage_longest_wait_ms(const struct outage *outage, const struct service_waiting *waiting,
                               int64_t now_ms);

#endif
