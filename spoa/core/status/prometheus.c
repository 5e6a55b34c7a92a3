#include "spoa/core/status/prometheus.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "proto/addr.h"
#include "spoa/core/base/alarms.h"
#include "spoa/core/base/hash.h"
#include "spoa/core/base/histogram.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/base/text.h"
#include "spoa/core/decision/quorum.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/decision/service_state.h"
#include "spoa/core/haproxy/runtime_health.h"
#include "spoa/core/status/page_cursor.h"
#include "spoa/core/status/status.h"
#include "spoa/core/voters/voter_group.h"

#define PREFIX "redis_spoa_"

/* What the writers of a family's samples need. */
struct exposition {
    const struct status *status;
    bool is_openmetrics;
    struct text *out;
    const char *family; /* without the prefix */
};

/* ---- families and samples ---- */

/* OpenMetrics names the family of counters without their "_total". */
static void begin_family(struct exposition *exposition, const char *family, const char *type,
                         const char *help)
{
    size_t len = strlen(family);
    bool is_cut = exposition->is_openmetrics && strcmp(type, "counter") == 0;

    if (is_cut)
        len -= strlen("_total");
    exposition->family = family;
    text_printf(exposition->out, "# HELP " PREFIX "%.*s %s\n# TYPE " PREFIX "%.*s %s\n", (int)len, family,
                help, (int)len, family, type);
}

static void begin_sample(const struct exposition *exposition)
{
    text_add(exposition->out, PREFIX);
    text_add(exposition->out, exposition->family);
}

/* `first`: whether it is the sample's first label. */
static void add_label(const struct exposition *exposition, bool first, const char *name, const char *value)
{
    text_add(exposition->out, first ? "{" : ",");
    text_add(exposition->out, name);
    text_add(exposition->out, "=\"");
    text_add_label(exposition->out, value);
    text_add(exposition->out, "\"");
}

static void end_labels(const struct exposition *exposition)
{
    text_add(exposition->out, "} ");
}

static void end_number(const struct exposition *exposition, uint64_t number)
{
    text_add_number(exposition->out, number);
    text_add(exposition->out, "\n");
}

static void end_ms(const struct exposition *exposition, int64_t ms)
{
    text_printf(exposition->out, "%lld.%03d\n", (long long)(ms / 1000), (int)(ms % 1000));
}

static void write_plain(struct exposition *exposition, const char *family, const char *type, const char *help,
                        uint64_t number)
{
    begin_family(exposition, family, type, help);
    begin_sample(exposition);
    text_add(exposition->out, " ");
    end_number(exposition, number);
}

/* ---- of the agent ---- */

static void write_counters(struct exposition *exposition)
{
    const struct metrics *metrics = exposition->status->metrics;

#define X(name, help) write_plain(exposition, #name, "counter", help, metrics->name);
    METRICS_COUNTERS(X)
#undef X
}

static void write_histogram(struct exposition *exposition, const char *family, const char *help,
                            const struct histogram *histogram, const uint32_t *bounds_us)
{
    uint64_t count = 0;

    begin_family(exposition, family, "histogram", help);
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        count += histogram->counts[i];
        text_printf(exposition->out, PREFIX "%s_bucket{le=\"", family);
        if (i == HISTOGRAM_BOUNDS)
            text_add(exposition->out, "+Inf");
        else
            text_printf(exposition->out, "%g", bounds_us[i] / 1e6);
        text_printf(exposition->out, "\"} %llu\n", (unsigned long long)count);
    }
    text_printf(exposition->out, PREFIX "%s_sum %llu.%06u\n" PREFIX "%s_count %llu\n", family,
                (unsigned long long)(histogram->sum_us / 1000000), (unsigned)(histogram->sum_us % 1000000),
                family, (unsigned long long)count);
}

static void write_agent(struct exposition *exposition)
{
    const struct status *status = exposition->status;
    const char *service = NULL;

    begin_family(exposition, "build_info", "gauge", "1; the version is in the labels");
    begin_sample(exposition);
    add_label(exposition, true, "version", status->version);
    add_label(exposition, false, "revision", status->revision);
    end_labels(exposition);
    end_number(exposition, 1);
    write_plain(exposition, "ready", "gauge", "Whether every service has a master",
                status_unready(status, &service) == NULL);
    write_plain(exposition, "spop_connections", "gauge", "SPOP connections", status->connections);
    write_plain(exposition, "parked_streams", "gauge", "NOTIFY frames whose answer is kept back now",
                status->parked);
    write_plain(exposition, "config_last_reload_successful", "gauge",
                "Whether the last reload was taken over; 1 where none was asked for", status->is_reload_good);
    begin_family(exposition, "config_last_reload_success_timestamp_seconds", "gauge",
                 "When the configuration in use was taken over");
    begin_sample(exposition);
    text_add(exposition->out, " ");
    end_ms(exposition, status_unix_ms(status, status->t_loaded_ms));
    begin_family(exposition, "agent_alarm", "gauge",
                 "Whether the alarm about what HAProxy asks for is raised");
    begin_sample(exposition);
    add_label(exposition, true, "alarm", alarm_text(ALARM_UNKNOWN_SERVICE));
    end_labels(exposition);
    end_number(exposition, alarms_is_raised(&status->unknown->alarms, ALARM_UNKNOWN_SERVICE));
    write_histogram(exposition, "answer_duration_seconds",
                    "From the read of a NOTIFY to the write of its ACK, without those that were kept back",
                    &status->metrics->answer_times, metrics_answer_bounds_us);
    write_histogram(exposition, "parked_duration_seconds", "How long answers were kept back",
                    &status->metrics->parked_times, metrics_parked_bounds_us);
    write_histogram(exposition, "loop_stall_seconds",
                    "How long a turn of the event loop took; an answer may wait for as long",
                    &status->metrics->loop_stalls, metrics_stall_bounds_us);
}

static void write_process(struct exposition *exposition)
{
    const struct process_stats *process = &exposition->status->process;
    struct text *out = exposition->out;
    const struct {
        const char *name;
        const char *help;
        uint64_t value;
    } gauges[] = {
        {"process_resident_memory_bytes", "Resident memory size in bytes.", process->resident_bytes},
        {"process_virtual_memory_bytes", "Virtual memory size in bytes.", process->virtual_bytes},
        {"process_open_fds", "Number of open file descriptors.", process->open_fds},
        {"process_max_fds", "Maximum number of open file descriptors.", process->max_fds},
    };

    for (size_t i = 0; i < sizeof(gauges) / sizeof(*gauges); i++)
        text_printf(out, "# HELP %s %s\n# TYPE %s gauge\n%s %llu\n", gauges[i].name, gauges[i].help,
                    gauges[i].name, gauges[i].name, (unsigned long long)gauges[i].value);
    text_printf(out,
                "# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.\n"
                "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %.3f\n",
                (double)process->t_start_unix_ms / 1000.0);
    text_printf(out,
                "# HELP process_cpu_seconds%s Total user and system CPU time spent in seconds.\n"
                "# TYPE process_cpu_seconds%s counter\nprocess_cpu_seconds_total %.3f\n",
                exposition->is_openmetrics ? "" : "_total", exposition->is_openmetrics ? "" : "_total",
                process->cpu_seconds);
}

/* ---- of services: each function writes the samples of one family for one service ---- */

static void begin_service(const struct exposition *exposition, const struct service *service)
{
    begin_sample(exposition);
    add_label(exposition, true, "service", service_settings(service)->name);
}

static void end_service(const struct exposition *exposition, uint64_t number)
{
    end_labels(exposition);
    end_number(exposition, number);
}

/*
 * A number that is the same where the same voters are configured, in whatever order. Agents of different clusters often
 * call their masters by one name.
 */
static uint64_t voters_number(const struct voter_group *group)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < voter_group_voter_count(group); i++) {
        const char *name = voter_group_voter_name(group, i);
        sum += hash_add(HASH_EMPTY, name, strlen(name));
    }
    return sum;
}

static void write_info(const struct exposition *exposition, const struct voter_group *group,
                       const struct service *service)
{
    const struct service_decision *decision = service_decision(service);
    char text[ADDR_TEXT_MAX];
    char voters[17];

    if (!service_state_names(decision->state))
        return;
    begin_service(exposition, service);
    add_label(exposition, false, "server", decision->server != NULL ? decision->server : "");
    add_label(exposition, false, "addr", addr_format(decision->addr, text));
    (void)snprintf(voters, sizeof(voters), "%016" PRIx64, voters_number(group));
    add_label(exposition, false, "voters", voters);
    end_service(exposition, 1);
}

static void write_agreed(const struct exposition *exposition, const struct service *service)
{
    begin_service(exposition, service);
    end_service(exposition, service_decision(service)->ruled == SERVICE_OK);
}

static void write_state(const struct exposition *exposition, const struct service *service)
{
    for (enum service_state state = SERVICE_STARTING; state < SERVICE_STATE_COUNT; state++) {
        begin_service(exposition, service);
        add_label(exposition, false, "state", service_state_text(state));
        end_service(exposition, service_decision(service)->state == state);
    }
}

static void write_votes(const struct exposition *exposition, const struct service *service)
{
    begin_service(exposition, service);
    end_service(exposition, service_decision(service)->votes);
}

static void write_quorum(const struct exposition *exposition, const struct service *service)
{
    begin_service(exposition, service);
    end_service(exposition, service_settings(service)->quorum.threshold);
}

static void write_generation(const struct exposition *exposition, const struct service *service)
{
    begin_service(exposition, service);
    end_service(exposition, service_decision(service)->generation);
}

static void write_last_switch(const struct exposition *exposition, const struct service *service)
{
    int64_t t_switched_ms = service_decision(service)->t_switched_ms;

    if (t_switched_ms == INT64_MIN)
        return;
    begin_service(exposition, service);
    end_labels(exposition);
    end_ms(exposition, status_unix_ms(exposition->status, t_switched_ms));
}

static void write_replicas(const struct exposition *exposition, const struct service *service)
{
    begin_service(exposition, service);
    end_service(exposition, (uint64_t)__builtin_popcountll(service_decision(service)->replicas));
}

static void write_answer_count(const struct exposition *exposition, const struct service *service,
                               const char *role, const char *outcome, uint64_t count)
{
    begin_service(exposition, service);
    add_label(exposition, false, "role", role);
    add_label(exposition, false, "outcome", outcome);
    end_service(exposition, count);
}

static void write_answers(const struct exposition *exposition, const struct service *service)
{
    static const struct answer_counters none;
    const struct answer_counters *counters =
        service_table_counters(exposition->status->table, service_settings(service)->name);

    if (counters == NULL)
        counters = &none;

    for (enum service_state state = SERVICE_STARTING; state < SERVICE_STATE_COUNT; state++)
        write_answer_count(exposition, service, "master", service_state_text(state),
                           counters->masters[state]);
    write_answer_count(exposition, service, "replica", "ok", counters->replicas_named);
    write_answer_count(exposition, service, "replica", "no-replica", counters->replicas_unnamed);
}

static const char *role_text(enum service_role role)
{
    return role == SERVICE_ROLE_MASTER ? "master" : "replica";
}

static void write_waiting(const struct exposition *exposition, const struct service *service)
{
    for (enum service_role role = SERVICE_ROLE_MASTER; role < SERVICE_ROLES; role++) {
        begin_service(exposition, service);
        add_label(exposition, false, "role", role_text(role));
        end_service(exposition, service_waiting(service, role)->count);
    }
}

static void write_oldest_wait(const struct exposition *exposition, const struct service *service)
{
    for (enum service_role role = SERVICE_ROLE_MASTER; role < SERVICE_ROLES; role++) {
        const struct service_waiting *waiting = service_waiting(service, role);
        begin_service(exposition, service);
        add_label(exposition, false, "role", role_text(role));
        end_labels(exposition);
        end_ms(exposition, waiting->count > 0 ? exposition->status->now_ms - waiting->oldest_ms : 0);
    }
}

static void write_outages(const struct exposition *exposition, const struct service *service)
{
    begin_service(exposition, service);
    end_service(exposition, service_outage_totals(service)->count);
}

static void write_outage_time(const struct exposition *exposition, const struct service *service)
{
    begin_service(exposition, service);
    end_labels(exposition);
    end_ms(exposition, (int64_t)service_outage_totals(service)->ms);
}

static void write_alarms(const struct exposition *exposition, const struct service *service)
{
    for (enum alarm_kind kind = ALARM_VOTER_COUNT; kind < ALARM_KINDS; kind++) {
        begin_service(exposition, service);
        add_label(exposition, false, "alarm", alarm_text(kind));
        end_service(exposition, alarms_is_raised(service_alarms(service), kind));
    }
}

/* Whether the vote is for the node of the decision. A vote that has expired is for nobody. */
static bool agrees(const struct status *status, const struct service *service, const struct vote *vote)
{
    const struct addr *named = service_decision(service)->addr;
    bool is_fresh = status->now_ms - vote->t_sent_ms < service_settings(service)->quorum.vote_life_ms;

    return is_fresh && vote->addr != NULL && named != NULL && addr_equals(vote->addr, named);
}

/* One sample for each voter of the group. `tells_time`: the time of its vote, else whether it agrees. */
static void write_each_vote(const struct exposition *exposition, const struct voter_group *group,
                            const struct service *service, bool tells_time)
{
    for (unsigned i = 0; i < voter_group_voter_count(group); i++) {
        struct vote vote = service_vote(service, i);
        if (tells_time && vote.ballot == QUORUM_SILENT)
            continue;
        begin_service(exposition, service);
        add_label(exposition, false, "sentinel", voter_group_voter_name(group, i));
        end_labels(exposition);
        if (tells_time)
            end_ms(exposition, status_unix_ms(exposition->status, vote.t_sent_ms));
        else
            end_number(exposition, agrees(exposition->status, service, &vote));
    }
}

static void write_agreement(const struct exposition *exposition, const struct voter_group *group,
                            const struct service *service)
{
    write_each_vote(exposition, group, service, false);
}

static void write_vote_times(const struct exposition *exposition, const struct voter_group *group,
                             const struct service *service)
{
    write_each_vote(exposition, group, service, true);
}

/* ---- of groups of Sentinels ---- */

static void write_up(const struct exposition *exposition, const struct voter_group *group)
{
    for (unsigned i = 0; i < voter_group_voter_count(group); i++) {
        begin_sample(exposition);
        add_label(exposition, true, "group", voter_group_name(group));
        add_label(exposition, false, "sentinel", voter_group_voter_name(group, i));
        end_labels(exposition);
        end_number(exposition, voter_group_is_heard(group, i, exposition->status->now_ms));
    }
}

static void write_group_alarms(const struct exposition *exposition, const struct voter_group *group)
{
    for (enum alarm_kind kind = ALARM_VOTER_COUNT; kind < ALARM_KINDS; kind++) {
        begin_sample(exposition);
        add_label(exposition, true, "group", voter_group_name(group));
        add_label(exposition, false, "alarm", alarm_text(kind));
        end_labels(exposition);
        end_number(exposition, alarms_is_raised(voter_group_alarms(group), kind));
    }
}

/* ---- the families that grow with the configuration ---- */

/* Exactly one of the functions is set: what writes the samples of a service, or of a group. */
struct family {
    const char *name;
    const char *type;
    const char *help;
    void (*one)(const struct exposition *exposition, const struct service *service);
    void (*two)(const struct exposition *exposition, const struct voter_group *group,
                const struct service *service);
    void (*group)(const struct exposition *exposition, const struct voter_group *group);
};

static const struct family families[] = {
    {"master_info", "gauge", "1 where a master is named: who it is", NULL, write_info, NULL},
    {"master_agreed", "gauge", "Whether a majority names a master, and nothing speaks against it",
     write_agreed, NULL, NULL},
    {"master_votes", "gauge", "Sentinels that name the master", write_votes, NULL, NULL},
    {"master_quorum", "gauge", "Sentinels that must name it", write_quorum, NULL, NULL},
    {"master_switches_total", "counter", "Masters so far, the first one included", write_generation, NULL,
     NULL},
    {"master_last_switch_timestamp_seconds", "gauge", "When the master was named first", write_last_switch,
     NULL, NULL},
    {"service_state", "gauge", "1 for the state that the service is in, 0 for the others", write_state, NULL,
     NULL},
    {"replicas", "gauge", "Replicas that can be named", write_replicas, NULL, NULL},
    {"service_answers_total", "counter", "Answers, by role and outcome", write_answers, NULL, NULL},
    {"service_waiting", "gauge", "Clients that wait for an answer now", write_waiting, NULL, NULL},
    {"service_oldest_wait_seconds", "gauge",
     "For how long the oldest of them has waited; 0 where nobody waits", write_oldest_wait, NULL, NULL},
    {"service_outages_total", "counter",
     "Outages that are over: nobody was named, or the master was in doubt while clients waited",
     write_outages, NULL, NULL},
    {"service_outage_seconds_total", "counter", "How long those outages took", write_outage_time, NULL, NULL},
    {"service_alarm", "gauge", "Whether the alarm is raised", write_alarms, NULL, NULL},
    {"sentinel_agrees", "gauge", "Whether this Sentinel names the master that is named", NULL,
     write_agreement, NULL},
    {"sentinel_vote_timestamp_seconds", "gauge", "When this Sentinel's last vote was asked for", NULL,
     write_vote_times, NULL},
    {"sentinel_up", "gauge", "Whether this Sentinel answered lately, and does not refuse us", NULL, NULL,
     write_up},
    {"sentinels_alarm", "gauge", "Whether the alarm about a group of Sentinels is raised", NULL, NULL,
     write_group_alarms},
};

#define FAMILIES (sizeof(families) / sizeof(*families))

/* Writes the next samples of the family. True while there are more. */
static bool write_family_piece(struct exposition *exposition, const struct family *family,
                               struct page_cursor *cursor)
{
    const struct voter_group *group = NULL;
    const struct service *service = NULL;
    bool is_first = page_cursor_is_first(cursor);

    if (is_first)
        begin_family(exposition, family->name, family->type, family->help);
    exposition->family = family->name;
    for (unsigned i = 0; i < PAGE_PIECE; i++) {
        bool is_there = family->group != NULL
                            ? page_cursor_next_group(cursor, exposition->status, &group)
                            : page_cursor_next(cursor, exposition->status, &group, &service);
        if (!is_there)
            return false;
        if (family->group != NULL)
            family->group(exposition, group);
        else if (family->one != NULL)
            family->one(exposition, service);
        else
            family->two(exposition, group, service);
    }
    return true;
}

/* ---- of HAProxys whose sessions are cut ---- */

static void begin_api(const struct exposition *exposition, const struct runtime_health *api)
{
    begin_sample(exposition);
    add_label(exposition, true, "api", api->name);
}

static void end_api(const struct exposition *exposition, uint64_t number)
{
    end_labels(exposition);
    end_number(exposition, number);
}

static void write_apis(struct exposition *exposition)
{
    const struct status *status = exposition->status;

    begin_family(exposition, "runtime_api_up", "gauge", "Whether this HAProxy can be told to cut sessions");
    for (size_t i = 0; i < status->api_count; i++) {
        begin_api(exposition, &status->apis[i]);
        end_api(exposition, runtime_health_is_well(&status->apis[i]));
    }
    begin_family(exposition, "runtime_api_owed", "gauge",
                 "Servers whose sessions this HAProxy has yet to confirm as cut");
    for (size_t i = 0; i < status->api_count; i++) {
        begin_api(exposition, &status->apis[i]);
        end_api(exposition, status->apis[i].owed);
    }
    begin_family(exposition, "runtime_api_alarm", "gauge", "Whether the alarm about this HAProxy is raised");
    for (size_t i = 0; i < status->api_count; i++) {
        begin_api(exposition, &status->apis[i]);
        add_label(exposition, false, "alarm", alarm_text(ALARM_RUNTIME_API));
        end_api(exposition, alarms_is_raised(&status->apis[i].alarms, ALARM_RUNTIME_API));
    }
}

bool prometheus_write(const struct status *status, bool is_openmetrics, struct page_cursor *cursor,
                      struct text *out)
{
    struct exposition exposition = {.status = status, .is_openmetrics = is_openmetrics, .out = out};

    if (cursor->section == 0) {
        write_agent(&exposition);
        write_counters(&exposition);
        page_cursor_next_section(cursor);
    } else if (cursor->section <= FAMILIES) {
        if (!write_family_piece(&exposition, &families[cursor->section - 1], cursor))
            page_cursor_next_section(cursor);
    } else {
        write_apis(&exposition);
        write_process(&exposition);
        if (is_openmetrics)
            text_add(out, "# EOF\n");
        return false;
    }
    return true;
}
