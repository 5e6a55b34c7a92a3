/* Bytes kept from one event to the next: the beginning of a frame, or what the socket did not take yet. */
#ifndef SPOA_IO_NET_BUFFER_H
#define SPOA_IO_NET_BUFFER_H

#include "proto/must_check.h"
#include "proto/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Empty (all zero) it owns no memory, so that an idle connection costs none. */
struct buffer {
    uint8_t *data;
    size_t start; /* of the bytes that are left */
    size_t len;   /* how many are left */
    size_t size;  /* of the memory that it holds */
};

void buffer_finish(struct buffer *buffer);

/* The bytes; valid until the next call. */
struct span buffer_span(const struct buffer *buffer);

/* Replaces the content by a copy of `bytes` (which may be part of it). False, and empty, where memory is
 * short. With no bytes the memory is given back. */
MUST_CHECK bool buffer_store(struct buffer *buffer, struct span bytes);

/* Drops `len` bytes off the front; gives the memory back with the last one. */
void buffer_consume(struct buffer *buffer, size_t len);

#endif
