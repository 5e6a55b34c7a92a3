/* The metrics as text, for Prometheus: format 0.0.4, or OpenMetrics 1.0.0. spoa/doc/monitoring.md lists them. */
#ifndef SPOA_CORE_STATUS_PROMETHEUS_H
#define SPOA_CORE_STATUS_PROMETHEUS_H

#include <stdbool.h>

#include "proto/must_check.h"

struct page_cursor;
struct status;
struct text;

/* Appends the next piece. False where it was the last one. */
MUST_CHECK bool prometheus_write(const struct status *status, bool is_openmetrics, struct page_cursor *cursor,
                                 struct text *out);

#endif
