/*
 * Cuts HAProxy's sessions to a master that was replaced: a per-answer decision cannot move connections that exist, and
 * the old master stays writable for some ten seconds. What is owed to which HAProxy, and since when, is known by
 * core/haproxy/cut_debts.h; what HAProxy is told, by core/haproxy/runtime_visit.h. Here is the rest: the services that
 * are watched, the clock, the calls. At the start and every minute each HAProxy is tried, so that one that cannot cut
 * is known before it must (core/haproxy/runtime_health.h).
 */
#ifndef SPOA_IO_EFFECTS_SESSION_CUTTER_H
#define SPOA_IO_EFFECTS_SESSION_CUTTER_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/must_check.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/haproxy/runtime_health.h"
#include "spoa/core/observers/history.h"

struct config_haproxy;
struct config_names;
struct session_cutter;

/* For the HAProxys in `haproxy`, which is borrowed as the rest is. When all of them have cut is noted in `history`. NULL
 * if memory is short. */
MUST_CHECK struct session_cutter *session_cutter_create(struct ev_loop *loop,
                                                        const struct config_haproxy *haproxy,
                                                        struct metrics *metrics, struct history *history);

/* Adds a service whose servers are in all of `backends`. Both are borrowed; the service must not change any more when the
 * cutter is destroyed. To be called before session_cutter_begin(). False if memory is short. */
MUST_CHECK bool session_cutter_watch(struct session_cutter *cutter, struct service *service,
                                     const struct config_names *backends);

/* Takes over what `former` (or NULL), the cutter of the configuration before, knows and owes. To be called when all
 * services were added; session_cutter_begin() comes next, in the same turn of the loop. False if memory is short. */
MUST_CHECK bool session_cutter_inherit(struct session_cutter *cutter, const struct session_cutter *former);

/* Begins to cut, once the services have decided what they can. The calls of `former` that are under way go on for this one,
 * and it says nothing more to HAProxy. Both may be NULL. */
void session_cutter_begin(struct session_cutter *cutter, struct session_cutter *former);

/* What is known of each HAProxy, as it stands now. `cutter` may be NULL: there are none. */
const struct runtime_health *session_cutter_health(const struct session_cutter *cutter, size_t *ret_count);

void session_cutter_destroy(struct session_cutter *cutter); /* NULL is fine */

#endif
