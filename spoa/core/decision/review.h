/* The time from which something decided must be looked at again. */
#ifndef SPOA_CORE_DECISION_REVIEW_H
#define SPOA_CORE_DECISION_REVIEW_H

#include <stdint.h>

/* Not later than `time_ms`. */
static inline void review_by(int64_t *review_ms, int64_t time_ms)
{
    if (time_ms < *review_ms)
        *review_ms = time_ms;
}

#endif
