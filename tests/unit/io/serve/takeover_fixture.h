/* Two agents in one loop. Each has an SPOP server, and listens on the same UNIX socket. */
#ifndef TESTS_UNIT_IO_SERVE_TAKEOVER_FIXTURE_H
#define TESTS_UNIT_IO_SERVE_TAKEOVER_FIXTURE_H

#include "spoa/io/serve/takeover.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "spoa/core/base/metrics.h"
#include "spoa/core/haproxy/service_table.h"
#include "spoa/io/net/fd_pass.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/net/socket_activation.h"
#include "tests/lib/log_capture.h"
#include "tests/lib/spop_peer.h"
#include "tests/unit/io/descriptors.h"

/* Far beyond what any of this takes: only a defect gets there. */
#define DEADLINE_MS 10000
#define SPACE 4096

/* An agent. */
struct side {
    struct metrics metrics;
    struct spop_server *server;
    struct listeners_row row;
    struct listeners *listeners;
    struct takeover *takeover;
    pid_t taken; /* by whom; 0: it was not */
    unsigned given;
};

static struct ev_loop *loop;
static struct service_table *table;
static struct side old;
static struct side new;
static struct config_listen listen_at;
static struct config_agent agent; /* of both */
static char folder[32];
static size_t descriptors; /* before the test */
static uint8_t out_space[SPACE];

static bool is_unknown;  /* the kernel does not say who the peer is */
static bool is_spurious; /* nothing is there, although a socket is readable */

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    if (!is_unknown || name != SO_PEERCRED)
        return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
    errno = EINVAL;
    return -1;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    if (!is_spurious)
        return syscall(SYS_recvmsg, fd, message, flags);
    is_spurious = false;
    errno = EAGAIN;
    return -1;
}

static int failing_send; /* which one from now on fails; 0: none */

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (failing_send == 0 || --failing_send > 0)
        return syscall(SYS_sendmsg, fd, message, flags);
    errno = EPIPE;
    return -1;
}

/* As an agent does: it accepts no more. */
static inline void on_taken(void *context, pid_t by)
{
    struct side *side = context;

    assert_int_equal(side->taken, 0);
    side->taken = by;
    listeners_close(side->listeners, &side->row.protocol);
}

static inline void on_given(void *context)
{
    struct side *side = context;

    side->given++;
}

static inline void create(struct side *side)
{
    memset(side, 0, sizeof(*side));
    side->server = spop_server_create(loop, table, &side->metrics);
    side->row = (struct listeners_row){"listen",
                                       offsetof(struct config_agent, listens),
                                       {.name = "spop", .take = spop_server_take, .context = side->server}};
    side->listeners = listeners_create(loop, &side->row, 1, &side->metrics);
    const struct takeover_options options = {
        .loop = loop,
        .listeners = side->listeners,
        .server = side->server,
        .taken = on_taken,
        .given = on_given,
        .context = side,
    };
    side->takeover = takeover_create(&options);
    assert_true(side->server != NULL && side->listeners != NULL && side->takeover != NULL);
}

static inline void destroy(struct side *side)
{
    takeover_destroy(side->takeover);
    listeners_destroy(side->listeners);
    spop_server_destroy(side->server);
    memset(side, 0, sizeof(*side));
}

static inline void start_listening(struct side *side)
{
    char error[LISTEN_SOCKET_ERROR_MAX];

    assert_int_equal(listeners_open(side->listeners, NULL, &agent, error), 0);
}

static inline int set_up(void **state)
{
    char text[64];

    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/sentinel-spoa-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(text, sizeof(text), "unix:%s/socket", folder);
    listen_at = (struct config_listen){.mode = -1};
    assert_true(addr_parse(span_of_text(text), &listen_at.addr));
    agent = (struct config_agent){.listens = {.list = &listen_at, .count = 1}};
    log_capture_begin(LOG_LEVEL_DEBUG);
    is_unknown = is_spurious = false;
    failing_send = 0;
    descriptors = count_descriptors();
    loop = ev_loop_new(EVFLAG_AUTO);
    table = service_table_create(NULL);
    assert_true(loop != NULL && table != NULL);
    create(&old);
    create(&new);
    start_listening(&old);
    return 0;
}

/* Whoever has the socket last has removed its file. */
static inline int tear_down(void **state)
{
    (void)state;
    destroy(&old);
    destroy(&new);
    service_table_destroy(table);
    ev_loop_destroy(loop);
    assert_int_equal(count_descriptors(), descriptors);
    assert_int_equal(rmdir(folder), 0);
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    return 0;
}

static inline void turn(void)
{
    for (int i = 0; i < 20; i++)
        ev_run(loop, EVRUN_NOWAIT);
}

/* Longer than the old one takes for a look at what it owes. */
static inline void wait_a_moment(void)
{
    for (int64_t end_ms = clock_ms() + 60; clock_ms() < end_ms; (void)usleep(1000))
        ev_run(loop, EVRUN_NOWAIT);
}

static inline void await(const unsigned *number, unsigned expected)
{
    int64_t deadline_ms = clock_ms() + DEADLINE_MS;

    for (; *number != expected && clock_ms() < deadline_ms; (void)usleep(1000))
        ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(*number, expected);
}

/* A client of the old one, which sends these bytes. */
static inline int connect_client(const void *bytes, size_t len)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
    turn();
    return fd;
}

static inline int connect_with_hello(void)
{
    struct sink out = sink_of(out_space, sizeof(out_space));

    spop_peer_hello(&out, 16380, false);
    return connect_client(out_space, (size_t)(out.at - out_space));
}

/* The type of the next frame that the client gets. */
static inline uint32_t next_frame(int fd)
{
    static uint8_t bytes[SPACE];
    struct spop_frame frame = {.type = 0};
    int64_t deadline_ms = clock_ms() + DEADLINE_MS;
    ssize_t got = -1;

    for (; got == -1 && clock_ms() < deadline_ms; (void)usleep(1000)) {
        ev_run(loop, EVRUN_NOWAIT);
        got = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    }
    assert_true(got > 0);
    struct span rest = span_of(bytes, (size_t)got);
    assert_true(spop_peer_reply(&rest, &frame));
    assert_int_equal(rest.len, 0);
    return frame.type;
}

static inline void ask(int fd)
{
    struct sink out = sink_of(out_space, sizeof(out_space));

    spop_peer_notify(&out, 1, 1, "m", NULL);
    assert_int_equal(send(fd, out_space, (size_t)(out.at - out_space), MSG_NOSIGNAL), out.at - out_space);
}

/* A connection to the old one's address for a takeover; its other end, which does not wait. */
static inline int ask_for_place(struct side *side)
{
    const struct acceptor_peer peer = {.len = 0};
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    assert_true(takeover_give(side->takeover, ends[0], &peer));
    return ends[1];
}

static inline void send_record(int sock, uint32_t kind, int fd)
{
    const struct fd_record record = {.kind = kind};

    assert_int_equal(fd_pass_send(sock, &record, fd), 0);
}

/* What comes next; the descriptor with it, or -1. */
static inline int receive(int sock, struct fd_record *ret_record)
{
    int fd;

    assert_int_equal(fd_pass_receive(sock, ret_record, &fd), 1);
    return fd;
}

/* Drops what came before. */
static inline bool is_closed(int sock)
{
    char byte;
    ssize_t got;

    do
        got = recv(sock, &byte, 1, MSG_DONTWAIT);
    while (got > 0);
    return got == 0;
}

/* Takes the listeners that come first. */
static inline void take_listeners(struct side *side, int sock)
{
    struct fd_record record;
    int fd = receive(sock, &record);

    assert_int_equal(record.kind, TAKEOVER_LISTENER);
    assert_int_equal(record.value, 0); /* no service manager has opened it */
    assert_true(fd != -1);
    assert_true(socket_activation_add(fd, false));
    assert_int_equal(receive(sock, &record), -1);
    assert_int_equal(record.kind, TAKEOVER_LISTED);
    start_listening(side);
}

#endif
