/* Log lines that could not be written yet, the oldest first, in a bounded place. Pure. */
#ifndef SPOA_CORE_BASE_LOG_BACKLOG_H
#define SPOA_CORE_BASE_LOG_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/must_check.h"
#include "proto/span.h"

#define LOG_BACKLOG_BYTES ((size_t)64 * 1024)

/* All zero is an empty backlog. */
struct log_backlog {
    size_t begin; /* of the oldest line */
    size_t end;
    uint8_t bytes[LOG_BACKLOG_BYTES]; /* each line behind its length, two bytes */
};

/* Copies a line of at most 65535 bytes. False if there is no room. */
MUST_CHECK bool log_backlog_add(struct log_backlog *backlog, struct span line);

/* The oldest line, valid until the next call that changes the backlog. Empty if there is none. */
struct span log_backlog_oldest(const struct log_backlog *backlog);

/* Drops the oldest line. There must be one. */
void log_backlog_drop(struct log_backlog *backlog);

#endif
