#include "spoa/core/haproxy/unknown_service.h"

#include <stdio.h>
#include <string.h>

/* Keeps as much as there is room for. */
static void keep(char *place, size_t size, struct span word)
{
    size_t len = word.len < size - 1 ? word.len : size - 1;

    for (size_t i = 0; i < len; i++)
        place[i] = (char)(word.data[i] >= ' ' && word.data[i] <= '~' ? word.data[i] : '?');
    place[len] = '\0';
}

static void note_alarm(struct unknown_service *unknown, bool holds, int64_t now_ms)
{
    const struct alarm_subject subject = {.key = "service", .name = unknown->name};

    alarms_note_lasting(&unknown->alarms, ALARM_UNKNOWN_SERVICE, holds, &subject, unknown->detail, now_ms);
}

static void describe(struct unknown_service *unknown, const char *nearest)
{
    char *out = unknown->detail;
    size_t size = sizeof(unknown->detail);

    if (unknown->has_service && strcmp(unknown->role, "replica") == 0)
        (void)snprintf(out, size, "'%s' has no replicas: write 'replicas = yes' in its section",
                       unknown->name);
    else if (unknown->has_service)
        (void)snprintf(out, size, "'%s' is asked for the role '%s': only 'master' and 'replica' are known",
                       unknown->name, unknown->role);
    else if (unknown->is_left_out)
        (void)snprintf(out, size,
                       "no service is asked for, and there is more than one: write 'service=str(NAME)'");
    else if (unknown->name[0] == '\0')
        (void)snprintf(out, size, "the name in 'service' is empty: write 'service=str(NAME)'");
    else if (nearest != NULL)
        (void)snprintf(out, size, "'%s' is asked for: did you mean '%s'?", unknown->name, nearest);
    else
        (void)snprintf(out, size, "'%s' is asked for", unknown->name);
}

void unknown_service_note(struct unknown_service *unknown, const struct service_question *question,
                          const char *service, unknown_service_nearest_fn *nearest, const void *context,
                          int64_t now_ms)
{
    char name[sizeof(unknown->name)];
    char role[sizeof(unknown->role)];
    bool is_free = !alarms_is_raised(&unknown->alarms, ALARM_UNKNOWN_SERVICE) ||
                   now_ms - unknown->t_kept_ms >= UNKNOWN_SERVICE_HOLD_MS;

    unknown->asked++;
    unknown->t_asked_ms = now_ms;
    keep(name, sizeof(name), service != NULL ? span_of_text(service) : question->service);
    keep(role, sizeof(role), question->role);
    bool is_left_out = question->service.data == NULL;
    bool is_same = is_left_out == unknown->is_left_out && strcmp(name, unknown->name) == 0 &&
                   strcmp(role, unknown->role) == 0;
    if (!is_same && !is_free)
        return;
    unknown->t_kept_ms = now_ms;
    if (!is_same || is_free) {
        memcpy(unknown->name, name, sizeof(name));
        memcpy(unknown->role, role, sizeof(role));
        unknown->is_left_out = is_left_out;
        unknown->has_service = service != NULL;
        describe(unknown, service != NULL ? NULL : nearest(context, name));
    }
    note_alarm(unknown, true, now_ms);
}

void unknown_service_tick(struct unknown_service *unknown, int64_t now_ms)
{
    if (alarms_is_raised(&unknown->alarms, ALARM_UNKNOWN_SERVICE) &&
        now_ms - unknown->t_asked_ms >= UNKNOWN_SERVICE_HOLD_MS)
        note_alarm(unknown, false, now_ms);
}

bool unknown_service_question(const struct unknown_service *unknown, struct service_question *ret_question)
{
    *ret_question = (struct service_question){.service = span_of_text(unknown->name),
                                              .role = span_of_text(unknown->role)};
    if (unknown->is_left_out)
        ret_question->service.data = NULL;
    if (unknown->role[0] == '\0')
        ret_question->role.data = NULL;
    return alarms_is_raised(&unknown->alarms, ALARM_UNKNOWN_SERVICE);
}

void unknown_service_end(struct unknown_service *unknown, int64_t now_ms)
{
    note_alarm(unknown, false, now_ms);
}
