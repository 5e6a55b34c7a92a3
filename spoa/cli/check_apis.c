/* The part of `check` that asks HAProxys by their runtime APIs. */
#include <stdio.h>
#include <string.h>

#include "spoa/cli/check_state.h"
#include "spoa/cli/runtime_client.h"
#include "spoa/core/config/config.h"
#include "spoa/core/decision/server_map.h"
#include "spoa/core/haproxy/haproxy_version.h"
#include "spoa/core/haproxy/runtime_reply.h"

static struct finding_place api_place(const struct check *check, const struct checked_api *api)
{
    return check_place(check, "haproxy", 0, "runtime-api", (size_t)(api - check->apis));
}

static void report_unreachable(struct check *check, const struct checked_api *api, const char *why)
{
    findings_add(&check->findings, FINDING_API_UNREACHABLE, api_place(check, api), api->name, NULL,
                 "it cannot be asked, so no session is cut there: %s", why);
}

/* Asks what has answered before. False, and it is not asked again, if it does not answer now. */
static bool ask(struct check *check, struct checked_api *api, const char *command,
                char reply[RUNTIME_ASK_MAX])
{
    if (!api->is_asked)
        return false;
    api->is_asked = runtime_client_ask(&api->api->addr, api->pid, command, reply);
    if (!api->is_asked)
        report_unreachable(check, api, reply);
    return api->is_asked;
}

static void ask_api(struct check *check, struct checked_api *api)
{
    static const char haproxy[] = "Name: HAProxy";
    const struct addr *addr = &api->api->addr;
    char reply[RUNTIME_ASK_MAX];

    (void)addr_format(addr, api->name);
    api->is_asked = !api->api->is_master || runtime_client_find_worker(addr, &api->pid, reply);
    if (!api->is_asked)
        report_unreachable(check, api, reply);
    if (!ask(check, api, "show info", reply))
        return;
    api->version = haproxy_info_version(reply);
    if (strncmp(reply, haproxy, strlen(haproxy)) != 0)
        findings_add(&check->findings, FINDING_API_NO_HAPROXY, api_place(check, api), api->name, NULL,
                     "this is no HAProxy: it says '%.80s'", reply);
}

void check_ask_apis(struct check *check)
{
    for (size_t i = 0; i < check->config->haproxy.runtime_api_count; i++) {
        check->apis[i].api = &check->config->haproxy.runtime_apis[i];
        ask_api(check, &check->apis[i]);
    }
}

/* ---- what HAProxy says of the backends ---- */

/* Where our file names the backend. */
static struct finding_place backend_place(const struct check *check, size_t service)
{
    bool is_own = check->config->services[service].backends.count > 0;

    return check_place(check, is_own ? "service" : "haproxy", is_own ? service : 0, "backend", 0);
}

/* False if there is no such backend, or no reply. What HAProxy's file has shown already is not told again. */
static bool check_server(struct check *check, struct checked_api *api, size_t service, const char *backend,
                         const struct service_server *server)
{
    const struct finding_place place = backend_place(check, service);
    char reply[RUNTIME_ASK_MAX];
    char command[CHECK_FIX_MAX];
    char fix[CHECK_FIX_MAX];
    unsigned weight = 0;

    (void)snprintf(command, sizeof(command), "get weight %s/%s", backend, server->name);
    const char *name = command + strlen("get weight ");
    if (!ask(check, api, command, reply))
        return false;
    bool is_known = reply_weight_read(reply, &weight);
    if (!is_known && strstr(reply, "No such backend") != NULL) {
        if (!findings_have(&check->findings, FINDING_UNKNOWN_BACKEND, backend))
            findings_add(&check->findings, FINDING_UNKNOWN_BACKEND, place, backend,
                         "write the name of the backend that has the servers of the map",
                         "HAProxy has no such backend: no session is cut there");
        return false;
    }
    if (!is_known && strstr(reply, "No such server") != NULL &&
        !findings_have(&check->findings, FINDING_MISSING_SERVER, name))
        findings_add(&check->findings, FINDING_MISSING_SERVER, place, name, NULL,
                     "HAProxy has no server of this name: %s", reply);
    (void)snprintf(fix, sizeof(fix), "write `default-server weight 0` in backend %s of HAProxy", backend);
    if (is_known && weight != 0 && !findings_have(&check->findings, FINDING_SERVER_WEIGHT, name))
        findings_add(&check->findings, FINDING_SERVER_WEIGHT, place, name, fix,
                     "the weight is not 0: HAProxy sends clients there for whom nobody is named");
    return true;
}

static void check_backends(struct check *check, struct checked_api *api, size_t index)
{
    const struct config_service *service = &check->config->services[index];
    const struct config_names *backends = config_service_backends(check->config, service);

    for (size_t b = 0; b < backends->count; b++)
        for (size_t k = 0; k < service->server_count; k++)
            if (!check_server(check, api, index, backends->list[b], &service->servers[k]))
                break;
}

/* No server is called that. HAProxy checks our right first, so the reply tells whether we may cut sessions. */
static void check_level(struct check *check, struct checked_api *api)
{
    char reply[RUNTIME_ASK_MAX];

    if (!findings_have(&check->findings, FINDING_API_LEVEL, api->name) &&
        ask(check, api, "shutdown sessions server -/-", reply) && strstr(reply, "Permission denied") != NULL)
        findings_add(&check->findings, FINDING_API_LEVEL, api_place(check, api), api->name,
                     "add `level admin` to HAProxy's `stats socket`", "the agent may not cut sessions there");
}

void check_apis(struct check *check)
{
    const struct checked_api *end = check->apis + check->config->haproxy.runtime_api_count;

    for (struct checked_api *api = check->apis; api < end; api++) {
        check_level(check, api);
        for (size_t k = 0; k < check->config->service_count; k++)
            check_backends(check, api, k);
    }
}
