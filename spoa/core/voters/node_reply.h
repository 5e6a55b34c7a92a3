/* Reads the replies of a Redis node. enum reply_reading explains the results. Pure. */
#ifndef SPOA_CORE_VOTERS_NODE_REPLY_H
#define SPOA_CORE_VOTERS_NODE_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/addr.h"
#include "proto/span.h"
#include "spoa/core/decision/evidence.h"
#include "spoa/core/redis/reply.h"

/* INFO server: the run_id. `ret_id` is valid as long as the reply. */
enum reply_reading node_reply_read_run_id(const struct reply *reply, struct span *ret_id);

/*
 * INFO replication: whether the node is a master that refuses writes while too few replicas follow it
 * (min-replicas-to-write). It says how many do only then. REPLY_READ_NONE if it is no master.
 */
enum reply_reading node_reply_read_min_replicas(const struct reply *reply, bool *ret_is_set);

/*
 * CLUSTER INFO: whether the node considers its cluster up. A node that does not reach a majority of the
 * masters does not.
 */
enum reply_reading node_reply_read_cluster_state(const struct reply *reply, bool *ret_is_up);

/*
 * ROLE (redis.io/commands/role): what the node is. NODE_ROLE_UNKNOWN if the reply says neither that it is a master
 * nor that it is a replica, or if it is an error.
 */
enum node_role node_reply_role(const struct reply *reply);

/* If the role is not known: the word in place of it, valid as long as the reply. Empty if there is none. */
struct span node_reply_role_word(const struct reply *reply);

/* If the role is not known, and the reply is no error: what that means for the operator. */
const char *node_reply_role_meaning(const struct reply *reply);

/*
 * ROLE as a vote. For a master, `ret_master` is `self`. For a replica, it is the node that the replica was told to
 * follow, whether or not it reaches that node. `ret_is_self`: whether the node is a master.
 */
enum reply_reading node_reply_read_role(const struct reply *reply, const struct addr *self,
                                        struct addr *ret_master, bool *ret_is_self);

/*
 * INFO replication (redis.io/commands/info): for how long the node has not heard its master, as the facts that a
 * Sentinel would tell. `ret_master` is as for ROLE; a master hears itself. Redis counts in whole seconds: the
 * silence is the time that has passed for sure. A replica that is being synchronized hears its master. It reads
 * nothing while it loads the data, so Redis' own age says little then. REPLY_READ_NONE if the node does not know,
 * because it was never connected.
 */
enum reply_reading node_reply_read_link(const struct reply *reply, const struct addr *self,
                                        struct addr *ret_master, struct sentinel_facts *ret_facts);

/* The number of slots of a Redis Cluster. */
#define NODE_REPLY_SLOTS 16384

/*
 * Whether an element of CLUSTER SLOTS is needed: it is a range with a slot that has its bit in `slots`, or it is
 * no range at all.
 */
bool node_reply_needs_range(const struct reply *range, const uint64_t slots[NODE_REPLY_SLOTS / 64]);

/*
 * CLUSTER SLOTS (redis.io/commands/cluster-slots): the master that owns `slot`. REPLY_READ_NONE if no node
 * owns it. Without a host it is at the host of `self`, the node that was asked. REPLY_READ_BAD_ADDRESS also if the
 * cluster does not know the host: it is "?" then.
 */
enum reply_reading node_reply_read_owner(const struct reply *reply, unsigned slot, const struct addr *self,
                                         struct addr *ret_owner);

/*
 * CLUSTER SLOTS: the replica number `index`, from 0 on, of the master that owns `slot`. REPLY_READ_NONE if it has
 * fewer.
 */
enum reply_reading node_reply_read_replica(const struct reply *reply, unsigned slot, size_t index,
                                           struct addr *ret_replica);

#endif
