/*
 * Cuts HAProxy's sessions to a master that was replaced. An answer cannot move a session that exists, and
 * the old master takes writes for some ten seconds more.
 *
 * core/haproxy/cut_rounds.h knows what is owed to which HAProxy, and when the next round of calls is due.
 * core/haproxy/runtime_visit.h knows what HAProxy is told. This module has the timers and makes the calls.
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

/* All arguments are borrowed. When all HAProxys in `haproxy` have cut, `history` notes it. NULL if memory
 * is short. */
MUST_CHECK struct session_cutter *session_cutter_create(struct ev_loop *loop,
                                                        const struct config_haproxy *haproxy,
                                                        struct metrics *metrics, struct history *history);

/* Adds a service. Each of `backends` has all its servers. Both are borrowed. The service must not change
 * any more when the cutter is destroyed. To be called before session_cutter_begin(). False if memory is
 * short. */
MUST_CHECK bool session_cutter_watch(struct session_cutter *cutter, struct service *service,
                                     const struct config_names *backends);

/*
 * Services begin to move from one configuration to the next, one after another. Until session_cutter_begin() `former` goes
 * on to cut, and is told what the services of `cutter` decide. If `cutter` is NULL, the next configuration has no HAProxy to
 * call: `former` makes no more calls. Both may be NULL. A second call does nothing. To be called after the last
 * session_cutter_watch().
 */
void session_cutter_follow(struct session_cutter *cutter, struct session_cutter *former);

/* Takes over what the cutter of the configuration before knows and owes. `former` may be NULL. To be
 * called after the last session_cutter_watch(). session_cutter_begin() must follow in the same turn of
 * the loop. False if memory is short. */
MUST_CHECK bool session_cutter_inherit(struct session_cutter *cutter, const struct session_cutter *former);

/* Begins to cut. To be called when the services have decided. Calls of `former` that are under way become
 * calls of `cutter`, and `former` makes no more calls. Both may be NULL. */
void session_cutter_begin(struct session_cutter *cutter, struct session_cutter *former);

/* The health of each HAProxy, as it is now. `cutter` may be NULL: then there are none. */
const struct runtime_health *session_cutter_health(const struct session_cutter *cutter, size_t *ret_count);

void session_cutter_destroy(struct session_cutter *cutter); /* NULL is fine */

#endif
