/* What the kernel says of connections on loopback, by their ends. */
#include "spoa/io/serve/client_look.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static struct client_looker *looker;

/* A connection: the client's end, and HAProxy's. */
struct pair {
    int client;
    int haproxy;
    struct client ends;
};

static int set_up(void **state)
{
    (void)state;
    looker = client_looker_create();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    client_looker_destroy(looker);
    return 0;
}

/* A port stands at the same place in the addresses of both families. */
static uint16_t port_of(int fd)
{
    struct sockaddr_in6 addr = {.sin6_port = 0};
    socklen_t len = sizeof(addr);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    return ntohs(addr.sin6_port);
}

static int listen_on_loopback(bool is_ipv6)
{
    const struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd == -1 || bind(fd, is_ipv6 ? (const struct sockaddr *)&ipv6 : (const struct sockaddr *)&ipv4,
                         is_ipv6 ? sizeof(ipv6) : sizeof(ipv4)) == -1) {
        assert_true(is_ipv6); /* a machine may lack it */
        if (fd != -1)
            close(fd);
        return -1;
    }
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static struct pair connect_to(int listening, bool is_ipv6)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    struct pair pair = {.ends = {.kind = CLIENT_TCP, .is_ipv6 = is_ipv6}};

    assert_int_equal(getsockname(listening, (struct sockaddr *)&addr, &len), 0);
    pair.client = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(pair.client, (const struct sockaddr *)&addr, len), 0);
    pair.haproxy = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    assert_int_not_equal(pair.haproxy, -1);
    pair.ends.src_port = port_of(pair.client);
    pair.ends.dst_port = port_of(listening);
    if (is_ipv6) {
        pair.ends.src[15] = 1;
        pair.ends.dst[15] = 1;
    } else {
        memcpy(pair.ends.src, "\x7f\0\0\1", 4);
        memcpy(pair.ends.dst, "\x7f\0\0\1", 4);
    }
    return pair;
}

static void assert_state(const struct client *client, enum client_state expected)
{
    enum client_state found = CLIENT_STATE_UNKNOWN;

    client_looker_look(looker, &client, 1, &found);
    assert_int_equal(found, expected);
}

/* A client is there, sends its end, or is closed by HAProxy; and one is not known. */
static void check_states(bool is_ipv6)
{
    int listening = listen_on_loopback(is_ipv6);

    if (listening == -1)
        return;
    struct pair gone = connect_to(listening, is_ipv6);
    struct pair given_up = connect_to(listening, is_ipv6);
    struct client stranger = gone.ends;
    assert_state(&gone.ends, CLIENT_STATE_THERE);
    close(gone.client);
    assert_state(&gone.ends, CLIENT_STATE_GONE);
    assert_state(&given_up.ends, CLIENT_STATE_THERE);
    assert_int_equal(shutdown(given_up.haproxy, SHUT_WR), 0);
    assert_state(&given_up.ends, CLIENT_STATE_GIVEN_UP);
    close(gone.haproxy);
    close(given_up.client);
    close(given_up.haproxy);
    stranger.src[0] ^= 0x40;
    assert_state(&stranger, CLIENT_STATE_ABSENT); /* the kernel finds the listener */
    close(listening);
    assert_state(&stranger, CLIENT_STATE_ABSENT); /* and nobody */
}

static void test_states(void **state)
{
    (void)state;
    if (looker == NULL)
        skip();
    check_states(false);
    check_states(true);
}

/* Each of many has its own answer, and the next look has its own answers, too. */
static void test_many_at_once(void **state)
{
    struct client clients[CLIENT_LOOK_MAX];
    const struct client *pointers[CLIENT_LOOK_MAX];
    enum client_state found[CLIENT_LOOK_MAX];

    (void)state;
    if (looker == NULL)
        skip();
    int listening = listen_on_loopback(false);
    struct pair pair = connect_to(listening, false);
    for (size_t look = 0; look < 3; look++) {
        for (size_t i = 0; i < CLIENT_LOOK_MAX; i++) {
            clients[i] = pair.ends;
            clients[i].src[0] ^= i % 3 == look ? 0 : 0x40;
            pointers[i] = &clients[i];
        }
        client_looker_look(looker, pointers, CLIENT_LOOK_MAX, found);
        for (size_t i = 0; i < CLIENT_LOOK_MAX; i++)
            assert_int_equal(found[i], i % 3 == look ? CLIENT_STATE_THERE : CLIENT_STATE_ABSENT);
    }
    close(pair.client);
    close(pair.haproxy);
    close(listening);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_states),
        TEST(test_many_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
