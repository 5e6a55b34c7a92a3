#include "spoa/core/base/metrics.h"

/* 10 us to 1 s: a look-up takes microseconds, and anything above a millisecond is worth a look. */
const uint32_t metrics_answer_bounds_us[HISTOGRAM_BOUNDS] = {10,   25,   50,    100,   250,    500,
                                                             1000, 2500, 10000, 50000, 250000, 1000000};

/* 10 ms to 30 s: a failover takes seconds. */
const uint32_t metrics_parked_bounds_us[HISTOGRAM_BOUNDS] = {
    10000, 50000, 100000, 250000, 500000, 1000000, 2000000, 3000000, 5000000, 8000000, 15000000, 30000000};

/* 0.5 ms to 2.5 s: a reload works in pieces of about 2 ms, but for the steps that reload.c lists. */
const uint32_t metrics_stall_bounds_us[HISTOGRAM_BOUNDS] = {500,   1000,   2000,   5000,   10000,   25000,
                                                            50000, 100000, 250000, 500000, 1000000, 2500000};
