/* A hash of bytes: FNV-1a. Bytes with the same hash are easy to find, so use it only for bytes that no peer chooses. */
#ifndef SPOA_CORE_BASE_HASH_H
#define SPOA_CORE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* The hash of no bytes. */
#define HASH_EMPTY UINT64_C(0xcbf29ce484222325)

/*
 * The hash of the bytes behind `state` followed by these `len` bytes. Begin with HASH_EMPTY. The same bytes give the same
 * hash on every machine, however they are cut into calls.
 */
static inline uint64_t hash_add(uint64_t state, const void *data, size_t len)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < len; i++)
        state = (state ^ bytes[i]) * UINT64_C(0x100000001b3);
    return state;
}

#endif
