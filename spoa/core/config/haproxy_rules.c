#include "spoa/core/config/haproxy_rules.h"

#include <stdio.h>
#include <string.h>

#include "proto/addr.h"
#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/config/haproxy_file.h"
#include "spoa/core/config/haproxy_route.h"
#include "spoa/core/config/haproxy_words.h"

#define FIX_MAX 512

const char *haproxy_line_value(const struct haproxy_line *line, const char *key)
{
    for (size_t i = 0; i + 1 < line->count; i++)
        if (strcmp(line->words[i], key) == 0)
            return line->words[i + 1];
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

/* ---- what leaves clients hanging ---- */

/* The settings that the lines of one section give to servers. All zero: none. */
struct check_words {
    bool has_check;            /* a health check connects to the server itself */
    bool shuts_when_down;      /* on-marked-down shutdown-sessions */
    bool is_checked_elsewhere; /* `addr`: the check asks another host, as in http-health/ */
};

static void take_words(struct check_words *words, const struct haproxy_line *line)
{
    for (size_t i = 1; i < line->count; i++) {
        if (strcmp(line->words[i], "check") == 0)
            words->has_check = true;
        else if (strcmp(line->words[i], "no-check") == 0)
            words->has_check = false;
        else if (strcmp(line->words[i], "addr") == 0)
            words->is_checked_elsewhere = true;
        else if (strcmp(line->words[i], "on-marked-down") == 0)
            words->shuts_when_down = strcmp(haproxy_word(line, i + 1), "shutdown-sessions") == 0;
    }
}

static bool is_dangerous(const struct check_words *words)
{
    return words->has_check && words->shuts_when_down && !words->is_checked_elsewhere;
}

static void take_defaults(struct check_words *words, const struct haproxy_section *section)
{
    if (section == NULL)
        return;
    take_defaults(words, section->defaults);
    for (size_t i = 0; i < section->count; i++)
        if (haproxy_line_begins(&section->lines[i], "default-server"))
            take_words(words, &section->lines[i]);
}

static void report_hanging(const struct haproxy_rules *rules, const struct haproxy_section *section,
                           const struct haproxy_line *line)
{
    findings_add(
        rules->findings, FINDING_HANGING_CLIENTS, haproxy_place(section, line), section->name,
        "leave out `on-marked-down shutdown-sessions`, and give the server lines `tcp-ut 3s`",
        "`check` with `on-marked-down shutdown-sessions` leaves clients hanging on HAProxy 2.8 to 3.1");
}

static void check_hanging(const struct haproxy_rules *rules, const struct haproxy_section *section)
{
    struct check_words words = {.has_check = false};

    take_defaults(&words, section->defaults);
    for (size_t i = 0; i < section->count; i++) {
        const struct haproxy_line *line = &section->lines[i];
        struct check_words own = words;
        if (haproxy_line_begins(line, "default-server")) {
            take_words(&words, line);
            if (is_dangerous(&words))
                report_hanging(rules, section, line);
        } else if (haproxy_line_begins(line, "server") || haproxy_line_begins(line, "server-template")) {
            take_words(&own, line);
            if (is_dangerous(&own) && !is_dangerous(&words))
                report_hanging(rules, section, line);
        }
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
        haproxy_add_word(&fix, api->host);
    else
        haproxy_add_address(&fix, api);
    text_add(&fix, api->kind == ADDR_UNIX ? " user haproxy group haproxy mode 660 level admin` in global"
                                          : " level admin` in global");
    struct finding_place place = {.file =
                                      rules->haproxy->count > 0 ? rules->haproxy->sections[0]->path : NULL};
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

static size_t check_filters(const struct haproxy_rules *rules, const struct haproxy_section *section)
{
    size_t count = 0;

    for (size_t i = 0; i < section->count; i++)
        if (is_filter(&section->lines[i])) {
            haproxy_check_filter(rules, section, &section->lines[i]);
            count++;
        }
    return count;
}

void haproxy_rules_check(const struct haproxy_rules *rules)
{
    const struct haproxy_section *for_agent = NULL;
    size_t filters = 0;

    for (size_t i = 0; i < rules->haproxy->count; i++) {
        const struct haproxy_section *section = rules->haproxy->sections[i];
        filters += check_filters(rules, section);
        if (strcmp(section->kind, "backend") == 0 && is_for_agent(section))
            for_agent = section;
        if (rules->hangs)
            check_hanging(rules, section);
    }
    if (filters == 0 && for_agent != NULL)
        findings_add(rules->findings, FINDING_NO_FILTER, haproxy_place(for_agent, NULL), for_agent->name,
                     "write `filter spoe engine sentinel config /etc/haproxy/spoe.conf` in the frontend",
                     "no frontend has a `filter spoe`: HAProxy never asks the agent");
    check_sockets(rules);
    check_backend_names(rules);
    rules->findings->out_of_memory |= rules->haproxy->out_of_memory || rules->spoe->out_of_memory;
}
