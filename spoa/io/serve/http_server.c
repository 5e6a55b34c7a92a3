#include "spoa/io/serve/http_server.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "proto/addr.h"
#include "spoa/core/base/container_of.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/status/http_routes.h"
#include "spoa/core/status/status.h"
#include "spoa/io/net/acceptor.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/net/socket_addr.h"
#include "spoa/io/serve/http_pages.h"

/* Enough for scrapers, health checks and a few people. */
#define CLIENTS_MAX 64U
/* So many of them are kept for this host. */
#define LOCAL_KEPT 16U
/* Another host has at most so many. */
#define PER_HOST_MAX 16U
/* An IPv6 host has all addresses of its subnet: it is known by so many bytes. */
#define HOST_BYTES 8U
#define CONNECTION_MEMORY ((size_t)16 * 1024)
/*
 * From the accept, or from the end of the last answer, to the end of a request, s. It is not renewed by what comes
 * meanwhile.
 */
#define REQUEST_TIMEOUT_S 5.0
/* From there until all of the answer is taken, s. Prometheus waits no longer. */
#define ANSWER_TIMEOUT_S 10.0
/* Who has not taken its answer after this time, s, may lose its place to another. */
#define SLOW_S 2.0
/* How many long answers one turn of the loop begins. */
#define ANSWERS_PER_TURN 4
/* One send() of a page: it must not take long. */
#define BLOCK ((size_t)32 * 1024)
/* How much of an answer the kernel may hold. The receiver acknowledges late what is less than a few of the loopback's segments. */
#define SEND_BUFFER (128 * 1024)

struct http_client {
    struct http_server *server;
    struct http_client *next; /* the oldest is the first */
    struct http_client *prev;
    struct MHD_Connection *connection; /* NULL: libmicrohttpd has not taken it yet */
    int fd;
    struct addr addr;
    ev_timer deadline;
    bool owes_request; /* else its answer is due; since: */
    ev_tstamp t_due;
    bool is_over;    /* it is shut down */
    bool closes;     /* the answer is the last one */
    bool is_limited; /* see acceptor_protocol */
    /* Where it waits for a page: the answer without its body, and then the body. */
    struct http_answer answer;
    uint64_t ticket;
    bool is_suspended;
    bool is_written;
    struct http_text *text; /* held; NULL: memory was short */
    char token[];           /* that must be sent; "": none. A copy: it may outlive the configuration */
};

struct http_server {
    struct ev_loop *loop;
    http_status_fn status;
    void *context;
    struct metrics *metrics;
    struct http_pages *pages;
    struct http_client *clients;
    struct http_client *taking; /* libmicrohttpd is about to take it */
    /* We accept the connections ourselves: libmicrohttpd's accept() spins if descriptors run out. */
    struct MHD_Daemon *daemon;
    ev_io ready;
    ev_timer timeout;
    ev_timer begin; /* the answers whose pages are written */
};

static void run(struct http_server *server);

/* ---- clients ---- */

static bool is_same_host(const struct addr *one, const struct addr *other)
{
    return one->kind == other->kind &&
           memcmp(one->ip, other->ip, one->kind == ADDR_IPV6 ? HOST_BYTES : sizeof(one->ip)) == 0;
}

static void set_deadline(struct http_client *client, double wait_s)
{
    struct ev_loop *loop = client->server->loop;

    ev_timer_stop(loop, &client->deadline);
    ev_now_update(loop);
    ev_timer_set(&client->deadline, wait_s, 0.0);
    ev_timer_start(loop, &client->deadline);
}

static void expect_request(struct http_client *client)
{
    client->owes_request = true;
    client->t_due = ev_now(client->server->loop);
    set_deadline(client, REQUEST_TIMEOUT_S);
}

static void expect_taking(struct http_client *client)
{
    client->owes_request = false;
    client->t_due = ev_now(client->server->loop);
    set_deadline(client, ANSWER_TIMEOUT_S);
}

/* It waits for no page any more, and holds none. */
static void forget_page(struct http_client *client)
{
    if (client->text != NULL)
        http_pages_give_back(client->server->pages, client->text);
    client->text = NULL;
    client->is_written = false;
    client->answer.page = HTTP_PAGE_NONE;
}

/* It holds no page: on_completed() is called before. */
static void remove_client(struct http_client *client)
{
    struct http_server *server = client->server;

    ev_timer_stop(server->loop, &client->deadline);
    DL_DELETE(server->clients, client);
    explicit_bzero(client->token, strlen(client->token));
    free(client);
}

static void resume(struct http_client *client)
{
    if (!client->is_suspended)
        return;
    client->is_suspended = false;
    MHD_resume_connection(client->connection);
}

/* libmicrohttpd closes it in the next run(). */
static void shut(struct http_client *client)
{
    client->is_over = true;
    (void)shutdown(client->fd, SHUT_RDWR);
    resume(client);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct http_client *client = container_of(timer, struct http_client, deadline);

    (void)loop;
    (void)events;
    shut(client);
    run(client->server);
}

enum scope { SCOPE_ALL, SCOPE_OTHER_HOSTS, SCOPE_HOST };

static bool is_in(enum scope scope, const struct http_client *client, const struct addr *addr)
{
    switch (scope) {
    case SCOPE_OTHER_HOSTS:
        return !addr_is_loopback(&client->addr);
    case SCOPE_HOST:
        return is_same_host(&client->addr, addr);
    case SCOPE_ALL:
        break;
    }
    return true;
}

static unsigned count_clients(const struct http_server *server, enum scope scope, const struct addr *addr)
{
    const struct http_client *client;
    unsigned count = 0;

    DL_FOREACH (server->clients, client) {
        count += !client->is_over && is_in(scope, client, addr);
    }
    return count;
}

/* How much a client is to go before others, for one from `addr`. */
enum rank { RANK_STAYS, RANK_OF_MANY, RANK_SLOW, RANK_OWES };

static enum rank rank(const struct http_client *client, const struct addr *addr)
{
    struct http_server *server = client->server;

    if (client->owes_request)
        return RANK_OWES;
    if (ev_now(server->loop) - client->t_due > SLOW_S)
        return RANK_SLOW;
    bool has_many =
        count_clients(server, SCOPE_HOST, &client->addr) > count_clients(server, SCOPE_HOST, addr) + 1;
    return has_many ? RANK_OF_MANY : RANK_STAYS;
}

/*
 * Sees to it that fewer than `max` of a scope are there. For that one goes: who owes a request, else who takes its answer
 * slowly, else one of a host that has more places than the host that wants this one; of these the one that has been at it
 * for the longest time. False where there is none.
 */
static bool make_room(struct http_server *server, enum scope scope, const struct addr *addr, unsigned max)
{
    struct http_client *client;
    struct http_client *victim = NULL;
    enum rank highest = RANK_STAYS;

    if (count_clients(server, scope, addr) < max)
        return true;
    DL_FOREACH (server->clients, client) {
        enum rank its_rank = client->is_over || !is_in(scope, client, addr) ? RANK_STAYS : rank(client, addr);
        if (its_rank == RANK_STAYS || its_rank < highest ||
            (its_rank == highest && client->t_due >= victim->t_due))
            continue;
        victim = client;
        highest = its_rank;
    }
    if (victim == NULL)
        return false;
    server->metrics->refused_total++;
    shut(victim);
    return true;
}

static bool has_room_for(struct http_server *server, const struct addr *addr)
{
    if (!addr_is_loopback(addr) && (!make_room(server, SCOPE_HOST, addr, PER_HOST_MAX) ||
                                    !make_room(server, SCOPE_OTHER_HOSTS, addr, CLIENTS_MAX - LOCAL_KEPT)))
        return false;
    return make_room(server, SCOPE_ALL, addr, CLIENTS_MAX);
}

/* NULL where memory is short. */
static struct http_client *add_client(struct http_server *server, int fd, const struct acceptor_peer *peer,
                                      const struct addr *addr)
{
    const int send_buffer = SEND_BUFFER;
    const char *token = peer->token != NULL ? peer->token : "";
    struct http_client *client = calloc(1, sizeof(*client) + strlen(token) + 1);

    if (client == NULL)
        return NULL;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
    client->server = server;
    client->fd = fd;
    client->addr = *addr;
    client->is_limited = peer->is_limited;
    memcpy(client->token, token, strlen(token) + 1);
    ev_timer_init(&client->deadline, on_deadline, 0.0, 0.0);
    DL_APPEND(server->clients, client);
    expect_request(client);
    return client;
}

/* libmicrohttpd has taken a connection, or has closed it. */
static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = server->taking;
        server->taking->connection = connection;
        server->taking = NULL;
    } else {
        remove_client(*socket_context);
    }
}

/* ---- one request ---- */

static enum MHD_Result queue(struct http_client *client, const struct http_answer *answer,
                             struct MHD_Response *response)
{
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (answer->is_methods_allowed)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, HTTP_ALLOW);
    if (answer->is_token_wanted)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (client->closes)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result result = MHD_queue_response(client->connection, answer->code, response);
    MHD_destroy_response(response);
    return result;
}

/* The answer is begun when the page is written. */
static enum MHD_Result wait_for_page(struct http_client *client, const struct http_answer *answer)
{
    client->answer = *answer;
    client->ticket = http_pages_want(client->server->pages, answer->page);
    client->is_suspended = true;
    MHD_suspend_connection(client->connection);
    return MHD_YES;
}

/* The next block of the page; see MHD_ContentReaderCallback. */
static ssize_t read_page(void *context, uint64_t at, char *block, size_t max)
{
    const struct http_client *client = context;
    size_t left = client->text->len - (size_t)at;
    size_t len = left < max ? left : max;

    memcpy(block, client->text->data + at, len);
    return (ssize_t)len;
}

static enum MHD_Result answer_with_page(struct http_client *client)
{
    if (client->text == NULL)
        return MHD_NO;
    return queue(client, &client->answer,
                 MHD_create_response_from_callback(client->text->len, BLOCK, read_page, client, NULL));
}

static enum MHD_Result answer_request(struct http_client *client, const char *path, const char *method)
{
    struct http_server *server = client->server;
    struct http_request request = {
        .method = method,
        .path = path,
        .accept = MHD_lookup_connection_value(client->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT),
        .is_limited = client->is_limited,
        .token = client->token[0] != '\0' ? client->token : NULL,
        .authorization =
            MHD_lookup_connection_value(client->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION),
    };
    struct status status;
    struct http_answer answer;

    server->status(server->context, &status);
    http_respond(&status, &request, &answer);
    expect_taking(client);
    if (answer.page != HTTP_PAGE_NONE)
        return wait_for_page(client, &answer);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer.body.len, answer.body.data, MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        text_finish(&answer.body);
    return queue(client, &answer, response);
}

static bool has_body(struct MHD_Connection *connection)
{
    const char *len =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) !=
               NULL ||
           (len != NULL && strcmp(len, "0") != 0);
}

/*
 * Called with the headers, and when the request is over. Nothing that we answer has a body. A request with one is answered
 * at once and its connection is closed: nobody can keep us busy with bytes that we do not want.
 */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *body, size_t *body_len,
                                  void **state)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_client *client = info->socket_context;

    (void)context;
    (void)version;
    (void)body;
    if (client->is_over || *body_len > 0)
        return MHD_NO;
    if (client->answer.page != HTTP_PAGE_NONE)
        return answer_with_page(client);
    if (*state == NULL) {
        *state = client;
        client->closes = !http_is_allowed(method) || has_body(connection);
        if (!client->closes)
            return MHD_YES;
    }
    return answer_request(client, path, method);
}

/* The answer is taken, or the connection is about to close. */
static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct http_client *client = *state;

    (void)context;
    (void)connection;
    (void)code;
    if (client == NULL)
        return;
    forget_page(client);
    expect_request(client);
}

/* ---- pages ---- */

/* In the next turn of the loop. */
static void begin_soon(struct http_server *server)
{
    ev_timer_stop(server->loop, &server->begin);
    ev_timer_set(&server->begin, 0.0, 0.0);
    ev_timer_start(server->loop, &server->begin);
}

static void on_page(void *context, enum http_page page, uint64_t number, struct http_text *text)
{
    struct http_server *server = context;
    struct http_client *client;
    const struct http_text *excess;

    DL_FOREACH (server->clients, client) {
        if (client->answer.page != page || client->ticket > number || client->is_written)
            continue;
        client->is_written = true;
        client->text = text;
        if (text != NULL)
            http_pages_hold(text);
    }
    excess = http_pages_excess(server->pages);
    DL_FOREACH (server->clients, client) {
        if (excess != NULL && client->text == excess)
            shut(client);
    }
    begin_soon(server);
}

/* A few a turn of the loop: HAProxy is answered in between. */
static void on_begin(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct http_server *server = container_of(timer, struct http_server, begin);
    struct http_client *client;
    unsigned begun = 0;

    (void)loop;
    (void)events;
    DL_FOREACH (server->clients, client) {
        if (!client->is_suspended || !client->is_written)
            continue;
        if (begun++ == ANSWERS_PER_TURN) {
            begin_soon(server);
            break;
        }
        resume(client);
    }
    run(server);
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

static void refuse(struct http_server *server, int fd)
{
    close(fd);
    server->metrics->refused_total++;
}

bool http_server_take(void *context, int fd, const struct acceptor_peer *peer)
{
    struct http_server *server = context;
    struct addr addr = {.kind = ADDR_UNIX};

    if (peer->addr.ss_family != AF_UNIX && !socket_addr_to(&peer->addr, &addr))
        return false;
    if (!has_room_for(server, &addr)) {
        refuse(server, fd);
        return true;
    }
    server->taking = add_client(server, fd, peer, &addr);
    if (server->taking == NULL)
        return false;
    if (MHD_add_connection(server->daemon, fd, (const struct sockaddr *)&peer->addr, peer->len) != MHD_YES)
        server->metrics->refused_total++; /* and it has closed it */
    /* libmicrohttpd 1.0 reads in the second turn. If the request is there already, the client owes none. */
    run(server);
    run(server);
    if (server->taking != NULL)
        remove_client(server->taking);
    server->taking = NULL;
    return true;
}

static bool start_daemon(struct http_server *server)
{
    /* The limits are ours. Those that are shut down count for libmicrohttpd until it has seen it. */
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request,
        server, MHD_OPTION_CONNECTION_LIMIT, 2 * CLIENTS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, 0U,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
        server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_END);
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
    ev_timer_init(&server->begin, on_begin, 0.0, 0.0);
    const struct http_pages_options options = {
        .loop = loop, .status = status, .status_context = context, .ready = on_page, .ready_context = server};
    server->pages = http_pages_create(&options);
    if (server->pages == NULL || !start_daemon(server)) {
        http_server_destroy(server);
        return NULL;
    }
    return server;
}

void http_server_destroy(struct http_server *server)
{
    struct http_client *client;

    if (server == NULL)
        return;
    ev_io_stop(server->loop, &server->ready);
    ev_timer_stop(server->loop, &server->timeout);
    ev_timer_stop(server->loop, &server->begin);
    /* libmicrohttpd ends the process where one of its connections is suspended. */
    DL_FOREACH (server->clients, client) {
        resume(client);
    }
    if (server->daemon != NULL)
        MHD_stop_daemon(server->daemon);
    http_pages_destroy(server->pages);
    free(server);
}
