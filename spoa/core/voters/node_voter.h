/*
 * A Redis node as a voter, for deployments without Sentinels. There is one conversation with the node. With
 * `replication` the node says which master it follows, and for `down-after` how long it has not heard it. With
 * `cluster` it says which node owns each slot. One reply answers for all services of the group.
 */
#ifndef SPOA_CORE_VOTERS_NODE_VOTER_H
#define SPOA_CORE_VOTERS_NODE_VOTER_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/addr.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/redis/conversation.h"
#include "spoa/core/redis/peer.h"
#include "spoa/core/voters/node_reply.h"
#include "spoa/core/voters/voter_group.h"
#include "spoa/core/voters/voter_source.h"

/* How many commands may await their replies. There is always room for both commands of a poll: the reply
 * to CLUSTER INFO must not be older than the reply to CLUSTER SLOTS. INFO replication can wait. */
#define NODE_VOTER_RUNS 64

/* Shared by the nodes of a group; borrowed. */
struct node_settings {
    enum voter_source source; /* not VOTER_SOURCE_SENTINEL */
    struct redis_credentials credentials;
    uint32_t poll_ms;
    struct conversation_settings conversation;
};

struct node_voter {
    const struct node_settings *settings;
    struct voter_group *group;
    struct metrics *metrics;
    const struct addr *addr; /* its own address: a master votes for itself */
    const char *name;        /* for the log */
    unsigned index;          /* in the group */
    struct conversation conversation;
    struct peer peer;
    struct awaited_run runs[NODE_VOTER_RUNS];
    unsigned step; /* what is sent next, once the link is greeted */
    int64_t next_poll_ms;
    bool is_identified; /* it said who it is on this connection */
    bool asks_link;     /* a service has `down-after` */
    int64_t t_slow_ms;  /* a reply came late then; INT64_MIN: none did */
    /* What the last reply to CLUSTER INFO said. CLUSTER INFO is sent before each CLUSTER SLOTS. */
    bool is_cluster_up;
    uint64_t slots[NODE_REPLY_SLOTS / 64]; /* a bit for each slot that a service has */
};

/* All pointers are borrowed and must outlive the voter, which must not move. `seed` varies its back-off. */
void node_voter_init(struct node_voter *voter, const struct node_settings *settings,
                     struct voter_group *group, unsigned index, const struct addr *addr, const char *name,
                     struct metrics *metrics, uint64_t seed, int64_t now_ms);

#endif
