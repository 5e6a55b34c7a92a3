/*
 * Questions that were met before, by the bytes of their NOTIFY: HAProxy asks with the same bytes for every connection of
 * a frontend, but for the client's address at their end, so most need not be read and looked up again. A table of fixed
 * size in which a new question takes the place of an older one: whatever is asked, it does not grow.
 */
#ifndef SPOA_CORE_HAPROXY_QUESTION_CACHE_H
#define SPOA_CORE_HAPROXY_QUESTION_CACHE_H

#include "proto/span.h"

#include <stdbool.h>
#include <stddef.h>

/* Longer payloads are not kept: they carry more than a question. */
#define QUESTION_CACHE_PAYLOAD_MAX 118

/* What is kept of a payload: all of it, or what all clients of a frontend have in common (question_common_len()). */
enum question_part { QUESTION_WHOLE, QUESTION_COMMON };

struct parking_queue;
struct question_slot;

/* Zero is an empty one without room. */
struct question_cache {
    void *memory;
    struct question_slot *slots; /* in it, each at the beginning of a cache line */
    size_t slot_count;           /* a power of two, or 0 */
    size_t victim;               /* counts who had to go */
    struct question_slot
        *latest; /* what was found or kept last: most often it is asked again; NULL: nothing */
};

/* Forgets all, and makes room for the questions about so many services. False where memory is short: the room stays as
 * it was. */
bool question_cache_reserve(struct question_cache *cache, size_t services);
void question_cache_finish(struct question_cache *cache);

/* Whom the NOTIFY with these bytes asked for the last time; NULL where that is not known. */
struct parking_queue *question_cache_find(struct question_cache *cache, struct span bytes,
                                          enum question_part part);

/* The same where the bytes begin as the question that was found or kept last, and that was QUESTION_COMMON; its length comes with
 * it. What follows must be a client's address (client_read()), else it is another question. */
struct parking_queue *question_cache_find_latest(const struct question_cache *cache, struct span bytes,
                                                 size_t *ret_len);

/* Keeps the answer to that, as long as there is room. `queue` is borrowed. */
void question_cache_add(struct question_cache *cache, struct span bytes, enum question_part part,
                        struct parking_queue *queue);

#endif
