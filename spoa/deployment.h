/*
 * What the sections [sentinels], [service] and [haproxy] of a configuration come to: services, the links that vote on
 * them, and those that act on their changes. The life of a deployment, in this order; reload.c leads it through:
 *
 *     create      services and links are made; the Sentinels are asked. Nobody acts on what they say.
 *     wait        until deployment_lack() finds nothing. The other one answers. A deployment that is abandoned here goes
 *                 straight to its end.
 *     fill        its services are put into a table for questions.
 *     activate    changes are logged, sessions cut, hooks run. Each service takes the place of its former self: handover.h.
 *     run         all connections answer from its table, all listeners are its own.
 *     retire      another deployment runs, and owes the cuts that this one owed. Streams that waited for a service that is
 *                 gone are answered.
 *     destroy     links and services end. The configuration goes with them.
 *
 * The first deployment of a process does not wait: it runs at once, and answers "starting" until it knows more.
 */
#ifndef SPOA_DEPLOYMENT_H
#define SPOA_DEPLOYMENT_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "spoa/core/base/metrics.h"
#include "spoa/core/config/config.h"
#include "spoa/core/decision/handover.h"
#include "spoa/core/haproxy/agent_check.h"
#include "spoa/core/haproxy/service_table.h"
#include "spoa/core/observers/history.h"
#include "spoa/io/effects/hooks.h"
#include "spoa/io/net/resolver.h"
#include "spoa/io/redis/voter_links.h"

struct deployment;
struct runtime_health;

/* Borrowed but for `config`, which was checked. */
struct deployment_options {
    struct ev_loop *loop;
    struct config *config;
    struct resolver *resolver;
    struct metrics *metrics;
    struct history *history;
    struct hooks *hooks;
};

/*
 * Begins to ask the Sentinels. Nobody acts on what they say before deployment_activate(). `config` is the
 * deployment's own from then on. NULL, and the configuration is gone, if memory is short.
 */
struct deployment *deployment_create(const struct deployment_options *options);

/* No table answers from its services any more. NULL is fine. */
void deployment_destroy(struct deployment *deployment);

/*
 * From now on changes are logged, sessions cut, agent-checks kept up to date. Each service takes the place of
 * that of the same name in `former` (or NULL), see handover(). False if memory is short.
 */
bool deployment_activate(struct deployment *deployment, const struct deployment *former);

/*
 * What a service lacks that is not ready for handover(); `former` as above. `io_lacking` is the number of that
 * service. The next look begins with it, because with thousands of services most looks end there; the first one
 * begins with 0.
 */
enum handover_lack deployment_lack(const struct deployment *deployment, const struct deployment *former,
                                   size_t *io_lacking);

/* Adds all services. False if memory is short. */
bool deployment_fill(const struct deployment *deployment, struct service_table *table);

const struct agent_checks *deployment_checks(const struct deployment *deployment);
/* One for each 'runtime-api'; valid as long as the deployment, and as things stand now. */
const struct runtime_health *deployment_runtime_apis(const struct deployment *deployment, size_t *ret_count);
/* One for each section [sentinels]; valid as long as the deployment. */
const struct voter_group *const *deployment_groups(const struct deployment *deployment, size_t *ret_count);
const struct config *deployment_config(const struct deployment *deployment);

#endif
