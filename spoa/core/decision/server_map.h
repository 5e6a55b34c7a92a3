/*
 * The addresses that voters may name, as small integers (candidates): first the servers of the map, then
 * places for addresses outside it. A place is taken while something refers to it.
 */
#ifndef SPOA_CORE_DECISION_SERVER_MAP_H
#define SPOA_CORE_DECISION_SERVER_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/addr.h"

/* So that an answer fits the smallest frame that HAProxy may ask for (ACTIONS_MAX). */
#define SERVER_NAME_MAX 100

/*
 * One line of the server map: the name that HAProxy has for a node, the node's main address, and what else
 * Sentinel or another node may call it. The agent calls the main address, and answers with it.
 */
struct service_server {
    const char *name; /* borrowed from the configuration */
    struct addr addr;
    const struct addr *aliases; /* borrowed as well */
    size_t alias_count;
    unsigned weight; /* as a replica, see replicas.h */
};

/* Whether this is the main address of the server, or an alias. */
bool service_server_has(const struct service_server *server, const struct addr *addr);

struct server_map {
    const struct service_server *servers; /* borrowed */
    size_t server_count;
    struct addr *strangers; /* `places` of them, or NULL before the first */
    size_t places;
};

/* `places`: as many as addresses outside the map can be referred to at one time, and one more. */
void server_map_init(struct server_map *map, const struct service_server *servers, size_t server_count,
                     size_t places);
void server_map_finish(struct server_map *map);

/* The candidate of a known address; QUORUM_NO_CANDIDATE for another one. */
int32_t server_map_lookup(const struct server_map *map, const struct addr *addr);

/*
 * The same, or one made for it in a place that nothing refers to: `is_referred` tells. QUORUM_NO_CANDIDATE
 * where there is no place or no memory.
 */
int32_t server_map_find(struct server_map *map, const struct addr *addr,
                        bool (*is_referred)(const void *context, int32_t candidate), const void *context);

/*
 * The candidate of `map` that is the same node as this one of `other`: it has the main address or an alias of
 * it. QUORUM_NO_CANDIDATE where none has.
 */
int32_t server_map_match(const struct server_map *map, const struct server_map *other, int32_t candidate);

/* The main address of a server, or an address outside the map. NULL for QUORUM_NO_CANDIDATE. */
const struct addr *server_map_addr(const struct server_map *map, int32_t candidate);

/* Its server's name; NULL for those outside the map. */
const char *server_map_server(const struct server_map *map, int32_t candidate);

bool server_map_is_mapped(const struct server_map *map, int32_t candidate);

#endif
