/* All that is shown of a running agent, as it is at one moment: for metrics, the status page, health checks. */
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
struct voter_group;

/* What the kernel says of the process; 0 where it does not. */
struct process_stats {
    double cpu_seconds;
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint64_t open_fds;
    uint64_t max_fds;
    int64_t t_start_unix_ms;
};

/* All borrowed. Times in ms of the loop's clock but for those that say Unix. */
struct status {
    int64_t pid;
    const char *version;
    const char *revision;
    const struct metrics *metrics;
    const struct history *history;
    const struct voter_group *const *groups; /* with their services */
    const struct service_table *table;       /* what was answered for these services */
    size_t group_count;
    size_t connections;
    size_t parked;
    bool is_stopping;
    bool is_reload_good; /* the last one, or none was asked for */
    bool is_reload_open; /* it is not known yet what becomes of the last one */
    uint64_t reloads_asked;
    const char *reload_error; /* why the last one failed; NULL where it did not */
    int64_t t_loaded_ms;      /* the configuration that is used */
    int64_t now_ms;
    int64_t now_unix_ms;
    struct process_stats process;
};

/* A time of the loop's clock as Unix time, in ms. */
static inline int64_t status_unix_ms(const struct status *status, int64_t t_ms)
{
    return status->now_unix_ms - (status->now_ms - t_ms);
}

/* Why the agent is not ready: a static text, NULL where it is. The name of the service goes to `*ret_service`, NULL
 * where it is not about one. */
const char *status_unready(const struct status *status, const char **ret_service);

#endif
