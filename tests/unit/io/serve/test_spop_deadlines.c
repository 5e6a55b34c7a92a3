/* How long a connection from HAProxy may take for what. */
#include "tests/unit/io/serve/spop_server_fixture.h"

/* Ten seconds, whatever comes of it meanwhile. */
static void hello(void **state)
{
    (void)state;
    int fd = connect_peer();
    spop_peer_hello(&out, 16380, false);
    skip_time(loop, 6000);
    send_less(fd, 5);
    skip_time(loop, 3990);
    expect_silence(fd);
    skip_time(loop, 20);
    expect_eof(fd);
    assert_int_equal(spop_server_connections(server), 0);
    assert_int_equal(metrics.timeouts_total, 1);
    close(fd);
    fd = connect_with_hello();
    skip_time(loop, 10010); /* what was said in time is not limited any more */
    expect_silence(fd);
    close(fd);
}

/* A frame has ten seconds from its first byte on. What comes of it does not renew them. */
static void a_frame(void **state)
{
    (void)state;
    name_master();
    int fd = connect_with_hello();
    skip_time(loop, 8000); /* nothing has begun */
    spop_peer_notify(&out, 1, 1, "m", NULL);
    send_less(fd, 20);
    skip_time(loop, 6000);
    send_less(fd, 10);
    skip_time(loop, 3990);
    expect_silence(fd);
    skip_time(loop, 20);
    expect_end(fd, SPOP_STATUS_TIMEOUT);
    assert_int_equal(metrics.timeouts_total, 1);
    expect_eof(fd);
    skip_time(loop, 2010);
    assert_int_equal(spop_server_connections(server), 0);
    assert_int_equal(metrics.timeouts_total, 1); /* that it did not close is no other one */
    close(fd);
}

/* Where nobody is idle for too long a frame has its ten seconds all the same. */
static void a_frame_of_one_that_may_be_idle(void **state)
{
    (void)state;
    spop_server_limit(server, 0, 0);
    int fd = connect_with_hello();
    skip_time(loop, 100000);
    spop_peer_notify(&out, 1, 1, "m", NULL);
    send_less(fd, 20);
    skip_time(loop, 9990);
    expect_silence(fd);
    skip_time(loop, 20);
    expect_end(fd, SPOP_STATUS_TIMEOUT);
    close(fd);
}

/* Where a frame ends and another one begins, the time is that of the other one. */
static void one_frame_after_another(void **state)
{
    (void)state;
    name_master();
    int fd = connect_with_hello();
    for (unsigned i = 1; i <= 4; i++) {
        spop_peer_notify(&out, i, 1, "m", NULL);
        send_less(fd, 10);
        if (i > 1)
            expect_answer(fd, i - 1);
        skip_time(loop, 7000);
        expect_silence(fd);
    }
    skip_time(loop, 2990);
    expect_silence(fd);
    send_all(fd);
    expect_answer(fd, 4);
    skip_time(loop, 20000); /* now none has begun */
    expect_silence(fd);
    assert_int_equal(metrics.timeouts_total, 0);
    close(fd);
}

/* Who says nothing is told to go, with a good word. Each frame renews the time. */
static void an_idle_one(void **state)
{
    (void)state;
    name_master();
    int fd = connect_with_hello();
    for (unsigned i = 1; i <= 3; i++) {
        skip_time(loop, IDLE_MS - 10);
        expect_silence(fd);
        ask(fd, i);
        expect_answer(fd, i);
    }
    skip_time(loop, IDLE_MS - 10);
    expect_silence(fd);
    skip_time(loop, 20);
    expect_end(fd, SPOP_STATUS_NORMAL);
    expect_eof(fd);
    assert_int_equal(metrics.timeouts_total, 1);
    assert_int_equal(log_capture_count("spop-error"), 0);
    assert_int_equal(spop_server_connections(server), 1); /* until it closes, too */
    close(fd);
    turn(loop);
    assert_int_equal(spop_server_connections(server), 0);
}

/* A frame that began before the time of an idle one is over ends before it, or after it. */
static void an_idle_one_with_half_a_frame(void **state)
{
    (void)state;
    spop_server_limit(server, 0, 4000);
    int fd = connect_with_hello();
    spop_peer_notify(&out, 1, 1, "m", NULL);
    for (int i = 0; i < 3; i++) {
        skip_time(loop, 3000);
        send_less(fd, (size_t)20 - (size_t)i);
        expect_silence(fd);
    }
    skip_time(loop, 3000);
    send_less(fd, 10); /* 9 s after its first byte */
    skip_time(loop, 990);
    expect_silence(fd);
    skip_time(loop, 20);
    expect_end(fd, SPOP_STATUS_TIMEOUT);
    close(fd);
    fd = connect_with_hello();
    spop_peer_notify(&out, 1, 1, "m", NULL);
    send_less(fd, 20);
    skip_time(loop, 3990);
    expect_silence(fd);
    skip_time(loop, 20);
    expect_end(fd, SPOP_STATUS_TIMEOUT); /* a frame is missing all the same */
    close(fd);
}

/* Another time holds from the next frame on. Without one nobody is told to go, not even who has one already. */
static void another_idle_time(void **state)
{
    (void)state;
    name_master();
    int fd = connect_with_hello();
    spop_server_limit(server, 0, 1000);
    ask(fd, 1);
    expect_answer(fd, 1);
    skip_time(loop, 990);
    expect_silence(fd);
    skip_time(loop, 20);
    expect_end(fd, SPOP_STATUS_NORMAL);
    close(fd);
    spop_server_limit(server, 0, 0);
    fd = connect_with_hello();
    ask(fd, 1);
    expect_answer(fd, 1);
    skip_time(loop, 500000);
    expect_silence(fd);
    spop_server_limit(server, 0, 1000);
    ask(fd, 2);
    expect_answer(fd, 2);
    spop_server_limit(server, 0, 0);
    skip_time(loop, 500000);
    expect_silence(fd);
    close(fd);
}

/* A connection that another process gave us has said HELLO there, or has still its time for it. */
static void one_that_was_given(void **state)
{
    static const uint32_t sizes[] = {4096, 0, 1};
    int fds[3];

    (void)state;
    name_master();
    for (size_t i = 0; i < 3; i++) {
        int ends[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
        assert_true(spop_server_adopt(server, ends[0], sizes[i]));
        fds[i] = ends[1];
    }
    expect_eof(fds[2]); /* nobody has agreed on that */
    skip_time(loop, 9990);
    expect_silence(fds[1]);
    skip_time(loop, 20);
    expect_eof(fds[1]);
    skip_time(loop, IDLE_MS - 10020);
    expect_silence(fds[0]);
    skip_time(loop, 20);
    expect_end(fds[0], SPOP_STATUS_NORMAL);
    for (size_t i = 0; i < 3; i++)
        close(fds[i]);
}

/* It has two seconds to close when it was told to go. What it says then is not heard. */
static void one_that_does_not_close(void **state)
{
    (void)state;
    int fd = connect_peer();
    sink_put(&out, "GET / HTTP/1.0\r\n\r\n", 18);
    send_all(fd);
    expect_end(fd, SPOP_STATUS_TOO_BIG);
    skip_time(loop, 1990);
    assert_int_equal(syscall(SYS_sendto, fd, "x", 1, MSG_NOSIGNAL, NULL, 0), 1);
    turn(loop);
    assert_int_equal(spop_server_connections(server), 1);
    skip_time(loop, 20);
    assert_int_equal(spop_server_connections(server), 0);
    assert_int_equal(metrics.timeouts_total, 0);
    assert_int_equal(metrics.protocol_errors_total, 1);
    close(fd);
}

/* Thirty seconds from the last byte that it has taken. It is not read from meanwhile, and is not told to go. */
static void a_reader_that_takes_nothing(void **state)
{
    static uint8_t bytes[SPACE];

    (void)state;
    spop_server_limit(server, 0, 10000); /* it is not idle: it has asked */
    int fd = connect_with_hello();
    flood(fd);
    skip_time(loop, 29000);
    assert_int_equal(spop_server_connections(server), 1);
    assert_true(syscall(SYS_recvfrom, fd, bytes, sizeof(bytes), 0, NULL, NULL) > 0);
    turn(loop);
    skip_time(loop, 29990);
    assert_int_equal(spop_server_connections(server), 1);
    assert_int_equal(metrics.timeouts_total, 0);
    skip_time(loop, 20);
    assert_int_equal(spop_server_connections(server), 0);
    assert_int_equal(metrics.timeouts_total, 1);
    close(fd);
}

/* ---- guests ---- */

/* Two seconds, and the place of one that has gone. */
static void guests(void **state)
{
    (void)state;
    spop_server_limit(server, 1, IDLE_MS);
    int first = connect_with_hello();
    int guest = connect_peer();
    skip_time(loop, 1990);
    expect_silence(guest);
    skip_time(loop, 20);
    expect_eof(guest);
    close(guest);
    guest = connect_peer();
    int other = connect_peer();
    close(first);
    skip_time(loop, 1000);
    spop_peer_hello(&out, 16380, false);
    send_all(guest);
    (void)expect(guest, SPOP_AGENT_HELLO);
    spop_peer_hello(&out, 16380, false);
    send_all(other); /* the place is taken again */
    expect_end(other, SPOP_STATUS_RESOURCE);
    skip_time(loop, 1010);
    expect_silence(guest); /* it is none any more */
    assert_int_equal(metrics.refused_total, 1);
    close(guest);
    close(other);
}

/* Beyond their number the oldest goes. It is refused by that, unless it has its answer. */
static void too_many_guests(void **state)
{
    enum { GUESTS = 16 };
    int fds[GUESTS + 2];

    (void)state;
    spop_server_limit(server, 1, IDLE_MS);
    int first = connect_with_hello();
    fds[0] = connect_peer();
    fds[1] = connect_peer();
    spop_peer_hello(&out, 16380, true);
    send_all(fds[1]); /* a health check: it is told to go, and has not gone yet */
    for (size_t i = 2; i < GUESTS + 2; i++) {
        assert_int_equal(metrics.refused_total, i == GUESTS + 1);
        fds[i] = connect_peer();
    }
    turn(loop);
    assert_int_equal(metrics.refused_total, 1);
    expect_eof(fds[0]);
    assert_int_equal(spop_server_connections(server), GUESTS + 1);
    for (size_t i = 2; i < GUESTS + 2; i++)
        expect_silence(fds[i]);
    for (size_t i = 0; i < GUESTS + 2; i++)
        close(fds[i]);
    close(first);
}

/* One that has been silent for a second makes room, and not a guest. */
static void a_silent_one_makes_room(void **state)
{
    (void)state;
    spop_server_limit(server, 2, IDLE_MS);
    skipped_us += 1500 - clock_us() % 1000; /* in the middle of a millisecond */
    int silent = connect_peer();
    int talker = connect_with_hello();
    skipped_us += 998500;
    int guest = connect_peer();
    turn(loop);
    expect_silence(silent);
    skipped_us += 2000;
    int next = connect_peer();
    turn(loop);
    expect_eof(silent);
    assert_int_equal(metrics.refused_total, 1);
    assert_non_null(strstr(log_capture_last("connection-refused"), " connections=2"));
    skip_time(loop, 2010);
    expect_eof(guest);
    expect_silence(talker);
    expect_silence(next); /* it has the place now, and the time of an ordinary connection */
    out = sink_of(space, sizeof(space));
    spop_peer_hello(&out, 16380, false);
    send_all(next);
    (void)expect(next, SPOP_AGENT_HELLO);
    close(silent);
    close(talker);
    close(guest);
    close(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hello),
        TEST(a_frame),
        TEST(a_frame_of_one_that_may_be_idle),
        TEST(one_frame_after_another),
        TEST(an_idle_one),
        TEST(an_idle_one_with_half_a_frame),
        TEST(another_idle_time),
        TEST(one_that_was_given),
        TEST(one_that_does_not_close),
        TEST(a_reader_that_takes_nothing),
        TEST(guests),
        TEST(too_many_guests),
        TEST(a_silent_one_makes_room),
    };

    (void)alarm(TESTS_MAX_S);
    return cmocka_run_group_tests_name("spop_deadlines", tests, NULL, NULL);
}
