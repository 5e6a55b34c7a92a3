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

/* One poll, in which the node refuses PING and ROLE so; NULL: it answers. */
static void poll_refused(const char *ping, const char *role)
{
    f.now_ms += INTERVAL;
    name(0);
    assert_string_equal(sent(), "PING ROLE");
    reply(ping != NULL ? error_reply(ping) : text_reply("PONG"));
    if (role != NULL)
        reply(error_reply(role));
    else
        reply_role("master");
}

/* Each kind is told once, in the node's own words, and again after it was over. None hides another. */
static void test_each_kind_of_refusal_is_told(void **state)
{
    static const char busy[] = "BUSY Redis is busy running a script.";

    (void)state;
    aim_and_connect(0);
    greet();
    probe_once("master");
    for (unsigned i = 0; i < 3; i++)
        poll_refused(busy, busy);
    assert_int_equal(log_capture_count("role-probe-refused"), 1);
    assert_string_equal(
        log_capture_last("role-probe-refused"),
        "warning role-probe-refused monitor=m node=10.0.0.1:6379 reason=BUSY Redis is busy running a "
        "script. meaning=a script or a module blocks it; its role cannot be asked until that ends");
    poll_refused(NULL, "NOPERM User default has no permissions");
    poll_refused(NULL, "NOPERM User default has no permissions");
    assert_int_equal(log_capture_count("role-probe-refused"), 2);
    poll_refused(busy, busy);
    assert_int_equal(log_capture_count("role-probe-refused"), 3);
    poll_refused(NULL, NULL);
    poll_refused("LOADING Redis is loading the dataset in memory", NULL);
    poll_refused("LOADING Redis is loading the dataset in memory", NULL);
    assert_int_equal(log_capture_count("role-probe-refused"), 4);
    poll_refused("MASTERDOWN Link with MASTER is down", NULL);
    assert_int_equal(log_capture_count("role-probe-refused"), 5);
    poll_refused("NOREPLICAS Not enough good replicas to write.", NULL);
    assert_int_equal(log_capture_count("role-probe-refused"), 6);
    assert_non_null(
        strstr(log_capture_last("role-probe-refused"), "reason=NOREPLICAS Not enough good replicas"));
    poll_refused(NULL, NULL);
    poll_refused("LOADING Redis is loading the dataset in memory", NULL);
    assert_int_equal(log_capture_count("role-probe-refused"), 7);
}

/* KeyDB's active-replica is neither: told once, and not taken for a master or a replica. */
static void test_a_role_that_is_none(void **state)
{
    (void)state;
    aim_and_connect(0);
    greet();
    probe_once("active-replica");
    for (unsigned i = 0; i < 2; i++) {
        f.now_ms += INTERVAL;
        name(0);
        (void)sent();
        probe_once("active-replica");
    }
    expect(SERVICE_OK);
    assert_int_equal(log_capture_count("role-probe-refused"), 1);
    assert_non_null(
        strstr(log_capture_last("role-probe-refused"), "reason=active-replica meaning=it takes writes"));
    poll_refused(NULL, NULL);
    f.now_ms += INTERVAL;
    (void)sent();
    probe_once("active-replica");
    assert_int_equal(log_capture_count("role-probe-refused"), 2);
}

/* Dragonfly's word for a replica. */
static void test_a_replica_by_another_name(void **state)
{
    (void)state;
    aim_and_connect(0);
    greet();
    probe_once("replica");
    expect(SERVICE_NOT_MASTER);
}

static bool has_alarm(enum alarm_kind kind)
{
    return alarms_is_raised(service_alarms(f.service), kind);
}

/* A forgotten password costs nothing before the next failover. So it is an alarm. */
static void test_refusals_raise_alarms(void **state)
{
    (void)state;
    aim_and_connect(0);
    greet();
    probe_once("master");
    assert_false(has_alarm(ALARM_NODE_PASSWORD));
    poll_refused("NOAUTH Authentication required.", "NOAUTH Authentication required.");
    assert_true(has_alarm(ALARM_NODE_PASSWORD));
    assert_non_null(strstr(log_capture_last("alarm"), "detail=NOAUTH Authentication required."));
    poll_refused(NULL, NULL);
    assert_false(has_alarm(ALARM_NODE_PASSWORD));
    for (unsigned i = 0; i < 6; i++) { /* a short refusal raises no alarm */
        assert_false(has_alarm(ALARM_NODE_REFUSES));
        poll_refused(NULL, "NOPERM User default has no permissions");
    }
    assert_true(has_alarm(ALARM_NODE_REFUSES));
    assert_false(has_alarm(ALARM_NODE_PASSWORD));
    poll_refused("NOAUTH Authentication required.", "NOAUTH Authentication required.");
    assert_true(has_alarm(ALARM_NODE_PASSWORD));
    f.now_ms += 3000;
    name(1); /* nothing is known of the next master yet */
    assert_false(has_alarm(ALARM_NODE_PASSWORD));
}

/* With `require` nobody is named, which the alarm explains. */
static void test_refusal_where_the_role_is_required(void **state)
{
    (void)state;
    service_destroy(f.service);
    f.service_settings.policy.role_check = ROLE_CHECK_REQUIRE;
    f.service = service_create(&f.service_settings, START);
    name(0);
    aim_and_connect(0);
    greet();
    reply(error_reply("NOAUTH Authentication required."));
    reply(error_reply("NOAUTH Authentication required."));
    assert_false(service_is_open(f.service, SERVICE_ROLE_MASTER));
    assert_true(has_alarm(ALARM_NODE_PASSWORD));
    poll_refused(NULL, NULL);
    assert_false(has_alarm(ALARM_NODE_PASSWORD));
}

/* A link that was refused stays, also over a reload. The password is sent again: it may have been corrected at the node. */
static void test_a_password_that_is_corrected(void **state)
{
    (void)state;
    f.settings.credentials = (struct redis_credentials){.username = "probe", .password = "secret"};
    aim_and_connect(0);
    for (unsigned i = 0; i < 2; i++) {
        assert_string_equal(sent(), "AUTH CLIENT PING ROLE");
        reply(error_reply("WRONGPASS invalid username-password pair"));
        for (unsigned k = 0; k < 3; k++)
            reply(error_reply("NOAUTH Authentication required."));
        f.now_ms += INTERVAL;
        name(0);
    }
    assert_string_equal(sent(), "AUTH CLIENT PING ROLE");
    reply(text_reply("OK"));
    reply(text_reply("OK"));
    reply(text_reply("PONG"));
    reply_role("replica");
    expect(SERVICE_NOT_MASTER);
    assert_false(alarms_is_raised(service_alarms(f.service), ALARM_NODE_PASSWORD));
    f.now_ms += INTERVAL;
    name(0);
    assert_string_equal(sent(), "PING ROLE");
}

/* A reload looks a name up again, so it keeps no connection to one. */
static void test_a_name_is_not_kept_over_a_reload(void **state)
{
    (void)state;
    assert_false(role_probe_serves(&f.probe, f.service));
    aim_and_connect(0);
    assert_true(role_probe_serves(&f.probe, f.service));
    assert_true(role_probe_move(&f.probe, &f.settings, f.group, 0));
    assert_true(addr_parse(span_of_text("node.example:6379"), &f.probe.target));
    f.servers[0].addr = f.probe.target;
    assert_false(role_probe_serves(&f.probe, f.service));
    assert_false(role_probe_move(&f.probe, &f.settings, f.group, 0));
}

/* A node that closes each connection with an error refuses as well. */
static void test_node_that_sends_us_away(void **state)
{
    struct reply denied = error_reply("DENIED Redis is running in protected mode");

    (void)state;
    for (unsigned i = 0; i < 30 && !has_alarm(ALARM_NODE_REFUSES); i++) {
        if (i == 0)
            role_probe_aim(&f.probe, &f.servers[0].addr, f.now_ms);
        pass(conversation_wake_ms(talk()) > f.now_ms ? conversation_wake_ms(talk()) - f.now_ms : 0);
        assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_CONNECT);
        conversation_connected(talk(), f.now_ms);
        assert_string_equal(sent(), "CLIENT PING ROLE");
        assert_int_equal(conversation_reply(talk(), &denied, f.now_ms), CONVERSATION_DISCONNECT);
    }
    assert_true(has_alarm(ALARM_NODE_REFUSES));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROBE_TEST(test_returns_at_once),
        PROBE_TEST(test_a_node_that_answers_and_closes),
        PROBE_TEST(test_down_is_told_again_after_it_worked),
        PROBE_TEST(test_refusal_is_told_again_after_it_worked),
        PROBE_TEST(test_each_kind_of_refusal_is_told),
        PROBE_TEST(test_refusals_raise_alarms),
        PROBE_TEST(test_refusal_where_the_role_is_required),
        PROBE_TEST(test_a_password_that_is_corrected),
        PROBE_TEST(test_a_name_is_not_kept_over_a_reload),
        PROBE_TEST(test_node_that_sends_us_away),
        PROBE_TEST(test_a_role_that_is_none),
        PROBE_TEST(test_a_replica_by_another_name),
    };

    return cmocka_run_group_tests_name("role_probe_links", tests, NULL, NULL);
}
