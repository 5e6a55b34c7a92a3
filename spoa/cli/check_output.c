/* The part of `check` that shows who says what, and the findings. */
#include <stdio.h>
#include <string.h>

#include "spoa/cli/check_state.h"
#include "spoa/core/base/json.h"
#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/decision/server_map.h"

/* The server that the vote is for; NULL if it names nobody, or a stranger. */
static const char *named_server(const struct checked_service *service, const struct checked_vote *vote)
{
    const struct service_server *server =
        vote->is_given ? config_service_find_server(service->service, &vote->addr) : NULL;

    return server != NULL ? server->name : NULL;
}

/* ---- as text ---- */

static void print_group(const struct checked_group *group)
{
    const struct config_voters *config = group->group;

    printf("[%s%s%s]\n", config_voters_word(config), config->name[0] != '\0' ? " " : "", config->name);
    for (size_t i = 0; i < config->address_count; i++)
        printf("    %-24s %s\n", group->voters[i].name,
               group->voters[i].myid[0] != '\0' ? group->voters[i].myid : "no identity");
}

static void print_service(const struct checked_service *service)
{
    char text[ADDR_TEXT_MAX];

    printf("\n[service %s]\n", service->service->name);
    for (size_t i = 0; i < service->group->group->address_count; i++) {
        const struct checked_vote *vote = &service->votes[i];
        const char *server = named_server(service, vote);
        if (!vote->is_given)
            printf("    %-24s names nobody\n", service->group->voters[i].name);
        else
            printf("    %-24s names %-24s %-12s %s\n", service->group->voters[i].name,
                   addr_format(&vote->addr, text), server != NULL ? server : "not in map", vote->flags);
    }
    for (size_t i = 0; i < service->service->server_count; i++)
        printf("    %-12s %-24s %s\n", service->nodes[i].server->name,
               addr_format(&service->nodes[i].server->addr, text),
               service->nodes[i].role[0] != '\0' ? service->nodes[i].role : "role not known");
}

static void print_api(const struct checked_api *api)
{
    printf("[haproxy] %s%s", api->api->is_master ? "master:" : "", api->name);
    if (api->version != 0)
        printf(" HAProxy %u.%u", api->version / 100, api->version % 100);
    fputs("\n", stdout);
}

void check_write_text(const struct check *check)
{
    const struct config *config = check->config;
    struct text out = {.data = NULL};

    for (size_t i = 0; check->groups != NULL && i < config->group_count; i++)
        print_group(&check->groups[i]);
    for (size_t i = 0; check->services != NULL && i < config->service_count; i++)
        print_service(&check->services[i]);
    fputs("\n", stdout);
    for (size_t i = 0; check->apis != NULL && i < config->haproxy.runtime_api_count; i++)
        print_api(&check->apis[i]);
    if (check->user[0] != '\0')
        printf("The agent is taken to run as the user %s.\n", check->user);
    findings_write_text(&check->findings, &out);
    fputs(out.has_failed ? "out of memory\n" : out.data, stdout);
    text_finish(&out);
}

/* ---- as JSON ---- */

static void write_voters(const struct check *check, struct json *json)
{
    json_begin_array(json, "voters");
    for (size_t i = 0; check->groups != NULL && i < check->config->group_count; i++) {
        const struct checked_group *group = &check->groups[i];
        for (size_t k = 0; k < group->group->address_count; k++) {
            const struct checked_voter *voter = &group->voters[k];
            json_begin_object(json, NULL);
            json_string(json, "group", group->group->name);
            json_string(json, "address", voter->name);
            json_string(json, "identity", voter->myid[0] != '\0' ? voter->myid : NULL);
            json_end(json);
        }
    }
    json_end(json);
}

static void write_votes(const struct checked_service *service, struct json *json)
{
    char text[ADDR_TEXT_MAX];

    json_begin_array(json, "votes");
    for (size_t i = 0; i < service->group->group->address_count; i++) {
        const struct checked_vote *vote = &service->votes[i];
        json_begin_object(json, NULL);
        json_string(json, "voter", service->group->voters[i].name);
        json_string(json, "address", vote->is_given ? addr_format(&vote->addr, text) : NULL);
        json_string(json, "server", named_server(service, vote));
        json_end(json);
    }
    json_end(json);
}

static void write_nodes(const struct checked_service *service, struct json *json)
{
    char text[ADDR_TEXT_MAX];

    json_begin_array(json, "nodes");
    for (size_t i = 0; i < service->service->server_count; i++) {
        const struct checked_node *node = &service->nodes[i];
        json_begin_object(json, NULL);
        json_string(json, "server", node->server->name);
        json_string(json, "address", addr_format(&node->server->addr, text));
        json_string(json, "role", node->role[0] != '\0' ? node->role : NULL);
        json_end(json);
    }
    json_end(json);
}

static void write_services(const struct check *check, struct json *json)
{
    char text[ADDR_TEXT_MAX];

    json_begin_array(json, "services");
    for (size_t i = 0; check->services != NULL && i < check->config->service_count; i++) {
        const struct checked_service *service = &check->services[i];
        json_begin_object(json, NULL);
        json_string(json, "name", service->service->name);
        json_string(json, "master", service->master != NULL ? addr_format(service->master, text) : NULL);
        write_votes(service, json);
        write_nodes(service, json);
        json_end(json);
    }
    json_end(json);
}

static void write_apis(const struct check *check, struct json *json)
{
    json_begin_array(json, "haproxys");
    for (size_t i = 0; check->apis != NULL && i < check->config->haproxy.runtime_api_count; i++) {
        const struct checked_api *api = &check->apis[i];
        char version[32];
        (void)snprintf(version, sizeof(version), "%u.%u", api->version / 100, api->version % 100);
        json_begin_object(json, NULL);
        json_string(json, "address", api->name);
        json_string(json, "version", api->version != 0 ? version : NULL);
        json_end(json);
    }
    json_end(json);
}

static void write_warnings(const struct config_errors *warnings, struct json *json)
{
    json_begin_array(json, "warnings");
    for (size_t i = 0; i < warnings->count; i++)
        json_string(json, NULL, warnings->texts[i]);
    json_end(json);
}

void check_write_json(const struct check *check)
{
    struct text out = {.data = NULL};
    struct json json = json_of(&out);

    json_begin_object(&json, NULL);
    findings_write_json(&check->findings, &json, "findings");
    write_warnings(&check->config->warnings, &json);
    write_voters(check, &json);
    write_services(check, &json);
    write_apis(check, &json);
    json_string(&json, "user", check->user[0] != '\0' ? check->user : NULL);
    json_end(&json);
    puts(out.has_failed ? "out of memory" : out.data);
    text_finish(&out);
}
