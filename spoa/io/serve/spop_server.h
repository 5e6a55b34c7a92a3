/* The SPOP side: the connections from HAProxy. Each has a core/haproxy/spop_session.h. */
#ifndef SPOA_IO_SERVE_SPOP_SERVER_H
#define SPOA_IO_SERVE_SPOP_SERVER_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/must_check.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/haproxy/service_table.h"
#include "spoa/io/net/acceptor.h"
#include "spoa/io/net/listen_socket.h"
#include "spoa/io/serve/spop_connection.h"

struct config_listens;
struct metrics;
struct service_table;
struct spop_server;

/* Called once after spop_server_drain(), when the last connection is gone. Must not destroy the server. */
typedef void (*spop_server_drained_fn)(void *context);

/* Borrows its arguments. NULL if memory is short. */
struct spop_server *spop_server_create(struct ev_loop *loop, struct service_table *table,
                                       struct metrics *metrics);

/* Sets the limits; 0: no limit, as at the start. Open connections are not closed if they are too many. */
void spop_server_limit(struct spop_server *server, size_t connections_max, unsigned idle_timeout_ms);

/* Closes all connections at once. NULL is fine. */
void spop_server_destroy(struct spop_server *server);

/* Takes over a new connection, for the server in `context`; see acceptor_take_fn. */
bool spop_server_take(void *context, int fd, const struct acceptor_peer *peer);

/*
 * Takes over a connection that another process gave away; false, and `fd` is still the caller's, where memory
 * is short. See spop_give_fn.
 */
MUST_CHECK bool spop_server_adopt(struct spop_server *server, int fd, uint32_t frame_size);

/*
 * Gives away, by `give`, all connections on which no answer is owed. They are closed here without a word to
 * the peer. Peers with TLS are told to connect again.
 */
void spop_server_give(struct spop_server *server, spop_give_fn give, void *context);

/*
 * Answers all received frames, sends AGENT-DISCONNECT to all peers and waits for them to close. `drained` is
 * called when all have closed, possibly before this returns. The caller must not pass new connections any
 * more.
 */
void spop_server_drain(struct spop_server *server, spop_server_drained_fn drained, void *context);

/* Call when parked streams are due. */
void spop_server_wake(struct spop_server *server);

size_t spop_server_connections(const struct spop_server *server);

#endif
