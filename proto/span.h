/* Borrowed bytes to read, and bounded space to write to. All of proto/ works with these two types. */
#ifndef PROTO_SPAN_H
#define PROTO_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/must_check.h"

/* Bytes that somebody else owns, without a NUL at the end. `data` may be NULL only if `len` is 0. */
struct span {
    const uint8_t *data;
    size_t len;
};

/* Space that somebody else owns, filled from `at` on. A write that does not fit writes nothing and sets
 * `full`. Every later write is refused, too: one check after a series of writes is enough. */
struct sink {
    uint8_t *at;
    uint8_t *end;
    bool full;
};

/* The two arguments of "%.*s". */
#define SPAN_PRINTED(span) (int)(span).len, (const char *)(span).data

static inline struct span span_of(const void *data, size_t len)
{
    return (struct span){.data = data, .len = len};
}

static inline struct span span_of_text(const char *text)
{
    return (struct span){.data = (const uint8_t *)text, .len = strlen(text)};
}

static inline bool span_equals(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool span_equals_text(struct span a, const char *text)
{
    return span_equals(a, span_of_text(text));
}

/* Takes `len` bytes off the front of `cursor`. Returns false and takes nothing if it holds fewer. */
MUST_CHECK static inline bool span_take(struct span *cursor, size_t len, struct span *ret_taken)
{
    if (len > cursor->len)
        return false;
    *ret_taken = span_of(cursor->data, len);
    cursor->data += len;
    cursor->len -= len;
    return true;
}

static inline bool span_is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* Takes the blanks and the next word off the front of `cursor`. Returns the word; it is empty at the end. */
static inline struct span span_take_word(struct span *cursor)
{
    size_t blanks = 0;
    size_t len = 0;

    while (blanks < cursor->len && span_is_blank(cursor->data[blanks]))
        blanks++;
    struct span word = span_of(cursor->data + blanks, cursor->len - blanks);
    while (len < word.len && !span_is_blank(word.data[len]))
        len++;
    *cursor = span_of(word.data + len, word.len - len);
    word.len = len;
    return word;
}

/* Takes a decimal number off the front of `cursor`: digits up to the first other byte, leading zeros
 * allowed. Returns false and takes nothing if there is no digit or the number is over `max`. */
bool span_take_number(struct span *cursor, uint64_t max, uint64_t *ret_number);

/* The same, but the number must be all of `text`. */
bool span_read_number(struct span text, uint64_t max, uint64_t *ret_number);

static inline struct sink sink_of(uint8_t *space, size_t size)
{
    return (struct sink){.at = space, .end = space + size, .full = false};
}

static inline size_t sink_room(const struct sink *sink)
{
    return sink->full ? 0 : (size_t)(sink->end - sink->at);
}

static inline void sink_put(struct sink *sink, const void *data, size_t len)
{
    if (len > sink_room(sink)) {
        sink->full = true;
        return;
    }
    if (len > 0)
        memcpy(sink->at, data, len);
    sink->at += len;
}

static inline void sink_put_byte(struct sink *sink, uint8_t byte)
{
    sink_put(sink, &byte, 1);
}

#endif
