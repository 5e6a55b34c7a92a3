#include "spoa/core/status/status_json.h"

#include "proto/addr.h"
#include "spoa/core/base/alarms.h"
#include "spoa/core/base/json.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/base/text.h"
#include "spoa/core/decision/quorum.h"
#include "spoa/core/decision/replicas.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/decision/service_state.h"
#include "spoa/core/haproxy/runtime_health.h"
#include "spoa/core/observers/history.h"
#include "spoa/core/status/page_cursor.h"
#include "spoa/core/status/sentences.h"
#include "spoa/core/status/status.h"
#include "spoa/core/status/summary.h"
#include "spoa/core/voters/voter_group.h"

static void add_addr(struct json *json, const char *key, const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];

    json_string(json, key, addr != NULL ? addr_format(addr, text) : NULL);
}

/* What was put together in `words`, which is empty then. */
static void add_words(struct json *json, const char *key, struct text *words)
{
    json_string(json, key, words->data != NULL ? words->data : "");
    json->out->has_failed = json->out->has_failed || words->has_failed;
    text_clear(words);
}

static void add_tone(struct json *json, enum tone tone)
{
    json_string(json, "tone", tone_text(tone));
}

/* `detail` is NULL if there is none. */
static void add_alarm(struct json *json, enum alarm_kind kind, const char *detail)
{
    json_begin_object(json, NULL);
    json_string(json, "alarm", alarm_text(kind));
    json_string(json, "meaning", alarm_meaning(kind));
    json_string(json, "detail", detail);
    json_end(json);
}

static void add_alarms(struct json *json, const struct alarms *alarms)
{
    json_begin_array(json, "alarms");
    for (enum alarm_kind kind = ALARM_VOTER_COUNT; kind < ALARM_KINDS; kind++) {
        if (!alarms_is_raised(alarms, kind))
            continue;
        add_alarm(json, kind, alarms_detail(alarms, kind));
    }
    json_end(json);
}

/* A number; null if there is none. */
static void add_optional(struct json *json, const char *key, bool is_there, int64_t number)
{
    if (is_there)
        json_number(json, key, number);
    else
        json_null(json, key);
}

/* Times are Unix ms; null if there is none. */
static void add_time(struct json *json, const struct status *status, const char *key, int64_t t_ms)
{
    if (t_ms == HISTORY_NEVER)
        json_null(json, key);
    else
        json_number(json, key, status_unix_ms(status, t_ms));
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

/* What is wrong with a voter, and for how long. Its last vote may still count. */
static void add_fault(struct json *json, const struct status *status, const struct voter_group *group,
                      unsigned voter)
{
    const char *fault = voter_group_fault(group, voter);

    json_string(json, "fault", fault);
    add_optional(json, "fault-ms", fault[0] != '\0',
                 status->now_ms - voter_group_fault_since_ms(group, voter));
}

static void add_voice(struct json *json, const struct status *status, const struct voter_group *group,
                      const struct service *service, unsigned voter)
{
    struct vote vote = service_vote(service, voter);

    json_begin_object(json, NULL);
    json_string(json, "sentinel", voter_group_voter_name(group, voter));
    json_string(json, "says", ballot_text(vote.ballot));
    json_string(json, "error", voter_group_words(group, voter));
    add_fault(json, status, group, voter);
    add_addr(json, "addr", vote.addr);
    json_string(json, "server", vote.addr != NULL ? service_server(service, vote.addr) : NULL);
    add_optional(json, "age-ms", vote.ballot != QUORUM_SILENT, status->now_ms - vote.t_sent_ms);
    int64_t silence_ms = service_silence_ms(service, voter, status->now_ms);
    add_optional(json, "silence-ms", silence_ms != -1, silence_ms);
    json_end(json);
}

static void add_replicas(struct json *json, const struct service *service)
{
    uint64_t replicas = service_decision(service)->replicas;

    json_begin_array(json, "replicas");
    for (size_t i = 0; i < service_settings(service)->server_count; i++)
        if (i < REPLICAS_MAX && (replicas >> i & 1) != 0)
            json_string(json, NULL, service_settings(service)->servers[i].name);
    json_end(json);
}

static void add_waiting(struct json *json, const struct status *status, const struct service *service)
{
    const struct service_waiting *masters = service_waiting(service, SERVICE_ROLE_MASTER);
    const struct service_waiting *replicas = service_waiting(service, SERVICE_ROLE_REPLICA);

    json_number(json, "waiting", (int64_t)masters->count);
    add_optional(json, "oldest-wait-ms", masters->count > 0, status->now_ms - masters->oldest_ms);
    json_number(json, "replica-waiting", (int64_t)replicas->count);
    add_optional(json, "replica-oldest-wait-ms", replicas->count > 0, status->now_ms - replicas->oldest_ms);
}

/* The one that goes on; null if there is none. Its length and waits are until now. */
static void add_current_outage(struct json *json, const struct status *status,
                               const struct voter_group *group, const struct service *service,
                               struct text *words)
{
    const struct outage *outage = service_outage(service);

    if (!outage->is_running) {
        json_null(json, "outage");
        return;
    }
    json_begin_object(json, "outage");
    json_bool(json, "felt", outage_is_felt(outage));
    json_string(json, "state", service_state_text(outage->state));
    json_string(json, "reason", outage_reason_text(outage));
    sentences_add_beginning(words, group, service, outage);
    add_words(json, "sentence", words);
    json_number(json, "begun", status_unix_ms(status, outage->t_begun_ms));
    add_time(json, status, "down", outage->t_down_ms);
    json_number(json, "waited", (int64_t)outage->waited);
    json_number(json, "refused", (int64_t)outage->refused);
    json_number(
        json, "longest-wait-ms",
        outage_longest_wait_ms(outage, service_waiting(service, SERVICE_ROLE_MASTER), status->now_ms));
    json_end(json);
}

/* A master that no server has (`allow-any-address`): what it says of itself is not kept. */
static void add_stranger(struct json *json, const struct addr *addr)
{
    json_begin_object(json, NULL);
    json_string(json, "server", "");
    add_addr(json, "addr", addr);
    json_string(json, "says", node_saying_text(NODE_NOT_ASKED));
    json_string(json, "words", "");
    json_null(json, "age-ms");
    json_null(json, "since-ms");
    json_bool(json, "named", true);
    json_end(json);
}

static void add_nodes(struct json *json, const struct status *status, const struct service *service)
{
    const struct service_settings *settings = service_settings(service);
    const struct service_decision *decision = service_decision(service);
    /* Where the state is about a node that is not named, nobody is. */
    const struct addr *named = service_state_names(decision->state) ? decision->addr : NULL;

    json_begin_array(json, "nodes");
    for (size_t i = 0; i < settings->server_count; i++) {
        const struct node_word *word = service_node_word(service, i);
        bool is_said = word->saying != NODE_NOT_ASKED;
        json_begin_object(json, NULL);
        json_string(json, "server", settings->servers[i].name);
        add_addr(json, "addr", &settings->servers[i].addr);
        json_string(json, "says", node_saying_text(word->saying));
        json_string(json, "words", node_word_text(word));
        add_optional(json, "age-ms", is_said, status->now_ms - word->t_ms);
        add_optional(json, "since-ms", is_said, status->now_ms - word->since_ms);
        json_bool(json, "named",
                  named != NULL && service_is_same_node(service, named, &settings->servers[i].addr));
        json_end(json);
    }
    if (named != NULL && service_find_server(service, named) == -1)
        add_stranger(json, named);
    json_end(json);
}

/* What it is like, in words. */
static void add_headline(struct json *json, const struct status *status, const struct voter_group *group,
                         const struct service *service, struct text *words)
{
    add_tone(json, service_tone(service, status->now_ms));
    sentences_add_headline(words, group, service, status->now_ms);
    add_words(json, "headline", words);
    sentences_add_state(words, group, service);
    add_words(json, "state-sentence", words);
    sentences_add_feeling(words, service, status->now_ms);
    add_words(json, "feeling", words);
    sentences_add_reasons(words, status, service);
    add_words(json, "reasons", words);
    json_string(json, "voters-are", sentences_voters(group));
}

static void add_service(struct json *json, const struct status *status, const struct voter_group *group,
                        const struct service *service)
{
    const struct service_decision *decision = service_decision(service);
    const struct service_settings *settings = service_settings(service);
    struct text words = {.data = NULL};

    json_begin_object(json, NULL);
    json_string(json, "service", settings->name);
    add_headline(json, status, group, service, &words);
    json_string(json, "monitor", settings->monitor);
    json_string(json, "state", service_state_text(decision->state));
    json_string(json, "reason", service_decision_reason(decision));
    json_string(json, "server", decision->server);
    add_addr(json, "addr", decision->addr);
    json_bool(json, "named", service_state_names(decision->state));
    json_bool(json, "waits", decision->state == SERVICE_DOUBTED);
    json_bool(json, "fenced", decision->is_fenced);
    add_waiting(json, status, service);
    add_current_outage(json, status, group, service, &words);
    json_number(json, "votes", decision->votes);
    json_number(json, "quorum", settings->quorum.threshold);
    json_number(json, "voters", settings->quorum.voters);
    json_number(json, "generation", (int64_t)decision->generation);
    json_number(json, "vote-life-ms", settings->quorum.vote_life_ms);
    json_number(json, "park-ms", decision->park_ms);
    json_number(json, "down-after-ms", service_down_after_ms(service));
    add_time(json, status, "switched", decision->t_switched_ms);
    add_replicas(json, service);
    add_nodes(json, status, service);
    add_alarms(json, service_alarms(service));
    json_begin_array(json, "sentinels");
    for (unsigned i = 0; i < voter_group_voter_count(group); i++)
        add_voice(json, status, group, service, i);
    json_end(json);
    json_end(json);
    text_finish(&words);
}

static void add_group(struct json *json, const struct status *status, const struct voter_group *group)
{
    json_begin_object(json, NULL);
    json_string(json, "group", voter_group_name(group));
    json_string(json, "voters-are", sentences_voters(group));
    add_alarms(json, voter_group_alarms(group));
    json_begin_array(json, "sentinels");
    for (unsigned i = 0; i < voter_group_voter_count(group); i++) {
        json_begin_object(json, NULL);
        json_string(json, "sentinel", voter_group_voter_name(group, i));
        add_tone(json, voter_tone(group, i, status->now_ms));
        json_string(json, "myid", voter_group_identity(group, i));
        json_bool(json, "up", voter_group_is_heard(group, i, status->now_ms));
        json_string(json, "error", voter_group_words(group, i));
        add_fault(json, status, group, i);
        json_end(json);
    }
    json_end(json);
    json_end(json);
}

static void add_switch(struct json *json, const struct status *status, const struct history_switch *entry,
                       struct text *words)
{
    const struct history_outage *outage = history_find_outage(status->history, entry);

    json_begin_object(json, NULL);
    json_string(json, "service", entry->service);
    json_string(json, "old-server", entry->old_server);
    json_string(json, "new-server", entry->new_server);
    json_string(json, "old-addr", entry->old_addr);
    json_string(json, "new-addr", entry->new_addr);
    json_number(json, "generation", (int64_t)entry->generation);
    add_time(json, status, "suspected", entry->t_suspected_ms);
    add_time(json, status, "named", entry->t_named_ms);
    add_time(json, status, "cut", entry->t_cut_ms);
    add_time(json, status, "first-answer", entry->t_first_ms);
    sentences_add_switch(words, entry, outage);
    add_words(json, "sentence", words);
    json_string(json, "state", outage != NULL ? service_state_text(outage->state) : "");
    json_string(json, "reason", outage != NULL ? outage->reason : "");
    json_end(json);
}

static void add_outage(struct json *json, const struct status *status, const struct history_outage *entry,
                       struct text *words)
{
    json_begin_object(json, NULL);
    json_string(json, "service", entry->service);
    json_string(json, "state", service_state_text(entry->state));
    json_string(json, "reason", entry->reason);
    json_string(json, "old-server", entry->old_server);
    json_string(json, "new-server", entry->new_server);
    json_string(json, "old-addr", entry->old_addr);
    json_string(json, "new-addr", entry->new_addr);
    json_number(json, "begun", status_unix_ms(status, entry->t_begun_ms));
    add_time(json, status, "down", entry->t_down_ms);
    json_number(json, "ended", status_unix_ms(status, entry->t_ended_ms));
    json_number(json, "waited", (int64_t)entry->waited);
    json_number(json, "refused", (int64_t)entry->refused);
    json_number(json, "longest-wait-ms", entry->longest_wait_ms);
    sentences_add_outage(words, entry);
    add_words(json, "sentence", words);
    json_end(json);
}

/* Those that are about no service that is configured. */
static void add_own_alarms(struct json *json, const struct status *status)
{
    json_begin_array(json, "alarms");
    if (alarms_is_raised(&status->unknown->alarms, ALARM_UNKNOWN_SERVICE))
        add_alarm(json, ALARM_UNKNOWN_SERVICE, status->unknown->detail);
    json_end(json);
}

static void add_agent(struct json *json, const struct status *status)
{
    const char *service = NULL;

    json_number(json, "pid", status->pid);
    json_string(json, "version", status->version);
    json_string(json, "revision", status->revision);
    json_number(json, "now", status->now_unix_ms);
    json_number(json, "started", status->process.t_start_unix_ms);
    json_number(json, "configured", status_unix_ms(status, status->t_loaded_ms));
    json_bool(json, "ready", status_unready(status, &service) == NULL);
    json_bool(json, "stopping", status->is_stopping);
    json_number(json, "reloads-asked", (int64_t)status->reloads_asked);
    json_bool(json, "reload-open", status->is_reload_open);
    json_bool(json, "last-reload-good", status->is_reload_good);
    json_string(json, "last-reload-error", status->reload_error);
    json_number(json, "connections", (int64_t)status->connections);
    json_number(json, "parked", (int64_t)status->parked);
    add_own_alarms(json, status);
}

static void add_api(struct json *json, const struct runtime_health *api, struct text *words)
{
    json_begin_object(json, NULL);
    json_string(json, "api", api->name);
    json_bool(json, "up", runtime_health_is_well(api));
    json_string(json, "reason", runtime_health_reason(api));
    json_number(json, "owed", (int64_t)api->owed);
    add_alarms(json, &api->alarms);
    add_tone(json, api_tone(api));
    sentences_add_api(words, api);
    add_words(json, "sentence", words);
    json_end(json);
}

static void add_counters(struct json *json, const struct metrics *metrics)
{
    json_begin_object(json, "counters");
#define X(name, help) json_number(json, #name, (int64_t)metrics->name);
    METRICS_COUNTERS(X)
#undef X
    json_end(json);
}

static bool add_services(struct json *json, const struct status *status, struct page_cursor *cursor)
{
    const struct voter_group *group;
    const struct service *service;

    for (unsigned i = 0; i < PAGE_PIECE; i++) {
        if (!page_cursor_next(cursor, status, &group, &service))
            return false;
        summary_add_service(&cursor->sum, group, service, status->now_ms);
        add_service(json, status, group, service);
    }
    return true;
}

static bool add_groups(struct json *json, const struct status *status, struct page_cursor *cursor)
{
    const struct voter_group *group;

    for (unsigned i = 0; i < PAGE_PIECE; i++) {
        if (!page_cursor_next_group(cursor, status, &group))
            return false;
        summary_add_group(&cursor->sum, group);
        add_group(json, status, group);
    }
    return true;
}

/* One alarm of a thousand services is one entry. */
static void add_alarm_groups(struct json *json, const struct summary *summary, struct text *words)
{
    json_begin_array(json, "alarm-groups");
    for (enum alarm_kind kind = ALARM_VOTER_COUNT; kind < ALARM_KINDS; kind++) {
        const struct summary_alarm *alarm = &summary->alarms[kind];
        if (alarm->count == 0)
            continue;
        json_begin_object(json, NULL);
        json_string(json, "alarm", alarm_text(kind));
        add_tone(json, summary_alarm_tone(kind));
        json_string(json, "meaning", alarm_meaning(kind));
        json_number(json, "count", (int64_t)alarm->count);
        json_begin_array(json, "names");
        for (size_t i = 0; i < alarm->count && i < SUMMARY_NAMES; i++) {
            summary_add_name(words, &alarm->names[i]);
            add_words(json, NULL, words);
        }
        json_end(json);
        json_end(json);
    }
    json_end(json);
}

static void add_day(struct json *json, const struct status *status, const struct summary *summary,
                    struct text *words)
{
    char quarters[QUARTERS + 1];

    json_string(json, "quarters", quarters_format(&status->history->quarters, status->now_ms, quarters));
    json_number(json, "newest-quarter-begun",
                status_unix_ms(status, status->now_ms / QUARTER_MS * QUARTER_MS));
    sentences_add_day(words, status, summary->outages);
    add_words(json, "quarters-sentence", words);
}

/* All services and groups are counted now. */
static void add_summary(struct json *json, const struct status *status, const struct summary *summary,
                        struct text *words)
{
    add_tone(json, summary->tone);
    summary_add_headline(words, summary, status);
    add_words(json, "headline", words);
    json_string(json, "headline-service", summary_service(summary));
    add_alarm_groups(json, summary, words);
    add_day(json, status, summary, words);
}

static void add_end(struct json *json, const struct status *status, const struct summary *summary)
{
    struct text words = {.data = NULL};

    json_begin_array(json, "apis");
    for (size_t i = 0; i < status->api_count; i++)
        add_api(json, &status->apis[i], &words);
    json_end(json);
    json_begin_array(json, "switches");
    for (size_t back = 0; history_get(status->history, back) != NULL; back++)
        add_switch(json, status, history_get(status->history, back), &words);
    json_end(json);
    json_begin_array(json, "outages");
    for (size_t back = 0; history_get_outage(status->history, back) != NULL; back++)
        add_outage(json, status, history_get_outage(status->history, back), &words);
    json_end(json);
    add_summary(json, status, summary, &words);
    json_end(json);
    text_finish(&words);
    text_add(json->out, "\n");
}

bool status_json_write(const struct status *status, struct page_cursor *cursor, struct text *out)
{
    enum { BEGIN, SERVICES, GROUPS };
    struct json *json = &cursor->json;

    json->out = out;
    switch (cursor->section) {
    case BEGIN:
        json_begin_object(json, NULL);
        add_agent(json, status);
        add_counters(json, status->metrics);
        json_begin_array(json, "services");
        break;
    case SERVICES:
        if (add_services(json, status, cursor))
            return true;
        json_end(json);
        json_begin_array(json, "groups");
        break;
    case GROUPS:
        if (add_groups(json, status, cursor))
            return true;
        json_end(json);
        break;
    default:
        summary_add_agent(&cursor->sum, status);
        add_end(json, status, &cursor->sum);
        return false;
    }
    page_cursor_next_section(cursor);
    return true;
}
