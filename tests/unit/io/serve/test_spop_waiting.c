/* Clients that wait for an answer, connections that end meanwhile, and system calls that fail. */
#include "tests/unit/io/serve/spop_server_fixture.h"

/* ---- those who wait ---- */

/* They are answered when there is a master, all with one turn of the loop. */
static void who_waits_is_answered(void **state)
{
    size_t count;

    (void)state;
    int fd = connect_with_hello();
    ask(fd, 1);
    ask(fd, 2);
    expect_silence(fd);
    assert_int_equal(parking_count(parking), 2);
    name_master();
    turn(loop);
    struct spop_frame frame = receive(fd, &count);
    assert_int_equal(count, 2);
    assert_true(spop_peer_says(&frame, "master", "R1"));
    ask(fd, 3);
    expect_answer(fd, 3);
    close(fd);
}

/* Each has its time, and is not idle meanwhile. */
static void who_waits_for_too_long(void **state)
{
    (void)state;
    spop_server_limit(server, 0, 1000);
    int first = connect_with_hello();
    ask(first, 1);
    skip_time(loop, 2000);
    int second = connect_with_hello();
    ask(second, 2);
    skip_time(loop, 2900);
    expect_silence(first);
    expect_silence(second);
    skip_time(loop, 200);
    expect_answer(first, 1);
    expect_silence(second);
    skip_time(loop, 1980);
    expect_answer(second, 2);
    close(first);
    close(second);
}

/* A part of a frame that waits behind a question is not late: we are. */
static void half_a_frame_behind_a_question(void **state)
{
    (void)state;
    int fd = connect_with_hello();
    for (unsigned i = 1; i <= 4; i++) {
        spop_peer_notify(&out, i, 1, "m", NULL);
        send_less(fd, 3);
        if (i > 1)
            expect_silence(fd);
        skip_time(loop, 4000);
        send_all(fd);
        skip_time(loop, PARK_MS + 10);
        expect_answer(fd, i);
    }
    assert_int_equal(metrics.timeouts_total, 0);
    close(fd);
}

/* Nothing is left of one that goes while it waits. */
static void who_waits_and_goes(void **state)
{
    (void)state;
    int fd = connect_with_hello();
    int other = connect_with_hello();
    ask(fd, 1);
    ask(other, 2);
    close(fd);
    turn(loop);
    assert_int_equal(parking_count(parking), 1);
    assert_string_equal(log_capture_last("spop-closed"), "debug spop-closed reason=eof");
    name_master();
    turn(loop);
    expect_answer(other, 2);
    close(other);
}

/* ---- the end ---- */

/* At the end they are answered at once, and then they are told to go. */
static void an_end_waits_for_nobody(void **state)
{
    size_t count;

    (void)state;
    int fd = connect_with_hello();
    ask(fd, 1);
    spop_server_drain(server, on_drained, NULL);
    turn(loop);
    struct spop_frame frame = receive(fd, &count);
    assert_int_equal(count, 2); /* the answer, and the end */
    assert_int_equal(spop_peer_status(&frame), SPOP_STATUS_NORMAL);
    assert_int_equal(metrics.notifies_total, 1);
    assert_int_equal(drained, 0);
    close(fd);
    turn(loop);
    assert_int_equal(drained, 1);
}

/* The rest of a frame is waited for, and answered. */
static void an_end_in_the_midst_of_a_frame(void **state)
{
    size_t count;

    (void)state;
    name_master();
    int fd = connect_with_hello();
    spop_peer_notify(&out, 1, 1, "m", NULL);
    send_less(fd, 5);
    spop_server_drain(server, on_drained, NULL);
    turn(loop);
    expect_silence(fd);
    send_all(fd);
    struct spop_frame frame = receive(fd, &count);
    assert_int_equal(count, 2);
    assert_int_equal(spop_peer_status(&frame), SPOP_STATUS_NORMAL);
    close(fd);
    turn(loop);
    assert_int_equal(drained, 1);
}

/* Output waits, and questions that came before the end: all of them are answered first, and nothing more is read. */
static void an_end_while_output_waits(void **state)
{
    static uint8_t bytes[4 * 1024 * 1024];
    struct spop_frame frame = {.type = 0};
    size_t len = 0;
    uint64_t count = 0;

    (void)state;
    name_master();
    int fd = connect_with_hello();
    flood(fd);
    spop_server_drain(server, on_drained, NULL);
    for (ssize_t got = -1; got != 0 && len < sizeof(bytes); turn(loop)) {
        got = syscall(SYS_recvfrom, fd, bytes + len, sizeof(bytes) - len, 0, NULL, NULL);
        len += got > 0 ? (size_t)got : 0;
    }
    struct span rest = span_of(bytes, len);
    for (; spop_peer_reply(&rest, &frame) && frame.type == SPOP_ACK; count++)
        assert_int_equal(frame.stream_id, count);
    assert_true(count > 100);
    assert_int_equal(metrics.notifies_total, count);
    assert_int_equal(spop_peer_status(&frame), SPOP_STATUS_NORMAL);
    assert_int_equal(rest.len, 0);
    close(fd);
    turn(loop);
    assert_int_equal(drained, 1);
}

/* Whoever was told to go already is told once. */
static void an_end_that_is_told_already(void **state)
{
    (void)state;
    int fd = connect_peer();
    sink_put(&out, "GET / HTTP/1.0\r\n\r\n", 18);
    send_all(fd);
    expect_end(fd, SPOP_STATUS_TOO_BIG);
    spop_server_drain(server, on_drained, NULL);
    turn(loop);
    expect_eof(fd);
    close(fd);
    turn(loop);
    assert_int_equal(drained, 1);
}

/* ---- calls that fail ---- */

static void a_read_without_bytes(void **state)
{
    static const int errors[] = {EAGAIN, EINTR};

    (void)state;
    name_master();
    int fd = connect_with_hello();
    for (size_t i = 0; i < 2; i++) {
        recv_error = errors[i];
        ask(fd, i + 1);
        assert_int_equal(recv_error, 0);
        expect_answer(fd, i + 1);
    }
    recv_error = ECONNRESET;
    ask(fd, 3);
    expect_eof(fd);
    assert_string_equal(log_capture_last("spop-closed"), "debug spop-closed reason=Connection reset by peer");
    close(fd);
    fd = connect_with_hello();
    recv_error = EPROTO; /* without TLS it is an error like others */
    ask(fd, 1);
    expect_eof(fd);
    assert_string_equal(log_capture_last("spop-closed"), "debug spop-closed reason=Protocol error");
    assert_int_equal(metrics.protocol_errors_total, 0);
    close(fd);
}

/* What a socket does not take is sent when it has room. */
static void a_write_that_fails(void **state)
{
    static const int errors[] = {EAGAIN, EINTR};

    (void)state;
    name_master();
    int fd = connect_with_hello();
    for (size_t i = 0; i < 2; i++) {
        send_error = errors[i];
        ask(fd, i + 1);
        assert_int_equal(send_error, 0);
        expect_answer(fd, i + 1);
    }
    send_error = EPIPE;
    ask(fd, 3);
    expect_eof(fd);
    assert_int_equal(spop_server_connections(server), 0);
    close(fd);
}

/* The same where something waits to be sent already. */
static void a_later_write_that_fails(void **state)
{
    static const int errors[] = {EAGAIN, EINTR, EPIPE};
    static uint8_t bytes[SPACE];

    (void)state;
    int fd = connect_with_hello();
    flood(fd);
    for (size_t i = 0; i < 3; i++) {
        send_error = errors[i];
        while (send_error != 0) {
            assert_true(syscall(SYS_recvfrom, fd, bytes, sizeof(bytes), 0, NULL, NULL) > 0);
            turn(loop);
        }
        assert_int_equal(spop_server_connections(server), errors[i] != EPIPE);
    }
    close(fd);
}

static bool is_after; /* HAProxy had been served already */

/* Something else that is ready in the same turn of the loop. */
static void on_other(struct ev_loop *of, ev_io *io, int events)
{
    (void)events;
    is_after = *(const uint64_t *)io->data != 0;
    ev_io_stop(of, io);
}

/* HAProxy's questions, and answers for which there is room again, come before all else that is ready. */
static void haproxy_comes_first(void **state)
{
    static uint8_t bytes[SPACE];
    int pipes[2];
    ev_io other;
    uint64_t sent = 0;

    (void)state;
    name_master();
    assert_int_equal(pipe(pipes), 0);
    ev_io_init(&other, on_other, pipes[0], EV_READ);
    int fd = connect_with_hello();
    for (int i = 0; i < 2; i++) { /* the other one becomes ready first, or last */
        other.data = &metrics.notifies_total;
        metrics.notifies_total = 0;
        ev_io_start(loop, &other);
        turn(loop);
        spop_peer_notify(&out, 1, 1, "m", NULL);
        if (i == 0)
            assert_int_equal(write(pipes[1], "x", 1), 1);
        assert_int_equal(syscall(SYS_sendto, fd, space, out.at - space, 0, NULL, 0), out.at - space);
        if (i == 1)
            assert_int_equal(write(pipes[1], "x", 1), 1);
        out = sink_of(space, sizeof(space));
        is_after = false;
        turn(loop);
        assert_true(is_after);
        expect_answer(fd, 1);
        assert_int_equal(read(pipes[0], bytes, 1), 1);
    }
    flood(fd);
    for (int i = 0; i < 2; i++) {
        other.data = &sent;
        watched_sends = &sent;
        ev_io_start(loop, &other);
        turn(loop);
        sent = 0;
        if (i == 0)
            assert_int_equal(write(pipes[1], "x", 1), 1);
        assert_true(syscall(SYS_recvfrom, fd, bytes, sizeof(bytes), 0, NULL, NULL) > 0);
        if (i == 1)
            assert_int_equal(write(pipes[1], "x", 1), 1);
        is_after = false;
        turn(loop);
        assert_true(is_after);
        assert_int_equal(read(pipes[0], bytes, 1), 1);
    }
    watched_sends = NULL;
    close(fd);
    close(pipes[0]);
    close(pipes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_waits_is_answered),          TEST(who_waits_for_too_long),
        TEST(half_a_frame_behind_a_question), TEST(who_waits_and_goes),
        TEST(an_end_waits_for_nobody),        TEST(an_end_in_the_midst_of_a_frame),
        TEST(an_end_while_output_waits),      TEST(an_end_that_is_told_already),
        TEST(a_read_without_bytes),           TEST(a_write_that_fails),
        TEST(a_later_write_that_fails),       TEST(haproxy_comes_first),
    };

    (void)alarm(TESTS_MAX_S);
    return cmocka_run_group_tests_name("spop_waiting", tests, NULL, NULL);
}
