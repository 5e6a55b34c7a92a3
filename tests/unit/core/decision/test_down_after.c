/* `down-after`: a master that a majority has not heard for a while, and a witness that hears nobody. */
#include "tests/unit/core/decision/policy_fixture.h"

#define LIMIT 1500
#define FENCE 1000

static const struct policy_config down_after = {.down_after_ms = LIMIT};
static const struct policy_config witness = {
    .witness = true, .down_after_ms = LIMIT, .witness_age_ms = LIMIT, .fence_ms = FENCE};

static void say_silent(unsigned voter, const char *address, uint32_t age_ms)
{
    say_facts(voter, address,
              (struct sentinel_facts){.silent_ms = age_ms, .owed_ms = age_ms, .other_sentinels = VOTERS - 1});
}

/* CKQUORUM says OK, and a majority was heard within `age_ms`. */
static void say_witness(unsigned voter, uint32_t age_ms)
{
    const struct service_event peers = {.kind = SERVICE_SAID_PEERS, .t_sent_ms = f.now_ms, .age_ms = age_ms};

    step_voter(f.service, SERVICE_SAID_WITNESS, voter, true, f.now_ms);
    (void)step_as(f.service, voter, &peers, f.now_ms);
}

static bool is_fenced(void)
{
    return service_decision(f.service)->is_fenced;
}

/* ---- the master is silent ---- */

static void test_a_majority_has_not_heard_it(void **state)
{
    (void)state;
    begin(down_after);
    agree(3, R1);
    say_silent(0, R1, 60000);
    say_silent(1, R1, LIMIT - 1);
    expect_ok("R1");
    say_silent(1, R1, LIMIT);
    expect(SERVICE_DOWN, SERVICE_BECAUSE_SILENT, NULL);
    assert_true(is_fenced());
    say_silent(1, R1, 0);
    expect_ok("R1");
    assert_false(is_fenced());
    assert_int_equal(service_decision(f.service)->generation, 1);
    end();
}

/* It stopped just before a PING, and for a moment only. */
static void test_a_moment_is_no_silence(void **state)
{
    const struct sentinel_facts moment = {.silent_ms = 2200, .owed_ms = LIMIT - EVIDENCE_OWED_SLACK_MS - 1};
    const struct sentinel_facts longer = {.silent_ms = 2200, .owed_ms = LIMIT - EVIDENCE_OWED_SLACK_MS};

    (void)state;
    begin(down_after);
    agree(3, R1);
    for (unsigned i = 0; i < VOTERS; i++)
        say_facts(i, R1, moment);
    expect_ok("R1");
    for (unsigned i = 0; i < VOTERS; i++)
        say_facts(i, R1, longer);
    expect(SERVICE_DOWN, SERVICE_BECAUSE_SILENT, NULL);
    end();
}

static void test_it_is_off_by_default(void **state)
{
    (void)state;
    begin((struct policy_config){.early_fence = true, .early_fence_max_ms = 3000});
    agree(3, R1);
    say_silent(0, R1, 60000);
    say_silent(1, R1, 60000);
    expect_ok("R1");
    assert_false(is_fenced());
    end();
}

static void test_one_identity_says_so_once(void **state)
{
    (void)state;
    begin(down_after);
    agree(3, R1);
    identities[1] = 0;
    say_silent(0, R1, LIMIT);
    say_silent(1, R1, LIMIT);
    identities[1] = 1;
    service_review(f.service, f.now_ms);
    expect(SERVICE_DOWN, SERVICE_BECAUSE_SILENT, NULL);
    identities[1] = 0;
    service_review(f.service, f.now_ms);
    expect_ok("R1");
    end();
}

static void test_it_expires_and_is_about_one_node(void **state)
{
    (void)state;
    begin(down_after);
    agree(3, R1);
    say_silent(0, R1, LIMIT);
    say_silent(1, R2, LIMIT);
    expect_ok("R1");
    say_silent(1, R1, LIMIT);
    f.now_ms += F - 1;
    agree(3, R1);
    expect(SERVICE_DOWN, SERVICE_BECAUSE_SILENT, NULL);
    f.now_ms++;
    expect_ok("R1"); /* by the clock alone */
    end();
}

/* From the silence to the next name nothing lets sessions of the old master live. */
static void test_it_is_fenced_until_somebody_is_named(void **state)
{
    (void)state;
    begin(down_after);
    agree(3, R1);
    say_silent(0, R1, LIMIT);
    say_silent(1, R1, LIMIT);
    assert_true(is_fenced());
    f.now_ms += QUORUM_SUSPECT_INTERVAL_MS;
    vote(2, R2); /* the leader of the failover */
    assert_true(is_fenced());
    f.now_ms += F;
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    assert_true(is_fenced());
    agree(3, R2);
    expect_ok("R2");
    assert_false(is_fenced());
    assert_int_equal(service_decision(f.service)->generation, 2);
    end();
}

/* A successor that is silent itself is not named. The master before it need not be cut for that. */
static void test_a_silent_successor(void **state)
{
    (void)state;
    begin(down_after);
    agree(3, R1);
    say_silent(0, R2, LIMIT);
    say_silent(1, R2, LIMIT);
    agree(3, R2);
    expect(SERVICE_DOWN, SERVICE_BECAUSE_SILENT, NULL);
    assert_false(is_fenced());
    end();
}

static void test_o_down_is_the_better_reason(void **state)
{
    (void)state;
    begin(down_after);
    agree(3, R1);
    for (unsigned i = 0; i < 2; i++)
        say_facts(i, R1, (struct sentinel_facts){.silent_ms = LIMIT, .owed_ms = LIMIT, .is_o_down = true});
    expect(SERVICE_DOWN, SERVICE_BECAUSE_O_DOWN, NULL);
    assert_true(is_fenced());
    end();
}

/* ---- nodes that vote ---- */

static void say_link(unsigned voter, const char *address, uint32_t age_ms, bool is_link_down)
{
    say_facts(voter, address,
              (struct sentinel_facts){.is_link_down = is_link_down, .silent_ms = age_ms, .owed_ms = age_ms});
}

/* A silent link goes down by itself, and INFO then counts from zero. It was not heard meanwhile. */
static void test_silence_goes_on_when_the_link_goes_down(void **state)
{
    (void)state;
    begin(down_after);
    agree(3, R1);
    for (unsigned i = 1; i < VOTERS; i++)
        say_link(i, R1, 60000, false);
    expect(SERVICE_DOWN, SERVICE_BECAUSE_SILENT, NULL);
    f.now_ms += 1000;
    for (unsigned i = 1; i < VOTERS; i++)
        say_link(i, R1, 0, true);
    expect(SERVICE_DOWN, SERVICE_BECAUSE_SILENT, NULL);
    assert_int_equal(service_silence_ms(f.service, 1, f.now_ms), 61000);
    say_link(1, R1, 0, false);
    expect_ok("R1");
    end();
}

/* The link of before was another's: REPLICAOF does not make INFO count from zero. */
static void test_silence_begins_with_another_master(void **state)
{
    (void)state;
    begin(down_after);
    agree(3, R1);
    for (unsigned i = 1; i < VOTERS; i++)
        say_link(i, R1, 60000, true);
    expect(SERVICE_DOWN, SERVICE_BECAUSE_SILENT, NULL);
    f.now_ms += 1000;
    agree(3, R2);
    for (unsigned i = 1; i < VOTERS; i++)
        say_link(i, R2, 61000, true);
    expect_ok("R2");
    f.now_ms += LIMIT - 1;
    agree(3, R2);
    for (unsigned i = 1; i < VOTERS; i++)
        say_link(i, R2, 62000, true);
    expect_ok("R2");
    f.now_ms++;
    for (unsigned i = 1; i < VOTERS; i++)
        say_link(i, R2, 62000, true);
    expect(SERVICE_DOWN, SERVICE_BECAUSE_SILENT, NULL);
    end();
}

/* What a node said long ago does not tell what it has heard since. */
static void test_silence_of_long_ago_does_not_go_on(void **state)
{
    (void)state;
    begin(down_after);
    agree(3, R1);
    say_link(1, R1, 3000, false);
    f.now_ms += F;
    vote(1, R1);
    say_link(1, R1, 1000, true);
    assert_int_equal(service_silence_ms(f.service, 1, f.now_ms), 1000);
    f.now_ms += F - 1;
    vote(1, R1);
    say_link(1, R1, 2000, true);
    assert_int_equal(service_silence_ms(f.service, 1, f.now_ms), 1000 + F - 1);
    say_link(1, R1, UINT32_MAX, false);
    f.now_ms += 1;
    say_link(1, R1, 2000, true);
    assert_int_equal(service_silence_ms(f.service, 1, f.now_ms), UINT32_MAX);
    end();
}

/* Alarms about Sentinels' settings do not speak of nodes. */
static void test_nodes_have_no_settings(void **state)
{
    (void)state;
    begin(down_after);
    agree(3, R1);
    say_link(1, R1, 0, false);
    assert_int_equal(log_capture_count("alarm"), 0);
    say_facts(1, R1, (struct sentinel_facts){.down_after_ms = LIMIT, .other_sentinels = 2, .quorum = 2});
    assert_true(alarms_is_raised(service_alarms(f.service), ALARM_DOWN_AFTER));
    end();
}

/* ---- what is asked for ---- */

/* Sentries are asked all the time. */
static void expect_all_are_asked(bool are_asked)
{
    for (unsigned i = 0; i < VOTERS; i++) {
        assert_true(service_wants_facts(f.service, i, true, f.now_ms));
        assert_int_equal(service_wants_facts(f.service, i, false, f.now_ms), are_asked);
    }
}

/* One voter that does not hear the master is a reason to ask all with each poll, for as long as it says so. */
static void test_whom_to_ask_with_each_poll(void **state)
{
    (void)state;
    begin(down_after);
    agree(3, R1);
    expect_all_are_asked(false);
    say_silent(2, R1, SERVICE_WATCH_MS - 1);
    expect_all_are_asked(false);
    say_silent(2, R1, SERVICE_WATCH_MS);
    expect_all_are_asked(true);
    say_silent(2, R1, 3600000);
    expect_all_are_asked(true);
    f.now_ms += F - 1;
    expect_all_are_asked(true);
    f.now_ms++;
    expect_all_are_asked(false);
    say_silent(2, R2, SERVICE_WATCH_MS); /* of another node */
    expect_all_are_asked(false);
    agree(3, R1);
    say_facts(2, R1, (struct sentinel_facts){.is_o_down = true});
    expect_all_are_asked(true);
    end();
}

static void test_when_it_is_asked_for_soon(void **state)
{
    (void)state;
    begin(down_after);
    agree(3, R1);
    say_silent(0, R1, SERVICE_WATCH_MS - 1);
    assert_false(service_is_watchful(f.service, 0, f.now_ms));
    say_silent(0, R1, SERVICE_WATCH_MS);
    assert_true(service_is_watchful(f.service, 0, f.now_ms));
    assert_false(service_is_watchful(f.service, 1, f.now_ms));
    say_silent(0, R1, LIMIT + F - 1);
    assert_true(service_is_watchful(f.service, 0, f.now_ms));
    say_silent(0, R1, LIMIT + F); /* alone, and perhaps for hours */
    assert_false(service_is_watchful(f.service, 0, f.now_ms));
    say_facts(0, R1, (struct sentinel_facts){.silent_ms = LIMIT + F, .owed_ms = 1});
    assert_true(service_is_watchful(f.service, 0, f.now_ms));
    say_silent(0, R1, LIMIT + F);
    say_silent(1, R1, LIMIT);
    assert_true(service_is_watchful(f.service, 0, f.now_ms));
    end();
    begin((struct policy_config){.witness = true});
    agree(3, R1);
    say_silent(0, R1, SERVICE_WATCH_MS);
    assert_false(service_wants_facts(f.service, 0, true, f.now_ms));
    assert_false(service_is_watchful(f.service, 0, f.now_ms));
    assert_false(service_wants_peers(f.service));
    end();
}

/* A healthy age may be long. It matters once the life of a vote is missing. */
static void test_a_long_limit_is_watched_late(void **state)
{
    (void)state;
    begin((struct policy_config){.down_after_ms = 15000});
    agree(3, R1);
    say_link(0, R1, 15000 - F - 1, false);
    assert_false(service_is_watchful(f.service, 0, f.now_ms));
    say_link(0, R1, 15000 - F, false);
    assert_true(service_is_watchful(f.service, 0, f.now_ms));
    end();
}

/* ---- a witness ---- */

/* Only the first voter is in reach still; what it saw as a witness has run out. */
static void lose_majority(void)
{
    begin(witness);
    agree(3, R1);
    f.now_ms += F - 500;
    vote(0, R1);
    f.now_ms += 500;
}

static void test_a_witness_hears_a_majority(void **state)
{
    (void)state;
    lose_majority();
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    assert_true(service_take_ask_witness(f.service));
    assert_false(service_take_ask_witness(f.service));
    step_voter(f.service, SERVICE_SAID_WITNESS, 0, true, f.now_ms);
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL); /* CKQUORUM alone will not do */
    say_witness(0, LIMIT - 100);
    expect(SERVICE_WITNESSED, SERVICE_BECAUSE_UNREACHABLE, "R1");
    assert_true(service_is_watchful(f.service, 0, f.now_ms));
    f.now_ms += 99;
    expect(SERVICE_WITNESSED, SERVICE_BECAUSE_UNREACHABLE, "R1");
    f.now_ms++;
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    end();
}

/* Of two witnesses the one counts that lasts longer, whichever comes first. */
static void test_two_witnesses(void **state)
{
    (void)state;
    for (unsigned longer = 0; longer < 2; longer++) {
        begin(witness);
        agree(3, R1);
        f.settings.quorum.threshold = 3;
        f.now_ms += F - 500;
        vote(0, R1);
        vote(1, R1);
        f.now_ms += 500;
        say_witness(longer, LIMIT - 300);
        say_witness(1 - longer, LIMIT - 100);
        expect(SERVICE_WITNESSED, SERVICE_BECAUSE_UNREACHABLE, "R1");
        assert_int_equal(service_decision(f.service)->review_ms, f.now_ms + 300);
        end();
    }
}

/* All have said that the master is silent. The last one in reach is no witness for it. */
static void test_a_witness_of_silence(void **state)
{
    (void)state;
    begin(witness);
    agree(3, R1);
    for (unsigned i = 0; i < VOTERS; i++)
        say_silent(i, R1, LIMIT);
    expect(SERVICE_DOWN, SERVICE_BECAUSE_SILENT, NULL);
    f.now_ms += F - 500;
    vote(0, R1);
    say_silent(0, R1, LIMIT + F - 500);
    say_witness(0, 0);
    f.now_ms += 500;
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    assert_true(is_fenced());
    say_silent(0, R1, 0);
    expect(SERVICE_WITNESSED, SERVICE_BECAUSE_UNREACHABLE, "R1");
    assert_false(is_fenced());
    say_facts(0, R1, (struct sentinel_facts){.is_o_down = true});
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    end();
}

static void test_a_witness_that_hears_nobody(void **state)
{
    (void)state;
    lose_majority();
    say_witness(0, LIMIT);
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    say_witness(0, UINT32_MAX);
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    end();
}

/* ---- the fence ---- */

static void expect_fence_after(int64_t ms)
{
    f.now_ms += ms - 1;
    service_review(f.service, f.now_ms);
    assert_false(is_fenced());
    f.now_ms++;
    service_review(f.service, f.now_ms);
    assert_true(is_fenced());
}

/* The majority was there for the last time F ago. A witness may still answer. */
static void test_the_fence_counts_from_the_last_majority(void **state)
{
    (void)state;
    lose_majority();
    expect(SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE, NULL);
    assert_false(is_fenced());
    expect_fence_after(T);
    end();
}

static void test_the_fence_counts_from_the_last_witness(void **state)
{
    (void)state;
    lose_majority();
    say_witness(0, LIMIT - 100);
    expect(SERVICE_WITNESSED, SERVICE_BECAUSE_UNREACHABLE, "R1");
    f.now_ms += 100;
    service_review(f.service, f.now_ms);
    expect_fence_after(FENCE);
    end();
}

static void test_the_fence_without_down_after(void **state)
{
    (void)state;
    begin((struct policy_config){.fence_ms = FENCE});
    agree(3, R1);
    f.now_ms += F;
    service_review(f.service, f.now_ms);
    expect_fence_after(FENCE);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_majority_has_not_heard_it),
        cmocka_unit_test(test_a_moment_is_no_silence),
        cmocka_unit_test(test_it_is_off_by_default),
        cmocka_unit_test(test_one_identity_says_so_once),
        cmocka_unit_test(test_it_expires_and_is_about_one_node),
        cmocka_unit_test(test_it_is_fenced_until_somebody_is_named),
        cmocka_unit_test(test_a_silent_successor),
        cmocka_unit_test(test_o_down_is_the_better_reason),
        cmocka_unit_test(test_silence_goes_on_when_the_link_goes_down),
        cmocka_unit_test(test_silence_begins_with_another_master),
        cmocka_unit_test(test_silence_of_long_ago_does_not_go_on),
        cmocka_unit_test(test_nodes_have_no_settings),
        cmocka_unit_test(test_whom_to_ask_with_each_poll),
        cmocka_unit_test(test_when_it_is_asked_for_soon),
        cmocka_unit_test(test_a_long_limit_is_watched_late),
        cmocka_unit_test(test_a_witness_hears_a_majority),
        cmocka_unit_test(test_a_witness_of_silence),
        cmocka_unit_test(test_two_witnesses),
        cmocka_unit_test(test_a_witness_that_hears_nobody),
        cmocka_unit_test(test_the_fence_counts_from_the_last_majority),
        cmocka_unit_test(test_the_fence_counts_from_the_last_witness),
        cmocka_unit_test(test_the_fence_without_down_after),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
