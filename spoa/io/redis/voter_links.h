/* The links of one group: to its voters, and to the nodes that are named. It also has the timer of the
 * decisions. */
#ifndef SPOA_IO_REDIS_VOTER_LINKS_H
#define SPOA_IO_REDIS_VOTER_LINKS_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/addr.h"
#include "proto/must_check.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/voters/node_voter.h"
#include "spoa/core/voters/role_probe.h"
#include "spoa/core/voters/sentinel_voter.h"
#include "spoa/io/net/resolver.h"
#include "spoa/io/net/tls.h"

struct voter_links;

struct voter_links_options {
    const char *name; /* the group's, "" if it has none */
    enum voter_source source;
    const struct addr *addresses; /* one per voter */
    unsigned count;
    const struct tls *tls; /* NULL: no TLS */
    bool subscribe;        /* take hints by Pub/Sub (Sentinels only) */
    struct sentinel_settings sentinel;
    struct node_settings node; /* used instead of `sentinel` for nodes */
    struct service *const *services;
    const struct role_probe_settings *probes; /* one per service */
    const struct tls *const *node_tls;        /* one per service, NULL: no TLS */
    size_t service_count;
    uint8_t *identities; /* see voter_group_options */
};

/*
 * Connects to the voters at once and keeps their votes up to date. Also connects to the nodes that they name,
 * to learn their roles. The options are copied; what they point to is borrowed. `seed` varies the back-off.
 * NULL if memory is short.
 */
MUST_CHECK struct voter_links *voter_links_create(struct ev_loop *loop, struct resolver *resolver,
                                                  const struct voter_links_options *options,
                                                  struct metrics *metrics, uint64_t seed);
void voter_links_destroy(struct voter_links *links); /* NULL is fine */

/* A reload: `links` take the place of `former`, see voter_group_inherit(). */
void voter_links_inherit(struct voter_links *links, const struct voter_links *former);

/*
 * The services were evaluated by a change-over: voters may have to be asked, and the next review may be due
 * earlier. Nodes in doubt are called at once: a doubt that was handed over lasts only until the next attempt.
 */
void voter_links_catch_up(struct voter_links *links, int64_t now_ms);

const struct voter_group *voter_links_group(const struct voter_links *links);

#endif
