#include "spoa/core/observers/history.h"

#include <stdio.h>
#include <string.h>

#include "spoa/core/base/container_of.h"

static const char *server_text(const char *server)
{
    return server != NULL ? server : "";
}

static void begin(struct history_watch *watch, const struct service *service,
                  const struct service_change *change)
{
    struct history *history = watch->history;
    struct history_switch *entry = &history->switches[history->count++ % HISTORY_LENGTH];
    int64_t t_suspected_ms = watch->t_suspected_ms != HISTORY_NEVER ? watch->t_suspected_ms : change->now_ms;

    *entry = (struct history_switch){
        .generation = change->after->generation,
        .t_suspected_ms = t_suspected_ms,
        .t_named_ms = change->now_ms,
        .t_cut_ms = HISTORY_NEVER,
        .t_first_ms = HISTORY_NEVER,
    };
    (void)snprintf(entry->service, sizeof(entry->service), "%s", service_settings(service)->name);
    (void)snprintf(entry->old_server, sizeof(entry->old_server), "%s", server_text(change->replaced_server));
    (void)snprintf(entry->new_server, sizeof(entry->new_server), "%s", server_text(change->after->server));
    if (change->replaced != NULL)
        (void)addr_format(change->replaced, entry->old_addr);
    (void)addr_format(change->after->addr, entry->new_addr);
}

/* The last switch of a service; NULL if none is kept. */
static struct history_switch *find_last(struct history *history, const char *service)
{
    uint64_t kept = history->count < HISTORY_LENGTH ? history->count : HISTORY_LENGTH;

    for (uint64_t back = 1; back <= kept; back++) {
        struct history_switch *entry = &history->switches[(history->count - back) % HISTORY_LENGTH];
        if (strcmp(entry->service, service) == 0)
            return entry;
    }
    return NULL;
}

static void note_first(struct history *history, const struct service *service, int64_t now_ms)
{
    struct history_switch *entry = find_last(history, service_settings(service)->name);

    if (entry != NULL && entry->t_first_ms == HISTORY_NEVER)
        entry->t_first_ms = now_ms;
}

static void changed(struct service_observer *self, const struct service *service,
                    const struct service_change *change)
{
    struct history_watch *watch = container_of(self, struct history_watch, observer);
    bool is_open = service_is_open(service, SERVICE_ROLE_MASTER);

    if (change->switched)
        begin(watch, service, change);
    if (change->is_first_answer)
        note_first(watch->history, service, change->now_ms);
    if (is_open)
        watch->t_suspected_ms = HISTORY_NEVER;
    else if (watch->t_suspected_ms == HISTORY_NEVER && change->after->state != SERVICE_STARTING)
        watch->t_suspected_ms = change->now_ms;
}

void history_watch_service(struct history_watch *watch, struct history *history, struct service *service,
                           const struct history_watch *former)
{
    *watch = (struct history_watch){
        .observer = {.changed = changed},
        .history = history,
        .t_suspected_ms = former != NULL ? former->t_suspected_ms : HISTORY_NEVER,
    };
    service_observe(service, &watch->observer);
}

void history_note_cut(struct history *history, const char *service, const char *server, int64_t now_ms)
{
    struct history_switch *entry = find_last(history, service);

    if (entry != NULL && entry->t_cut_ms == HISTORY_NEVER && strcmp(entry->old_server, server) == 0)
        entry->t_cut_ms = now_ms;
}

const struct history_switch *history_get(const struct history *history, size_t back)
{
    if (back >= HISTORY_LENGTH || back >= history->count)
        return NULL;
    return &history->switches[(history->count - 1 - back) % HISTORY_LENGTH];
}
