/* The log as a test sees it: events are kept as text and can be counted and looked at. */
#ifndef TESTS_LIB_LOG_CAPTURE_H
#define TESTS_LIB_LOG_CAPTURE_H

#include <stddef.h>

#include "spoa/core/base/log.h"

/* From now on the log comes here; what was kept is dropped. */
void log_capture_begin(enum log_level max_level);

/* Drops what was kept. */
void log_capture_clear(void);

/* How many events of that name were logged; NULL: of any name. */
size_t log_capture_count(const char *event);

/* The last event of that name as "LEVEL EVENT key=value key=value", or "". Valid until the next event. */
const char *log_capture_last(const char *event);

#endif
