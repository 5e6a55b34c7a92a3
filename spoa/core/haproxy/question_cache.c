#include "spoa/core/haproxy/question_cache.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 16
/* A service is asked for its master and for its replicas. */
#define QUESTIONS_PER_SERVICE 2
/* A question may be in any of this many slots. */
#define WAYS 4

struct question_slot {
    struct parking_queue *queue; /* NULL: the slot is empty */
    uint8_t len;
    uint8_t part; /* an enum question_part */
    uint8_t payload[QUESTION_CACHE_PAYLOAD_MAX];
};

/* The size of a cache line. Most questions fit into the first line of their slot. */
#define SLOT_ALIGNMENT ((size_t)64)

_Static_assert(sizeof(struct question_slot) == 2 * SLOT_ALIGNMENT, "two cache lines");

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

static uint64_t mix(uint64_t sum, const uint8_t word[8])
{
    uint64_t bits;

    memcpy(&bits, word, sizeof(bits));
    return (sum ^ bits) * FACTOR;
}

/* Takes eight bytes at a time; the last eight may overlap those before. An attacker who makes many
 * questions share one set of slots gains nothing: they only replace each other there. */
static size_t hash(struct span bytes)
{
    uint64_t sum = bytes.len;
    uint8_t last[8] = {0};
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

static bool has(const struct question_slot *slot, struct span bytes, enum question_part part)
{
    return slot->queue != NULL && slot->part == part && span_equals(span_of(slot->payload, slot->len), bytes);
}

/* The first of the WAYS consecutive slots where these bytes may be. NULL if they cannot be kept. */
static struct question_slot *set_of(const struct question_cache *cache, struct span bytes)
{
    if (cache->slot_count == 0 || bytes.len > QUESTION_CACHE_PAYLOAD_MAX)
        return NULL;
    return &cache->slots[hash(bytes) & (cache->slot_count - 1) & ~(size_t)(WAYS - 1)];
}

struct parking_queue *question_cache_find_in(struct question_cache *cache, struct question_slot *fetched,
                                             struct span bytes, enum question_part part)
{
    for (size_t i = 0; fetched != NULL && i < WAYS; i++)
        if (has(&fetched[i], bytes, part)) {
            cache->latest = &fetched[i];
            return fetched[i].queue;
        }
    return NULL;
}

struct parking_queue *question_cache_find(struct question_cache *cache, struct span bytes,
                                          enum question_part part)
{
    if (cache->latest != NULL && has(cache->latest, bytes, part))
        return cache->latest->queue;
    return question_cache_find_in(cache, set_of(cache, bytes), bytes, part);
}

struct question_slot *question_cache_fetch(const struct question_cache *cache, struct span bytes)
{
    struct question_slot *set = set_of(cache, bytes);

    __builtin_prefetch(set);
    return set;
}

struct parking_queue *question_cache_find_latest(const struct question_cache *cache, struct span bytes,
                                                 size_t *ret_len)
{
    const struct question_slot *latest = cache->latest;

    if (latest == NULL || latest->part != QUESTION_COMMON || latest->len >= bytes.len ||
        memcmp(latest->payload, bytes.data, latest->len) != 0)
        return NULL;
    *ret_len = latest->len;
    return latest->queue;
}

void question_cache_add(struct question_cache *cache, struct span bytes, enum question_part part,
                        struct parking_queue *queue)
{
    struct question_slot *set = set_of(cache, bytes);
    size_t way = 0;

    if (set == NULL)
        return;
    while (way < WAYS && set[way].queue != NULL && !has(&set[way], bytes, part))
        way++;
    /* One must be replaced, and any will do. It must not always be the oldest: if all are asked in turn,
     * that is the one that is asked next. */
    if (way == WAYS)
        way = cache->victim++ % WAYS;
    set[way].queue = queue;
    set[way].len = (uint8_t)bytes.len;
    set[way].part = (uint8_t)part;
    if (bytes.len > 0)
        memcpy(set[way].payload, bytes.data, bytes.len);
    cache->latest = &set[way];
}
