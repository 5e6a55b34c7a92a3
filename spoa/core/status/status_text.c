#include "spoa/core/status/status_text.h"

#include <string.h>

#include "proto/addr.h"
#include "spoa/core/base/alarms.h"
#include "spoa/core/base/text.h"
#include "spoa/core/decision/quorum.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/decision/service_state.h"
#include "spoa/core/haproxy/runtime_health.h"
#include "spoa/core/observers/history.h"
#include "spoa/core/status/page_cursor.h"
#include "spoa/core/status/status.h"
#include "spoa/core/voters/voter_group.h"

/* Pads `text` with blanks to `width`. Longer text stays whole. */
static void add_column(struct text *out, const char *text, size_t width)
{
    text_add(out, text);
    for (size_t len = strlen(text); len < width; len++)
        text_add(out, " ");
    text_add(out, "  ");
}

static void add_alarms(struct text *out, const struct alarms *alarms)
{
    for (enum alarm_kind kind = ALARM_VOTER_COUNT; kind < ALARM_KINDS; kind++) {
        if (!alarms_is_raised(alarms, kind))
            continue;
        text_printf(out, "    ! %s: ", alarm_text(kind));
        text_add(out, alarm_meaning(kind));
        const char *detail = alarms_detail(alarms, kind);
        text_add(out, detail != NULL ? "\n      " : "");
        text_add(out, detail != NULL ? detail : "");
        text_add(out, "\n");
    }
}

static void add_vote(struct text *out, const struct status *status, const struct service *service,
                     const struct vote *vote)
{
    char text[ADDR_TEXT_MAX];
    int64_t age_ms = status->now_ms - vote->t_sent_ms;

    add_column(out, vote->addr != NULL ? addr_format(vote->addr, text) : "names nobody", 24);
    text_printf(out, "%lld ms ago%s", (long long)age_ms,
                age_ms >= service_settings(service)->quorum.vote_life_ms ? ", expired" : "");
}

static void add_voice(struct text *out, const struct status *status, const struct voter_group *group,
                      const struct service *service, unsigned voter)
{
    struct vote vote = service_vote(service, voter);
    const char *words = voter_group_words(group, voter);

    text_add(out, "    ");
    add_column(out, voter_group_voter_name(group, voter), 24);
    if (vote.ballot == QUORUM_SILENT)
        text_add(out, "never heard");
    else
        add_vote(out, status, service, &vote);
    int64_t silence_ms = service_silence_ms(service, voter, status->now_ms);
    if (silence_ms >= SERVICE_WATCH_MS)
        text_printf(out, ", has not heard it for %lld ms", (long long)silence_ms);
    const char *fault = voter_group_fault(group, voter);
    if (fault[0] != '\0') {
        text_add(out, words[0] != '\0' ? ", refuses us: " : ", ");
        text_add(out, fault);
        text_printf(out, ", for %lld ms",
                    (long long)(status->now_ms - voter_group_fault_since_ms(group, voter)));
    }
    text_add(out, "\n");
}

static void add_node(struct text *out, const struct status *status, const struct service *service,
                     size_t server)
{
    const struct node_word *word = service_node_word(service, server);
    char text[ADDR_TEXT_MAX];

    text_add(out, "    ");
    add_column(out, service_settings(service)->servers[server].name, 8);
    add_column(out, addr_format(&service_settings(service)->servers[server].addr, text), 22);
    text_add(out, node_saying_text(word->saying));
    text_add(out, word->words[0] == '\0' ? "" : word->saying == NODE_SAYS_REPLICA ? " of " : ": ");
    text_add(out, word->words);
    if (word->saying != NODE_NOT_ASKED)
        text_printf(out, ", for %lld ms, %lld ms ago", (long long)(word->t_ms - word->since_ms),
                    (long long)(status->now_ms - word->t_ms));
    text_add(out, "\n");
}

/* Only where somebody waits. */
static void add_waiting(struct text *out, const struct status *status, const struct service *service,
                        enum service_role role, const char *what)
{
    const struct service_waiting *waiting = service_waiting(service, role);

    if (waiting->count > 0)
        text_printf(out, "    %zu waiting for %s, the oldest for %lld ms\n", waiting->count, what,
                    (long long)(status->now_ms - waiting->oldest_ms));
}

/* Only one that goes on and that clients feel. */
static void add_current_outage(struct text *out, const struct status *status, const struct service *service)
{
    const struct outage *outage = service_outage(service);

    if (!outage->is_running || !outage_is_felt(outage))
        return;
    text_printf(out, "    outage for %lld ms, began with %s, %llu had to wait, %llu refused\n",
                (long long)outage_length_ms(outage, status->now_ms), service_state_text(outage->state),
                (unsigned long long)outage->waited, (unsigned long long)outage->refused);
}

static void add_service(struct text *out, const struct status *status, const struct voter_group *group,
                        const struct service *service)
{
    const struct service_decision *decision = service_decision(service);
    const struct service_settings *settings = service_settings(service);
    const char *reason = service_decision_reason(decision);
    char text[ADDR_TEXT_MAX];

    add_column(out, settings->name, 20);
    add_column(out, service_state_text(decision->state), 12);
    add_column(out, decision->server != NULL ? decision->server : "-", 12);
    add_column(out, decision->addr != NULL ? addr_format(decision->addr, text) : "-", 22);
    text_printf(out, "%u/%u votes, %u needed, park %lld ms%s%s\n", decision->votes, settings->quorum.voters,
                settings->quorum.threshold, (long long)decision->park_ms, reason[0] != '\0' ? ", " : "",
                reason);
    for (unsigned i = 0; i < voter_group_voter_count(group); i++)
        add_voice(out, status, group, service, i);
    for (size_t i = 0; i < settings->server_count; i++)
        add_node(out, status, service, i);
    add_current_outage(out, status, service);
    add_waiting(out, status, service, SERVICE_ROLE_MASTER, "the master");
    add_waiting(out, status, service, SERVICE_ROLE_REPLICA, "a replica");
    add_alarms(out, service_alarms(service));
}

static void add_switch(struct text *out, const struct status *status, const struct history_switch *entry)
{
    text_add(out, "    ");
    text_add(out, entry->service);
    text_printf(out, ": %s -> %s, %lld s ago, named after %lld ms",
                entry->old_server[0] != '\0' ? entry->old_server : "-",
                entry->new_server[0] != '\0' ? entry->new_server : "-",
                (long long)(status->now_ms - entry->t_named_ms) / 1000,
                (long long)(entry->t_named_ms - entry->t_suspected_ms));
    if (entry->t_cut_ms != HISTORY_NEVER)
        text_printf(out, ", sessions cut after %lld ms",
                    (long long)(entry->t_cut_ms - entry->t_suspected_ms));
    text_add(out, "\n");
}

static void add_outage(struct text *out, const struct status *status, const struct history_outage *entry)
{
    text_add(out, "    ");
    text_add(out, entry->service);
    text_printf(out, ": %lld ms, %lld s ago, began with %s",
                (long long)(entry->t_ended_ms - entry->t_begun_ms),
                (long long)(status->now_ms - entry->t_ended_ms) / 1000, service_state_text(entry->state));
    text_printf(out, "%s%s, %s -> %s", entry->reason[0] != '\0' ? " " : "", entry->reason,
                entry->old_server[0] != '\0' ? entry->old_server : "-",
                entry->new_server[0] != '\0' ? entry->new_server : "-");
    text_printf(out, ", %llu had to wait (%lld ms at the most), %llu refused\n",
                (unsigned long long)entry->waited, (long long)entry->longest_wait_ms,
                (unsigned long long)entry->refused);
}

/* Only what is not as it should be. */
static void add_api(struct text *out, const struct runtime_health *api)
{
    const char *reason = runtime_health_reason(api);

    if (reason[0] == '\0' && api->owed == 0)
        return;
    text_add(out, "HAProxy ");
    add_column(out, api->name, 20);
    text_add(out, reason[0] != '\0' ? "cannot cut sessions: " : "can cut sessions");
    text_add(out, reason);
    if (api->owed > 0)
        text_printf(out, ", servers whose sessions are not cut yet: %zu", api->owed);
    text_add(out, "\n");
    add_alarms(out, &api->alarms);
}

static void add_agent(struct text *out, const struct status *status)
{
    const char *service = NULL;
    const char *unready = status_unready(status, &service);

    text_add(out, "sentinel-spoa ");
    text_add(out, status->version);
    text_printf(out, ", %s%s, %zu connections, %zu waiting%s\n\n",
                unready == NULL ? "ready" : "not ready: ", unready == NULL ? "" : unready,
                status->connections, status->parked,
                status->is_reload_good ? "" : ", the last reload failed");
    if (!alarms_is_raised(&status->unknown->alarms, ALARM_UNKNOWN_SERVICE))
        return;
    text_printf(out, "! %s: ", alarm_text(ALARM_UNKNOWN_SERVICE));
    text_add(out, status->unknown->detail);
    text_add(out, "\n\n");
}

/* The alarms of a group stand below its last service. */
static bool add_services(struct text *out, const struct status *status, struct page_cursor *cursor)
{
    const struct voter_group *group;
    const struct service *service;

    for (unsigned i = 0; i < PAGE_PIECE; i++) {
        if (!page_cursor_next(cursor, status, &group, &service))
            return false;
        add_service(out, status, group, service);
        if (cursor->service == voter_group_service_count(group))
            add_alarms(out, voter_group_alarms(group));
    }
    return true;
}

static void add_end(struct text *out, const struct status *status)
{
    for (size_t i = 0; i < status->api_count; i++)
        add_api(out, &status->apis[i]);
    if (history_get(status->history, 0) != NULL)
        text_add(out, "\nLast switches\n");
    for (size_t back = 0; history_get(status->history, back) != NULL; back++)
        add_switch(out, status, history_get(status->history, back));
    if (history_get_outage(status->history, 0) != NULL)
        text_add(out, "\nLast outages\n");
    for (size_t back = 0; history_get_outage(status->history, back) != NULL; back++)
        add_outage(out, status, history_get_outage(status->history, back));
}

bool status_text_write(const struct status *status, struct page_cursor *cursor, struct text *out)
{
    enum { BEGIN, SERVICES };

    if (cursor->section == BEGIN) {
        add_agent(out, status);
    } else if (cursor->section == SERVICES) {
        if (add_services(out, status, cursor))
            return true;
    } else {
        add_end(out, status);
        return false;
    }
    page_cursor_next_section(cursor);
    return true;
}
