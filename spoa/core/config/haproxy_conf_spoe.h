/* What both of HAProxy's files have to agree on. For haproxy_conf.c. Pure. */
#ifndef SPOA_CORE_CONFIG_HAPROXY_CONF_SPOE_H
#define SPOA_CORE_CONFIG_HAPROXY_CONF_SPOE_H

#include <stdbool.h>

struct config;

/* Since this version an agent's backend has `mode spop`, and two options of SPOE are gone. */
#define HAPROXY_CONF_SPOP 301U

/* Whether a service has a frontend for replicas. */
bool haproxy_conf_any_replicas(const struct config *config);

/* Whether spoe.conf names the service: there is one, and its name needs no quotes. Else each frontend names it in
 * `sess.service`. */
bool haproxy_conf_has_one_name(const struct config *config);

#endif
