/* A node that closes no link and answers nothing: when it is in doubt, when no longer, and what is not silence. */
#include "tests/unit/core/voters/role_probe_fixture.h"

#define SILENT_AFTER (ROLE_PROBE_LATE_MS + REPLY_TIMEOUT) /* after the first PING that is not answered */

/* ---- a node in virtual time ---- */

#define AWAITED_MAX 64

struct question {
    bool is_role;
    int64_t answer_ms;
};

static struct {
    int64_t latency_ms;
    int64_t frozen_until_ms; /* its kernel takes connections, nobody answers */
    bool is_gone;            /* nobody takes connections */
    const char *error;       /* the reply to everything; NULL: a master answers */
    struct question questions[AWAITED_MAX];
    unsigned asked;
    int64_t doubted_ms; /* for so long, in all */
    unsigned doubts;
    unsigned attempts;
} node;

static bool is_doubted(void)
{
    return service_decision(f.service)->state == SERVICE_DOUBTED;
}

static void take_questions(void)
{
    struct conversation_command command;

    while (conversation_next(talk(), f.now_ms, &command)) {
        int64_t from_ms = f.now_ms > node.frozen_until_ms ? f.now_ms : node.frozen_until_ms;
        assert_true(node.asked < AWAITED_MAX);
        node.questions[node.asked++] =
            (struct question){.is_role = span_equals_text(command.args[0], "ROLE"),
                              .answer_ms = from_ms == INT64_MAX ? INT64_MAX : from_ms + node.latency_ms};
    }
}

static int64_t next_answer_ms(void)
{
    return node.asked > 0 ? node.questions[0].answer_ms : INT64_MAX;
}

static void answer(void)
{
    while (next_answer_ms() <= f.now_ms) {
        struct question question = node.questions[0];
        memmove(node.questions, node.questions + 1, --node.asked * sizeof(question));
        if (node.error != NULL)
            reply(error_reply(node.error));
        else if (question.is_role)
            reply_role("master");
        else
            reply(text_reply("PONG"));
    }
}

static void tick(void)
{
    enum conversation_action action = conversation_tick(talk(), f.now_ms);

    if (action != CONVERSATION_NOTHING)
        node.asked = 0;
    if (action != CONVERSATION_CONNECT)
        return;
    node.attempts++;
    if (!node.is_gone)
        conversation_connected(talk(), f.now_ms);
}

/* For so long everything happens when it is due. */
static void live(int64_t ms)
{
    for (int64_t end_ms = f.now_ms + ms; f.now_ms < end_ms; f.now_ms++) {
        bool was_doubted = is_doubted();
        if (f.now_ms % 100 == 0)
            name(0);
        voter_group_tick(f.group, f.now_ms, PROGRESS_UNLIMITED);
        answer();
        if (conversation_wake_ms(talk()) <= f.now_ms)
            tick();
        take_questions();
        node.doubts += is_doubted() && !was_doubted;
        node.doubted_ms += is_doubted();
    }
}

/* The node was asked and has answered; the next question is due at the end of this. */
static void meet(void)
{
    memset(&node, 0, sizeof(node));
    role_probe_aim(&f.probe, &f.servers[0].addr, f.now_ms);
    live(INTERVAL);
    assert_int_equal(node.asked, 0);
    assert_false(is_doubted());
}

static void freeze(int64_t ms)
{
    node.frozen_until_ms = f.now_ms + ms;
}

static void fall_silent(void)
{
    node.frozen_until_ms = INT64_MAX;
}

/* ---- tests ---- */

static void test_asks_again_once_one_is_late(void **state)
{
    (void)state;
    meet();
    assert_string_equal(sent(), "PING ROLE");
    for (int64_t ms = 0; ms < SILENT_AFTER; ms++, f.now_ms++) {
        assert_false(is_doubted());
        assert_string_equal(sent(), ms > 0 && ms % ROLE_PROBE_LATE_MS == 0 ? "PING" : "");
        assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_NOTHING);
    }
    assert_int_equal(conversation_wake_ms(talk()), f.now_ms);
    assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_NOTHING);
    assert_true(is_doubted());
    assert_int_equal(service_decision(f.service)->doubt_cause, DOUBT_SILENT);
    /* It is told, and nothing follows from more. */
    assert_int_equal(conversation_wake_ms(talk()), f.now_ms - SILENT_AFTER + INTERVAL);
    assert_string_equal(sent(), "");
}

static void test_ends_with_park(void **state)
{
    (void)state;
    meet();
    fall_silent();
    live(PARK + 2000);
    assert_int_equal(node.doubts, 1);
    assert_int_equal(node.doubted_ms, PARK);
    expect(SERVICE_OK);
    assert_int_equal(service_decision(f.service)->generation, 1);
}

static void test_ends_with_the_first_answer(void **state)
{
    (void)state;
    meet();
    freeze(1200); /* its process is stopped */
    live(1199);
    assert_true(is_doubted());
    live(10000);
    assert_int_equal(node.doubts, 1);
    assert_int_equal(node.doubted_ms, 1200 - SILENT_AFTER);
}

/* It says something, be it no answer that counts. */
static void test_ends_with_an_error(void **state)
{
    (void)state;
    meet();
    node.error = "BUSY Redis is busy running a script";
    freeze(1200);
    live(10000);
    assert_int_equal(node.doubts, 1);
    assert_int_equal(node.doubted_ms, 1200 - SILENT_AFTER);
}

/* Where the link was given up: with the first answer of the next one, which is tried for soon. */
static void test_ends_after_a_return(void **state)
{
    (void)state;
    meet();
    fall_silent();
    node.is_gone = true;
    live(2600);
    assert_true(is_doubted());
    node.is_gone = false;
    node.frozen_until_ms = 0;
    live(CONNECT_TIMEOUT + 250);
    assert_false(is_doubted());
    assert_int_equal(node.doubts, 1);
}

static void test_slow_is_not_silent(void **state)
{
    static const int64_t latencies[] = {REPLY_TIMEOUT - 100, SILENT_AFTER - 50};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        meet();
        node.latency_ms = latencies[i];
        live(60000);
        role_probe_aim(&f.probe, &f.servers[1].addr, f.now_ms);
        assert_int_equal(node.doubts, 0);
        name(0);
    }
}

/* We did nothing for a while, and the answer has long been there when we look again. */
static void test_our_own_pause_is_not_silence(void **state)
{
    (void)state;
    meet();
    for (int64_t pause_ms = 0; pause_ms < INTERVAL + REPLY_TIMEOUT; pause_ms += 50) {
        assert_string_equal(sent(), "PING ROLE");
        f.now_ms += pause_ms;
        name(0);
        assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_NOTHING);
        const char *more = sent();
        assert_false(is_doubted());
        unsigned again = strstr(more, "PING") != NULL;
        probe_once("master");
        for (unsigned k = 0; k < again; k++)
            reply(text_reply("PONG"));
        if (strstr(more, "ROLE") != NULL)
            reply_role("master");
        f.now_ms += INTERVAL;
        name(0);
    }
}

/* Only our own way to the node is cut: we connect again and again, or try to, and clients wait once. */
static void test_a_cut_way_costs_one_doubt(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        meet();
        fall_silent();
        node.is_gone = i == 1;
        live(60000);
        assert_true(node.attempts > 20);
        assert_int_equal(node.doubts, 1);
        assert_int_equal(node.doubted_ms, PARK);
        role_probe_aim(&f.probe, &f.servers[1].addr, f.now_ms);
        name(0);
    }
}

static void test_silence_after_an_answer_is_another(void **state)
{
    (void)state;
    meet();
    for (unsigned i = 1; i <= 5; i++) {
        freeze(INTERVAL + SILENT_AFTER + 100);
        live(3 * INTERVAL);
        assert_int_equal(node.doubts, i);
        assert_false(is_doubted());
    }
}

static void test_a_link_that_never_worked_is_not_silent(void **state)
{
    (void)state;
    memset(&node, 0, sizeof(node));
    fall_silent();
    role_probe_aim(&f.probe, &f.servers[0].addr, f.now_ms);
    live(20000);
    assert_int_equal(node.doubts, 0);
}

/* The host went first, its process with it: what is known better counts. */
static void test_a_silent_link_that_is_closed(void **state)
{
    (void)state;
    meet();
    fall_silent();
    live(INTERVAL);
    assert_true(is_doubted());
    conversation_lost(talk(), "reset", CONVERSATION_END_CLOSED, f.now_ms);
    assert_int_equal(service_decision(f.service)->doubt_cause, DOUBT_CLOSED);
    for (int64_t end_ms = f.now_ms + PARK + 1000; f.now_ms < end_ms;) {
        assert_true(attempt(CONVERSATION_END_REFUSED) <= 250);
        assert_true(is_doubted());
    }
}

/* Whatever the times are, a silence is told before the link is given up, and no later than it should be. */
static void test_other_times(void **state)
{
    static const struct {
        uint32_t interval_ms;
        uint32_t reply_timeout_ms;
        int64_t silent_after_ms;
    } times[] = {
        {1000, 100, 200}, {1000, 2000, 2200}, {100, 500, 600}, {100, 2000, 2100}, {5000, 500, 700},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
        f.settings.interval_ms = times[i].interval_ms;
        f.settings.reply_timeout_ms = times[i].reply_timeout_ms;
        f.settings.conversation =
            peer_times(CONNECT_TIMEOUT, times[i].interval_ms, times[i].reply_timeout_ms);
        meet();
        fall_silent();
        while (node.asked == 0)
            live(1);
        live(times[i].silent_after_ms - 1);
        assert_false(is_doubted());
        live(1);
        assert_true(is_doubted());
        role_probe_aim(&f.probe, &f.servers[1].addr, f.now_ms);
        live(PARK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROBE_TEST(test_asks_again_once_one_is_late),
        PROBE_TEST(test_ends_with_park),
        PROBE_TEST(test_ends_with_the_first_answer),
        PROBE_TEST(test_ends_with_an_error),
        PROBE_TEST(test_ends_after_a_return),
        PROBE_TEST(test_slow_is_not_silent),
        PROBE_TEST(test_our_own_pause_is_not_silence),
        PROBE_TEST(test_a_cut_way_costs_one_doubt),
        PROBE_TEST(test_silence_after_an_answer_is_another),
        PROBE_TEST(test_a_link_that_never_worked_is_not_silent),
        PROBE_TEST(test_a_silent_link_that_is_closed),
        PROBE_TEST(test_other_times),
    };

    return cmocka_run_group_tests_name("role_probe_silence", tests, NULL, NULL);
}
