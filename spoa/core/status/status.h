/* All that is shown of a running agent at one moment: for metrics, the status page and health checks. */
#ifndef SPOA_CORE_STATUS_STATUS_H
#define SPOA_CORE_STATUS_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spoa/core/base/metrics.h"
#include "spoa/core/haproxy/service_table.h"
#include "spoa/core/observers/history.h"
#include "spoa/core/voters/voter_group.h"

struct history;
struct metrics;
struct runtime_health;
struct voter_group;

/* What the kernel tells about the process; 0 if it does not tell. */
struct process_stats {
    double cpu_seconds;
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint64_t open_fds;
    uint64_t max_fds;
    int64_t t_start_unix_ms;
};

/* All pointers are borrowed. Times are in ms of the loop's clock, unless their name says Unix. */
struct status {
    int64_t pid;
    const char *version;
    const char *revision;
    const struct metrics *metrics;
    const struct history *history;
    const struct voter_group *const *groups; /* with their services */
    const struct service_table *table;       /* the answers given for these services */
    const struct unknown_service *unknown;   /* what HAProxy asks for and is not there */
    size_t group_count;
    const struct runtime_health *apis; /* HAProxys whose sessions are cut */
    size_t api_count;
    size_t connections;
    size_t parked;
    bool is_stopping;
    bool is_reload_good; /* the last reload worked, or there was none */
    bool is_reload_open; /* the last reload has neither worked nor failed yet */
    uint64_t reloads_asked;
    const char *reload_error; /* why the last reload failed; NULL if it did not */
    int64_t t_loaded_ms;      /* when the configuration in use was loaded */
    int64_t now_ms;
    int64_t now_unix_ms;
    struct process_stats process;
};

/* Turns a time of the loop's clock into Unix time, in ms. */
static inline int64_t status_unix_ms(const struct status *status, int64_t t_ms)
{
    return status->now_unix_ms - (status->now_ms - t_ms);
}

/* Why the agent is not ready, as a static text, or NULL if it is ready. `*ret_service` gets the name of
 * the service that is the reason, or NULL if no service is. */
const char *status_unready(const struct status *status, const char **ret_service);

#endif
