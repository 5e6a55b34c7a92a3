/* Limits how many lines of each event are logged in a second. Pure: time is an argument. */
#ifndef SPOA_CORE_BASE_LOG_LIMIT_H
#define SPOA_CORE_BASE_LOG_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/must_check.h"

/* How many different events can be limited; the program has fewer. Any further event is never held back. */
#define LOG_LIMIT_EVENTS_MAX 64

struct log_limit_entry {
    const char *event;
    int64_t t_second_ms; /* when the current second began */
    unsigned passed;     /* lines that were let through in this second */
    uint64_t suppressed; /* lines that were held back since the last one let through */
};

struct log_limit {
    unsigned burst; /* lines of one event per second; set by the caller, who sets the rest to zero */
    size_t count;
    struct log_limit_entry entries[LOG_LIMIT_EVENTS_MAX];
};

/*
 * Whether a line of `event` may be written at `now_ms`. If so, `ret_suppressed` gets the number of lines that
 * were held back since the last one. `must_pass` (for errors) always lets the line through, and counts it.
 * The text of `event` is borrowed and must outlive `limit`.
 */
MUST_CHECK bool log_limit_pass(struct log_limit *limit, const char *event, bool must_pass, int64_t now_ms,
                               uint64_t *ret_suppressed);

#endif
