/* How often one event may be logged: lines of each event are counted by the second. Pure: time comes in. */
#ifndef SPOA_CORE_BASE_LOG_LIMIT_H
#define SPOA_CORE_BASE_LOG_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/must_check.h"

/* Different events that are watched; more than the program has. Those beyond are never held back. */
#define LOG_LIMIT_EVENTS_MAX 64

struct log_limit_entry {
    const char *event;
    int64_t t_second_ms; /* when the current second began */
    unsigned passed;     /* in it */
    uint64_t suppressed; /* since the last line that was written */
};

struct log_limit {
    unsigned burst; /* lines of one event in a second; set by the caller, the rest begins zero */
    size_t count;
    struct log_limit_entry entries[LOG_LIMIT_EVENTS_MAX];
};

/*
 * May a line of `event` (a text that stays valid) be written at `now_ms`? If so `ret_suppressed` gets how many
 * were held back since the last one. `must_pass` always lets it through (errors), and counts it.
 */
MUST_CHECK bool log_limit_pass(struct log_limit *limit, const char *event, bool must_pass, int64_t now_ms,
                               uint64_t *ret_suppressed);

#endif
