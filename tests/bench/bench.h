/*
 * What the programs of this directory share: the clock, how long things took, the end where something fails.
 */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LATENCY_MAX_US 1000000

/* How often something took so many microseconds; the last is LATENCY_MAX_US or more. */
struct latencies {
    uint64_t counts[LATENCY_MAX_US + 1];
    uint64_t total;
    int64_t worst_us;
};

static inline void die(const char *what)
{
    perror(what);
    exit(1);
}

static inline int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline void latencies_note(struct latencies *latencies, int64_t took_ns)
{
    int64_t took_us = took_ns / 1000;

    latencies->counts[took_us < LATENCY_MAX_US ? took_us : LATENCY_MAX_US]++;
    latencies->total++;
    if (took_us > latencies->worst_us)
        latencies->worst_us = took_us;
}

/* Microseconds that so large a share of them did not exceed. */
static inline int latencies_quantile_us(const struct latencies *latencies, double share)
{
    uint64_t wanted = (uint64_t)((double)latencies->total * share);
    uint64_t seen = 0;

    for (int us = 0; us <= LATENCY_MAX_US; us++) {
        seen += latencies->counts[us];
        if (seen > wanted)
            return us;
    }
    return LATENCY_MAX_US;
}

/* How many took longer. */
static inline uint64_t latencies_over(const struct latencies *latencies, int us)
{
    uint64_t count = 0;

    for (us++; us <= LATENCY_MAX_US; us++)
        count += latencies->counts[us];
    return count;
}

#endif
