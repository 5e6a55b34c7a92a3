/* Reads the replies of a Sentinel. enum reply_reading explains the results. Pure. */
#ifndef SPOA_CORE_VOTERS_SENTINEL_REPLY_H
#define SPOA_CORE_VOTERS_SENTINEL_REPLY_H

#include <stdbool.h>

#include "proto/addr.h"
#include "spoa/core/decision/evidence.h"
#include "spoa/core/redis/reply.h"

/* SENTINEL GET-MASTER-ADDR-BY-NAME. REPLY_READ_NONE if the Sentinel knows no master of that name. */
enum reply_reading sentinel_reply_read_master(const struct reply *reply, struct addr *ret_addr);

/*
 * SENTINEL MASTER: field names and values in turn. `ret_addr` is the address that this Sentinel monitors.
 * During a failover the leader still shows the old one.
 */
enum reply_reading sentinel_reply_read_facts(const struct reply *reply, struct addr *ret_addr,
                                             struct sentinel_facts *ret_facts);

/* Whether the reply is the error that the Sentinel knows no master of that name. */
bool sentinel_reply_is_unknown_name(const struct reply *reply);

/*
 * SENTINEL SENTINELS: the fellow Sentinels that this one knows. `*ret_age_ms` becomes the time within which it
 * heard `others` of them, or a majority of all that are listed if that is more. They are told apart by their run
 * IDs. UINT32_MAX if there are too few. `identity` is its own: an entry with it does not count.
 */
enum reply_reading sentinel_reply_read_peers(const struct reply *reply, const char *identity, unsigned others,
                                             uint32_t *ret_age_ms);

/* A replica as SENTINEL REPLICAS shows it. */
struct sentinel_replica {
    struct addr addr;
    struct addr master; /* the master that it says it follows */
    bool is_up;         /* its only flag is `slave`, and its link to that master works */
    bool is_eligible;   /* the Sentinel may promote it */
};

/* One element of SENTINEL REPLICAS. */
enum reply_reading sentinel_reply_read_replica(const struct reply *element,
                                               struct sentinel_replica *ret_replica);

#endif
