/* Who gets a place, with connections that say to come from wherever the test wants. */
#include "spoa/core/base/metrics.h"
#include "spoa/core/observers/history.h"
#include "spoa/core/status/status.h"
#include "spoa/io/serve/http_server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/io/net/acceptor.h"
#include "spoa/io/net/socket_addr.h"

#define PEERS_MAX 128
#define TURNS 20

static struct ev_loop *loop;
static struct http_server *server;
static struct metrics metrics;
static struct history history;
static int peers[PEERS_MAX];
static size_t peer_count;

static void fill(void *context, struct status *ret_status)
{
    static const struct unknown_service unknown;

    (void)context;
    *ret_status = (struct status){
        .version = "1", .revision = "r", .metrics = &metrics, .history = &history, .unknown = &unknown};
}

static int set_up(void **state)
{
    (void)state;
    memset(&metrics, 0, sizeof(metrics));
    peer_count = 0;
    loop = ev_loop_new(EVFLAG_AUTO);
    server = http_server_create(loop, fill, NULL, &metrics);
    return loop == NULL || server == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    http_server_destroy(server);
    for (size_t i = 0; i < peer_count; i++)
        close(peers[i]);
    ev_loop_destroy(loop);
    return 0;
}

static void turn(void)
{
    for (int i = 0; i < TURNS; i++)
        ev_run(loop, EVRUN_NOWAIT);
}

/* A connection from that address, which has sent `text`. Returns its number. */
static size_t connect_from(const char *address, const char *text)
{
    struct acceptor_peer peer = {.len = 0};
    struct addr addr;
    int ends[2];

    assert_true(addr_parse(span_of_text(address), &addr));
    assert_true(socket_addr_from(&addr, &peer.addr, &peer.len));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(write(ends[1], text, strlen(text)), (ssize_t)strlen(text));
    assert_true(http_server_take(server, ends[0], &peer));
    assert_true(peer_count < PEERS_MAX);
    peers[peer_count] = ends[1];
    return peer_count++;
}

/* So many connections, from addresses that differ in a number. */
static void connect_many(const char *before, const char *after, unsigned count)
{
    char address[64];

    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(address, sizeof(address), "%s%u%s", before, i + 1, after);
        (void)connect_from(address, "GET");
    }
    turn();
}

static bool is_open(size_t i)
{
    char bytes[64 * 1024];
    ssize_t got;

    do
        got = read(peers[i], bytes, sizeof(bytes));
    while (got > 0);
    return got == -1 && errno == EAGAIN;
}

static unsigned count_open(size_t first, size_t end)
{
    unsigned count = 0;

    for (size_t i = first; i < end; i++)
        count += is_open(i);
    return count;
}

static void a_host_has_so_many(void **state)
{
    static const char *const parts[][2] = {{"192.0.2.7:", ""}, {"[2001:db8::", "]:7"}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        size_t first = peer_count;
        connect_many(parts[i][0], parts[i][1], 20);
        assert_int_equal(count_open(first, peer_count), 16);
        assert_int_equal(count_open(first + 4, peer_count), 16); /* the oldest made room */
    }
    assert_int_equal(metrics.refused_total, 8);
}

static void places_are_kept_for_this_host(void **state)
{
    (void)state;
    connect_many("192.0.2.", ":7", 60);
    assert_int_equal(count_open(0, 60), 48);
    connect_many("127.0.0.1:", "", 16);
    assert_int_equal(count_open(0, 60), 48);
    assert_int_equal(count_open(60, 76), 16);
    (void)connect_from("unix:/x", "GET"); /* the oldest of all makes room */
    turn();
    assert_int_equal(count_open(0, 60), 47);
    assert_int_equal(count_open(60, 77), 17);
}

static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

/* Who is being answered keeps its place. */
static void nobody_is_cut_off(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++)
        (void)connect_from("192.0.2.7:1", request);
    size_t late = connect_from("192.0.2.7:1", request);
    assert_false(is_open(late));
    turn();
    assert_int_equal(count_open(0, 16), 16);
}

/* Three hosts that take all places for their answers: another host gets one of theirs. */
static void hosts_share(void **state)
{
    static const char *const hosts[] = {"192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"};

    (void)state;
    for (unsigned i = 0; i < 48; i++)
        (void)connect_from(hosts[i / 16], request);
    size_t late = connect_from("192.0.2.4:1", request);
    assert_false(is_open(0));
    turn();
    assert_true(is_open(late));
    assert_int_equal(count_open(1, 48), 47);
}

/* Who has not taken its answer after two seconds makes room. */
static void the_slow_make_room(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 64; i++)
        (void)connect_from("127.0.0.1:1", request);
    assert_false(is_open(connect_from("127.0.0.1:1", request)));
    sleep(2);
    ev_now_update(loop);
    size_t late = connect_from("127.0.0.1:1", request);
    assert_false(is_open(0));
    turn();
    assert_true(is_open(late));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_host_has_so_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(places_are_kept_for_this_host, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_is_cut_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hosts_share, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_slow_make_room, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
