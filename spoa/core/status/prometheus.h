/* The metrics as text, for Prometheus: format 0.0.4, or OpenMetrics 1.0.0. Names are listed in the README. */
#ifndef SPOA_CORE_STATUS_PROMETHEUS_H
#define SPOA_CORE_STATUS_PROMETHEUS_H

#include <stdbool.h>

struct status;
struct text;

void prometheus_write(const struct status *status, bool is_openmetrics, struct text *out);

#endif
