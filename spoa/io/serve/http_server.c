#include "spoa/io/serve/http_server.h"

#include <microhttpd.h>
#include <stdlib.h>

#include "spoa/core/base/container_of.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/status/http_routes.h"
#include "spoa/core/status/status.h"
#include "spoa/io/net/acceptor.h"
#include "spoa/io/net/loop.h"

/* Enough for scrapers, health checks and a few people. */
#define CONNECTIONS_MAX 64U
#define CONNECTION_MEMORY ((size_t)16 * 1024)
/* A connection without input for this time, s, is closed, in the middle of a request or between two. */
#define CONNECTION_TIMEOUT_S 5U

struct http_server {
    struct ev_loop *loop;
    http_status_fn status;
    void *context;
    struct metrics *metrics;
    /* We accept the connections ourselves: libmicrohttpd's accept() spins if descriptors run out. */
    struct MHD_Daemon *daemon;
    ev_io ready;
    ev_timer timeout;
    bool is_limited; /* the connection that is being added, see acceptor_protocol */
};

/* The context of a connection that is limited; of others it is NULL. */
static char limited;

/* ---- one request ---- */

static struct MHD_Response *make_response(struct http_answer *answer)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer->body.len, answer->body.data, MHD_RESPMEM_MUST_FREE);

    if (response == NULL)
        return NULL;
    answer->body = (struct text){.data = NULL};
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (answer->is_methods_allowed)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, HTTP_ALLOW);
    return response;
}

static bool is_limited(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info == NULL || info->socket_context == &limited;
}

static enum MHD_Result answer_request(struct http_server *server, struct MHD_Connection *connection,
                                      const char *path, const char *method)
{
    struct http_request request = {
        .method = method,
        .path = path,
        .accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT),
        .is_limited = is_limited(connection),
    };
    struct status status;
    struct http_answer answer;

    server->status(server->context, &status);
    http_respond(&status, &request, &answer);
    struct MHD_Response *response = make_response(&answer);
    text_finish(&answer.body);
    if (response == NULL)
        return MHD_NO;
    enum MHD_Result result = MHD_queue_response(connection, answer.code, response);
    MHD_destroy_response(response);
    return result;
}

/* Called with the headers, for each piece of a body, and at its end. Bodies are ignored. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *body, size_t *body_len,
                                  void **state)
{
    static char is_begun;

    (void)version;
    (void)body;
    if (*state == NULL) {
        *state = &is_begun;
        return MHD_YES;
    }
    if (*body_len > 0) {
        *body_len = 0;
        return MHD_YES;
    }
    return answer_request(context, connection, path, method);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    const struct http_server *server = context;

    (void)connection;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *socket_context = server->is_limited ? &limited : NULL;
}

/* ---- the loop ---- */

static void run(struct http_server *server)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;

    MHD_run(server->daemon);
    ev_timer_stop(server->loop, &server->timeout);
    if (MHD_get_timeout(server->daemon, &wait_ms) != MHD_YES)
        return;
    ev_timer_set(&server->timeout, (double)wait_ms / 1000.0, 0.0);
    ev_timer_start(server->loop, &server->timeout);
}

static void on_ready(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    run(container_of(watcher, struct http_server, ready));
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    run(container_of(timer, struct http_server, timeout));
}

/* If libmicrohttpd refuses a connection (too many), it closes it. */
bool http_server_take(void *context, int fd, const struct acceptor_peer *peer)
{
    struct http_server *server = context;

    server->is_limited = peer->is_limited;
    if (MHD_add_connection(server->daemon, fd, (const struct sockaddr *)&peer->addr, peer->len) != MHD_YES)
        server->metrics->refused_total++;
    run(server);
    return true;
}

static bool start_daemon(struct http_server *server)
{
    server->daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, on_request, server,
                         MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_CONNECTION_LIMIT,
                         CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_TIMEOUT_S,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_END);
    if (server->daemon == NULL)
        return false;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL)
        return false;
    ev_io_set(&server->ready, info->epoll_fd, EV_READ);
    ev_io_start(server->loop, &server->ready);
    return true;
}

struct http_server *http_server_create(struct ev_loop *loop, http_status_fn status, void *context,
                                       struct metrics *metrics)
{
    struct http_server *server = calloc(1, sizeof(*server));

    if (server == NULL)
        return NULL;
    server->loop = loop;
    server->status = status;
    server->context = context;
    server->metrics = metrics;
    ev_io_init(&server->ready, on_ready, -1, EV_READ);
    ev_timer_init(&server->timeout, on_timeout, 0.0, 0.0);
    if (!start_daemon(server)) {
        http_server_destroy(server);
        return NULL;
    }
    return server;
}

void http_server_destroy(struct http_server *server)
{
    if (server == NULL)
        return;
    ev_io_stop(server->loop, &server->ready);
    ev_timer_stop(server->loop, &server->timeout);
    if (server->daemon != NULL)
        MHD_stop_daemon(server->daemon);
    free(server);
}
