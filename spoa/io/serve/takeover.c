#include "spoa/io/serve/takeover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spoa/core/base/container_of.h"
#include "spoa/core/base/log.h"
#include "spoa/io/net/fd_pass.h"

/* How often it is looked which connections owe no answer. */
#define GIVE_INTERVAL_S 0.01

struct takeover {
    struct takeover_options options;
    ev_io readable; /* the other agent; inactive: there is none */
    ev_timer give;
    pid_t peer;
    bool is_new;        /* we are the one that takes */
    size_t connections; /* that we have taken */
};

static void hang_up(struct takeover *takeover)
{
    if (!ev_is_active(&takeover->readable))
        return;
    ev_io_stop(takeover->options.loop, &takeover->readable);
    ev_timer_stop(takeover->options.loop, &takeover->give);
    close(takeover->readable.fd);
}

static void talk_to(struct takeover *takeover, int fd, bool is_new)
{
    takeover->is_new = is_new;
    takeover->connections = 0;
    ev_io_set(&takeover->readable, fd, EV_READ);
    ev_io_start(takeover->options.loop, &takeover->readable);
}

/* ---- the old one ---- */

static bool give_listener(void *context, const struct listen_socket *listening)
{
    const struct fd_record record = {.kind = TAKEOVER_LISTENER, .value = listening->is_foreign};

    return fd_pass_send(*(const int *)context, &record, listening->fd) == 0;
}

bool takeover_give(void *context, int fd, const struct acceptor_peer *peer)
{
    struct takeover *takeover = context;
    const struct fd_record listed = {.kind = TAKEOVER_LISTED};
    pid_t pid = fd_pass_peer(fd);

    (void)peer;
    if (pid == 0 || ev_is_active(&takeover->readable)) {
        log_event(EVENT_TAKEOVER_REFUSED,
                  log_text("reason", pid == 0 ? "another user's process" : "another process is about to"));
        close(fd);
        return true;
    }
    if (!listeners_lend(takeover->options.listeners, give_listener, &fd) ||
        fd_pass_send(fd, &listed, -1) == -1) {
        log_event(EVENT_TAKEOVER_REFUSED, log_text("reason", strerror(errno)));
        listeners_own(takeover->options.listeners);
        close(fd);
        return true;
    }
    takeover->peer = pid;
    talk_to(takeover, fd, false);
    return true;
}

static bool give_connection(void *context, int fd, uint32_t frame_size)
{
    const struct takeover *takeover = context;
    const struct fd_record record = {.kind = TAKEOVER_CONNECTION, .value = frame_size};

    return fd_pass_send(takeover->readable.fd, &record, fd) == 0;
}

static void on_give(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct takeover *takeover = container_of(timer, struct takeover, give);

    (void)loop;
    (void)events;
    spop_server_give(takeover->options.server, give_connection, takeover);
    if (spop_server_connections(takeover->options.server) > 0)
        return;
    hang_up(takeover);
    takeover->options.given(takeover->options.context);
}

static void be_taken(struct takeover *takeover)
{
    log_event(EVENT_TAKEN_OVER, log_number("process", takeover->peer),
              log_number("connections", (int64_t)spop_server_connections(takeover->options.server)));
    takeover->options.taken(takeover->options.context, takeover->peer);
    ev_timer_again(takeover->options.loop, &takeover->give);
}

/* ---- the new one ---- */

void takeover_take(struct takeover *takeover, int fd)
{
    const struct fd_record take = {.kind = TAKEOVER_TAKE};

    takeover->peer = fd_pass_peer(fd);
    /* Where it has ended meanwhile, the listeners are ours all the same. */
    (void)!fd_pass_send(fd, &take, -1);
    listeners_own(takeover->options.listeners);
    talk_to(takeover, fd, true);
}

static void adopt(struct takeover *takeover, int fd, uint32_t frame_size)
{
    if (spop_server_adopt(takeover->options.server, fd, frame_size))
        takeover->connections++;
    else
        close(fd);
}

/* Nobody else has our listeners now: a new one that has not said TAKE has given them back, and after TAKE we have none. */
static void end(struct takeover *takeover)
{
    listeners_own(takeover->options.listeners);
    if (takeover->is_new)
        log_event(EVENT_TOOK_OVER, log_number("process", takeover->peer),
                  log_number("connections", (int64_t)takeover->connections));
    hang_up(takeover);
}

/* ---- both ---- */

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct takeover *takeover = container_of(watcher, struct takeover, readable);
    struct fd_record record;
    int fd;
    int got = fd_pass_receive(watcher->fd, &record, &fd);

    (void)loop;
    (void)events;
    if (got == -1 && errno == EAGAIN)
        return;
    bool is_taking = got == 1 && !takeover->is_new && record.kind == TAKEOVER_TAKE && fd == -1;
    bool is_giving = got == 1 && takeover->is_new && record.kind == TAKEOVER_CONNECTION && fd != -1;
    if (is_giving) {
        adopt(takeover, fd, record.value);
        return;
    }
    if (fd != -1)
        close(fd);
    if (is_taking && !ev_is_active(&takeover->give))
        be_taken(takeover);
    else
        end(takeover);
}

struct takeover *takeover_create(const struct takeover_options *options)
{
    struct takeover *takeover = calloc(1, sizeof(*takeover));

    if (takeover == NULL)
        return NULL;
    takeover->options = *options;
    ev_init(&takeover->readable, on_readable);
    ev_timer_init(&takeover->give, on_give, 0.0, GIVE_INTERVAL_S);
    return takeover;
}

void takeover_destroy(struct takeover *takeover)
{
    if (takeover == NULL)
        return;
    hang_up(takeover);
    free(takeover);
}
