#include "spoa/core/status/status_json.h"

#include "proto/addr.h"
#include "spoa/core/base/alarms.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/base/text.h"
#include "spoa/core/decision/quorum.h"
#include "spoa/core/decision/replicas.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/decision/service_state.h"
#include "spoa/core/observers/history.h"
#include "spoa/core/status/status.h"
#include "spoa/core/voters/voter_group.h"

static void add_key(struct text *out, const char *key)
{
    text_printf(out, "\"%s\":", key);
}

static void add_text(struct text *out, const char *key, const char *text)
{
    add_key(out, key);
    text_add_json(out, text);
}

static void add_number(struct text *out, const char *key, int64_t number)
{
    text_printf(out, "\"%s\":%lld", key, (long long)number);
}

static void add_addr(struct text *out, const char *key, const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];

    add_text(out, key, addr != NULL ? addr_format(addr, text) : NULL);
}

static void add_alarms(struct text *out, const struct alarms *alarms)
{
    const char *comma = "";

    text_add(out, "\"alarms\":[");
    for (enum alarm_kind kind = ALARM_VOTER_COUNT; kind < ALARM_KINDS; kind++) {
        if (!alarms_is_raised(alarms, kind))
            continue;
        text_printf(out, "%s{", comma);
        add_text(out, "alarm", alarm_text(kind));
        text_add(out, ",");
        add_text(out, "meaning", alarm_meaning(kind));
        text_add(out, "}");
        comma = ",";
    }
    text_add(out, "]");
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

static void add_voice(struct text *out, const struct status *status, const struct voter_group *group,
                      const struct service *service, unsigned voter)
{
    struct service_voice voice = service_voice(service, voter);

    text_add(out, "{");
    add_text(out, "sentinel", voter_group_voter_name(group, voter));
    text_add(out, ",");
    add_text(out, "says", ballot_text(voice.ballot));
    text_add(out, ",");
    add_addr(out, "addr", voice.addr);
    text_add(out, ",");
    add_key(out, "age-ms");
    if (voice.ballot == QUORUM_SILENT)
        text_add(out, "null");
    else
        text_printf(out, "%lld", (long long)(status->now_ms - voice.t_sent_ms));
    text_add(out, "}");
}

static void add_replicas(struct text *out, const struct service *service)
{
    uint64_t replicas = service_decision(service)->replicas;
    const char *comma = "";

    text_add(out, "\"replicas\":[");
    for (size_t i = 0; i < service_settings(service)->server_count; i++) {
        if (i >= REPLICAS_MAX || (replicas >> i & 1) == 0)
            continue;
        text_add(out, comma);
        text_add_json(out, service_settings(service)->servers[i].name);
        comma = ",";
    }
    text_add(out, "]");
}

static void add_service(struct text *out, const struct status *status, const struct voter_group *group,
                        const struct service *service)
{
    const struct service_decision *decision = service_decision(service);
    const struct service_settings *settings = service_settings(service);

    text_add(out, "{");
    add_text(out, "service", settings->name);
    text_add(out, ",");
    add_text(out, "monitor", settings->monitor);
    text_add(out, ",");
    add_text(out, "state", service_state_text(decision->state));
    text_add(out, ",");
    add_text(out, "reason", service_reason_text(decision->reason));
    text_add(out, ",");
    add_text(out, "server", decision->server);
    text_add(out, ",");
    add_addr(out, "addr", decision->addr);
    text_printf(out, ",\"named\":%s,\"waits\":%s,\"fenced\":%s,",
                service_state_names(decision->state) ? "true" : "false",
                decision->is_doubtful ? "true" : "false", decision->is_fenced ? "true" : "false");
    add_number(out, "votes", decision->votes);
    text_add(out, ",");
    add_number(out, "quorum", settings->quorum.threshold);
    text_add(out, ",");
    add_number(out, "voters", settings->quorum.voters);
    text_add(out, ",");
    add_number(out, "generation", (int64_t)decision->generation);
    text_add(out, ",");
    add_number(out, "vote-life-ms", settings->quorum.vote_life_ms);
    text_add(out, ",");
    add_replicas(out, service);
    text_add(out, ",");
    add_alarms(out, service_alarms(service));
    text_add(out, ",\"sentinels\":[");
    for (unsigned i = 0; i < voter_group_voter_count(group); i++) {
        text_add(out, i > 0 ? "," : "");
        add_voice(out, status, group, service, i);
    }
    text_add(out, "]}");
}

static void add_group(struct text *out, const struct status *status, const struct voter_group *group)
{
    text_add(out, "{");
    add_text(out, "group", voter_group_name(group));
    text_add(out, ",");
    add_alarms(out, voter_group_alarms(group));
    text_add(out, ",\"sentinels\":[");
    for (unsigned i = 0; i < voter_group_voter_count(group); i++) {
        text_add(out, i > 0 ? ",{" : "{");
        add_text(out, "sentinel", voter_group_voter_name(group, i));
        text_add(out, ",");
        add_text(out, "myid", voter_group_identity(group, i));
        text_printf(out, ",\"up\":%s}", voter_group_is_heard(group, i, status->now_ms) ? "true" : "false");
    }
    text_add(out, "]}");
}

/* Times as Unix ms, null where there is none. */
static void add_time(struct text *out, const struct status *status, const char *key, int64_t t_ms)
{
    add_key(out, key);
    if (t_ms == HISTORY_NEVER)
        text_add(out, "null");
    else
        text_printf(out, "%lld", (long long)status_unix_ms(status, t_ms));
}

static void add_switch(struct text *out, const struct status *status, const struct history_switch *entry)
{
    text_add(out, "{");
    add_text(out, "service", entry->service);
    text_add(out, ",");
    add_text(out, "old-server", entry->old_server);
    text_add(out, ",");
    add_text(out, "new-server", entry->new_server);
    text_add(out, ",");
    add_text(out, "old-addr", entry->old_addr);
    text_add(out, ",");
    add_text(out, "new-addr", entry->new_addr);
    text_add(out, ",");
    add_number(out, "generation", (int64_t)entry->generation);
    text_add(out, ",");
    add_time(out, status, "suspected", entry->t_suspected_ms);
    text_add(out, ",");
    add_time(out, status, "named", entry->t_named_ms);
    text_add(out, ",");
    add_time(out, status, "cut", entry->t_cut_ms);
    text_add(out, ",");
    add_time(out, status, "first-answer", entry->t_first_ms);
    text_add(out, "}");
}

static void add_agent(struct text *out, const struct status *status)
{
    const char *service = NULL;
    const char *unready = status_unready(status, &service);

    add_text(out, "version", status->version);
    text_add(out, ",");
    add_text(out, "revision", status->revision);
    text_add(out, ",");
    add_number(out, "now", status->now_unix_ms);
    text_add(out, ",");
    add_number(out, "started", status->process.t_start_unix_ms);
    text_add(out, ",");
    add_number(out, "configured", status_unix_ms(status, status->t_loaded_ms));
    text_printf(out, ",\"ready\":%s,\"stopping\":%s,\"last-reload-good\":%s,",
                unready == NULL ? "true" : "false", status->is_stopping ? "true" : "false",
                status->is_reload_good ? "true" : "false");
    add_number(out, "connections", (int64_t)status->connections);
    text_add(out, ",");
    add_number(out, "parked", (int64_t)status->parked);
}

static void add_counters(struct text *out, const struct metrics *metrics)
{
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {
#define X(name, help) {#name, metrics->name},
        METRICS_COUNTERS(X)
#undef X
    };

    text_add(out, "\"counters\":{");
    for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++) {
        text_add(out, i > 0 ? "," : "");
        add_number(out, counters[i].name, (int64_t)counters[i].value);
    }
    text_add(out, "}");
}

void status_json_write(const struct status *status, struct text *out)
{
    const char *comma = "";

    text_add(out, "{");
    add_agent(out, status);
    text_add(out, ",");
    add_counters(out, status->metrics);
    text_add(out, ",\"services\":[");
    for (size_t i = 0; i < status->group_count; i++)
        for (size_t k = 0; k < voter_group_service_count(status->groups[i]); k++) {
            text_add(out, comma);
            add_service(out, status, status->groups[i], voter_group_service(status->groups[i], k));
            comma = ",";
        }
    text_add(out, "],\"groups\":[");
    for (size_t i = 0; i < status->group_count; i++) {
        text_add(out, i > 0 ? "," : "");
        add_group(out, status, status->groups[i]);
    }
    text_add(out, "],\"switches\":[");
    for (size_t back = 0; history_get(status->history, back) != NULL; back++) {
        text_add(out, back > 0 ? "," : "");
        add_switch(out, status, history_get(status->history, back));
    }
    text_add(out, "]}\n");
}
