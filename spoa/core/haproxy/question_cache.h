/*
 * A cache of questions, found by the bytes of their NOTIFY. HAProxy sends the same bytes for every connection
 * of a frontend, except for the client's address at the end. So most questions need not be read and looked up
 * again. The table has a fixed size: a new question replaces an older one, and the table never grows.
 */
#ifndef SPOA_CORE_HAPROXY_QUESTION_CACHE_H
#define SPOA_CORE_HAPROXY_QUESTION_CACHE_H

#include "proto/chunk.h"
#include "proto/span.h"
#include "spoa/core/haproxy/client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longer payloads are not kept, because they carry more than a question. */
#define QUESTION_CACHE_PAYLOAD_MAX 118

/* The part of a payload that is kept: all of it, or what all clients of a frontend have in common
 * (question_common_len()). */
enum question_part { QUESTION_WHOLE, QUESTION_COMMON };

struct parking_queue;

/* A question that is kept. */
struct question_slot {
    struct parking_queue *queue; /* NULL: the slot is empty */
    uint8_t len;
    uint8_t part; /* an enum question_part */
    uint8_t payload[QUESTION_CACHE_PAYLOAD_MAX];
};

/* All zero is an empty cache without room. */
struct question_cache {
    void *memory;
    struct question_slot *slots; /* in `memory`, each at the beginning of a cache line */
    size_t slot_count;           /* a power of two, or 0 */
    size_t victim;               /* counts the questions that were replaced */
    /* The slot that was found or filled last; NULL if there is none. Most often its question comes again. */
    struct question_slot *latest;
};

/* Forgets all questions, and makes room for the questions about `services` services. False if memory is
 * short; the room stays as it was then. */
bool question_cache_reserve(struct question_cache *cache, size_t services);
void question_cache_finish(struct question_cache *cache);

/* The queue that the NOTIFY with these bytes asked for last time; NULL if that is not known. */
struct parking_queue *question_cache_find(struct question_cache *cache, struct span bytes,
                                          enum question_part part);

/*
 * question_cache_find() in two steps, for questions of which many come at once. The first one begins to fetch
 * from memory what the second one looks at; it returns NULL if these bytes cannot be kept.
 */
struct question_slot *question_cache_fetch(const struct question_cache *cache, struct span bytes);
struct parking_queue *question_cache_find_in(struct question_cache *cache, struct question_slot *fetched,
                                             struct span bytes, enum question_part part);

/* Keeps `queue` as the answer for these bytes, if the cache can hold them. `queue` is borrowed. */
void question_cache_add(struct question_cache *cache, struct span bytes, enum question_part part,
                        struct parking_queue *queue);

/* Whether a NOTIFY with these bytes asks what the question in `slot` asks, for whatever client. The slot is not empty. */
CHUNK_INLINE bool question_is_same(const struct question_slot *slot, struct span bytes)
{
    return __builtin_expect(slot->part == QUESTION_COMMON && slot->len < bytes.len &&
                                chunks_equal(slot->payload, bytes.data, slot->len) &&
                                client_is_usual(span_of(bytes.data + slot->len, bytes.len - slot->len)),
                            1);
}

#endif
