/*
 * Whether a HAProxy can be told to cut sessions: the results of the last trial and of the last cut. If it
 * cannot, the alarm `runtime-api` is raised, before the first failover needs a cut. Pure: time is an
 * argument.
 */
#ifndef SPOA_CORE_HAPROXY_RUNTIME_HEALTH_H
#define SPOA_CORE_HAPROXY_RUNTIME_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/addr.h"
#include "spoa/core/base/alarms.h"
#include "spoa/core/haproxy/runtime_visit.h"

/* An address, and "master:" in front of it. */
#define RUNTIME_NAME_MAX (ADDR_TEXT_MAX + 8)

struct runtime_health {
    char name[RUNTIME_NAME_MAX]; /* the API's address, as in the configuration */
    bool is_tried;
    char trial[RUNTIME_COMPLAINT_MAX]; /* the reason why the last trial failed; "": it did not */
    char cut[RUNTIME_COMPLAINT_MAX];   /* the same of the last cut; "" also if nothing is owed any more */
    char told[RUNTIME_COMPLAINT_MAX];  /* the reason that the log has */
    size_t owed;                       /* the number of debts to this HAProxy */
    struct alarms alarms;
};

void runtime_health_init(struct runtime_health *health, const struct addr *addr, bool is_master);

/* `former` was that of the same API under another configuration: all that it knows goes on. */
void runtime_health_inherit(struct runtime_health *health, const struct runtime_health *former);

/* A trial has ended. `reason` tells why it failed, NULL: it did not. `owed` as in the struct. */
void runtime_health_note_trial(struct runtime_health *health, const char *reason, size_t owed,
                               int64_t now_ms);

/* A cut has ended. A failure is logged, but not again until a cut goes well or fails for another reason. */
void runtime_health_note_cut(struct runtime_health *health, const char *reason, size_t owed, int64_t now_ms);

/* The reason why it cannot cut, "" if it can. Valid after the first trial. */
const char *runtime_health_reason(const struct runtime_health *health);

/* Whether it was tried and can cut. */
bool runtime_health_is_well(const struct runtime_health *health);

#endif
