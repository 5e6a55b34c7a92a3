/*
 * The last switches and the last outages. How each switch went: when the old master was doubted or no longer named,
 * when the new one was named, when the sessions to the old one were cut, and when the first answer with the new name
 * was sent. What clients felt of each outage, whether a switch ended it or not, and of a whole day in quarters of an
 * hour. Pure: time is an argument.
 */
#ifndef SPOA_CORE_OBSERVERS_HISTORY_H
#define SPOA_CORE_OBSERVERS_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spoa/core/decision/service.h"
#include "spoa/core/observers/quarters.h"

#define HISTORY_LENGTH 32
#define HISTORY_NAME_MAX 200 /* CONFIG_NAME_MAX */
#define HISTORY_NEVER INT64_MIN

/* One switch. It holds copies, because the configuration may have changed since. */
struct history_switch {
    char service[HISTORY_NAME_MAX + 1];
    char old_server[SERVER_NAME_MAX + 1]; /* "" for the first master, or one outside the map */
    char new_server[SERVER_NAME_MAX + 1];
    char old_addr[ADDR_TEXT_MAX];
    char new_addr[ADDR_TEXT_MAX];
    uint64_t generation;
    int64_t t_suspected_ms; /* until then the old master was named without a doubt */
    int64_t t_named_ms;
    int64_t t_cut_ms;   /* when HAProxy confirmed the cut; HISTORY_NEVER: not yet, or no cut was asked for */
    int64_t t_first_ms; /* when the first client was told; HISTORY_NEVER: none yet */
};

/* One outage that is over and was felt (decision/outage.h). It holds copies for the same reason. */
struct history_outage {
    char service[HISTORY_NAME_MAX + 1];
    enum service_state state;             /* with which it began */
    const char *reason;                   /* for that state: a static text */
    char old_server[SERVER_NAME_MAX + 1]; /* of the master before it; "" as above */
    char new_server[SERVER_NAME_MAX + 1]; /* of the master after it */
    char old_addr[ADDR_TEXT_MAX];
    char new_addr[ADDR_TEXT_MAX];
    int64_t t_begun_ms;
    int64_t t_down_ms; /* when a majority held the master to be down; HISTORY_NEVER: it did not */
    int64_t t_ended_ms;
    uint64_t waited;
    uint64_t refused;
    int64_t longest_wait_ms;
};

/* All zero is an empty history. */
struct history {
    uint64_t count; /* of all switches so far; the last HISTORY_LENGTH are kept */
    struct history_switch switches[HISTORY_LENGTH];
    uint64_t outage_count; /* the same of outages */
    struct history_outage outages[HISTORY_LENGTH];
    struct quarters quarters;
    bool may_run;           /* an outage may go on: see history_tick() */
    uint64_t ended_refused; /* clients refused in all outages that are over */
    uint64_t seen_refused;  /* the same, and those of `struct history_felt`, at the last tick */
};

/* What clients feel of all outages that go on. All zero: there is none. */
struct history_felt {
    bool is_any;
    bool is_felt;
    uint64_t refused; /* also those that were refused for another cause, as the caller counts them */
};

/* Observes one service; must not move. */
struct history_watch {
    struct service_observer observer;
    struct history *history;
};

/* Begins to observe `service`. `history` and `service` are borrowed. */
void history_watch_service(struct history_watch *watch, struct history *history, struct service *service);

/* Whether history_tick() must be told of the outages that go on. Most of the time it need not. */
bool history_wants_outages(const struct history *history);

/* Adds the outage of a service, if it goes on. */
void history_felt_add(struct history_felt *felt, const struct outage *outage);

/* To be called several times a second. `felt` has the outages of all services, if they are wanted, and who was refused
 * for another cause since the start. */
void history_tick(struct history *history, const struct history_felt *felt, int64_t now_ms);

/* HAProxy has cut the sessions to `server` of `service`. */
void history_note_cut(struct history *history, const char *service, const char *server, int64_t now_ms);

/* The switch `back` places before the last one; NULL if it is not kept or there is none. */
const struct history_switch *history_get(const struct history *history, size_t back);

/* The same for outages. */
const struct history_outage *history_get_outage(const struct history *history, size_t back);

/* What clients felt of a switch; NULL where they felt nothing, or it is not kept. */
const struct history_outage *history_find_outage(const struct history *history,
                                                 const struct history_switch *entry);

#endif
