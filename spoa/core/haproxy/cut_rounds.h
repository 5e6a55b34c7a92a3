/*
 * The rounds of calls to each HAProxy. A round is a cut of all sessions that are due, or a trial that finds
 * out whether the HAProxy can cut. This module watches the services and knows the debts (cut_debts.h). It
 * says which round is next and when, and keeps the health of each HAProxy (runtime_health.h). Its caller
 * makes the calls. There is at most one round at a time for each HAProxy. Pure: time is an argument.
 */
#ifndef SPOA_CORE_HAPROXY_CUT_ROUNDS_H
#define SPOA_CORE_HAPROXY_CUT_ROUNDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/must_check.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/haproxy/runtime_health.h"
#include "spoa/core/haproxy/runtime_visit.h"

/* The time between two trials of a HAProxy that can cut, and of one that cannot. */
#define CUT_TRIAL_MS 60000
#define CUT_TRIAL_AGAIN_MS 1000

struct cut_rounds_options {
    /* One for each HAProxy, initialised. Other functions take the place in this list as `api`. */
    struct runtime_health *healths;
    size_t api_count;
    struct metrics *metrics;
    /* A service has changed, so a round may be due earlier than cut_rounds_due_ms() said before. */
    void (*on_change)(void *context);
    /* Every HAProxy has cut the sessions to this server. */
    void (*on_cut)(void *context, const char *service, const char *server, int64_t now_ms);
    void *context;
};

struct cut_rounds;

/* All in `options` is borrowed. NULL if memory is short. */
MUST_CHECK struct cut_rounds *cut_rounds_create(const struct cut_rounds_options *options);
void cut_rounds_destroy(struct cut_rounds *rounds); /* NULL is fine */

/* Adds a service. Each of the backends has all its servers. All is borrowed. The service must not change any
 * more when `rounds` is destroyed. To be called before cut_rounds_start(). False if memory is short. */
MUST_CHECK bool cut_rounds_watch(struct cut_rounds *rounds, struct service *service, char *const *backends,
                                 size_t backend_count);

/*
 * Services begin to move from one configuration to the next, one after another. `former` goes on until all have: it cuts,
 * and knows what is owed. Until cut_rounds_start() it is told what the services of `rounds` decide, if it has services of
 * the same name. It borrows the names of their servers. To be called after the last cut_rounds_watch().
 */
void cut_rounds_follow(struct cut_rounds *rounds, struct cut_rounds *former);

/* Takes over what `former` knows and owes. To be called after the last cut_rounds_watch(). False if memory is
 * short. */
MUST_CHECK bool cut_rounds_inherit(struct cut_rounds *rounds, const struct cut_rounds *former,
                                   int64_t now_ms);

/* The services have decided: from now on their decisions count here. */
void cut_rounds_start(struct cut_rounds *rounds, int64_t now_ms);

/* Decisions no longer count. The caller makes no more calls. */
void cut_rounds_stop(struct cut_rounds *rounds);

/* The time when the next round is due; INT64_MAX: a round is under way. */
int64_t cut_rounds_due_ms(const struct cut_rounds *rounds, size_t api);

/* Begins the round that is due. Writes what the visits are for; its items stay until cut_rounds_end(). False
 * if memory is short: the caller tries again after CUT_TRIAL_AGAIN_MS. */
MUST_CHECK bool cut_rounds_begin(struct cut_rounds *rounds, size_t api, int64_t now_ms,
                                 struct runtime_visit_options *ret_what);

/* The round is over. The items have their outcomes. `complaint` is the first thing that went wrong; NULL:
 * nothing did. */
void cut_rounds_end(struct cut_rounds *rounds, size_t api, const char *complaint, int64_t now_ms);

/* If a cut is under way in `former`, and this is the same HAProxy, the cut goes on as a round of `rounds`.
 * Then true, and `ret_what` is what its visits are for from now on. `rounds` has inherited from `former`.
 * A trial that is under way ends; the next one is due as before. */
bool cut_rounds_move(struct cut_rounds *rounds, size_t api, struct cut_rounds *former, size_t former_api,
                     struct runtime_visit_options *ret_what);

/* The number of debts to this HAProxy. */
size_t cut_rounds_owed(const struct cut_rounds *rounds, size_t api);

#endif
