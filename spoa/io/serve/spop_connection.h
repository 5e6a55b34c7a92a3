/* One connection from HAProxy: a socket, its watchers and a core/haproxy/spop_session.h. */
#ifndef SPOA_IO_SERVE_SPOP_CONNECTION_H
#define SPOA_IO_SERVE_SPOP_CONNECTION_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/must_check.h"

struct metrics;
struct service_table;
struct spop_connection;
struct spop_context;
struct tls;

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
    size_t connection_count;
    uint8_t *in;
    uint8_t *out;
};

/* Borrows its arguments. False if memory is short. */
MUST_CHECK bool spop_context_init(struct spop_context *context, struct ev_loop *loop,
                                  struct service_table *table, struct metrics *metrics, spop_gone_fn gone);
void spop_context_finish(struct spop_context *context); /* all connections must be closed */

/* Call when parked streams are due. They are answered in the next turn of the loop. */
void spop_context_wake(struct spop_context *context);

/*
 * Takes over `fd`, with TLS unless `tls` is NULL. If memory is short, returns false and the caller still owns
 * `fd`.
 */
MUST_CHECK bool spop_connection_open(struct spop_context *context, int fd, const struct tls *tls);

/* As spop_connection_open() without TLS, for one that another process gave up by spop_connection_give(). */
MUST_CHECK bool spop_connection_adopt(struct spop_context *context, int fd, uint32_t frame_size);

/*
 * Hands a copy of `fd` to another process. False if it cannot. `frame_size` is what HELLO agreed on; 0: there
 * was none.
 */
typedef bool (*spop_give_fn)(void *context, int fd, uint32_t frame_size);

/*
 * Gives the connection away and frees it, without a word to the peer. Nothing happens while an answer is
 * owed, or where `give` cannot. A connection with TLS cannot be given: when no answer is owed its peer is sent
 * AGENT-DISCONNECT, and connects again.
 */
void spop_connection_give(struct spop_connection *connection, spop_give_fn give, void *context);

/* Closes the connection at once and frees it. */
void spop_connection_close(struct spop_connection *connection);

/*
 * Answers all received frames and sends AGENT-DISCONNECT. Closes when the peer closes, or after a short time.
 */
void spop_connection_drain(struct spop_connection *connection);

/* The next connection in the context's list, or NULL. */
struct spop_connection *spop_connection_next(const struct spop_connection *connection);

#endif
