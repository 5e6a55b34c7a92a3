#include "spoa/io/spop_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/core/log.h"
#include "spoa/io/loop.h"
#include "spoa/io/spop_connection.h"

/* Connections taken per wake-up, so that a burst does not keep the others waiting. */
#define ACCEPT_BATCH 64
/* Pause after accept() ran out of descriptors or memory, s: trying at once again would only spin. */
#define ACCEPT_PAUSE_S 0.1

struct spop_listener {
    ev_io acceptable;
    ev_timer resume;
    struct listen_socket listening;
    struct spop_server *server;
    struct spop_listener *next;
};

struct spop_server {
    struct ev_loop *loop;
    struct spop_context context; /* what all connections share */
    struct spop_listener *listeners;
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
    server->loop = loop;
    if (!spop_context_init(&server->context, loop, table, metrics, connection_gone)) {
        free(server);
        return NULL;
    }
    return server;
}

static void close_listeners(struct spop_server *server)
{
    while (server->listeners != NULL) {
        struct spop_listener *listener = server->listeners;
        server->listeners = listener->next;
        ev_io_stop(server->loop, &listener->acceptable);
        ev_timer_stop(server->loop, &listener->resume);
        listen_socket_close(&listener->listening);
        free(listener);
    }
}

void spop_server_destroy(struct spop_server *server)
{
    if (server == NULL)
        return;
    server->drained = NULL;
    close_listeners(server);
    while (server->context.connections != NULL)
        spop_connection_close(server->context.connections);
    spop_context_finish(&server->context);
    free(server);
}

static void pause_accepting(struct spop_listener *listener, int code)
{
    struct ev_loop *loop = listener->server->loop;

    log_event(LOG_LEVEL_ERROR, "accept-failed", log_text("error", strerror(code)),
              log_number("connections", (int64_t)listener->server->context.connection_count));
    ev_io_stop(loop, &listener->acceptable);
    ev_timer_set(&listener->resume, ACCEPT_PAUSE_S, 0.0);
    ev_timer_start(loop, &listener->resume);
}

static void on_resume(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct spop_listener *listener = container_of(timer, struct spop_listener, resume);

    (void)events;
    ev_io_start(loop, &listener->acceptable);
}

static void on_acceptable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct spop_listener *listener = container_of(watcher, struct spop_listener, acceptable);

    (void)loop;
    (void)events;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int fd = accept4(listener->listening.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        int code = errno;
        if (fd == -1 && (code == ECONNABORTED || code == EINTR))
            continue;
        if (fd == -1) {
            if (code != EAGAIN && code != EWOULDBLOCK)
                pause_accepting(listener, code);
            return;
        }
        if (!spop_connection_open(&listener->server->context, fd)) {
            close(fd);
            pause_accepting(listener, ENOMEM);
            return;
        }
    }
}

int spop_server_listen(struct spop_server *server, const struct listen_socket_options *options,
                       char error[LISTEN_SOCKET_ERROR_MAX])
{
    char text[ADDR_TEXT_MAX];
    struct spop_listener *listener = calloc(1, sizeof(*listener));

    if (listener == NULL) {
        snprintf(error, LISTEN_SOCKET_ERROR_MAX, "out of memory");
        return -1;
    }
    if (listen_socket_open(options, &listener->listening, error) == -1) {
        free(listener);
        return -1;
    }
    listener->server = server;
    listener->next = server->listeners;
    server->listeners = listener;
    ev_io_init(&listener->acceptable, on_acceptable, listener->listening.fd, EV_READ);
    ev_timer_init(&listener->resume, on_resume, ACCEPT_PAUSE_S, 0.0);
    ev_io_start(server->loop, &listener->acceptable);
    log_event(LOG_LEVEL_INFO, "listening", log_text("address", addr_format(&listener->listening.addr, text)));
    return 0;
}

void spop_server_drain(struct spop_server *server, spop_server_drained_fn drained, void *context)
{
    struct spop_connection *next;

    server->context.draining = true;
    server->drained = drained;
    server->drained_context = context;
    close_listeners(server);
    for (struct spop_connection *connection = server->context.connections; connection != NULL;
         connection = next) {
        next = spop_connection_next(connection);
        spop_connection_drain(connection);
    }
    connection_gone(&server->context);
}

void spop_server_wake(struct spop_server *server)
{
    spop_context_wake(&server->context);
}

size_t spop_server_connections(const struct spop_server *server)
{
    return server->context.connection_count;
}
