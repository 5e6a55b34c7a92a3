/*
 * Comparing and copying sixteen bytes at a time, for what every question needs. A call of memcmp() or memcpy() with a
 * length that the compiler does not know costs more than these few bytes themselves.
 */
#ifndef PROTO_CHUNK_H
#define PROTO_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CHUNK_BYTES 16
#define CHUNK_INLINE __attribute__((always_inline)) static inline

/* Some machines have no registers of this size. There gcc warns that functions get such values in another way. These
 * functions are inline, so it does not matter. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpsabi"

/* Sixteen bytes that the compiler keeps in one register. */
typedef uint64_t chunk_bits __attribute__((vector_size(CHUNK_BYTES)));

CHUNK_INLINE chunk_bits chunk_at(const void *bytes)
{
    chunk_bits bits;

    memcpy(&bits, bytes, sizeof(bits));
    return bits;
}

/* The bits in which the two differ. */
CHUNK_INLINE chunk_bits chunk_difference(const uint8_t *a, const uint8_t *b)
{
    return chunk_at(a) ^ chunk_at(b);
}

/* The bits in which the two differ. A bit that `mask` does not have does not count. Each has CHUNK_BYTES bytes. */
CHUNK_INLINE chunk_bits chunk_masked_difference(const void *a, const void *b, const void *mask)
{
    return (chunk_at(a) ^ chunk_at(b)) & chunk_at(mask);
}

CHUNK_INLINE bool chunk_is_zero(chunk_bits bits)
{
    return (bits[0] | bits[1]) == 0;
}

/* Whether the two have the same `len` bytes. Of 16 to 64 bytes the last ones are compared twice. */
CHUNK_INLINE bool chunks_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    const size_t one = CHUNK_BYTES;

    if (__builtin_expect(len < one || len > 4 * one, 0))
        return len == 0 || memcmp(a, b, len) == 0;
    chunk_bits ends = chunk_difference(a, b) | chunk_difference(a + len - one, b + len - one);
    if (len > 2 * one)
        ends |= chunk_difference(a + one, b + one) | chunk_difference(a + len - 2 * one, b + len - 2 * one);
    return chunk_is_zero(ends);
}

CHUNK_INLINE void chunk_copy(uint8_t *to, const uint8_t *from)
{
    memcpy(to, from, CHUNK_BYTES);
}

/* Four steps, and no loop: the compiler could make a call of it, or an instruction that is slow for so few bytes. */
CHUNK_INLINE void chunk_copy_four(uint8_t *to, const uint8_t *from)
{
    chunk_copy(to, from);
    chunk_copy(to + CHUNK_BYTES, from + CHUNK_BYTES);
    chunk_copy(to + (ptrdiff_t)2 * CHUNK_BYTES, from + (ptrdiff_t)2 * CHUNK_BYTES);
    chunk_copy(to + (ptrdiff_t)3 * CHUNK_BYTES, from + (ptrdiff_t)3 * CHUNK_BYTES);
}

/* Copies `len` bytes; the two must not overlap. Of 64 to 128 bytes those in the middle are copied twice. */
CHUNK_INLINE void chunks_copy(uint8_t *to, const uint8_t *from, size_t len)
{
    const size_t four = 4 * (size_t)CHUNK_BYTES;

    if (__builtin_expect(len >= four && len <= 2 * four, 1)) {
        chunk_copy_four(to, from);
        chunk_copy_four(to + len - four, from + len - four);
    } else if (len > 0) {
        memcpy(to, from, len);
    }
}

#pragma GCC diagnostic pop

#endif
