/*
 * Cuts HAProxy's sessions to a master that was replaced: a per-answer decision cannot move connections that exist, and
 * the old master stays writable for some ten seconds. HAProxy is told on its runtime API (management guide, "shutdown
 * sessions server"), with each of several, at the switch and for half a second after it, for connections that were
 * being made meanwhile. A fence cuts the sessions to the last master.
 *
 * HAProxy 2.8 to 3.1 (2.7 was not tried) never closes a session that is shut while it connects. There the sessions are looked at first. Where
 * some are connecting to the server, the established ones are shut one by one, and the others are looked at again.
 */
#ifndef SPOA_IO_EFFECTS_SESSION_CUTTER_H
#define SPOA_IO_EFFECTS_SESSION_CUTTER_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/addr.h"
#include "proto/must_check.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/observers/history.h"

struct session_cutter;

/* `apis`: numeric or UNIX addresses, borrowed as the rest is. When a HAProxy has cut is noted in `history`. NULL where
 * memory is short. */
MUST_CHECK struct session_cutter *session_cutter_create(struct ev_loop *loop, const struct addr *apis,
                                                        size_t count, struct metrics *metrics,
                                                        struct history *history);

/* Begins to cut the sessions of `service`, whose servers are in HAProxy's `backend`. Both are borrowed; the service
 * must not change any more when the cutter is destroyed. False where memory is short. */
MUST_CHECK bool session_cutter_watch(struct session_cutter *cutter, struct service *service,
                                     const char *backend);

void session_cutter_destroy(struct session_cutter *cutter); /* NULL is fine */

#endif
