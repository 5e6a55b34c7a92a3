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

/* Connections taken per wake-up, so that a burst does not keep the others waiting. */
#define ACCEPT_BATCH 64
/* Pause after accept() ran out of descriptors or memory, s: trying at once again would only spin. */
#define ACCEPT_PAUSE_S 0.1

static void log_address(const struct acceptor *acceptor, const char *event)
{
    char text[ADDR_TEXT_MAX];

    log_event(LOG_LEVEL_INFO, event, log_text("protocol", acceptor->protocol->name),
              log_text("address", addr_format(&acceptor->listening.addr, text)));
}

/* Logged once for as long as it lasts. */
static void pause_accepting(struct acceptor *acceptor, int code)
{
    if (!acceptor->is_failing)
        log_event(LOG_LEVEL_ERROR, "accept-failed", log_text("protocol", acceptor->protocol->name),
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

static bool is_allowed(const struct acceptor_rules *rules, const struct addr *peer)
{
    if (rules->allowed == NULL || rules->allowed->count == 0)
        return true;
    for (size_t i = 0; i < rules->allowed->count; i++)
        if (network_has(&rules->allowed->list[i], peer))
            return true;
    return false;
}

/* False, and closed, where connections from there are not taken. UNIX sockets have rights of their own. */
static bool admit(const struct acceptor *acceptor, int fd, const struct sockaddr_storage *from)
{
    struct addr peer = {.kind = ADDR_NONE};
    char text[ADDR_TEXT_MAX];

    if (from->ss_family == AF_UNIX || (socket_addr_to(from, &peer) && is_allowed(acceptor->rules, &peer)))
        return true;
    close(fd);
    acceptor->rules->metrics->refused_total++;
    log_event(LOG_LEVEL_WARNING, "connection-refused", log_text("protocol", acceptor->protocol->name),
              log_text("peer", addr_format(&peer, text)), log_text("reason", "not in 'allow'"));
    return false;
}

static void note_success(struct acceptor *acceptor)
{
    if (!acceptor->is_failing)
        return;
    acceptor->is_failing = false;
    log_event(LOG_LEVEL_INFO, "accepting-again", log_text("protocol", acceptor->protocol->name));
}

/* Takes a connection from the queue, if there is one. False where it is to wait for another. */
static bool accept_one(struct acceptor *acceptor)
{
    struct acceptor_peer peer = {.addr = {.ss_family = AF_UNIX}, .len = sizeof(peer.addr)};
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
    if (!admit(acceptor, fd, &peer.addr))
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

int acceptor_open(struct acceptor *acceptor, struct ev_loop *loop, const struct listen_socket_options *where,
                  const struct acceptor_protocol *protocol, const struct acceptor_rules *rules,
                  char error[LISTEN_SOCKET_ERROR_MAX])
{
    *acceptor = (struct acceptor){.loop = loop, .wanted = *where->addr, .protocol = protocol, .rules = rules};
    if (listen_socket_open(where, &acceptor->listening, error) == -1)
        return -1;
    ev_io_init(&acceptor->acceptable, on_acceptable, acceptor->listening.fd, EV_READ);
    ev_timer_init(&acceptor->resume, on_resume, ACCEPT_PAUSE_S, 0.0);
    ev_io_start(loop, &acceptor->acceptable);
    log_address(acceptor, "listening");
    return 0;
}

void acceptor_pause(struct acceptor *acceptor)
{
    ev_io_stop(acceptor->loop, &acceptor->acceptable);
}

void acceptor_resume(struct acceptor *acceptor)
{
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
    /* No more than the queue holds: a flood must not keep it open. */
    for (int i = 0; i < LISTEN_SOCKET_BACKLOG && accept_one(acceptor); i++)
        continue;
    log_address(acceptor, "not-listening");
    acceptor_close(acceptor);
}

void acceptor_hand_to(struct acceptor *acceptor, const struct acceptor_protocol *protocol)
{
    if (acceptor->protocol == protocol)
        return;
    log_address(acceptor, "not-listening");
    acceptor->protocol = protocol;
    log_address(acceptor, "listening");
}
