/* For haproxy_rules.c: the way of a client, from a frontend with our filter to a backend. Private to the rules. */
#ifndef SPOA_CORE_CONFIG_HAPROXY_ROUTE_H
#define SPOA_CORE_CONFIG_HAPROXY_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "spoa/core/base/findings.h"

struct addr;
struct config_service;
struct haproxy_line;
struct haproxy_rules;
struct haproxy_section;

/* What a line says of our variables. */
enum haproxy_mention {
    HAPROXY_MENTION_NONE,
    HAPROXY_MENTION_OURS,
    HAPROXY_MENTION_FOREIGN, /* a variable that has the name of one of ours, with another prefix */
};

struct haproxy_route {
    const struct haproxy_rules *rules;
    const struct haproxy_section *frontend; /* or `listen` */
    const struct haproxy_line *filter;
    const struct haproxy_section *agent;  /* `spoe-agent` */
    const char *prefix;                   /* of its variables */
    const struct config_service *service; /* NULL: it is not known which */
    const char *variable;                 /* that clients go by: "master", "replica" or "addr" */
};

struct finding_place haproxy_place(const struct haproxy_section *section, const struct haproxy_line *line);

/* Of all conditions of the line, and of the ACLs that they name. */
enum haproxy_mention haproxy_mentions(const struct haproxy_route *route,
                                      const struct haproxy_section *section, const struct haproxy_line *line);

/* Reports that the line has another prefix than the engine. */
void haproxy_report_prefix(const struct haproxy_route *route, const struct haproxy_section *section,
                           const struct haproxy_line *line);

/* Whether a frontend sends its clients to an address in place of a server. */
bool haproxy_sets_address(const struct haproxy_section *frontend);

/* Reports a mode that is not TCP's. */
void haproxy_check_mode(const struct haproxy_rules *rules, const struct haproxy_section *section);

/* Reports a backend that has the name of a frontend. */
void haproxy_check_name(const struct haproxy_rules *rules, const struct haproxy_section *backend);

/* Reads the address of a `server`, `bind` or `stats socket`. False if it is none that can be compared. `*ret_port_only`:
 * it has no host, `:6379` or `*:6379`. */
bool haproxy_read_address(const char *word, struct addr *ret_addr, bool *ret_port_only);

/* haproxy_route.c: all about the filter's engine and frontend. */
void haproxy_check_filter(const struct haproxy_rules *rules, const struct haproxy_section *frontend,
                          const struct haproxy_line *filter);

/* haproxy_backends.c: all about a backend where the route ends. */
void haproxy_check_backend(const struct haproxy_route *route, const struct haproxy_section *backend);

/* haproxy_agent.c: all about the agent's backend. */
void haproxy_check_agent(const struct haproxy_rules *rules, const struct haproxy_section *agent);

#endif
