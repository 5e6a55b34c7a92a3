#include "spoa/core/status/status_text.h"

#include <string.h>

/* Adds text and blanks up to `width`; what is longer stays whole. */
static void add_column(struct page *page, const char *text, size_t width)
{
    page_add(page, text);
    for (size_t len = strlen(text); len < width; len++)
        page_add(page, " ");
    page_add(page, "  ");
}

static void add_alarms(struct page *page, const struct alarms *alarms)
{
    for (enum alarm_kind kind = ALARM_VOTER_COUNT; kind < ALARM_KINDS; kind++) {
        if (!alarms_is_raised(alarms, kind))
            continue;
        page_printf(page, "    ! %s: ", alarm_text(kind));
        page_add(page, alarm_meaning(kind));
        page_add(page, "\n");
    }
}

static void add_voice(struct page *page, const struct status *status, const struct voter_group *group,
                      const struct service *service, unsigned voter)
{
    struct service_voice voice = service_voice(service, voter);
    char text[ADDR_TEXT_MAX];

    page_add(page, "    ");
    add_column(page, voter_group_voter_name(group, voter), 24);
    if (voice.ballot == QUORUM_SILENT) {
        page_add(page, "never heard\n");
        return;
    }
    add_column(page, voice.addr != NULL ? addr_format(voice.addr, text) : "names nobody", 24);
    int64_t age_ms = status->now_ms - voice.t_sent_ms;
    page_printf(page, "%lld ms ago%s\n", (long long)age_ms,
                age_ms >= service_settings(service)->quorum.vote_life_ms ? ", expired" : "");
}

static void add_service(struct page *page, const struct status *status, const struct voter_group *group,
                        const struct service *service)
{
    const struct service_decision *decision = service_decision(service);
    const struct service_settings *settings = service_settings(service);
    char text[ADDR_TEXT_MAX];

    add_column(page, settings->name, 20);
    add_column(page, service_state_text(decision->state), 12);
    add_column(page, decision->server != NULL ? decision->server : "-", 12);
    add_column(page, decision->addr != NULL ? addr_format(decision->addr, text) : "-", 22);
    page_printf(page, "%u/%u votes, %u needed%s%s\n", decision->votes, settings->quorum.voters,
                settings->quorum.threshold, decision->reason != SERVICE_BECAUSE_NONE ? ", " : "",
                service_reason_text(decision->reason));
    for (unsigned i = 0; i < voter_group_voter_count(group); i++)
        add_voice(page, status, group, service, i);
    add_alarms(page, service_alarms(service));
}

static void add_switch(struct page *page, const struct status *status, const struct history_switch *entry)
{
    page_add(page, "    ");
    page_add(page, entry->service);
    page_printf(page, ": %s -> %s, %lld s ago, named after %lld ms",
                entry->old_server[0] != '\0' ? entry->old_server : "-",
                entry->new_server[0] != '\0' ? entry->new_server : "-",
                (long long)(status->now_ms - entry->t_named_ms) / 1000,
                (long long)(entry->t_named_ms - entry->t_suspected_ms));
    if (entry->t_cut_ms != HISTORY_NEVER)
        page_printf(page, ", sessions cut after %lld ms",
                    (long long)(entry->t_cut_ms - entry->t_suspected_ms));
    page_add(page, "\n");
}

void status_text_write(const struct status *status, struct page *page)
{
    const char *service = NULL;
    const char *unready = status_unready(status, &service);

    page_add(page, "sentinel-spoa ");
    page_add(page, status->version);
    page_printf(page, ", %s%s, %zu connections, %zu waiting%s\n\n",
                unready == NULL ? "ready" : "not ready: ", unready == NULL ? "" : unready,
                status->connections, status->parked,
                status->is_reload_good ? "" : ", the last reload failed");
    for (size_t i = 0; i < status->group_count; i++) {
        for (size_t k = 0; k < voter_group_service_count(status->groups[i]); k++)
            add_service(page, status, status->groups[i], voter_group_service(status->groups[i], k));
        add_alarms(page, voter_group_alarms(status->groups[i]));
    }
    if (history_get(status->history, 0) != NULL)
        page_add(page, "\nLast switches\n");
    for (size_t back = 0; history_get(status->history, back) != NULL; back++)
        add_switch(page, status, history_get(status->history, back));
}
