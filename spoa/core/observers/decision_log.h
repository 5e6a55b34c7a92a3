/* An observer that writes every change of a service's decision to the log, and counts the switches. */
#ifndef SPOA_CORE_OBSERVERS_DECISION_LOG_H
#define SPOA_CORE_OBSERVERS_DECISION_LOG_H

#include "spoa/core/base/metrics.h"
#include "spoa/core/decision/service.h"

/* One per service. */
struct decision_log {
    struct service_observer observer;
    struct metrics *metrics;
    enum service_state told_state; /* what the log said last */
    enum service_reason told_reason;
    bool told_fenced;
    struct addr told_addr; /* of a node that is not named */
};

/* Begins to watch `service`; both must stay. `former` (or NULL) watched that service under another configuration: what it told last
 * is not told again. */
void decision_log_watch(struct decision_log *log, struct metrics *metrics, struct service *service,
                        const struct decision_log *former);

#endif
