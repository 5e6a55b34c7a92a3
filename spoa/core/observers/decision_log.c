#include "spoa/core/observers/decision_log.h"

#include <stdio.h>

#include "spoa/core/base/container_of.h"
#include "spoa/core/base/log.h"

/* Room for the names of replicas in a line; names beyond it are left out. */
#define LOG_NAMES_MAX 512

static const char *addr_text(const struct addr *addr, char out[ADDR_TEXT_MAX])
{
    return addr != NULL ? addr_format(addr, out) : "none";
}

static const char *server_text(const char *server)
{
    return server != NULL ? server : "none";
}

static void log_switch(const struct service_settings *settings, const struct service_change *change)
{
    char old_text[ADDR_TEXT_MAX];
    char new_text[ADDR_TEXT_MAX];
    const struct service_decision *after = change->after;
    const struct outage *outage = change->outage;

    log_event(EVENT_MASTER_SWITCH, log_text("service", settings->name),
              log_text("old", addr_text(change->replaced, old_text)),
              log_text("new", addr_text(after->addr, new_text)),
              log_text("old-server", server_text(change->replaced_server)),
              log_text("new-server", server_text(after->server)), log_number("votes", after->votes),
              log_number("quorum", settings->quorum.threshold),
              log_number("age-ms", change->now_ms - after->oldest_sent_ms),
              log_number("generation", (int64_t)after->generation),
              log_number("outage-ms", outage != NULL ? outage_length_ms(outage, change->now_ms) : 0),
              log_number("waited", outage != NULL ? (int64_t)outage->waited : 0),
              log_number("refused", outage != NULL ? (int64_t)outage->refused : 0));
}

static void log_outage(const struct service *service, const struct service_change *change)
{
    const struct outage *outage = change->outage;

    if (outage == NULL || outage->is_running || !outage_is_felt(outage))
        return;
    log_event_at(
        outage->refused > 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, EVENT_OUTAGE_OVER,
        log_text("service", service_settings(service)->name),
        log_text("state", service_state_text(outage->state)), log_text("reason", outage_reason_text(outage)),
        log_text("old-server",
                 server_text(outage->has_former ? service_server(service, &outage->former) : NULL)),
        log_text("new-server", server_text(change->after->server)),
        log_number("outage-ms", outage_length_ms(outage, change->now_ms)),
        log_number("waited", (int64_t)outage->waited), log_number("longest-wait-ms", outage->longest_wait_ms),
        log_number("refused", (int64_t)outage->refused));
}

static void log_state(const struct service_settings *settings, enum service_state old,
                      const struct service_decision *after)
{
    char text[ADDR_TEXT_MAX];

    if (after->ruled == SERVICE_NO_QUORUM)
        log_event(EVENT_QUORUM_LOST, log_text("service", settings->name),
                  log_text("reason", service_reason_text(after->reason)),
                  log_text("old", service_state_text(old)), log_number("quorum", settings->quorum.threshold),
                  log_number("voters", settings->quorum.voters));
    else if (after->ruled == SERVICE_UNKNOWN_ADDRESS)
        log_event(EVENT_ADDRESS_NOT_IN_MAP, log_text("service", settings->name),
                  log_text("address", addr_text(after->addr, text)), log_number("votes", after->votes));
    else
        log_event_at(after->ruled == SERVICE_OK ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, EVENT_STATE_CHANGE,
                     log_text("service", settings->name), log_text("old", service_state_text(old)),
                     log_text("new", service_state_text(after->ruled)),
                     log_text("reason", service_reason_text(after->reason)),
                     log_text("node", addr_text(after->addr, text)), log_number("votes", after->votes));
}

static void log_fence(const struct service_settings *settings, const struct service_decision *after)
{
    if (after->is_fenced)
        log_event(EVENT_FENCED, log_text("service", settings->name),
                  log_text("reason", service_reason_text(after->reason)));
    else
        log_event(EVENT_FENCE_ENDED, log_text("service", settings->name),
                  log_text("state", service_state_text(after->ruled)));
}

/* Whether the log says this already. */
static bool is_told(const struct decision_log *log, const struct service_decision *after)
{
    if (after->ruled != log->told_state || after->reason != log->told_reason)
        return false;
    return service_state_names(after->ruled) || after->addr == NULL ||
           addr_equals(after->addr, &log->told_addr);
}

static void log_replicas(const struct service_settings *settings, uint64_t replicas)
{
    char names[LOG_NAMES_MAX] = "";
    size_t len = 0;

    for (size_t i = 0; i < settings->server_count && len < sizeof(names); i++)
        if ((replicas >> i & 1) != 0)
            len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", len > 0 ? " " : "",
                                    settings->servers[i].name);
    log_event(EVENT_REPLICAS, log_text("service", settings->name), log_text("up", names));
}

/* What `auto` comes to. It is PARK_AUTO_MAX_MS until the log says something else. */
static void log_park(struct decision_log *log, const struct service_settings *settings, int64_t park_ms)
{
    if (settings->park_ms != PARK_AUTO || park_ms == log->told_park_ms)
        return;
    log->told_park_ms = park_ms;
    log_event(EVENT_PARK, log_text("service", settings->name), log_number("park-ms", park_ms));
}

/* A doubt that ends because nobody is named any more is not told: the state is. */
static void log_doubt(const struct service_settings *settings, const struct service_decision *decision)
{
    const char *state = service_state_text(decision->ruled);

    if (decision->state == SERVICE_DOUBTED)
        log_event(EVENT_MASTER_DOUBTED, log_text("service", settings->name), log_text("state", state),
                  log_text("reason", doubt_cause_text(decision->doubt_cause)));
    else if (service_state_names(decision->state))
        log_event(EVENT_MASTER_TRUSTED, log_text("service", settings->name), log_text("state", state));
}

static void note(struct decision_log *log, const struct service_decision *decision)
{
    log->told_state = decision->ruled;
    log->told_reason = decision->reason;
    if (decision->addr != NULL)
        log->told_addr = *decision->addr;
}

static void tell(struct decision_log *log, const struct service_settings *settings,
                 const struct service_decision *decision)
{
    if (!is_told(log, decision))
        log_state(settings, log->told_state, decision);
    note(log, decision);
}

static void decision_changed(struct service_observer *self, const struct service *service,
                             const struct service_change *change)
{
    struct decision_log *log = container_of(self, struct decision_log, observer);
    const struct service_settings *settings = service_settings(service);
    const struct service_decision *after = change->after;

    log_park(log, settings, after->park_ms);
    if ((after->state == SERVICE_DOUBTED) != (change->before->state == SERVICE_DOUBTED))
        log_doubt(settings, after);
    if (after->replicas != change->before->replicas)
        log_replicas(settings, after->replicas);
    if (after->is_fenced != log->told_fenced)
        log_fence(settings, after);
    log->told_fenced = after->is_fenced;
    /* Not logged: a suspicion is cleared up within a round trip, and a short loss is over soon. What
     * follows from them is logged. */
    if (after->ruled == SERVICE_PENDING)
        return;
    if (service_state_names(change->before->state) &&
        (after->ruled == SERVICE_NOT_MASTER || after->ruled == SERVICE_DOWN))
        log->metrics->vetoes_total++;
    if (change->switched) {
        log->metrics->switches_total++;
        log_switch(settings, change);
    }
    /* The line of a switch already says that the state is ok. */
    if (change->switched && after->ruled == SERVICE_OK)
        note(log, after);
    else
        tell(log, settings, after);
    log_outage(service, change);
}

void decision_log_watch(struct decision_log *log, struct metrics *metrics, struct service *service)
{
    *log = (struct decision_log){
        .observer = {.changed = decision_changed},
        .metrics = metrics,
        .told_state = SERVICE_STARTING,
        .told_park_ms = PARK_AUTO_MAX_MS,
    };
    service_observe(service, &log->observer);
}

void decision_log_inherit(struct decision_log *log, const struct decision_log *former)
{
    log->told_state = former->told_state;
    log->told_reason = former->told_reason;
    log->told_fenced = former->told_fenced;
    log->told_park_ms = former->told_park_ms;
    log->told_addr = former->told_addr;
}
