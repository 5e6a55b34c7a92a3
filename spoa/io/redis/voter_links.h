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
#include "spoa/core/base/progress.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/voters/node_voter.h"
#include "spoa/core/voters/role_probe.h"
#include "spoa/core/voters/sentinel_voter.h"
#include "spoa/io/net/resolver.h"
#include "spoa/io/net/tls.h"

struct role_link;
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
    struct role_link *const *kept;            /* see role_links_options */
    size_t service_count;
    uint8_t *identities; /* see voter_group_options */
};

/*
 * Nothing is asked before voter_links_build() is done. The options are copied; what they point to is borrowed. `seed`
 * varies the back-off. NULL if memory is short.
 */
MUST_CHECK struct voter_links *voter_links_create(struct ev_loop *loop, struct resolver *resolver,
                                                  const struct voter_links_options *options,
                                                  struct metrics *metrics, uint64_t seed);

/*
 * Makes the next links; a service and a voter cost a unit each. At the end it connects to the voters, and keeps
 * their votes up to date from then on. It also connects to the nodes that they name, to learn their roles.
 */
MUST_CHECK enum progress voter_links_build(struct voter_links *links, size_t *io_budget);

/* A reload, before the change-over: see role_links_look(). `service` is its place in the group. */
void voter_links_look(struct voter_links *links, size_t service, int64_t now_ms);

/* The link to the node of this service; NULL: there is none. */
struct role_link *voter_links_find_role(const struct voter_links *links, size_t service);

/* Nobody uses them any more, and nothing is made of what is heard: see role_links_give_up(). NULL is fine. */
void voter_links_give_up(struct voter_links *links);

/* Asks nobody any more, and ends links; each costs a unit. True while there are more. NULL is fine. */
bool voter_links_shed(struct voter_links *links, size_t *io_budget);

void voter_links_destroy(struct voter_links *links); /* NULL is fine */

/* A reload: `links` take the place of `former`, see voter_group_inherit(). */
void voter_links_inherit(struct voter_links *links, const struct voter_links *former);

/*
 * A service was evaluated by a change-over; `service` is its place in the group. Voters may have to be asked, and the
 * next review may be due earlier. A node in doubt is called at once: a doubt that was handed over lasts only until the
 * next attempt.
 */
void voter_links_catch_up(struct voter_links *links, size_t service, int64_t now_ms);

const struct voter_group *voter_links_group(const struct voter_links *links);

#endif
