/* The variable-length integers of HAProxy's peers and SPOP protocols (intops.h; not LEB128). */
#ifndef PROTO_VARINT_H
#define PROTO_VARINT_H

#include <stddef.h>
#include <stdint.h>

#include "proto/must_check.h"

/* The length of the longest encoding, that of 2^64-1. */
#define VARINT_MAX_BYTES 10

/*
 * Decodes the integer at the front of `in`. Returns the number of bytes consumed (1 to 10), 0 if the integer
 * does not end within `len` bytes, -1 if the value exceeds 64 bits or would need an eleventh byte. Writes
 * `*ret_value` only on success.
 */
MUST_CHECK static inline int varint_decode(const uint8_t *in, size_t len, uint64_t *ret_value);

/* Encodes `value`. Returns the number of bytes written (1 to 10). */
static inline size_t varint_encode(uint64_t value, uint8_t out[VARINT_MAX_BYTES]);

/* The number of bytes that varint_encode() would write. */
static inline size_t varint_size(uint64_t value);

/* ---- Nearly all values take one byte: that case is inline. ---- */

/* A byte below this is the value itself. From this on, the high nibble says that more bytes follow. */
#define VARINT_ONE_BYTE_LIMIT 240

/* For encodings of two bytes or more. */
MUST_CHECK int varint_decode_long(const uint8_t *in, size_t len, uint64_t *ret_value);
size_t varint_encode_long(uint64_t value, uint8_t out[VARINT_MAX_BYTES]);

MUST_CHECK static inline int varint_decode(const uint8_t *in, size_t len, uint64_t *ret_value)
{
    if (len == 0)
        return 0;
    if (in[0] >= VARINT_ONE_BYTE_LIMIT) {
        uint64_t value; /* so that the caller's own may stay in a register */
        int used = varint_decode_long(in, len, &value);
        if (used > 0)
            *ret_value = value;
        return used;
    }
    *ret_value = in[0];
    return 1;
}

static inline size_t varint_encode(uint64_t value, uint8_t out[VARINT_MAX_BYTES])
{
    if (value >= VARINT_ONE_BYTE_LIMIT)
        return varint_encode_long(value, out);
    out[0] = (uint8_t)value;
    return 1;
}

static inline size_t varint_size(uint64_t value)
{
    size_t size = 1;

    if (value >= VARINT_ONE_BYTE_LIMIT)
        for (value = (value - VARINT_ONE_BYTE_LIMIT) >> 4, size++; value >= 128; size++)
            value = (value - 128) >> 7;
    return size;
}

#endif
