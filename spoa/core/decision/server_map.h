/*
 * The addresses that voters may name, as the small integers that the quorum counts: first the servers of a
 * service's map, then places for addresses outside it. A place is taken while something refers to it.
 */
#ifndef SPOA_CORE_DECISION_SERVER_MAP_H
#define SPOA_CORE_DECISION_SERVER_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/addr.h"

/* So that an answer fits the smallest frame that HAProxy may ask for (ANSWER_MAX). */
#define SERVER_NAME_MAX 100

/* One line of the server map: the address as Sentinel says it, and the name that HAProxy has for it. */
struct service_server {
    const char *name; /* borrowed from the configuration */
    struct addr addr;
    unsigned weight; /* as a replica, see replicas.h */
};

struct candidates {
    const struct service_server *servers; /* borrowed */
    size_t server_count;
    struct addr *strangers; /* `places` of them, or NULL before the first */
    size_t places;
};

/* `places`: for as many addresses outside the map as can be referred to at one time, and a newcomer. */
void candidates_init(struct candidates *candidates, const struct service_server *servers, size_t server_count,
                     size_t places);
void candidates_finish(struct candidates *candidates);

/* The candidate of an address that is there already, or QUORUM_NO_CANDIDATE. */
int32_t candidates_lookup(const struct candidates *candidates, const struct addr *addr);

/*
 * The same, or one made for it in a place that nothing refers to: `is_referred` tells. QUORUM_NO_CANDIDATE where
 * there is no place or no memory.
 */
int32_t candidates_find(struct candidates *candidates, const struct addr *addr,
                        bool (*is_referred)(const void *context, int32_t candidate), const void *context);

/* NULL for QUORUM_NO_CANDIDATE. */
const struct addr *candidates_addr(const struct candidates *candidates, int32_t candidate);

/* Its server's name; NULL for those outside the map. */
const char *candidates_server(const struct candidates *candidates, int32_t candidate);

bool candidates_is_mapped(const struct candidates *candidates, int32_t candidate);

#endif
