#include "spoa/core/decision/server_map.h"

#include <stdlib.h>

#include "spoa/core/decision/quorum.h"

void candidates_init(struct candidates *candidates, const struct service_server *servers, size_t server_count,
                     size_t places)
{
    *candidates = (struct candidates){.servers = servers, .server_count = server_count, .places = places};
}

void candidates_finish(struct candidates *candidates)
{
    free(candidates->strangers);
}

static int32_t lookup_server(const struct candidates *candidates, const struct addr *addr)
{
    for (size_t i = 0; i < candidates->server_count; i++)
        if (addr_equals(&candidates->servers[i].addr, addr))
            return (int32_t)i;
    return QUORUM_NO_CANDIDATE;
}

int32_t candidates_lookup(const struct candidates *candidates, const struct addr *addr)
{
    int32_t server = lookup_server(candidates, addr);

    if (server != QUORUM_NO_CANDIDATE || candidates->strangers == NULL)
        return server;
    for (size_t i = 0; i < candidates->places; i++)
        if (addr_equals(&candidates->strangers[i], addr))
            return (int32_t)(candidates->server_count + i);
    return QUORUM_NO_CANDIDATE;
}

int32_t candidates_find(struct candidates *candidates, const struct addr *addr,
                        bool (*is_referred)(const void *context, int32_t candidate), const void *context)
{
    int32_t base = (int32_t)candidates->server_count;
    int32_t known = candidates_lookup(candidates, addr);

    if (known != QUORUM_NO_CANDIDATE)
        return known;
    if (candidates->strangers == NULL)
        candidates->strangers = calloc(candidates->places, sizeof(*candidates->strangers));
    if (candidates->strangers == NULL)
        return QUORUM_NO_CANDIDATE;
    for (int32_t i = 0; i < (int32_t)candidates->places; i++)
        if (!is_referred(context, base + i)) {
            candidates->strangers[i] = *addr;
            return base + i;
        }
    return QUORUM_NO_CANDIDATE;
}

const struct addr *candidates_addr(const struct candidates *candidates, int32_t candidate)
{
    if (candidate == QUORUM_NO_CANDIDATE)
        return NULL;
    if (candidates_is_mapped(candidates, candidate))
        return &candidates->servers[candidate].addr;
    return &candidates->strangers[(size_t)candidate - candidates->server_count];
}

const char *candidates_server(const struct candidates *candidates, int32_t candidate)
{
    return candidates_is_mapped(candidates, candidate) ? candidates->servers[candidate].name : NULL;
}

bool candidates_is_mapped(const struct candidates *candidates, int32_t candidate)
{
    return candidate != QUORUM_NO_CANDIDATE && (size_t)candidate < candidates->server_count;
}
