#include "spoa/core/config/haproxy_route.h"

#include <stdio.h>
#include <string.h>

#include "spoa/core/config/haproxy_conditions.h"
#include "spoa/core/config/haproxy_file.h"
#include "spoa/core/config/haproxy_rules.h"

struct finding_place haproxy_place(const struct haproxy_section *section, const struct haproxy_line *line)
{
    return (struct finding_place){.file = section->path, .line = line != NULL ? line->number : section->line};
}

bool haproxy_sets_address(const struct haproxy_section *frontend)
{
    return haproxy_section_last(frontend, "tcp-request content set-dst") != NULL ||
           haproxy_section_last(frontend, "http-request set-dst") != NULL;
}

/* ---- the rules of a section ---- */

/* What a rule does. */
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

/* A rule and its section, which is that of the proxy or one of its defaults. */
struct rule {
    const struct haproxy_section *section;
    const struct haproxy_line *line; /* NULL: there is none */
};

/* The rules of a section, until one refuses clients without a name. */
struct rule_search {
    struct rule refusal;
    struct rule accept;      /* the first before it that accepts some of them */
    struct rule foreign;     /* one that refuses by the variables of another engine */
    struct rule wrong;       /* one that refuses by our variables, but not all of them, or others as well */
    bool are_named_accepted; /* before this rule */
};

static void take_refusal(const struct haproxy_route *route, struct rule rule, struct rule_search *search)
{
    enum haproxy_mention mention = haproxy_mentions(route, rule.section, rule.line);
    bool refuses_named = !search->are_named_accepted &&
                         haproxy_applies(route, rule.section, rule.line, HAPROXY_ANY_NAME) == HAPROXY_ALWAYS;

    if (haproxy_applies(route, rule.section, rule.line, NULL) == HAPROXY_ALWAYS && !refuses_named)
        search->refusal = rule;
    else if (mention == HAPROXY_MENTION_FOREIGN)
        search->foreign = rule;
    else if (mention == HAPROXY_MENTION_OURS)
        search->wrong = rule;
}

static void search_rules(const struct haproxy_route *route, const struct haproxy_section *section,
                         struct rule_search *search)
{
    if (section->defaults != NULL)
        search_rules(route, section->defaults, search);
    for (size_t i = 0; i < section->count && search->refusal.line == NULL; i++) {
        const struct rule rule = {.section = section, .line = &section->lines[i]};
        enum effect effect = effect_of(rule.line);
        if (effect == EFFECT_REFUSE)
            take_refusal(route, rule, search);
        if (effect != EFFECT_ACCEPT)
            continue;
        if (search->accept.line == NULL && haproxy_applies(route, section, rule.line, NULL) != HAPROXY_NEVER)
            search->accept = rule;
        if (haproxy_applies(route, section, rule.line, HAPROXY_ANY_NAME) == HAPROXY_ALWAYS)
            search->are_named_accepted = true;
    }
}

/* ---- where clients go ---- */

/* A backend that clients of the frontend may reach. */
struct target {
    const struct haproxy_section
        *backend;     /* NULL: its name is known at run time, or there is none of this name */
    bool is_dynamic;  /* at run time */
    bool takes_named; /* clients for whom a name was given */
    bool takes_unnamed;
    bool is_default;
};

typedef void (*each_target_fn)(const struct haproxy_route *route, const struct target *target, void *context);

static struct target make_target(const struct haproxy_route *route, const char *name)
{
    return (struct target){
        .backend = haproxy_file_backend(route->rules->haproxy, name),
        .is_dynamic = strstr(name, "%[") != NULL,
    };
}

/* Calls `each` for the backends that the frontend names, in their order: the first that applies is taken. A `listen` or a backend
 * with a filter is its own. */
static void each_target(const struct haproxy_route *route, each_target_fn each, void *context)
{
    const struct haproxy_section *frontend = route->frontend;
    const struct haproxy_line *last = haproxy_section_last(frontend, "default_backend");
    bool leaves_named = true;
    bool leaves_unnamed = true;
    struct target target;

    for (size_t i = 0; i < frontend->count; i++) {
        const struct haproxy_line *line = &frontend->lines[i];
        if (!haproxy_line_begins(line, "use_backend"))
            continue;
        enum haproxy_truth named = haproxy_applies(route, frontend, line, HAPROXY_ANY_NAME);
        enum haproxy_truth unnamed = haproxy_applies(route, frontend, line, NULL);
        target = make_target(route, haproxy_word(line, 1));
        target.takes_named = leaves_named && named != HAPROXY_NEVER;
        target.takes_unnamed = leaves_unnamed && unnamed != HAPROXY_NEVER;
        each(route, &target, context);
        leaves_named = leaves_named && named != HAPROXY_ALWAYS;
        leaves_unnamed = leaves_unnamed && unnamed != HAPROXY_ALWAYS;
    }
    target = make_target(route, last != NULL ? haproxy_word(last, 1) : "");
    if (strcmp(frontend->kind, "frontend") != 0)
        target.backend = frontend;
    target.takes_named = leaves_named;
    target.takes_unnamed = leaves_unnamed;
    target.is_default = true;
    each(route, &target, context);
}

static bool uses_name(const struct haproxy_route *route, const struct haproxy_section *backend)
{
    for (size_t i = 0; i < backend->count; i++)
        if (haproxy_line_begins(&backend->lines[i], "use-server") &&
            haproxy_mentions(route, backend, &backend->lines[i]) == HAPROXY_MENTION_OURS)
            return true;
    return false;
}

/* Whether it is a backend of Redis: others may stand beside it, for clients that go elsewhere. */
static bool is_for_redis(const struct haproxy_route *route, const struct target *target)
{
    return target->backend != NULL &&
           ((target->is_default && target->takes_named) || uses_name(route, target->backend) ||
            haproxy_has_mapped(route->rules, target->backend));
}

static void check_target(const struct haproxy_route *route, const struct target *target, void *context)
{
    bool *any = context;

    *any = *any || target->backend != NULL || target->is_dynamic;
    if (target->takes_named && is_for_redis(route, target))
        haproxy_check_backend(route, target->backend);
}

/* ---- clients without a name ---- */

/* A backend may refuse in place of its frontend, and one that does not lead to Redis does no harm. */
static void note_target(const struct haproxy_route *route, const struct target *target, void *context)
{
    struct rule_search search = {.refusal = {.line = NULL}};
    bool *refuses = context;

    if (!target->takes_unnamed || (!target->is_dynamic && !is_for_redis(route, target)))
        return;
    if (target->backend != NULL)
        search_rules(route, target->backend, &search);
    *refuses = *refuses && search.refusal.line != NULL;
}

static void report_no_refusal(const struct haproxy_route *route, const struct rule *wrong)
{
    bool is_wrong = wrong->line != NULL;
    struct finding_place place =
        is_wrong ? haproxy_place(wrong->section, wrong->line) : haproxy_place(route->frontend, route->filter);
    char fix[HAPROXY_FIX_MAX];

    (void)snprintf(fix, sizeof(fix),
                   "%s write `tcp-request content reject unless { var(txn.%s.%s) -m found }`",
                   is_wrong ? "in place of this line" : "below this line", route->prefix, route->variable);
    findings_add(
        route->rules->findings, FINDING_NO_REJECT, place, route->frontend->name, fix,
        is_wrong ? "this rule does not refuse all clients for whom nobody is named, and no others: HAProxy "
                   "sends the rest to some server"
                 : "no rule refuses clients for whom nobody is named: HAProxy sends them to some server");
}

static void check_refusal(const struct haproxy_route *route)
{
    struct rule_search search = {.refusal = {.line = NULL}};
    bool refuses = true;
    char fix[HAPROXY_FIX_MAX];

    search_rules(route, route->frontend, &search);
    if (search.refusal.line == NULL) {
        each_target(route, note_target, &refuses);
        if (!refuses && search.foreign.line != NULL)
            haproxy_report_prefix(route, search.foreign.section, search.foreign.line);
        else if (!refuses)
            report_no_refusal(route, &search.wrong);
    } else if (search.accept.line != NULL) {
        unsigned number = search.refusal.line->number;
        (void)snprintf(fix, sizeof(fix), "move it below line %u", number);
        findings_add(route->rules->findings, FINDING_EARLY_ACCEPT,
                     haproxy_place(search.accept.section, search.accept.line), route->frontend->name, fix,
                     "this rule accepts clients before the one in line %u that refuses those without a name",
                     number);
    }
}

void haproxy_check_route(const struct haproxy_route *route)
{
    bool any = false;

    check_refusal(route);
    each_target(route, check_target, &any);
    if (!any)
        findings_add(route->rules->findings, FINDING_NO_BACKEND, haproxy_place(route->frontend, NULL),
                     route->frontend->name,
                     "write `default_backend NAME` there, with the backend that has the servers of the map",
                     "it leads to no backend: every client is refused");
}
