/* What a Sentinel's replies mean: see enum reply_reading. Pure. */
#ifndef SPOA_CORE_VOTERS_SENTINEL_REPLY_H
#define SPOA_CORE_VOTERS_SENTINEL_REPLY_H

#include <stdbool.h>

#include "proto/addr.h"
#include "spoa/core/decision/evidence.h"
#include "spoa/core/redis/reply.h"

/* SENTINEL GET-MASTER-ADDR-BY-NAME. REPLY_READ_NONE where it knows no master of that name. */
enum reply_reading sentinel_reply_read_master(const struct reply *reply, struct addr *ret_addr);

/*
 * SENTINEL MASTER: field names and values by turns. The address is the one that this Sentinel monitors; during
 * a failover the leader still shows the old one.
 */
enum reply_reading sentinel_reply_read_facts(const struct reply *reply, struct addr *ret_addr,
                                             struct sentinel_facts *ret_facts);

/* A replica as SENTINEL REPLICAS shows it. */
struct sentinel_replica {
    struct addr addr;
    struct addr master; /* that it says it follows */
    bool is_up;         /* nothing speaks against it, and its link to that master works */
};

/* One element of SENTINEL REPLICAS. */
enum reply_reading sentinel_reply_read_replica(const struct reply *element,
                                               struct sentinel_replica *ret_replica);

#endif
