/* What a connection of a command is like, why there is none, and how long that takes. */
#include "spoa/cli/blocking_socket.h"

#include "tests/unit/cli/peer_fixture.h"
#include "tests/unit/io/net/name_service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>

#include "spoa/cli/stopwatch.h"

/* More than one time limit, and less than two. */
#define TWO_LIMITS_MS ((int64_t)2 * BLOCKING_SOCKET_TIMEOUT_S * 1000)

static char folder[32];
static struct addr unix_addr;

static int set_up(void **state)
{
    char text[64];

    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/sentinel-spoa-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(text, sizeof(text), "unix:%s/sock", folder);
    return addr_parse(span_of_text(text), &unix_addr) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(unix_addr.name);
    return rmdir(folder);
}

static int listen_unix(int backlog)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s/sock", folder);
    assert_int_equal(bind(sock, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(listen(sock, backlog), 0);
    return sock;
}

/* Makes connections that nobody accepts, until one would have to wait. */
static void fill_queue(const struct sockaddr *name, socklen_t len, int *socks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        socks[i] = socket(name->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(socks[i], name, len);
    }
}

static void close_all(const int *socks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(socks[i]);
}

static void expect_timeout(int fd, unsigned seconds)
{
    static const int names[] = {SO_RCVTIMEO, SO_SNDTIMEO};
    struct timeval timeout;
    socklen_t len = sizeof(timeout);

    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(getsockopt(fd, SOL_SOCKET, names[i], &timeout, &len), 0);
        assert_int_equal(timeout.tv_sec, seconds);
        assert_int_equal(timeout.tv_usec, 0);
    }
}

/* It blocks, has a time limit, and is closed on exec. */
static void expect_connection(const struct addr *addr)
{
    int fd = blocking_socket_connect(addr);

    assert_int_not_equal(fd, -1);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    expect_timeout(fd, BLOCKING_SOCKET_TIMEOUT_S);
    blocking_socket_set_timeout(fd, 7);
    expect_timeout(fd, 7);
    close(fd);
}

static void expect_failure(const struct addr *addr, int code)
{
    assert_int_equal(blocking_socket_connect(addr), -1);
    assert_int_equal(errno, code);
}

static void connections(void **state)
{
    struct addr addr;
    int tcp = peer_bind(8, &addr);
    int unix = listen_unix(8);
    size_t before = count_descriptors();

    (void)state;
    expect_connection(&addr);
    expect_connection(&unix_addr);
    assert_int_equal(count_descriptors(), before);
    close(tcp);
    close(unix);
}

static void nobody_is_there(void **state)
{
    struct addr addr;
    int tcp = peer_bind(-1, &addr);
    size_t before = count_descriptors();

    (void)state;
    expect_failure(&addr, ECONNREFUSED);
    expect_failure(&unix_addr, ENOENT);
    name_service_reset();
    name_service.code = EAI_NONAME;
    assert_true(addr_parse(span_of_text("nowhere.test:1"), &addr));
    expect_failure(&addr, EHOSTUNREACH);
    assert_int_equal(count_descriptors(), before);
    close(tcp);
}

/* What listens at all addresses is on this host. By IPv4 it is found at [::], but not at [::1]. */
static void wildcards(void **state)
{
    struct addr addr;
    int tcp = peer_bind(8, &addr);
    char text[32];

    (void)state;
    (void)snprintf(text, sizeof(text), "0.0.0.0:%u", addr.port);
    assert_true(addr_parse(span_of_text(text), &addr));
    expect_connection(&addr);
    (void)snprintf(text, sizeof(text), "[::]:%u", addr.port);
    assert_true(addr_parse(span_of_text(text), &addr));
    expect_connection(&addr);
    (void)snprintf(text, sizeof(text), "[::1]:%u", addr.port);
    assert_true(addr_parse(span_of_text(text), &addr));
    assert_int_equal(blocking_socket_connect(&addr), -1);
    close(tcp);
}

/* One that answers, one that refuses, and two that are silent cost one time limit, and each has its own end. */
static void side_by_side(void **state)
{
    enum { GOOD, SILENT, GONE, UNIX, MUTE, COUNT };
    struct addr addrs[COUNT];
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct blocking_target targets[COUNT];
    static const int codes[] = {0, ETIMEDOUT, ECONNREFUSED, 0, ETIMEDOUT};
    int listeners[] = {peer_bind(8, &addrs[GOOD]), peer_bind(0, &addrs[SILENT]), peer_bind(-1, &addrs[GONE]),
                       listen_unix(8)};
    int queue[4];

    (void)state;
    addrs[UNIX] = unix_addr;
    name.sin_port = htons(addrs[SILENT].port);
    fill_queue((struct sockaddr *)&name, sizeof(name), queue, 4);
    addrs[MUTE] = addrs[SILENT];
    for (size_t i = 0; i < COUNT; i++)
        targets[i] = (struct blocking_target){.addr = &addrs[i]};
    size_t before = count_descriptors();
    int64_t begin_ms = stopwatch_ms();
    blocking_socket_connect_all(targets, COUNT);
    assert_in_range(stopwatch_ms() - begin_ms, BLOCKING_SOCKET_TIMEOUT_S * 1000 - 100, TWO_LIMITS_MS);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(targets[i].code, codes[i]);
        assert_int_equal(targets[i].fd == -1, codes[i] != 0);
    }
    close(targets[GOOD].fd);
    close(targets[UNIX].fd);
    assert_int_equal(count_descriptors(), before);
    close_all(queue, 4);
    close_all(listeners, 4);
}

/* The loop goes on no longer than there is an answer. */
static void a_name(void **state)
{
    struct addr addr;
    int listener = peer_bind(8, &addr);
    char text[32];

    (void)state;
    name_service_reset();
    name_service.ipv4[0] = "127.0.0.1";
    (void)snprintf(text, sizeof(text), "redis.test:%u", addr.port);
    assert_true(addr_parse(span_of_text(text), &addr));
    int64_t begin_ms = stopwatch_ms();
    expect_connection(&addr);
    assert_true(stopwatch_ms() - begin_ms < BLOCKING_SOCKET_TIMEOUT_S * 1000 - 500);
    close(listener);
}

/* A name that was found has as long as an address. */
static void a_name_of_a_silent_host(void **state)
{
    struct addr addr;
    int listener = peer_bind(0, &addr);
    struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(addr.port)};
    int queue[4];
    char text[32];

    (void)state;
    name_service_reset();
    name_service.ipv4[0] = "127.0.0.1";
    fill_queue((struct sockaddr *)&name, sizeof(name), queue, 4);
    (void)snprintf(text, sizeof(text), "redis.test:%u", addr.port);
    assert_true(addr_parse(span_of_text(text), &addr));
    int64_t begin_ms = stopwatch_ms();
    expect_failure(&addr, ETIMEDOUT);
    assert_in_range(stopwatch_ms() - begin_ms, BLOCKING_SOCKET_TIMEOUT_S * 1000 - 100, TWO_LIMITS_MS);
    close_all(queue, 4);
    close(listener);
}

static void a_unix_socket_with_a_full_queue(void **state)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int listener = listen_unix(0);
    int queue[4];

    (void)state;
    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s/sock", folder);
    fill_queue((struct sockaddr *)&name, sizeof(name), queue, 4);
    size_t before = count_descriptors();
    int64_t begin_ms = stopwatch_ms();
    expect_failure(&unix_addr, ETIMEDOUT);
    assert_in_range(stopwatch_ms() - begin_ms, BLOCKING_SOCKET_TIMEOUT_S * 1000 - 100, TWO_LIMITS_MS);
    assert_int_equal(count_descriptors(), before);
    close_all(queue, 4);
    close(listener);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(connections),
        TEST(nobody_is_there),
        TEST(wildcards),
        TEST(side_by_side),
        TEST(a_name),
        TEST(a_name_of_a_silent_host),
        TEST(a_unix_socket_with_a_full_queue),
    };

    return cmocka_run_group_tests_name("blocking_socket", tests, NULL, NULL);
}
