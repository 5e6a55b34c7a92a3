/*
 * The links of the ROLE probes of one group: one per service, to the node that is named.
 *
 * A reload keeps them: a connection to each of thousands of nodes is the most expensive part of it. The service of the next
 * configuration has no link of its own while the former one's would ask the same node in the same way. It takes that link
 * when it takes over. Until then the former one uses it, and the next one is told what it hears of the node's role
 * (role_links_look()). If the reload is abandoned nothing has moved. Where the two services name different nodes the
 * next one makes its own link.
 *
 * The links to Sentinels are not kept: both configurations must hear them until the change-over.
 */
#ifndef SPOA_IO_REDIS_ROLE_LINKS_H
#define SPOA_IO_REDIS_ROLE_LINKS_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/must_check.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/base/progress.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/voters/role_probe.h"
#include "spoa/io/net/resolver.h"
#include "spoa/io/net/tls.h"
#include "spoa/io/redis/redis_link.h"

struct role_link;
struct role_links;

struct role_links_options {
    struct voter_group *group;
    struct service *const *services;            /* the group's, in its order */
    const struct role_probe_settings *settings; /* one per service */
    const struct tls *const *tls;               /* one per service, NULL: no TLS */
    /*
     * One per service: the link to keep, of a service that it is to replace. Its settings are alike, and it must stay there
     * until role_links_catch_up() or role_links_give_up(). NULL: there is none. NULL as a whole: there are none.
     */
    struct role_link *const *kept;
    size_t service_count;
    struct metrics *metrics;
    redis_link_stepped_fn stepped; /* after every step: the group may have a question */
    void *context;
    uint64_t seed;
};

/* `options` is copied; what it points to is borrowed. No service is observed yet. NULL if memory is short. */
MUST_CHECK struct role_links *role_links_create(struct ev_loop *loop, struct resolver *resolver,
                                                const struct role_links_options *options);

/* Makes the next links, and observes their services if `role_check` is on. A service costs a unit. */
MUST_CHECK enum progress role_links_build(struct role_links *links, size_t *io_budget);

/*
 * Looks after service `index` before the change-over: tells it what its kept link hears, or makes it a link of its own. If
 * memory is short the service has not heard its node, and the next look tries again.
 */
void role_links_look(struct role_links *links, size_t index, int64_t now_ms);

/*
 * A reload has handed over what the service decided: its link follows, a kept one is its own from now on. `index` is
 * its place in the group.
 */
void role_links_catch_up(struct role_links *links, size_t index, int64_t now_ms);

/* Nothing is made of what the services decide any more. Kept links that have not moved are no longer used. NULL is fine. */
void role_links_give_up(struct role_links *links);

/*
 * Ends the last links; each costs a unit. To be called when nothing steps the services any more but these links. True
 * while there are more.
 */
bool role_links_shed(struct role_links *links, size_t *io_budget);

/* Not before the last link has ended. NULL is fine. */
void role_links_destroy(struct role_links *links);

/* The link of a service, for `kept`. NULL: it has none. */
struct role_link *role_links_find(const struct role_links *links, size_t index);

#endif
