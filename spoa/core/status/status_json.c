#include "spoa/core/status/status_json.h"

static void add_key(struct page *page, const char *key)
{
    page_printf(page, "\"%s\":", key);
}

static void add_text(struct page *page, const char *key, const char *text)
{
    add_key(page, key);
    page_add_json(page, text);
}

static void add_number(struct page *page, const char *key, int64_t number)
{
    page_printf(page, "\"%s\":%lld", key, (long long)number);
}

static void add_addr(struct page *page, const char *key, const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];

    add_text(page, key, addr != NULL ? addr_format(addr, text) : NULL);
}

static void add_alarms(struct page *page, const struct alarms *alarms)
{
    const char *comma = "";

    page_add(page, "\"alarms\":[");
    for (enum alarm_kind kind = ALARM_VOTER_COUNT; kind < ALARM_KINDS; kind++) {
        if (!alarms_is_raised(alarms, kind))
            continue;
        page_printf(page, "%s{", comma);
        add_text(page, "alarm", alarm_text(kind));
        page_add(page, ",");
        add_text(page, "meaning", alarm_meaning(kind));
        page_add(page, "}");
        comma = ",";
    }
    page_add(page, "]");
}

static const char *ballot_text(enum quorum_ballot ballot)
{
    switch (ballot) {
    case QUORUM_NAMES:
        return "names";
    case QUORUM_UNKNOWN_NAME:
        return "unknown-name";
    case QUORUM_INVALID:
        return "error";
    case QUORUM_SILENT:
        break;
    }
    return "silent";
}

static void add_voice(struct page *page, const struct status *status, const struct voter_group *group,
                      const struct service *service, unsigned voter)
{
    struct service_voice voice = service_voice(service, voter);

    page_add(page, "{");
    add_text(page, "sentinel", voter_group_voter_name(group, voter));
    page_add(page, ",");
    add_text(page, "says", ballot_text(voice.ballot));
    page_add(page, ",");
    add_addr(page, "addr", voice.addr);
    page_add(page, ",");
    add_key(page, "age-ms");
    if (voice.ballot == QUORUM_SILENT)
        page_add(page, "null");
    else
        page_printf(page, "%lld", (long long)(status->now_ms - voice.t_sent_ms));
    page_add(page, "}");
}

static void add_replicas(struct page *page, const struct service *service)
{
    uint64_t replicas = service_decision(service)->replicas;
    const char *comma = "";

    page_add(page, "\"replicas\":[");
    for (size_t i = 0; i < service_settings(service)->server_count; i++) {
        if (i >= REPLICAS_MAX || (replicas >> i & 1) == 0)
            continue;
        page_add(page, comma);
        page_add_json(page, service_settings(service)->servers[i].name);
        comma = ",";
    }
    page_add(page, "]");
}

static void add_service(struct page *page, const struct status *status, const struct voter_group *group,
                        const struct service *service)
{
    const struct service_decision *decision = service_decision(service);
    const struct service_settings *settings = service_settings(service);

    page_add(page, "{");
    add_text(page, "service", settings->name);
    page_add(page, ",");
    add_text(page, "monitor", settings->monitor);
    page_add(page, ",");
    add_text(page, "state", service_state_text(decision->state));
    page_add(page, ",");
    add_text(page, "reason", service_reason_text(decision->reason));
    page_add(page, ",");
    add_text(page, "server", decision->server);
    page_add(page, ",");
    add_addr(page, "addr", decision->addr);
    page_printf(page, ",\"named\":%s,\"waits\":%s,\"fenced\":%s,",
                service_state_names(decision->state) ? "true" : "false",
                decision->is_doubtful ? "true" : "false", decision->is_fenced ? "true" : "false");
    add_number(page, "votes", decision->votes);
    page_add(page, ",");
    add_number(page, "quorum", settings->quorum.threshold);
    page_add(page, ",");
    add_number(page, "voters", settings->quorum.voters);
    page_add(page, ",");
    add_number(page, "generation", (int64_t)decision->generation);
    page_add(page, ",");
    add_number(page, "vote-life-ms", settings->quorum.vote_life_ms);
    page_add(page, ",");
    add_replicas(page, service);
    page_add(page, ",");
    add_alarms(page, service_alarms(service));
    page_add(page, ",\"sentinels\":[");
    for (unsigned i = 0; i < voter_group_voter_count(group); i++) {
        page_add(page, i > 0 ? "," : "");
        add_voice(page, status, group, service, i);
    }
    page_add(page, "]}");
}

static void add_group(struct page *page, const struct status *status, const struct voter_group *group)
{
    page_add(page, "{");
    add_text(page, "group", voter_group_name(group));
    page_add(page, ",");
    add_alarms(page, voter_group_alarms(group));
    page_add(page, ",\"sentinels\":[");
    for (unsigned i = 0; i < voter_group_voter_count(group); i++) {
        page_add(page, i > 0 ? ",{" : "{");
        add_text(page, "sentinel", voter_group_voter_name(group, i));
        page_add(page, ",");
        add_text(page, "myid", voter_group_identity(group, i));
        page_printf(page, ",\"up\":%s}", voter_group_is_heard(group, i, status->now_ms) ? "true" : "false");
    }
    page_add(page, "]}");
}

/* Times as Unix ms, null where there is none. */
static void add_time(struct page *page, const struct status *status, const char *key, int64_t t_ms)
{
    add_key(page, key);
    if (t_ms == HISTORY_NEVER)
        page_add(page, "null");
    else
        page_printf(page, "%lld", (long long)status_unix_ms(status, t_ms));
}

static void add_switch(struct page *page, const struct status *status, const struct history_switch *entry)
{
    page_add(page, "{");
    add_text(page, "service", entry->service);
    page_add(page, ",");
    add_text(page, "old-server", entry->old_server);
    page_add(page, ",");
    add_text(page, "new-server", entry->new_server);
    page_add(page, ",");
    add_text(page, "old-addr", entry->old_addr);
    page_add(page, ",");
    add_text(page, "new-addr", entry->new_addr);
    page_add(page, ",");
    add_number(page, "generation", (int64_t)entry->generation);
    page_add(page, ",");
    add_time(page, status, "suspected", entry->t_suspected_ms);
    page_add(page, ",");
    add_time(page, status, "named", entry->t_named_ms);
    page_add(page, ",");
    add_time(page, status, "cut", entry->t_cut_ms);
    page_add(page, ",");
    add_time(page, status, "first-answer", entry->t_first_ms);
    page_add(page, "}");
}

static void add_agent(struct page *page, const struct status *status)
{
    const char *service = NULL;
    const char *unready = status_unready(status, &service);

    add_text(page, "version", status->version);
    page_add(page, ",");
    add_text(page, "revision", status->revision);
    page_add(page, ",");
    add_number(page, "now", status->now_unix_ms);
    page_add(page, ",");
    add_number(page, "started", status->process.t_start_unix_ms);
    page_add(page, ",");
    add_number(page, "configured", status_unix_ms(status, status->t_loaded_ms));
    page_printf(page, ",\"ready\":%s,\"stopping\":%s,\"last-reload-good\":%s,",
                unready == NULL ? "true" : "false", status->is_stopping ? "true" : "false",
                status->is_reload_good ? "true" : "false");
    add_number(page, "connections", (int64_t)status->connections);
    page_add(page, ",");
    add_number(page, "parked", (int64_t)status->parked);
}

static void add_counters(struct page *page, const struct metrics *metrics)
{
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {
#define X(name, help) {#name, metrics->name},
        METRICS_COUNTERS(X)
#undef X
    };

    page_add(page, "\"counters\":{");
    for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++) {
        page_add(page, i > 0 ? "," : "");
        add_number(page, counters[i].name, (int64_t)counters[i].value);
    }
    page_add(page, "}");
}

void status_json_write(const struct status *status, struct page *page)
{
    const char *comma = "";

    page_add(page, "{");
    add_agent(page, status);
    page_add(page, ",");
    add_counters(page, status->metrics);
    page_add(page, ",\"services\":[");
    for (size_t i = 0; i < status->group_count; i++)
        for (size_t k = 0; k < voter_group_service_count(status->groups[i]); k++) {
            page_add(page, comma);
            add_service(page, status, status->groups[i], voter_group_service(status->groups[i], k));
            comma = ",";
        }
    page_add(page, "],\"groups\":[");
    for (size_t i = 0; i < status->group_count; i++) {
        page_add(page, i > 0 ? "," : "");
        add_group(page, status, status->groups[i]);
    }
    page_add(page, "],\"switches\":[");
    for (size_t back = 0; history_get(status->history, back) != NULL; back++) {
        page_add(page, back > 0 ? "," : "");
        add_switch(page, status, history_get(status->history, back));
    }
    page_add(page, "]}\n");
}
