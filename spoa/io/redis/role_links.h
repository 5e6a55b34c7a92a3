/* The links of the ROLE probes of one group: one per service, to the node that is named. */
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

struct role_links;

struct role_links_options {
    struct voter_group *group;
    struct service *const *services;            /* the group's, in its order */
    const struct role_probe_settings *settings; /* one per service */
    const struct tls *const *tls;               /* one per service, NULL: no TLS */
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
 * Ends the last links; each costs a unit. To be called when nothing steps the services any more but these links. True
 * while there are more.
 */
bool role_links_shed(struct role_links *links, size_t *io_budget);

/* Not before the last link has ended. NULL is fine. */
void role_links_destroy(struct role_links *links);

/* A reload has handed over what the service decided: its link follows. `index` is its place in the group. */
void role_links_catch_up(struct role_links *links, size_t index, int64_t now_ms);

#endif
