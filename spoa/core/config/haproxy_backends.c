/* The rules about a backend that has the servers of a service. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/addr.h"
#include "proto/span.h"
#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/config/haproxy_conditions.h"
#include "spoa/core/config/haproxy_file.h"
#include "spoa/core/config/haproxy_route.h"
#include "spoa/core/config/haproxy_rules.h"
#include "spoa/core/config/haproxy_servers.h"
#include "spoa/core/config/haproxy_words.h"
#include "spoa/core/decision/server_map.h"

/* For this time after a switch the agent has sessions cut. A longer queue leads clients to the old master later. */
#define QUEUE_MAX_MS 500U

/* ---- options ---- */

static void report(const struct haproxy_route *route, enum finding_code code,
                   const struct haproxy_section *backend, const struct haproxy_line *line, const char *fix,
                   const char *message)
{
    const struct haproxy_section *section = line != NULL ? haproxy_section_of(backend, line) : backend;

    findings_add(route->rules->findings, code, haproxy_place(section, line), backend->name, fix, "%s",
                 message);
}

/* The line that switches the option on; NULL if it is off, as these are without a line. */
static const struct haproxy_line *option_line(const struct haproxy_section *section, const char *name)
{
    for (; section != NULL; section = section->defaults)
        for (size_t i = section->count; i-- > 0;) {
            const struct haproxy_line *line = &section->lines[i];
            bool is_off = haproxy_line_begins(line, "no option") && strcmp(haproxy_word(line, 2), name) == 0;
            if (haproxy_line_begins(line, "option") && strcmp(haproxy_word(line, 1), name) == 0)
                return line;
            if (is_off)
                return NULL;
        }
    return NULL;
}

static void check_options(const struct haproxy_route *route, const struct haproxy_section *backend)
{
    const struct haproxy_line *retries = haproxy_section_last(backend, "retries");
    const struct haproxy_line *redispatch = option_line(backend, "redispatch");
    const struct haproxy_line *persist = option_line(backend, "persist");
    char fix[HAPROXY_FIX_MAX];

    (void)snprintf(fix, sizeof(fix), "write `retries 0` in %s %s", backend->kind, backend->name);
    if (retries == NULL || strcmp(haproxy_word(retries, 1), "0") != 0)
        report(route, FINDING_RETRIES, backend, retries, fix,
               "HAProxy tries again: a client can reach a master that was replaced meanwhile");
    (void)snprintf(fix, sizeof(fix), "write `no option redispatch` in %s %s", backend->kind, backend->name);
    if (redispatch != NULL)
        report(route, FINDING_REDISPATCH, backend, redispatch, fix,
               "HAProxy sends a client to another server than the one that was named");
    (void)snprintf(fix, sizeof(fix), "write `no option persist` in %s %s", backend->kind, backend->name);
    if (persist != NULL)
        report(route, FINDING_PERSIST, backend, persist, fix,
               "HAProxy sends clients to a server that is down");
}

/* ---- servers ---- */

static void check_queue(const struct haproxy_route *route, const struct haproxy_section *backend)
{
    const struct haproxy_line *queue = haproxy_section_last(backend, "timeout queue");
    const struct haproxy_line *timeout =
        queue != NULL ? queue : haproxy_section_last(backend, "timeout connect");
    unsigned queue_ms = 0;
    char fix[HAPROXY_FIX_MAX];

    if (timeout != NULL && haproxy_read_time(haproxy_word(timeout, 2), &queue_ms) && queue_ms > 0 &&
        queue_ms <= QUEUE_MAX_MS)
        return;
    (void)snprintf(fix, sizeof(fix), "write `timeout queue %ums` in %s %s", QUEUE_MAX_MS, backend->kind,
                   backend->name);
    for (size_t i = 0; i < backend->count; i++)
        if (haproxy_is_server(&backend->lines[i]) &&
            haproxy_settings_of(backend, &backend->lines[i]).maxconn > 0) {
            report(route, FINDING_LONG_QUEUE, backend, queue, fix,
                   "its servers have `maxconn`: a client that waits in the queue can reach a master that was "
                   "replaced meanwhile");
            return;
        }
}

static void check_weights(const struct haproxy_route *route, const struct haproxy_section *backend)
{
    const struct haproxy_line *first = NULL;
    char subject[HAPROXY_FIX_MAX];
    char fix[HAPROXY_FIX_MAX];

    for (size_t i = 0; i < backend->count; i++) {
        const struct haproxy_line *server = &backend->lines[i];
        if (!haproxy_is_server(server))
            continue;
        struct haproxy_server_settings settings = haproxy_settings_of(backend, server);
        if (settings.weight == 0)
            continue;
        if (first == NULL)
            first = settings.weight_line;
        if (settings.weight_line == server)
            (void)snprintf(fix, sizeof(fix), "write `weight 0` in the lines of these servers");
        else
            (void)snprintf(fix, sizeof(fix), "write `default-server weight 0` in %s %s, above the servers",
                           backend->kind, backend->name);
        (void)snprintf(subject, sizeof(subject), "%s/%s", backend->name, haproxy_word(server, 1));
        findings_add(
            route->rules->findings, FINDING_SERVER_WEIGHT,
            haproxy_place(first != NULL ? haproxy_section_of(backend, first) : backend, first), subject, fix,
            "the weight is not 0: HAProxy sends clients there for whom nobody is named, or whose master "
            "is down");
    }
}

static void check_hanging(const struct haproxy_route *route, const struct haproxy_section *backend)
{
    for (size_t i = 0; i < backend->count; i++) {
        const struct haproxy_line *server = &backend->lines[i];
        if (!haproxy_is_server(server))
            continue;
        struct haproxy_server_settings settings = haproxy_settings_of(backend, server);
        if (settings.shut_line != NULL)
            report(route, FINDING_HANGING_CLIENTS, backend, settings.shut_line,
                   "leave out `on-marked-down shutdown-sessions`, and give the server lines `tcp-ut 3s`",
                   "`check` with `on-marked-down shutdown-sessions` leaves clients hanging on HAProxy 2.8 to "
                   "3.1");
    }
}

/* ---- the map ---- */

static const struct service_server *find_by_name(const struct config_service *service, const char *name)
{
    for (size_t i = 0; i < service->server_count; i++)
        if (strcmp(service->servers[i].name, name) == 0)
            return &service->servers[i];
    return NULL;
}

/* How an address of HAProxy's stands to one of the map's. */
enum likeness { LIKENESS_NONE, LIKENESS_HOST, LIKENESS_ALL, LIKENESS_UNKNOWN };

/* Whether one name is the beginning of the other, which has a domain behind it. HAProxy has no search list. */
static bool is_same_host(const char *a, const char *b)
{
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    size_t len = a_len < b_len ? a_len : b_len;
    const char *longer = a_len < b_len ? b : a;

    return strncmp(a, b, len) == 0 && (longer[len] == '\0' || longer[len] == '.');
}

static enum likeness compare(const struct addr *ours, const struct addr *theirs)
{
    bool is_name = ours->kind == ADDR_NAME || theirs->kind == ADDR_NAME;

    if (addr_equals(ours, theirs))
        return LIKENESS_ALL;
    if (ours->kind != theirs->kind)
        return is_name ? LIKENESS_UNKNOWN : LIKENESS_NONE;
    if (is_name ? !is_same_host(ours->name, theirs->name) : !addr_is_same_host(ours, theirs))
        return LIKENESS_NONE;
    return ours->port == theirs->port ? LIKENESS_ALL : LIKENESS_HOST;
}

/* How it stands to the server, by the best of its addresses. */
static enum likeness compare_all(const struct service_server *server, const struct addr *theirs)
{
    enum likeness best = compare(&server->addr, theirs);

    for (size_t i = 0; i < server->alias_count; i++) {
        enum likeness one = compare(&server->aliases[i], theirs);
        if (one == LIKENESS_ALL || best == LIKENESS_NONE)
            best = one;
    }
    return best;
}

static bool read_server(const struct haproxy_line *line, struct addr *ret_addr)
{
    bool is_port_only = false;

    return haproxy_line_begins(line, "server") &&
           haproxy_read_address(haproxy_word(line, 2), ret_addr, &is_port_only) && !is_port_only;
}

/* Whether any server has the very port of the map. If not a program stands between HAProxy and Redis, as with twemproxy. */
static bool any_fits(const struct config_service *service, const struct haproxy_section *backend)
{
    struct addr addr;

    for (size_t i = 0; i < backend->count; i++) {
        const struct service_server *server = find_by_name(service, haproxy_word(&backend->lines[i], 1));
        if (server != NULL && read_server(&backend->lines[i], &addr) &&
            compare_all(server, &addr) == LIKENESS_ALL)
            return true;
    }
    return false;
}

/* Adds the beginning of the server's line in HAProxy's file: "server R1 10.0.0.11:6379". */
static void add_server(struct text *out, const struct service_server *server)
{
    text_add(out, "server ");
    text_add(out, server->name);
    text_add(out, " ");
    haproxy_add_address(out, &server->addr);
}

static void check_address(const struct haproxy_route *route, const struct haproxy_section *backend,
                          const struct haproxy_line *line, const struct service_server *server)
{
    struct addr addr;
    char text[ADDR_TEXT_MAX];
    struct text fix = {.data = NULL};

    if (!read_server(line, &addr))
        return;
    enum likeness likeness = compare_all(server, &addr);
    if (likeness == LIKENESS_ALL || likeness == LIKENESS_UNKNOWN ||
        (likeness == LIKENESS_HOST && !any_fits(route->service, backend) &&
         config_service_find_server(route->service, &addr) == NULL))
        return;
    text_add(&fix, "write `");
    add_server(&fix, server);
    text_add(&fix, "`, or `alias=` with its address behind the 'server' in ");
    text_add(&fix, route->rules->config_file);
    findings_add(
        route->rules->findings, FINDING_SERVER_ADDRESS, haproxy_place(backend, line), server->name, fix.data,
        "its address is %s here, and %s in [service %s]: clients reach another node than the one that "
        "is named",
        haproxy_word(line, 2), addr_format(&server->addr, text), route->service->name);
    route->rules->findings->out_of_memory |= fix.has_failed;
    text_finish(&fix);
}

/* A server that the map does not have by this name. */
static void check_stranger(const struct haproxy_route *route, const struct haproxy_section *backend,
                           const struct haproxy_line *line)
{
    struct addr addr;
    char fix[HAPROXY_FIX_MAX];

    if (read_server(line, &addr) && config_service_find_server(route->service, &addr) != NULL)
        return; /* its name is wrong: see check_missing() */
    (void)snprintf(fix, sizeof(fix), "write `server = %s %s` in [service %s] of %s, or take this line away",
                   haproxy_word(line, 1), haproxy_word(line, 2), route->service->name,
                   route->rules->config_file);
    findings_add(route->rules->findings, FINDING_EXTRA_SERVER, haproxy_place(backend, line),
                 haproxy_word(line, 1), fix, "no 'server' of [service %s] has this name: it is never named",
                 route->service->name);
}

/* The line of a server that has the address of `server`, under a name that the map lacks; NULL if there is none. */
static const struct haproxy_line *find_renamed(const struct haproxy_route *route,
                                               const struct haproxy_section *backend,
                                               const struct service_server *server)
{
    struct addr addr;

    for (size_t i = 0; i < backend->count; i++)
        if (read_server(&backend->lines[i], &addr) && service_server_has(server, &addr) &&
            find_by_name(route->service, haproxy_word(&backend->lines[i], 1)) == NULL)
            return &backend->lines[i];
    return NULL;
}

static void check_missing(const struct haproxy_route *route, const struct haproxy_section *backend,
                          const struct service_server *server)
{
    const struct haproxy_line *renamed = find_renamed(route, backend, server);
    struct text fix = {.data = NULL};
    char subject[HAPROXY_FIX_MAX];

    (void)snprintf(subject, sizeof(subject), "%s/%s", backend->name, server->name);
    text_add(&fix, renamed != NULL ? "in this line write `" : "write `");
    add_server(&fix, server);
    text_add(&fix, renamed != NULL ? "`, or rename the 'server' in " : " tcp-ut 3s` in ");
    if (renamed != NULL)
        text_add(&fix, route->rules->config_file);
    else
        text_printf(&fix, "%s %s", backend->kind, backend->name);
    findings_add(
        route->rules->findings, FINDING_MISSING_SERVER, haproxy_place(backend, renamed), subject, fix.data,
        "HAProxy has no server of this name: clients are refused, or sent elsewhere, when it is the master");
    route->rules->findings->out_of_memory |= fix.has_failed;
    text_finish(&fix);
}

static bool has_server(const struct haproxy_section *backend, const char *name)
{
    for (size_t i = 0; i < backend->count; i++)
        if (haproxy_line_begins(&backend->lines[i], "server") &&
            strcmp(haproxy_word(&backend->lines[i], 1), name) == 0)
            return true;
    return false;
}

static void check_map(const struct haproxy_route *route, const struct haproxy_section *backend)
{
    const struct config_service *service = route->service;
    bool has_template = false;

    for (size_t i = 0; i < backend->count; i++) {
        const struct haproxy_line *line = &backend->lines[i];
        has_template = has_template || haproxy_line_begins(line, "server-template");
        if (!haproxy_line_begins(line, "server"))
            continue;
        const struct service_server *server = find_by_name(service, haproxy_word(line, 1));
        if (server != NULL)
            check_address(route, backend, line, server);
        else
            check_stranger(route, backend, line);
    }
    for (size_t i = 0; i < service->server_count && !has_template; i++)
        if (!has_server(backend, service->servers[i].name))
            check_missing(route, backend, &service->servers[i]);
}

/* ---- use-server ---- */

/* Whether the line sends the client whose server is `name` there. */
static bool leads_to_server(const struct haproxy_route *route, const struct haproxy_line *line,
                            const char *name)
{
    char expected[HAPROXY_FIX_MAX];

    (void)snprintf(expected, sizeof(expected), "%%[var(txn.%s.%s)]", route->prefix, route->variable);
    return strcmp(haproxy_word(line, 1), expected) == 0 || strcmp(haproxy_word(line, 1), name) == 0;
}

static void write_use_server(const struct haproxy_route *route, char fix[HAPROXY_FIX_MAX], const char *where)
{
    (void)snprintf(fix, HAPROXY_FIX_MAX,
                   "write `use-server %%[var(txn.%s.%s)] if { var(txn.%s.%s) -m found }` %s", route->prefix,
                   route->variable, route->prefix, route->variable, where);
}

/* The line that sends clients of this server somewhere. NULL if there is none, or it may not apply to some of them.
 * `*ret_foreign` is one that was passed over, because it has the variables of another engine. */
static const struct haproxy_line *find_use_server(const struct haproxy_route *route,
                                                  const struct haproxy_section *backend, const char *name,
                                                  const struct haproxy_line **ret_foreign)
{
    for (size_t i = 0; i < backend->count; i++) {
        const struct haproxy_line *line = &backend->lines[i];
        if (!haproxy_line_begins(line, "use-server"))
            continue;
        if (haproxy_mentions(route, backend, line) == HAPROXY_MENTION_FOREIGN) {
            *ret_foreign = line;
            continue;
        }
        enum haproxy_truth truth = haproxy_applies(route, backend, line, name);
        if (truth == HAPROXY_ALWAYS || (truth == HAPROXY_PERHAPS && !leads_to_server(route, line, name)))
            return line;
    }
    return NULL;
}

static void check_use_server(const struct haproxy_route *route, const struct haproxy_section *backend,
                             const char *name)
{
    const struct haproxy_line *foreign = NULL;
    const struct haproxy_line *line = find_use_server(route, backend, name, &foreign);
    char where[HAPROXY_FIX_MAX / 4];
    char fix[HAPROXY_FIX_MAX];

    if (line != NULL && leads_to_server(route, line, name))
        return;
    if (line != NULL) {
        write_use_server(route, fix, "above this line, or take it away");
        report(route, FINDING_WRONG_USE_SERVER, backend, line, fix,
               "this line can send clients to another server than the one that is named");
    } else if (foreign != NULL) {
        haproxy_report_prefix(route, backend, foreign);
    } else {
        (void)snprintf(where, sizeof(where), "in %s %.*s", backend->kind, CONFIG_NAME_MAX / 2, backend->name);
        write_use_server(route, fix, where);
        report(route, FINDING_NO_USE_SERVER, backend, NULL, fix,
               "no `use-server` takes the name that the agent gives: HAProxy chooses a server by itself");
    }
}

static void check_use_servers(const struct haproxy_route *route, const struct haproxy_section *backend)
{
    for (size_t i = 0; i < backend->count; i++)
        if (haproxy_is_server(&backend->lines[i]))
            check_use_server(route, backend, haproxy_word(&backend->lines[i], 1));
}

static bool has_servers(const struct haproxy_section *backend)
{
    for (size_t i = 0; i < backend->count; i++)
        if (haproxy_is_server(&backend->lines[i]))
            return true;
    return false;
}

bool haproxy_has_mapped(const struct haproxy_rules *rules, const struct haproxy_section *backend)
{
    struct addr addr;

    for (size_t i = 0; i < backend->count; i++) {
        const struct haproxy_line *line = &backend->lines[i];
        bool has_address = read_server(line, &addr);
        for (size_t k = 0; haproxy_is_server(line) && k < rules->config->service_count; k++) {
            const struct config_service *service = &rules->config->services[k];
            if (find_by_name(service, haproxy_word(line, 1)) != NULL ||
                (has_address && config_service_find_server(service, &addr) != NULL))
                return true;
        }
    }
    return false;
}

void haproxy_check_backend(const struct haproxy_route *route, const struct haproxy_section *backend)
{
    if (!has_servers(backend))
        return;
    haproxy_check_mode(route->rules, backend);
    haproxy_check_name(route->rules, backend);
    check_options(route, backend);
    check_queue(route, backend);
    if (route->rules->hangs)
        check_hanging(route, backend);
    if (haproxy_sets_address(route->frontend))
        return;
    check_use_servers(route, backend);
    check_weights(route, backend);
    if (route->service != NULL && route->service->server_count > 0)
        check_map(route, backend);
}
