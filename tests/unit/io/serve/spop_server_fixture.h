/* An SPOP server with one service, its peers on sockets of this program, and time that passes when a test says so. */
#ifndef TESTS_UNIT_IO_SERVE_SPOP_SERVER_FIXTURE_H
#define TESTS_UNIT_IO_SERVE_SPOP_SERVER_FIXTURE_H

#include "spoa/core/base/metrics.h"
#include "spoa/core/haproxy/parking.h"
#include "spoa/core/haproxy/service_table.h"
#include "spoa/io/serve/spop_server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/io/net/acceptor.h"
#include "spoa/io/net/loop.h"
#include "tests/lib/events.h"
#include "tests/lib/log_capture.h"
#include "tests/lib/spop_peer.h"
#include "tests/unit/io/clock_fixture.h"
#include "tests/unit/io/descriptors.h"

#define SPACE ((size_t)256 * 1024)
#define PARK_MS 5000
#define IDLE_MS 60000
/* Some frames that fit in no buffer of a socket. */
#define MANY 20000

static const uint8_t identities[1] = {0};
static const struct acceptor_peer peer = {.len = 0};
static struct service_server servers[1] = {{.name = "R1"}};
static const struct service_settings of_service = {
    .name = "m",
    .monitor = "m",
    .servers = servers,
    .server_count = 1,
    .park_ms = PARK_MS,
    .quorum = {.identities = identities,
               .voters = 1,
               .threshold = 1,
               .reply_timeout_ms = 500,
               .vote_life_ms = 1000000},
};

static struct ev_loop *loop;
static struct parking *parking;
static struct service *service;
static struct service_table *table;
static struct spop_server *server;
static struct metrics metrics;
static unsigned drained;
static size_t descriptors; /* before the test */
static uint8_t space[2 * 1024 * 1024];
static struct sink out; /* what is to be sent next */

/* The next call of send() or recv() for a connection of the server fails so; 0: it does not. */
static int send_error;
static int recv_error;
static int server_fd;           /* of the last connection */
static uint64_t *watched_sends; /* counts the calls of send(); NULL: nobody does */

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    if (watched_sends != NULL)
        ++*watched_sends;
    if (fd != server_fd || send_error == 0)
        return syscall(SYS_sendto, fd, bytes, len, flags, NULL, 0);
    errno = send_error;
    send_error = 0;
    return -1;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
ssize_t recv(int fd, void *bytes, size_t len, int flags)
{
    if (fd != server_fd || recv_error == 0)
        return syscall(SYS_recvfrom, fd, bytes, len, flags, NULL, NULL);
    errno = recv_error;
    recv_error = 0;
    return -1;
}

static inline void on_due(void *context)
{
    (void)context;
    if (server != NULL)
        spop_server_wake(server);
}

static inline void on_drained(void *context)
{
    (void)context;
    drained++;
}

static inline int set_up(void **state)
{
    (void)state;
    memset(&metrics, 0, sizeof(metrics));
    drained = 0;
    send_error = recv_error = 0;
    server_fd = -1;
    out = sink_of(space, sizeof(space));
    log_capture_begin(LOG_LEVEL_DEBUG);
    assert_true(addr_parse(span_of_text("10.0.0.1:6379"), &servers[0].addr));
    descriptors = count_descriptors();
    loop = ev_loop_new(EVFLAG_AUTO);
    parking = parking_create(8, on_due, NULL);
    table = service_table_create(parking);
    service = service_create(&of_service, clock_ms());
    server = spop_server_create(loop, table, &metrics);
    assert_true(loop != NULL && parking != NULL && table != NULL && service != NULL && server != NULL);
    assert_true(service_table_add(table, service));
    spop_server_limit(server, 0, IDLE_MS);
    skip_time(loop, 60000); /* the loop has run for a while */
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    spop_server_destroy(server);
    server = NULL;
    skip_time(loop, 120000); /* nothing of it is used again: the build with AddressSanitizer looks */
    service_table_destroy(table);
    service_destroy(service);
    parking_destroy(parking);
    ev_loop_destroy(loop);
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    assert_int_equal(count_descriptors(), descriptors);
    return metrics.connections_total != metrics.connections_closed_total;
}

static inline void name_master(void)
{
    const struct service_event ballot = {.kind = SERVICE_SAID_MASTER,
                                         .ballot = QUORUM_NAMES,
                                         .addr = &servers[0].addr,
                                         .t_sent_ms = clock_ms()};

    (void)step_as(service, 0, &ballot, clock_ms());
}

/* ---- the peer ---- */

/* Two ends of a connection; that of the server is its own from now on. */
static inline int connect_peer(void)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    server_fd = ends[0];
    assert_true(spop_server_take(server, ends[0], &peer));
    return ends[1];
}

/* Sends what was written; all but the last `less` bytes of it. */
static inline void send_less(int fd, size_t less)
{
    size_t len = (size_t)(out.at - space) - less;

    assert_int_equal(syscall(SYS_sendto, fd, space, len, MSG_NOSIGNAL, NULL, 0), len);
    memmove(space, space + len, less);
    out = sink_of(space, sizeof(space));
    out.at += less;
    turn(loop);
}

static inline void send_all(int fd)
{
    send_less(fd, 0);
}

/* The next frames that have come. `*ret_count` tells how many; the last one is returned. */
static inline struct spop_frame receive(int fd, size_t *ret_count)
{
    static uint8_t bytes[SPACE];
    struct spop_frame frame = {.type = 0};
    ssize_t got = syscall(SYS_recvfrom, fd, bytes, sizeof(bytes), 0, NULL, NULL);
    struct span rest = span_of(bytes, got > 0 ? (size_t)got : 0);

    for (*ret_count = 0; spop_peer_reply(&rest, &frame); ++*ret_count)
        continue;
    return frame;
}

static inline struct spop_frame expect(int fd, uint32_t type)
{
    size_t count;
    struct spop_frame frame = receive(fd, &count);

    assert_int_equal(count, 1);
    assert_int_equal(frame.type, type);
    return frame;
}

/* It is told that the conversation is over, with this status. */
static inline void expect_end(int fd, int status)
{
    struct spop_frame frame = expect(fd, SPOP_AGENT_DISCONNECT);

    assert_int_equal(spop_peer_status(&frame), status);
}

static inline void expect_silence(int fd)
{
    char byte;

    assert_int_equal(syscall(SYS_recvfrom, fd, &byte, 1, 0, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
}

/* Nothing comes any more. The server may have closed, or only its side. */
static inline void expect_eof(int fd)
{
    char byte;

    ssize_t got = syscall(SYS_recvfrom, fd, &byte, 1, 0, NULL, NULL);
    assert_true(got == 0 || (got == -1 && errno == ECONNRESET)); /* reset: it has not read all */
}

static inline int connect_with_hello(void)
{
    int fd = connect_peer();

    out = sink_of(space, sizeof(space));
    spop_peer_hello(&out, 16380, false);
    send_all(fd);
    (void)expect(fd, SPOP_AGENT_HELLO);
    return fd;
}

static inline void ask(int fd, uint64_t stream_id)
{
    spop_peer_notify(&out, stream_id, 1, "m", NULL);
    send_all(fd);
}

static inline void expect_answer(int fd, uint64_t stream_id)
{
    struct spop_frame frame = expect(fd, SPOP_ACK);

    assert_int_equal(frame.stream_id, stream_id);
}

/* Sends so many short questions that the replies do not fit in the sockets. */
static inline void flood(int fd)
{
    for (unsigned i = 0; i < MANY; i++)
        spop_peer_frame(&out, SPOP_NOTIFY, i, 1, span_of(NULL, 0));
    size_t len = (size_t)(out.at - space);
    out = sink_of(space, sizeof(space));
    for (size_t sent = 0, stuck = 0; sent < len && stuck < 100; turn(loop)) {
        ssize_t took =
            syscall(SYS_sendto, fd, space + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);
        stuck = took > 0 ? 0 : stuck + 1;
        sent += took > 0 ? (size_t)took : 0;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
