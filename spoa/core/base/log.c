#include "spoa/core/base/log.h"

/* The one global of the program: passing a sink through every call would tell the reader nothing. */
static struct {
    log_sink_fn sink;
    void *context;
    enum log_level max_level;
} log_state;

void log_set_sink(log_sink_fn sink, void *context, enum log_level max_level)
{
    log_state.sink = sink;
    log_state.context = context;
    log_state.max_level = max_level;
}

static const struct {
    const char *text;
    enum log_level level;
    enum log_weight weight;
} events[] = {
#define X(name, text, level, weight, when) [EVENT_##name] = {(text), LOG_LEVEL_##level, LOG_WEIGHT_##weight},
    EVENTS(X)
#undef X
};

const char *log_event_text(enum log_event_kind event)
{
    return events[event].text;
}

enum log_level log_event_level(enum log_event_kind event)
{
    return events[event].level;
}

void log_emit(enum log_level level, enum log_event_kind event, const struct log_field *fields, size_t count)
{
    if (log_state.sink != NULL && level <= log_state.max_level)
        log_state.sink(log_state.context, level, events[event].weight, events[event].text, fields, count);
}

const char *log_level_text(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        return "debug";
    }
    return "unknown";
}
