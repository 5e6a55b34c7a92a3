/* The metrics as text, for Prometheus: format 0.0.4, or OpenMetrics 1.0.0. Names are listed in the README. */
#ifndef SPOA_CORE_EXPOSITION_H
#define SPOA_CORE_EXPOSITION_H

#include <stdbool.h>

#include "spoa/core/page.h"
#include "spoa/core/status.h"

void exposition_write(const struct status *status, bool is_openmetrics, struct page *page);

#endif
