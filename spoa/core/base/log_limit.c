#include "spoa/core/base/log_limit.h"

#include <string.h>

/* Finds the entry of `event` or makes one. NULL if the table is full. */
static struct log_limit_entry *entry_of(struct log_limit *limit, const char *event, int64_t now_ms)
{
    for (size_t i = 0; i < limit->count; i++)
        if (strcmp(limit->entries[i].event, event) == 0)
            return &limit->entries[i];
    if (limit->count == LOG_LIMIT_EVENTS_MAX)
        return NULL;
    limit->entries[limit->count] = (struct log_limit_entry){.event = event, .t_second_ms = now_ms};
    return &limit->entries[limit->count++];
}

bool log_limit_pass(struct log_limit *limit, const char *event, bool must_pass, int64_t now_ms,
                    uint64_t *ret_suppressed)
{
    struct log_limit_entry *entry = entry_of(limit, event, now_ms);

    if (entry == NULL) {
        *ret_suppressed = 0;
        return true;
    }
    if (now_ms - entry->t_second_ms >= 1000) {
        entry->t_second_ms = now_ms;
        entry->passed = 0;
    }
    if (entry->passed >= limit->burst && !must_pass) {
        entry->suppressed++;
        return false;
    }
    entry->passed++;
    *ret_suppressed = entry->suppressed;
    entry->suppressed = 0;
    return true;
}
