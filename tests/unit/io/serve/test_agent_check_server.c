/* HAProxy's agent-checks on sockets of this program. */
#include "spoa/io/serve/agent_check_server.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spoa/core/base/metrics.h"
#include "spoa/core/config/config.h"
#include "spoa/core/haproxy/agent_check.h"
#include "spoa/io/net/acceptor.h"
#include "spoa/io/net/loop.h"
#include "tests/lib/log_capture.h"
#include "tests/unit/io/clock_fixture.h"
#include "tests/unit/io/descriptors.h"

/* The longest question, with its newline: two names, and what separates them. */
#define LONGEST ((size_t)2 * CONFIG_NAME_MAX + 8)
#define CONNECTIONS_MAX 1024

static const uint8_t identities[1] = {0};
static const struct acceptor_peer peer = {.len = 0};
static struct ev_loop *loop;
static struct agent_check_server *server;
static struct agent_checks *checks;
static struct service *service;
static struct metrics metrics;
static size_t descriptors; /* before the test */
static int next_error;     /* of the next read; 0: none */

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
ssize_t read(int fd, void *bytes, size_t len)
{
    bool is_socket = next_error != 0 && send(fd, "", 0, MSG_NOSIGNAL) == 0;

    if (!is_socket)
        return syscall(SYS_read, fd, bytes, len);
    errno = next_error;
    next_error = 0;
    return -1;
}

static int set_up(void **state)
{
    static struct service_server servers[1] = {{.name = "R1"}};
    static const struct agent_check_settings settings = {.mode = CHECK_MODE_PULSE};
    static const struct service_settings of_service = {
        .name = "m",
        .monitor = "m",
        .servers = servers,
        .server_count = 1,
        .quorum = {.identities = identities,
                   .voters = 1,
                   .threshold = 1,
                   .reply_timeout_ms = 500,
                   .vote_life_ms = 2000},
    };

    (void)state;
    log_capture_begin(LOG_LEVEL_DEBUG);
    memset(&metrics, 0, sizeof(metrics));
    next_error = 0;
    assert_true(addr_parse(span_of_text("10.0.0.1:6379"), &servers[0].addr));
    descriptors = count_descriptors();
    loop = ev_loop_new(EVFLAG_AUTO);
    server = agent_check_server_create(loop, &metrics);
    checks = agent_checks_create();
    service = service_create(&of_service, clock_ms());
    assert_true(loop != NULL && server != NULL && checks != NULL && service != NULL);
    assert_true(agent_checks_add(checks, service, &settings));
    agent_check_server_use(server, checks);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    agent_check_server_destroy(server);
    service_destroy(service);
    agent_checks_destroy(checks);
    ev_loop_destroy(loop);
    assert_int_equal(count_descriptors(), descriptors);
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    return 0;
}

/* HAProxy's end of a new connection. */
static int connect_check(void)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    assert_true(agent_check_server_take(server, ends[0], &peer));
    return ends[1];
}

static void say(int fd, const void *bytes, size_t len)
{
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
    turn(loop);
}

/* All that came; NULL while the connection stays open. Else it is closed here, too. */
static const char *answer(int fd)
{
    static char text[512];
    ssize_t got = recv(fd, text, sizeof(text) - 1, 0);

    if (got == -1)
        return NULL;
    text[got] = '\0';
    if (got > 0)
        assert_int_equal(recv(fd, &text[got], 1, 0), 0);
    text[got] = '\0';
    close(fd);
    return text;
}

static const char *ask(const char *question)
{
    int fd = connect_check();

    say(fd, question, strlen(question));
    return answer(fd);
}

static void one_that_is_known(void **state)
{
    (void)state;
    assert_string_equal(ask("m R1\n"), "up\n");
    assert_int_equal(metrics.checks_total, 1);
    assert_int_equal(metrics.checks_unknown_total, 0);
    assert_int_equal(log_capture_count(NULL), 0);
}

static void one_that_is_not_known(void **state)
{
    (void)state;
    assert_string_equal(ask("n R1\n"), "fail #unknown service\n");
    assert_int_equal(metrics.checks_total, 1);
    assert_int_equal(metrics.checks_unknown_total, 1);
    assert_string_equal(log_capture_last("check-unknown"), "debug check-unknown question=n R1\n");
}

/* The listener for checks is gone. */
static void nobody_answers(void **state)
{
    (void)state;
    agent_check_server_use(server, NULL);
    assert_string_equal(ask("m R1\n"), "");
    assert_string_equal(ask("n R1\n"), "");
    assert_int_equal(metrics.checks_total, 0);
}

static void in_pieces(void **state)
{
    static const char question[] = "m R1\n";
    int fd = connect_check();
    int other = connect_check();

    (void)state;
    for (size_t i = 0; i + 2 < sizeof(question); i++) {
        say(fd, &question[i], 1);
        say(other, "n", 1);
        assert_null(answer(fd));
    }
    say(fd, "\n", 1);
    assert_string_equal(answer(fd), "up\n");
    assert_null(answer(other));
    close(other);
    turn(loop);
}

/* The longest question is answered. Whoever says more is no HAProxy. */
static void a_long_one(void **state)
{
    char text[LONGEST];

    (void)state;
    memset(text, 'x', sizeof(text));
    int endless = connect_check();
    say(endless, text, LONGEST - 1);
    assert_null(answer(endless));
    say(endless, "x", 1);
    assert_string_equal(answer(endless), "");
    assert_int_equal(metrics.checks_total, 0);
    int longest = connect_check();
    say(longest, text, LONGEST - 1);
    say(longest, "\n", 1);
    assert_int_equal(strncmp(answer(longest), "fail ", 5), 0);
    assert_int_equal(metrics.checks_total, 1);
}

/* Five seconds for all of it: what comes meanwhile makes it no longer. */
static void a_silent_one(void **state)
{
    (void)state;
    int fd = connect_check();
    turn(loop);
    skip_time(loop, 3000);
    say(fd, "m", 1);
    skip_time(loop, 1999);
    assert_null(answer(fd));
    skip_time(loop, 2);
    assert_string_equal(answer(fd), "");
}

/* Nothing is left of it. */
static void one_that_goes(void **state)
{
    size_t before = count_descriptors();

    (void)state;
    int fd = connect_check();
    say(fd, "m R1", 4);
    close(fd);
    turn(loop);
    assert_int_equal(count_descriptors(), before);
    fd = connect_check();
    next_error = ECONNRESET;
    say(fd, "m R1\n", 5);
    assert_int_equal(next_error, 0);
    turn(loop);
    close(fd);
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(metrics.checks_total, 0);
}

static void a_read_without_bytes(void **state)
{
    static const int errors[] = {EAGAIN, EINTR};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        int fd = connect_check();
        next_error = errors[i];
        say(fd, "m R1\n", 5);
        assert_int_equal(next_error, 0);
        assert_string_equal(answer(fd), "up\n");
    }
}

/* Beyond the limit the oldest goes, and only that. */
static void a_crowd(void **state)
{
    struct rlimit limit;
    int fds[CONNECTIONS_MAX];
    int ends[2];

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < CONNECTIONS_MAX + 100)
        skip();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        fds[i] = fcntl(ends[0], F_DUPFD_CLOEXEC, 0);
        assert_true(agent_check_server_take(server, fds[i], &peer));
    }
    assert_int_equal(metrics.refused_total, 0);
    assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    assert_true(agent_check_server_take(server, ends[0], &peer));
    assert_int_equal(metrics.refused_total, 1);
    assert_int_equal(fcntl(fds[0], F_GETFD), -1);
    for (size_t i = 1; i < CONNECTIONS_MAX; i++)
        assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
    close(ends[1]); /* all of them end */
    turn(loop);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        assert_int_equal(fcntl(fds[i], F_GETFD), -1);
    assert_string_equal(ask("m R1\n"), "up\n");
    assert_int_equal(metrics.refused_total, 1);
}

/* Nothing of it is used again: the build with AddressSanitizer looks. */
static void the_end(void **state)
{
    int fds[3];

    (void)state;
    for (size_t i = 0; i < 3; i++)
        fds[i] = connect_check();
    agent_check_server_destroy(server);
    server = NULL;
    skip_time(loop, 10000);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(answer(fds[i]), "");
}

static bool is_first;

/* Something else that is ready in the same turn of the loop. */
static void on_other(struct ev_loop *of, ev_io *io, int events)
{
    (void)events;
    is_first = metrics.checks_total == 0;
    ev_io_stop(of, io);
}

/* HAProxy's questions come before all else that is ready. */
static void checks_come_first(void **state)
{
    int pipes[2];
    ev_io other;

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    ev_io_init(&other, on_other, pipes[0], EV_READ);
    ev_io_start(loop, &other);
    for (size_t i = 0; i < 2; i++) { /* the one that has become ready first, or last */
        metrics.checks_total = 0;
        int fd = connect_check();
        ev_io_start(loop, &other);
        turn(loop);
        if (i == 0)
            assert_int_equal(write(pipes[1], "x", 1), 1);
        assert_int_equal(send(fd, "m R1\n", 5, MSG_NOSIGNAL), 5);
        if (i == 1)
            assert_int_equal(write(pipes[1], "x", 1), 1);
        is_first = true;
        turn(loop);
        assert_false(is_first);
        assert_string_equal(answer(fd), "up\n");
        char byte;
        assert_int_equal(read(pipes[0], &byte, 1), 1);
    }
    close(pipes[0]);
    close(pipes[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_is_known), TEST(one_that_is_not_known),
        TEST(nobody_answers),    TEST(in_pieces),
        TEST(a_long_one),        TEST(a_silent_one),
        TEST(one_that_goes),     TEST(a_read_without_bytes),
        TEST(a_crowd),           TEST(the_end),
        TEST(checks_come_first),
    };

    (void)alarm(TESTS_MAX_S);
    return cmocka_run_group_tests_name("agent_check_server", tests, NULL, NULL);
}
