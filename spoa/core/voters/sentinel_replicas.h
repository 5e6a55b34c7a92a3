/* Reads a Sentinel's list of replicas for one service. Pure. */
#ifndef SPOA_CORE_VOTERS_SENTINEL_REPLICAS_H
#define SPOA_CORE_VOTERS_SENTINEL_REPLICAS_H

#include <stdint.h>

#include "proto/addr.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/redis/reply.h"

struct sentinel_replicas {
    uint64_t up;                        /* servers that are replicas of the Sentinel's master, and up */
    struct service_strangers strangers; /* points to the addresses below */
    struct addr node;
    struct addr leader;
};

/*
 * Reads the array that SENTINEL REPLICAS replies. `master` is the node that this Sentinel names as the master
 * now. `ret_replicas` must not be copied: it points into itself.
 */
void sentinel_replicas_read(const struct service *service, const struct addr *master,
                            const struct reply *reply, struct sentinel_replicas *ret_replicas);

#endif
