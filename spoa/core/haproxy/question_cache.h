/*
 * A cache of questions, found by the bytes of their NOTIFY. HAProxy sends the same bytes for every connection
 * of a frontend, except for the client's address at the end. So most questions need not be read and looked up
 * again. The table has a fixed size: a new question replaces an older one, and the table never grows.
 */
#ifndef SPOA_CORE_HAPROXY_QUESTION_CACHE_H
#define SPOA_CORE_HAPROXY_QUESTION_CACHE_H

#include "proto/span.h"

#include <stdbool.h>
#include <stddef.h>

/* Longer payloads are not kept, because they carry more than a question. */
#define QUESTION_CACHE_PAYLOAD_MAX 118

/* The part of a payload that is kept: all of it, or what all clients of a frontend have in common
 * (question_common_len()). */
enum question_part { QUESTION_WHOLE, QUESTION_COMMON };

struct parking_queue;
struct question_slot;

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

/* The same, but compares only with the question that was found or added last. It must be QUESTION_COMMON,
 * and `bytes` must begin with it; `ret_len` gets its length. The caller must check that a client's address
 * follows (client_is_usual()); otherwise this is another question. */
struct parking_queue *question_cache_find_latest(const struct question_cache *cache, struct span bytes,
                                                 size_t *ret_len);

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

#endif
