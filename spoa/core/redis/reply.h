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

/* Valid during the call that it is handed to. */
struct reply {
    enum reply_kind kind;
    struct span text;
    int64_t number;
    const struct reply *elements;
    size_t count;
};

/* Whether it is an error with this code: its first word. */
static inline bool reply_is_error(const struct reply *reply, const char *code)
{
    size_t len = strlen(code);

    return reply->kind == REPLY_ERROR && reply->text.len >= len && memcmp(reply->text.data, code, len) == 0;
}

#endif
