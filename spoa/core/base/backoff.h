/* How long to wait before the next attempt. The wait doubles and has jitter, so that agents do not come
 * back all at once. */
#ifndef SPOA_CORE_BASE_BACKOFF_H
#define SPOA_CORE_BASE_BACKOFF_H

#include <stdint.h>

struct backoff {
    uint32_t min_ms;
    uint32_t max_ms;
    uint32_t ceiling_ms; /* the longest that the next wait can be */
    uint64_t random;     /* xorshift state, never 0 */
};

/* `seed` may be any value; the same seed gives the same waits. 0 < min_ms <= max_ms. */
void backoff_init(struct backoff *backoff, uint32_t min_ms, uint32_t max_ms, uint64_t seed);

/* After a success: the next wait is short again. */
void backoff_reset(struct backoff *backoff);

/* The next wait in ms: at random, between half of the ceiling and the ceiling. Then doubles the ceiling,
 * up to max_ms. */
uint32_t backoff_next(struct backoff *backoff);

#endif
