#include "spoa/core/observers/history.h"

#include <stdio.h>
#include <string.h>

#include "spoa/core/base/container_of.h"

static const char *server_text(const char *server)
{
    return server != NULL ? server : "";
}

static void begin(struct history *history, const struct service *service, const struct service_change *change)
{
    struct history_switch *entry = &history->switches[history->count++ % HISTORY_LENGTH];

    *entry = (struct history_switch){
        .generation = change->after->generation,
        .t_suspected_ms = change->outage != NULL ? change->outage->t_begun_ms : change->now_ms,
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

static void note_outage(struct history *history, const struct service *service,
                        const struct service_change *change)
{
    struct history_outage *entry = &history->outages[history->outage_count++ % HISTORY_LENGTH];
    const struct outage *outage = change->outage;

    /* It may have been too short for a tick. */
    quarters_note(&history->quarters, QUARTER_WAITED, outage->t_begun_ms, outage->t_ended_ms);
    *entry = (struct history_outage){
        .state = outage->state,
        .reason = outage_reason_text(outage),
        .t_begun_ms = outage->t_begun_ms,
        .t_down_ms = outage->t_down_ms,
        .t_ended_ms = outage->t_ended_ms,
        .waited = outage->waited,
        .refused = outage->refused,
        .longest_wait_ms = outage->longest_wait_ms,
    };
    (void)snprintf(entry->service, sizeof(entry->service), "%s", service_settings(service)->name);
    if (outage->has_former) {
        (void)addr_format(&outage->former, entry->old_addr);
        (void)snprintf(entry->old_server, sizeof(entry->old_server), "%s",
                       server_text(service_server(service, &outage->former)));
    }
    (void)snprintf(entry->new_server, sizeof(entry->new_server), "%s", server_text(change->after->server));
    (void)addr_format(change->after->addr, entry->new_addr);
}

static void changed(struct service_observer *self, const struct service *service,
                    const struct service_change *change)
{
    struct history_watch *watch = container_of(self, struct history_watch, observer);

    if (change->switched)
        begin(watch->history, service, change);
    if (change->is_first_answer)
        note_first(watch->history, service, change->now_ms);
    if (change->outage == NULL)
        return;
    watch->history->may_run = true;
    if (change->outage->is_running)
        return;
    watch->history->ended_refused += change->outage->refused;
    if (outage_is_felt(change->outage))
        note_outage(watch->history, service, change);
}

void history_watch_service(struct history_watch *watch, struct history *history, struct service *service)
{
    *watch = (struct history_watch){
        .observer = {.changed = changed},
        .history = history,
    };
    service_observe(service, &watch->observer);
}

bool history_wants_outages(const struct history *history)
{
    return history->may_run;
}

void history_felt_add(struct history_felt *felt, const struct outage *outage)
{
    if (!outage->is_running)
        return;
    felt->is_any = true;
    felt->is_felt = felt->is_felt || outage_is_felt(outage);
    felt->refused += outage->refused;
}

void history_tick(struct history *history, const struct history_felt *felt, int64_t now_ms)
{
    uint64_t refused = history->ended_refused + felt->refused;

    quarters_tick(&history->quarters, now_ms);
    if (felt->is_felt)
        quarters_note(&history->quarters, QUARTER_WAITED, now_ms, now_ms);
    if (refused > history->seen_refused)
        quarters_note(&history->quarters, QUARTER_REFUSED, now_ms, now_ms);
    history->seen_refused = refused; /* less than before where a reload has removed a service */
    history->may_run = felt->is_any;
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

const struct history_outage *history_get_outage(const struct history *history, size_t back)
{
    if (back >= HISTORY_LENGTH || back >= history->outage_count)
        return NULL;
    return &history->outages[(history->outage_count - 1 - back) % HISTORY_LENGTH];
}

const struct history_outage *history_find_outage(const struct history *history,
                                                 const struct history_switch *entry)
{
    const struct history_outage *outage;

    for (size_t back = 0; (outage = history_get_outage(history, back)) != NULL; back++)
        if (outage->t_ended_ms == entry->t_named_ms && strcmp(outage->service, entry->service) == 0)
            return outage;
    return NULL;
}
