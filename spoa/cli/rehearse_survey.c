/* The part of `rehearse` that asks whether a failover is possible, before anything is done. */
#include <stdio.h>
#include <string.h>

#include "spoa/cli/rehearse_state.h"
#include "spoa/core/config/config.h"
#include "spoa/core/decision/server_map.h"
#include "spoa/core/redis/reply.h"
#include "spoa/core/voters/node_reply.h"
#include "spoa/core/voters/sentinel_reply.h"

/* Says why nothing is done. `error` are the words of whom it is about, or NULL. */
static bool refuse(const char *who, const char *why, const char *error)
{
    fprintf(stderr, "no rehearsal: %s %s%s%s\n", who, why, error != NULL ? ": " : "",
            error != NULL ? error : "");
    return false;
}

static bool refuse_reply(const char *who, const char *why, const struct redis_client *client,
                         const struct reply *reply)
{
    char error[REHEARSE_ERROR_MAX];

    rehearse_copy_error(client, reply, error);
    return refuse(who, why, error);
}

/* ---- Sentinels ---- */

/* All must name the same master, which a server has. */
static bool ask_master(struct rehearse *rehearse, struct redis_client *client, const char *name)
{
    const char *const words[] = {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", rehearse->service->monitor, NULL};
    const struct reply *reply = redis_client_ask(client, words);
    struct addr addr;

    if (reply == NULL || reply->kind == REPLY_ERROR)
        return refuse_reply(name, "does not say who is the master", client, reply);
    if (sentinel_reply_read_master(reply, &addr) != REPLY_READ_OK)
        return refuse(name, "knows no master called", rehearse->service->monitor);
    int server = rehearse_find_server(rehearse, &addr);
    char text[ADDR_TEXT_MAX];
    if (server == REHEARSAL_NOBODY)
        return refuse(name, "names an address that no 'server' has", addr_format(&addr, text));
    if (rehearse->old != REHEARSAL_NOBODY && rehearse->old != server)
        return refuse(name, "names another master than the others", addr_format(&addr, text));
    rehearse->old = server;
    return true;
}

static bool ask_quorum(const struct rehearse *rehearse, struct redis_client *client, const char *name)
{
    const char *const words[] = {"SENTINEL", "CKQUORUM", rehearse->service->monitor, NULL};
    const struct reply *reply = redis_client_ask(client, words);

    if (reply == NULL || reply->kind != REPLY_TEXT)
        return refuse_reply(name, "says that no failover is possible (SENTINEL CKQUORUM)", client, reply);
    return true;
}

/* Counts those that this Sentinel may promote. */
static bool ask_replicas(struct rehearse *rehearse, struct redis_client *client, const char *name)
{
    const char *const words[] = {"SENTINEL", "REPLICAS", rehearse->service->monitor, NULL};
    const struct reply *reply = redis_client_ask(client, words);
    struct sentinel_replica replica;
    char text[ADDR_TEXT_MAX];

    if (reply == NULL || reply->kind != REPLY_ARRAY)
        return refuse_reply(name, "does not list the replicas", client, reply);
    rehearse->heirs = 0;
    for (size_t i = 0; i < reply->count; i++) {
        if (sentinel_reply_read_replica(&reply->elements[i], &replica) != REPLY_READ_OK ||
            !replica.is_eligible || !replica.is_up)
            continue;
        if (rehearse_find_server(rehearse, &replica.addr) == REHEARSAL_NOBODY)
            return refuse(name, "may promote an address that no 'server' has",
                          addr_format(&replica.addr, text));
        rehearse->heirs++;
    }
    return rehearse->heirs > 0 || refuse(name, "knows of no good replica that it could promote", NULL);
}

static bool ask_sentinels(struct rehearse *rehearse)
{
    char name[ADDR_TEXT_MAX + sizeof("the Sentinel ")];
    char text[ADDR_TEXT_MAX];

    redis_client_open_all(rehearse->sentinels, rehearse->group->address_count);
    for (size_t i = 0; i < rehearse->group->address_count; i++) {
        struct redis_client *client = &rehearse->sentinels[i].client;
        (void)snprintf(name, sizeof(name), "the Sentinel %s", addr_format(rehearse->sentinels[i].addr, text));
        if (client->parser == NULL || client->wants_password)
            return refuse(name, "does not answer", client->error);
        if (!ask_master(rehearse, client, name) || !ask_quorum(rehearse, client, name) ||
            !ask_replicas(rehearse, client, name))
            return false;
    }
    return true;
}

/* ---- nodes ---- */

static void note_run_id(struct rehearse *rehearse, int server, const struct reply *reply)
{
    struct span id;

    if (reply != NULL && node_reply_read_run_id(reply, &id) == REPLY_READ_OK)
        (void)snprintf(rehearse->run_ids[server], sizeof(rehearse->run_ids[server]), "%.*s", (int)id.len,
                       (const char *)id.data);
}

/* The master must say so itself. Who does not answer of the others is known by no run ID, and cannot be promoted. */
static bool ask_node(struct rehearse *rehearse, int server)
{
    static const char *const info[] = {"INFO", "server", NULL};
    static const char *const role[] = {"ROLE", NULL};
    const char *name = rehearse->names[server];
    struct redis_client client = rehearse_open_node(rehearse, server);
    const struct reply *reply = redis_client_ask(&client, info);
    bool is_good = true;

    note_run_id(rehearse, server, reply);
    if (reply != NULL && rehearse->run_ids[server][0] == '\0')
        is_good = refuse_reply(name, "does not tell its run ID (INFO server)", &client, reply);
    if (is_good && server == rehearse->old) {
        reply = redis_client_ask(&client, role);
        if (reply == NULL || reply->kind == REPLY_ERROR)
            is_good = refuse_reply(name, "cannot be asked for its role", &client, reply);
        else if (node_reply_role(reply) != NODE_ROLE_MASTER)
            is_good = refuse(name, "is named, and says that it is no master", NULL);
    }
    redis_client_close(&client);
    return is_good;
}

static bool ask_nodes(struct rehearse *rehearse)
{
    for (size_t i = 0; i < rehearse->service->server_count; i++)
        if (!ask_node(rehearse, (int)i))
            return false;
    return true;
}

/* HAProxy must lead to the master now. */
static bool ask_through(const struct rehearse *rehearse)
{
    char error[REHEARSE_ERROR_MAX];
    struct redis_client client = rehearse_open_through(rehearse);
    int server = rehearse_identify(rehearse, &client, error);

    redis_client_close(&client);
    if (error[0] != '\0')
        return refuse("HAProxy", "gives no connection to the master", error);
    if (server == REHEARSAL_NOBODY)
        return refuse("HAProxy", "leads to a node that is no server of the service: is --through right?",
                      NULL);
    return server == rehearse->old ||
           refuse("HAProxy", "leads to a node that is not the master", rehearse->names[server]);
}

bool rehearse_survey(struct rehearse *rehearse)
{
    return ask_sentinels(rehearse) && ask_nodes(rehearse) && ask_through(rehearse);
}
