/*
 * What the agent owes: "no session on SERVER of BACKEND", to each HAProxy that it can tell so. A debt begins when the
 * server is replaced as the master, or fenced. For every server but the master it also begins when the agent names
 * somebody for the first time, for nobody knows what happened before. It ends when HAProxy has confirmed the cut, on
 * a question that was begun half a second after the debt or later: by then no connection can be on its way that was
 * sent to the server before. It also ends when the server is the master again. Until then HAProxy is told again.
 *
 * Knows no HAProxy and no socket: whoever tells HAProxy takes the debts that are due, and says what came of it. Pure:
 * time comes in. Begun and confirmed cuts are logged, confirmed ones are counted.
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

/* So long after it began a debt can be confirmed for good; until then HAProxy is told so often. */
#define CUT_SETTLE_MS 500
#define CUT_INTERVAL_MS 100
/* The longest time between two attempts, while they fail. */
#define CUT_BACKOFF_MAX_MS 800

/* A service, for cut_debts_add(). */
struct cut_service {
    const char *name;
    const struct service_server *servers;
    size_t server_count;
    char *const *backends; /* that have all these servers */
    size_t backend_count;
};

struct cut_debts;

/* `apis`: names of HAProxys; by its place in the list each is referred to. All is borrowed, but for the list itself.
 * NULL if memory is short. */
MUST_CHECK struct cut_debts *cut_debts_create(const char *const *apis, size_t api_count,
                                              struct metrics *metrics);
void cut_debts_destroy(struct cut_debts *debts); /* NULL is fine */

/* Adds a service, whose texts are borrowed. Services are referred to by their order. False if memory is short. */
MUST_CHECK bool cut_debts_add(struct cut_debts *debts, const struct cut_service *service);

/*
 * Takes over what `former`, which stays as it is, knows of the same HAProxys, services, backends and servers, and what
 * it still owes to these HAProxys for servers that are not there any more. What is under way remains so: see
 * cut_debts_adopt(). To be called when all services were added, before the first is named. False if memory is short.
 */
MUST_CHECK bool cut_debts_inherit(struct cut_debts *debts, const struct cut_debts *former, int64_t now_ms);

/* `server` is named as the master of a service; NULL: one that is outside the map. It may be told as often as one likes. */
void cut_debts_name(struct cut_debts *debts, size_t service, const char *server, int64_t now_ms);

/* The sessions to the master named last must be cut, although nobody else is named. Once, until somebody is named. */
void cut_debts_fence(struct cut_debts *debts, size_t service, int64_t now_ms);

/* Whether `server` (or NULL: one outside the map) is what was named last. False before the first. */
bool cut_debts_is_last(const struct cut_debts *debts, size_t service, const char *server);

/* When the next debt to a HAProxy is due; INT64_MAX: none is. Those that are under way do not count. */
int64_t cut_debts_due_ms(const struct cut_debts *debts, size_t api);

/* How many servers a HAProxy has not confirmed. */
size_t cut_debts_owed(const struct cut_debts *debts, size_t api);

/*
 * Takes all debts to a HAProxy that are due: they are under way until cut_debts_end(). The list is the caller's, for
 * cut_items_finish(). False if memory is short: then none is under way.
 */
MUST_CHECK bool cut_debts_take(struct cut_debts *debts, size_t api, int64_t now_ms,
                               struct cut_items *ret_items);

/* Whether it is still owed; else its server is the master again, and must be let alone. */
bool cut_debts_is_owed(const struct cut_debts *debts, size_t api, size_t place);

/* Says what came of debts that were taken. */
void cut_debts_end(struct cut_debts *debts, size_t api, const struct cut_items *items, int64_t now_ms);

/* Makes a list that was taken from `former` one of the debts that inherited from it, item by item. */
void cut_debts_adopt(const struct cut_debts *debts, const struct cut_debts *former, struct cut_items *items);

/* Whether every HAProxy has cut the sessions to this server, in all of its backends, at least once since it was
 * replaced. Where it has, `*ret_service` and `*ret_server` say which one it is. */
bool cut_debts_is_cut(const struct cut_debts *debts, size_t place, const char **ret_service,
                      const char **ret_server);

/* All servers of the configuration, as a list that nothing is under way of. False if memory is short. */
MUST_CHECK bool cut_debts_list(const struct cut_debts *debts, struct cut_items *ret_items);

#endif
