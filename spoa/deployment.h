/*
 * What the sections [sentinels], [service] and [haproxy] of a configuration come to: services, the links that vote on
 * them, and those that act on their changes. The life of a deployment, in this order; reload.c leads it through:
 *
 *     create
 *     build       services and links are made; the Sentinels are asked. Nobody acts on what they say.
 *     wait        until deployment_check_ready() finds nothing lacking. The other one answers. Links to nodes that stay
 *                 the same are its; see role_links.h. A deployment that is abandoned here is given up.
 *     prepare     its services are put into a table for questions, and get observers, which are told nothing yet.
 *     take over   each service takes the place of its former self: handover.h. Its link to its node moves. Its changes are
 *                 logged from then on, and hooks run.
 *     finish      sessions are cut.
 *     run         all connections answer from its table, all listeners are its own.
 *     give up     another deployment runs, and owes the cuts that this one owed. Nothing is made of what is still heard.
 *     unlink      links end.
 *     retire      streams that waited for a service that is gone are answered.
 *     shed        services end.
 *     destroy     the rest. The configuration goes with it.
 *
 * Most of them are done in slices, because there may be thousands of services.
 *
 * The first deployment of a process does not wait: it runs at once, and answers "starting" until it knows more.
 */
#ifndef SPOA_DEPLOYMENT_H
#define SPOA_DEPLOYMENT_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "spoa/core/base/metrics.h"
#include "spoa/core/base/progress.h"
#include "spoa/core/config/config.h"
#include "spoa/core/decision/handover.h"
#include "spoa/core/haproxy/agent_check.h"
#include "spoa/core/haproxy/service_table.h"
#include "spoa/core/observers/history.h"
#include "spoa/io/effects/hooks.h"
#include "spoa/io/net/resolver.h"
#include "spoa/io/redis/voter_links.h"

/*
 * So many services, or links of services, in one turn of the loop: one of them takes some microseconds, and nobody should
 * wait longer than a millisecond or two for an answer.
 */
#define DEPLOYMENT_SLICE 32

struct deployment;
struct runtime_health;

/* Borrowed but for `config`, which was checked. */
struct deployment_options {
    struct ev_loop *loop;
    struct config *config;
    struct deployment
        *former; /* that it is to replace: runs until it has done so, or is given up; NULL: none */
    struct resolver *resolver;
    struct metrics *metrics;
    struct history *history;
    struct hooks *hooks;
};

/*
 * `config` is the deployment's own from then on. Nothing is asked before deployment_build(). NULL, and the configuration
 * is gone, if memory is short.
 */
struct deployment *deployment_create(const struct deployment_options *options);

/* Makes services, groups and links; each costs a unit. Begins to ask the Sentinels. */
enum progress deployment_build(struct deployment *deployment, size_t *io_budget);

/* How far a look has come; all zero at first. */
struct deployment_look {
    size_t at;   /* the number of the service that is looked at next; of the one that lacks something */
    size_t good; /* so many in a row lack nothing */
    enum handover_lack lack;
};

/*
 * Looks whether the services are ready for handover(); each costs a unit. `former` (or NULL) is what they would replace.
 * Links to nodes that cannot be kept are made.
 * Done: all are. A look that is not done says what is lacking in `lack`, unless the budget is used up. The next one
 * begins there, because with thousands of services most looks end there.
 */
enum progress deployment_check_ready(const struct deployment *deployment, const struct deployment *former,
                                     struct deployment_look *look, size_t *io_budget);

/* Adds services to the table, and their observers; each costs a unit. `table` is the same each time. */
enum progress deployment_prepare(struct deployment *deployment, struct service_table *table,
                                 size_t *io_budget);

/*
 * Services take the place of those of the same name in `former` (or NULL), see handover(), also in `table` (or NULL); see
 * service_table_begin(). Each that is looked at costs a unit; a call looks at
 * each once at most. One that is not ready waits, and `look` says what it lacks. With `by_force` none waits.
 */
enum progress deployment_take_over(struct deployment *deployment, struct deployment *former,
                                   struct service_table *table, bool by_force, struct deployment_look *look,
                                   size_t *io_budget);

/*
 * All have taken their places: sessions are cut from now on, and `former` (or NULL) cuts no more. False if memory is
 * short: it is to be tried again. With `by_force` debts of `former` may be lost then.
 */
bool deployment_finish(struct deployment *deployment, struct deployment *former, bool by_force);

/* It is used no more: it makes nothing of what it still hears. */
void deployment_give_up(struct deployment *deployment);

/* Nobody is asked any more, and links end; each costs a unit. True while there are more. NULL is fine. */
bool deployment_unlink(struct deployment *deployment, size_t *io_budget);

/* After deployment_unlink(): services end. No table answers from them any more. Costs and result as above. */
bool deployment_shed(struct deployment *deployment, size_t *io_budget);

/* What is left ends at once. NULL is fine. */
void deployment_destroy(struct deployment *deployment);

/* NULL: no listener asks for them. */
const struct agent_checks *deployment_checks(const struct deployment *deployment);
/* One for each 'runtime-api'; valid as long as the deployment, and as things stand now. */
const struct runtime_health *deployment_runtime_apis(const struct deployment *deployment, size_t *ret_count);
/* One for each section [sentinels]; valid as long as the deployment. */
const struct voter_group *const *deployment_groups(const struct deployment *deployment, size_t *ret_count);
const struct config *deployment_config(const struct deployment *deployment);

#endif
