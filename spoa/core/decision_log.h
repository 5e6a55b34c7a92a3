/* An observer that writes every change of a service's decision to the log, and counts the switches. */
#ifndef SPOA_CORE_DECISION_LOG_H
#define SPOA_CORE_DECISION_LOG_H

#include "spoa/core/metrics.h"
#include "spoa/core/service.h"

/* One per service. */
struct decision_log {
    struct service_observer observer; /* first; give it to service_observe() */
    struct metrics *metrics;
    enum service_state told_state; /* what the log said last */
    enum service_reason told_reason;
    bool told_fenced;
    struct addr told_addr; /* of a node that is not named */
};

void decision_log_init(struct decision_log *log, struct metrics *metrics);

#endif
