/*
 * Whether a HAProxy can be told to cut sessions: what came of the last trial and of the last cut. What cannot cut raises
 * the alarm `runtime-api`, before the first failover needs it. Pure: time comes in.
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
    char name[RUNTIME_NAME_MAX]; /* of the API, as the configuration has it */
    bool is_tried;
    char trial[RUNTIME_COMPLAINT_MAX]; /* why the last trial failed; "": it did not */
    char
        cut[RUNTIME_COMPLAINT_MAX]; /* why the last cut failed; "": it did not, or nothing is owed any more */
    char told[RUNTIME_COMPLAINT_MAX]; /* what the log says of cuts that failed */
    size_t owed;                      /* servers whose sessions it has not cut yet */
    struct alarms alarms;
};

/* "" before the first trial. */
void runtime_health_init(struct runtime_health *health, const struct addr *addr, bool is_master);

/* `reason`: why the trial failed, NULL where it did not. `owed` as in the struct. */
void runtime_health_note_trial(struct runtime_health *health, const char *reason, size_t owed,
                               int64_t now_ms);

/* The same of a cut. A failure is logged, until a cut goes well again or fails for another reason. */
void runtime_health_note_cut(struct runtime_health *health, const char *reason, size_t owed, int64_t now_ms);

/* Why it cannot cut, "" where it can. Meaningful once it was tried. */
const char *runtime_health_reason(const struct runtime_health *health);

/* It was tried, and can cut. */
bool runtime_health_is_well(const struct runtime_health *health);

#endif
