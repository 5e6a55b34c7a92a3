/* The alarm "unbounded-loss", and the question to the master that it depends on. */
#include "tests/unit/core/voters/role_probe_fixture.h"

static void tell_down_after(uint32_t down_after_ms)
{
    const struct sentinel_facts facts = {.down_after_ms = down_after_ms, .quorum = 1};

    step_facts(f.service, 0, &f.servers[0].addr, &facts, f.now_ms);
}

static bool has_alarm(void)
{
    return alarms_is_raised(service_alarms(f.service), ALARM_UNBOUNDED_LOSS);
}

/* The probe has greeted the node and knows that it is a master. INFO comes with the next ROLE. */
static void begin(uint32_t down_after_ms)
{
    aim_and_connect(0);
    greet();
    probe_once("master");
    tell_down_after(down_after_ms);
    pass(INTERVAL);
}

static void reply_info(const char *text)
{
    probe_once("master");
    reply(text_reply(text));
}

static void test_nothing_bounds_the_loss(void **state)
{
    (void)state;
    begin(10001);
    assert_string_equal(sent(), "PING ROLE INFO");
    assert_false(has_alarm());
    reply_info("# Replication\r\nrole:master\r\nconnected_slaves:2\r\n");
    assert_true(has_alarm());
    assert_non_null(strstr(log_capture_last("alarm"), "unbounded-loss"));
}

static void test_min_replicas_bounds_it(void **state)
{
    (void)state;
    begin(30000);
    assert_string_equal(sent(), "PING ROLE INFO");
    reply_info("role:master\r\nconnected_slaves:2\r\nmin_slaves_good_slaves:2\r\n");
    assert_false(has_alarm());
    for (unsigned i = 1; i < 10; i++) {
        pass(INTERVAL);
        assert_string_equal(sent(), "PING ROLE");
        probe_once("master");
    }
    tell_down_after(30000);
    pass(INTERVAL);
    assert_string_equal(sent(), "PING ROLE INFO");
    reply_info("role:master\r\nconnected_slaves:2\r\n"); /* CONFIG SET min-replicas-to-write 0 */
    assert_true(has_alarm());
    tell_down_after(5000);
    assert_false(has_alarm());
}

static void test_it_is_not_asked_for_nothing(void **state)
{
    (void)state;
    begin(10000);
    assert_string_equal(sent(), "PING ROLE");
    probe_once("master");
    f.service_settings.policy.down_after_ms = 2000;
    tell_down_after(30000);
    pass(INTERVAL);
    assert_string_equal(sent(), "PING ROLE");
}

/* What is not known raises no alarm, and the lack of a right that only an alarm needs is not told. */
static void test_other_replies(void **state)
{
    static const char *const others[] = {"role:slave\r\nmaster_host:10.0.0.1\r\n", "", "OK"};

    (void)state;
    for (unsigned i = 0; i < sizeof(others) / sizeof(*others); i++) {
        begin(30000);
        assert_string_equal(sent(), "PING ROLE INFO");
        reply_info(others[i]);
        assert_false(has_alarm());
        conversation_lost(talk(), "lost", CONVERSATION_END_CLOSED, f.now_ms);
        tell_down_after(5000);
        role_probe_aim(&f.probe, &f.servers[1].addr, f.now_ms);
    }
    begin(30000);
    assert_string_equal(sent(), "PING ROLE INFO");
    probe_once("master");
    reply(error_reply("NOPERM this user has no permissions to run the 'info' command"));
    assert_false(has_alarm());
    assert_int_equal(log_capture_count("role-probe-refused"), 0);
}

/* What the former master said is not true of the next one. */
static void test_after_a_switch(void **state)
{
    (void)state;
    begin(30000);
    assert_string_equal(sent(), "PING ROLE INFO");
    reply_info("role:master\r\nconnected_slaves:2\r\n");
    assert_true(has_alarm());
    f.now_ms += 3000;
    name(1);
    assert_true(service_is_open(f.service, SERVICE_ROLE_MASTER));
    tell_down_after(30000);
    assert_false(has_alarm());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROBE_TEST(test_nothing_bounds_the_loss),
        PROBE_TEST(test_min_replicas_bounds_it),
        PROBE_TEST(test_it_is_not_asked_for_nothing),
        PROBE_TEST(test_other_replies),
        PROBE_TEST(test_after_a_switch),
    };

    return cmocka_run_group_tests_name("role_probe_loss", tests, NULL, NULL);
}
