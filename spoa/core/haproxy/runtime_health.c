#include "spoa/core/haproxy/runtime_health.h"

#include <stdio.h>
#include <string.h>

#include "spoa/core/base/log.h"

void runtime_health_init(struct runtime_health *health, const struct addr *addr, bool is_master)
{
    char text[ADDR_TEXT_MAX];

    *health = (struct runtime_health){.is_tried = false};
    (void)snprintf(health->name, sizeof(health->name), "%s%s", is_master ? "master:" : "",
                   addr_format(addr, text));
}

const char *runtime_health_reason(const struct runtime_health *health)
{
    return health->cut[0] != '\0' ? health->cut : health->trial;
}

bool runtime_health_is_well(const struct runtime_health *health)
{
    return health->is_tried && runtime_health_reason(health)[0] == '\0';
}

static void keep(char place[RUNTIME_COMPLAINT_MAX], const char *reason)
{
    (void)snprintf(place, RUNTIME_COMPLAINT_MAX, "%s", reason != NULL ? reason : "");
}

static void note_alarm(struct runtime_health *health, int64_t now_ms)
{
    const char *reason = runtime_health_reason(health);
    const struct alarm_subject subject = {.key = "api", .name = health->name};

    alarms_note_lasting(&health->alarms, ALARM_RUNTIME_API, reason[0] != '\0', &subject, reason, now_ms);
}

void runtime_health_inherit(struct runtime_health *health, const struct runtime_health *former)
{
    *health = *former;
    /* The detail is our own reason, not the former one's. */
    if (health->alarms.lasting != NULL)
        health->alarms.lasting = runtime_health_reason(health);
}

void runtime_health_note_trial(struct runtime_health *health, const char *reason, size_t owed, int64_t now_ms)
{
    health->is_tried = true;
    health->owed = owed;
    keep(health->trial, reason);
    if (owed == 0)
        health->cut[0] = '\0';
    note_alarm(health, now_ms);
}

void runtime_health_note_cut(struct runtime_health *health, const char *reason, size_t owed, int64_t now_ms)
{
    health->owed = owed;
    keep(health->cut, reason);
    if (reason != NULL && strcmp(health->told, health->cut) != 0)
        log_event(EVENT_RUNTIME_API_FAILED, log_text("api", health->name), log_text("reason", reason));
    keep(health->told, reason);
    note_alarm(health, now_ms);
}
