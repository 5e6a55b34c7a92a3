/* The names of HAProxy's frontends and backends for our configuration. Each is given to one of them only, and has the
 * characters that HAProxy takes. Pure. */
#ifndef SPOA_CORE_CONFIG_HAPROXY_NAMES_H
#define SPOA_CORE_CONFIG_HAPROXY_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/must_check.h"

struct config;
struct haproxy_names;

/* NULL if memory is short. The same configuration always gets the same names. */
MUST_CHECK struct haproxy_names *haproxy_names_create(const struct config *config);
void haproxy_names_destroy(struct haproxy_names *names); /* NULL is fine */

/* Of the backend that leads to the agent. */
const char *haproxy_names_agent(const struct haproxy_names *names);

/* Of the sections of a service, by its index in the configuration, for clients of the master or of replicas. */
const char *haproxy_names_frontend(const struct haproxy_names *names, size_t service, bool is_for_replicas);
const char *haproxy_names_backend(const struct haproxy_names *names, size_t service, bool is_for_replicas);

#endif
