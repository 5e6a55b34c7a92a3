/* What a Redis node says of itself and of others: see enum reply_reading. Pure. */
#ifndef SPOA_CORE_VOTERS_NODE_REPLY_H
#define SPOA_CORE_VOTERS_NODE_REPLY_H

#include <stdbool.h>

#include "proto/addr.h"
#include "proto/span.h"
#include "spoa/core/redis/reply.h"

/* INFO server: the run_id. It is valid as long as the reply. */
enum reply_reading node_reply_read_run_id(const struct reply *reply, struct span *ret_id);

/*
 * CLUSTER INFO: whether the node holds its cluster to be up. A node that reaches no majority of the masters does
 * not.
 */
enum reply_reading node_reply_read_cluster_state(const struct reply *reply, bool *ret_is_up);

/*
 * ROLE (redis.io/commands/role): the master of a master is itself, `self`. The master of a replica is the node
 * that the replica is told to follow, whether it reaches it or not.
 */
enum reply_reading node_reply_read_role(const struct reply *reply, const struct addr *self,
                                        struct addr *ret_master, bool *ret_is_self);

/*
 * CLUSTER SLOTS (redis.io/commands/cluster-slots): the master that owns `slot`. REPLY_READ_NONE where nobody
 * does.
 */
enum reply_reading node_reply_read_owner(const struct reply *reply, unsigned slot, struct addr *ret_owner);

#endif
