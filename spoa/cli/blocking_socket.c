#include "spoa/cli/blocking_socket.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "spoa/core/base/container_of.h"
#include "spoa/io/net/connector.h"
#include "spoa/io/net/resolver.h"
#include "spoa/io/net/socket_addr.h"

/* For connecting, and for each read and write. */
#define TIMEOUT_S 3
/* The C library asks a second name server after 5 s. */
#define LOOKUP_TIMEOUT_S 10

/* One attempt, in a loop of its own. */
struct attempt {
    struct ev_loop *loop;
    ev_timer deadline;
    struct connector *connector;
    int fd;
    int code;
};

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct attempt *attempt = container_of(timer, struct attempt, deadline);

    (void)events;
    attempt->code = ETIMEDOUT;
    ev_break(loop, EVBREAK_ALL);
}

static void set_deadline(struct attempt *attempt, double after_s)
{
    ev_timer_stop(attempt->loop, &attempt->deadline);
    ev_timer_set(&attempt->deadline, after_s, 0.0);
    ev_timer_start(attempt->loop, &attempt->deadline);
}

static void on_found(void *context)
{
    set_deadline(context, TIMEOUT_S);
}

static void on_done(void *context, const struct connector_result *result)
{
    struct attempt *attempt = context;

    attempt->fd = result->fd;
    attempt->code = result->fd == -1 && result->code == 0 ? EHOSTUNREACH : result->code;
    ev_break(attempt->loop, EVBREAK_ALL);
}

static void run(struct attempt *attempt, const struct addr *addr)
{
    ev_timer_init(&attempt->deadline, on_deadline, 0.0, 0.0);
    set_deadline(attempt, addr->kind == ADDR_NAME ? LOOKUP_TIMEOUT_S : TIMEOUT_S);
    connector_start(attempt->connector, addr, TIMEOUT_S * 1000);
    ev_run(attempt->loop, 0);
    ev_timer_stop(attempt->loop, &attempt->deadline);
}

/* Returns -1 with errno. */
static int connect_to(const struct addr *addr)
{
    struct attempt attempt = {.loop = ev_loop_new(EVFLAG_NOENV), .fd = -1, .code = ENOMEM};
    const struct connector_options options = {.found = on_found, .done = on_done, .context = &attempt};

    if (attempt.loop == NULL) {
        errno = ENOMEM;
        return -1;
    }
    struct resolver *resolver = resolver_create(attempt.loop);
    if (resolver != NULL)
        attempt.connector = connector_create(attempt.loop, resolver, &options);
    if (attempt.connector != NULL)
        run(&attempt, addr);
    connector_destroy(attempt.connector);
    resolver_destroy(resolver);
    ev_loop_destroy(attempt.loop);
    errno = attempt.code;
    return attempt.fd;
}

static void set_timeouts(int fd)
{
    const struct timeval timeout = {.tv_sec = TIMEOUT_S};

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
    set_timeouts(fd);
    if (socket_addr_from(addr, &storage, &len) && connect(fd, (struct sockaddr *)&storage, len) == 0)
        return fd;
    int code = errno == EAGAIN ? ETIMEDOUT : errno; /* the queue stayed full */
    close(fd);
    errno = code;
    return -1;
}

static int connect_blocking(const struct addr *addr)
{
    int fd = addr->kind == ADDR_UNIX ? connect_unix(addr) : connect_to(addr);

    if (fd == -1)
        return -1;
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    set_timeouts(fd);
    return fd;
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
