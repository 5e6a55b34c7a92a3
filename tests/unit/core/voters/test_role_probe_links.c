/* Links to a node that is asked what it is: when they are made again, and what the log is told. */
#include "tests/unit/core/voters/role_probe_fixture.h"

/* Connects when it is due, and the node says that it is the master. */
static void meet(void)
{
    if (conversation_wake_ms(talk()) > f.now_ms)
        f.now_ms = conversation_wake_ms(talk());
    assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_CONNECT);
    conversation_connected(talk(), f.now_ms);
    greet();
    probe_once("master");
}

static void lose(enum conversation_end end)
{
    conversation_lost(talk(), "lost", end, f.now_ms);
}

/* A link that worked and was closed is connected again at once. */
static void test_returns_at_once(void **state)
{
    (void)state;
    role_probe_aim(&f.probe, &f.servers[0].addr, f.now_ms);
    for (unsigned i = 0; i < 3; i++) {
        meet();
        f.now_ms += INTERVAL;
        assert_string_equal(sent(), "PING ROLE");
        lose(CONVERSATION_END_CLOSED);
        assert_int_equal(conversation_wake_ms(talk()), f.now_ms);
        /* Once: the attempt that fails is followed by a pause. */
        assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_CONNECT);
        lose(CONVERSATION_END_CLOSED);
        assert_true(conversation_wake_ms(talk()) >= f.now_ms + 50);
    }
    /* Not after another end, nor where it never answered. */
    meet();
    f.now_ms += INTERVAL;
    assert_string_equal(sent(), "PING ROLE");
    lose(CONVERSATION_END_SILENT);
    assert_true(conversation_wake_ms(talk()) >= f.now_ms + 50);
}

/* A node that answers and closes is backed off: one attempt at once in an interval, the others as if it were
 * down. */
static void test_a_node_that_answers_and_closes(void **state)
{
    unsigned connections = 0;

    (void)state;
    log_capture_begin(LOG_LEVEL_INFO);
    role_probe_aim(&f.probe, &f.servers[0].addr, f.now_ms);
    for (; conversation_wake_ms(talk()) < START + 60000; connections++) {
        meet();
        lose(CONVERSATION_END_CLOSED);
    }
    assert_in_range(connections, 40, 125);
    assert_int_equal(log_capture_count("role-probe-down"), 1);
    assert_int_equal(log_capture_count(NULL), 1);
}

/* ---- what is told ---- */

static bool is_warned(const char *event)
{
    char text[64];
    const char *line = log_capture_last(event);

    (void)snprintf(text, sizeof(text), "warning %s", event);
    return strncmp(line, text, strlen(text)) == 0;
}

static void test_down_is_told_again_after_it_worked(void **state)
{
    (void)state;
    role_probe_aim(&f.probe, &f.servers[0].addr, f.now_ms);
    (void)attempt(CONVERSATION_END_REFUSED);
    assert_true(is_warned("role-probe-down"));
    (void)attempt(CONVERSATION_END_REFUSED);
    assert_false(is_warned("role-probe-down"));
    meet();
    f.now_ms += INTERVAL;
    assert_string_equal(sent(), "PING ROLE");
    lose(CONVERSATION_END_CLOSED);
    assert_true(is_warned("role-probe-down"));
    (void)attempt(CONVERSATION_END_REFUSED);
    assert_false(is_warned("role-probe-down"));
    role_probe_aim(&f.probe, &f.servers[1].addr, f.now_ms);
    (void)attempt(CONVERSATION_END_REFUSED);
    assert_true(is_warned("role-probe-down"));
}

static void probe_refused(void)
{
    f.now_ms += INTERVAL;
    assert_string_equal(sent(), "PING ROLE");
    reply(text_reply("PONG"));
    reply(error_reply("NOPERM this user has no permissions"));
}

static void test_refusal_is_told_again_after_it_worked(void **state)
{
    (void)state;
    role_probe_aim(&f.probe, &f.servers[0].addr, f.now_ms);
    meet();
    probe_refused();
    probe_refused();
    assert_int_equal(log_capture_count("role-probe-refused"), 1);
    f.now_ms += INTERVAL;
    assert_string_equal(sent(), "PING ROLE");
    probe_once("master");
    probe_refused();
    assert_int_equal(log_capture_count("role-probe-refused"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROBE_TEST(test_returns_at_once),
        PROBE_TEST(test_a_node_that_answers_and_closes),
        PROBE_TEST(test_down_is_told_again_after_it_worked),
        PROBE_TEST(test_refusal_is_told_again_after_it_worked),
    };

    return cmocka_run_group_tests_name("role_probe_links", tests, NULL, NULL);
}
