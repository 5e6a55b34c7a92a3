/*
 * How a service of a new configuration finds in itself what its former self knew by other numbers. For
 * handover.c and the parts of a service that hand something over.
 */
#ifndef SPOA_CORE_DECISION_SUCCESSION_H
#define SPOA_CORE_DECISION_SUCCESSION_H

#include <stddef.h>
#include <stdint.h>

struct succession {
    const int
        *voters; /* for each voter of the next service: the same Sentinel's index in the former one, or -1 */
    /*
     * The next service's number for a candidate of the former one, a new one where it does not know the
     * address. The caller refers to it at once. QUORUM_NO_CANDIDATE where there is no room.
     */
    int32_t (*candidate)(void *context, int32_t former);
    /* The same for a server of the map; -1 where the next map does not have it. */
    int (*server)(void *context, size_t former);
    void *context;
};

#endif
