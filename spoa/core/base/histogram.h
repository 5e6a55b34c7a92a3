/* A histogram of durations. */
#ifndef SPOA_CORE_BASE_HISTOGRAM_H
#define SPOA_CORE_BASE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BOUNDS 12

struct histogram {
    /* A count per bucket, not cumulative. The last bucket is for durations above all bounds. */
    uint64_t counts[HISTOGRAM_BOUNDS + 1];
    uint64_t sum_us;
};

/* Counts `times` durations of `us` each. `bounds_us` has HISTOGRAM_BOUNDS upper bounds in ascending order.
 * A duration that is equal to a bound belongs to the bucket of that bound. */
static inline void histogram_add(struct histogram *histogram, const uint32_t *bounds_us, uint64_t us,
                                 uint64_t times)
{
    size_t i = 0;

    while (i < HISTOGRAM_BOUNDS && us > bounds_us[i])
        i++;
    histogram->counts[i] += times;
    histogram->sum_us += us * times;
}

#endif
