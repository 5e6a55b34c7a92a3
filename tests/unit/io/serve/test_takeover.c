/* Two agents in one loop: one takes the other's place. */
#include "tests/unit/io/serve/takeover_fixture.h"

/* Connections go to the new one as they are; then the old one has nothing left to do. */
static void connections_go_along(void **state)
{
    struct sink out = sink_of(out_space, sizeof(out_space));

    (void)state;
    int talker = connect_with_hello();
    assert_int_equal(next_frame(talker), SPOP_AGENT_HELLO);
    int silent = connect_client("", 0);
    int sock = ask_for_place(&old);
    take_listeners(&new, sock);
    turn();
    assert_int_equal(old.taken, 0);
    assert_int_equal(spop_server_connections(old.server), 2);
    takeover_take(new.takeover, sock);
    await(&old.given, 1);
    assert_int_equal(old.taken, getpid());
    assert_int_equal(spop_server_connections(old.server), 0);
    char expected[96];
    (void)snprintf(expected, sizeof(expected), "info taken-over process=%d connections=2", (int)getpid());
    assert_string_equal(log_capture_last("taken-over"), expected);
    turn();
    (void)snprintf(expected, sizeof(expected), "info took-over process=%d connections=2", (int)getpid());
    assert_string_equal(log_capture_last("took-over"), expected);
    assert_int_equal(spop_server_connections(new.server), 2);
    ask(talker);
    assert_int_equal(next_frame(talker), SPOP_ACK);
    spop_peer_hello(&out, 16380, false);
    assert_int_equal(send(silent, out_space, (size_t)(out.at - out_space), MSG_NOSIGNAL), out.at - out_space);
    assert_int_equal(next_frame(silent), SPOP_AGENT_HELLO);
    close(talker);
    close(silent);
    destroy(&old); /* the file is not its any more */
    close(connect_client("", 0));
    wait_a_moment();
    assert_int_equal(log_capture_count("taken-over") + log_capture_count("took-over"), 2);
}

/* The frame that has begun is answered by the old one, however long that takes. */
static void what_is_owed_is_waited_for(void **state)
{
    struct sink out = sink_of(out_space, sizeof(out_space));

    (void)state;
    int idle = connect_with_hello();
    int partial = connect_with_hello();
    assert_int_equal(next_frame(partial), SPOP_AGENT_HELLO);
    spop_peer_notify(&out, 1, 1, "m", NULL);
    size_t len = (size_t)(out.at - out_space);
    assert_int_equal(send(partial, out_space, len - 1, MSG_NOSIGNAL), len - 1);
    turn();
    int sock = ask_for_place(&old);
    take_listeners(&new, sock);
    takeover_take(new.takeover, sock);
    wait_a_moment();
    assert_int_equal(spop_server_connections(old.server), 1);
    assert_int_equal(spop_server_connections(new.server), 1);
    assert_int_equal(old.given, 0);
    assert_int_equal(log_capture_count("took-over"), 0);
    assert_int_equal(send(partial, out_space + len - 1, 1, MSG_NOSIGNAL), 1);
    assert_int_equal(next_frame(partial), SPOP_ACK);
    await(&old.given, 1);
    turn();
    assert_int_equal(spop_server_connections(new.server), 2);
    wait_a_moment();
    assert_int_equal(old.given, 1);
    close(idle);
    close(partial);
}

/* The one that has asked first goes on. */
static void one_at_a_time(void **state)
{
    (void)state;
    int sock = ask_for_place(&old);
    int other = ask_for_place(&old);
    assert_string_equal(log_capture_last("takeover-refused"),
                        "warning takeover-refused reason=another process is about to");
    assert_true(is_closed(other));
    close(other);
    take_listeners(&new, sock);
    takeover_take(new.takeover, sock);
    await(&old.given, 1);
    assert_int_equal(log_capture_count("takeover-refused"), 1);
}

/* It ends before it is told anything, or before it is told all. The listeners stay ours alone, and the next one may ask. */
static void one_that_is_gone(void **state)
{
    (void)state;
    for (int i = 2; i >= 1; i--) {
        failing_send = i;
        int sock = ask_for_place(&old);
        assert_string_equal(log_capture_last("takeover-refused"),
                            "warning takeover-refused reason=Broken pipe");
        assert_true(is_closed(sock));
        close(sock);
        if (i == 2) {
            close(ask_for_place(&old));
            turn();
        }
    }
    assert_int_equal(log_capture_count("takeover-refused"), 2);
    failing_send = 2;
    close(ask_for_place(&old));
}

static void one_that_is_not_known(void **state)
{
    (void)state;
    is_unknown = true;
    int sock = ask_for_place(&old);
    assert_string_equal(log_capture_last("takeover-refused"),
                        "warning takeover-refused reason=another user's process");
    assert_true(is_closed(sock));
    close(sock);
}

static void nothing_to_read_is_no_end(void **state)
{
    (void)state;
    int sock = ask_for_place(&old);
    take_listeners(&new, sock);
    is_spurious = true;
    send_record(sock, TAKEOVER_TAKE, -1);
    ev_run(loop, EVRUN_NOWAIT);
    assert_false(is_spurious);
    turn();
    assert_int_equal(old.taken, getpid());
    close(sock);
    listeners_own(new.listeners);
}

/* Without TAKE all is as before. Whatever else it says is no TAKE; a descriptor that comes with it is closed. */
static void one_that_does_not_take(void **state)
{
    static const uint32_t kinds[] = {0, TAKEOVER_LISTENER, TAKEOVER_LISTED, TAKEOVER_TAKE,
                                     TAKEOVER_CONNECTION};

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        size_t before = count_descriptors();
        int sock = ask_for_place(&old);
        if (kinds[i] != 0)
            send_record(sock, kinds[i], STDIN_FILENO);
        else
            assert_int_equal(send(sock, "x", 1, MSG_NOSIGNAL), 1); /* no record */
        turn();
        assert_true(is_closed(sock));
        close(sock);
        assert_int_equal(count_descriptors(), before);
    }
    close(ask_for_place(&old));
    wait_a_moment();
    assert_int_equal(old.taken, 0);
    assert_int_equal(old.given, 0);
    assert_int_equal(log_capture_count("takeover-refused"), 0);
    assert_int_equal(log_capture_count("took-over"), 0);
    close(connect_with_hello());
    assert_int_equal(old.metrics.connections_total, 1);
}

/* The new one dies when it has taken: what was not given stays, and is not given to anybody. */
static void one_that_dies_after_it_has_taken(void **state)
{
    struct fd_record record;

    (void)state;
    int client = connect_client("\0", 1);
    int sock = ask_for_place(&old);
    close(receive(sock, &record));
    send_record(sock, TAKEOVER_TAKE, -1);
    turn();
    assert_int_equal(old.taken, getpid());
    close(sock);
    turn();
    close(client);
    wait_a_moment();
    assert_int_equal(old.given, 0);
    /* The listeners are not its any more: whoever has taken them has the file. */
    assert_int_equal(unlink(listen_at.addr.name), 0);
}

/* What it says after TAKE ends it. */
static void one_that_takes_twice(void **state)
{
    struct fd_record record;

    (void)state;
    int client = connect_client("\0", 1); /* the beginning of a frame: it cannot be given */
    int sock = ask_for_place(&old);
    close(receive(sock, &record));
    (void)receive(sock, &record);
    send_record(sock, TAKEOVER_TAKE, -1);
    turn();
    assert_false(is_closed(sock));
    send_record(sock, TAKEOVER_TAKE, -1);
    turn();
    assert_true(is_closed(sock));
    assert_int_equal(log_capture_count("taken-over"), 1);
    close(client);
    close(sock);
    assert_int_equal(unlink(listen_at.addr.name), 0);
}

/* Only connections come to a new one. All else ends it, and a descriptor that comes with it is closed. */
static void what_a_new_one_takes(void **state)
{
    static const struct {
        uint32_t kind;
        bool has_fd;
    } cases[] = {
        {TAKEOVER_CONNECTION, false}, {TAKEOVER_TAKE, false},    {TAKEOVER_TAKE, true},
        {TAKEOVER_LISTED, false},     {TAKEOVER_LISTENER, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fd_record record;
        int ends[2];
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
        takeover_take(new.takeover, ends[1]);
        assert_int_equal(receive(ends[0], &record), -1);
        assert_int_equal(record.kind, TAKEOVER_TAKE);
        send_record(ends[0], TAKEOVER_CONNECTION, pair[0]);
        send_record(ends[0], cases[i].kind, cases[i].has_fd ? pair[0] : -1);
        close(pair[0]);
        turn();
        assert_true(is_closed(ends[0]));
        close(ends[0]);
        assert_int_equal(log_capture_count("took-over"), i + 1);
        assert_non_null(strstr(log_capture_last("took-over"), " connections=1"));
        assert_int_equal(spop_server_connections(new.server), 1);
        assert_false(is_closed(pair[1]));
        close(pair[1]);
        turn();
        assert_int_equal(spop_server_connections(new.server), 0);
    }
    assert_int_equal(new.taken, 0);
}

/* The place goes from the old one to the new one, and back. */
static void there_and_back(void **state)
{
    (void)state;
    int client = connect_with_hello();
    assert_int_equal(next_frame(client), SPOP_AGENT_HELLO);
    int sock = ask_for_place(&old);
    take_listeners(&new, sock);
    takeover_take(new.takeover, sock);
    await(&old.given, 1);
    destroy(&old);
    turn();
    create(&old);
    sock = ask_for_place(&new);
    take_listeners(&old, sock);
    takeover_take(old.takeover, sock);
    await(&new.given, 1);
    assert_int_equal(new.taken, getpid());
    turn();
    assert_int_equal(spop_server_connections(old.server), 1);
    ask(client);
    assert_int_equal(next_frame(client), SPOP_ACK);
    close(client);
}

/* Nothing of it is used again: the build with AddressSanitizer looks. */
static void ends_in_the_midst(void **state)
{
    (void)state;
    int client = connect_client("\0", 1);
    int sock = ask_for_place(&old);
    take_listeners(&new, sock);
    takeover_take(new.takeover, sock);
    turn();
    assert_int_equal(old.taken, getpid());
    takeover_destroy(old.takeover);
    old.takeover = NULL;
    takeover_destroy(new.takeover);
    new.takeover = NULL;
    wait_a_moment();
    assert_int_equal(old.given, 0);
    close(client);
    takeover_destroy(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(connections_go_along),   TEST(what_is_owed_is_waited_for),
        TEST(one_at_a_time),          TEST(one_that_is_gone),
        TEST(one_that_is_not_known),  TEST(nothing_to_read_is_no_end),
        TEST(one_that_does_not_take), TEST(one_that_dies_after_it_has_taken),
        TEST(one_that_takes_twice),   TEST(what_a_new_one_takes),
        TEST(there_and_back),         TEST(ends_in_the_midst),
    };

    return cmocka_run_group_tests_name("takeover", tests, NULL, NULL);
}
