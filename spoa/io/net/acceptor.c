#include "spoa/io/net/acceptor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Logged once for as long as it lasts. */
static void pause_accepting(struct acceptor *acceptor, int code)
{
    if (!acceptor->is_failing)
        log_event(LOG_LEVEL_ERROR, "accept-failed", log_text("protocol", acceptor->options.protocol),
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

    if (from->ss_family == AF_UNIX ||
        (socket_addr_to(from, &peer) && is_allowed(acceptor->options.rules, &peer)))
        return true;
    close(fd);
    acceptor->options.rules->metrics->refused_total++;
    log_event(LOG_LEVEL_WARNING, "connection-refused", log_text("protocol", acceptor->options.protocol),
              log_text("peer", addr_format(&peer, text)), log_text("reason", "not in 'allow'"));
    return false;
}

static void note_success(struct acceptor *acceptor)
{
    if (!acceptor->is_failing)
        return;
    acceptor->is_failing = false;
    log_event(LOG_LEVEL_INFO, "accepting-again", log_text("protocol", acceptor->options.protocol));
}

static void on_acceptable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct acceptor *acceptor = container_of(watcher, struct acceptor, acceptable);

    (void)loop;
    (void)events;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct sockaddr_storage from = {.ss_family = AF_UNIX};
        socklen_t len = sizeof(from);
        int fd =
            accept4(acceptor->listening.fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        int code = errno;
        if (fd == -1 && (code == ECONNABORTED || code == EINTR))
            continue;
        if (fd == -1) {
            if (code != EAGAIN && code != EWOULDBLOCK)
                pause_accepting(acceptor, code);
            return;
        }
        if (!admit(acceptor, fd, &from))
            continue;
        if (!acceptor->options.take(acceptor->options.context, fd)) {
            close(fd);
            pause_accepting(acceptor, ENOMEM);
            return;
        }
        note_success(acceptor);
    }
}

/* The kernel's choice for port 0 may have been written down since. */
static bool is_at(const struct acceptor *acceptor, const struct addr *addr)
{
    return addr_equals(&acceptor->wanted, addr) || addr_equals(&acceptor->listening.addr, addr);
}

int acceptor_add(struct acceptor **list, struct ev_loop *loop, const struct listen_socket_options *where,
                 const struct acceptor_options *options, char error[LISTEN_SOCKET_ERROR_MAX])
{
    char text[ADDR_TEXT_MAX];

    for (const struct acceptor *one = *list; one != NULL; one = one->next)
        if (is_at(one, where->addr))
            return 0;
    struct acceptor *acceptor = calloc(1, sizeof(*acceptor));

    if (acceptor == NULL) {
        (void)snprintf(error, LISTEN_SOCKET_ERROR_MAX, "out of memory");
        return -1;
    }
    if (listen_socket_open(where, &acceptor->listening, error) == -1) {
        free(acceptor);
        return -1;
    }
    acceptor->wanted = *where->addr;
    acceptor->loop = loop;
    acceptor->options = *options;
    acceptor->next = *list;
    *list = acceptor;
    ev_io_init(&acceptor->acceptable, on_acceptable, acceptor->listening.fd, EV_READ);
    ev_timer_init(&acceptor->resume, on_resume, ACCEPT_PAUSE_S, 0.0);
    ev_io_start(loop, &acceptor->acceptable);
    log_event(LOG_LEVEL_INFO, "listening", log_text("protocol", options->protocol),
              log_text("address", addr_format(&acceptor->listening.addr, text)));
    return 0;
}

static void close_first(struct acceptor **link)
{
    struct acceptor *acceptor = *link;

    *link = acceptor->next;
    ev_io_stop(acceptor->loop, &acceptor->acceptable);
    ev_timer_stop(acceptor->loop, &acceptor->resume);
    listen_socket_close(&acceptor->listening);
    free(acceptor);
}

static bool is_wanted(const struct acceptor *acceptor, const struct config_listens *wanted)
{
    for (size_t i = 0; i < wanted->count; i++)
        if (is_at(acceptor, &wanted->list[i].addr))
            return true;
    return false;
}

void acceptor_keep(struct acceptor **list, const struct config_listens *wanted)
{
    char text[ADDR_TEXT_MAX];

    while (*list != NULL) {
        if (is_wanted(*list, wanted)) {
            list = &(*list)->next;
            continue;
        }
        log_event(LOG_LEVEL_INFO, "not-listening", log_text("protocol", (*list)->options.protocol),
                  log_text("address", addr_format(&(*list)->listening.addr, text)));
        close_first(list);
    }
}

void acceptor_close_all(struct acceptor **list)
{
    while (*list != NULL)
        close_first(list);
}
