/* What the connections of an SPOP server share: limits, counters, the time of the parked streams. */
#ifndef SPOA_IO_SERVE_SPOP_CONTEXT_H
#define SPOA_IO_SERVE_SPOP_CONTEXT_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/must_check.h"
#include "spoa/core/haproxy/spop_session.h"

struct metrics;
struct service_table;
struct spop_connection;
struct spop_context;

/* One read() takes this much. The rest waits in the kernel until the other connections had their turn. */
#define SPOP_READ_SIZE ((size_t)16 * 1024)
#define SPOP_IN_SIZE (SPOP_READ_SIZE + SPOP_SESSION_FRAME_MAX + SPOP_LEN_BYTES)
/*
 * The most that goes out with one write(), and the most that a peer leaves with us that does not take its answers: the
 * replies to some 400 NOTIFYs.
 */
#define SPOP_OUT_SIZE ((size_t)32 * 1024)

/* So many connections beyond the limit are let in for a moment: they may be health checks. */
#define SPOP_GUESTS_MAX 16

/* Called after a connection was closed and freed. */
typedef void (*spop_gone_fn)(struct spop_context *context);

/* What the connections of a server share. They also share the space for input and output of one wake-up,
 * so that an idle connection has no buffer. */
struct spop_context {
    struct ev_loop *loop;
    struct service_table *table;
    struct metrics *metrics;
    size_t connections_max;
    double idle_timeout_s; /* 0: none */
    size_t kept;           /* bytes in the connections' buffers */
    bool draining;
    ev_timer release;  /* fires when parked streams are due */
    ev_timer deadline; /* for the first of the parked streams */
    int64_t deadline_ms;
    spop_gone_fn gone;
    struct spop_connection *connections;
    struct spop_connection *visited_next; /* of a walk through all of them, whoever is closed meanwhile */
    size_t connection_count;
    struct spop_connection *guests[SPOP_GUESTS_MAX]; /* of them; the oldest is the first */
    size_t guest_count;
    uint8_t *in;
    uint8_t *out;
};

/* Borrows its arguments. False if memory is short. */
MUST_CHECK bool spop_context_init(struct spop_context *context, struct ev_loop *loop,
                                  struct service_table *table, struct metrics *metrics, spop_gone_fn gone);
void spop_context_finish(struct spop_context *context); /* all connections must be closed */

/* Call after streams may have been parked: sets the timer for the first of them. */
void spop_context_arm(struct spop_context *context);

/* Call when parked streams are due. They are answered in the next turn of the loop. */
void spop_context_wake(struct spop_context *context);

#endif
