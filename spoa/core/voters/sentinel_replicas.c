#include "spoa/core/voters/sentinel_replicas.h"

#include "spoa/core/voters/sentinel_reply.h"

/* Of several strangers, keeps the one whose text is the first: so it is the same with every poll. */
static void keep_first(const struct addr *addr, struct addr *kept, const struct addr **ret_stranger)
{
    char text[ADDR_TEXT_MAX];
    char kept_text[ADDR_TEXT_MAX];

    if (*ret_stranger != NULL && strcmp(addr_format(addr, text), addr_format(kept, kept_text)) >= 0)
        return;
    *kept = *addr;
    *ret_stranger = kept;
}

/*
 * The server follows an address that the map lacks. Nobody knows whether that is the master or another node.
 */
static void note_leader(const struct service *service, int server, const struct addr *leader,
                        struct sentinel_replicas *replicas)
{
    if (service_find_server(service, leader) != -1 || replicas->strangers.leader != NULL)
        return;
    replicas->leader = *leader;
    replicas->strangers.leader = &replicas->leader;
    replicas->strangers.follower = server;
}

static void take_replica(const struct service *service, const struct addr *master,
                         const struct sentinel_replica *replica, struct sentinel_replicas *replicas)
{
    int server = service_find_server(service, &replica->addr);

    if (server == -1 && replica->is_eligible && !service_settings(service)->allow_any_address)
        keep_first(&replica->addr, &replicas->node, &replicas->strangers.node);
    if (server == -1 || !replica->is_up)
        return;
    if (service_is_same_node(service, &replica->master, master))
        replicas->up |= (uint64_t)1 << server;
    else if (service_settings(service)->replicas.is_enabled)
        note_leader(service, server, &replica->master, replicas);
}

void sentinel_replicas_read(const struct service *service, const struct addr *master,
                            const struct reply *reply, struct sentinel_replicas *ret_replicas)
{
    struct sentinel_replica replica;

    ret_replicas->up = 0;
    ret_replicas->strangers = (struct service_strangers){.node = NULL};
    for (size_t i = 0; i < reply->count; i++)
        if (sentinel_reply_read_replica(&reply->elements[i], &replica) == REPLY_READ_OK)
            take_replica(service, master, &replica, ret_replicas);
}
