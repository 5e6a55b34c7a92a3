#include "spoa/cli/blocking_socket.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "spoa/core/base/container_of.h"
#include "spoa/io/net/connector.h"
#include "spoa/io/net/resolver.h"
#include "spoa/io/net/socket_addr.h"

/* The C library asks a second name server after 5 s. */
#define LOOKUP_TIMEOUT_S 10

/* Attempts that go on side by side, in a loop of their own. */
struct attempts {
    struct ev_loop *loop;
    struct resolver *resolver;
    size_t running;
};

struct attempt {
    struct attempts *all;
    ev_timer deadline;
    struct connector *connector;
    struct blocking_target *target;
};

static void end_attempt(struct attempt *attempt, int fd, int code)
{
    attempt->target->fd = fd;
    attempt->target->code = code;
    ev_timer_stop(attempt->all->loop, &attempt->deadline);
    if (--attempt->all->running == 0)
        ev_break(attempt->all->loop, EVBREAK_ALL);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct attempt *attempt = container_of(timer, struct attempt, deadline);

    (void)loop;
    (void)events;
    connector_cancel(attempt->connector);
    end_attempt(attempt, -1, ETIMEDOUT);
}

static void set_deadline(struct attempt *attempt, double after_s)
{
    ev_timer_stop(attempt->all->loop, &attempt->deadline);
    ev_timer_set(&attempt->deadline, after_s, 0.0);
    ev_timer_start(attempt->all->loop, &attempt->deadline);
}

static void on_found(void *context)
{
    set_deadline(context, BLOCKING_SOCKET_TIMEOUT_S);
}

static void on_done(void *context, const struct connector_result *result)
{
    end_attempt(context, result->fd, result->fd == -1 && result->code == 0 ? EHOSTUNREACH : result->code);
}

static void start_attempt(struct attempts *all, struct attempt *attempt, struct blocking_target *target)
{
    const struct connector_options options = {.found = on_found, .done = on_done, .context = attempt};

    *attempt = (struct attempt){.all = all, .target = target};
    ev_timer_init(&attempt->deadline, on_deadline, 0.0, 0.0);
    attempt->connector = connector_create(all->loop, all->resolver, &options);
    if (attempt->connector == NULL)
        return;
    all->running++;
    set_deadline(attempt, target->addr->kind == ADDR_NAME ? LOOKUP_TIMEOUT_S : BLOCKING_SOCKET_TIMEOUT_S);
    connector_start(attempt->connector, target->addr, BLOCKING_SOCKET_TIMEOUT_S * 1000);
}

/* Connects to all that are no UNIX sockets. */
static void connect_all(struct attempts *all, struct blocking_target *targets, size_t count)
{
    struct attempt *attempts = calloc(count, sizeof(*attempts));

    if (attempts == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        if (targets[i].addr->kind != ADDR_UNIX)
            start_attempt(all, &attempts[i], &targets[i]);
    if (all->running > 0)
        ev_run(all->loop, 0);
    for (size_t i = 0; i < count; i++)
        connector_destroy(attempts[i].connector);
    free(attempts);
}

void blocking_socket_set_timeout(int fd, unsigned timeout_s)
{
    const struct timeval timeout = {.tv_sec = timeout_s};

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
}

/* Where the queue of a UNIX socket is full, only a connect that blocks waits for its turn (unix(7)). */
static int connect_unix(const struct addr *addr)
{
    struct sockaddr_storage storage;
    socklen_t len = 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd == -1)
        return -1;
    blocking_socket_set_timeout(fd, BLOCKING_SOCKET_TIMEOUT_S);
    if (socket_addr_from(addr, &storage, &len) && connect(fd, (struct sockaddr *)&storage, len) == 0)
        return fd;
    int code = errno == EAGAIN ? ETIMEDOUT : errno; /* the queue stayed full */
    close(fd);
    errno = code;
    return -1;
}

void blocking_socket_connect_all(struct blocking_target *targets, size_t count)
{
    struct attempts all = {.loop = ev_loop_new(EVFLAG_NOENV)};

    for (size_t i = 0; i < count; i++) {
        targets[i].fd = -1;
        targets[i].code = ENOMEM;
    }
    if (all.loop == NULL)
        return;
    all.resolver = resolver_create(all.loop);
    if (all.resolver != NULL)
        connect_all(&all, targets, count);
    resolver_destroy(all.resolver);
    ev_loop_destroy(all.loop);
    for (size_t i = 0; i < count; i++) {
        if (targets[i].addr->kind == ADDR_UNIX) {
            targets[i].fd = connect_unix(targets[i].addr);
            targets[i].code = targets[i].fd == -1 ? errno : 0;
        }
        if (targets[i].fd == -1)
            continue;
        (void)fcntl(targets[i].fd, F_SETFL, fcntl(targets[i].fd, F_GETFL) & ~O_NONBLOCK);
        blocking_socket_set_timeout(targets[i].fd, BLOCKING_SOCKET_TIMEOUT_S);
    }
}

static int connect_blocking(const struct addr *addr)
{
    struct blocking_target target = {.addr = addr};

    blocking_socket_connect_all(&target, 1);
    errno = target.code;
    return target.fd;
}

/* What listens at [::] can be reached by IPv4 as well, and where IPv6 is switched off by nothing else. */
static int connect_to_all_ipv6(const struct addr *addr)
{
    static const uint8_t any[4];
    const struct addr ipv4 = addr_from_ip(any, ADDR_IPV4, addr->port);
    int fd = connect_blocking(addr);

    return fd != -1 ? fd : connect_blocking(&ipv4);
}

int blocking_socket_connect(const struct addr *addr)
{
    bool is_any_ipv6 = addr->kind == ADDR_IPV6 && addr_is_wildcard(addr);

    return is_any_ipv6 ? connect_to_all_ipv6(addr) : connect_blocking(addr);
}
