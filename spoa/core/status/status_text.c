#include "spoa/core/status/status_text.h"

#include <string.h>

#include "proto/addr.h"
#include "spoa/core/base/alarms.h"
#include "spoa/core/base/text.h"
#include "spoa/core/decision/quorum.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/haproxy/runtime_health.h"
#include "spoa/core/observers/history.h"
#include "spoa/core/status/page_cursor.h"
#include "spoa/core/status/sentences.h"
#include "spoa/core/status/status.h"
#include "spoa/core/status/summary.h"
#include "spoa/core/voters/voter_group.h"

/* So many services are shown in full. Where there are more, those in trouble are, and all have a line each. */
#define FULL_MAX 3
/* So many services in trouble are shown in full. */
#define TROUBLED_MAX 20

#define INDENT "    "

/* Pads `text` with blanks to `width`. Longer text stays whole. */
static void add_column(struct text *out, const char *text, size_t width)
{
    text_add(out, text);
    for (size_t len = strlen(text); len < width; len++)
        text_add(out, " ");
    text_add(out, "  ");
}

static void add_mark(struct text *out, const char *indent, enum tone tone)
{
    text_printf(out, "%s%s ", indent, tone_mark(tone));
}

static void add_alarm(struct text *out, enum alarm_kind kind, const char *detail)
{
    add_mark(out, INDENT, summary_alarm_tone(kind));
    text_printf(out, "%s: ", alarm_text(kind));
    text_add(out, alarm_meaning(kind));
    text_add(out, detail != NULL ? "\n" INDENT "  " : "");
    text_add(out, detail != NULL ? detail : "");
    text_add(out, "\n");
}

/* A line per alarm that is raised, with what to do, and one with its detail. */
static void add_alarms(struct text *out, const struct alarms *alarms)
{
    for (enum alarm_kind kind = ALARM_VOTER_COUNT; kind < ALARM_KINDS; kind++)
        if (alarms_is_raised(alarms, kind))
            add_alarm(out, kind, alarms_detail(alarms, kind));
}

/* What a line says of them where they are explained elsewhere. */
static void add_alarm_names(struct text *out, uint32_t raised)
{
    const char *before = " · alarms: ";

    for (enum alarm_kind kind = ALARM_VOTER_COUNT; kind < ALARM_KINDS; kind++) {
        if ((raised >> kind & 1) == 0)
            continue;
        text_printf(out, "%s%s", before, alarm_text(kind));
        before = ", ";
    }
}

/* ---- who says what ---- */

static bool has_expired(const struct status *status, const struct service *service, const struct vote *vote)
{
    return status->now_ms - vote->t_sent_ms >= service_settings(service)->quorum.vote_life_ms;
}

static enum tone voice_tone(const struct status *status, const struct voter_group *group,
                            const struct service *service, unsigned voter)
{
    const struct addr *named = service_decision(service)->addr;
    struct vote vote = service_vote(service, voter);

    bool is_answer = vote.ballot == QUORUM_NAMES || vote.ballot == QUORUM_UNKNOWN_NAME;
    if (!is_answer || has_expired(status, service, &vote))
        return TONE_BAD;
    /* A vote counts for its life, also where the link to who gave it has broken. */
    bool is_faulty = voter_group_fault(group, voter)[0] != '\0';
    if (is_faulty || service_is_in_trouble(service) || vote.addr == NULL)
        return TONE_WAIT;
    return service_is_same_node(service, vote.addr, named) ? TONE_GOOD : TONE_WAIT;
}

/* Whom it names, as the server of the map where there is one. */
static void add_vote(struct text *out, const struct status *status, const struct service *service,
                     const struct vote *vote)
{
    if (vote->addr == NULL) {
        add_column(out, vote->ballot == QUORUM_UNKNOWN_NAME ? "knows no master of this name" : "names nobody",
                   16);
    } else {
        char text[ADDR_TEXT_MAX];
        const char *server = service_server(service, vote->addr);
        text_add(out, "names ");
        add_column(out, server != NULL ? server : addr_format(vote->addr, text), 10);
    }
    sentences_add_duration(out, status->now_ms - vote->t_sent_ms);
    text_add(out, has_expired(status, service, vote) ? " ago, expired" : " ago");
}

static void add_fault(struct text *out, const struct status *status, const struct voter_group *group,
                      unsigned voter)
{
    text_add(out, voter_group_words(group, voter)[0] != '\0' ? "refuses us: " : "");
    text_add(out, voter_group_fault(group, voter));
    text_add(out, ", for ");
    sentences_add_duration(out, status->now_ms - voter_group_fault_since_ms(group, voter));
}

static void add_voice(struct text *out, const struct status *status, const struct voter_group *group,
                      const struct service *service, unsigned voter)
{
    struct vote vote = service_vote(service, voter);
    int64_t silence_ms = service_silence_ms(service, voter, status->now_ms);

    add_mark(out, INDENT, voice_tone(status, group, service, voter));
    add_column(out, voter_group_voter_name(group, voter), 22);
    if (vote.ballot == QUORUM_SILENT)
        text_add(out, "was never heard");
    else
        add_vote(out, status, service, &vote);
    if (silence_ms >= SERVICE_WATCH_MS) {
        text_add(out, ", has not heard it for ");
        sentences_add_duration(out, silence_ms);
    }
    if (voter_group_fault(group, voter)[0] != '\0') {
        text_add(out, ", ");
        add_fault(out, status, group, voter);
    }
    text_add(out, "\n");
}

static void add_node_mark(struct text *out, const struct service *service, size_t server)
{
    enum node_saying saying = service_node_word(service, server)->saying;
    const struct service_decision *decision = service_decision(service);
    const struct addr *addr = &service_settings(service)->servers[server].addr;

    if (saying == NODE_REFUSES || saying == NODE_UNREACHABLE)
        add_mark(out, INDENT, TONE_BAD);
    else if (saying == NODE_SAYS_LOADING)
        add_mark(out, INDENT, TONE_WAIT);
    else if (!service_is_in_trouble(service) && decision->addr != NULL &&
             service_is_same_node(service, decision->addr, addr))
        add_mark(out, INDENT, TONE_GOOD);
    else
        text_add(out, INDENT "  ");
}

static void add_node(struct text *out, const struct status *status, const struct service *service,
                     size_t server)
{
    const struct node_word *word = service_node_word(service, server);
    char text[ADDR_TEXT_MAX];

    add_node_mark(out, service, server);
    add_column(out, service_settings(service)->servers[server].name, 8);
    add_column(out, addr_format(&service_settings(service)->servers[server].addr, text), 22);
    text_add(out, word->saying == NODE_NOT_ASKED ? "not asked"
                  : word->saying == NODE_LISTED  ? "listed as a replica"
                                                 : node_saying_text(word->saying));
    text_add(out, node_word_text(word)[0] == '\0' ? "" : word->saying == NODE_SAYS_REPLICA ? " of " : ": ");
    text_add(out, node_word_text(word));
    if (word->saying != NODE_NOT_ASKED) {
        text_add(out, ", for ");
        sentences_add_duration(out, word->t_ms - word->since_ms);
        text_add(out, ", ");
        sentences_add_duration(out, status->now_ms - word->t_ms);
        text_add(out, " ago");
    }
    text_add(out, "\n");
}

/* ---- services ---- */

/* "● mymaster: R2 is the master". The sentence over everything stands in its place where it is about this service. */
static void add_title(struct text *out, const struct status *status, const struct summary *sum,
                      const struct voter_group *group, const struct service *service)
{
    bool is_all = sum->service == service;

    add_mark(out, "", is_all ? sum->tone : service_tone(service, status->now_ms));
    text_add(out, service_settings(service)->name);
    text_add(out, ": ");
    if (is_all)
        summary_add_headline(out, sum, status);
    else
        sentences_add_headline(out, group, service, status->now_ms);
    text_add(out, "\n");
}

/* All that is known of a service. What the alarms mean may stand elsewhere. */
static void add_service(struct text *out, const struct status *status, const struct summary *sum,
                        const struct voter_group *group, const struct service *service, bool has_meanings)
{
    uint32_t raised = service_alarms(service)->raised;

    add_title(out, status, sum, group, service);
    text_add(out, INDENT);
    sentences_add_reasons(out, status, service);
    add_alarm_names(out, has_meanings ? 0 : raised);
    text_add(out, "\n\n");
    for (unsigned i = 0; i < voter_group_voter_count(group); i++)
        add_voice(out, status, group, service, i);
    text_add(out, "\n");
    for (size_t i = 0; i < service_settings(service)->server_count; i++)
        add_node(out, status, service, i);
    if (has_meanings)
        add_alarms(out, service_alarms(service));
    text_add(out, "\n");
}

static void add_line(struct text *out, const struct status *status, const struct voter_group *group,
                     const struct service *service)
{
    const struct service_decision *decision = service_decision(service);

    add_mark(out, "", service_tone(service, status->now_ms));
    add_column(out, service_settings(service)->name, 20);
    sentences_add_headline(out, group, service, status->now_ms);
    text_printf(out, " · %u/%u votes", decision->votes, service_settings(service)->quorum.voters);
    add_alarm_names(out, service_alarms(service)->raised);
    text_add(out, "\n");
}

/* Few services, in one piece: those in trouble first. The alarms of the groups and of questions stand below. */
static void add_few(struct text *out, const struct status *status, const struct summary *sum)
{
    const struct voter_group *group;
    const struct service *service;

    for (unsigned is_whole = 0; is_whole <= 1; is_whole++) {
        struct page_cursor cursor = {.section = 0};
        while (page_cursor_next(&cursor, status, &group, &service))
            if (service_is_in_trouble(service) == (is_whole == 0))
                add_service(out, status, sum, group, service, true);
    }
    size_t before = out->len;
    for (size_t i = 0; i < status->group_count; i++)
        add_alarms(out, voter_group_alarms(status->groups[i]));
    add_alarms(out, &status->unknown->alarms);
    text_add(out, out->len > before ? "\n" : "");
}

static void add_if_in_trouble(struct text *out, const struct status *status, struct page_cursor *cursor,
                              const struct voter_group *group, const struct service *service)
{
    if ((!service_is_in_trouble(service) && service != cursor->sum.service) || cursor->told++ >= TROUBLED_MAX)
        return;
    add_service(out, status, &cursor->sum, group, service, false);
}

/* ---- the parts of the page ---- */

enum section { COUNT, COUNT_GROUPS, HEAD, IN_TROUBLE, ALL, VOTERS, END };

/* A line for each service that `alarm` names. If it is only one, the line does not repeat its name. */
static void add_details(struct text *out, const struct summary_alarm *alarm, enum alarm_kind kind)
{
    for (size_t i = 0; i < alarm->count && i < SUMMARY_NAMES; i++) {
        const char *detail = alarms_detail(alarm->sets[i], kind);
        if (detail == NULL)
            continue;
        text_add(out, INDENT "  ");
        if (alarm->count > 1)
            summary_add_name(out, &alarm->names[i]);
        text_add(out, alarm->count > 1 ? ": " : "");
        text_add(out, detail);
        text_add(out, "\n");
    }
}

/* One alarm of a thousand services is one line, and a few details. */
static void add_alarm_groups(struct text *out, const struct summary *sum)
{
    size_t before = out->len;

    for (enum alarm_kind kind = ALARM_VOTER_COUNT; kind < ALARM_KINDS; kind++) {
        const struct summary_alarm *alarm = &sum->alarms[kind];
        if (alarm->count == 0)
            continue;
        text_add(out, out->len > before ? "" : "Alarms: what to do\n");
        add_mark(out, INDENT, summary_alarm_tone(kind));
        text_printf(out, "%s (", alarm_text(kind));
        summary_add_names(out, alarm);
        text_add(out, "): ");
        text_add(out, alarm_meaning(kind));
        text_add(out, "\n");
        add_details(out, alarm, kind);
    }
    text_add(out, out->len > before ? "\n" : "");
}

/* What is wrong with the agent itself. */
static void add_agent_faults(struct text *out, const struct status *status)
{
    size_t before = out->len;

    if (status->is_stopping)
        text_printf(out, "%s The agent is stopping\n", tone_mark(TONE_WAIT));
    if (!status->is_reload_good) {
        text_printf(out, "%s The last reload failed", tone_mark(TONE_WAIT));
        text_add(out, status->reload_error != NULL ? ": " : "");
        text_add(out, status->reload_error != NULL ? status->reload_error : "");
        text_add(out, "\n");
    }
    text_add(out, out->len > before ? "\n" : "");
}

/* The sentence over everything, which may be the title of a service, and all of it where there is little. */
static void add_head(struct text *out, const struct status *status, struct summary *sum)
{
    summary_add_agent(sum, status);
    if (sum->service == NULL) {
        add_mark(out, "", sum->tone);
        summary_add_headline(out, sum, status);
        text_add(out, "\n\n");
    }
    if (sum->services > FULL_MAX)
        return;
    add_few(out, status, sum);
    add_agent_faults(out, status);
}

/* What stands above the list of all services. */
static void begin_list(struct text *out, const struct status *status, const struct summary *sum)
{
    add_agent_faults(out, status);
    add_alarm_groups(out, sum);
    text_add(out, "Services\n");
}

/* Some services, in the way of the section. False where it has no more. */
static bool add_services(struct text *out, const struct status *status, struct page_cursor *cursor)
{
    const struct voter_group *group;
    const struct service *service;

    for (unsigned i = 0; i < PAGE_PIECE; i++) {
        if (!page_cursor_next(cursor, status, &group, &service))
            return false;
        if (cursor->section == COUNT)
            summary_add_service(&cursor->sum, group, service, status->now_ms);
        else if (cursor->section == IN_TROUBLE)
            add_if_in_trouble(out, status, cursor, group, service);
        else
            add_line(out, status, group, service);
    }
    return true;
}

static void add_group(struct text *out, const struct status *status, const struct voter_group *group)
{
    for (unsigned i = 0; i < voter_group_voter_count(group); i++) {
        enum tone tone = voter_tone(group, i, status->now_ms);
        add_mark(out, INDENT, tone);
        add_column(out, voter_group_voter_name(group, i), 22);
        if (voter_group_fault(group, i)[0] != '\0')
            add_fault(out, status, group, i);
        else
            text_add(out, tone == TONE_GOOD ? "up" : "not heard");
        text_add(out, voter_group_name(group)[0] != '\0' ? " · " : "");
        text_add(out, voter_group_name(group));
        add_alarm_names(out, voter_group_alarms(group)->raised);
        text_add(out, "\n");
    }
}

static bool count_groups(const struct status *status, struct page_cursor *cursor)
{
    const struct voter_group *group;

    for (unsigned i = 0; i < PAGE_PIECE; i++) {
        if (!page_cursor_next_group(cursor, status, &group))
            return false;
        summary_add_group(&cursor->sum, group);
    }
    return true;
}

static bool add_voters(struct text *out, const struct status *status, struct page_cursor *cursor)
{
    const struct voter_group *group;

    for (unsigned i = 0; i < PAGE_PIECE; i++) {
        if (!page_cursor_next_group(cursor, status, &group))
            return false;
        add_group(out, status, group);
    }
    return true;
}

static bool is_told_as_switch(const struct status *status, const struct history_outage *outage)
{
    const struct history_switch *entry;

    for (size_t back = 0; (entry = history_get(status->history, back)) != NULL; back++)
        if (entry->t_named_ms == outage->t_ended_ms && strcmp(outage->service, entry->service) == 0)
            return true;
    return false;
}

static void add_switch(struct text *out, const struct status *status, const struct history_switch *entry)
{
    text_add(out, INDENT);
    sentences_add_time(out, status, entry->t_named_ms);
    text_add(out, "  ");
    sentences_add_switch(out, entry, history_find_outage(status->history, entry));
    text_add(out, "\n");
}

static void add_outage(struct text *out, const struct status *status, const struct history_outage *entry)
{
    if (is_told_as_switch(status, entry))
        return;
    text_add(out, INDENT);
    sentences_add_time(out, status, entry->t_ended_ms);
    text_add(out, "  ");
    sentences_add_outage(out, entry);
    text_add(out, "\n");
}

/* Both in one list, the last one first. `running` outages go on. */
static void add_past(struct text *out, const struct status *status, size_t running)
{
    const struct history_switch *entry = history_get(status->history, 0);
    const struct history_outage *outage = history_get_outage(status->history, 0);
    size_t switches = 0;
    size_t outages = 0;

    text_add(out, "Last switches and outages: ");
    sentences_add_day(out, status, running);
    text_add(out, "\n");
    if (entry == NULL && outage == NULL)
        text_add(out, INDENT "none since the agent started\n");
    while (entry != NULL || outage != NULL) {
        if (outage == NULL || (entry != NULL && entry->t_named_ms >= outage->t_ended_ms)) {
            add_switch(out, status, entry);
            entry = history_get(status->history, ++switches);
        } else {
            add_outage(out, status, outage);
            outage = history_get_outage(status->history, ++outages);
        }
    }
}

/* What its alarm means may stand elsewhere. */
static void add_api(struct text *out, const struct runtime_health *api, bool has_meanings)
{
    add_mark(out, INDENT, api_tone(api));
    add_column(out, api->name, 22);
    sentences_add_api(out, api);
    text_add(out, "\n");
    if (has_meanings)
        add_alarms(out, &api->alarms);
}

static void add_end(struct text *out, const struct status *status, const struct summary *sum)
{
    add_past(out, status, sum->outages);
    text_add(out, "\nHAProxy\n");
    for (size_t i = 0; i < status->api_count; i++)
        add_api(out, &status->apis[i], sum->services <= FULL_MAX);
    text_add(out, INDENT);
    sentences_add_count(out, status->connections, "connection", "");
    if (status->parked > 0) {
        text_add(out, " · ");
        sentences_add_count(out, status->parked, "client", "waits");
    }
    text_add(out, "\n\nsentinel-spoa ");
    text_add(out, status->version);
    if (status->process.t_start_unix_ms > 0) {
        text_add(out, " · up ");
        sentences_add_duration(out, status->now_unix_ms - status->process.t_start_unix_ms);
    }
    text_add(out, "\n");
}

/* Writes a piece of the section. False where it has no more. */
static bool add_piece(struct text *out, const struct status *status, struct page_cursor *cursor)
{
    switch ((enum section)cursor->section) {
    case COUNT_GROUPS:
        return count_groups(status, cursor);
    case HEAD:
        add_head(out, status, &cursor->sum);
        return false;
    case VOTERS:
        return add_voters(out, status, cursor);
    case END:
        add_end(out, status, &cursor->sum);
        return false;
    default:
        return add_services(out, status, cursor);
    }
}

static void begin_section(struct text *out, const struct status *status, const struct page_cursor *cursor)
{
    if (cursor->section == ALL)
        begin_list(out, status, &cursor->sum);
    else if (cursor->section == VOTERS)
        text_add(out, "\nWho is asked\n");
    else if (cursor->section == END && cursor->sum.services > FULL_MAX)
        text_add(out, "\n");
}

bool status_text_write(const struct status *status, struct page_cursor *cursor, struct text *out)
{
    if (add_piece(out, status, cursor))
        return true;
    if (cursor->section == END)
        return false;
    page_cursor_next_section(cursor);
    if (cursor->section == IN_TROUBLE && cursor->sum.services <= FULL_MAX)
        cursor->section = END;
    begin_section(out, status, cursor);
    return true;
}
