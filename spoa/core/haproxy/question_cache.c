#include "spoa/core/haproxy/question_cache.h"

#include <stdlib.h>
#include <string.h>

/* Inline, because with many services every question comes through here. */
#define INLINE static inline __attribute__((always_inline))

#define SLOTS_MIN 16
/* A service is asked for its master and for its replicas. */
#define QUESTIONS_PER_SERVICE 2
/* A question may be in any of this many slots: a set. It is a power of two. */
#define WAYS 8

/* The size of a cache line. Most questions fit into the first line of their slot. */
#define SLOT_ALIGNMENT ((size_t)64)

_Static_assert(sizeof(struct question_slot) <= 2 * SLOT_ALIGNMENT, "two cache lines");

bool question_cache_reserve(struct question_cache *cache, size_t services)
{
    size_t wanted = cache->slot_count > 0 ? cache->slot_count : SLOTS_MIN;

    if (cache->latest != NULL)
        memset(cache->slots, 0, cache->slot_count * sizeof(*cache->slots));
    cache->latest = NULL;
    while (wanted < services * QUESTIONS_PER_SERVICE)
        wanted *= 2;
    if (wanted == cache->slot_count)
        return true;
    /* Not aligned_alloc(): its memory would have to be cleared, and would be in use before any question
     * comes. */
    struct question_slot *memory = calloc(wanted + 1, sizeof(*memory));
    if (memory == NULL)
        return false;
    uint8_t *first = (uint8_t *)memory + (SLOT_ALIGNMENT - (uintptr_t)memory % SLOT_ALIGNMENT);
    question_cache_finish(cache);
    *cache = (struct question_cache){
        .memory = memory, .slots = (struct question_slot *)(void *)first, .slot_count = wanted};
    return true;
}

void question_cache_finish(struct question_cache *cache)
{
    free(cache->memory);
    *cache = (struct question_cache){.slots = NULL};
}

/* 2^64 divided by the golden ratio. */
#define FACTOR UINT64_C(0x9e3779b97f4a7c15)

/* Takes sixteen bytes at a time; the last sixteen may overlap those before. An attacker who makes many
 * questions share one set of slots gains nothing: they only replace each other there. */
static uint64_t mix(uint64_t sum, const uint8_t bytes[CHUNK_BYTES])
{
    chunk_bits bits = chunk_at(bytes);

    return ((sum ^ bits[0]) * FACTOR ^ bits[1]) * FACTOR;
}

static size_t hash(struct span bytes)
{
    uint64_t sum = bytes.len;
    uint8_t last[CHUNK_BYTES] = {0};
    size_t at = 0;

    for (; at + sizeof(last) < bytes.len; at += sizeof(last))
        sum = mix(sum, bytes.data + at);
    if (bytes.len >= sizeof(last)) {
        sum = mix(sum, bytes.data + bytes.len - sizeof(last));
    } else if (bytes.len > 0) {
        memcpy(last, bytes.data, bytes.len);
        sum = mix(sum, last);
    }
    /* The upper bits of a product depend on all bits of its factors; the lower bits do not. */
    return (size_t)((sum ^ sum >> 32) * FACTOR >> 32);
}

INLINE bool has(const struct question_slot *slot, struct span bytes, enum question_part part)
{
    return slot->queue != NULL && slot->part == part && slot->len == bytes.len &&
           chunks_equal(slot->payload, bytes.data, bytes.len);
}

/* The slot where these bytes should be; they may also be in the other slots of its set. NULL if they cannot be kept. */
static struct question_slot *place_of(const struct question_cache *cache, struct span bytes)
{
    if (cache->slot_count == 0 || bytes.len > QUESTION_CACHE_PAYLOAD_MAX)
        return NULL;
    return &cache->slots[hash(bytes) & (cache->slot_count - 1)];
}

/* The slots of a set, that of `place` first. `way` is below WAYS. */
static struct question_slot *slot_of(const struct question_cache *cache, const struct question_slot *place,
                                     size_t way)
{
    return &cache->slots[(size_t)(place - cache->slots) ^ way];
}

struct parking_queue *question_cache_find_in(struct question_cache *cache, struct question_slot *fetched,
                                             struct span bytes, enum question_part part)
{
    for (size_t way = 0; fetched != NULL && way < WAYS; way++) {
        struct question_slot *slot = slot_of(cache, fetched, way);
        if (has(slot, bytes, part)) {
            cache->latest = slot;
            return slot->queue;
        }
    }
    return NULL;
}

struct parking_queue *question_cache_find(struct question_cache *cache, struct span bytes,
                                          enum question_part part)
{
    if (cache->latest != NULL && has(cache->latest, bytes, part))
        return cache->latest->queue;
    return question_cache_find_in(cache, place_of(cache, bytes), bytes, part);
}

struct question_slot *question_cache_fetch(const struct question_cache *cache, struct span bytes)
{
    struct question_slot *place = place_of(cache, bytes);

    __builtin_prefetch(place);
    return place;
}

void question_cache_add(struct question_cache *cache, struct span bytes, enum question_part part,
                        struct parking_queue *queue)
{
    struct question_slot *place = place_of(cache, bytes);
    struct question_slot *slot = place;

    if (place == NULL)
        return;
    for (size_t way = 1; slot->queue != NULL && !has(slot, bytes, part); way++) {
        /* One must be replaced, and any will do. It must not always be the oldest: if all are asked in turn,
         * it is asked next. */
        slot = slot_of(cache, place, way < WAYS ? way : cache->victim++ % WAYS);
        if (way == WAYS)
            break;
    }
    slot->queue = queue;
    slot->len = (uint8_t)bytes.len;
    slot->part = (uint8_t)part;
    if (bytes.len > 0)
        memcpy(slot->payload, bytes.data, bytes.len);
    cache->latest = slot;
}
