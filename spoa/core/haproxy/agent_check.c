#include "spoa/core/haproxy/agent_check.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "spoa/core/base/container_of.h"

/* A server is reported up before its pulse, down during it, and as the mode says after it. */
struct pulse {
    int64_t from_ms;
    int64_t until_ms;
};

static const struct pulse no_pulse = {INT64_MIN, INT64_MIN};

struct checked_service {
    struct service_observer observer;
    const struct service *service;
    struct agent_check_settings settings;
    UT_hash_handle hh;     /* by the service's name */
    struct pulse pulses[]; /* one per server of the map */
};

struct agent_checks {
    struct checked_service *services;
};

struct agent_checks *agent_checks_create(void)
{
    return calloc(1, sizeof(struct agent_checks));
}

void agent_checks_destroy(struct agent_checks *checks)
{
    if (checks == NULL)
        return;
    struct checked_service *checked = checks->services;
    HASH_CLEAR(hh, checks->services);
    while (checked != NULL) {
        struct checked_service *next = checked->hh.next;
        free(checked);
        checked = next;
    }
    free(checks);
}

/* -1 if the map has no such server. */
static int find_server(const struct checked_service *checked, struct span name)
{
    const struct service_settings *settings = service_settings(checked->service);

    for (size_t i = 0; i < settings->server_count; i++)
        if (span_equals_text(name, settings->servers[i].name))
            return (int)i;
    return -1;
}

/* NULL for a node outside the map. HAProxy does not ask about such a node. */
static struct pulse *find_pulse(struct checked_service *checked, const char *server)
{
    if (server == NULL)
        return NULL;
    int index = find_server(checked, span_of_text(server));
    return index != -1 ? &checked->pulses[index] : NULL;
}

/* Begins a pulse of `server` after the delay, when no client is connecting to the server any more. But if the
 * service was fenced before, the pulse keeps the beginning that it got then. */
static void begin_pulse(struct checked_service *checked, const char *server,
                        const struct service_change *change)
{
    struct pulse *pulse = find_pulse(checked, server);
    int64_t from_ms = change->now_ms + checked->settings.delay_ms;

    if (pulse == NULL)
        return;
    if (change->before->is_fenced && pulse->from_ms != INT64_MIN)
        from_ms = pulse->from_ms;
    int64_t down_ms = from_ms > change->now_ms ? from_ms : change->now_ms;
    *pulse = (struct pulse){from_ms, down_ms + checked->settings.pulse_ms};
}

static void set_pulse(struct checked_service *checked, const char *server, struct pulse value)
{
    struct pulse *pulse = find_pulse(checked, server);

    if (pulse != NULL)
        *pulse = value;
}

static void decision_changed(struct service_observer *self, const struct service *service,
                             const struct service_change *change)
{
    struct checked_service *checked = container_of(self, struct checked_service, observer);

    if (change->switched)
        begin_pulse(checked, change->replaced_server, change);
    if (change->after->is_fenced && !change->before->is_fenced)
        begin_pulse(checked, service_last_server(service), change);
    /* A second switch may come soon. The node that is named now must not stay down because of the switch
     * before. */
    set_pulse(checked, change->after->server, no_pulse);
}

bool agent_checks_add(struct agent_checks *checks, struct service *service,
                      const struct agent_check_settings *settings)
{
    const struct service_settings *watched = service_settings(service);
    struct checked_service *checked =
        calloc(1, sizeof(*checked) + watched->server_count * sizeof(*checked->pulses));
    unsigned before = HASH_COUNT(checks->services);

    if (checked == NULL)
        return false;
    checked->observer.changed = decision_changed;
    checked->service = service;
    checked->settings = *settings;
    for (size_t i = 0; i < watched->server_count; i++)
        checked->pulses[i] = no_pulse;
    HASH_ADD_KEYPTR(hh, checks->services, watched->name, strlen(watched->name), checked);
    if (HASH_COUNT(checks->services) == before) {
        free(checked);
        return false;
    }
    service_observe(service, &checked->observer);
    return true;
}

static struct checked_service *find_service(const struct agent_checks *checks, struct span name)
{
    struct checked_service *checked = NULL;

    HASH_FIND(hh, checks->services, name.data, name.len, checked);
    return checked;
}

void agent_checks_inherit(struct agent_checks *checks, const struct agent_checks *former, const char *service)
{
    struct checked_service *checked = find_service(checks, span_of_text(service));
    const struct checked_service *old = find_service(former, span_of_text(service));

    if (checked == NULL || old == NULL)
        return;
    const struct service_settings *settings = service_settings(old->service);
    for (size_t i = 0; i < settings->server_count; i++)
        set_pulse(checked, settings->servers[i].name, old->pulses[i]);
}

static struct span judge(const struct checked_service *checked, int server, int64_t now_ms)
{
    const struct service_decision *decision = service_decision(checked->service);
    const char *name = service_settings(checked->service)->servers[server].name;

    if (now_ms < checked->pulses[server].from_ms)
        return span_of_text("up\n");
    if (now_ms < checked->pulses[server].until_ms)
        return span_of_text("down #its sessions are to be cut\n");
    if (checked->settings.mode == CHECK_MODE_PULSE)
        return span_of_text("up\n");
    /* An agent that has just started must not cut sessions that were made in its predecessor's time. */
    if (decision->state == SERVICE_STARTING)
        return span_of_text("#starting\n");
    if (decision->is_fenced)
        return span_of_text("down #fenced\n");
    return service_last_server(checked->service) == name ? span_of_text("up\n")
                                                         : span_of_text("down #not the master\n");
}

struct span agent_checks_answer(const struct agent_checks *checks, struct span question, int64_t now_ms,
                                bool *ret_known)
{
    struct span service = span_take_word(&question);
    struct span server = span_take_word(&question);

    *ret_known = false;
    const struct checked_service *checked = find_service(checks, service);
    if (checked == NULL)
        return span_of_text("fail #unknown service\n");
    int index = find_server(checked, server);
    if (index == -1)
        return span_of_text("fail #unknown server\n");
    *ret_known = true;
    return judge(checked, index, now_ms);
}
