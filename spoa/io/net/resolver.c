#include "spoa/io/net/resolver.h"

#include <ares.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "spoa/core/base/container_of.h"
#include "spoa/io/net/loop.h"

/* For one attempt at one name server. c-ares waits longer in the second attempt. */
#define TIMEOUT_MS 200
#define TRIES 2

/* A socket that c-ares has open. */
struct socket_watch {
    ev_io io;
    struct resolver *resolver;
    struct socket_watch *next;
};

struct resolver {
    struct ev_loop *loop;
    ares_channel channel;
    ev_timer timer;
    struct socket_watch *watches;
};

struct resolver_query {
    resolver_done_fn done; /* NULL if cancelled: c-ares cannot end a single query */
    void *context;
    unsigned short port;
    bool is_starting; /* ares_getaddrinfo() has not returned */
    bool is_ended;
};

static void arm_timer(struct resolver *resolver)
{
    struct timeval wait;
    int64_t wake_ms = INT64_MAX;

    if (ares_timeout(resolver->channel, NULL, &wait) != NULL)
        wake_ms = clock_ms() + (int64_t)wait.tv_sec * 1000 + (wait.tv_usec + 999) / 1000;
    loop_arm(resolver->loop, &resolver->timer, wake_ms);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct resolver *resolver = container_of(timer, struct resolver, timer);

    (void)loop;
    (void)events;
    ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm_timer(resolver);
}

static void on_socket(struct ev_loop *loop, ev_io *io, int events)
{
    /* c-ares may free the watch. */
    struct resolver *resolver = container_of(io, struct socket_watch, io)->resolver;
    ares_socket_t fd = io->fd;

    (void)loop;
    ares_process_fd(resolver->channel, (events & EV_READ) != 0 ? fd : ARES_SOCKET_BAD,
                    (events & EV_WRITE) != 0 ? fd : ARES_SOCKET_BAD);
    arm_timer(resolver);
}

static struct socket_watch *watch_of(struct resolver *resolver, int fd)
{
    for (struct socket_watch *watch = resolver->watches; watch != NULL; watch = watch->next)
        if (watch->io.fd == fd)
            return watch;
    return NULL;
}

/* NULL if memory is short. The query then ends by its timeout. */
static struct socket_watch *add_watch(struct resolver *resolver, int fd)
{
    struct socket_watch *watch = calloc(1, sizeof(*watch));

    if (watch == NULL)
        return NULL;
    ev_io_init(&watch->io, on_socket, fd, EV_NONE);
    watch->resolver = resolver;
    LL_PREPEND(resolver->watches, watch);
    return watch;
}

static void remove_watch(struct resolver *resolver, struct socket_watch *watch)
{
    LL_DELETE(resolver->watches, watch);
    ev_io_stop(resolver->loop, &watch->io);
    free(watch);
}

/* c-ares tells the events that it waits for on a socket. None means that it closes the socket now. */
static void on_socket_state(void *context, ares_socket_t fd, int is_readable, int is_writable)
{
    struct resolver *resolver = context;
    struct socket_watch *watch = watch_of(resolver, fd);
    int events = (is_readable != 0 ? EV_READ : 0) | (is_writable != 0 ? EV_WRITE : 0);

    if (watch == NULL && events != 0)
        watch = add_watch(resolver, fd);
    if (watch == NULL)
        return;
    if (events == 0) {
        remove_watch(resolver, watch);
        return;
    }
    ev_io_stop(resolver->loop, &watch->io);
    ev_io_set(&watch->io, fd, events);
    ev_io_start(resolver->loop, &watch->io);
}

static bool open_channel(struct resolver *resolver)
{
    char lookups[] = "fb"; /* the hosts file, then DNS */
    struct ares_options options = {
        .timeout = TIMEOUT_MS,
        .tries = TRIES,
        .lookups = lookups,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = resolver,
    };
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;

#ifdef ARES_OPT_QUERY_CACHE
    /* c-ares 1.31 and later cache answers. But each attempt to connect must look the name up. */
    options.qcache_max_ttl = 0;
    mask |= ARES_OPT_QUERY_CACHE;
#endif
    return ares_init_options(&resolver->channel, &options, mask) == ARES_SUCCESS;
}

struct resolver *resolver_create(struct ev_loop *loop)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));

    if (resolver == NULL)
        return NULL;
    resolver->loop = loop;
    ev_timer_init(&resolver->timer, on_timer, 0.0, 0.0);
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        free(resolver);
        return NULL;
    }
    if (!open_channel(resolver)) {
        ares_library_cleanup();
        free(resolver);
        return NULL;
    }
    return resolver;
}

void resolver_destroy(struct resolver *resolver)
{
    if (resolver == NULL)
        return;
    ares_destroy(resolver->channel);
    while (resolver->watches != NULL)
        remove_watch(resolver, resolver->watches);
    ev_timer_stop(resolver->loop, &resolver->timer);
    ares_library_cleanup();
    free(resolver);
}

/* False if we do not use the address family. */
static bool copy_address(const struct ares_addrinfo_node *node, unsigned short port,
                         struct sockaddr_storage *ret_address)
{
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;

    memset(ret_address, 0, sizeof(*ret_address));
    if (node->ai_family == AF_INET) {
        memcpy(&ipv4, node->ai_addr, sizeof(ipv4));
        ipv4.sin_port = htons(port);
        memcpy(ret_address, &ipv4, sizeof(ipv4));
        return true;
    }
    if (node->ai_family == AF_INET6) {
        memcpy(&ipv6, node->ai_addr, sizeof(ipv6));
        ipv6.sin6_port = htons(port);
        memcpy(ret_address, &ipv6, sizeof(ipv6));
        return true;
    }
    return false;
}

static int compare_addresses(const void *a, const void *b)
{
    const struct sockaddr_storage *left = a;
    const struct sockaddr_storage *right = b;

    if (left->ss_family != right->ss_family)
        return left->ss_family == AF_INET ? -1 : 1;
    return memcmp(left, right, sizeof(*left));
}

static size_t collect_addresses(const struct ares_addrinfo *info, unsigned short port,
                                struct sockaddr_storage *ret_addresses)
{
    size_t count = 0;

    for (const struct ares_addrinfo_node *node = info->nodes; node != NULL; node = node->ai_next)
        if (count < RESOLVER_ADDRESSES_MAX && copy_address(node, port, &ret_addresses[count]))
            count++;
    /* Name servers rotate their answers. A caller that tries the addresses in turn needs a fixed order. */
    qsort(ret_addresses, count, sizeof(*ret_addresses), compare_addresses);
    return count;
}

static void on_answer(void *context, int status, int timeouts, struct ares_addrinfo *info)
{
    struct resolver_query *query = context;
    struct sockaddr_storage addresses[RESOLVER_ADDRESSES_MAX];
    struct resolver_answer answer = {.addresses = addresses};

    (void)timeouts;
    if (status == ARES_SUCCESS && info != NULL)
        answer.count = collect_addresses(info, query->port, addresses);
    if (info != NULL)
        ares_freeaddrinfo(info);
    if (status == ARES_SUCCESS && answer.count == 0)
        status = ARES_ENODATA;
    answer.reason = ares_strerror(status);
    answer.is_denied = status == ARES_ENODATA || status == ARES_ENOTFOUND || status == ARES_EBADNAME;
    if (query->done != NULL)
        query->done(query->context, &answer);
    if (query->is_starting)
        query->is_ended = true;
    else
        free(query);
}

struct resolver_query *resolver_lookup(struct resolver *resolver, const char *host, unsigned short port,
                                       resolver_done_fn done, void *context)
{
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct resolver_query *query = calloc(1, sizeof(*query));

    if (query == NULL) {
        done(context, &(struct resolver_answer){.reason = ares_strerror(ARES_ENOMEM)});
        return NULL;
    }
    *query = (struct resolver_query){.done = done, .context = context, .port = port, .is_starting = true};
    ares_getaddrinfo(resolver->channel, host, NULL, &hints, on_answer, query);
    query->is_starting = false;
    arm_timer(resolver);
    if (query->is_ended) {
        free(query);
        return NULL;
    }
    return query;
}

void resolver_cancel(struct resolver_query *query)
{
    if (query != NULL)
        query->done = NULL;
}
