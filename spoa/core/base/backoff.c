#include "spoa/core/base/backoff.h"

void backoff_init(struct backoff *backoff, uint32_t min_ms, uint32_t max_ms, uint64_t seed)
{
    *backoff = (struct backoff){
        .min_ms = min_ms,
        .max_ms = max_ms,
        .ceiling_ms = min_ms,
        .random = seed != 0 ? seed : 1,
    };
}

void backoff_reset(struct backoff *backoff)
{
    backoff->ceiling_ms = backoff->min_ms;
}

/* xorshift64: random enough to spread the attempts, and the same on every run for one seed. */
static uint64_t next_random(struct backoff *backoff)
{
    backoff->random ^= backoff->random << 13;
    backoff->random ^= backoff->random >> 7;
    backoff->random ^= backoff->random << 17;
    return backoff->random;
}

uint32_t backoff_next(struct backoff *backoff)
{
    uint32_t ceiling_ms = backoff->ceiling_ms;
    uint32_t floor_ms = ceiling_ms / 2;
    uint32_t wait_ms = floor_ms + (uint32_t)(next_random(backoff) % (ceiling_ms - floor_ms + 1));

    backoff->ceiling_ms = ceiling_ms > backoff->max_ms / 2 ? backoff->max_ms : ceiling_ms * 2;
    return wait_ms;
}
