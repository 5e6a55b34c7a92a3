/* A Redis reply as the core sees it, free of the client library's types. */
#ifndef SPOA_CORE_REDIS_REPLY_H
#define SPOA_CORE_REDIS_REPLY_H

#include "proto/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum reply_kind {
    REPLY_NIL,
    REPLY_TEXT,    /* a bulk or simple string */
    REPLY_ERROR,   /* `text` begins with the error's code: "NOAUTH ...", "NOPERM ..." */
    REPLY_INTEGER, /* `number` */
    REPLY_ARRAY,   /* `elements` */
};

/* Valid only during the call that gets it. */
struct reply {
    enum reply_kind kind;
    struct span text;
    int64_t number;
    const struct reply *elements;
    size_t count;
};

/* What a parser of replies returns. It sets its results only if it returns REPLY_READ_OK. */
enum reply_reading {
    REPLY_READ_OK,
    REPLY_READ_NONE,        /* the answer is that no such thing exists */
    REPLY_READ_ERROR,       /* an error instead of an answer: see `text` */
    REPLY_READ_NONSENSE,    /* not a reply that the command can have */
    REPLY_READ_BAD_ADDRESS, /* the right shape, but an address in it is invalid */
};

/* REPLY_READ_OK if the reply is of this kind, otherwise REPLY_READ_ERROR or REPLY_READ_NONSENSE. */
static inline enum reply_reading reply_read_kind(const struct reply *reply, enum reply_kind kind)
{
    if (reply->kind == kind)
        return REPLY_READ_OK;
    return reply->kind == REPLY_ERROR ? REPLY_READ_ERROR : REPLY_READ_NONSENSE;
}

/* Whether the reply is an error whose text begins with `code`. */
static inline bool reply_is_error(const struct reply *reply, const char *code)
{
    size_t len = strlen(code);

    return reply->kind == REPLY_ERROR && reply->text.len >= len && memcmp(reply->text.data, code, len) == 0;
}

#endif
