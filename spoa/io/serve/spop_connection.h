/* One connection from HAProxy: a socket, its watchers and a core/haproxy/spop_session.h. */
#ifndef SPOA_IO_SERVE_SPOP_CONNECTION_H
#define SPOA_IO_SERVE_SPOP_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/must_check.h"

struct spop_connection;
struct spop_context;
struct spop_session;
struct tls;

/*
 * Takes over `fd`, with TLS unless `tls` is NULL. If memory is short, returns false and the caller still owns `fd`.
 * Where `connections_max` are there, it takes the place of the oldest one that has sent no HELLO for a second. If there
 * is none, it becomes a guest: a health check is answered, so that HAProxy does not hold us to be down, and all else is
 * refused in its own words.
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

/* Answers the parked streams of this session that are due. */
void spop_connection_answer_parked(struct spop_session *session);

/* The next connection in the context's list, or NULL. */
struct spop_connection *spop_connection_next(const struct spop_connection *connection);

#endif
