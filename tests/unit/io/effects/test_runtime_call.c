/* One call after another, to a socket of this program. */
#include "spoa/io/effects/runtime_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/io/clock_fixture.h"
#include "tests/unit/io/descriptors.h"

#define LINE "show info\n"
/* Larger than what is read at once. */
#define REPLY ((size_t)40000)

static struct {
    size_t max; /* so many bytes are taken at once; 0: all */
    int error;  /* the next send fails with it; 0: it does not */
    unsigned count;
} sending;

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    int error = sending.error;

    sending.count++;
    sending.error = 0;
    if (error != 0) {
        errno = error;
        return -1;
    }
    len = sending.max != 0 && sending.max < len ? sending.max : len;
    return syscall(SYS_sendto, fd, bytes, len, flags, NULL, 0);
}

/* What became of a call. */
struct outcome {
    struct runtime_call *call;
    const char *line; /* that is to be said; "": nothing */
    unsigned said;
    size_t got;
    unsigned ended;
    char reason[64]; /* "": none */
    bool cancels;    /* when it gets a reply */
};

static struct ev_loop *loop;
static struct outcome outcome;
static int haproxy;
static struct addr addr;
static size_t descriptors; /* before the test */

static size_t say(void *context, char line[RUNTIME_LINE_MAX])
{
    struct outcome *of = context;

    of->said++;
    memcpy(line, of->line, strlen(of->line));
    return strlen(of->line);
}

static void take(void *context, const char *bytes, size_t len)
{
    struct outcome *of = context;

    assert_int_equal(bytes[0], 'r');
    of->got += len;
    if (of->cancels)
        runtime_call_cancel(of->call);
}

static void on_ended(void *context, const char *reason)
{
    struct outcome *of = context;

    of->ended++;
    (void)snprintf(of->reason, sizeof(of->reason), "%s", reason != NULL ? reason : "");
}

static int set_up(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    char text[32];

    (void)state;
    memset(&sending, 0, sizeof(sending));
    outcome = (struct outcome){.line = LINE};
    descriptors = count_descriptors();
    loop = ev_loop_new(EVFLAG_AUTO);
    assert_non_null(loop);
    haproxy = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(haproxy, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(haproxy, 8), 0);
    assert_int_equal(getsockname(haproxy, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(address.sin_port));
    assert_true(addr_parse(span_of_text(text), &addr));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(haproxy);
    ev_loop_destroy(loop);
    assert_int_equal(count_descriptors(), descriptors);
    return 0;
}

static void begin(void)
{
    outcome.call = runtime_call_begin(loop, &addr, say, take, on_ended, &outcome);
    assert_non_null(outcome.call);
}

/* A call, and HAProxy's end of it, where all was said. */
static int begin_and_hear(void)
{
    char heard[64];

    begin();
    int fd = accept(haproxy, NULL, NULL);
    while (outcome.said == 0)
        ev_run(loop, EVRUN_ONCE);
    turn(loop);
    assert_int_not_equal(fd, -1);
    assert_int_equal(recv(fd, heard, sizeof(heard), 0), strlen(LINE));
    assert_memory_equal(heard, LINE, strlen(LINE));
    assert_int_equal(outcome.said, 1);
    return fd;
}

static void run_to_the_end(void)
{
    while (outcome.ended == 0)
        ev_run(loop, EVRUN_ONCE);
    turn(loop);
    assert_int_equal(outcome.ended, 1);
}

/* The reply comes in pieces. It ends when HAProxy closes. */
static void a_reply(void **state)
{
    static char bytes[REPLY];

    (void)state;
    int fd = begin_and_hear();
    memset(bytes, 'r', sizeof(bytes));
    for (size_t sent = 0; sent < 2 * REPLY; sent += REPLY) {
        assert_int_equal(write(fd, bytes, REPLY), REPLY);
        while (outcome.got < sent + REPLY)
            ev_run(loop, EVRUN_ONCE);
    }
    assert_int_equal(outcome.got, 2 * REPLY);
    assert_int_equal(outcome.ended, 0);
    close(fd);
    run_to_the_end();
    assert_string_equal(outcome.reason, "");
}

/* However little the socket takes at once, and whatever interrupts it. */
static void a_line_in_pieces(void **state)
{
    static const int errors[] = {0, EAGAIN, EINTR};

    (void)state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        outcome = (struct outcome){.line = LINE};
        sending.max = 3;
        sending.error = errors[i];
        sending.count = 0;
        int fd = begin_and_hear();
        assert_int_equal(sending.count, 4 + (errors[i] != 0));
        close(fd);
        run_to_the_end();
        assert_string_equal(outcome.reason, "");
    }
}

static void a_line_that_cannot_be_sent(void **state)
{
    (void)state;
    sending.error = EPIPE;
    begin();
    run_to_the_end();
    assert_string_equal(outcome.reason, "Broken pipe");
    assert_int_equal(sending.count, 1);
}

static void a_reply_that_is_broken_off(void **state)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    (void)state;
    int fd = begin_and_hear();
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    close(fd);
    run_to_the_end();
    assert_string_equal(outcome.reason, "Connection reset by peer");
}

/* Nothing is said where nothing is left to say. */
static void nothing_to_say(void **state)
{
    (void)state;
    outcome.line = "";
    begin();
    run_to_the_end();
    assert_string_equal(outcome.reason, "");
    assert_int_equal(outcome.said, 1);
    assert_int_equal(sending.count, 0);
}

/* The limit counts from the begin of the call, whatever comes meanwhile. */
static void a_call_has_two_seconds(void **state)
{
    (void)state;
    skipped_us += 5000000; /* the loop has not looked at the clock since */
    int fd = begin_and_hear();
    for (int i = 0; i < 3; i++) {
        skip_time(loop, 600);
        assert_int_equal(write(fd, "r", 1), 1);
        turn(loop);
    }
    skip_time(loop, 199);
    assert_int_equal(outcome.ended, 0);
    assert_int_equal(outcome.got, 3);
    skip_time(loop, 2);
    assert_int_equal(outcome.ended, 1);
    assert_string_equal(outcome.reason, "timeout");
    close(fd);
}

/* Nothing of it is used again: the build with AddressSanitizer looks. */
static void one_that_is_cancelled(void **state)
{
    (void)state;
    begin();
    runtime_call_cancel(outcome.call);
    skip_time(loop, 3000);
    assert_int_equal(outcome.said, 0);
    close(accept(haproxy, NULL, NULL));
    int fd = begin_and_hear();
    outcome.cancels = true;
    assert_int_equal(write(fd, "r", 1), 1);
    while (outcome.got == 0)
        ev_run(loop, EVRUN_ONCE);
    close(fd);
    skip_time(loop, 3000);
    assert_int_equal(outcome.ended, 0);
    runtime_call_cancel(NULL);
}

/* A call that cannot be made leaves nothing behind, and calls nobody. */
static void nobody_listens(void **state)
{
    static const char *const addresses[] = {"unix:/nowhere/haproxy.sock", "redis-1.test:9999"};
    static const int codes[] = {ENOENT, EINVAL};

    (void)state;
    size_t before = count_descriptors();
    for (size_t i = 0; i < 2; i++) {
        assert_true(addr_parse(span_of_text(addresses[i]), &addr));
        assert_null(runtime_call_begin(loop, &addr, say, take, on_ended, &outcome));
        assert_int_equal(errno, codes[i]);
    }
    assert_int_equal(count_descriptors(), before);
    turn(loop);
    assert_int_equal(outcome.said + outcome.ended, 0);
}

/* Over TCP that is known later. */
static void a_port_where_nobody_listens(void **state)
{
    (void)state;
    close(haproxy);
    haproxy = -1;
    begin();
    run_to_the_end();
    assert_string_equal(outcome.reason, "Connection refused");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    (void)alarm(TESTS_MAX_S);
    const struct CMUnitTest tests[] = {
        TEST(a_reply),
        TEST(a_line_in_pieces),
        TEST(a_line_that_cannot_be_sent),
        TEST(a_reply_that_is_broken_off),
        TEST(nothing_to_say),
        TEST(a_call_has_two_seconds),
        TEST(one_that_is_cancelled),
        TEST(nobody_listens),
        TEST(a_port_where_nobody_listens),
    };

    return cmocka_run_group_tests_name("runtime_call", tests, NULL, NULL);
}
