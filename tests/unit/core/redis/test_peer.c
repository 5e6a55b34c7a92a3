/* The rules for all peers: greeting, proof, and what is told of them. */
#include "spoa/core/redis/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define START_MS 1000
#define INTERVAL_MS 500
#define FAULT_A (1u << 0)
#define FAULT_B (1u << 5)
#define FAULT_LAST (1u << (PEER_FAULTS_MAX - 1))

static struct redis_credentials credentials;
static struct conversation_settings settings;
static struct conversation conversation;
static struct peer peer;

static int set_up(void **state)
{
    static const struct conversation_topic topic;
    static struct awaited_run runs[4];

    (void)state;
    credentials = (struct redis_credentials){.password = NULL};
    settings = peer_times(300, INTERVAL_MS, 200);
    conversation_init(&conversation, &settings, &topic, NULL, (struct awaited_room){runs, 4}, 1, START_MS);
    peer_init(&peer, &conversation, &credentials, INTERVAL_MS);
    return 0;
}

/* The next command of the greeting has this kind and begins with this word. */
static void check_greeting(enum peer_greeting kind, const char *word, size_t count)
{
    struct conversation_command command;
    struct awaited_request request;

    assert_true(peer_greet(&peer, &command, &request));
    assert_int_equal(request.kind, kind);
    assert_int_equal(command.count, count);
    assert_true(span_equals_text(command.args[0], word));
}

static void check_greeted(void)
{
    struct conversation_command command;
    struct awaited_request request;

    assert_false(peer_greet(&peer, &command, &request));
}

/* A link is there, and greeted. */
static void begin_link(int64_t now_ms)
{
    peer_connected(&peer, now_ms);
    check_greeting(PEER_SETNAME, "CLIENT", 3);
    check_greeted();
}

static void test_greeting(void **state)
{
    (void)state;
    check_greeted(); /* no link yet */
    begin_link(START_MS);
    credentials.password = "secret";
    peer_connected(&peer, START_MS);
    check_greeting(PEER_AUTH, "AUTH", 2);
    assert_int_equal(peer_wake_ms(&peer, 7000), INT64_MIN);
    check_greeting(PEER_SETNAME, "CLIENT", 3);
    check_greeted();
    assert_int_equal(peer_wake_ms(&peer, 7000), 7000);
    credentials.username = "haproxy";
    peer_greet_again(&peer);
    check_greeting(PEER_AUTH, "AUTH", 3);
    check_greeting(PEER_SETNAME, "CLIENT", 3);
    check_greeted();
}

/* So that it shows when the back-off is reset. */
static void back_off(void)
{
    for (unsigned i = 0; i < 3; i++)
        (void)backoff_next(&conversation.backoff);
}

static bool is_backed_off(void)
{
    return conversation.backoff.ceiling_ms > settings.retry_min_ms;
}

static void test_proved_after_an_interval(void **state)
{
    (void)state;
    back_off();
    begin_link(START_MS);
    assert_int_equal(peer_wake_ms(&peer, INT64_MAX), INT64_MAX);
    peer_answered(&peer);
    assert_int_equal(peer_wake_ms(&peer, INT64_MAX), START_MS + INTERVAL_MS);
    assert_int_equal(peer_wake_ms(&peer, START_MS + 1), START_MS + 1);
    assert_false(peer_prove(&peer, START_MS + INTERVAL_MS - 1));
    assert_true(is_backed_off());
    assert_true(peer_prove(&peer, START_MS + INTERVAL_MS));
    assert_false(is_backed_off());
    assert_int_equal(peer_wake_ms(&peer, INT64_MAX), INT64_MAX);
    assert_false(peer_prove(&peer, START_MS + 2 * INTERVAL_MS)); /* once */
}

/* However long a link lasts: without an answer that counts it proves nothing. */
static void test_not_proved_without_an_answer(void **state)
{
    (void)state;
    back_off();
    begin_link(START_MS);
    assert_false(peer_prove(&peer, START_MS + 100 * INTERVAL_MS));
    assert_true(is_backed_off());
    peer_answered(&peer);
    assert_true(peer_prove(&peer, START_MS + 100 * INTERVAL_MS));
    assert_false(is_backed_off());
}

/* What a link that has ended did is of no use to the next one. */
static void test_each_link_counts_for_itself(void **state)
{
    (void)state;
    back_off();
    for (unsigned i = 0; i < 5; i++) {
        begin_link(START_MS + i * INTERVAL_MS);
        assert_false(peer.has_answered);
        peer_answered(&peer);
        assert_false(peer_prove(&peer, START_MS + (i + 1) * INTERVAL_MS - 1));
        (void)peer_lost(&peer, CONVERSATION_END_CLOSED);
        assert_false(peer.has_answered);
        assert_false(peer_prove(&peer, START_MS + (i + 1) * INTERVAL_MS));
    }
    assert_true(is_backed_off());
}

static void live(int64_t now_ms, bool is_news)
{
    begin_link(now_ms);
    peer_answered(&peer);
    assert_int_equal(peer_prove(&peer, now_ms + INTERVAL_MS), is_news);
}

static void test_up_and_down_are_told_once(void **state)
{
    (void)state;
    assert_int_equal(peer_lost(&peer, CONVERSATION_END_CLOSED), LOG_LEVEL_WARNING);
    assert_int_equal(peer_lost(&peer, CONVERSATION_END_CLOSED), LOG_LEVEL_DEBUG);
    live(START_MS, true);
    assert_int_equal(peer_lost(&peer, CONVERSATION_END_CLOSED), LOG_LEVEL_WARNING);
    /* It answers, and its links do not last: it is as much down as before. */
    begin_link(START_MS);
    peer_answered(&peer);
    assert_int_equal(peer_lost(&peer, CONVERSATION_END_CLOSED), LOG_LEVEL_DEBUG);
    live(START_MS, true);
    assert_int_equal(peer_lost(&peer, CONVERSATION_END_CLOSED), LOG_LEVEL_WARNING);
}

static void test_faults_are_told_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(peer_fails(&peer, FAULT_A, 0), i == 0);
        assert_int_equal(peer_fails(&peer, FAULT_B, 0), i == 0);
        (void)peer_lost(&peer, CONVERSATION_END_CLOSED);
        live(START_MS, true); /* a new link changes nothing about them */
    }
    peer_works(&peer, FAULT_A, 0);
    assert_true(peer_fails(&peer, FAULT_A, 0));
    assert_false(peer_fails(&peer, FAULT_B, 0));
    assert_true(peer_fails(&peer, FAULT_LAST, 0));
    peer_works(&peer, FAULT_A | FAULT_LAST, 0);
    assert_true(peer_fails(&peer, FAULT_A, 0));
    assert_true(peer_fails(&peer, FAULT_LAST, 0));
    assert_false(peer_fails(&peer, FAULT_B, 0));
}

/* A fault is told of one subject at a time, and is over when that one works. */
static void test_subjects_of_faults(void **state)
{
    (void)state;
    assert_true(peer_fails(&peer, FAULT_A, 7));
    assert_false(peer_fails(&peer, FAULT_A, 8));
    peer_works(&peer, FAULT_A, 8);
    assert_false(peer_fails(&peer, FAULT_A, 7));
    peer_works(&peer, FAULT_A, 7);
    assert_true(peer_fails(&peer, FAULT_A, 8));
    assert_false(peer_fails(&peer, FAULT_A, 7));
    assert_true(peer_fails(&peer, FAULT_B, 7));
    peer_works(&peer, FAULT_A | FAULT_B, 7);
    assert_false(peer_fails(&peer, FAULT_A, 8));
    assert_true(peer_fails(&peer, FAULT_B, 8));
}

/* BUSY must not hide NOPERM: each kind of refusal is told, until the request has worked. */
static void test_kinds_of_refusals(void **state)
{
    (void)state;
    assert_true(peer_refuses(&peer, FAULT_A, 0, REFUSAL_BUSY));
    assert_false(peer_refuses(&peer, FAULT_A, 0, REFUSAL_BUSY));
    assert_true(peer_refuses(&peer, FAULT_A, 0, REFUSAL_RIGHT));
    assert_false(peer_refuses(&peer, FAULT_A, 0, REFUSAL_BUSY));
    assert_false(peer_refuses(&peer, FAULT_A, 0, REFUSAL_RIGHT));
    assert_true(peer_refuses(&peer, FAULT_B, 0, REFUSAL_RIGHT));
    peer_works(&peer, FAULT_A, 0);
    assert_true(peer_refuses(&peer, FAULT_A, 0, REFUSAL_RIGHT));
    assert_true(peer_refuses(&peer, FAULT_A, 0, REFUSAL_BUSY));
    assert_false(peer_refuses(&peer, FAULT_B, 0, REFUSAL_RIGHT));
}

/* Its own words are told although it was down before. */
static void test_sent_away(void **state)
{
    (void)state;
    assert_int_equal(peer_lost(&peer, CONVERSATION_END_REFUSED), LOG_LEVEL_WARNING);
    assert_int_equal(peer_lost(&peer, CONVERSATION_END_SENT_AWAY), LOG_LEVEL_WARNING);
    assert_int_equal(peer_lost(&peer, CONVERSATION_END_REFUSED), LOG_LEVEL_DEBUG);
    assert_int_equal(peer_lost(&peer, CONVERSATION_END_SENT_AWAY), LOG_LEVEL_DEBUG);
    live(START_MS, true);
    assert_int_equal(peer_lost(&peer, CONVERSATION_END_SENT_AWAY), LOG_LEVEL_WARNING);
}

static void test_another_peer(void **state)
{
    (void)state;
    live(START_MS, true);
    assert_true(peer_fails(&peer, FAULT_A, 0));
    peer_forget(&peer);
    assert_false(peer.has_answered);
    check_greeted();
    assert_true(peer_fails(&peer, FAULT_A, 0));
    live(START_MS, true);
    assert_int_equal(peer_lost(&peer, CONVERSATION_END_CLOSED), LOG_LEVEL_WARNING);
    peer_forget(&peer);
    assert_int_equal(peer_lost(&peer, CONVERSATION_END_CLOSED), LOG_LEVEL_WARNING);
}

static void test_times(void **state)
{
    const struct conversation_settings asking = peer_times(300, 1000, 200);
    const struct conversation_settings listening = peer_times_of_listener(300, 200);

    (void)state;
    assert_int_equal(asking.connect_timeout_ms, 300);
    assert_int_equal(asking.silence_ms, 1200); /* a poll later its reply is overdue */
    assert_int_equal(asking.retry_max_ms, 2000);
    assert_int_equal(listening.connect_timeout_ms, 300);
    assert_int_equal(listening.silence_ms, 400);
    assert_int_equal(listening.retry_max_ms, 5000);
    assert_int_equal(listening.retry_min_ms, asking.retry_min_ms);
    assert_int_equal(listening.refused_retry_ms, asking.refused_retry_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_greeting, set_up),
        cmocka_unit_test_setup(test_proved_after_an_interval, set_up),
        cmocka_unit_test_setup(test_not_proved_without_an_answer, set_up),
        cmocka_unit_test_setup(test_each_link_counts_for_itself, set_up),
        cmocka_unit_test_setup(test_up_and_down_are_told_once, set_up),
        cmocka_unit_test_setup(test_faults_are_told_once, set_up),
        cmocka_unit_test_setup(test_subjects_of_faults, set_up),
        cmocka_unit_test_setup(test_kinds_of_refusals, set_up),
        cmocka_unit_test_setup(test_sent_away, set_up),
        cmocka_unit_test_setup(test_another_peer, set_up),
        cmocka_unit_test_setup(test_times, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
