/* The rules about the backend that leads to the agent. */
#include <stdio.h>
#include <string.h>

#include "proto/addr.h"
#include "proto/span.h"
#include "spoa/core/base/text.h"
#include "spoa/core/base/words.h"
#include "spoa/core/config/config.h"
#include "spoa/core/config/haproxy_file.h"
#include "spoa/core/config/haproxy_route.h"
#include "spoa/core/config/haproxy_rules.h"
#include "spoa/core/config/haproxy_servers.h"
#include "spoa/core/config/haproxy_words.h"

bool haproxy_read_address(const char *word, struct addr *ret_addr, bool *ret_port_only)
{
    static const char *const families[] = {"ipv4@", "ipv6@", "tcp4@", "tcp6@", "tcp@"};
    static const char unix_family[] = "unix@";
    char text[ADDR_TEXT_MAX + 8];

    for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
        if (strncmp(word, families[i], strlen(families[i])) == 0) {
            word += strlen(families[i]);
            break;
        }
    bool is_path = word[0] == '/' || strncmp(word, unix_family, strlen(unix_family)) == 0;
    if (strncmp(word, unix_family, strlen(unix_family)) == 0)
        word += strlen(unix_family);
    if (strchr(word, '$') != NULL || strlen(word) >= ADDR_TEXT_MAX)
        return false;
    *ret_port_only = !is_path && (word[0] == ':' || word[0] == '*') && strncmp(word, "::", 2) != 0;
    (void)snprintf(text, sizeof(text), "%s%s",
                   is_path          ? "unix:"
                   : *ret_port_only ? "0.0.0.0"
                                    : "",
                   word + (*ret_port_only && word[0] == '*'));
    if (addr_parse(span_of_text(text), ret_addr))
        return true;
    /* HAProxy takes an IPv6 address without brackets. */
    const char *colon = strrchr(word, ':');
    return colon != NULL &&
           addr_from_parts(span_of(word, (size_t)(colon - word)), span_of_text(colon + 1), ret_addr);
}

void haproxy_check_mode(const struct haproxy_rules *rules, const struct haproxy_section *section)
{
    const struct haproxy_line *line = haproxy_section_last(section, "mode");
    char fix[HAPROXY_FIX_MAX];

    if (line == NULL || strcmp(haproxy_word(line, 1), "tcp") == 0 ||
        strcmp(haproxy_word(line, 1), "spop") == 0)
        return;
    (void)snprintf(fix, sizeof(fix), "write `mode tcp` in %s %s", section->kind, section->name);
    findings_add(rules->findings, FINDING_WRONG_MODE, haproxy_place(haproxy_section_of(section, line), line),
                 section->name, fix, "its mode is %s", haproxy_word(line, 1));
}

void haproxy_check_name(const struct haproxy_rules *rules, const struct haproxy_section *backend)
{
    if (strcmp(backend->kind, "backend") == 0 &&
        haproxy_file_find(rules->haproxy, "frontend", backend->name) != NULL)
        findings_add(rules->findings, FINDING_SHARED_NAME, haproxy_place(backend, NULL), backend->name,
                     "give one of them another name",
                     "a frontend has the same name: the runtime API takes one for the other");
}

/* Whether HAProxy reaches what listens at `ours` by this address. It may do so by another address of the host. */
static bool leads_to(const struct addr *ours, const struct addr *theirs)
{
    if (ours->kind == ADDR_UNIX || theirs->kind == ADDR_UNIX)
        return addr_equals(ours, theirs);
    if (ours->port != 0 && ours->port != theirs->port)
        return false;
    return theirs->kind == ADDR_NAME || addr_is_wildcard(ours) || addr_is_wildcard(theirs) ||
           (addr_is_loopback(ours) && addr_is_loopback(theirs)) || addr_is_same_host(ours, theirs);
}

/* Whether the server is an address where the agent listens. Where it cannot be told it is `otherwise`. */
static bool is_agent(const struct config *config, const struct haproxy_line *server, bool otherwise)
{
    bool is_port_only = false;
    struct addr addr;

    if (!haproxy_line_begins(server, "server") ||
        !haproxy_read_address(haproxy_word(server, 2), &addr, &is_port_only))
        return otherwise && haproxy_is_server(server);
    for (size_t i = 0; i < config->agent.listens.count; i++)
        if (leads_to(&config->agent.listens.list[i].addr, &addr))
            return true;
    return false;
}

static const struct haproxy_section *agent_backend(const struct haproxy_rules *rules,
                                                   const struct haproxy_section *agent)
{
    const struct haproxy_line *line = haproxy_section_last(agent, "use-backend");

    return line != NULL ? haproxy_file_backend(rules->haproxy, haproxy_word(line, 1)) : NULL;
}

bool haproxy_leads_to_agent(const struct haproxy_rules *rules, const struct haproxy_section *agent)
{
    const struct haproxy_section *backend = agent_backend(rules, agent);

    for (size_t i = 0; backend != NULL && i < backend->count; i++)
        if (is_agent(rules->config, &backend->lines[i], false))
            return true;
    return false;
}

static void check_server(const struct haproxy_rules *rules, const struct haproxy_section *backend)
{
    const struct config_listens *listens = &rules->config->agent.listens;
    const struct haproxy_line *first = NULL;
    struct text fix = {.data = NULL};

    for (size_t i = 0; i < backend->count; i++) {
        if (is_agent(rules->config, &backend->lines[i], true))
            return;
        if (first == NULL && haproxy_line_begins(&backend->lines[i], "server"))
            first = &backend->lines[i];
    }
    if (listens->count > 0) {
        struct addr reached = haproxy_reaches(&listens->list[0].addr);
        text_add(&fix, "write `server agent1 ");
        haproxy_add_address(&fix, &reached);
        text_printf(&fix, "` in %s %s", backend->kind, backend->name);
    }
    findings_add(rules->findings, FINDING_AGENT_SERVER, haproxy_place(backend, first), backend->name,
                 fix.data, "no server of it is an address where the agent listens: every client is refused");
    rules->findings->out_of_memory |= fix.has_failed;
    text_finish(&fix);
}

/* The backend whose name is most like this one; NULL if there is none. */
static const char *nearest_backend(const struct haproxy_file *haproxy, const char *name)
{
    const char *nearest = NULL;

    for (size_t i = 0; i < haproxy->count; i++) {
        const struct haproxy_section *section = haproxy->sections[i];
        if (strcmp(section->kind, "backend") == 0 &&
            (nearest == NULL || words_distance(name, section->name) < words_distance(name, nearest)))
            nearest = section->name;
    }
    return nearest;
}

void haproxy_check_agent(const struct haproxy_rules *rules, const struct haproxy_section *agent)
{
    const struct haproxy_line *line = haproxy_section_last(agent, "use-backend");
    const char *name = line != NULL ? haproxy_word(line, 1) : "";
    const struct haproxy_section *backend = agent_backend(rules, agent);
    char fix[HAPROXY_FIX_MAX];

    if (backend != NULL) {
        haproxy_check_mode(rules, backend);
        haproxy_check_name(rules, backend);
        check_server(rules, backend);
        return;
    }
    const char *nearest = nearest_backend(rules->haproxy, name);
    (void)snprintf(fix, sizeof(fix), "write `use-backend %s`", nearest != NULL ? nearest : "NAME");
    findings_add(rules->findings, FINDING_AGENT_BACKEND, haproxy_place(agent, line), agent->name, fix,
                 "its `use-backend` is no backend of HAProxy");
}
