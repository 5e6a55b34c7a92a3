/*
 * What the sections [sentinels], [service] and [haproxy] of a configuration come to: services, the links that vote on
 * them, and those that act on their changes. A reload makes another one beside it and changes over when that one knows
 * its masters.
 */
#ifndef SPOA_DEPLOYMENT_H
#define SPOA_DEPLOYMENT_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "spoa/core/config/config.h"
#include "spoa/core/observers/history.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/haproxy/agent_check.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/haproxy/service_table.h"
#include "spoa/io/effects/hooks.h"
#include "spoa/io/net/resolver.h"
#include "spoa/io/redis/voter_links.h"

struct topology;

/* Borrowed but for `config`, which was checked. */
struct topology_options {
    struct ev_loop *loop;
    struct config *config;
    struct resolver *resolver;
    struct metrics *metrics;
    struct history *history;
    struct hooks *hooks;
};

/*
 * Begins to ask the Sentinels. Nobody acts on what they say before topology_activate(). Of services that `former` (or
 * NULL) has as well it takes over what that one remembers. `config` is its own from then on. NULL, and the configuration
 * is gone, where memory is short.
 */
struct topology *topology_create(const struct topology_options *options, const struct topology *former);

/* No table refers to its services any more. NULL is fine. */
void topology_destroy(struct topology *topology);

/* From now on changes are logged, sessions cut, agent-checks kept up to date. `former` as above. False where memory is
 * short. */
bool topology_activate(struct topology *topology, const struct topology *former);

/* Whether no service is starting any more. */
bool topology_is_ready(const struct topology *topology);

/* Adds all services. False where memory is short. */
bool topology_fill(const struct topology *topology, struct service_table *table);

const struct server_checks *topology_checks(const struct topology *topology);
/* One for each section [sentinels]; valid as long as the topology. */
const struct voter_group *const *topology_groups(const struct topology *topology, size_t *ret_count);
const struct config *topology_config(const struct topology *topology);

#endif
