#include "spoa/core/decision_log.h"

#include "spoa/core/log.h"

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

    log_event(LOG_LEVEL_INFO, "master-switch", log_text("service", settings->name),
              log_text("old", addr_text(change->replaced, old_text)),
              log_text("new", addr_text(after->addr, new_text)),
              log_text("old-server", server_text(change->replaced_server)),
              log_text("new-server", server_text(after->server)), log_number("votes", after->votes),
              log_number("quorum", settings->quorum.threshold),
              log_number("age-ms", change->now_ms - after->oldest_sent_ms),
              log_number("generation", (int64_t)after->generation));
}

static void log_state(const struct service_settings *settings, enum service_state old,
                      const struct service_decision *after)
{
    char text[ADDR_TEXT_MAX];

    if (after->state == SERVICE_NO_QUORUM)
        log_event(LOG_LEVEL_WARNING, "quorum-lost", log_text("service", settings->name),
                  log_text("reason", service_reason_text(after->reason)),
                  log_text("old", service_state_text(old)), log_number("quorum", settings->quorum.threshold),
                  log_number("voters", settings->quorum.voters));
    else if (after->state == SERVICE_UNKNOWN_ADDRESS)
        log_event(LOG_LEVEL_WARNING, "address-not-in-map", log_text("service", settings->name),
                  log_text("address", addr_text(after->addr, text)), log_number("votes", after->votes));
    else
        log_event(LOG_LEVEL_INFO, "state-change", log_text("service", settings->name),
                  log_text("old", service_state_text(old)), log_text("new", service_state_text(after->state)),
                  log_text("master", addr_text(after->addr, text)));
}

static void decision_changed(struct service_observer *self, const struct service *service,
                             const struct service_change *change)
{
    struct decision_log *log = (struct decision_log *)(void *)self;
    const struct service_decision *after = change->after;

    /* A suspicion is cleared up in a round trip; what it leads to is told. */
    if (after->state == SERVICE_PENDING)
        return;
    if (change->switched) {
        log->metrics->switches_total++;
        log_switch(service_settings(service), change);
    } else if (after->state != log->told_state || after->reason != log->told_reason ||
               (after->state == SERVICE_UNKNOWN_ADDRESS && !addr_equals(after->addr, &log->told_addr))) {
        log_state(service_settings(service), log->told_state, after);
    }
    log->told_state = after->state;
    log->told_reason = after->reason;
    if (after->state == SERVICE_UNKNOWN_ADDRESS)
        log->told_addr = *after->addr;
}

void decision_log_init(struct decision_log *log, struct metrics *metrics)
{
    *log = (struct decision_log){
        .observer = {.changed = decision_changed},
        .metrics = metrics,
        .told_state = SERVICE_STARTING,
    };
}
