/* What a Redis node says of itself and of others. Pure. */
#ifndef SPOA_CORE_VOTERS_NODE_REPLY_H
#define SPOA_CORE_VOTERS_NODE_REPLY_H

#include <stdbool.h>

#include "proto/addr.h"
#include "proto/span.h"
#include "spoa/core/decision/quorum.h"
#include "spoa/core/redis/reply.h"

/* INFO server: the run_id, 40 hexadecimal digits; an empty span where there is none. */
struct span node_reply_run_id(const struct reply *reply);

/* CLUSTER INFO: whether the node holds its cluster to be up. A node that reaches no majority of the masters does not. */
bool node_reply_is_cluster_up(const struct reply *reply);

/*
 * ROLE (redis.io/commands/role): a master is its own, `self`; a replica's is the one that it is told to follow, whether it
 * reaches it or not. Returns QUORUM_NAMES and writes both, or QUORUM_INVALID.
 */
enum quorum_ballot node_reply_read_role(const struct reply *reply, const struct addr *self,
                                        struct addr *ret_master, bool *ret_is_self);

/* CLUSTER SLOTS (redis.io/commands/cluster-slots): the master that owns `slot`. QUORUM_UNKNOWN_NAME where nobody does. */
enum quorum_ballot node_reply_find_owner(const struct reply *reply, unsigned slot, struct addr *ret_owner);

#endif
