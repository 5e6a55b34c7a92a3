#include "spoa/cli/check.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/cli/check_state.h"
#include "spoa/cli/http_client.h"
#include "spoa/cli/options.h"
#include "spoa/core/base/alarms.h"
#include "spoa/core/base/json.h"
#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/decision/server_map.h"

struct finding_place check_place(const struct check *check, const char *section, size_t index,
                                 const char *key, size_t nth)
{
    return (struct finding_place){
        .file = check->file,
        .line = config_lines_find(&check->config->lines, section, index, key, nth),
    };
}

struct finding_place check_group_place(const struct check *check, const struct checked_group *group,
                                       const char *key)
{
    return check_place(check, "sentinels", group->index, key, 0);
}

/* ---- room for what is heard ---- */

static bool make_groups(struct check *check)
{
    const struct config *config = check->config;

    check->groups = calloc(config->group_count, sizeof(*check->groups));
    for (size_t i = 0; check->groups != NULL && i < config->group_count; i++) {
        struct checked_group *group = &check->groups[i];
        group->group = &config->groups[i];
        group->index = i;
        group->voters = calloc(config->groups[i].address_count, sizeof(*group->voters));
        if (group->voters == NULL)
            return false;
        check->target_count += config->groups[i].address_count;
    }
    return check->groups != NULL;
}

static bool make_services(struct check *check)
{
    const struct config *config = check->config;

    check->services = calloc(config->service_count, sizeof(*check->services));
    for (size_t i = 0; check->services != NULL && i < config->service_count; i++) {
        struct checked_service *service = &check->services[i];
        service->service = &config->services[i];
        service->index = i;
        service->group = &check->groups[config->services[i].group];
        service->votes =
            calloc(config->groups[config->services[i].group].address_count, sizeof(*service->votes));
        service->nodes = calloc(service->service->server_count + 1, sizeof(*service->nodes));
        if (service->votes == NULL || service->nodes == NULL)
            return false;
        check->target_count += service->service->server_count;
    }
    return check->services != NULL;
}

static void add_target(struct redis_target *target, const struct addr *addr,
                       const struct config_credentials *credentials, const struct config_tls *tls)
{
    *target = (struct redis_target){.addr = addr, .credentials = credentials, .tls = tls};
    target->client.fd = -1;
}

/* Lists all voters and nodes, so that they can be connected to side by side. */
static void list_targets(struct check *check)
{
    struct redis_target *target = check->targets;

    for (size_t i = 0; i < check->config->group_count; i++) {
        const struct config_voters *group = check->groups[i].group;
        for (size_t k = 0; k < group->address_count; k++, target++) {
            struct checked_voter *voter = &check->groups[i].voters[k];
            voter->addr = &group->addresses[k];
            (void)addr_format(voter->addr, voter->name);
            voter->client = &target->client;
            add_target(target, voter->addr, &group->credentials, &group->tls);
        }
    }
    for (size_t i = 0; i < check->config->service_count; i++) {
        const struct config_service *service = check->services[i].service;
        const struct config_voters *group = check->services[i].group->group;
        for (size_t k = 0; k < service->server_count; k++, target++) {
            check->services[i].nodes[k].server = &service->servers[k];
            check->services[i].nodes[k].client = &target->client;
            add_target(target, &service->servers[k].addr, config_node_credentials(service, group),
                       config_node_tls(service, group));
        }
    }
}

/* False if memory is short. */
static bool make_room(struct check *check)
{
    if (!make_groups(check) || !make_services(check))
        return false;
    check->targets = calloc(check->target_count, sizeof(*check->targets));
    check->apis = calloc(check->config->haproxy.runtime_api_count + 1, sizeof(*check->apis));
    if (check->targets == NULL || check->apis == NULL)
        return false;
    list_targets(check);
    return true;
}

static void free_room(struct check *check)
{
    for (size_t i = 0; check->targets != NULL && i < check->target_count; i++)
        redis_client_close(&check->targets[i].client);
    for (size_t i = 0; check->groups != NULL && i < check->config->group_count; i++)
        free(check->groups[i].voters);
    for (size_t i = 0; check->services != NULL && i < check->config->service_count; i++) {
        free(check->services[i].votes);
        free(check->services[i].nodes);
    }
    free(check->targets);
    free(check->groups);
    free(check->services);
    free(check->apis);
    check->targets = NULL;
    check->groups = NULL;
    check->services = NULL;
    check->apis = NULL;
}

/* ---- all of it ---- */

/* Checks what only a running agent knows. An agent that does not run, or has no HTTP, is no finding. */
static void check_agent(struct check *check)
{
    static const char alarm[] = "gone-clients-unseen";
    const struct config_listens *web = &check->config->agent.web;
    struct text body = {.data = NULL};

    if (web->count > 0 && http_client_get(&web->list[0], "/status.txt", &body) == 200 && body.data != NULL &&
        strstr(body.data, alarm) != NULL)
        findings_add(&check->findings, FINDING_GONE_CLIENTS_UNSEEN, (struct finding_place){.file = NULL},
                     NULL, NULL, "the agent has this alarm: %s", alarm_meaning(ALARM_GONE_CLIENTS_UNSEEN));
    text_finish(&body);
}

int check_run(const struct config *config, const char *file, const char *const *haproxy_files,
              size_t haproxy_count, bool json)
{
    struct check check = {.config = config, .file = file};

    if (make_room(&check)) {
        redis_client_open_all(check.targets, check.target_count);
        check_voters(&check);
        check_services(&check);
        check_rights(&check);
        check_ask_apis(&check);
        check_files(&check, haproxy_files, haproxy_count);
        check_apis(&check);
        check_agent(&check);
    } else {
        free_room(&check); /* nothing is shown of what is there in part */
        check.findings.out_of_memory = true;
    }
    if (check.findings.out_of_memory)
        findings_add(&check.findings, FINDING_NO_MEMORY, (struct finding_place){.file = NULL}, NULL, NULL,
                     "memory is short: some findings are missing");
    if (json)
        check_write_json(&check);
    else
        check_write_text(&check);
    int code = check.findings.count == 0 && !check.findings.out_of_memory ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
    free_room(&check);
    findings_finish(&check.findings);
    return code;
}

void check_print_errors(const char *file, const struct config_errors *errors)
{
    struct findings findings = {.list = NULL};
    struct text out = {.data = NULL};
    struct json json = json_of(&out);

    for (size_t i = 0; i < errors->count; i++) {
        /* "FILE:LINE: MESSAGE" */
        const char *message = strstr(errors->texts[i], ": ");
        struct finding_place place = {.file = file, .line = errors->lines[i]};
        if (place.line == UINT_MAX)
            place.line = 0;
        findings_add(&findings, FINDING_BAD_CONFIGURATION, place, NULL, NULL, "%s",
                     message != NULL ? message + 2 : errors->texts[i]);
    }
    json_begin_object(&json, NULL);
    findings_write_json(&findings, &json, "findings");
    json_end(&json);
    if (!out.has_failed)
        puts(out.data);
    text_finish(&out);
    findings_finish(&findings);
}
