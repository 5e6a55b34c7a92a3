#include "spoa/core/config/haproxy_rules.h"

#include <stdio.h>
#include <string.h>

#include "proto/addr.h"
#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/config/haproxy_file.h"
#include "spoa/core/config/haproxy_route.h"
#include "spoa/core/config/haproxy_words.h"

const char *haproxy_line_value(const struct haproxy_line *line, const char *key)
{
    for (size_t i = 0; i + 1 < line->count; i++)
        if (strcmp(haproxy_word(line, i), key) == 0)
            return haproxy_word(line, i + 1);
    return NULL;
}

static bool is_filter(const struct haproxy_line *line)
{
    return haproxy_line_begins(line, "filter spoe");
}

void haproxy_rules_each_filter(const struct haproxy_file *haproxy,
                               void (*each)(void *context, const struct haproxy_section *section,
                                            const char *file),
                               void *context)
{
    for (size_t i = 0; i < haproxy->count; i++)
        for (size_t k = 0; k < haproxy->sections[i]->count; k++) {
            const struct haproxy_line *line = &haproxy->sections[i]->lines[k];
            const char *file = haproxy_line_value(line, "config");
            if (is_filter(line) && file != NULL)
                each(context, haproxy->sections[i], file);
        }
}

/* ---- what our own file says of HAProxy ---- */

static bool is_same_socket(const struct addr *api, const struct addr *socket, bool is_port_only)
{
    if (is_port_only || addr_is_wildcard(socket))
        return api->kind != ADDR_UNIX && api->port == socket->port;
    return addr_equals(api, socket);
}

const struct haproxy_line *haproxy_rules_socket(const struct haproxy_file *haproxy, const struct addr *api,
                                                const struct haproxy_section **ret_section)
{
    for (size_t i = 0; i < haproxy->count; i++)
        for (size_t k = 0; k < haproxy->sections[i]->count; k++) {
            const struct haproxy_line *line = &haproxy->sections[i]->lines[k];
            bool is_port_only = false;
            struct addr socket;
            if (strcmp(haproxy->sections[i]->kind, "global") == 0 &&
                haproxy_line_begins(line, "stats socket") &&
                haproxy_read_address(haproxy_word(line, 2), &socket, &is_port_only) &&
                is_same_socket(api, &socket, is_port_only)) {
                *ret_section = haproxy->sections[i];
                return line;
            }
        }
    return NULL;
}

/* Whether there is a `stats socket` for one of our runtime APIs: the others are those of other HAProxys. */
static bool any_socket(const struct haproxy_rules *rules)
{
    const struct config_haproxy *haproxy = &rules->config->haproxy;
    const struct haproxy_section *section = NULL;

    for (size_t i = 0; i < haproxy->runtime_api_count; i++)
        if (haproxy->runtime_apis[i].is_master ||
            haproxy_rules_socket(rules->haproxy, &haproxy->runtime_apis[i].addr, &section) != NULL)
            return true;
    return false;
}

static void report_no_socket(const struct haproxy_rules *rules, const struct addr *api)
{
    const struct haproxy_section *global = haproxy_file_find(rules->haproxy, "global", "");
    struct text fix = {.data = NULL};
    char name[ADDR_TEXT_MAX];

    text_add(&fix, "write `stats socket ");
    if (api->kind == ADDR_UNIX)
        haproxy_add_word(&fix, api->name);
    else
        haproxy_add_address(&fix, api);
    text_add(&fix, api->kind == ADDR_UNIX ? " user haproxy group haproxy mode 660 level admin` in global"
                                          : " level admin` in global");
    struct finding_place place = {.file = rules->haproxy_path};
    if (global != NULL)
        place = haproxy_place(global, NULL);
    findings_add(rules->findings, FINDING_API_SOCKET, place, addr_format(api, name), fix.data,
                 "'runtime-api' in %s is no `stats socket` of this HAProxy: its sessions are not cut",
                 rules->config_file);
    rules->findings->out_of_memory |= fix.has_failed;
    text_finish(&fix);
}

static void check_sockets(const struct haproxy_rules *rules)
{
    const struct config_haproxy *haproxy = &rules->config->haproxy;
    const struct haproxy_section *section = NULL;
    char name[ADDR_TEXT_MAX];

    if (haproxy->runtime_api_count > 0 && !any_socket(rules))
        report_no_socket(rules, &haproxy->runtime_apis[0].addr);
    for (size_t i = 0; i < haproxy->runtime_api_count; i++) {
        const struct addr *api = &haproxy->runtime_apis[i].addr;
        const struct haproxy_line *line = haproxy_rules_socket(rules->haproxy, api, &section);
        const char *level = line != NULL ? haproxy_line_value(line, "level") : NULL;
        if (line != NULL && (level == NULL || strcmp(level, "admin") != 0))
            findings_add(rules->findings, FINDING_API_LEVEL, haproxy_place(section, line),
                         addr_format(api, name), "add `level admin` to this line",
                         "the agent may not cut sessions there");
    }
}

/* The names of `backend` in one section of ours; `index` is that of its service. */
static void check_names(const struct haproxy_rules *rules, const char *section, size_t index,
                        const struct config_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        const struct finding_place place = {
            .file = rules->config_file,
            .line = config_lines_find(&rules->config->lines, section, index, "backend", 0),
        };
        if (haproxy_file_backend(rules->haproxy, names->list[i]) == NULL)
            findings_add(rules->findings, FINDING_UNKNOWN_BACKEND, place, names->list[i],
                         "write the name of the backend that has the servers of the map",
                         "HAProxy has no such backend: no session is cut there");
    }
}

static void check_backend_names(const struct haproxy_rules *rules)
{
    const struct config *config = rules->config;

    check_names(rules, "haproxy", 0, &config->haproxy.backends);
    for (size_t i = 0; i < config->service_count; i++)
        check_names(rules, "service", i, &config->services[i].backends);
}

/* ---- all of it ---- */

/* Whether the section looks as if it led to an agent. */
static bool is_for_agent(const struct haproxy_section *section)
{
    const struct haproxy_line *mode = haproxy_section_last(section, "mode");

    return haproxy_section_last(section, "option spop-check") != NULL ||
           (mode != NULL && strcmp(haproxy_word(mode, 1), "spop") == 0);
}

/* Whether the section asks the agent by health checks in place of a filter, as in http-health/. */
static bool asks_by_checks(const struct haproxy_rules *rules, const struct haproxy_section *section)
{
    const struct config_listens *web = &rules->config->agent.web;
    char port[16];

    for (size_t i = 0; i < section->count; i++)
        for (size_t k = 0; k < web->count; k++) {
            const char *value = haproxy_line_value(&section->lines[i], "port");
            (void)snprintf(port, sizeof(port), "%u", (unsigned)web->list[k].addr.port);
            if (value != NULL && strcmp(value, port) == 0)
                return true;
        }
    return false;
}

/* Whether the clients of the section reach Redis. */
static bool leads_to_redis(const struct haproxy_rules *rules, const struct haproxy_section *section)
{
    const struct haproxy_line *line = haproxy_section_last(section, "default_backend");
    const struct haproxy_section *backend = section;

    if (strcmp(section->kind, "frontend") == 0)
        backend = line != NULL ? haproxy_file_backend(rules->haproxy, haproxy_word(line, 1)) : NULL;
    else if (strcmp(section->kind, "listen") != 0)
        return false;
    return backend != NULL && haproxy_has_mapped(rules, backend);
}

static void report_no_filter(const struct haproxy_rules *rules)
{
    const struct haproxy_section *concerned = NULL;
    struct finding_place place = {.file = rules->haproxy_path};

    for (size_t i = 0; i < rules->haproxy->count; i++) {
        const struct haproxy_section *section = rules->haproxy->sections[i];
        if (asks_by_checks(rules, section))
            return;
        bool is_backend = strcmp(section->kind, "backend") == 0;
        if ((is_backend && is_for_agent(section)) || (concerned == NULL && leads_to_redis(rules, section)))
            concerned = section;
    }
    if (concerned != NULL)
        place = haproxy_place(concerned, NULL);
    findings_add(rules->findings, FINDING_NO_FILTER, place, concerned != NULL ? concerned->name : NULL,
                 "write `filter spoe engine sentinel config /etc/haproxy/spoe.conf` in the frontend; "
                 "`sentinel-spoa haproxy-conf` prints all that belongs to it",
                 "no frontend has a `filter spoe` that leads to the agent: HAProxy never asks it");
}

/* Checks every filter that is ours. False if none is. */
static bool check_filters(const struct haproxy_rules *rules, size_t count)
{
    bool any = false;

    for (size_t i = 0; i < rules->haproxy->count; i++) {
        const struct haproxy_section *section = rules->haproxy->sections[i];
        for (size_t k = 0; k < section->count; k++)
            if (is_filter(&section->lines[k]) &&
                haproxy_check_filter(rules, section, &section->lines[k], count == 1))
                any = true;
    }
    return any;
}

static size_t count_filters(const struct haproxy_file *haproxy)
{
    size_t count = 0;

    for (size_t i = 0; i < haproxy->count; i++)
        for (size_t k = 0; k < haproxy->sections[i]->count; k++)
            count += is_filter(&haproxy->sections[i]->lines[k]);
    return count;
}

void haproxy_rules_check(const struct haproxy_rules *rules)
{
    if (!check_filters(rules, count_filters(rules->haproxy)))
        report_no_filter(rules);
    check_sockets(rules);
    check_backend_names(rules);
    rules->findings->out_of_memory |= rules->haproxy->out_of_memory || rules->spoe->out_of_memory;
}
