/* Durations, counted by how long they were. */
#ifndef SPOA_CORE_BASE_HISTOGRAM_H
#define SPOA_CORE_BASE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BOUNDS 12

struct histogram {
    uint64_t counts[HISTOGRAM_BOUNDS + 1]; /* the last is beyond all bounds; not cumulative */
    uint64_t sum_us;
};

/* `bounds_us`: HISTOGRAM_BOUNDS of them, ascending; each is included in its bucket. */
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
