/* One connection from HAProxy: a socket, its watchers and a core/spop_session.h. */
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

/* Called after a connection was closed and freed. */
typedef void (*spop_gone_fn)(struct spop_context *context);

/* What the connections of a server share. Input and output of one wake-up live in shared space, so that an idle
 * connection holds no buffer. */
struct spop_context {
    struct ev_loop *loop;
    struct service_table *table;
    struct metrics *metrics;
    size_t connections_max;
    double idle_timeout_s; /* 0: none */
    size_t kept;           /* bytes of memory in the connections' buffers */
    bool draining;
    ev_timer release;  /* parked streams are due */
    ev_timer deadline; /* of the stream that was parked first */
    int64_t deadline_ms;
    spop_gone_fn gone;
    struct spop_connection *connections;
    size_t connection_count;
    uint8_t *in;
    uint8_t *out;
};

/* Borrows all. False where memory is short. */
MUST_CHECK bool spop_context_init(struct spop_context *context, struct ev_loop *loop,
                                  struct service_table *table, struct metrics *metrics, spop_gone_fn gone);
void spop_context_finish(struct spop_context *context); /* all connections are closed */

/* Some parked streams are due: they are answered in the next turn of the loop. */
void spop_context_wake(struct spop_context *context);

/* Takes `fd` over. False, and `fd` is still the caller's, where memory is short. */
MUST_CHECK bool spop_connection_open(struct spop_context *context, int fd);

/* As spop_connection_open(), for one that another process gave up by spop_connection_give(). */
MUST_CHECK bool spop_connection_adopt(struct spop_context *context, int fd, uint32_t frame_size);

/* Hands a copy of `fd` to another process. False where it cannot. `frame_size` is what HELLO agreed on; 0: there was none. */
typedef bool (*spop_give_fn)(void *context, int fd, uint32_t frame_size);

/* Gives the connection away and frees it, without a word to the peer. Nothing happens while an answer is owed, or where
 * `give` cannot. */
void spop_connection_give(struct spop_connection *connection, spop_give_fn give, void *context);

/* Closes at once and frees. */
void spop_connection_close(struct spop_connection *connection);

/* Answers what has been received, says AGENT-DISCONNECT and closes when the peer has, or soon. */
void spop_connection_drain(struct spop_connection *connection);

/* The next in the context's list. */
struct spop_connection *spop_connection_next(const struct spop_connection *connection);

#endif
