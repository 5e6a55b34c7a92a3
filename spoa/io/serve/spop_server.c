#include "spoa/io/serve/spop_server.h"

#include <stdlib.h>

#include "spoa/core/base/container_of.h"
#include "spoa/io/net/acceptor.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/serve/spop_connection.h"
#include "spoa/io/serve/spop_context.h"

struct spop_server {
    struct spop_context context; /* what all connections share */
    spop_server_drained_fn drained;
    void *drained_context;
};

static void tell_drained(struct spop_server *server)
{
    spop_server_drained_fn drained = server->drained;

    server->drained = NULL;
    if (drained != NULL)
        drained(server->drained_context);
}

static void connection_gone(struct spop_context *context)
{
    struct spop_server *server = container_of(context, struct spop_server, context);

    if (context->connections == NULL && context->draining)
        tell_drained(server);
}

struct spop_server *spop_server_create(struct ev_loop *loop, struct service_table *table,
                                       struct metrics *metrics)
{
    struct spop_server *server = calloc(1, sizeof(*server));

    if (server == NULL)
        return NULL;
    if (!spop_context_init(&server->context, loop, table, metrics, connection_gone)) {
        free(server);
        return NULL;
    }
    return server;
}

void spop_server_destroy(struct spop_server *server)
{
    if (server == NULL)
        return;
    server->drained = NULL;
    while (server->context.connections != NULL)
        spop_connection_close(server->context.connections);
    spop_context_finish(&server->context);
    free(server);
}

bool spop_server_take(void *context, int fd, const struct acceptor_peer *peer)
{
    struct spop_server *server = context;

    return spop_connection_open(&server->context, fd, peer->tls);
}

void spop_server_limit(struct spop_server *server, size_t connections_max, unsigned idle_timeout_ms)
{
    server->context.connections_max = connections_max;
    server->context.idle_timeout_s = idle_timeout_ms / 1000.0;
}

/* The next connection of a walk; NULL at its end. Any connection may be closed before the next call. */
static struct spop_connection *walk_on(struct spop_context *context)
{
    struct spop_connection *connection = context->visited_next;

    if (connection != NULL)
        context->visited_next = spop_connection_next(connection);
    return connection;
}

void spop_server_drain(struct spop_server *server, spop_server_drained_fn drained, void *context)
{
    struct spop_connection *connection;

    server->context.draining = true;
    server->drained = drained;
    server->drained_context = context;
    server->context.visited_next = server->context.connections;
    while ((connection = walk_on(&server->context)) != NULL)
        spop_connection_drain(connection);
    connection_gone(&server->context);
}

bool spop_server_adopt(struct spop_server *server, int fd, uint32_t frame_size)
{
    return spop_connection_adopt(&server->context, fd, frame_size);
}

void spop_server_give(struct spop_server *server, spop_give_fn give, void *context)
{
    struct spop_connection *connection;

    server->context.visited_next = server->context.connections;
    while ((connection = walk_on(&server->context)) != NULL)
        spop_connection_give(connection, give, context);
}

void spop_server_wake(struct spop_server *server)
{
    spop_context_wake(&server->context);
}

size_t spop_server_connections(const struct spop_server *server)
{
    return server->context.connection_count;
}
