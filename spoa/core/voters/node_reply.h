/* Reads the replies of a Redis node. enum reply_reading explains the results. Pure. */
#ifndef SPOA_CORE_VOTERS_NODE_REPLY_H
#define SPOA_CORE_VOTERS_NODE_REPLY_H

#include <stdbool.h>

#include "proto/addr.h"
#include "proto/span.h"
#include "spoa/core/redis/reply.h"

/* INFO server: the run_id. `ret_id` is valid as long as the reply. */
enum reply_reading node_reply_read_run_id(const struct reply *reply, struct span *ret_id);

/*
 * CLUSTER INFO: whether the node considers its cluster up. A node that does not reach a majority of the
 * masters does not.
 */
enum reply_reading node_reply_read_cluster_state(const struct reply *reply, bool *ret_is_up);

/*
 * ROLE (redis.io/commands/role). For a master, `ret_master` is `self`. For a replica, it is the node that the
 * replica was told to follow, whether or not it reaches that node. `ret_is_self`: whether the node is a
 * master.
 */
enum reply_reading node_reply_read_role(const struct reply *reply, const struct addr *self,
                                        struct addr *ret_master, bool *ret_is_self);

/*
 * CLUSTER SLOTS (redis.io/commands/cluster-slots): the master that owns `slot`. REPLY_READ_NONE if no node
 * owns it.
 */
enum reply_reading node_reply_read_owner(const struct reply *reply, unsigned slot, struct addr *ret_owner);

/* The same: the replica number `index`, from 0 on, of that master. REPLY_READ_NONE if it has fewer. */
enum reply_reading node_reply_read_replica(const struct reply *reply, unsigned slot, size_t index,
                                           struct addr *ret_replica);

#endif
