/* What the connections of a server keep from one event to the next: all of it stays within one limit. */
#ifndef SPOA_IO_SERVE_SPOP_KEPT_H
#define SPOA_IO_SERVE_SPOP_KEPT_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/must_check.h"
#include "proto/span.h"

struct buffer;
struct spop_connection;

/*
 * Stores `bytes` until the next event, in one of the connection's buffers. False if it may not keep so much, or memory is
 * short. Other connections may be closed by this call.
 */
MUST_CHECK bool spop_kept_store(struct spop_connection *connection, struct buffer *buffer, struct span bytes);

/* Drops `len` bytes off the front of one of its buffers. */
void spop_kept_consume(struct spop_connection *connection, struct buffer *buffer, size_t len);

/* Frees both buffers, because the connection is being closed. */
void spop_kept_finish(struct spop_connection *connection);

#endif
