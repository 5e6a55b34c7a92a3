#include "spoa/core/observers/hook_output.h"

#include <string.h>

#include "proto/span.h"
#include "spoa/core/base/log.h"

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

void hook_output_begin(struct hook_output *output, const char *service)
{
    output->service = service;
    output->lines = 0;
    output->dropped = 0;
    output->len = 0;
}

static void log_line(const struct hook_output *output)
{
    size_t kept = smaller(output->len, HOOK_OUTPUT_LINE_MAX);
    const struct log_field fields[] = {
        log_text("service", output->service),
        log_span("text", span_of(output->line, kept)),
        log_number("cut-bytes", (int64_t)(output->len - kept)),
    };

    log_emit(LOG_LEVEL_INFO, EVENT_HOOK_OUTPUT, fields, output->len > kept ? 3 : 2);
}

/* An empty line tells nothing. */
static void end_line(struct hook_output *output)
{
    if (output->len > 0 && output->lines < HOOK_OUTPUT_LINES_MAX) {
        output->lines++;
        log_line(output);
    } else if (output->len > 0) {
        output->dropped++;
    }
    output->len = 0;
}

static void add(struct hook_output *output, const char *bytes, size_t len)
{
    if (output->len < HOOK_OUTPUT_LINE_MAX)
        memcpy(output->line + output->len, bytes, smaller(len, HOOK_OUTPUT_LINE_MAX - output->len));
    output->len += len;
}

void hook_output_take(struct hook_output *output, const char *bytes, size_t len)
{
    while (len > 0) {
        const char *newline = memchr(bytes, '\n', len);
        size_t part = newline != NULL ? (size_t)(newline - bytes) : len;
        add(output, bytes, part);
        if (newline == NULL)
            return;
        end_line(output);
        bytes += part + 1;
        len -= part + 1;
    }
}

void hook_output_end(struct hook_output *output)
{
    end_line(output);
    if (output->dropped > 0)
        log_event(EVENT_HOOK_OUTPUT_DROPPED, log_text("service", output->service),
                  log_number("lines", (int64_t)output->dropped));
    output->dropped = 0;
}
