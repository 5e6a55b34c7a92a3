/* The variable-length integers of HAProxy's peers and SPOP protocols (intops.h; not LEB128). */
#ifndef PROTO_VARINT_H
#define PROTO_VARINT_H

#include <stddef.h>
#include <stdint.h>

/* The longest encoding, that of 2^64-1. */
#define VARINT_MAX_BYTES 10

/*
 * Decodes the integer at the front of `in`. Returns the number of bytes consumed (1 to 10), 0 where `len`
 * bytes are not all of it, -1 where the value exceeds 64 bits or would need an eleventh byte.
 * `*ret_value` is written only on success.
 */
int varint_decode(const uint8_t *in, size_t len, uint64_t *ret_value);

/* Encodes `value`; returns the number of bytes written (1 to 10). */
size_t varint_encode(uint64_t value, uint8_t out[VARINT_MAX_BYTES]);

/* The number of bytes that varint_encode() would write. */
size_t varint_size(uint64_t value);

#endif
