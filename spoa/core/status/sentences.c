#include "spoa/core/status/sentences.h"

#include <stddef.h>
#include <string.h>

#include "proto/addr.h"
#include "spoa/core/base/alarms.h"
#include "spoa/core/base/text.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/decision/service_state.h"
#include "spoa/core/observers/history.h"
#include "spoa/core/status/status.h"
#include "spoa/core/voters/voter_group.h"

#define SECOND_MS ((int64_t)1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

/* ---- numbers and times ---- */

void sentences_add_count(struct text *out, uint64_t count, const char *noun, const char *verb)
{
    text_add_number(out, count);
    text_printf(out, " %s%s", noun, count == 1 ? "" : "s");
    if (verb[0] == '\0')
        return;
    text_add(out, " ");
    text_add_bytes(out, verb, strlen(verb) - (count == 1 ? 0 : 1));
}

static void add_rounded(struct text *out, int64_t ms, int64_t unit_ms, const char *unit)
{
    int64_t count = (ms + unit_ms / 2) / unit_ms;

    text_printf(out, "%lld %s", (long long)count, unit);
}

void sentences_add_duration(struct text *out, int64_t ms)
{
    int64_t tenths = (ms + 50) / 100;

    if (ms < SECOND_MS)
        text_printf(out, "%lld ms", (long long)(ms > 0 ? ms : 0));
    else if (tenths < 600)
        text_printf(out, "%lld.%lld s", (long long)tenths / 10, (long long)tenths % 10);
    else if (ms < 90 * MINUTE_MS)
        add_rounded(out, ms, MINUTE_MS, "min");
    else if (ms < 2 * DAY_MS)
        add_rounded(out, ms, HOUR_MS, "h");
    else
        add_rounded(out, ms, DAY_MS, "days");
}

/* A day since 1970 as "24 Nov". */
static void add_date(struct text *out, int64_t day)
{
    static const char months[][4] = {"Mar", "Apr", "May", "Jun", "Jul", "Aug",
                                     "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"};
    /* Years begin in March here, so that a leap day is the last one. 1 March 2000 was the day 11017 since 1970. */
    int64_t left = (day - 11017) % 146097;

    if (left < 0)
        left += 146097;
    left -= (left / 36524 < 4 ? left / 36524 : 3) * 36524; /* of the century */
    left %= 1461;                                          /* of four years */
    left -= (left / 365 < 4 ? left / 365 : 3) * 365;       /* of the year */
    int64_t month = (5 * left + 2) / 153;
    int64_t day_of_month = left - (153 * month + 2) / 5 + 1;
    text_printf(out, "%lld %s ", (long long)day_of_month, months[month]);
}

static void add_clock(struct text *out, int64_t unix_ms)
{
    long long seconds = unix_ms % DAY_MS / SECOND_MS;

    text_printf(out, "%02lld:%02lld:%02lld UTC", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

/* The date only where it is not today. */
static bool add_moment(struct text *out, const struct status *status, int64_t t_ms)
{
    int64_t unix_ms = status_unix_ms(status, t_ms);
    bool is_today = unix_ms / DAY_MS == status->now_unix_ms / DAY_MS;

    if (!is_today)
        add_date(out, unix_ms / DAY_MS);
    add_clock(out, unix_ms);
    return is_today;
}

void sentences_add_time(struct text *out, const struct status *status, int64_t t_ms)
{
    if (!add_moment(out, status, t_ms))
        return;
    text_add(out, ", ");
    sentences_add_duration(out, status->now_ms - t_ms);
    text_add(out, " ago");
}

/* ---- a service ---- */

const char *tone_mark(enum tone tone)
{
    return tone == TONE_GOOD ? "●" : tone == TONE_WAIT ? "▲" : "✖";
}

bool service_is_in_trouble(const struct service *service)
{
    return !service_is_open(service, SERVICE_ROLE_MASTER);
}

/* For how long clients have had no answer at once. */
static int64_t trouble_ms(const struct service *service, int64_t now_ms)
{
    const struct outage *outage = service_outage(service);

    return outage->is_running ? outage_length_ms(outage, now_ms) : 0;
}

enum tone service_tone(const struct service *service, int64_t now_ms)
{
    const struct service_decision *decision = service_decision(service);
    bool is_passing = decision->state == SERVICE_PENDING || decision->state == SERVICE_DOWN;

    if (!service_is_in_trouble(service))
        return service_alarms(service)->raised == 0 ? TONE_GOOD : TONE_WAIT;
    if (decision->state == SERVICE_DOUBTED || decision->state == SERVICE_STARTING)
        return TONE_WAIT;
    return is_passing && trouble_ms(service, now_ms) < decision->park_ms ? TONE_WAIT : TONE_BAD;
}

/* The shortest name of the node that the state is about. */
static void add_node(struct text *out, const struct service *service)
{
    const struct addr *addr = service_decision(service)->addr;
    const char *server = addr != NULL ? service_server(service, addr) : NULL;

    if (server != NULL) {
        text_add(out, server);
    } else if (addr != NULL) {
        char text[ADDR_TEXT_MAX];
        text_add(out, addr_format(addr, text));
    } else {
        text_add(out, "The master");
    }
}

static const char *no_quorum_text(enum service_reason reason)
{
    switch (reason) {
    case SERVICE_BECAUSE_DISAGREE:
        return "The # disagree";
    case SERVICE_BECAUSE_UNKNOWN_NAME:
        return "The # know no master of this name";
    case SERVICE_BECAUSE_REFUSED_US:
        return "The # refuse us";
    default:
        return "Too few # answer";
    }
}

/* '%' stands for the node that the state is about, '#' for "Sentinels" or "nodes". */
static const char *state_text(const struct service_decision *decision)
{
    static const char *const texts[SERVICE_STATE_COUNT] = {
        [SERVICE_STARTING] = "The # have not been asked yet",
        [SERVICE_OK] = "% is the master",
        [SERVICE_DOUBTED] = "% is not answering",
        [SERVICE_WITNESSED] = "% stays the master: a witness confirms it",
        [SERVICE_KEPT] = "% stays the master: the # are gone",
        [SERVICE_PENDING] = "The # are asked who the master is",
        [SERVICE_DOWN] = "% is down",
        [SERVICE_NOT_MASTER] = "A majority names %, which says that it is no master",
        [SERVICE_UNKNOWN_ADDRESS] = "A majority names %, which no server of the configuration has",
    };

    return decision->state == SERVICE_NO_QUORUM ? no_quorum_text(decision->reason) : texts[decision->state];
}

static void add_waiting(struct text *out, const struct service *service, int64_t now_ms)
{
    const struct service_waiting *waiting = service_waiting(service, SERVICE_ROLE_MASTER);
    const struct service_decision *decision = service_decision(service);

    sentences_add_count(out, waiting->count, "client", "waits");
    text_add(out, ", the first for ");
    sentences_add_duration(out, now_ms - waiting->oldest_ms);
    if (decision->park_ms <= 0)
        return;
    /* A doubt delays an answer. It does not change it. */
    text_add(out,
             decision->state == SERVICE_DOUBTED ? "; each is sent there after " : "; each is refused after ");
    sentences_add_duration(out, decision->park_ms);
}

/* What clients feel of a trouble. */
static void add_feeling(struct text *out, const struct service *service, int64_t now_ms)
{
    int64_t park_ms = service_decision(service)->park_ms;

    text_add(out, ": ");
    if (service_waiting(service, SERVICE_ROLE_MASTER)->count > 0) {
        add_waiting(out, service, now_ms);
    } else if (service_tone(service, now_ms) == TONE_WAIT && park_ms > 0) {
        text_add(out, "clients wait");
    } else {
        text_add(out, "clients are refused");
        if (park_ms <= 0)
            return;
        text_add(out, " after ");
        sentences_add_duration(out, park_ms);
    }
}

void sentences_add_headline(struct text *out, const struct voter_group *group, const struct service *service,
                            int64_t now_ms)
{
    bool has_sentinels = voter_group_source(group) == VOTER_SOURCE_SENTINEL;

    for (const char *next = state_text(service_decision(service)); *next != '\0'; next++)
        if (*next == '%')
            add_node(out, service);
        else if (*next == '#')
            text_add(out, has_sentinels ? "Sentinels" : "nodes");
        else
            text_add_bytes(out, next, 1);
    if (service_is_in_trouble(service))
        add_feeling(out, service, now_ms);
}

/* Since when it has been so: the trouble, or else the master. */
static void add_since(struct text *out, const struct status *status, const struct service *service)
{
    const struct outage *outage = service_outage(service);
    int64_t since_ms = outage->is_running ? outage->t_begun_ms : service_decision(service)->t_switched_ms;

    if (since_ms == INT64_MIN)
        return;
    text_add(out, " · since ");
    (void)add_moment(out, status, since_ms);
    text_add(out, ", for ");
    sentences_add_duration(out, status->now_ms - since_ms);
}

void sentences_add_reasons(struct text *out, const struct status *status, const struct service *service)
{
    const struct service_decision *decision = service_decision(service);
    const struct quorum_config *quorum = &service_settings(service)->quorum;
    const struct service_waiting *replicas = service_waiting(service, SERVICE_ROLE_REPLICA);
    const char *reason = service_decision_reason(decision);
    const struct outage *outage = service_outage(service);

    if (decision->addr != NULL) {
        char text[ADDR_TEXT_MAX];
        text_add(out, addr_format(decision->addr, text));
        text_add(out, " · ");
    }
    text_printf(out, "%u of %u votes, %u needed", decision->votes, quorum->voters, quorum->threshold);
    text_printf(out, "%s%s", reason[0] != '\0' ? " · " : "", reason);
    if (outage->is_running && outage->refused > 0) {
        text_add(out, " · ");
        sentences_add_count(out, outage->refused, "client", "");
        text_add(out, " refused");
    }
    if (replicas->count > 0) {
        text_add(out, " · ");
        sentences_add_count(out, replicas->count, "client", "waits");
        text_add(out, " for a replica, the first for ");
        sentences_add_duration(out, status->now_ms - replicas->oldest_ms);
    }
    add_since(out, status, service);
    text_add(out, decision->is_fenced ? " · its sessions are cut" : "");
}

/* ---- what was ---- */

/* "2 clients waited, 4.0 s at most, 3 refused". */
static void add_felt(struct text *out, const struct history_outage *outage)
{
    text_add(out, ", ");
    if (outage->waited > 0) {
        sentences_add_count(out, outage->waited, "client", "");
        text_add(out, " waited, ");
        sentences_add_duration(out, outage->longest_wait_ms);
        text_add(out, " at most, ");
    } else {
        text_add(out, "nobody waited, ");
    }
    if (outage->refused > 0)
        text_add_number(out, outage->refused);
    text_add(out, outage->refused > 0 ? " refused" : "nobody refused");
}

void sentences_add_switch(struct text *out, const struct history_switch *entry,
                          const struct history_outage *outage)
{
    const char *before = entry->old_server[0] != '\0' ? entry->old_server : entry->old_addr;
    const char *after = entry->new_server[0] != '\0' ? entry->new_server : entry->new_addr;

    text_add(out, entry->service);
    text_add(out, before[0] != '\0' ? ": " : ": first master ");
    text_add(out, before);
    text_add(out, before[0] != '\0' ? " → " : "");
    text_add(out, after);
    if (before[0] == '\0')
        return;
    text_add(out, " in ");
    sentences_add_duration(out, entry->t_named_ms - entry->t_suspected_ms);
    if (outage != NULL)
        add_felt(out, outage);
    if (entry->t_cut_ms == HISTORY_NEVER)
        return;
    text_add(out, ", sessions cut after ");
    sentences_add_duration(out, entry->t_cut_ms - entry->t_suspected_ms);
}

void sentences_add_outage(struct text *out, const struct history_outage *entry)
{
    text_add(out, entry->service);
    text_add(out, ": ");
    sentences_add_duration(out, entry->t_ended_ms - entry->t_begun_ms);
    text_printf(out, " %s (%s%s%s)",
                entry->state == SERVICE_DOUBTED ? "without an answer of the master" : "without a master",
                service_state_text(entry->state), entry->reason[0] != '\0' ? ", " : "", entry->reason);
    add_felt(out, entry);
}
