/*
 * The last switches and how each went: when the old master was doubted or no longer named, when the new one
 * was named, when the sessions to the old one were cut, and when the first answer with the new name was sent.
 * Pure: time is an argument.
 */
#ifndef SPOA_CORE_OBSERVERS_HISTORY_H
#define SPOA_CORE_OBSERVERS_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spoa/core/decision/service.h"

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

/* All zero is an empty history. */
struct history {
    uint64_t count; /* of all switches so far; the last HISTORY_LENGTH are kept */
    struct history_switch switches[HISTORY_LENGTH];
};

/* Observes one service; must not move. */
struct history_watch {
    struct service_observer observer;
    struct history *history;
    int64_t t_suspected_ms; /* HISTORY_NEVER while the master is named without a doubt */
};

/* Begins to observe `service`. `history` and `service` are borrowed. `former` observed the same service
 * under another configuration, or is NULL. */
void history_watch_service(struct history_watch *watch, struct history *history, struct service *service,
                           const struct history_watch *former);

/* HAProxy has cut the sessions to `server` of `service`. */
void history_note_cut(struct history *history, const char *service, const char *server, int64_t now_ms);

/* The switch `back` places before the last one; NULL if it is not kept or there is none. */
const struct history_switch *history_get(const struct history *history, size_t back);

#endif
