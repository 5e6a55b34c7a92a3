#include "spoa/io/net/acceptor.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/network.h"
#include "spoa/core/base/container_of.h"
#include "spoa/core/base/log.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/config/config.h"
#include "spoa/io/net/socket_addr.h"

/* Connections taken per wake-up: a burst must not keep the others waiting. */
#define ACCEPT_BATCH 64
/* Pause after accept() ran out of descriptors or memory, s. Without it the loop would only spin. */
#define ACCEPT_PAUSE_S 0.1

static void log_address(const struct acceptor *acceptor, enum log_event_kind event)
{
    char text[ADDR_TEXT_MAX];

    log_event(event, log_text("protocol", acceptor->protocol->name),
              log_text("address", addr_format(&acceptor->listening.addr, text)));
}

/* Logs only the first of several failures in a row. */
static void pause_accepting(struct acceptor *acceptor, int code)
{
    if (!acceptor->is_failing)
        log_event(EVENT_ACCEPT_FAILED, log_text("protocol", acceptor->protocol->name),
                  log_text("error", strerror(code)));
    acceptor->is_failing = true;
    ev_io_stop(acceptor->loop, &acceptor->acceptable);
    ev_timer_set(&acceptor->resume, ACCEPT_PAUSE_S, 0.0);
    ev_timer_start(acceptor->loop, &acceptor->resume);
}

static void on_resume(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct acceptor *acceptor = container_of(timer, struct acceptor, resume);

    (void)events;
    ev_io_start(loop, &acceptor->acceptable);
}

static bool is_allowed(const struct config_networks *allowed, const struct addr *peer)
{
    if (allowed == NULL || allowed->count == 0)
        return true;
    for (size_t i = 0; i < allowed->count; i++)
        if (network_has(&allowed->list[i], peer))
            return true;
    return false;
}

/* Whether the peer is on our own host: its address is a loopback one, or the one that it has called. */
static bool is_on_own_host(int fd, const struct addr *peer)
{
    struct sockaddr_storage storage;
    socklen_t len = sizeof(storage);
    struct addr called;

    if (addr_is_loopback(peer))
        return true;
    return getsockname(fd, (struct sockaddr *)&storage, &len) == 0 && socket_addr_to(&storage, &called) &&
           called.kind == peer->kind && memcmp(called.ip, peer->ip, sizeof(called.ip)) == 0;
}

/*
 * Returns false and closes `fd` if connections from this peer are not allowed. A UNIX socket is always let in: the
 * rights of its file decide.
 */
static bool admit(const struct acceptor *acceptor, int fd, struct acceptor_peer *from)
{
    struct addr peer = {.kind = ADDR_NONE};
    char text[ADDR_TEXT_MAX];

    if (from->addr.ss_family == AF_UNIX)
        return true;
    if (socket_addr_to(&from->addr, &peer)) {
        from->is_limited = !is_allowed(acceptor->allowed, &peer);
        if (!from->is_limited || (acceptor->protocol->takes_limited && is_on_own_host(fd, &peer)))
            return true;
    }
    close(fd);
    acceptor->metrics->refused_total++;
    log_event(EVENT_CONNECTION_REFUSED, log_text("protocol", acceptor->protocol->name),
              log_text("peer", addr_format(&peer, text)), log_text("reason", "not in 'allow'"));
    return false;
}

static void note_success(struct acceptor *acceptor)
{
    if (!acceptor->is_failing)
        return;
    acceptor->is_failing = false;
    log_event(EVENT_ACCEPTING_AGAIN, log_text("protocol", acceptor->protocol->name));
}

/*
 * Takes a connection from the queue, if there is one. Returns false if the acceptor must wait for the next.
 */
static bool accept_one(struct acceptor *acceptor)
{
    struct acceptor_peer peer = {
        .addr = {.ss_family = AF_UNIX},
        .len = sizeof(peer.addr),
        .tls = acceptor->tls,
        .token = acceptor->token,
    };
    int fd = accept4(acceptor->listening.fd, (struct sockaddr *)&peer.addr, &peer.len,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    int code = errno;

    if (fd == -1 && (code == ECONNABORTED || code == EINTR))
        return true;
    if (fd == -1) {
        if (code != EAGAIN && code != EWOULDBLOCK)
            pause_accepting(acceptor, code);
        return false;
    }
    if (!admit(acceptor, fd, &peer))
        return true;
    if (!acceptor->protocol->take(acceptor->protocol->context, fd, &peer)) {
        close(fd);
        pause_accepting(acceptor, ENOMEM);
        return false;
    }
    note_success(acceptor);
    return true;
}

static void on_acceptable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct acceptor *acceptor = container_of(watcher, struct acceptor, acceptable);

    (void)loop;
    (void)events;
    for (int i = 0; i < ACCEPT_BATCH && accept_one(acceptor); i++)
        continue;
}

static void begin(struct acceptor *acceptor)
{
    acceptor->is_waiting = false;
    ev_io_start(acceptor->loop, &acceptor->acceptable);
    log_address(acceptor, EVENT_LISTENING);
}

int acceptor_open(struct acceptor *acceptor, struct ev_loop *loop, const struct listen_socket_options *where,
                  const struct acceptor_protocol *protocol, struct metrics *metrics, bool waits,
                  char error[LISTEN_SOCKET_ERROR_MAX])
{
    *acceptor = (struct acceptor){
        .loop = loop,
        .wanted = *where->addr,
        .protocol = protocol,
        .metrics = metrics,
        .is_waiting = waits,
    };
    if (listen_socket_open(where, &acceptor->listening, error) == -1)
        return -1;
    ev_io_init(&acceptor->acceptable, on_acceptable, acceptor->listening.fd, EV_READ);
    ev_timer_init(&acceptor->resume, on_resume, ACCEPT_PAUSE_S, 0.0);
    if (!waits)
        begin(acceptor);
    return 0;
}

void acceptor_pause(struct acceptor *acceptor)
{
    ev_io_stop(acceptor->loop, &acceptor->acceptable);
}

void acceptor_resume(struct acceptor *acceptor)
{
    if (acceptor->is_waiting)
        return;
    ev_io_start(acceptor->loop, &acceptor->acceptable);
}

void acceptor_close(struct acceptor *acceptor)
{
    ev_io_stop(acceptor->loop, &acceptor->acceptable);
    ev_timer_stop(acceptor->loop, &acceptor->resume);
    listen_socket_close(&acceptor->listening);
}

void acceptor_retire(struct acceptor *acceptor)
{
    /* At most as many as the queue holds: a flood must not keep the socket open. */
    for (int i = 0; !acceptor->is_waiting && i < LISTEN_SOCKET_BACKLOG && accept_one(acceptor); i++)
        continue;
    if (!acceptor->is_waiting)
        log_address(acceptor, EVENT_NOT_LISTENING);
    acceptor_close(acceptor);
}

void acceptor_hand_to(struct acceptor *acceptor, const struct acceptor_protocol *protocol)
{
    if (acceptor->is_waiting) {
        acceptor->protocol = protocol;
        begin(acceptor);
    } else if (acceptor->protocol != protocol) {
        log_address(acceptor, EVENT_NOT_LISTENING);
        acceptor->protocol = protocol;
        log_address(acceptor, EVENT_LISTENING);
    }
}
