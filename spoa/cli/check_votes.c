#include "spoa/cli/check_votes.h"

#include <stddef.h>
#include <string.h>

#include "proto/addr.h"
#include "spoa/cli/redis_client.h"
#include "spoa/core/config/config.h"
#include "spoa/core/redis/redis_id.h"
#include "spoa/core/redis/reply.h"
#include "spoa/core/voters/node_reply.h"
#include "spoa/core/voters/sentinel_reply.h"
#include "spoa/io/redis/reply_parser.h"

/* Reads the identity as the agent does. Empty if there is none. */
static struct span read_identity(enum voter_source source, const struct reply *reply)
{
    struct span id = span_of("", 0);

    if (source == VOTER_SOURCE_REPLICATION)
        (void)node_reply_read_run_id(reply, &id);
    else if (reply->kind == REPLY_TEXT && redis_is_id(reply->text))
        id = reply->text;
    return id;
}

const struct reply *check_ask_identity(struct redis_client *client, enum voter_source source,
                                       char ret_id[CHECK_ID_LEN + 1])
{
    static const char *const commands[][3] = {
        [VOTER_SOURCE_SENTINEL] = {"SENTINEL", "MYID", NULL},
        [VOTER_SOURCE_REPLICATION] = {"INFO", "server", NULL},
        [VOTER_SOURCE_CLUSTER] = {"CLUSTER", "MYID", NULL},
    };
    const struct reply *reply = redis_client_ask(client, commands[source]);

    ret_id[0] = '\0';
    if (reply == NULL)
        return NULL;
    struct span id = read_identity(source, reply);
    if (id.len == CHECK_ID_LEN) {
        memcpy(ret_id, id.data, CHECK_ID_LEN);
        ret_id[CHECK_ID_LEN] = '\0';
    }
    return reply;
}

/* Reads the vote as the agent does. */
static bool read_vote(enum voter_source source, const struct reply *reply, unsigned slot,
                      const struct addr *self, struct addr *ret_addr)
{
    bool is_self;

    switch (source) {
    case VOTER_SOURCE_REPLICATION:
        return node_reply_read_role(reply, self, ret_addr, &is_self) == REPLY_READ_OK;
    case VOTER_SOURCE_CLUSTER:
        return node_reply_read_owner(reply, slot, self, ret_addr) == REPLY_READ_OK;
    case VOTER_SOURCE_SENTINEL:
        break;
    }
    return sentinel_reply_read_master(reply, ret_addr) == REPLY_READ_OK;
}

const char *check_why_no_identity(enum voter_source source)
{
    return source == VOTER_SOURCE_REPLICATION
               ? "INFO has no run_id, as with Dragonfly. Such a server cannot vote; Sentinels can, for it"
               : "no identity";
}

const char *check_why_no_vote(enum voter_source source, const struct reply *reply)
{
    if (source == VOTER_SOURCE_REPLICATION && node_reply_role(reply) == NODE_ROLE_UNKNOWN)
        return node_reply_role_meaning(reply);
    if (source == VOTER_SOURCE_CLUSTER && reply->kind == REPLY_ARRAY && reply->count > 0)
        return "the slot's owner has no address, or a host that is not known ('?'): set "
               "cluster-announce-hostname";
    return "no master in its reply";
}

struct wanted_slots {
    uint64_t bits[NODE_REPLY_SLOTS / 64];
};

static bool keeps_slot(void *context, const struct reply *element)
{
    const struct wanted_slots *wanted = context;

    return node_reply_needs_range(element, wanted->bits);
}

bool check_ask_vote(struct redis_client *client, enum voter_source source,
                    const struct config_service *service, const struct addr *self, struct addr *ret_addr,
                    const struct reply **ret_reply)
{
    const char *const commands[][4] = {
        [VOTER_SOURCE_SENTINEL] = {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", service->monitor, NULL},
        [VOTER_SOURCE_REPLICATION] = {"ROLE", NULL},
        [VOTER_SOURCE_CLUSTER] = {"CLUSTER", "SLOTS", NULL},
    };
    struct wanted_slots wanted = {.bits = {0}};
    const struct reply_filter none = {.keeps = NULL};
    const struct reply_filter filter = {.keeps = keeps_slot, .context = &wanted};

    wanted.bits[service->slot.number / 64] = (uint64_t)1 << service->slot.number % 64;
    if (source == VOTER_SOURCE_CLUSTER)
        redis_client_filter(client, &filter);
    const struct reply *reply = redis_client_ask(client, commands[source]);
    redis_client_filter(client, &none);
    *ret_reply = reply;
    return reply != NULL && read_vote(source, reply, service->slot.number, self, ret_addr);
}
