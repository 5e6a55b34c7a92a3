/* How long to wait before the next attempt: doubling, with jitter, so that agents do not come back in step. */
#ifndef SPOA_CORE_BASE_BACKOFF_H
#define SPOA_CORE_BASE_BACKOFF_H

#include <stdint.h>

struct backoff {
    uint32_t min_ms;
    uint32_t max_ms;
    uint32_t ceiling_ms; /* of the next wait */
    uint64_t random;     /* xorshift state, never 0 */
};

/* `seed` makes the sequence; any value. 0 < min_ms <= max_ms. */
void backoff_init(struct backoff *backoff, uint32_t min_ms, uint32_t max_ms, uint64_t seed);

/* After a success: the next wait is short again. */
void backoff_reset(struct backoff *backoff);

/* The next wait in ms: between half of the ceiling and the ceiling, which then doubles up to max_ms. */
uint32_t backoff_next(struct backoff *backoff);

#endif
