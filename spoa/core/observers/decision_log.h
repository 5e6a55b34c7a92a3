/* An observer that writes every change of a service's decision to the log, and counts the switches. */
#ifndef SPOA_CORE_OBSERVERS_DECISION_LOG_H
#define SPOA_CORE_OBSERVERS_DECISION_LOG_H

#include "spoa/core/base/metrics.h"
#include "spoa/core/decision/service.h"

/* One per service. */
struct decision_log {
    struct service_observer observer;
    struct metrics *metrics;
    enum service_state told_state; /* what was logged last */
    enum service_reason told_reason;
    bool told_fenced;
    int64_t told_park_ms;  /* of `auto` */
    struct addr told_addr; /* compared only while no node is named */
};

/* Begins to observe `service`. The log must not move and must outlive the service. */
void decision_log_watch(struct decision_log *log, struct metrics *metrics, struct service *service);

/* `former` observed the same service under another configuration: what it logged last is not logged again. */
void decision_log_inherit(struct decision_log *log, const struct decision_log *former);

#endif
