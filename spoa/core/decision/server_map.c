#include "spoa/core/decision/server_map.h"

#include <stdlib.h>

#include "spoa/core/decision/quorum.h"

void server_map_init(struct server_map *map, const struct service_server *servers, size_t server_count,
                     size_t places)
{
    *map = (struct server_map){.servers = servers, .server_count = server_count, .places = places};
}

void server_map_finish(struct server_map *map)
{
    free(map->strangers);
}

bool service_server_has(const struct service_server *server, const struct addr *addr)
{
    if (addr_equals(&server->addr, addr))
        return true;
    for (size_t i = 0; i < server->alias_count; i++)
        if (addr_equals(&server->aliases[i], addr))
            return true;
    return false;
}

static int32_t lookup_server(const struct server_map *map, const struct addr *addr)
{
    for (size_t i = 0; i < map->server_count; i++)
        if (service_server_has(&map->servers[i], addr))
            return (int32_t)i;
    return QUORUM_NO_CANDIDATE;
}

int32_t server_map_lookup(const struct server_map *map, const struct addr *addr)
{
    int32_t server = lookup_server(map, addr);

    if (server != QUORUM_NO_CANDIDATE || map->strangers == NULL)
        return server;
    for (size_t i = 0; i < map->places; i++)
        if (addr_equals(&map->strangers[i], addr))
            return (int32_t)(map->server_count + i);
    return QUORUM_NO_CANDIDATE;
}

int32_t server_map_find(struct server_map *map, const struct addr *addr,
                        bool (*is_referred)(const void *context, int32_t candidate), const void *context)
{
    int32_t base = (int32_t)map->server_count;
    int32_t known = server_map_lookup(map, addr);

    if (known != QUORUM_NO_CANDIDATE)
        return known;
    if (map->strangers == NULL)
        map->strangers = calloc(map->places, sizeof(*map->strangers));
    if (map->strangers == NULL)
        return QUORUM_NO_CANDIDATE;
    for (int32_t i = 0; i < (int32_t)map->places; i++)
        if (!is_referred(context, base + i)) {
            map->strangers[i] = *addr;
            return base + i;
        }
    return QUORUM_NO_CANDIDATE;
}

int32_t server_map_match(const struct server_map *map, const struct server_map *other, int32_t candidate)
{
    if (!server_map_is_mapped(other, candidate)) {
        const struct addr *stranger = server_map_addr(other, candidate);
        return stranger != NULL ? server_map_lookup(map, stranger) : QUORUM_NO_CANDIDATE;
    }
    const struct service_server *server = &other->servers[candidate];
    int32_t match = server_map_lookup(map, &server->addr);
    for (size_t i = 0; match == QUORUM_NO_CANDIDATE && i < server->alias_count; i++)
        match = server_map_lookup(map, &server->aliases[i]);
    return match;
}

const struct addr *server_map_addr(const struct server_map *map, int32_t candidate)
{
    if (candidate == QUORUM_NO_CANDIDATE)
        return NULL;
    if (server_map_is_mapped(map, candidate))
        return &map->servers[candidate].addr;
    return &map->strangers[(size_t)candidate - map->server_count];
}

const char *server_map_server(const struct server_map *map, int32_t candidate)
{
    return server_map_is_mapped(map, candidate) ? map->servers[candidate].name : NULL;
}

bool server_map_is_mapped(const struct server_map *map, int32_t candidate)
{
    return candidate != QUORUM_NO_CANDIDATE && (size_t)candidate < map->server_count;
}
