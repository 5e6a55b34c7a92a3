#include "spoa/core/status/sentences.h"

#include <stddef.h>
#include <string.h>

#include "proto/addr.h"
#include "spoa/core/base/alarms.h"
#include "spoa/core/base/text.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/decision/service_state.h"
#include "spoa/core/haproxy/runtime_health.h"
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

const char *tone_text(enum tone tone)
{
    return tone == TONE_GOOD ? "good" : tone == TONE_WAIT ? "wait" : "bad";
}

enum tone voter_tone(const struct voter_group *group, unsigned voter, int64_t now_ms)
{
    if (voter_group_is_heard(group, voter, now_ms))
        return TONE_GOOD;
    return voter_group_fault(group, voter)[0] != '\0' ? TONE_BAD : TONE_WAIT;
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

/* Whether a client that came when the trouble began would still wait. */
static bool is_patient(const struct service *service, int64_t now_ms)
{
    return trouble_ms(service, now_ms) < service_decision(service)->park_ms;
}

enum tone service_tone(const struct service *service, int64_t now_ms)
{
    enum service_state state = service_decision(service)->state;

    bool is_lent = state == SERVICE_WITNESSED || state == SERVICE_KEPT; /* named without a majority */
    if (!service_is_in_trouble(service))
        return service_alarms(service)->raised == 0 && !is_lent ? TONE_GOOD : TONE_WAIT;
    if (state == SERVICE_DOUBTED || state == SERVICE_STARTING)
        return TONE_WAIT;
    bool is_passing = state == SERVICE_PENDING || state == SERVICE_DOWN || state == SERVICE_NO_QUORUM ||
                      state == SERVICE_NOT_MASTER;
    return is_passing && is_patient(service, now_ms) ? TONE_WAIT : TONE_BAD;
}

/* The shortest name of a node; `otherwise` where it is not known. */
static void add_node(struct text *out, const struct service *service, const struct addr *addr,
                     const char *otherwise)
{
    const char *server = addr != NULL ? service_server(service, addr) : NULL;

    if (server != NULL) {
        text_add(out, server);
    } else if (addr != NULL) {
        char text[ADDR_TEXT_MAX];
        text_add(out, addr_format(addr, text));
    } else {
        text_add(out, otherwise);
    }
}

const char *sentences_state_text(enum service_state state, enum service_reason reason)
{
    /* The text without a reason stands for the reasons that have none. */
    static const char *const texts[SERVICE_STATE_COUNT][SERVICE_REASON_COUNT] = {
        [SERVICE_STARTING] = {"The # are being asked for the first time"},
        [SERVICE_OK] = {"% is the master"},
        [SERVICE_DOUBTED] = {"% is not answering"},
        [SERVICE_WITNESSED] =
            {"% stays the master, a witness confirms it: too few # answer",
             [SERVICE_BECAUSE_REFUSED] =
                 "% stays the master, a witness confirms it: the other # refuse connections",
             [SERVICE_BECAUSE_REFUSED_US] =
                 "% stays the master, a witness confirms it: the other # refuse us"},
        [SERVICE_KEPT] = {"% stays the master for a while: too few # answer",
                          [SERVICE_BECAUSE_REFUSED] =
                              "% stays the master for a while: the missing # refuse connections",
                          [SERVICE_BECAUSE_REFUSED_US] = "% stays the master for a while: the # refuse us"},
        [SERVICE_PENDING] = {"The # are asked who the master is",
                             [SERVICE_BECAUSE_UNREACHABLE] = "Too few # answer at the moment",
                             [SERVICE_BECAUSE_REFUSED] = "The missing # refuse connections at the moment",
                             [SERVICE_BECAUSE_REFUSED_US] = "The # refuse us at the moment",
                             [SERVICE_BECAUSE_DISAGREE] = "The # disagree at the moment",
                             [SERVICE_BECAUSE_UNKNOWN_NAME] =
                                 "The # know no master of this name at the moment",
                             [SERVICE_BECAUSE_UNCONFIRMED] =
                                 "A majority names %, which has not said yet that it is a master",
                             [SERVICE_BECAUSE_FAILOVER] = "A failover has begun"},
        [SERVICE_NO_QUORUM] =
            {"Too few # answer",
             [SERVICE_BECAUSE_REFUSED] = "Too few # answer, the others refuse connections",
             [SERVICE_BECAUSE_REFUSED_US] = "The # refuse us", [SERVICE_BECAUSE_DISAGREE] = "The # disagree",
             [SERVICE_BECAUSE_UNKNOWN_NAME] = "The # know no master of this name"},
        [SERVICE_DOWN] = {"% is down", [SERVICE_BECAUSE_SILENT] = "% is down, the # do not hear it"},
        [SERVICE_NOT_MASTER] = {"A majority names %, which says that it is no master",
                                [SERVICE_BECAUSE_REPLICA] =
                                    "A majority names %, which says that it is a replica",
                                [SERVICE_BECAUSE_LOADING] = "A majority names %, which is loading its data",
                                [SERVICE_BECAUSE_UNCONFIRMED] =
                                    "A majority names %, which does not say that it is a master"},
        [SERVICE_UNKNOWN_ADDRESS] = {"A majority names %, which no server of the configuration has"},
    };
    const char *text = texts[state][reason];

    return text != NULL ? text : texts[state][SERVICE_BECAUSE_NONE];
}

const char *sentences_voters(const struct voter_group *group)
{
    return voter_group_source(group) == VOTER_SOURCE_SENTINEL ? "Sentinels" : "nodes";
}

/* The text about the node at `addr`; NULL where it is not known. */
static void add_text(struct text *out, const char *text, const struct voter_group *group,
                     const struct service *service, const struct addr *addr)
{
    for (const char *next = text; *next != '\0'; next++)
        if (*next == '%')
            add_node(out, service, addr, next == text ? "The master" : "a node");
        else if (*next == '#')
            text_add(out, sentences_voters(group));
        else
            text_add_bytes(out, next, 1);
}

void sentences_add_state(struct text *out, const struct voter_group *group, const struct service *service)
{
    const struct service_decision *decision = service_decision(service);

    add_text(out, sentences_state_text(decision->state, decision->reason), group, service, decision->addr);
}

void sentences_add_beginning(struct text *out, const struct voter_group *group, const struct service *service,
                             const struct outage *outage)
{
    const char *text = sentences_state_text(outage->state, outage->reason);
    /* Only what begins with the node is about the master that was named before. */
    bool is_former = outage->has_former && text[0] == '%';

    add_text(out, text, group, service, is_former ? &outage->former : NULL);
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

void sentences_add_feeling(struct text *out, const struct service *service, int64_t now_ms)
{
    const struct service_decision *decision = service_decision(service);

    if (!service_is_in_trouble(service))
        return;
    if (service_waiting(service, SERVICE_ROLE_MASTER)->count > 0) {
        add_waiting(out, service, now_ms);
    } else if (decision->park_ms <= 0) {
        text_add(out, "clients are refused");
    } else if (decision->state == SERVICE_DOUBTED || is_patient(service, now_ms)) {
        text_add(out, "clients wait");
    } else { /* new ones still wait */
        text_add(out, "each client is refused after ");
        sentences_add_duration(out, decision->park_ms);
    }
}

void sentences_add_headline(struct text *out, const struct voter_group *group, const struct service *service,
                            int64_t now_ms)
{
    sentences_add_state(out, group, service);
    if (!service_is_in_trouble(service))
        return;
    text_add(out, ": ");
    sentences_add_feeling(out, service, now_ms);
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

/* What the sentence of the state leaves out; "" where it says why. */
static const char *reason_text(const struct service_decision *decision)
{
    static const char *const doubts[] = {[DOUBT_CLOSED] = "our connection to it ended",
                                         [DOUBT_SILENT] = "it does not answer our questions in time"};

    if (decision->state == SERVICE_DOUBTED)
        return doubts[decision->doubt_cause];
    return decision->reason == SERVICE_BECAUSE_O_DOWN ? "a majority holds it to be down" : "";
}

void sentences_add_reasons(struct text *out, const struct status *status, const struct service *service)
{
    const struct service_decision *decision = service_decision(service);
    const struct quorum_config *quorum = &service_settings(service)->quorum;
    const struct service_waiting *replicas = service_waiting(service, SERVICE_ROLE_REPLICA);
    const char *reason = reason_text(decision);
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

/* ---- a HAProxy ---- */

enum tone api_tone(const struct runtime_health *api)
{
    if (runtime_health_reason(api)[0] != '\0')
        return TONE_BAD;
    return api->is_tried && api->owed == 0 ? TONE_GOOD : TONE_WAIT;
}

void sentences_add_api(struct text *out, const struct runtime_health *api)
{
    const char *reason = runtime_health_reason(api);
    const char *before = reason[0] != '\0' ? " · " : "";

    if (reason[0] != '\0') {
        text_add(out, "cannot cut sessions: ");
        text_add(out, reason);
    }
    if (api->owed > 0) {
        text_add(out, before);
        sentences_add_count(out, api->owed, "cut", "");
        text_add(out, " owed");
    } else if (reason[0] == '\0') {
        text_add(out, api->is_tried ? "sessions can be cut" : "not tried yet");
    }
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
    if (before[0] != '\0' || outage != NULL) {
        text_add(out, before[0] != '\0' ? " in " : " after ");
        sentences_add_duration(out, entry->t_named_ms - entry->t_suspected_ms);
    }
    if (outage != NULL)
        add_felt(out, outage);
    if (before[0] == '\0' || entry->t_cut_ms == HISTORY_NEVER)
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

/* How many of those that are kept ended on this day. */
static size_t count_outages(const struct history *history, int64_t since_ms)
{
    const struct history_outage *outage;
    size_t count = 0;

    while ((outage = history_get_outage(history, count)) != NULL && outage->t_ended_ms >= since_ms)
        count++;
    return count;
}

static bool was_refused(const struct status *status)
{
    char letters[QUARTERS + 1];

    return strchr(quarters_format(&status->history->quarters, status->now_ms, letters), 'b') != NULL;
}

/* For how much of 24 hours that can be said. */
static void add_whole_day(struct text *out, const struct status *status)
{
    int64_t age_ms = status->now_unix_ms - status->process.t_start_unix_ms;

    if (age_ms >= DAY_MS) {
        text_add(out, " in 24 hours");
        return;
    }
    text_add(out, " since the agent started ");
    sentences_add_duration(out, age_ms);
    text_add(out, " ago");
}

void sentences_add_day(struct text *out, const struct status *status, size_t running)
{
    size_t ended = count_outages(status->history, status->now_ms - DAY_MS);

    if (ended == HISTORY_LENGTH)
        text_add(out, "at least ");
    if (ended + running > 0)
        sentences_add_count(out, ended + running, "outage", "");
    else
        text_add(out, "no outage");
    add_whole_day(out, status);
    /* Those of an outage stand with it. */
    if (ended + running == 0 && was_refused(status))
        text_add(out, ", but clients were refused");
}
