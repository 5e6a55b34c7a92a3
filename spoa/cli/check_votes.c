#include "spoa/cli/check_votes.h"

#include <stdio.h>
#include <string.h>

#include "proto/addr.h"
#include "proto/span.h"
#include "spoa/cli/redis_client.h"
#include "spoa/core/config/config.h"

#define RUN_ID "run_id:"

redisReply *check_ask_identity(struct redis_client *ask, enum voter_source source,
                               char ret_id[CHECK_ID_LEN + 1])
{
    static const char *const commands[][3] = {
        [VOTER_SOURCE_SENTINEL] = {"SENTINEL", "MYID", NULL},
        [VOTER_SOURCE_REPLICATION] = {"INFO", "server", NULL},
        [VOTER_SOURCE_CLUSTER] = {"CLUSTER", "MYID", NULL},
    };
    redisReply *reply = redis_client_ask(ask, commands[source]);

    ret_id[0] = '\0';
    if (reply == NULL || (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_STATUS))
        return reply;
    const char *id = reply->str;
    if (source == VOTER_SOURCE_REPLICATION) {
        const char *line = strstr(reply->str, RUN_ID);
        id = line != NULL ? line + strlen(RUN_ID) : "";
    }
    if (strlen(id) >= CHECK_ID_LEN) {
        memcpy(ret_id, id, CHECK_ID_LEN);
        ret_id[CHECK_ID_LEN] = '\0';
    }
    return reply;
}

/* Host and port, the latter a text or a number. */
static bool read_addr(const redisReply *host, const redisReply *port, struct addr *ret_addr)
{
    char text[16] = "";

    if (host->type != REDIS_REPLY_STRING)
        return false;
    if (port->type == REDIS_REPLY_INTEGER)
        (void)snprintf(text, sizeof(text), "%lld", port->integer);
    const char *number = port->type == REDIS_REPLY_STRING ? port->str : text;
    return addr_from_parts(span_of_text(host->str), span_of_text(number), ret_addr);
}

static bool is_array(const redisReply *reply, size_t least)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements >= least;
}

static bool read_role(const redisReply *reply, const struct addr *self, struct addr *ret_addr)
{
    if (!is_array(reply, 3) || reply->element[0]->type != REDIS_REPLY_STRING)
        return false;
    *ret_addr = *self;
    return strcmp(reply->element[0]->str, "master") == 0 ||
           (strcmp(reply->element[0]->str, "slave") == 0 &&
            read_addr(reply->element[1], reply->element[2], ret_addr));
}

static bool read_slots(const redisReply *reply, long long slot, struct addr *ret_addr)
{
    for (size_t i = 0; is_array(reply, 0) && i < reply->elements; i++) {
        const redisReply *range = reply->element[i];
        if (is_array(range, 3) && range->element[0]->type == REDIS_REPLY_INTEGER &&
            range->element[1]->type == REDIS_REPLY_INTEGER && range->element[0]->integer <= slot &&
            slot <= range->element[1]->integer && is_array(range->element[2], 2))
            return read_addr(range->element[2]->element[0], range->element[2]->element[1], ret_addr);
    }
    return false;
}

bool check_ask_vote(struct redis_client *ask, enum voter_source source, const struct config_service *service,
                    const struct addr *self, struct addr *ret_addr, redisReply **ret_reply)
{
    const char *const commands[][4] = {
        [VOTER_SOURCE_SENTINEL] = {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", service->monitor, NULL},
        [VOTER_SOURCE_REPLICATION] = {"ROLE", NULL},
        [VOTER_SOURCE_CLUSTER] = {"CLUSTER", "SLOTS", NULL},
    };
    redisReply *reply = redis_client_ask(ask, commands[source]);

    *ret_reply = reply;
    if (reply == NULL)
        return false;
    switch (source) {
    case VOTER_SOURCE_REPLICATION:
        return read_role(reply, self, ret_addr);
    case VOTER_SOURCE_CLUSTER:
        return read_slots(reply, service->slot.number, ret_addr);
    case VOTER_SOURCE_SENTINEL:
        break;
    }
    return is_array(reply, 2) && read_addr(reply->element[0], reply->element[1], ret_addr);
}
