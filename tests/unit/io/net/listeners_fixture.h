/* Listeners of two protocols on real sockets, and who takes a connection. */
#ifndef TESTS_UNIT_IO_NET_LISTENERS_FIXTURE_H
#define TESTS_UNIT_IO_NET_LISTENERS_FIXTURE_H

#include "spoa/core/base/metrics.h"
#include "spoa/io/net/listeners.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spoa/io/net/socket_addr.h"
#include "tests/lib/log_capture.h"

#define ADDRESSES_MAX 4
#define TURNS 20

/* What a protocol was given, and whether it has no memory for more. */
struct taker {
    unsigned count;
    unsigned limited;      /* of these, see acceptor_protocol */
    const struct tls *tls; /* what was asked of the last one */
    const char *token;
    bool is_full;
};

/* A configuration with its lists. */
struct file {
    struct config_agent agent;
    struct config_listen listens[ADDRESSES_MAX];
    struct config_listen web[ADDRESSES_MAX];
};

#define NO_FILE                                                                                              \
    {                                                                                                        \
        .agent = {.user = NULL }                                                                             \
    }

static struct ev_loop *loop;
static struct metrics metrics;
static struct taker spop;
static struct taker http;
static struct listeners_row rows[2];
static struct listeners *listeners;
static char error[LISTEN_SOCKET_ERROR_MAX];

static inline bool take(void *context, int fd, const struct acceptor_peer *peer)
{
    struct taker *taker = context;

    assert_true(peer->len >= sizeof(sa_family_t) && peer->len <= sizeof(peer->addr));
    if (taker->is_full)
        return false;
    taker->count++;
    taker->limited += peer->is_limited;
    taker->tls = peer->tls;
    taker->token = peer->token;
    close(fd);
    return true;
}

static inline int set_up(void **state)
{
    (void)state;
    log_capture_begin(LOG_LEVEL_DEBUG);
    error[0] = '\0';
    spop = http = (struct taker){.count = 0};
    rows[0] = (struct listeners_row){
        "listen", offsetof(struct config_agent, listens), {.name = "spop", .take = take, .context = &spop}};
    rows[1] = (struct listeners_row){
        "http", offsetof(struct config_agent, web), {.name = "http", .take = take, .context = &http}};
    loop = ev_loop_new(EVFLAG_AUTO);
    listeners = listeners_create(loop, rows, 2, &metrics);
    return loop == NULL || listeners == NULL;
}

static inline int tear_down(void **state)
{
    (void)state;
    listeners_destroy(listeners);
    ev_loop_destroy(loop);
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    return 0;
}

static inline struct addr addr_of(const char *host, uint16_t port)
{
    char text[64];
    struct addr addr;

    (void)snprintf(text, sizeof(text), "%s:%u", host, port != 0 ? port : 1U);
    assert_true(addr_parse(span_of_text(text), &addr));
    addr.port = port;
    return addr;
}

static inline bool is_port_free(const char *host, uint16_t port)
{
    const struct addr addr = addr_of(host, port);
    const struct listen_socket_options options = {.addr = &addr, .mode = -1, .owner = "", .group = ""};
    struct listen_socket probe;

    if (listen_socket_open(&options, &probe, error) == -1)
        return false;
    listen_socket_close(&probe);
    return true;
}

/* A port that is free on all addresses. It is below those that Linux gives to outgoing connections, so nobody gets it
 * by chance. */
static inline uint16_t free_port(void)
{
    static unsigned next;

    if (next == 0)
        next = (unsigned)getpid() * 37U;
    for (unsigned i = 0; i < 1000; i++) {
        uint16_t port = (uint16_t)(10000 + next++ % 20000);
        if (is_port_free("0.0.0.0", port) && is_port_free("[::]", port))
            return port;
    }
    fail();
    return 0;
}

static inline void add(struct config_listens *listens, struct config_listen *list, struct addr addr)
{
    assert_true(listens->count < ADDRESSES_MAX);
    list[listens->count++] = (struct config_listen){.addr = addr, .mode = -1};
    listens->list = list;
}

/* Adds an address for SPOP, or for HTTP. */
static inline void add_listen(struct file *file, const char *host, uint16_t port)
{
    add(&file->agent.listens, file->listens, addr_of(host, port));
}

static inline void add_web(struct file *file, const char *host, uint16_t port)
{
    add(&file->agent.web, file->web, addr_of(host, port));
}

static inline void start_with(const struct file *file)
{
    assert_int_equal(listeners_open(listeners, NULL, &file->agent, error), 0);
    listeners_settle(listeners, &file->agent);
}

static inline bool opens(const struct file *running, const struct file *next)
{
    int result = listeners_open(listeners, &running->agent, &next->agent, error);

    assert_true(result == 0 || result == -1);
    return result == 0;
}

static inline bool connects_to(const struct addr *addr)
{
    struct sockaddr_storage storage;
    socklen_t len;

    assert_true(socket_addr_from(addr, &storage, &len));
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_not_equal(fd, -1);
    bool is_connected = connect(fd, (const struct sockaddr *)&storage, len) == 0;
    close(fd);
    return is_connected;
}

static inline bool connects(const char *host, uint16_t port)
{
    struct addr addr = addr_of(host, port);

    return connects_to(&addr);
}

static inline void run_loop(void)
{
    for (int i = 0; i < TURNS; i++)
        ev_run(loop, EVRUN_NOWAIT);
}

/* Who takes a connection: "spop", "http", "queue" if nobody does yet, or "" if it is refused. */
static inline const char *who_takes_at(const struct addr *addr)
{
    run_loop(); /* takes what has waited in a queue */
    unsigned spop_before = spop.count;
    unsigned http_before = http.count;

    if (!connects_to(addr))
        return "";
    for (int i = 0; i < TURNS && spop.count == spop_before && http.count == http_before; i++)
        ev_run(loop, EVRUN_NOWAIT);
    if (spop.count + http.count == spop_before + http_before)
        return "queue";
    assert_int_equal(spop.count + http.count, spop_before + http_before + 1);
    return spop.count > spop_before ? "spop" : "http";
}

static inline const char *who_takes(const char *host, uint16_t port)
{
    struct addr addr = addr_of(host, port);

    return who_takes_at(&addr);
}

/* The address of the listener that was opened last, as bound. */
static inline struct addr opened_last(void)
{
    const char *key = "address=";
    const char *text = strstr(log_capture_last("listening"), key);
    struct addr addr;

    assert_non_null(text);
    assert_true(addr_parse(span_of_text(text + strlen(key)), &addr));
    return addr;
}

#endif
