#include "spoa/core/config/haproxy_route.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "spoa/core/base/words.h"
#include "spoa/core/config/config.h"
#include "spoa/core/config/haproxy_file.h"
#include "spoa/core/config/haproxy_rules.h"
#include "spoa/core/decision/park.h"

/* Room for a line to write. */
#define FIX_MAX 512
/* How much longer `timeout processing` should be than `park`. */
#define PROCESSING_MARGIN_S 2

struct finding_place haproxy_place(const struct haproxy_section *section, const struct haproxy_line *line)
{
    return (struct finding_place){.file = section->path, .line = line != NULL ? line->number : section->line};
}

/* ---- variables ---- */

/* What the word says of our variables: `var(txn.PREFIX.master)`. */
static enum haproxy_mention mention_of_word(const struct haproxy_route *route, const char *word)
{
    static const char opening[] = "var(txn.";
    static const char *const names[] = {"master", "replica", "addr", "port", "state"};
    size_t prefix_len = strlen(route->prefix);

    for (const char *at = strstr(word, opening); at != NULL; at = strstr(at + 1, opening)) {
        const char *full = at + strlen(opening);
        size_t len = strcspn(full, "),");
        size_t name_at = len;
        while (name_at > 0 && full[name_at - 1] != '.')
            name_at--;
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
            if (len - name_at != strlen(names[i]) || memcmp(full + name_at, names[i], len - name_at) != 0)
                continue;
            bool is_ours = name_at == prefix_len + 1 && memcmp(full, route->prefix, prefix_len) == 0;
            return is_ours ? HAPROXY_MENTION_OURS : HAPROXY_MENTION_FOREIGN;
        }
    }
    return HAPROXY_MENTION_NONE;
}

static enum haproxy_mention mention_of_line(const struct haproxy_route *route,
                                            const struct haproxy_line *line)
{
    enum haproxy_mention mention = HAPROXY_MENTION_NONE;

    for (size_t i = 0; i < line->count && mention != HAPROXY_MENTION_OURS; i++) {
        enum haproxy_mention one = mention_of_word(route, line->words[i]);
        mention = one != HAPROXY_MENTION_NONE ? one : mention;
    }
    return mention;
}

static enum haproxy_mention mention_of_acl(const struct haproxy_route *route,
                                           const struct haproxy_section *section, const char *name)
{
    enum haproxy_mention mention = HAPROXY_MENTION_NONE;

    for (; section != NULL; section = section->defaults)
        for (size_t i = 0; i < section->count; i++) {
            const struct haproxy_line *line = &section->lines[i];
            if (!haproxy_line_begins(line, "acl") || strcmp(haproxy_word(line, 1), name) != 0)
                continue;
            enum haproxy_mention one = mention_of_line(route, line);
            mention = one != HAPROXY_MENTION_NONE && mention != HAPROXY_MENTION_OURS ? one : mention;
        }
    return mention;
}

enum haproxy_mention haproxy_mentions(const struct haproxy_route *route,
                                      const struct haproxy_section *section, const struct haproxy_line *line)
{
    enum haproxy_mention mention = mention_of_line(route, line);

    for (size_t i = 0; i < line->count && mention != HAPROXY_MENTION_OURS; i++) {
        const char *name = line->words[i] + (line->words[i][0] == '!');
        enum haproxy_mention one = mention_of_acl(route, section, name);
        mention = one != HAPROXY_MENTION_NONE ? one : mention;
    }
    return mention;
}

void haproxy_report_prefix(const struct haproxy_route *route, const struct haproxy_section *section,
                           const struct haproxy_line *line)
{
    char fix[FIX_MAX];

    (void)snprintf(fix, sizeof(fix), "write `txn.%s.` here, as `option var-prefix` in %s has it",
                   route->prefix, route->agent->path);
    findings_add(
        route->rules->findings, FINDING_VAR_PREFIX, haproxy_place(section, line), section->name, fix,
        "the variables of this engine begin with `txn.%s.`, those in this line do not: it never finds one",
        route->prefix);
}

bool haproxy_sets_address(const struct haproxy_section *frontend)
{
    return haproxy_section_last(frontend, "tcp-request content set-dst") != NULL ||
           haproxy_section_last(frontend, "http-request set-dst") != NULL;
}

/* ---- the frontend ---- */

/* What a rule of the frontend does. */
enum effect { EFFECT_OTHER, EFFECT_ACCEPT, EFFECT_REFUSE };

static enum effect effect_of(const struct haproxy_line *line)
{
    static const char *const refusing[] = {"reject", "deny", "silent-drop", "tarpit"};
    const char *action = haproxy_line_begins(line, "tcp-request content") ? haproxy_word(line, 2)
                         : haproxy_line_begins(line, "http-request")      ? haproxy_word(line, 1)
                                                                          : "";

    if (strcmp(action, "accept") == 0 || strcmp(action, "allow") == 0)
        return EFFECT_ACCEPT;
    for (size_t i = 0; i < sizeof(refusing) / sizeof(*refusing); i++)
        if (strcmp(action, refusing[i]) == 0)
            return EFFECT_REFUSE;
    return EFFECT_OTHER;
}

static bool has_condition(const struct haproxy_line *line)
{
    for (size_t i = 0; i < line->count; i++)
        if (strcmp(line->words[i], "if") == 0 || strcmp(line->words[i], "unless") == 0)
            return true;
    return false;
}

/* The rules of a section, until one refuses clients without a name. */
struct rule_search {
    const struct haproxy_line *refusal; /* or NULL */
    enum haproxy_mention mention;       /* of that line */
    const struct haproxy_line *accept;  /* the first that accepts whom it will: before that line, or at all */
    const struct haproxy_section *section; /* of the refusal */
    const struct haproxy_section *accept_section;
};

static void search_rules(const struct haproxy_route *route, const struct haproxy_section *section,
                         struct rule_search *search)
{
    if (section->defaults != NULL)
        search_rules(route, section->defaults, search);
    for (size_t i = 0; i < section->count && search->refusal == NULL; i++) {
        const struct haproxy_line *line = &section->lines[i];
        enum effect effect = effect_of(line);
        if (effect == EFFECT_OTHER)
            continue;
        enum haproxy_mention mention = haproxy_mentions(route, section, line);
        if (effect == EFFECT_REFUSE && (mention != HAPROXY_MENTION_NONE || !has_condition(line))) {
            search->refusal = line;
            search->mention = mention;
            search->section = section;
        } else if (effect == EFFECT_ACCEPT && mention == HAPROXY_MENTION_NONE && search->accept == NULL) {
            search->accept = line;
            search->accept_section = section;
        }
    }
}

typedef void (*each_backend_fn)(const struct haproxy_route *route, const struct haproxy_section *backend,
                                void *context);

/* Calls `each` for the backends that the frontend names; a `listen` section is its own. */
static void each_backend(const struct haproxy_route *route, each_backend_fn each, void *context)
{
    const struct haproxy_section *section = route->frontend;

    if (strcmp(section->kind, "listen") == 0)
        each(route, section, context);
    for (; section != NULL; section = section->defaults)
        for (size_t i = 0; i < section->count; i++) {
            const struct haproxy_line *line = &section->lines[i];
            if (!haproxy_line_begins(line, "default_backend") && !haproxy_line_begins(line, "use_backend"))
                continue;
            const struct haproxy_section *backend =
                haproxy_file_backend(route->rules->haproxy, haproxy_word(line, 1));
            if (backend != NULL)
                each(route, backend, context);
        }
}

/* A backend may refuse in place of its frontend. */
static void note_refusal(const struct haproxy_route *route, const struct haproxy_section *backend,
                         void *context)
{
    struct rule_search search = {.refusal = NULL};
    bool *refuses = context;

    search_rules(route, backend, &search);
    *refuses = *refuses || search.refusal != NULL;
}

static void check_refusal(const struct haproxy_route *route)
{
    struct rule_search search = {.refusal = NULL};
    struct findings *findings = route->rules->findings;
    bool refuses = false;
    char fix[FIX_MAX];

    search_rules(route, route->frontend, &search);
    each_backend(route, note_refusal, &refuses);
    if (search.refusal == NULL && !refuses) {
        (void)snprintf(
            fix, sizeof(fix),
            "below this line write `tcp-request content reject unless { var(txn.%s.%s) -m found }`",
            route->prefix, route->variable);
        findings_add(findings, FINDING_NO_REJECT, haproxy_place(route->frontend, route->filter),
                     route->frontend->name, fix,
                     "no rule refuses clients for whom nobody is named: HAProxy sends them to some server");
    } else if (search.refusal != NULL && search.mention == HAPROXY_MENTION_FOREIGN) {
        haproxy_report_prefix(route, search.section, search.refusal);
    } else if (search.refusal != NULL && search.accept != NULL) {
        (void)snprintf(fix, sizeof(fix), "move it below line %u", search.refusal->number);
        findings_add(findings, FINDING_EARLY_ACCEPT, haproxy_place(search.accept_section, search.accept),
                     route->frontend->name, fix,
                     "this rule accepts clients before the one in line %u that refuses those without a name",
                     search.refusal->number);
    }
}

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
    char fix[FIX_MAX];

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

static void take_role(struct haproxy_route *route, const struct haproxy_section *message)
{
    const struct haproxy_line *line = NULL;
    const char *sample = find_argument(message, "role=", &line);
    char role[CONFIG_NAME_MAX + 1];

    if (sample != NULL && read_string(sample, role) && strcmp(role, "replica") == 0)
        route->variable = "replica";
    else
        route->variable = haproxy_sets_address(route->frontend) ? "addr" : "master";
}

/* ---- the engine ---- */

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
    char fix[FIX_MAX];

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

static void check_route_backend(const struct haproxy_route *route, const struct haproxy_section *backend,
                                void *context)
{
    (void)context;
    haproxy_check_backend(route, backend);
}

static void check_message(struct haproxy_route *route, const char *name)
{
    const struct haproxy_file *spoe = route->rules->spoe;

    for (size_t i = 0; i < spoe->count; i++) {
        const struct haproxy_section *message = spoe->sections[i];
        if (strcmp(message->kind, "spoe-message") != 0 || strcmp(message->name, name) != 0 ||
            strcmp(message->scope, route->agent->scope) != 0 ||
            strcmp(message->path, route->agent->path) != 0)
            continue;
        take_service(route, message);
        take_role(route, message);
        check_parks(route);
        check_refusal(route);
        each_backend(route, check_route_backend, NULL);
    }
}

static const struct haproxy_section *find_agent(const struct haproxy_file *spoe, const char *origin,
                                                const char *engine)
{
    for (size_t i = 0; i < spoe->count; i++)
        if (strcmp(spoe->sections[i]->kind, "spoe-agent") == 0 &&
            strcmp(spoe->sections[i]->origin, origin) == 0 && strcmp(spoe->sections[i]->scope, engine) == 0)
            return spoe->sections[i];
    return NULL;
}

/* The engine of the file whose name is most like this one; "" if it has none. */
static const char *nearest_engine(const struct haproxy_file *spoe, const char *origin, const char *engine)
{
    const char *nearest = NULL;

    for (size_t i = 0; i < spoe->count; i++) {
        const struct haproxy_section *agent = spoe->sections[i];
        if (strcmp(agent->kind, "spoe-agent") == 0 && strcmp(agent->origin, origin) == 0 &&
            (nearest == NULL || words_distance(engine, agent->scope) < words_distance(engine, nearest)))
            nearest = agent->scope;
    }
    return nearest != NULL ? nearest : "";
}

static void report_engine(const struct haproxy_rules *rules, const struct haproxy_section *frontend,
                          const struct haproxy_line *filter, const char *engine, const char *origin)
{
    char fix[FIX_MAX];

    (void)snprintf(fix, sizeof(fix), "write `engine %s`", nearest_engine(rules->spoe, origin, engine));
    findings_add(rules->findings, FINDING_UNKNOWN_ENGINE, haproxy_place(frontend, filter), engine, fix,
                 "there is no such engine in %s", origin);
}

/* Whether the file could be read. If not it is reported already. */
static bool is_read(const struct haproxy_file *spoe, const char *origin)
{
    for (size_t i = 0; i < spoe->count; i++)
        if (strcmp(spoe->sections[i]->origin, origin) == 0)
            return true;
    return false;
}

void haproxy_check_filter(const struct haproxy_rules *rules, const struct haproxy_section *frontend,
                          const struct haproxy_line *filter)
{
    const char *origin = haproxy_line_value(filter, "config");
    const char *engine = haproxy_line_value(filter, "engine");
    struct haproxy_route route = {.rules = rules, .frontend = frontend, .filter = filter};

    if (origin == NULL || !is_read(rules->spoe, origin))
        return;
    route.agent = find_agent(rules->spoe, origin, engine != NULL ? engine : "");
    if (route.agent == NULL) {
        report_engine(rules, frontend, filter, engine != NULL ? engine : "", origin);
        return;
    }
    const struct haproxy_line *prefix = haproxy_section_last(route.agent, "option var-prefix");
    route.prefix = prefix != NULL ? haproxy_word(prefix, 2) : route.agent->name;
    haproxy_check_mode(rules, frontend);
    check_pipelining(&route);
    for (size_t i = 0; i < route.agent->count; i++)
        for (size_t k = 1; k < route.agent->lines[i].count; k++)
            if (haproxy_line_begins(&route.agent->lines[i], "messages"))
                check_message(&route, route.agent->lines[i].words[k]);
    haproxy_check_agent(rules, route.agent);
}
