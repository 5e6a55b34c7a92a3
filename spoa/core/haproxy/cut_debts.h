/*
 * The debts of the agent. It owes every HAProxy that no session to a former master stays: "no session on
 * SERVER of BACKEND". A debt begins
 * - when the server is replaced as the master, or fenced;
 * - for every server but the master, when the agent names a master for the first time. The agent does not
 *   know what happened before its start.
 * A debt ends
 * - when HAProxy has confirmed the cut. The attempt must have begun CUT_SETTLE_MS after the debt or later: by
 *   then no new session to the server is on its way;
 * - when the server is the master again.
 * Until then the cut is tried again.
 *
 * This module knows no HAProxy. Its caller takes the debts that are due, tells HAProxy, and says how it went.
 * Pure: time is an argument. A cut is logged when it begins and when it is confirmed.
 */
#ifndef SPOA_CORE_HAPROXY_CUT_DEBTS_H
#define SPOA_CORE_HAPROXY_CUT_DEBTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/must_check.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/decision/server_map.h"
#include "spoa/core/haproxy/cut_items.h"

/* An attempt that begins so long after the debt, or later, can end it. */
#define CUT_SETTLE_MS 500
/* The time between two attempts until then. */
#define CUT_INTERVAL_MS 100
/* For so long a debt is tried again every CUT_INTERVAL_MS if an attempt fails. */
#define CUT_HASTE_MS 1000
/* After that, the longest time between two attempts. */
#define CUT_BACKOFF_MAX_MS 800

/* A service, for cut_debts_add(). */
struct cut_service {
    const char *name;
    const struct service_server *servers;
    size_t server_count;
    char *const *backends; /* each has all these servers */
    size_t backend_count;
};

struct cut_debts;

/* `apis` are the names of the HAProxys. Other functions take the place of a HAProxy in this list as
 * `api`. The names and `metrics` are borrowed. NULL if memory is short. */
MUST_CHECK struct cut_debts *cut_debts_create(const char *const *apis, size_t api_count,
                                              struct metrics *metrics);
void cut_debts_destroy(struct cut_debts *debts); /* NULL is fine */

/* Adds a service. Its texts are borrowed. Other functions take its number as `service`: 0 for the first one
 * that was added. False if memory is short. */
MUST_CHECK bool cut_debts_add(struct cut_debts *debts, const struct cut_service *service);

/*
 * Takes over what `former` knows of the same HAProxys, services, backends and servers. `former` stays as
 * it is. Debts for servers that this configuration does not have are taken over too. A debt that is under
 * way stays so: see cut_debts_adopt(). To be called after the last cut_debts_add() and before the first
 * cut_debts_name(). False if memory is short.
 */
MUST_CHECK bool cut_debts_inherit(struct cut_debts *debts, const struct cut_debts *former, int64_t now_ms);

/* Finds the number of a service by its name. False if there is no such service. */
bool cut_debts_find(const struct cut_debts *debts, const char *name, size_t *ret_service);

/* The service names `server` as its master; NULL: a node outside the map. The text is borrowed. A call that brings no news
 * does nothing. */
void cut_debts_name(struct cut_debts *debts, size_t service, const char *server, int64_t now_ms);

/* A service, which the configuration may not have, names `server` as its master: nothing is owed for it where the
 * configuration no longer has it. cut_debts_name() does the same. */
void cut_debts_spare(struct cut_debts *debts, const char *service, const char *server);

/* The service names the same master as before, so a fence is over. Does nothing if it has named nobody. */
void cut_debts_name_again(struct cut_debts *debts, size_t service, int64_t now_ms);

/* The sessions to the master that was named last must be cut, although no other master is named. A second
 * call does nothing until a master is named. */
void cut_debts_fence(struct cut_debts *debts, size_t service, int64_t now_ms);

/* Whether `server` was named last; NULL: a node outside the map. False before the first call of
 * cut_debts_name(). */
bool cut_debts_is_last(const struct cut_debts *debts, size_t service, const char *server);

/* The time when the next debt is due; INT64_MAX: none is. Debts that are under way do not count. */
int64_t cut_debts_due_ms(const struct cut_debts *debts, size_t api);

/* The number of debts to a HAProxy. */
size_t cut_debts_owed(const struct cut_debts *debts, size_t api);

/*
 * Takes all debts that are due. They are under way until cut_debts_end(). The caller frees the list with
 * cut_items_finish(). False if memory is short; then no debt is under way.
 */
MUST_CHECK bool cut_debts_take(struct cut_debts *debts, size_t api, int64_t now_ms,
                               struct cut_items *ret_items);

/* Whether a debt that was taken is still owed. If not, the server is the master again: leave it alone. */
bool cut_debts_is_owed(const struct cut_debts *debts, size_t api, size_t place);

/* The debts that were taken are no longer under way. The outcome of each stands in its item. */
void cut_debts_end(struct cut_debts *debts, size_t api, const struct cut_items *items, int64_t now_ms);

/* Makes a list that was taken from the debts from which `debts` has inherited a list of `debts`. */
void cut_debts_adopt(const struct cut_debts *debts, struct cut_items *items);

/* Whether every HAProxy has cut the sessions to this server at least once since it is owed, in all
 * backends of the service. If so, writes the names of the service and the server. */
bool cut_debts_is_cut(const struct cut_debts *debts, size_t place, const char **ret_service,
                      const char **ret_server);

/* Lists all servers of the configuration. Nothing is taken. False if memory is short. */
MUST_CHECK bool cut_debts_list(const struct cut_debts *debts, struct cut_items *ret_items);

#endif
