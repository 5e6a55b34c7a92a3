/*
 * For how long an answer without a name is kept back: `park`. With `auto` it follows from what a failover takes.
 * Pure.
 */
#ifndef SPOA_CORE_DECISION_PARK_H
#define SPOA_CORE_DECISION_PARK_H

#include <stdint.h>

/* In place of a time: `park = auto`. A time of 0 is: not at all. */
#define PARK_AUTO (-1)

/* The longest time that `auto` chooses, ms. The shipped `timeout processing` is 2 s longer. */
#define PARK_AUTO_MAX_MS 8000

/*
 * The time that is in effect, ms: `park_ms`, or with PARK_AUTO the time that a failover takes. A dead master is
 * held to be down after `down_after_ms`, and EVIDENCE_FAILOVER_MS later another one is named. The time is
 * PARK_AUTO_MAX_MS at most, and if `down_after_ms` is not known (0).
 */
int64_t park_limit_ms(int64_t park_ms, int64_t down_after_ms);

#endif
