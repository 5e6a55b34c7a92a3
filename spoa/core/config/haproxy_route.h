/* For the rules: the way of a client, from a frontend with our filter to a backend. Private to them. */
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

/* Room for a line to write. */
#define HAPROXY_FIX_MAX 512

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

/* Whether a frontend sends its clients to an address in place of a server. */
bool haproxy_sets_address(const struct haproxy_section *frontend);

/* Reports a mode that is not TCP's. */
void haproxy_check_mode(const struct haproxy_rules *rules, const struct haproxy_section *section);

/* Reports a backend that has the name of a frontend. */
void haproxy_check_name(const struct haproxy_rules *rules, const struct haproxy_section *backend);

/* Reads the address of a `server`, `bind` or `stats socket`. False if it is none that can be compared. `*ret_port_only`:
 * it has no host, `:6379` or `*:6379`. */
bool haproxy_read_address(const char *word, struct addr *ret_addr, bool *ret_port_only);

/* haproxy_engine.c: all about a filter, if it is one of ours: it leads to the agent, or asks for a service or a role, or is the
 * only one. False: it is another program's. */
bool haproxy_check_filter(const struct haproxy_rules *rules, const struct haproxy_section *frontend,
                          const struct haproxy_line *filter, bool is_only);

/* haproxy_route.c: where the clients of the frontend go, and whether those without a name are refused. */
void haproxy_check_route(const struct haproxy_route *route);

/* haproxy_backends.c: all about a backend where the route ends. */
void haproxy_check_backend(const struct haproxy_route *route, const struct haproxy_section *backend);

/* Whether the backend has a server of the map of any service, by its name or its address. */
bool haproxy_has_mapped(const struct haproxy_rules *rules, const struct haproxy_section *backend);

/* haproxy_agent.c: all about the agent's backend. */
void haproxy_check_agent(const struct haproxy_rules *rules, const struct haproxy_section *agent);

/* Whether its `use-backend` has a server whose address is one where the agent listens. */
bool haproxy_leads_to_agent(const struct haproxy_rules *rules, const struct haproxy_section *agent);

#endif
