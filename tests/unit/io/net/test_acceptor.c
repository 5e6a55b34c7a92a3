/* One listening socket: who is let in, how many at a time, and what follows when accept() fails. */
#include "spoa/io/net/acceptor.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/network.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/config/config.h"
#include "spoa/io/net/socket_addr.h"
#include "tests/lib/log_capture.h"

#define ACCEPT_BATCH 64
#define ACCEPT_PAUSE_S 0.1
#define CLIENTS_MAX (ACCEPT_BATCH + 6)

struct taker {
    unsigned count;
    unsigned limited; /* of these */
    bool is_full;
};

static struct ev_loop *loop;
static struct metrics metrics;
static struct acceptor acceptor;
static struct config_networks allowed; /* borrowed by the acceptor, where a test says so */
static struct taker taken;
static struct taker taken_by_other;
static struct acceptor_protocol protocol;
static struct acceptor_protocol other_protocol;
static char error[LISTEN_SOCKET_ERROR_MAX];
static int clients[CLIENTS_MAX];
static size_t client_count;

/* What the kernel says in place of the truth. */
static int failures[4]; /* of the next calls of accept(), 0 after the last */
static bool is_flood;   /* accept() always finds another connection */
static unsigned accepted;
static const struct sockaddr_storage *from;   /* whom accept() names; NULL: the truth */
static const struct sockaddr_storage *called; /* what getsockname() says; NULL: the truth */
static bool is_unnamed;                       /* getsockname() fails */

/* These two are in place of the C library's. */
int accept4(int fd, __SOCKADDR_ARG addr, socklen_t *len, int flags)
{
    if (failures[0] != 0) {
        errno = failures[0];
        memmove(failures, failures + 1, sizeof(failures) - sizeof(*failures));
        return -1;
    }
    int sock = is_flood ? dup(fd) : (int)syscall(SYS_accept4, fd, addr.__sockaddr__, len, flags);
    if (sock != -1)
        accepted++;
    if (sock != -1 && from != NULL)
        memcpy(addr.__sockaddr__, from, sizeof(*from));
    return sock;
}

int getsockname(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
    if (is_unnamed) {
        errno = ENOBUFS;
        return -1;
    }
    if (called == NULL)
        return (int)syscall(SYS_getsockname, fd, addr.__sockaddr__, len);
    memcpy(addr.__sockaddr__, called, sizeof(*called));
    return 0;
}

static bool take(void *context, int fd, const struct acceptor_peer *peer)
{
    struct taker *taker = context;

    if (taker->is_full)
        return false;
    taker->count++;
    taker->limited += peer->is_limited;
    close(fd);
    return true;
}

static int set_up(void **state)
{
    (void)state;
    log_capture_begin(LOG_LEVEL_DEBUG);
    metrics.refused_total = 0;
    taken = taken_by_other = (struct taker){.count = 0};
    protocol = (struct acceptor_protocol){.name = "spop", .take = take, .context = &taken};
    other_protocol = (struct acceptor_protocol){.name = "http", .take = take, .context = &taken_by_other};
    memset(failures, 0, sizeof(failures));
    is_flood = is_unnamed = false;
    from = called = NULL;
    accepted = 0;
    loop = ev_loop_new(EVFLAG_AUTO);
    return loop == NULL;
}

static void close_clients(void)
{
    while (client_count > 0)
        close(clients[--client_count]);
}

static int tear_down(void **state)
{
    (void)state;
    close_clients();
    acceptor_close(&acceptor);
    ev_loop_destroy(loop);
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    return 0;
}

static void open_at(const struct addr *addr, bool waits)
{
    const struct listen_socket_options where = {.addr = addr, .mode = -1, .owner = "", .group = ""};

    assert_int_equal(acceptor_open(&acceptor, loop, &where, &protocol, &metrics, waits, error), 0);
}

static void open_acceptor(bool waits)
{
    const struct addr loopback = {.kind = ADDR_IPV4, .ip = {127, 0, 0, 1}};

    open_at(&loopback, waits);
}

/* Another client in the queue. Returns its socket. */
static int add_client(void)
{
    struct sockaddr_storage storage;
    socklen_t len;

    assert_true(client_count < CLIENTS_MAX);
    assert_true(socket_addr_from(&acceptor.listening.addr, &storage, &len));
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_not_equal(fd, -1);
    clients[client_count++] = fd;
    assert_int_equal(connect(fd, (const struct sockaddr *)&storage, len), 0);
    return fd;
}

static void run_once(void)
{
    ev_run(loop, EVRUN_NOWAIT);
}

/* A burst does not keep the others waiting. */
static void a_burst_is_taken_in_parts(void **state)
{
    (void)state;
    open_acceptor(false);
    for (int i = 0; i < CLIENTS_MAX; i++)
        (void)add_client();
    run_once();
    assert_int_equal(taken.count, ACCEPT_BATCH);
    run_once();
    assert_int_equal(taken.count, CLIENTS_MAX);
    assert_int_equal(log_capture_count("accept-failed"), 0);
}

/* That is no fault of ours: the next one is taken at once. */
static void a_client_that_has_gone_again(void **state)
{
    (void)state;
    open_acceptor(false);
    failures[0] = ECONNABORTED;
    failures[1] = EINTR;
    (void)add_client();
    run_once();
    assert_int_equal(taken.count, 1);
    assert_int_equal(log_capture_count("accept-failed"), 0);
    assert_int_equal(log_capture_count("accepting-again"), 0);
}

/* The loop cannot do better than to wait a while. */
static void check_pause(void)
{
    assert_false(ev_is_active(&acceptor.acceptable));
    assert_true(ev_is_active(&acceptor.resume));
    double rest_s = ev_timer_remaining(loop, &acceptor.resume);
    assert_true(rest_s > ACCEPT_PAUSE_S * 0.9 && rest_s < ACCEPT_PAUSE_S * 1.1);
}

/* Each failure is followed by a pause of the same length. Only the first one is told. */
static void descriptors_run_out(void **state)
{
    (void)state;
    open_acceptor(false);
    failures[0] = failures[1] = EMFILE;
    (void)add_client();
    run_once();
    check_pause();
    assert_non_null(strstr(log_capture_last("accept-failed"), "protocol=spop error=Too many open files"));
    while (failures[0] != 0)
        ev_run(loop, EVRUN_ONCE);
    check_pause();
    assert_int_equal(log_capture_count("accept-failed"), 1);
    while (taken.count == 0)
        ev_run(loop, EVRUN_ONCE);
    assert_non_null(strstr(log_capture_last("accepting-again"), "protocol=spop"));
    (void)add_client();
    run_once();
    assert_int_equal(taken.count, 2);
    assert_int_equal(log_capture_count("accepting-again"), 1);
    failures[0] = ENFILE;
    (void)add_client();
    run_once();
    assert_int_equal(log_capture_count("accept-failed"), 2);
}

/* The connection is closed, so that its client does not wait. */
static void memory_runs_out(void **state)
{
    char byte;

    (void)state;
    open_acceptor(false);
    taken.is_full = true;
    int client = add_client();
    (void)add_client();
    run_once();
    check_pause();
    assert_int_equal(accepted, 1);
    assert_int_equal(recv(client, &byte, 1, 0), 0);
    assert_non_null(strstr(log_capture_last("accept-failed"), "error=Cannot allocate memory"));
    taken.is_full = false;
    while (taken.count == 0)
        ev_run(loop, EVRUN_ONCE);
    assert_int_equal(log_capture_count("accepting-again"), 1);
}

/* The address of a socket; ":" is one of a family that we do not know. */
static struct sockaddr_storage storage_of(const char *text)
{
    struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
    socklen_t len;
    struct addr addr;

    if (strcmp(text, ":") == 0)
        return storage;
    assert_true(addr_parse(span_of_text(text), &addr));
    assert_true(socket_addr_from(&addr, &storage, &len));
    return storage;
}

enum outcome { REFUSED, TAKEN, LIMITED };

struct visit {
    size_t networks;    /* how many of the two are allowed; 0: all */
    bool takes_limited; /* the protocol does */
    const char *from;
    const char *called;
    enum outcome outcome;
};

static const struct visit visits[] = {
    {0, false, "198.51.100.1:7", "203.0.113.1:1", TAKEN},
    {1, false, "10.1.2.3:7", "203.0.113.1:1", TAKEN},
    {1, true, "10.1.2.3:7", "203.0.113.1:1", TAKEN},
    {1, false, "192.0.2.7:7", "203.0.113.1:1", REFUSED},
    {2, false, "192.0.2.7:7", "203.0.113.1:1", TAKEN},
    {2, false, "198.51.100.1:7", "203.0.113.1:1", REFUSED},
    {2, false, "127.0.0.1:7", "127.0.0.1:1", REFUSED},
    {2, false, "203.0.113.1:7", "203.0.113.1:1", REFUSED},
    /* These come from our own host. */
    {2, true, "127.0.0.1:7", "127.0.0.2:1", LIMITED},
    {2, true, "[::1]:7", "[::1]:1", LIMITED},
    {2, true, "203.0.113.1:7", "203.0.113.1:1", LIMITED},
    {2, true, "[2001:db8::7]:7", "[2001:db8::7]:1", LIMITED},
    /* And these do not, although the last two look alike. */
    {2, true, "203.0.113.2:7", "203.0.113.1:1", REFUSED},
    {2, true, "[2001:db8::7]:7", "[2001:db8::8]:1", REFUSED},
    {2, true, "203.0.113.1:7", "[cb00:7101::]:1", REFUSED},
    {2, true, "203.0.113.1:7", ":", REFUSED},
    {0, true, ":", "203.0.113.1:1", REFUSED},
};

static void check_visit(const struct visit *visit)
{
    const struct sockaddr_storage client_storage = storage_of(visit->from);
    const struct sockaddr_storage own_storage = storage_of(visit->called);
    bool is_taken = visit->outcome != REFUSED;
    char expected[128];
    char byte;

    log_capture_clear();
    metrics.refused_total = 0;
    taken = (struct taker){.count = 0};
    protocol.takes_limited = visit->takes_limited;
    from = NULL;
    int client = add_client();
    from = &client_storage;
    called = &own_storage;
    run_once();
    assert_int_equal(taken.count, is_taken);
    assert_int_equal(taken.limited, visit->outcome == LIMITED);
    assert_int_equal(metrics.refused_total, !is_taken);
    assert_int_equal(log_capture_count("connection-refused"), !is_taken);
    assert_int_equal(recv(client, &byte, 1, 0), 0); /* who is refused is told by a close */
    (void)snprintf(expected, sizeof(expected), "protocol=spop peer=%s reason=not in 'allow'", visit->from);
    if (!is_taken && visit->from[0] != ':')
        assert_non_null(strstr(log_capture_last("connection-refused"), expected));
}

static void allow_networks(void)
{
    static struct network networks[2];

    assert_int_equal(network_parse(span_of_text("10.0.0.0/8"), &networks[0]), NETWORK_OK);
    assert_int_equal(network_parse(span_of_text("192.0.2.0/24"), &networks[1]), NETWORK_OK);
    allowed = (struct config_networks){.list = networks, .count = 2};
    acceptor.allowed = &allowed;
}

static void who_is_let_in(void **state)
{
    (void)state;
    open_acceptor(false);
    assert_null(acceptor.allowed);
    check_visit(&visits[0]);
    allow_networks();
    for (size_t i = 0; i < sizeof(visits) / sizeof(*visits); i++) {
        allowed.count = visits[i].networks;
        check_visit(&visits[i]);
    }
}

/* Those who are refused do not stand in the way of the next. */
static void several_are_refused(void **state)
{
    const struct sockaddr_storage storage = storage_of("203.0.113.1:7");

    (void)state;
    open_acceptor(false);
    allow_networks();
    for (int i = 0; i < 6; i++)
        (void)add_client();
    from = &storage;
    run_once();
    assert_int_equal(metrics.refused_total, 6);
    from = NULL;
}

/* Who cannot be asked for his address is not from our own host. */
static void an_address_that_cannot_be_found_out(void **state)
{
    const struct sockaddr_storage storage = storage_of("203.0.113.1:7");

    (void)state;
    open_acceptor(false);
    allow_networks();
    protocol.takes_limited = true;
    (void)add_client();
    from = &storage;
    is_unnamed = true;
    run_once();
    assert_int_equal(taken.count, 0);
    assert_int_equal(metrics.refused_total, 1);
    from = NULL;
}

/* The rights of its file decide, and nothing else. */
static void a_unix_socket_has_no_networks(void **state)
{
    char directory[] = "/tmp/acceptor-XXXXXX";
    char text[64];
    struct addr addr;

    (void)state;
    assert_non_null(mkdtemp(directory));
    (void)snprintf(text, sizeof(text), "unix:%s/socket", directory);
    assert_true(addr_parse(span_of_text(text), &addr));
    open_at(&addr, false);
    allow_networks();
    (void)add_client();
    run_once();
    assert_int_equal(taken.count, 1);
    assert_int_equal(taken.limited, 0);
    assert_int_equal(metrics.refused_total, 0);
    acceptor_close(&acceptor);
    assert_int_equal(rmdir(directory), 0);
}

static void clients_wait_in_a_pause(void **state)
{
    (void)state;
    open_acceptor(false);
    acceptor_pause(&acceptor);
    (void)add_client();
    run_once();
    assert_int_equal(taken.count, 0);
    acceptor_resume(&acceptor);
    run_once();
    assert_int_equal(taken.count, 1);
}

/* It takes nobody before it is handed to a protocol, and that is when it is told. */
static void one_that_waits(void **state)
{
    (void)state;
    open_acceptor(true);
    (void)add_client();
    acceptor_resume(&acceptor);
    run_once();
    assert_int_equal(accepted, 0);
    assert_int_equal(log_capture_count(NULL), 0);
    acceptor_hand_to(&acceptor, &other_protocol);
    run_once();
    assert_int_equal(taken_by_other.count, 1);
    assert_int_equal(log_capture_count(NULL), 1);
    assert_non_null(strstr(log_capture_last("listening"), "protocol=http address=127.0.0.1:"));
    acceptor_pause(&acceptor); /* from now on it is like any other */
    acceptor_resume(&acceptor);
    (void)add_client();
    run_once();
    assert_int_equal(taken_by_other.count, 2);
}

static void another_protocol(void **state)
{
    (void)state;
    open_acceptor(false);
    acceptor_hand_to(&acceptor, &protocol);
    assert_int_equal(log_capture_count(NULL), 1); /* the first "listening" */
    acceptor_hand_to(&acceptor, &other_protocol);
    assert_int_equal(log_capture_count(NULL), 3);
    assert_non_null(strstr(log_capture_last("not-listening"), "protocol=spop address=127.0.0.1:"));
    assert_non_null(strstr(log_capture_last("listening"), "protocol=http address=127.0.0.1:"));
    (void)add_client();
    run_once();
    assert_int_equal(taken.count, 0);
    assert_int_equal(taken_by_other.count, 1);
}

/* Those who wait in the queue are served. */
static void the_end(void **state)
{
    (void)state;
    open_acceptor(false);
    for (int i = 0; i < CLIENTS_MAX; i++)
        (void)add_client();
    acceptor_retire(&acceptor);
    assert_int_equal(taken.count, CLIENTS_MAX);
    assert_int_equal(log_capture_count("not-listening"), 1);
    assert_int_equal(acceptor.listening.fd, -1);
}

/* But a flood does not keep it open. */
static void the_end_in_a_flood(void **state)
{
    (void)state;
    open_acceptor(false);
    is_flood = true;
    acceptor_retire(&acceptor);
    assert_int_equal(accepted, LISTEN_SOCKET_BACKLOG);
}

/* Nobody was promised anything, and nobody was told that it listens. */
static void the_end_of_one_that_waits(void **state)
{
    (void)state;
    open_acceptor(true);
    (void)add_client();
    acceptor_retire(&acceptor);
    assert_int_equal(accepted, 0);
    assert_int_equal(log_capture_count(NULL), 0);
    assert_int_equal(acceptor.listening.fd, -1);
}

/* Its timer must not wake up what is gone. */
static void the_end_after_a_failure(void **state)
{
    (void)state;
    open_acceptor(false);
    failures[0] = EMFILE;
    (void)add_client();
    run_once();
    acceptor_close(&acceptor);
    assert_false(ev_is_active(&acceptor.acceptable));
    assert_false(ev_is_active(&acceptor.resume));
    open_acceptor(false);
    acceptor_close(&acceptor);
    assert_false(ev_is_active(&acceptor.acceptable));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_burst_is_taken_in_parts),
        TEST(a_client_that_has_gone_again),
        TEST(descriptors_run_out),
        TEST(memory_runs_out),
        TEST(who_is_let_in),
        TEST(several_are_refused),
        TEST(an_address_that_cannot_be_found_out),
        TEST(a_unix_socket_has_no_networks),
        TEST(clients_wait_in_a_pause),
        TEST(one_that_waits),
        TEST(another_protocol),
        TEST(the_end),
        TEST(the_end_in_a_flood),
        TEST(the_end_of_one_that_waits),
        TEST(the_end_after_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
