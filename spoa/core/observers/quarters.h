/*
 * A day in quarters of an hour: the worst that clients felt in each. Its size is fixed, so it does not depend on how many
 * outages there were. Quarters begin where the loop's clock is a multiple of their length. Pure: time is an argument.
 */
#ifndef SPOA_CORE_OBSERVERS_QUARTERS_H
#define SPOA_CORE_OBSERVERS_QUARTERS_H

#include <stdint.h>

#define QUARTERS 96
#define QUARTER_MS ((int64_t)15 * 60 * 1000)

/* What was felt, from nothing known to bad. */
enum quarter_felt {
    QUARTER_UNKNOWN, /* the agent did not run */
    QUARTER_GOOD,
    QUARTER_WAITED,  /* clients waited, or nobody was named */
    QUARTER_REFUSED, /* clients were refused */
};

/* All zero: nothing is known. */
struct quarters {
    int64_t newest; /* the number of the quarter of the last call, from 0 of the clock on */
    uint8_t felt[QUARTERS];
};

/*
 * The agent runs at `now_ms`. To be called far more often than once in a quarter: a whole quarter without a call is
 * unknown.
 */
void quarters_tick(struct quarters *quarters, int64_t now_ms);

/* This was felt from `from_ms` until `now_ms`. It leaves what was worse. */
void quarters_note(struct quarters *quarters, enum quarter_felt felt, int64_t from_ms, int64_t now_ms);

/* A letter for each quarter up to `now_ms`, the newest last: 'n' (not known), 'g', 'w' or 'b' (bad). Returns `text`. */
const char *quarters_format(const struct quarters *quarters, int64_t now_ms, char text[QUARTERS + 1]);

#endif
