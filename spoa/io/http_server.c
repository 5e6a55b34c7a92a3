#include "spoa/io/http_server.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/core/log.h"
#include "spoa/core/web.h"
#include "spoa/io/loop.h"

/* Of one address: scrapers, health checks and a few people. */
#define CONNECTIONS_MAX 64U
#define CONNECTION_MEMORY ((size_t)16 * 1024)
/* A connection that says nothing for so long, in the middle of a request or between two, is closed. */
#define CONNECTION_TIMEOUT_S 5U

/* A daemon of libmicrohttpd: one listening address. */
struct http_listener {
    ev_io ready;
    ev_timer timeout;
    struct http_server *server;
    struct MHD_Daemon *daemon;
    struct addr wanted;
    struct listen_socket listening;
    struct http_listener *next;
};

struct http_server {
    struct ev_loop *loop;
    http_status_fn status;
    void *context;
    struct http_listener *listeners;
};

/* ---- one request ---- */

static struct MHD_Response *make_response(struct web_answer *answer)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer->page.len, answer->page.text, MHD_RESPMEM_MUST_FREE);

    if (response == NULL)
        return NULL;
    answer->page = (struct page){.text = NULL};
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (answer->is_methods_allowed)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, WEB_ALLOW);
    return response;
}

static enum MHD_Result answer_request(struct http_server *server, struct MHD_Connection *connection,
                                      const char *path, const char *method)
{
    struct web_request request = {
        .method = method,
        .path = path,
        .accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT),
    };
    struct status status;
    struct web_answer answer;

    server->status(server->context, &status);
    web_respond(&status, &request, &answer);
    struct MHD_Response *response = make_response(&answer);
    page_finish(&answer.page);
    if (response == NULL)
        return MHD_NO;
    enum MHD_Result result = MHD_queue_response(connection, answer.code, response);
    MHD_destroy_response(response);
    return result;
}

/* Called with the headers, for each piece of a body, and at its end. Bodies are read and dropped. */
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

/* ---- the loop ---- */

static void run(struct http_listener *listener)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;

    MHD_run(listener->daemon);
    if (MHD_get_timeout(listener->daemon, &wait_ms) == MHD_YES) {
        ev_timer_stop(listener->server->loop, &listener->timeout);
        ev_timer_set(&listener->timeout, (double)wait_ms / 1000.0, 0.0);
        ev_timer_start(listener->server->loop, &listener->timeout);
    } else {
        ev_timer_stop(listener->server->loop, &listener->timeout);
    }
}

static void on_ready(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    run(container_of(watcher, struct http_listener, ready));
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    run(container_of(timer, struct http_listener, timeout));
}

static bool start_daemon(struct http_listener *listener)
{
    listener->daemon = MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, on_request, listener->server, MHD_OPTION_LISTEN_SOCKET,
        listener->listening.fd, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        CONNECTION_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_END);
    if (listener->daemon == NULL)
        return false;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL)
        return false;
    ev_io_init(&listener->ready, on_ready, info->epoll_fd, EV_READ);
    ev_io_start(listener->server->loop, &listener->ready);
    return true;
}

static void close_listener(struct http_listener *listener)
{
    struct ev_loop *loop = listener->server->loop;

    ev_io_stop(loop, &listener->ready);
    ev_timer_stop(loop, &listener->timeout);
    if (listener->daemon != NULL) {
        /* It would close the socket, which is ours. */
        (void)MHD_quiesce_daemon(listener->daemon);
        MHD_stop_daemon(listener->daemon);
    }
    listen_socket_close(&listener->listening);
    free(listener);
}

int http_server_listen(struct http_server *server, const struct listen_socket_options *options,
                       char error[LISTEN_SOCKET_ERROR_MAX])
{
    char text[ADDR_TEXT_MAX];

    for (const struct http_listener *one = server->listeners; one != NULL; one = one->next)
        if (addr_equals(&one->wanted, options->addr) || addr_equals(&one->listening.addr, options->addr))
            return 0;
    struct http_listener *listener = calloc(1, sizeof(*listener));
    if (listener == NULL) {
        (void)snprintf(error, LISTEN_SOCKET_ERROR_MAX, "out of memory");
        return -1;
    }
    listener->server = server;
    listener->wanted = *options->addr;
    ev_io_init(&listener->ready, on_ready, -1, EV_READ);
    ev_timer_init(&listener->timeout, on_timeout, 0.0, 0.0);
    if (listen_socket_open(options, &listener->listening, error) == -1) {
        free(listener);
        return -1;
    }
    if (!start_daemon(listener)) {
        (void)snprintf(error, LISTEN_SOCKET_ERROR_MAX, "libmicrohttpd does not start on %s",
                       addr_format(options->addr, text));
        close_listener(listener);
        return -1;
    }
    listener->next = server->listeners;
    server->listeners = listener;
    log_event(LOG_LEVEL_INFO, "listening", log_text("protocol", "http"),
              log_text("address", addr_format(&listener->listening.addr, text)));
    return 0;
}

static bool is_wanted(const struct http_listener *listener, const struct config_listens *wanted)
{
    for (size_t i = 0; i < wanted->count; i++)
        if (addr_equals(&listener->wanted, &wanted->list[i].addr) ||
            addr_equals(&listener->listening.addr, &wanted->list[i].addr))
            return true;
    return false;
}

void http_server_keep(struct http_server *server, const struct config_listens *wanted)
{
    struct http_listener **link = &server->listeners;

    while (*link != NULL) {
        struct http_listener *listener = *link;
        if (is_wanted(listener, wanted)) {
            link = &listener->next;
        } else {
            *link = listener->next;
            close_listener(listener);
        }
    }
}

struct http_server *http_server_create(struct ev_loop *loop, http_status_fn status, void *context)
{
    struct http_server *server = calloc(1, sizeof(*server));

    if (server == NULL)
        return NULL;
    server->loop = loop;
    server->status = status;
    server->context = context;
    return server;
}

void http_server_destroy(struct http_server *server)
{
    static const struct config_listens nothing;

    if (server == NULL)
        return;
    http_server_keep(server, &nothing);
    free(server);
}
