/* One log event as one line of text, logfmt or JSON. Pure: the time comes in as text. */
#ifndef SPOA_CORE_BASE_LOG_FORMAT_H
#define SPOA_CORE_BASE_LOG_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "spoa/core/base/log.h"

/* The shortest space that log_format_line() takes: room for time, level, event and the end of the line. */
#define LOG_FORMAT_SIZE_MIN 256
/* Bytes of one value beyond which it is cut and ends in "...". */
#define LOG_FORMAT_VALUE_MAX 512

struct log_line {
    const char *time; /* "2026-11-20T22:41:00.123Z", written as it is */
    enum log_level level;
    const char *event; /* at most 64 bytes, written as it is, as are the keys */
    const struct log_field *fields;
    size_t count;
    uint64_t suppressed; /* lines of this event left out before this one; not written where 0 */
};

/*
 * Writes the line with its newline and returns its length, at most `size`, which is LOG_FORMAT_SIZE_MIN or
 * more. From the first field on that does not fit all are left out, and `cut=true` says so; a JSON line is
 * valid JSON all the same.
 *
 *     ts=2026-11-20T22:41:00.123Z level=info event=listening address=127.0.0.1:9012
 *     {"ts":"2026-11-20T22:41:00.123Z","level":"info","event":"listening","address":"127.0.0.1:9012"}
 *
 * A logfmt value is quoted where it is empty or has a blank, `"`, `=`, `\`, a control byte or bytes that are not
 * UTF-8; these are written as \xNN. JSON writes them as \u00NN. Nothing from outside can end a line.
 */
size_t log_format_line(enum log_format format, const struct log_line *line, uint8_t *out, size_t size);

#endif
