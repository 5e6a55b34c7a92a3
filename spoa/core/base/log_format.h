/* One log event as one line of text, in logfmt or JSON. Pure: the time is an argument, as text. */
#ifndef SPOA_CORE_BASE_LOG_FORMAT_H
#define SPOA_CORE_BASE_LOG_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "spoa/core/base/log.h"

/* The smallest `size` for log_format_line(): room for time, level, event and the end of the line. */
#define LOG_FORMAT_SIZE_MIN 256
/* A value of more bytes than this is cut and ends in "...". */
#define LOG_FORMAT_VALUE_MAX 512

struct log_line {
    const char *time; /* not escaped */
    enum log_level level;
    const char *event; /* at most 64 bytes; neither it nor the keys are escaped */
    const struct log_field *fields;
    size_t count;
    uint64_t suppressed; /* lines of this event that were held back before this one; not written if 0 */
};

/*
 * Writes the line and its newline to `out` and returns its length in bytes. `size` is at least
 * LOG_FORMAT_SIZE_MIN. If a field does not fit, it and all fields after it are left out, and the line says
 * `cut=true`. A cut JSON line is still valid JSON.
 *
 *     ts=2026-11-20T22:41:00.123Z level=info event=listening address=127.0.0.1:9012
 *     {"ts":"2026-11-20T22:41:00.123Z","level":"info","event":"listening","address":"127.0.0.1:9012"}
 *
 * A logfmt value is quoted if it is empty or has a blank, `"`, `=`, `\`, a control byte or a byte that is not
 * UTF-8. Control bytes and bytes that are not UTF-8 are written as \xNN, in JSON as \u00NN (line feed,
 * carriage return and tab as \n, \r and \t). So no value can end a line.
 */
size_t log_format_line(enum log_format format, const struct log_line *line, uint8_t *out, size_t size);

#endif
