#include "spoa/io/serve/agent_check_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "spoa/core/base/container_of.h"
#include "spoa/core/base/log.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/config/config.h"
#include "spoa/core/haproxy/agent_check.h"
#include "spoa/io/net/acceptor.h"
#include "spoa/io/net/loop.h"

/* Two names, and what separates them. */
#define QUESTION_MAX (2 * CONFIG_NAME_MAX + 8)
/* A peer must ask within this time, s. */
#define QUESTION_TIMEOUT_S 5.0
/* A check takes one round trip. No HAProxy has more checks open at one time: beyond it the oldest makes room. */
#define CONNECTIONS_MAX 1024

struct check_connection {
    ev_io readable;
    ev_timer deadline;
    struct agent_check_server *server;
    struct check_connection *next;
    struct check_connection *prev;
    size_t len;
    uint8_t question[QUESTION_MAX];
};

struct agent_check_server {
    struct ev_loop *loop;
    const struct agent_checks *checks;
    struct metrics *metrics;
    struct check_connection *connections;
    size_t connection_count;
};

static void close_connection(struct check_connection *connection)
{
    struct agent_check_server *server = connection->server;

    ev_io_stop(server->loop, &connection->readable);
    ev_timer_stop(server->loop, &connection->deadline);
    close(connection->readable.fd);
    DL_DELETE(server->connections, connection);
    server->connection_count--;
    free(connection);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    close_connection(container_of(timer, struct check_connection, deadline));
}

static void answer(const struct check_connection *connection)
{
    struct agent_check_server *server = connection->server;

    /* The listener that let it in is gone. HAProxy ignores a check without an answer: "fail" would be wrong. */
    if (server->checks == NULL)
        return;
    struct span question = span_of(connection->question, connection->len);
    bool is_known = false;
    struct span line = agent_checks_answer(server->checks, question, clock_ms(), &is_known);

    server->metrics->checks_total++;
    if (!is_known) {
        server->metrics->checks_unknown_total++;
        log_event(EVENT_CHECK_UNKNOWN, log_span("question", question));
    }
    /* An empty socket takes a line at once. If the send fails, HAProxy asks again. */
    (void)send(connection->readable.fd, line.data, line.len, MSG_NOSIGNAL);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct check_connection *connection = container_of(watcher, struct check_connection, readable);
    uint8_t *end = connection->question + connection->len;
    ssize_t got = read(watcher->fd, end, QUESTION_MAX - connection->len);

    (void)loop;
    (void)events;
    if (got == -1 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        close_connection(connection);
        return;
    }
    connection->len += (size_t)got;
    bool is_whole = memchr(end, '\n', (size_t)got) != NULL;
    if (is_whole)
        answer(connection);
    if (is_whole || connection->len == QUESTION_MAX)
        close_connection(connection);
}

bool agent_check_server_take(void *context, int fd, const struct acceptor_peer *peer)
{
    struct agent_check_server *server = context;

    (void)peer;
    if (server->connection_count == CONNECTIONS_MAX) {
        server->metrics->refused_total++;
        close_connection(
            server->connections->prev); /* utlist: the first one's is the last, which came first */
    }
    struct check_connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL)
        return false;
    connection->server = server;
    ev_io_init(&connection->readable, on_readable, fd, EV_READ);
    loop_put_first(&connection->readable);
    ev_timer_init(&connection->deadline, on_deadline, QUESTION_TIMEOUT_S, 0.0);
    ev_io_start(server->loop, &connection->readable);
    ev_timer_start(server->loop, &connection->deadline);
    DL_PREPEND(server->connections, connection);
    server->connection_count++;
    return true;
}

struct agent_check_server *agent_check_server_create(struct ev_loop *loop, struct metrics *metrics)
{
    struct agent_check_server *server = calloc(1, sizeof(*server));

    if (server == NULL)
        return NULL;
    server->loop = loop;
    server->metrics = metrics;
    return server;
}

void agent_check_server_destroy(struct agent_check_server *server)
{
    struct check_connection *connection;
    struct check_connection *next;

    if (server == NULL)
        return;
    DL_FOREACH_SAFE (server->connections, connection, next) {
        close_connection(connection);
    }
    free(server);
}

void agent_check_server_use(struct agent_check_server *server, const struct agent_checks *checks)
{
    server->checks = checks;
}
