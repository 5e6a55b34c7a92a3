/* Addresses of the socket calls as ours. */
#include "spoa/io/net/socket_addr.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* What the kernel says of a connection's ends; NULL: the truth. */
static const struct sockaddr_storage *far_end;
static const struct sockaddr_storage *near_end;

/* The kernel writes no more than it is told that there is room for. */
static int name_end(const struct sockaddr_storage *end, struct sockaddr *addr, socklen_t *len)
{
    socklen_t size = end->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

    memcpy(addr, end, size < *len ? size : *len);
    *len = size;
    return 0;
}

/* These two are in place of the C library's. */
int getpeername(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
    return far_end != NULL ? name_end(far_end, addr.__sockaddr__, len)
                           : (int)syscall(SYS_getpeername, fd, addr.__sockaddr__, len);
}

int getsockname(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
    return near_end != NULL ? name_end(near_end, addr.__sockaddr__, len)
                            : (int)syscall(SYS_getsockname, fd, addr.__sockaddr__, len);
}

static struct sockaddr_storage storage_of(const void *address, size_t len)
{
    struct sockaddr_storage storage;

    memset(&storage, 0, sizeof(storage));
    memcpy(&storage, address, len);
    return storage;
}

static void check_text(const struct sockaddr_storage *storage, const char *expected)
{
    char text[ADDR_TEXT_MAX];
    struct addr addr;

    assert_true(socket_addr_to(storage, &addr));
    assert_string_equal(addr_format(&addr, text), expected);
}

static void to_ours(void **state)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(7)};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
    const struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct addr addr;

    (void)state;
    ipv4.sin_addr.s_addr = htonl(0x0a000001);
    ipv6.sin6_addr = in6addr_loopback;
    struct sockaddr_storage storage = storage_of(&ipv4, sizeof(ipv4));
    check_text(&storage, "10.0.0.1:7");
    storage = storage_of(&ipv6, sizeof(ipv6));
    check_text(&storage, "[::1]:7");
    storage = storage_of(&local, sizeof(local));
    assert_false(socket_addr_to(&storage, &addr));
}

/* A listener on [::] sees the hosts that come by IPv4 so. */
static void mapped_ipv4_is_ipv4(void **state)
{
    static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(7)};

    (void)state;
    memcpy(&ipv6.sin6_addr, mapped, sizeof(mapped));
    const struct sockaddr_storage storage = storage_of(&ipv6, sizeof(ipv6));
    check_text(&storage, "10.0.0.1:7");
}

/* Whether a connection between these two is one to another host. NULL: no socket. */
static bool is_remote(const char *peer, const char *self)
{
    struct sockaddr_storage storages[2];
    struct addr addr;
    socklen_t len;

    assert_true(addr_parse(span_of_text(peer), &addr));
    assert_true(socket_addr_from(&addr, &storages[0], &len));
    far_end = &storages[0];
    if (self != NULL) {
        assert_true(addr_parse(span_of_text(self), &addr));
        assert_true(socket_addr_from(&addr, &storages[1], &len));
        near_end = &storages[1];
    }
    bool result = socket_is_remote(-1);
    far_end = near_end = NULL;
    return result;
}

/* The ports say nothing. test_addresses.py sees the same in two network namespaces. */
static void another_host_is_remote(void **state)
{
    (void)state;
    assert_true(is_remote("192.0.2.7:6379", "192.0.2.8:40000"));
    assert_true(is_remote("192.0.2.7:6379", "192.0.2.8:6379"));
    assert_true(is_remote("[2001:db8::7]:6379", "[2001:db8::8]:40000"));
    assert_true(is_remote("[2001:db8::7]:6379", "[2001:db8::7:1]:40000"));
    assert_false(is_remote("192.0.2.7:6379", "192.0.2.7:40000"));
    assert_false(is_remote("[2001:db8::7]:6379", "[2001:db8::7]:40000"));
    assert_false(is_remote("127.0.0.1:6379", "127.0.0.2:40000"));
    assert_false(is_remote("192.0.2.7:6379", NULL));
    assert_false(is_remote("192.0.2.7:6379", "unix:/run/a.sock"));
    assert_false(is_remote("unix:/run/a.sock", "192.0.2.7:6379"));
}

static void own_host_is_not_remote(void **state)
{
    struct sockaddr_in local = {.sin_family = AF_INET};
    socklen_t len = sizeof(local);
    int pair[2];

    (void)state;
    local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int server = socket(AF_INET, SOCK_STREAM, 0);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    assert_false(socket_is_remote(client)); /* not connected */
    assert_int_equal(bind(server, (struct sockaddr *)&local, len), 0);
    assert_int_equal(listen(server, 1), 0);
    assert_int_equal(getsockname(server, (struct sockaddr *)&local, &len), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&local, len), 0);
    assert_false(socket_is_remote(client));
    close(client);
    close(server);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_false(socket_is_remote(pair[0]));
    close(pair[0]);
    close(pair[1]);
    assert_false(socket_is_remote(-1));
}

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

/* A peer that is gone without a word is found out after three probes that get no answer. */
static void a_connection_is_tuned(void **state)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    assert_int_not_equal(fd, -1);
    socket_tune_tcp(fd, 17, 5);
    assert_true(option_of(fd, IPPROTO_TCP, TCP_NODELAY) != 0);
    assert_true(option_of(fd, SOL_SOCKET, SO_KEEPALIVE) != 0);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 17);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 5);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_not_equal(fd, -1);
    socket_tune_tcp(fd, 0, 5);
    assert_true(option_of(fd, IPPROTO_TCP, TCP_NODELAY) != 0);
    assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    assert_int_not_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 5);
    close(fd);
}

/* There and back, of each kind. A name is no address of a socket. */
static void from_ours(void **state)
{
    static const char *const texts[] = {"10.1.2.3:6379", "[2001:db8::7]:443"};
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + sizeof("unix:")] = "unix:/";
    struct sockaddr_storage storage;
    struct sockaddr_un local;
    struct addr addr;
    socklen_t len = 0;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_true(addr_parse(span_of_text(texts[i]), &addr));
        assert_true(socket_addr_from(&addr, &storage, &len));
        assert_int_equal(len, i == 0 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        check_text(&storage, texts[i]);
    }
    assert_true(addr_parse(span_of_text("unix:/run/a.sock"), &addr));
    assert_true(socket_addr_from(&addr, &storage, &len));
    assert_int_equal(len, sizeof(local));
    memcpy(&local, &storage, sizeof(local));
    assert_int_equal(local.sun_family, AF_UNIX);
    assert_string_equal(local.sun_path, "/run/a.sock");
    memset(path + strlen("unix:/"), 'p', sizeof(local.sun_path) - 2);
    assert_true(addr_parse(span_of_text(path), &addr));
    assert_true(socket_addr_from(&addr, &storage, &len));
    memcpy(&local, &storage, sizeof(local));
    assert_string_equal(local.sun_path, path + strlen("unix:"));
    assert_true(addr_parse(span_of_text("redis-1:6379"), &addr));
    assert_false(socket_addr_from(&addr, &storage, &len));
    assert_false(socket_addr_from(&(struct addr){.kind = ADDR_NONE}, &storage, &len));
}

/* Whatever was there before: addresses are compared as a whole. */
static void equal_addresses_have_equal_bytes(void **state)
{
    static const char *const texts[] = {"10.1.2.3:6379", "[2001:db8::7]:443", "unix:/run/a.sock"};
    struct sockaddr_storage storages[2];
    struct addr addr;
    socklen_t len;

    (void)state;
    memset(&storages[0], 0xff, sizeof(storages[0]));
    memset(&storages[1], 0, sizeof(storages[1]));
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        assert_true(addr_parse(span_of_text(texts[i]), &addr));
        assert_true(socket_addr_from(&addr, &storages[0], &len));
        assert_true(socket_addr_from(&addr, &storages[1], &len));
        assert_memory_equal(&storages[0], &storages[1], sizeof(storages[0]));
    }
    const struct sockaddr_in ipv4 = {
        .sin_family = AF_INET, .sin_port = htons(7), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_storage expected = storage_of(&ipv4, sizeof(ipv4));
    assert_true(addr_parse(span_of_text("127.0.0.1:7"), &addr));
    assert_true(socket_addr_from(&addr, &storages[0], &len));
    assert_memory_equal(&storages[0], &expected, sizeof(expected));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_ours),
        cmocka_unit_test(mapped_ipv4_is_ipv4),
        cmocka_unit_test(own_host_is_not_remote),
        cmocka_unit_test(another_host_is_remote),
        cmocka_unit_test(a_connection_is_tuned),
        cmocka_unit_test(from_ours),
        cmocka_unit_test(equal_addresses_have_equal_bytes),
    };

    return cmocka_run_group_tests_name("socket_addr", tests, NULL, NULL);
}
