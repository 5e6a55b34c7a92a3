/* SPOP typed data, names and KV lists (SPOE.txt 3.1). Nothing is copied: strings are spans into the input. */
#ifndef PROTO_SPOP_DATA_H
#define PROTO_SPOP_DATA_H

#include "proto/must_check.h"
#include "proto/span.h"
#include "proto/varint.h"

#include <stdbool.h>
#include <stdint.h>

/* The low four bits of the type byte. The high four are flags; only a boolean uses one, for its value. */
enum spop_type {
    SPOP_NULL = 0,
    SPOP_BOOL = 1,
    SPOP_INT32 = 2,
    SPOP_UINT32 = 3,
    SPOP_INT64 = 4,
    SPOP_UINT64 = 5,
    SPOP_IPV4 = 6,
    SPOP_IPV6 = 7,
    SPOP_STRING = 8,
    SPOP_BINARY = 9,
};

struct spop_value {
    enum spop_type type;
    union {
        bool boolean;     /* SPOP_BOOL */
        int64_t integer;  /* SPOP_INT32, SPOP_INT64; the two unsigned types keep their bits */
        uint8_t ipv4[4];  /* SPOP_IPV4, network order */
        uint8_t ipv6[16]; /* SPOP_IPV6, network order */
        struct span text; /* SPOP_STRING, SPOP_BINARY; valid as long as the input */
    };
};

/* Readers take what they read off the front of `cursor`. They return false if the bytes end too early or
 * are malformed (a reserved type, an integer over 64 bits). The cursor must not be used after that. */
MUST_CHECK static inline bool spop_integer_read(struct span *cursor, uint64_t *ret_value);
/* A varint length, then the bytes. The name may be empty. */
MUST_CHECK bool spop_name_read(struct span *cursor, struct span *ret_name);
MUST_CHECK bool spop_value_read(struct span *cursor, struct spop_value *ret_value);
MUST_CHECK bool spop_kv_read(struct span *cursor, struct span *ret_name, struct spop_value *ret_value);

/* Writers append to `sink`. A value that does not fit sets sink->full (span.h). */
void spop_integer_write(struct sink *sink, uint64_t value);
void spop_name_write(struct sink *sink, struct span name);
void spop_value_write(struct sink *sink, const struct spop_value *value);
void spop_kv_write(struct sink *sink, const char *name, const struct spop_value *value);

static inline bool spop_integer_read(struct span *cursor, uint64_t *ret_value)
{
    int used = varint_decode(cursor->data, cursor->len, ret_value);

    if (used <= 0)
        return false;
    cursor->data += used;
    cursor->len -= (size_t)used;
    return true;
}

/* The values that an agent sends. */
static inline struct spop_value spop_text(struct span text)
{
    return (struct spop_value){.type = SPOP_STRING, .text = text};
}

static inline struct spop_value spop_uint32(uint32_t number)
{
    return (struct spop_value){.type = SPOP_UINT32, .integer = number};
}

static inline struct spop_value spop_int64(int64_t number)
{
    return (struct spop_value){.type = SPOP_INT64, .integer = number};
}

#endif
