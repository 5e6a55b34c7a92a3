/* For the rules over HAProxy's files: the settings of servers, from their lines and from `default-server`. Private to
 * them. */
#ifndef SPOA_CORE_CONFIG_HAPROXY_SERVERS_H
#define SPOA_CORE_CONFIG_HAPROXY_SERVERS_H

#include <stdbool.h>

struct haproxy_line;
struct haproxy_section;

struct haproxy_server_settings {
    long weight;
    long maxconn;
    bool has_check;                         /* a health check connects to the server itself */
    bool shuts_when_down;                   /* on-marked-down shutdown-sessions */
    bool is_checked_elsewhere;              /* `addr`: the check asks another host, as in http-health/ */
    const struct haproxy_line *weight_line; /* where the weight stands; NULL: nowhere */
    const struct haproxy_line
        *shut_line; /* from which on a failed check of the server shuts sessions; NULL: none does */
};

/* `server` or `server-template`. */
bool haproxy_is_server(const struct haproxy_line *line);

/* The settings of the server in this line: those of the `default-server` above it, and its own. */
struct haproxy_server_settings haproxy_settings_of(const struct haproxy_section *backend,
                                                   const struct haproxy_line *server);

#endif
