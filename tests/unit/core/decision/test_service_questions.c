/* What a service wants to be asked for, and what it remembers for those who ask it. */
#include "tests/unit/core/decision/policy_fixture.h"

static void begin_with(void (*change)(void))
{
    begin((struct policy_config){.witness = false});
    service_destroy(f.service);
    change();
    f.service = service_create(&f.settings, START);
    assert_non_null(f.service);
}

static void hold_park_auto(void)
{
    f.settings.park_ms = PARK_AUTO;
}

/* Before a Sentinel has told how long a failover takes, `auto` is the longest time. */
static void test_park_from_the_start(void **state)
{
    (void)state;
    begin_with(hold_park_auto);
    assert_int_equal(service_decision(f.service)->park_ms, PARK_AUTO_MAX_MS);
    agree(3, R1);
    assert_int_equal(service_decision(f.service)->park_ms, PARK_AUTO_MAX_MS);
    end();
}

/* Who is asked with each poll. */
enum asked {
    NOBODY,
    SENTRIES,
    ALL,
};

static void expect_facts(unsigned voter, enum asked asked)
{
    assert_int_equal(service_wants_facts(f.service, voter, true, f.now_ms), asked != NOBODY);
    assert_int_equal(service_wants_facts(f.service, voter, false, f.now_ms), asked == ALL);
}

/* Facts are wanted from a voter that holds the master to be down, from all while it is, and where a setting needs them. */
static void test_when_facts_are_wanted(void **state)
{
    (void)state;
    begin((struct policy_config){.witness = true});
    agree(3, R1);
    expect_facts(0, NOBODY);
    say_down(1, R1, true);
    expect_facts(0, NOBODY);
    expect_facts(1, ALL);
    say_down(2, R1, true);
    assert_int_equal(service_decision(f.service)->state, SERVICE_DOWN);
    expect_facts(0, ALL);
    end();
    begin((struct policy_config){.early_fence = true});
    expect_facts(0, ALL);
    end();
    begin((struct policy_config){.down_after_ms = 1});
    expect_facts(0, SENTRIES);
    end();
    begin((struct policy_config){.down_after_ms = 1, .early_fence = true});
    expect_facts(0, ALL);
    end();
}

/* With `down-after` a voter that says that the master is silent is no witness for it. So each must say what it knows. */
static void test_facts_of_a_witness(void **state)
{
    (void)state;
    begin((struct policy_config){.down_after_ms = 1500, .witness = true});
    expect_facts(2, ALL);
    agree(2, R1);
    expect_facts(2, ALL);
    agree(3, R1);
    expect_facts(2, SENTRIES);
    end();
}

/* A witness is wanted while a vote is missing. Its fellows are where there is a limit for them. */
static void test_when_a_witness_is_wanted(void **state)
{
    (void)state;
    begin((struct policy_config){.witness = true});
    agree(2, R1);
    assert_true(service_wants_witness(f.service));
    assert_false(service_wants_peers(f.service));
    agree(3, R1);
    assert_false(service_wants_witness(f.service));
    end();
    begin((struct policy_config){.witness = true, .witness_age_ms = 1});
    agree(2, R1);
    assert_true(service_wants_peers(f.service));
    agree(3, R1);
    assert_false(service_wants_peers(f.service));
    end();
    begin((struct policy_config){.witness_age_ms = 1});
    assert_false(service_wants_witness(f.service));
    assert_false(service_wants_peers(f.service));
    end();
}

/* With a name lost, all are asked once what a witness knows. Without `witness` nobody is. */
static void test_a_witness_is_asked_for_once(void **state)
{
    (void)state;
    for (int has_witness = 0; has_witness < 2; has_witness++) {
        begin((struct policy_config){.witness = has_witness == 1});
        agree(3, R1);
        assert_false(service_take_ask_witness(f.service));
        service_review(f.service, START + F);
        service_review(f.service, START + F + 1);
        assert_int_equal(service_take_ask_witness(f.service), has_witness == 1);
        service_review(f.service, START + F + 2);
        assert_false(service_take_ask_witness(f.service));
        end();
    }
}

static void name_replicas(void)
{
    f.settings.replicas.is_enabled = true;
    f.settings.allow_any_address = true;
}

static void allow_any(void)
{
    f.settings.allow_any_address = true;
}

static void test_when_replicas_are_wanted(void **state)
{
    (void)state;
    begin((struct policy_config){.witness = false});
    assert_true(service_wants_replicas(f.service, true));
    assert_false(service_wants_replicas(f.service, false));
    end();
    begin_with(name_replicas);
    assert_true(service_wants_replicas(f.service, true));
    assert_true(service_wants_replicas(f.service, false));
    end();
    begin_with(allow_any);
    assert_false(service_wants_replicas(f.service, true));
    end();
}

/* Only where nothing else bounds the loss: the Sentinels are slow, and there is no `down-after`. */
static void test_when_min_replicas_are_wanted(void **state)
{
    struct sentinel_facts facts = {.down_after_ms = 10000, .quorum = 2, .other_sentinels = 2};

    (void)state;
    for (int has_down_after = 0; has_down_after < 2; has_down_after++) {
        begin((struct policy_config){.down_after_ms = has_down_after});
        agree(3, R1);
        facts.down_after_ms = 10000;
        say_facts(0, R1, facts);
        assert_false(service_wants_min_replicas(f.service, f.now_ms));
        facts.down_after_ms++;
        say_facts(0, R1, facts);
        assert_int_equal(service_wants_min_replicas(f.service, f.now_ms), has_down_after == 0);
        end();
    }
}

static void test_who_said_it(void **state)
{
    (void)state;
    for (enum service_event_kind kind = SERVICE_SAID_MASTER; kind <= SERVICE_VOTER_FORGOTTEN; kind++)
        assert_int_equal(service_is_said_by_voter(kind), kind <= SERVICE_SAID_STRANGERS);
}

static bool list(const char *address, int64_t one, int64_t two)
{
    const int64_t offsets[] = {one, two};
    const struct addr addr = addr_of(address);
    const struct service_event event = {
        .kind = SERVICE_SAID_OFFSETS, .addr = &addr, .offset = 10, .offsets = offsets};

    return service_step(f.service, &event, f.now_ms);
}

/* Those that the master lists are there. Another node's list says nothing. */
static void test_whom_the_master_lists(void **state)
{
    (void)state;
    begin((struct policy_config){.witness = false});
    agree(3, R1);
    assert_false(list(R2, 10, 10));
    assert_int_equal(service_node_word(f.service, 0)->saying, NODE_NOT_ASKED);
    assert_false(
        list(R1, REPLICA_NOT_CONNECTED, 10)); /* nothing is decided by it where no replicas are named */
    assert_int_equal(service_node_word(f.service, 0)->saying, NODE_NOT_ASKED);
    assert_int_equal(service_node_word(f.service, 1)->saying, NODE_LISTED);
    end();
}

/* Only a failover of the master that is named is of use. */
static void test_a_failover_of_another_node(void **state)
{
    const struct addr addrs[] = {addr_of(R2), addr_of(R1)};
    const struct service_event of_another = {.kind = SERVICE_FAILOVER_BEGINS, .addr = &addrs[0]};
    const struct service_event of_master = {.kind = SERVICE_FAILOVER_BEGINS, .addr = &addrs[1]};

    (void)state;
    begin((struct policy_config){.early_fence = true, .early_fence_max_ms = 1000});
    assert_false(service_step(f.service, &of_another, f.now_ms));
    agree(3, R1);
    assert_false(service_step(f.service, &of_another, f.now_ms));
    assert_true(service_step(f.service, &of_master, f.now_ms));
    assert_true(service_decision(f.service)->is_fenced);
    end();
}

static void wait_for_it(enum service_role role, unsigned count)
{
    const struct service_waiting waiting = {.count = count, .oldest_ms = f.now_ms};

    service_note_waiting(f.service, role, &waiting);
}

/* An outage counts each client of the master once, also those that were there when it began. */
static void test_who_waits(void **state)
{
    (void)state;
    begin((struct policy_config){.witness = false});
    agree(3, R1);
    service_note_refusal(f.service);
    wait_for_it(SERVICE_ROLE_MASTER, 2); /* no outage yet */
    assert_int_equal(service_outage(f.service)->waited, 0);
    service_review(f.service, START + F);
    assert_int_equal(service_outage(f.service)->waited, 2);
    wait_for_it(SERVICE_ROLE_REPLICA, 7);
    wait_for_it(SERVICE_ROLE_MASTER, 5);
    wait_for_it(SERVICE_ROLE_MASTER, 1);
    wait_for_it(SERVICE_ROLE_MASTER, 2);
    assert_int_equal(service_outage(f.service)->waited, 6);
    assert_int_equal(service_waiting(f.service, SERVICE_ROLE_MASTER)->count, 2);
    assert_int_equal(service_waiting(f.service, SERVICE_ROLE_REPLICA)->count, 7);
    service_note_wait(f.service, SERVICE_ROLE_REPLICA, 900);
    service_note_wait(f.service, SERVICE_ROLE_MASTER, 300);
    service_note_refusal(f.service);
    assert_int_equal(service_outage(f.service)->longest_wait_ms, 300);
    assert_int_equal(service_outage(f.service)->refused, 1);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_park_from_the_start),
        cmocka_unit_test(test_when_facts_are_wanted),
        cmocka_unit_test(test_facts_of_a_witness),
        cmocka_unit_test(test_when_a_witness_is_wanted),
        cmocka_unit_test(test_a_witness_is_asked_for_once),
        cmocka_unit_test(test_when_replicas_are_wanted),
        cmocka_unit_test(test_when_min_replicas_are_wanted),
        cmocka_unit_test(test_who_said_it),
        cmocka_unit_test(test_whom_the_master_lists),
        cmocka_unit_test(test_a_failover_of_another_node),
        cmocka_unit_test(test_who_waits),
    };

    return cmocka_run_group_tests_name("service_questions", tests, NULL, NULL);
}
