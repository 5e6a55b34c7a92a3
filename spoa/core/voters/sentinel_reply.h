/* What a Sentinel's replies mean. Pure. */
#ifndef SPOA_CORE_VOTERS_SENTINEL_REPLY_H
#define SPOA_CORE_VOTERS_SENTINEL_REPLY_H

#include <stdbool.h>

#include "proto/addr.h"
#include "spoa/core/decision/evidence.h"
#include "spoa/core/redis/reply.h"

/* SENTINEL MYID: whether the reply is an identity, 40 hexadecimal digits in `reply->text`. */
bool sentinel_reply_is_identity(const struct reply *reply);

/*
 * SENTINEL MASTER: field names and values by turns. False where the reply has another shape or gives no address.
 * The address is the one that this Sentinel monitors; during a failover the leader still shows the old one.
 */
bool sentinel_reply_read_facts(const struct reply *reply, struct addr *ret_addr,
                               struct sentinel_facts *ret_facts);

/* One replica in the reply to SENTINEL REPLICAS. */
struct sentinel_replica {
    struct addr addr;
    struct addr master; /* that it follows, by its own word */
    bool is_up;         /* nothing speaks against it, and its link to that master works */
};

/* One element of SENTINEL REPLICAS. False where it has another shape or lacks an address. */
bool sentinel_reply_read_replica(const struct reply *element, struct sentinel_replica *ret_replica);

#endif
