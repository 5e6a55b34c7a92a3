/* What a service answers beside a plain majority: vetoes, o_down, witness, keep, fence, debounce, alarms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/events.h"
#include "tests/unit/core/decision/policy_fixture.h"

/* ---- ROLE ---- */

static void test_replica_is_vetoed_until_it_says_otherwise(void **state)
{
    (void)state;
    begin((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(3, R1);
    expect_ok("R1");
    say_role(R1, NODE_ROLE_REPLICA);
    expect(SERVICE_NOT_MASTER, SERVICE_BECAUSE_REPLICA, NULL);
    say_role(R1, NODE_ROLE_LOADING);
    expect(SERVICE_NOT_MASTER, SERVICE_BECAUSE_LOADING, NULL);
    say_role(R1, NODE_ROLE_MASTER);
    expect_ok("R1");
    assert_int_equal(service_decision(f.service)->generation, 1);
    end();
}

static void test_veto_expires_and_is_for_one_node(void **state)
{
    (void)state;
    begin((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(3, R1);
    say_role(R2, NODE_ROLE_REPLICA);
    expect_ok("R1");
    say_role(R1, NODE_ROLE_REPLICA);
    f.now_ms += F - 1;
    agree(3, R1);
    expect(SERVICE_NOT_MASTER, SERVICE_BECAUSE_REPLICA, NULL);
    f.now_ms++;
    expect_ok("R1"); /* by the clock alone: the review was due */
    end();
}

/* R1, R2, R1 within F: what R1 said of itself still counts. */
static void test_the_word_of_each_node_is_remembered(void **state)
{
    (void)state;
    begin((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(3, R1);
    say_role(R1, NODE_ROLE_REPLICA);
    f.now_ms += 500;
    agree(3, R2);
    say_role(R2, NODE_ROLE_MASTER);
    expect_ok("R2");
    f.now_ms += 500;
    agree(3, R1);
    expect(SERVICE_NOT_MASTER, SERVICE_BECAUSE_REPLICA, NULL);
    say_role(R1, NODE_ROLE_MASTER);
    expect_ok("R1");
    end();
}

static void test_without_role_check_the_word_of_the_node_is_nothing(void **state)
{
    (void)state;
    begin((struct policy_config){.role_check = ROLE_CHECK_OFF});
    agree(3, R1);
    say_role(R1, NODE_ROLE_REPLICA);
    expect_ok("R1");
    end();
}

static void test_require_waits_for_the_word_of_a_new_master(void **state)
{
    (void)state;
    begin((struct policy_config){.role_check = ROLE_CHECK_REQUIRE, .confirm_ms = 300});
    agree(3, R1);
    expect(SERVICE_PENDING, SERVICE_BECAUSE_UNCONFIRMED, NULL);
    f.now_ms += 299;
    expect(SERVICE_PENDING, SERVICE_BECAUSE_UNCONFIRMED, NULL);
    f.now_ms++;
    expect(SERVICE_NOT_MASTER, SERVICE_BECAUSE_UNCONFIRMED, NULL);
    say_role(R1, NODE_ROLE_MASTER);
    expect_ok("R1");
    f.now_ms += F;
    agree(3, R1);
    expect_ok("R1"); /* silence does not unname it */
    agree(3, R2);
    expect(SERVICE_PENDING, SERVICE_BECAUSE_UNCONFIRMED, NULL);
    agree(3, R1);
    expect_ok("R1");
    f.now_ms += 1000;
    agree(3, R2);
    expect(SERVICE_PENDING, SERVICE_BECAUSE_UNCONFIRMED, NULL); /* the time begins anew */
    say_role(R2, NODE_ROLE_MASTER);
    expect_ok("R2");
    end();
}

/* ---- o_down ---- */

static void test_a_majority_says_that_it_is_down(void **state)
{
    (void)state;
    begin((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(3, R1);
    say_down(0, R1, true);
    expect_ok("R1");
    assert_true(service_wants_facts(f.service, 0, false, f.now_ms));
    assert_false(service_wants_facts(f.service, 1, true, f.now_ms));
    say_down(1, R1, true);
    expect(SERVICE_DOWN, SERVICE_BECAUSE_O_DOWN, NULL);
    assert_true(service_wants_facts(f.service, 2, false, f.now_ms));
    say_down(1, R1, false);
    expect_ok("R1");
    say_down(1, R2, true); /* of another node */
    expect_ok("R1");
    say_down(1, R1, true);
    f.now_ms += F;
    agree(3, R1);
    expect_ok("R1"); /* nobody said so lately */
    end();
}

/* It may be said before anybody has a vote for it, of a node outside the map too. */
static void test_down_before_it_is_named(void **state)
{
    (void)state;
    begin((struct policy_config){.role_check = ROLE_CHECK_OFF});
    f.settings.allow_any_address = true;
    say_down(0, "10.0.0.9:6379", true);
    say_down(1, "10.0.0.9:6379", true);
    agree(3, "10.0.0.9:6379");
    expect(SERVICE_DOWN, SERVICE_BECAUSE_O_DOWN, NULL);
    end();
}

/* An older reply that comes late does not take back what was said since. */
static void test_facts_that_come_late(void **state)
{
    struct addr addr = addr_of(R1);
    const struct sentinel_facts facts = {.other_sentinels = VOTERS - 1, .quorum = 2};
    struct service_event late = {.kind = SERVICE_SAID_FACTS, .addr = &addr, .facts = &facts};

    (void)state;
    begin((struct policy_config){.role_check = ROLE_CHECK_OFF});
    agree(3, R1);
    late.t_sent_ms = f.now_ms;
    f.now_ms += 10;
    say_down(0, R1, true);
    say_down(1, R1, true);
    expect(SERVICE_DOWN, SERVICE_BECAUSE_O_DOWN, NULL);
    (void)step_as(f.service, 0, &late, f.now_ms);
    expect(SERVICE_DOWN, SERVICE_BECAUSE_O_DOWN, NULL);
    end();
}

static void test_one_identity_says_down_once(void **state)
{
    struct addr addr = addr_of(R1);
    const struct sentinel_facts facts = {.is_o_down = true};

    (void)state;
    begin((struct policy_config){.role_check = ROLE_CHECK_OFF});
    agree(3, R1);
    identities[1] = 0; /* it is the first one under another address */
    for (unsigned i = 0; i < 2; i++)
        step_facts(f.service, i, &addr, &facts, f.now_ms);
    assert_int_equal(service_decision(f.service)->state, SERVICE_OK);
    step_facts(f.service, 2, &addr, &facts, f.now_ms);
    assert_int_equal(service_decision(f.service)->state, SERVICE_DOWN);
    const struct service_event ballot = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_NAMES, .addr = &addr, .t_sent_ms = f.now_ms};
    step_voter(f.service, SERVICE_VOTER_FORGOTTEN, 2, true, f.now_ms);
    (void)step_as(f.service, 2, &ballot, f.now_ms);
    assert_int_equal(service_decision(f.service)->state, SERVICE_OK);
    end();
}

/* ---- losing reach ---- */

static void test_a_short_loss_is_pending(void **state)
{
    (void)state;
    begin((struct policy_config){.debounce_ms = 1000});
    agree(3, R1);
    f.now_ms += F;
    expect(SERVICE_PENDING, SERVICE_BECAUSE_UNREACHABLE, NULL);
    f.now_ms += 999;
    expect(SERVICE_PENDING, SERVICE_BECAUSE_UNREACHABLE, NULL);
    f.now_ms++;
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    end();
}

static void test_never_named_is_never_debounced(void **state)
{
    (void)state;
    begin((struct policy_config){.debounce_ms = 1000});
    expect(SERVICE_STARTING, SERVICE_BECAUSE_NONE, NULL);
    f.now_ms += F;
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    end();
}

static void test_kept_for_its_time(void **state)
{
    (void)state;
    begin((struct policy_config){.keep_ms = 5000});
    agree(3, R1);
    f.now_ms += F;
    expect(SERVICE_KEPT, SERVICE_BECAUSE_UNREACHABLE, "R1");
    f.now_ms += 4999;
    expect(SERVICE_KEPT, SERVICE_BECAUSE_UNREACHABLE, "R1");
    f.now_ms++;
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    agree(2, R1);
    expect_ok("R1");
    assert_int_equal(service_decision(f.service)->generation, 1);
    end();
}

/* One voice against it is enough, and stays enough when it falls silent. */
static void test_not_kept_after_a_disagreement(void **state)
{
    (void)state;
    begin((struct policy_config){.keep_ms = 60000});
    agree(3, R1);
    f.now_ms += F - 100;
    vote(0, R2);
    f.now_ms += QUORUM_HOLD_MS;
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    f.now_ms += F;
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    end();
}

static void test_what_was_not_named_is_not_kept(void **state)
{
    (void)state;
    begin((struct policy_config){.keep_ms = 60000, .role_check = ROLE_CHECK_VETO});
    agree(3, R1);
    f.now_ms += F - 1;
    say_role(R1, NODE_ROLE_REPLICA);
    f.now_ms += F;
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    end();
}

/* The last that a majority named was outside the map: neither it nor the one before it is kept. */
static void test_nobody_is_kept_after_an_unknown_address(void **state)
{
    (void)state;
    begin((struct policy_config){.keep_ms = 60000});
    agree(3, "10.0.0.9:6379");
    expect(SERVICE_UNKNOWN_ADDRESS, SERVICE_BECAUSE_NONE, NULL);
    f.now_ms += F;
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    agree(3, R1);
    expect_ok("R1");
    f.now_ms += 1000;
    agree(3, "10.0.0.9:6379");
    expect(SERVICE_UNKNOWN_ADDRESS, SERVICE_BECAUSE_NONE, NULL);
    f.now_ms += F;
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    end();
}

static void test_kept_where_all_refuse_only(void **state)
{
    (void)state;
    begin((struct policy_config){.keep_ms = 60000, .keep_when = KEEP_WHEN_REFUSED});
    agree(3, R1);
    for (unsigned i = 0; i < 2; i++)
        step_voter(f.service, SERVICE_VOTER_REFUSES, i, true, f.now_ms);
    expect_ok("R1");
    f.now_ms += F;
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    step_voter(f.service, SERVICE_VOTER_REFUSES, 2, true, f.now_ms);
    expect(SERVICE_KEPT, SERVICE_BECAUSE_REFUSED, "R1");
    step_voter(f.service, SERVICE_VOTER_REFUSES, 1, false, f.now_ms); /* it hangs now */
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    const struct service_event error = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_INVALID, .t_sent_ms = f.now_ms};
    (void)step_as(f.service, 1, &error, f.now_ms); /* it is there, and of no use */
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    end();
}

static void say_witness(unsigned voter, bool says_ok)
{
    step_voter(f.service, SERVICE_SAID_WITNESS, voter, says_ok, f.now_ms);
}

static void test_a_witness_stands_in(void **state)
{
    (void)state;
    begin((struct policy_config){.witness = true});
    agree(3, R1);
    assert_false(service_wants_witness(f.service));
    f.now_ms += F;
    vote(0, R1);
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    assert_true(service_wants_witness(f.service));
    say_witness(1, true); /* has no vote */
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    say_witness(0, true);
    expect(SERVICE_WITNESSED, SERVICE_BECAUSE_UNREACHABLE, "R1");
    assert_int_equal(service_decision(f.service)->votes, 1);
    f.now_ms += 1000;
    say_witness(0, false);
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    end();
}

static void test_witnessed_switch_and_expiry(void **state)
{
    (void)state;
    begin((struct policy_config){.witness = true});
    agree(3, R1);
    f.now_ms += F + 1;
    vote(0, R2);
    f.now_ms += QUORUM_HOLD_MS;
    say_witness(0, true);
    expect(SERVICE_WITNESSED, SERVICE_BECAUSE_UNREACHABLE, "R2");
    assert_int_equal(service_decision(f.service)->generation, 2);
    f.now_ms += F - QUORUM_HOLD_MS; /* its vote has expired */
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    end();
}

static void test_no_witness_against_dissent(void **state)
{
    (void)state;
    begin((struct policy_config){.witness = true});
    f.settings.quorum.threshold = 3;
    f.now_ms += F;
    vote(0, R1);
    vote(1, R2);
    f.now_ms += QUORUM_HOLD_MS;
    say_witness(0, true);
    say_witness(1, true);
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    end();
}

static void test_fence(void **state)
{
    (void)state;
    begin((struct policy_config){.fence_ms = 3000, .keep_ms = 1000});
    agree(3, R1);
    f.now_ms += F;
    expect(SERVICE_KEPT, SERVICE_BECAUSE_UNREACHABLE, "R1");
    f.now_ms += 1000;
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    f.now_ms += 2999;
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    assert_false(service_decision(f.service)->is_fenced);
    f.now_ms++;
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    assert_true(service_decision(f.service)->is_fenced);
    agree(2, R1);
    expect_ok("R1");
    assert_false(service_decision(f.service)->is_fenced);
    end();
}

/* ---- alarms ---- */

static bool is_raised(enum alarm_kind kind)
{
    return alarms_is_raised(service_alarms(f.service), kind);
}

static void test_alarms_of_settings(void **state)
{
    struct sentinel_facts good = {.down_after_ms = 5000, .other_sentinels = 2, .quorum = 2};
    struct sentinel_facts bad = {.down_after_ms = F, .other_sentinels = 3, .quorum = 4};

    (void)state;
    begin((struct policy_config){.debounce_ms = 0});
    agree(3, R1);
    say_facts(0, R1, good);
    assert_int_equal(service_alarms(f.service)->raised, 0);
    say_facts(1, R1, bad);
    assert_true(is_raised(ALARM_VOTE_LIFE));
    assert_true(is_raised(ALARM_SENTINEL_QUORUM));
    assert_false(is_raised(ALARM_SENTINEL_COUNT));
    f.now_ms += 29999;
    agree(3, R1);
    say_facts(0, R1, good);
    assert_false(is_raised(ALARM_SENTINEL_COUNT));
    f.now_ms++;
    say_facts(0, R1, good); /* the other still says so */
    assert_true(is_raised(ALARM_SENTINEL_COUNT));
    assert_string_equal(log_capture_last("alarm"),
                        "warning alarm alarm=sentinel-count service=mymaster detail=3 configured, a Sentinel "
                        "knows of 4 meaning=a Sentinel knows of more or fewer Sentinels than are configured: "
                        "one is missing here, or a dead one was never forgotten there (SENTINEL RESET)");
    say_facts(1, R1, good);
    assert_int_equal(service_alarms(f.service)->raised, 0);
    assert_int_equal(log_capture_count("alarm"), 3);
    assert_int_equal(log_capture_count("alarm-cleared"), 3);
    end();
}

/* A Sentinel with bad settings is gone: what it said raises no alarm any more. */
static void test_alarms_of_a_sentinel_that_is_gone(void **state)
{
    struct sentinel_facts good = {.down_after_ms = 5000, .other_sentinels = 2, .quorum = 2};
    struct sentinel_facts bad = {.down_after_ms = F, .other_sentinels = 2, .quorum = 4};

    (void)state;
    begin((struct policy_config){.debounce_ms = 0});
    agree(3, R1);
    say_facts(1, R1, bad);
    assert_true(is_raised(ALARM_VOTE_LIFE));
    f.now_ms += F;
    vote(0, R1);
    say_facts(0, R1, good);
    assert_int_equal(service_alarms(f.service)->raised, 0);
    end();
}

static void test_alarm_of_park(void **state)
{
    const struct sentinel_facts facts = {.down_after_ms = 5000, .other_sentinels = 2, .quorum = 2};

    (void)state;
    begin((struct policy_config){.debounce_ms = 0});
    agree(3, R1);
    say_facts(0, R1, facts);
    assert_false(is_raised(ALARM_PARK)); /* nothing is parked, by choice */
    f.settings.park_ms = 6999;
    say_facts(0, R1, facts);
    assert_true(is_raised(ALARM_PARK));
    f.settings.park_ms = 7000;
    say_facts(0, R1, facts);
    assert_false(is_raised(ALARM_PARK));
    say_facts(1, R1, (struct sentinel_facts){.down_after_ms = 5001, .other_sentinels = 2, .quorum = 2});
    assert_true(is_raised(ALARM_PARK)); /* the longest counts */
    f.settings.park_ms = PARK_AUTO;
    say_facts(0, R1, facts);
    assert_false(is_raised(ALARM_PARK));
    assert_int_equal(service_decision(f.service)->park_ms, 7001);
    end();
}

/* The Sentinel with the longest time is lost with the master: `auto` stays what it is until somebody is named. */
static void test_auto_during_an_outage(void **state)
{
    const struct sentinel_facts facts = {.down_after_ms = 2500, .other_sentinels = 2, .quorum = 2};
    const struct sentinel_facts longest = {.down_after_ms = 5000, .other_sentinels = 2, .quorum = 2};
    const struct sentinel_facts longer = {.down_after_ms = 5500, .other_sentinels = 2, .quorum = 2};

    (void)state;
    begin((struct policy_config){.role_check = ROLE_CHECK_VETO});
    f.settings.park_ms = PARK_AUTO;
    agree(3, R1);
    say_facts(0, R1, facts);
    say_facts(1, R1, facts);
    say_facts(2, R1, longest);
    assert_int_equal(service_decision(f.service)->park_ms, 7000);
    (void)step_link(f.service, SERVICE_LINK_CLOSED, &f.servers[0].addr, 0, f.now_ms);
    f.now_ms += F;
    agree(2, R1);
    assert_true(service_outage(f.service)->is_running);
    assert_int_equal(service_decision(f.service)->park_ms, 7000);
    say_facts(1, R1, longer);
    assert_int_equal(service_decision(f.service)->park_ms, 7500);
    say_facts(1, R1, facts);
    agree(2, R2);
    service_review(f.service, f.now_ms);
    assert_false(service_outage(f.service)->is_running);
    assert_int_equal(service_decision(f.service)->park_ms, 4500);
    end();
}

/* It says what to do: no `park` that is in effect is longer than 8 s. */
static void test_alarm_of_auto(void **state)
{
    struct sentinel_facts facts = {.down_after_ms = 6000, .other_sentinels = 2, .quorum = 2};

    (void)state;
    begin((struct policy_config){.debounce_ms = 0});
    f.settings.park_ms = PARK_AUTO;
    agree(3, R1);
    say_facts(0, R1, facts);
    assert_false(is_raised(ALARM_PARK));
    facts.down_after_ms++;
    say_facts(0, R1, facts);
    assert_true(is_raised(ALARM_PARK));
    assert_non_null(
        strstr(log_capture_last("alarm"),
               "detail=park auto (8000 ms at most), down-after-milliseconds 6001: lower it to 6000, "
               "or set 'park' to 8001 ms"));
    end();
}

static void test_alarm_of_disagreement(void **state)
{
    (void)state;
    begin((struct policy_config){.debounce_ms = 0});
    for (unsigned i = 0; i < 6; i++) {
        agree(2, R1);
        vote(2, R2);
        assert_false(is_raised(ALARM_DISAGREEMENT));
        f.now_ms += i < 5 ? 999 : 5;
    }
    vote(2, R2);
    assert_true(is_raised(ALARM_DISAGREEMENT));
    vote(2, R1);
    assert_false(is_raised(ALARM_DISAGREEMENT));
    end();
}

static void test_alarm_of_an_unknown_address(void **state)
{
    (void)state;
    begin((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(3, "10.0.0.9:6379");
    expect(SERVICE_UNKNOWN_ADDRESS, SERVICE_BECAUSE_NONE, NULL);
    assert_true(is_raised(ALARM_UNKNOWN_ADDRESS));
    assert_non_null(strstr(log_capture_last("alarm"), "detail=10.0.0.9:6379"));
    say_role("10.0.0.9:6379", NODE_ROLE_REPLICA);
    expect(SERVICE_UNKNOWN_ADDRESS, SERVICE_BECAUSE_NONE, NULL); /* the map comes first */
    agree(3, R1);
    assert_false(is_raised(ALARM_UNKNOWN_ADDRESS));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replica_is_vetoed_until_it_says_otherwise),
        cmocka_unit_test(test_veto_expires_and_is_for_one_node),
        cmocka_unit_test(test_the_word_of_each_node_is_remembered),
        cmocka_unit_test(test_without_role_check_the_word_of_the_node_is_nothing),
        cmocka_unit_test(test_require_waits_for_the_word_of_a_new_master),
        cmocka_unit_test(test_a_majority_says_that_it_is_down),
        cmocka_unit_test(test_down_before_it_is_named),
        cmocka_unit_test(test_facts_that_come_late),
        cmocka_unit_test(test_one_identity_says_down_once),
        cmocka_unit_test(test_a_short_loss_is_pending),
        cmocka_unit_test(test_never_named_is_never_debounced),
        cmocka_unit_test(test_kept_for_its_time),
        cmocka_unit_test(test_not_kept_after_a_disagreement),
        cmocka_unit_test(test_what_was_not_named_is_not_kept),
        cmocka_unit_test(test_nobody_is_kept_after_an_unknown_address),
        cmocka_unit_test(test_kept_where_all_refuse_only),
        cmocka_unit_test(test_a_witness_stands_in),
        cmocka_unit_test(test_witnessed_switch_and_expiry),
        cmocka_unit_test(test_no_witness_against_dissent),
        cmocka_unit_test(test_fence),
        cmocka_unit_test(test_alarms_of_settings),
        cmocka_unit_test(test_alarms_of_a_sentinel_that_is_gone),
        cmocka_unit_test(test_alarm_of_park),
        cmocka_unit_test(test_auto_during_an_outage),
        cmocka_unit_test(test_alarm_of_auto),
        cmocka_unit_test(test_alarm_of_disagreement),
        cmocka_unit_test(test_alarm_of_an_unknown_address),
    };

    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
