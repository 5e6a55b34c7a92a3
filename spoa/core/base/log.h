/* The log as the core sees it: events with named fields, handed to one sink that the I/O layer sets. */
#ifndef SPOA_CORE_BASE_LOG_H
#define SPOA_CORE_BASE_LOG_H

#include "proto/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spoa/core/base/events.h"

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
};

/* How the sink writes a line. */
enum log_format {
    LOG_FORMAT_LOGFMT,
    LOG_FORMAT_JSON,
};

struct log_field {
    const char *key;
    bool is_number;
    int64_t number;
    struct span text; /* if it is not a number; may be any bytes: the sink escapes them */
};

/* How much a line matters where not all can be written. */
enum log_weight {
    LOG_WEIGHT_COMMON, /* too many of one event in a second are only counted */
    LOG_WEIGHT_KEPT,   /* what became of a service, or of its sessions: the line is not held back */
};

/* The fields are valid only during the call. */
typedef void (*log_sink_fn)(void *context, enum log_level level, enum log_weight weight, const char *event,
                            const struct log_field *fields, size_t count);

/* Sets the sink for all further events; NULL drops them. Events above `max_level` never reach the sink. */
void log_set_sink(log_sink_fn sink, void *context, enum log_level max_level);

/* The name of the event in a line, "master-switch". */
const char *log_event_text(enum log_event_kind event);

/* The event's own level. */
enum log_level log_event_level(enum log_event_kind event);

/* Emits an event with fields that were gathered before; else log_event() is shorter. */
void log_emit(enum log_level level, enum log_event_kind event, const struct log_field *fields, size_t count);

/* "error", "warning", "info", "debug". */
const char *log_level_text(enum log_level level);

static inline struct log_field log_number(const char *key, int64_t number)
{
    return (struct log_field){.key = key, .is_number = true, .number = number};
}

static inline struct log_field log_span(const char *key, struct span text)
{
    return (struct log_field){.key = key, .text = text};
}

/* NULL is written as an empty text. */
static inline struct log_field log_text(const char *key, const char *text)
{
    return log_span(key, span_of_text(text != NULL ? text : ""));
}

/* Emits an event at its own level: log_event(EVENT_LISTENING, log_text("address", text)). Needs at least one
 * field. */
#define log_event(event, ...) log_event_at(log_event_level(event), (event), __VA_ARGS__)

/* The same, at another level. */
#define log_event_at(level, event, ...)                                                                      \
    log_emit((level), (event), (const struct log_field[]){__VA_ARGS__},                                      \
             sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

#endif
