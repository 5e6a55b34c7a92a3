/* For how long a node has not heard its master: when it is asked, and whose word counts. */
#include "spoa/core/base/progress.h"
#include "tests/unit/core/voters/node_voter_fixture.h"

static enum service_reason reason_of(unsigned service)
{
    (void)named(service);
    return service_decision(f.services[service])->reason;
}

/* With each vote a node says how long it has not heard its master. The master hears itself. */
static void test_a_master_that_is_silent(void **state)
{
    (void)state;
    build_with(VOTER_SOURCE_REPLICATION, (struct policy_config){.down_after_ms = 1500});
    connect_node(0);
    collect(0);
    assert_string_equal(f.sent,
                        "AUTH secret\nCLIENT SETNAME sentinel-spoa\nINFO server\nROLE\nINFO replication\n");
    f.silent_s = 60;
    answer(0);
    for (unsigned i = 1; i < NODES; i++) {
        assert_int_not_equal(reason_of(0), SERVICE_BECAUSE_SILENT);
        connect_node(i);
        collect(i);
        answer(i);
    }
    assert_int_equal(reason_of(0), SERVICE_BECAUSE_SILENT);
    assert_int_equal(service_silence_ms(f.services[0], 0, f.now_ms), 0);
    assert_int_equal(service_silence_ms(f.services[1], 2, f.now_ms), 59000);
    assert_null(named(1));
    /* Nobody waits for the next poll now. */
    f.silent_s = 1;
    f.now_ms += VOTER_WATCH_MS;
    voter_group_tick(f.group, f.now_ms, PROGRESS_UNLIMITED);
    collect(1);
    assert_string_equal(f.sent, "ROLE\nINFO replication\n");
    answer(1);
    assert_string_equal(named(0), "n0");
    assert_string_equal(named(1), "n0");
}

/* However short the time is after which a silent master is down. */
static void test_a_short_limit(void **state)
{
    (void)state;
    build_with(VOTER_SOURCE_REPLICATION, (struct policy_config){.down_after_ms = 1});
    connect_node(0);
    collect(0);
    assert_non_null(strstr(f.sent, "ROLE\nINFO replication\n"));
}

/* In health a difference of two whole seconds happens, and is no silence. */
static void test_a_master_that_is_heard(void **state)
{
    (void)state;
    build_with(VOTER_SOURCE_REPLICATION, (struct policy_config){.down_after_ms = 1500});
    f.silent_s = 2;
    meet_all();
    assert_string_equal(named(0), "n0");
    f.silent_s = 3;
    ask_all();
    assert_int_equal(reason_of(0), SERVICE_BECAUSE_SILENT);
}

/* The vote of a node that refuses INFO replication counts. It is told once. */
static void test_a_link_that_is_not_told(void **state)
{
    (void)state;
    build_with(VOTER_SOURCE_REPLICATION, (struct policy_config){.down_after_ms = 1500});
    f.silent_s = 60;
    f.refuses_link = true;
    meet_all();
    ask_all();
    assert_string_equal(named(0), "n0");
    assert_int_equal(log_capture_count("node-facts-refused"), NODES);
    assert_string_equal(log_capture_last("node-facts-refused"),
                        "warning node-facts-refused node=n2 reply=NOPERM no INFO for you");
    f.refuses_link = false;
    ask_all();
    assert_int_equal(reason_of(0), SERVICE_BECAUSE_SILENT);
    f.refuses_link = true;
    poll_node(0);
    answer(0);
    assert_int_equal(log_capture_count("node-facts-refused"), NODES + 1);
}

/*
 * Nodes that were busy answer all that they were asked meanwhile, and have not read what their master sent. Of the
 * last question nobody could tell: its answer comes in time.
 */
static void test_nodes_that_were_busy(void **state)
{
    (void)state;
    build_with(VOTER_SOURCE_REPLICATION, (struct policy_config){.down_after_ms = 1500});
    meet_all();
    f.silent_s = 3;
    f.now_ms += POLL;
    for (unsigned i = 1; i < NODES; i++)
        collect(i);
    assert_string_equal(f.sent, "ROLE\nINFO replication\n");
    f.now_ms += POLL;
    for (unsigned i = 1; i < NODES; i++) {
        collect(i);
        assert_string_equal(f.sent, "ROLE\nINFO replication\n");
        for (unsigned k = 0; k < 2; k++)
            answer(i);
        assert_int_equal(service_silence_ms(f.services[0], i, f.now_ms), -1);
    }
    assert_string_equal(named(0), "n0");
    ask_all();
    assert_int_equal(reason_of(0), SERVICE_BECAUSE_SILENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_master_that_is_silent, tear_down),
        cmocka_unit_test_teardown(test_a_master_that_is_heard, tear_down),
        cmocka_unit_test_teardown(test_a_short_limit, tear_down),
        cmocka_unit_test_teardown(test_a_link_that_is_not_told, tear_down),
        cmocka_unit_test_teardown(test_nodes_that_were_busy, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
