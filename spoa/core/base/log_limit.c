#include "spoa/core/base/log_limit.h"

#include <string.h>

#include "spoa/core/base/hash.h"

/* Places for one key, from the one that it hashes to. */
#define PROBES 8
#define SECOND_MS 1000

static bool is_configured(const struct log_field *field)
{
    static const char *const keys[] = {"service",   "monitor", "sentinel", "node",
                                       "sentinels", "server",  "alarm",    "api"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        if (!field->is_number && strcmp(field->key, keys[i]) == 0)
            return true;
    return false;
}

uint64_t log_limit_subject(const struct log_field *fields, size_t count)
{
    uint64_t subject = HASH_EMPTY;

    for (size_t i = 0; i < count; i++)
        if (is_configured(&fields[i])) {
            subject = hash_add(subject, fields[i].key, strlen(fields[i].key) + 1);
            subject = hash_add(subject, fields[i].text.data, fields[i].text.len);
        }
    return subject;
}

static uint64_t key_of(const char *event, uint64_t subject)
{
    return hash_add(subject, event, strlen(event) + 1);
}

static bool is_over(const struct log_limit_entry *entry, int64_t now_ms)
{
    return now_ms - entry->t_second_ms >= SECOND_MS;
}

/* Finds the entry of `key` or makes one. NULL if all its places are taken in this second. */
static struct log_limit_entry *entry_of(struct log_limit *limit, const char *event, uint64_t key,
                                        int64_t now_ms)
{
    struct log_limit_entry *place = NULL;

    for (size_t i = 0; i < PROBES; i++) {
        struct log_limit_entry *entry = &limit->entries[(key + i) % LOG_LIMIT_ENTRIES];
        if (entry->event != NULL && entry->key == key)
            return entry;
        if (place == NULL && (entry->event == NULL || (is_over(entry, now_ms) && entry->suppressed == 0)))
            place = entry;
    }
    if (place != NULL)
        *place = (struct log_limit_entry){.event = event, .key = key, .t_second_ms = now_ms};
    return place;
}

static uint64_t take_suppressed(struct log_limit *limit, struct log_limit_entry *entry)
{
    uint64_t suppressed = entry->suppressed;

    limit->suppressing -= suppressed > 0;
    entry->suppressed = 0;
    return suppressed;
}

bool log_limit_pass(struct log_limit *limit, const char *event, uint64_t subject, bool must_pass,
                    int64_t now_ms, uint64_t *ret_suppressed)
{
    struct log_limit_entry *entry = entry_of(limit, event, key_of(event, subject), now_ms);

    if (entry == NULL) {
        *ret_suppressed = 0;
        return true;
    }
    if (is_over(entry, now_ms)) {
        entry->t_second_ms = now_ms;
        entry->passed = 0;
    }
    if (entry->passed >= limit->burst && !must_pass) {
        limit->suppressing += entry->suppressed == 0;
        entry->suppressed++;
        return false;
    }
    entry->passed++;
    *ret_suppressed = take_suppressed(limit, entry);
    return true;
}

bool log_limit_take(struct log_limit *limit, int64_t now_ms, const char **ret_event, uint64_t *ret_suppressed)
{
    if (limit->suppressing == 0)
        return false;
    for (size_t i = 0; i < LOG_LIMIT_ENTRIES; i++) {
        struct log_limit_entry *entry = &limit->entries[i];
        if (entry->suppressed == 0 || !is_over(entry, now_ms))
            continue;
        *ret_event = entry->event;
        *ret_suppressed = take_suppressed(limit, entry);
        return true;
    }
    return false;
}
