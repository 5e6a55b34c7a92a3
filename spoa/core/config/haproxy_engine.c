/* The rules about a filter: its engine, and what it asks the agent. */
#include <stdio.h>
#include <string.h>

#include "spoa/core/base/words.h"
#include "spoa/core/config/config.h"
#include "spoa/core/config/haproxy_file.h"
#include "spoa/core/config/haproxy_route.h"
#include "spoa/core/config/haproxy_rules.h"
#include "spoa/core/decision/park.h"

/* How much longer `timeout processing` should be than `park`. */
#define PROCESSING_MARGIN_S 2

/* ---- services ---- */

static const struct config_service *find_service(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->service_count; i++)
        if (strcmp(config->services[i].name, name) == 0)
            return &config->services[i];
    return NULL;
}

/* The service whose name is most like this one. */
static const char *nearest_service(const struct config *config, const char *name)
{
    const char *nearest = config->service_count > 0 ? config->services[0].name : "";

    for (size_t i = 1; i < config->service_count; i++)
        if (words_distance(name, config->services[i].name) < words_distance(name, nearest))
            nearest = config->services[i].name;
    return nearest;
}

/* Reads `str(NAME)`, with quotes and backslashes or without. False if it is something else. */
static bool read_string(const char *sample, char name[CONFIG_NAME_MAX + 1])
{
    static const char opening[] = "str(";
    size_t len = strlen(sample);
    size_t out = 0;
    char quote = '\0';

    if (strncmp(sample, opening, strlen(opening)) != 0 || sample[len - 1] != ')')
        return false;
    for (size_t i = strlen(opening); i + 1 < len && out < CONFIG_NAME_MAX; i++) {
        if (sample[i] == quote || (quote == '\0' && (sample[i] == '"' || sample[i] == '\''))) {
            quote = sample[i] == quote ? '\0' : sample[i];
            continue;
        }
        i += sample[i] == '\\' && quote != '\'' && i + 2 < len;
        name[out++] = sample[i];
    }
    name[out] = '\0';
    return strchr(name, '$') == NULL;
}

/* The service with this name, which stands in the line; reported if there is none. */
static const struct config_service *take_name(const struct haproxy_route *route,
                                              const struct haproxy_section *section,
                                              const struct haproxy_line *line, const char *name)
{
    const struct config *config = route->rules->config;
    const struct config_service *service = find_service(config, name);
    char fix[HAPROXY_FIX_MAX];

    if (service != NULL)
        return service;
    (void)snprintf(fix, sizeof(fix), "write `str(%s)` there, or a section [service %s] in %s",
                   nearest_service(config, name), name, route->rules->config_file);
    findings_add(route->rules->findings, FINDING_UNKNOWN_SERVICE, haproxy_place(section, line), name, fix,
                 "there is no such service: HAProxy asks for it, and every client is refused");
    return NULL;
}

/* The service that `set-var(NAME) str(SERVICE)` of the frontend gives. NULL if there is none, or another in each line. */
static const struct config_service *find_variable(const struct haproxy_route *route, const char *sample)
{
    const struct config_service *found = NULL;
    char wanted[CONFIG_NAME_MAX + 16];
    char name[CONFIG_NAME_MAX + 1];
    unsigned count = 0;

    (void)snprintf(wanted, sizeof(wanted), "set-%.*s", CONFIG_NAME_MAX, sample);
    for (const struct haproxy_section *section = route->frontend; section != NULL;
         section = section->defaults)
        for (size_t i = 0; i < section->count; i++)
            for (size_t k = 0; k + 1 < section->lines[i].count; k++) {
                if (strcmp(section->lines[i].words[k], wanted) != 0)
                    continue;
                count++;
                found = read_string(section->lines[i].words[k + 1], name)
                            ? take_name(route, section, &section->lines[i], name)
                            : NULL;
            }
    return count == 1 ? found : NULL;
}

/* The argument `key=` of the message, with the line where it stands; NULL if there is none. */
static const char *find_argument(const struct haproxy_section *message, const char *key,
                                 const struct haproxy_line **ret_line)
{
    size_t len = strlen(key);

    for (size_t i = 0; i < message->count; i++) {
        const struct haproxy_line *line = &message->lines[i];
        for (size_t k = 1; haproxy_line_begins(line, "args") && k < line->count; k++)
            if (strncmp(line->words[k], key, len) == 0) {
                *ret_line = line;
                return line->words[k] + len;
            }
    }
    return NULL;
}

/* Sets the route's service, if the message tells it. */
static void take_service(struct haproxy_route *route, const struct haproxy_section *message)
{
    const struct config *config = route->rules->config;
    const struct haproxy_line *line = haproxy_section_last(message, "args");
    const char *sample = find_argument(message, "service=", &line);
    char name[CONFIG_NAME_MAX + 1];

    route->service = config->service_count == 1 ? &config->services[0] : NULL;
    if (sample == NULL && config->service_count > 1)
        findings_add(route->rules->findings, FINDING_NO_SERVICE, haproxy_place(message, line), message->name,
                     "add `service=str(NAME)` to `args`",
                     "the message names no service, and the agent has several: every client is refused");
    else if (sample != NULL && read_string(sample, name))
        route->service = take_name(route, message, line, name);
    else if (sample != NULL && strncmp(sample, "var(", 4) == 0)
        route->service = find_variable(route, sample);
    else if (sample != NULL)
        route->service = NULL;
}

static void report_role(const struct haproxy_route *route, const struct haproxy_section *message,
                        const struct haproxy_line *line, const char *role)
{
    bool is_replica = strcmp(role, "replica") == 0;
    char fix[HAPROXY_FIX_MAX];

    (void)snprintf(fix, sizeof(fix), "write `role=str(master)`, or `role=str(replica)` for reads");
    if (is_replica)
        (void)snprintf(fix, sizeof(fix), "write `replicas = yes` in [service %s] of %s", route->service->name,
                       route->rules->config_file);
    findings_add(route->rules->findings, FINDING_UNKNOWN_ROLE, haproxy_place(message, line), role, fix,
                 is_replica ? "the service names no replicas: every client is refused"
                            : "the agent knows no such role: every client is refused");
}

static void take_role(struct haproxy_route *route, const struct haproxy_section *message)
{
    const struct haproxy_line *line = NULL;
    const char *sample = find_argument(message, "role=", &line);
    char role[CONFIG_NAME_MAX + 1] = "master";
    bool is_known = sample == NULL || read_string(sample, role);
    bool is_replica = is_known && strcmp(role, "replica") == 0;

    route->variable = is_replica ? "replica" : haproxy_sets_address(route->frontend) ? "addr" : "master";
    if (is_known &&
        (is_replica ? route->service != NULL && !route->service->replicas : strcmp(role, "master") != 0))
        report_role(route, message, line, role);
}

/* ---- settings of the engine ---- */

/* The longest that a client may wait, whatever the Sentinels tell. */
static unsigned longest_park(const struct config_service *service)
{
    return (unsigned)park_limit_ms(service->park_ms, 0);
}

static void check_park(const struct haproxy_route *route, const struct config_service *service)
{
    const struct haproxy_line *line = haproxy_section_last(route->agent, "timeout processing");
    unsigned park_ms = longest_park(service);
    unsigned timeout_ms = 0;
    char fix[HAPROXY_FIX_MAX];

    if (line != NULL && (!haproxy_read_time(haproxy_word(line, 2), &timeout_ms) || timeout_ms > park_ms))
        return;
    (void)snprintf(fix, sizeof(fix), "write `timeout processing %us`",
                   (park_ms + 999) / 1000 + PROCESSING_MARGIN_S);
    if (line == NULL)
        findings_add(route->rules->findings, FINDING_PROCESSING_TIMEOUT, haproxy_place(route->agent, NULL),
                     service->name, fix, "there is no `timeout processing`");
    else
        findings_add(
            route->rules->findings, FINDING_PROCESSING_TIMEOUT, haproxy_place(route->agent, line),
            service->name, fix,
            "`timeout processing` is %u ms, and 'park' %u ms: HAProxy refuses the clients that wait, "
            "before the agent names the new master",
            timeout_ms, park_ms);
}

static void check_parks(const struct haproxy_route *route)
{
    const struct config *config = route->rules->config;

    for (size_t i = 0; i < config->service_count; i++)
        if (route->service == NULL || route->service == &config->services[i])
            check_park(route, &config->services[i]);
}

/* Of `option NAME` and `no option NAME` the last one holds. */
static void check_pipelining(const struct haproxy_route *route)
{
    const struct haproxy_line *off = haproxy_section_last(route->agent, "no option pipelining");
    const struct haproxy_line *on = haproxy_section_last(route->agent, "option pipelining");

    if (off != NULL && (on == NULL || on->number < off->number))
        findings_add(route->rules->findings, FINDING_PIPELINING, haproxy_place(route->agent, off),
                     route->agent->name, "write `option pipelining`",
                     "the agent speaks to a HAProxy with pipelining only");
}

/* ---- messages ---- */

/* Whether the section stands in the same engine as the agent. */
static bool is_of_engine(const struct haproxy_section *section, const struct haproxy_section *agent,
                         const char *kind)
{
    return strcmp(section->kind, kind) == 0 && strcmp(section->scope, agent->scope) == 0 &&
           strcmp(section->path, agent->path) == 0;
}

static const struct haproxy_section *find_of_engine(const struct haproxy_route *route, const char *kind,
                                                    const char *name)
{
    const struct haproxy_file *spoe = route->rules->spoe;

    for (size_t i = 0; i < spoe->count; i++)
        if (is_of_engine(spoe->sections[i], route->agent, kind) && strcmp(spoe->sections[i]->name, name) == 0)
            return spoe->sections[i];
    return NULL;
}

/* An event comes while a server can still be chosen. To a filter in a backend those of the frontend never come. */
static bool is_early(const struct haproxy_route *route, const char *event)
{
    static const char *const events[] = {"on-backend-tcp-request", "on-backend-http-request",
                                         "on-client-session", "on-frontend-tcp-request",
                                         "on-frontend-http-request"};
    size_t count = strcmp(route->frontend->kind, "backend") == 0 ? 2 : sizeof(events) / sizeof(*events);

    for (size_t i = 0; i < count; i++)
        if (strcmp(event, events[i]) == 0)
            return true;
    return false;
}

static void check_event(const struct haproxy_route *route, const struct haproxy_section *message)
{
    const struct haproxy_line *line = haproxy_section_last(message, "event");
    const char *event = line != NULL ? haproxy_word(line, 1) : "";
    bool is_backend = strcmp(route->frontend->kind, "backend") == 0;

    if (!is_early(route, event))
        findings_add(route->rules->findings, FINDING_NO_EVENT, haproxy_place(message, line), message->name,
                     is_backend ? "write `event on-backend-tcp-request`" : "write `event on-client-session`",
                     line == NULL ? "it has no `event`: HAProxy never sends it"
                                  : "this event never comes here, or comes after a server was chosen");
}

static void check_message(struct haproxy_route *route, const struct haproxy_section *message)
{
    take_service(route, message);
    take_role(route, message);
    check_parks(route);
    haproxy_check_route(route);
}

/* Checks the messages that the agent or the group lists. Returns how many there are. */
static size_t check_messages(struct haproxy_route *route, const struct haproxy_section *list,
                             bool needs_event)
{
    size_t count = 0;

    for (size_t i = 0; i < list->count; i++)
        for (size_t k = 1; haproxy_line_begins(&list->lines[i], "messages") && k < list->lines[i].count;
             k++) {
            const struct haproxy_section *message =
                find_of_engine(route, "spoe-message", list->lines[i].words[k]);
            if (message == NULL)
                continue;
            count++;
            if (needs_event)
                check_event(route, message);
            check_message(route, message);
        }
    return count;
}

/* A rule of the frontend sends a group, which is another way to ask. */
static size_t check_groups(struct haproxy_route *route)
{
    const struct haproxy_section *agent = route->agent;
    size_t count = 0;

    for (size_t i = 0; i < agent->count; i++)
        for (size_t k = 1; haproxy_line_begins(&agent->lines[i], "groups") && k < agent->lines[i].count;
             k++) {
            const struct haproxy_section *group =
                find_of_engine(route, "spoe-group", agent->lines[i].words[k]);
            count += group != NULL ? check_messages(route, group, false) : 0;
        }
    return count;
}

static void check_questions(struct haproxy_route *route)
{
    if (check_messages(route, route->agent, true) > 0 || check_groups(route) > 0)
        return;
    findings_add(route->rules->findings, FINDING_NO_MESSAGE, haproxy_place(route->agent, NULL),
                 route->agent->name,
                 "write `messages NAME`, with the name of a `spoe-message` of this engine",
                 "it has no message: HAProxy never asks the agent");
}

/* ---- the engine ---- */

static const struct haproxy_section *find_agent(const struct haproxy_file *spoe, const char *origin,
                                                const char *engine)
{
    for (size_t i = 0; i < spoe->count; i++)
        if (strcmp(spoe->sections[i]->kind, "spoe-agent") == 0 &&
            strcmp(spoe->sections[i]->origin, origin) == 0 && strcmp(spoe->sections[i]->scope, engine) == 0)
            return spoe->sections[i];
    return NULL;
}

/* The engine of the file whose name is most like this one; NULL if it has none. */
static const char *nearest_engine(const struct haproxy_file *spoe, const char *origin, const char *engine)
{
    const char *nearest = NULL;

    for (size_t i = 0; i < spoe->count; i++) {
        const struct haproxy_section *agent = spoe->sections[i];
        if (strcmp(agent->kind, "spoe-agent") == 0 && strcmp(agent->origin, origin) == 0 &&
            (nearest == NULL || words_distance(engine, agent->scope) < words_distance(engine, nearest)))
            nearest = agent->scope;
    }
    return nearest;
}

static void report_engine(const struct haproxy_rules *rules, const struct haproxy_section *frontend,
                          const struct haproxy_line *filter, const char *engine, const char *origin)
{
    const char *nearest = nearest_engine(rules->spoe, origin, engine);
    char fix[HAPROXY_FIX_MAX];

    if (nearest == NULL)
        (void)snprintf(fix, sizeof(fix), "`sentinel-spoa haproxy-conf --spoe` prints what belongs there");
    else if (nearest[0] == '\0')
        (void)snprintf(fix, sizeof(fix), "write `[%s]` above `spoe-agent` in %s", engine, origin);
    else
        (void)snprintf(fix, sizeof(fix), "write `engine %s`", nearest);
    findings_add(rules->findings, FINDING_UNKNOWN_ENGINE, haproxy_place(frontend, filter), engine, fix,
                 "there is no such engine in %s", origin);
}

/* ---- whose filter it is ---- */

/* Whether the engine leads to our agent, or asks as ours does. */
static bool is_ours(const struct haproxy_rules *rules, const struct haproxy_section *agent)
{
    const struct haproxy_line *line = NULL;

    for (size_t i = 0; i < rules->spoe->count; i++) {
        const struct haproxy_section *message = rules->spoe->sections[i];
        if (is_of_engine(message, agent, "spoe-message") &&
            (find_argument(message, "service=", &line) != NULL ||
             find_argument(message, "role=", &line) != NULL))
            return true;
    }
    return haproxy_leads_to_agent(rules, agent);
}

/* Whether any engine of the file is ours. */
static bool any_ours(const struct haproxy_rules *rules, const char *origin)
{
    for (size_t i = 0; i < rules->spoe->count; i++)
        if (strcmp(rules->spoe->sections[i]->kind, "spoe-agent") == 0 &&
            strcmp(rules->spoe->sections[i]->origin, origin) == 0 && is_ours(rules, rules->spoe->sections[i]))
            return true;
    return false;
}

static void check_engine(struct haproxy_route *route)
{
    const struct haproxy_line *prefix = haproxy_section_last(route->agent, "option var-prefix");

    route->prefix = prefix != NULL ? haproxy_word(prefix, 2) : route->agent->name;
    haproxy_check_mode(route->rules, route->frontend);
    check_pipelining(route);
    check_questions(route);
    haproxy_check_agent(route->rules, route->agent);
}

bool haproxy_check_filter(const struct haproxy_rules *rules, const struct haproxy_section *frontend,
                          const struct haproxy_line *filter, bool is_only)
{
    const char *origin = haproxy_line_value(filter, "config");
    const char *engine = haproxy_line_value(filter, "engine");
    struct haproxy_route route = {.rules = rules, .frontend = frontend, .filter = filter};

    if (origin == NULL || !haproxy_file_has(rules->spoe, origin))
        return true; /* HAProxy refuses it, or that it cannot be read is reported already */
    route.agent = find_agent(rules->spoe, origin, engine != NULL ? engine : "");
    if (!is_only && (route.agent != NULL ? !is_ours(rules, route.agent) : !any_ours(rules, origin)))
        return false;
    if (route.agent == NULL)
        report_engine(rules, frontend, filter, engine != NULL ? engine : "", origin);
    else
        check_engine(&route);
    return true;
}
