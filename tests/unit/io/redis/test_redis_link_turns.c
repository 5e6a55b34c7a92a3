/* How much a link does in one turn of the loop, beside others. */
#include "tests/unit/io/redis/redis_link_fixture.h"

#include <poll.h>

#include "spoa/io/net/loop_stalls.h"

/* Uses up the links' share of each turn, before this link gets to it. */
static void on_always(struct ev_loop *running, ev_io *io, int events)
{
    int64_t since_ms = 0;

    (void)io;
    (void)events;
    if (loop_stalls_puts_off(running, &since_ms))
        return;
    (void)usleep(2000);
    loop_stalls_has_worked(running);
}

struct busy {
    struct metrics metrics;
    struct loop_stalls stalls;
    ev_io always;
    int ends[2];
};

static void begin_busy(struct busy *busy)
{
    *busy = (struct busy){.ends = {-1, -1}};
    assert_int_equal(pipe(busy->ends), 0);
    ev_io_init(&busy->always, on_always, busy->ends[1], EV_WRITE);
    ev_set_priority(&busy->always, EV_MAXPRI);
    loop_stalls_start(&busy->stalls, loop, &busy->metrics);
}

/* A link that asks for one reply, beside all that is busy. */
static void begin_talk(struct busy *busy)
{
    begin_busy(busy);
    talk.commands = 1;
    peer_says("+a\r\n");
    peer_listen(4);
    start_link(NULL);
}

static void end_busy(struct busy *busy)
{
    ev_io_stop(loop, &busy->always);
    loop_stalls_stop(loop);
    close(busy->ends[0]);
    close(busy->ends[1]);
}

/* Some turns without time for the link. False if the machine was so slow that the link may have run. */
static bool take_busy_turns(struct busy *busy)
{
    int64_t begun_ms = clock_ms();

    ev_io_start(loop, &busy->always);
    for (unsigned i = 0; i < 3; i++)
        ev_run(loop, EVRUN_NOWAIT);
    ev_io_stop(loop, &busy->always);
    return clock_ms() - begun_ms < LOOP_STALLS_PUT_OFF_MS;
}

/* In a turn without time for it the link neither connects nor reads. It does so as soon as there is time. */
static void turns_without_time(void **state)
{
    struct busy busy;

    (void)state;
    begin_talk(&busy);
    assert_true(!take_busy_turns(&busy) || conversation.phase == CONVERSATION_WAITING);
    AWAIT(peer.said == peer.says_len);
    assert_true(!take_busy_turns(&busy) || talk.replies == 0);
    AWAIT(talk.replies == 1);
    assert_int_equal(talk.lost, 0);
    end_busy(&busy);
}

/* Where no turn ever has time for it the link gets on all the same. */
static void never_time(void **state)
{
    struct busy busy;

    (void)state;
    begin_talk(&busy);
    ev_io_start(loop, &busy.always);
    AWAIT(talk.replies == 1);
    assert_int_equal(talk.lost, 0);
    end_busy(&busy);
}

/* A link to a voter does not wait: it acts in the turn in which it is told so. */
static void a_vote_does_not_wait(void **state)
{
    struct busy busy;

    (void)state;
    is_patient = false;
    begin_talk(&busy);
    (void)take_busy_turns(&busy);
    assert_int_not_equal(find_socket(), -1);
    AWAIT(talk.replies == 1 || peer.said == peer.says_len);
    (void)take_busy_turns(&busy);
    assert_int_equal(talk.replies, 1);
    end_busy(&busy);
}

/* Uses up what the links that never wait should take of a turn. */
static void on_always_voting(struct ev_loop *running, ev_io *io, int events)
{
    (void)io;
    (void)events;
    (void)loop_stalls_hurries(running);
    (void)usleep(700);
    loop_stalls_has_worked(running);
}

#define REPLIES ((size_t)500)

/* It reads less in a turn in which others of its kind have worked for long, but not two times in a row. */
static void less_in_a_full_turn(void **state)
{
    static char replies[10 * REPLIES + 1];
    struct busy busy;

    (void)state;
    for (size_t i = 0; i < REPLIES; i++)
        memcpy(replies + 10 * i, "+1234567\r\n", 10);
    begin_busy(&busy);
    ev_set_cb(&busy.always, on_always_voting);
    is_patient = false;
    talk.commands = REPLIES;
    peer_says(replies);
    peer_listen(4);
    start_link(NULL);
    AWAIT(peer.said == peer.says_len || talk.replies > 0);
    assert_int_equal(talk.replies, 0);
    ev_io_start(loop, &busy.always);
    ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(talk.replies, 204); /* 2 KiB */
    ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(talk.replies, REPLIES); /* up to 4 KiB */
    ev_io_stop(loop, &busy.always);
    end_busy(&busy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(turns_without_time),
        TEST(never_time),
        TEST(a_vote_does_not_wait),
        TEST(less_in_a_full_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
