/* Bytes kept from one event to the next: the beginning of a frame, or output that the socket did not take. */
#ifndef SPOA_IO_NET_BUFFER_H
#define SPOA_IO_NET_BUFFER_H

#include "proto/must_check.h"
#include "proto/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An empty buffer (all zero) owns no memory: an idle connection costs none. */
struct buffer {
    uint8_t *data;
    size_t start; /* where the remaining bytes begin */
    size_t len;   /* how many remain */
    size_t size;  /* of the allocated memory */
};

void buffer_finish(struct buffer *buffer);

/* The remaining bytes, valid until the next call that changes the buffer. */
struct span buffer_span(const struct buffer *buffer);

/* Replaces the content by a copy of `bytes`, which may be part of the content. If memory is short, returns
 * false and leaves the buffer empty. Without bytes it frees the memory. */
MUST_CHECK bool buffer_store(struct buffer *buffer, struct span bytes);

/* Drops `len` bytes off the front. Frees the memory when none are left. */
void buffer_consume(struct buffer *buffer, size_t len);

#endif
