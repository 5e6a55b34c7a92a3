/*
 * A conversation with one HAProxy process on its runtime API: it is tried, or told to shut the sessions to servers. Pure:
 * what is to be said comes out, what HAProxy says goes in. Each line goes to HAProxy on a connection of its own.
 *
 * HAProxy 2.8 to 3.1 (2.7 was not tried) never closes a session that is shut while it connects. There the sessions are
 * looked at first. Where some are connecting to a server, the established ones are shut one by one, and the cut is
 * incomplete. A process that a reload has replaced does not take "shutdown sessions server" at all ("Proxy is disabled",
 * seen with 2.6 to 3.2): there sessions are shut one by one, too.
 */
#ifndef SPOA_CORE_HAPROXY_RUNTIME_VISIT_H
#define SPOA_CORE_HAPROXY_RUNTIME_VISIT_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/must_check.h"
#include "spoa/core/haproxy/cut_debts.h"

/* HAProxy takes a line of tune.bufsize, 16384 bytes by default. */
#define RUNTIME_LINE_MAX 8000
/* A complaint: a backend, a server and HAProxy's words. */
#define RUNTIME_COMPLAINT_MAX 512

struct runtime_visit;

struct runtime_visit_options {
    unsigned pid; /* of a worker that is reached by way of its master; 0: HAProxy is asked itself */
    bool is_old;  /* a reload has replaced it */
    bool is_trial;
    const struct cut_debts *debts; /* whose items these are, for `api`; not with `is_trial` */
    size_t api;
    struct cut_items *items; /* to be cut, or to be known there with weight 0 */
};

/*
 * All in `options` is borrowed. A trial finds out whether this is HAProxy, whether it lets us shut sessions, and whether
 * it knows the servers. Else the sessions to the servers are shut, and the outcome of each item is made worse where that
 * did not go well. NULL if memory is short.
 */
MUST_CHECK struct runtime_visit *runtime_visit_create(const struct runtime_visit_options *options);
void runtime_visit_destroy(struct runtime_visit *visit); /* NULL is fine */

/* Writes the next line, with its line feed, which is not terminated otherwise. Its length; 0: the visit is over. */
size_t runtime_visit_say(struct runtime_visit *visit, char line[RUNTIME_LINE_MAX]);

/* Takes bytes of the reply. False where HAProxy will say nothing more, whether it closes or not. */
bool runtime_visit_take(struct runtime_visit *visit, const char *bytes, size_t len);

/* The reply has ended. `reason`: why the call failed, NULL where it did not. */
void runtime_visit_end_reply(struct runtime_visit *visit, const char *reason);

/* The visit goes on for other debts, `api` as they have it, with the same items in another list. */
void runtime_visit_move(struct runtime_visit *visit, const struct cut_debts *debts, size_t api,
                        struct cut_items *items);

/* After the visit: what went wrong, in HAProxy's words where it said so. NULL where nothing did. */
const char *runtime_visit_complaint(const struct runtime_visit *visit);

#endif
