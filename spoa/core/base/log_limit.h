/*
 * How often one event about one subject may be logged: its lines are counted by the second. What happens to
 * many subjects at once is not held back: 60 services that switch write 60 lines. Pure: time comes in.
 */
#ifndef SPOA_CORE_BASE_LOG_LIMIT_H
#define SPOA_CORE_BASE_LOG_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/span.h"
#include "spoa/core/base/log.h"

/*
 * Pairs of event and subject that are counted within one second. Lines of further pairs are never held back.
 */
#define LOG_LIMIT_ENTRIES 256

struct log_limit_entry {
    const char *event;   /* NULL: free */
    uint64_t key;        /* of event and subject */
    int64_t t_second_ms; /* when the current second began */
    unsigned passed;     /* lines that were let through in this second */
    uint64_t suppressed; /* lines that were held back since the last one let through */
};

/* Zero but for `burst` at first. */
struct log_limit {
    unsigned burst;     /* lines of one event about one subject in a second */
    size_t suppressing; /* entries that have lines to tell of */
    struct log_limit_entry entries[LOG_LIMIT_ENTRIES];
};

/*
 * What a line is about, as far as the configuration names it: service, Sentinel, server, alarm. What a peer says
 * does not count: it could choose another subject for each line.
 */
uint64_t log_limit_subject(const struct log_field *fields, size_t count);

/*
 * Whether a line of `event` (a text that stays valid) about `subject` may be written at `now_ms`. If so
 * `ret_suppressed` gets how many were held back since the last one. `must_pass` always lets it through
 * (errors), and counts it.
 */
bool log_limit_pass(struct log_limit *limit, const char *event, uint64_t subject, bool must_pass,
                    int64_t now_ms, uint64_t *ret_suppressed);

/*
 * Takes the lines of one event that were held back in a second that is over, and were not followed by another
 * line that tells of them. False if there are none.
 */
bool log_limit_take(struct log_limit *limit, int64_t now_ms, const char **ret_event,
                    uint64_t *ret_suppressed);

#endif
