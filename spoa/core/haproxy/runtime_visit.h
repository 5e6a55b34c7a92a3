/*
 * A conversation with one HAProxy process on its runtime API. It is a trial, or it shuts the sessions to
 * servers. The visit writes the lines to say and takes the replies. Each line needs a connection of its
 * own. Pure.
 *
 * HAProxy 2.8 to 3.1 never closes a session that is shut while it connects; 2.7 was not tried. On these
 * versions the visit looks at the sessions first. If a session is connecting to a server, the visit shuts
 * the established sessions to it one by one, and the cut is incomplete. A session that begins to connect
 * after the look is not seen, and may hang.
 *
 * A process that a reload has replaced refuses "shutdown sessions server" ("Proxy is disabled", seen with
 * 2.6 to 3.2). There the visit shuts all sessions one by one.
 */
#ifndef SPOA_CORE_HAPROXY_RUNTIME_VISIT_H
#define SPOA_CORE_HAPROXY_RUNTIME_VISIT_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/must_check.h"
#include "spoa/core/haproxy/cut_debts.h"

/* HAProxy takes a line of tune.bufsize, 16384 bytes by default. */
#define RUNTIME_LINE_MAX 8000
/* A backend, a server and HAProxy's words. */
#define RUNTIME_COMPLAINT_MAX 512

struct runtime_visit;

struct runtime_visit_options {
    unsigned pid; /* the worker to visit by way of its master; 0: there is no master in between */
    bool is_old;  /* a reload has replaced this process */
    bool is_trial;
    const struct cut_debts *debts; /* the items were taken from them for `api`; unused in a trial */
    size_t api;
    struct cut_items *items; /* the servers to cut, or to look for in a trial */
};

/*
 * All in `options` is borrowed. A trial finds out whether HAProxy answers, lets us shut sessions, knows
 * the servers, and has weight 0 for them. Other visits shut the sessions to the servers. They make the
 * outcome of an item worse if its cut did not go well. NULL if memory is short.
 */
MUST_CHECK struct runtime_visit *runtime_visit_create(const struct runtime_visit_options *options);
void runtime_visit_destroy(struct runtime_visit *visit); /* NULL is fine */

/* Whether there is another line to say. False: the visit is over. */
bool runtime_visit_goes_on(struct runtime_visit *visit);

/* Writes the next line, with a line feed and without a NUL. What it says is chosen now: to be called when it can be sent.
 * Returns its length, 0 if the visit is over. */
size_t runtime_visit_say(struct runtime_visit *visit, char line[RUNTIME_LINE_MAX]);

/* Takes bytes of the reply. False if the rest does not matter: the caller may close the connection. */
bool runtime_visit_take(struct runtime_visit *visit, const char *bytes, size_t len);

/* HAProxy has closed the connection, or the call has failed; `reason` tells why. NULL: it did not fail. */
void runtime_visit_end_reply(struct runtime_visit *visit, const char *reason);

/* The visit goes on for other debts. `items` has the same items in the same order. */
void runtime_visit_move(struct runtime_visit *visit, const struct cut_debts *debts, size_t api,
                        struct cut_items *items);

/* After the visit: the first thing that went wrong, in HAProxy's words if it said so. NULL: nothing did. */
const char *runtime_visit_complaint(const struct runtime_visit *visit);

#endif
