/* A reload: what the next service takes over, and what its observers are told. */
#include "tests/lib/log_capture.h"
#include "tests/unit/core/decision/handover_fixture.h"

static void test_nothing_has_changed(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&former, A, START);
    agree(&former, B, START + 1);
    agree(&next, B, START + 2);
    change_over(START + 3);
    assert_int_equal(next.changes, 0);
    assert_string_equal(decision()->server, B);
    assert_int_equal(decision()->generation, 2);
    assert_int_equal(decision()->t_switched_ms, START + 1);
    assert_string_equal(service_last_server(next.service), B);
    /* The former one goes on hearing its voters, and tells nobody. */
    unsigned told = former.changes;
    agree(&former, A, START + 4);
    assert_int_equal(former.changes, told);
    end();
}

/* Whoever is held back is told the difference, and nothing that came before. */
static void test_held_observers(void **state)
{
    struct side held = {.changes = 0};

    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&former, A, START);
    held.observer.changed = remember;
    service_hold_observers(next.service);
    service_observe(next.service, &held.observer);
    agree(&next, B, START + 1);
    assert_int_equal(held.changes, 0);
    change_over(START + 2);
    assert_int_equal(held.switches, 1);
    assert_string_equal(held.replaced, A);
    agree(&next, A, START + 3);
    assert_int_equal(held.switches, 2);
    end();
}

static void test_a_switch_that_only_the_next_one_saw(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&former, A, START);
    agree(&next, B, START + 1);
    change_over(START + 2);
    assert_int_equal(next.switches, 1);
    assert_string_equal(next.replaced, A);
    assert_int_equal(decision()->generation, 2);
    end();
}

/*
 * It saw A, B, and then nobody: B is not named now, so there is no switch yet. It comes with the next name.
 */
static void test_a_switch_with_nobody_named_at_the_change_over(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&former, A, START);
    agree(&next, B, START + 1);
    change_over(START + 1 + F);
    assert_int_equal(decision()->state, SERVICE_NO_QUORUM);
    assert_int_equal(next.switches, 0);
    agree(&next, B, START + 2 + F);
    assert_int_equal(next.switches, 1);
    assert_string_equal(next.replaced, A);
    end();
}

static void test_a_new_service(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&next, A, START);
    assert_int_equal(handover_lack(next.service, NULL, START), HANDOVER_READY);
    service_observe(next.service, &next.observer);
    handover(next.service, NULL, strangers, START + 1);
    assert_int_equal(next.switches, 1); /* its first master is told: to the log, the hook, the history */
    assert_string_equal(next.replaced, "");
    assert_int_equal(decision()->generation, 1);
    end();
}

/* The new service had a master, and lost its voters before anybody was told. */
static void test_a_new_service_keeps_nobody(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO, .keep_ms = 60000});
    agree(&next, A, START);
    service_review(next.service, START + F);
    assert_int_equal(decision()->state, SERVICE_KEPT);
    service_observe(next.service, &next.observer);
    handover(next.service, NULL, strangers, START + F);
    assert_int_equal(decision()->state, SERVICE_NO_QUORUM);
    assert_int_equal(next.switches, 0);
    end();
}

static void test_doubt(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&former, A, START);
    agree(&next, A, START);
    break_link(&former, A, START + 10);
    assert_true(service_decision(former.service)->state == SERVICE_DOUBTED);
    change_over(START + 20);
    assert_false(service_is_open(next.service, SERVICE_ROLE_MASTER));
    service_review(next.service, START + 10 + PARK);
    assert_true(service_is_open(next.service, SERVICE_ROLE_MASTER));
    end();
}

/*
 * The master was replaced, and the next one's link to its successor broke since. The former one has no link
 * there.
 */
static void test_a_newer_doubt_of_its_own(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&former, A, START);
    break_link(&former, A, START + 10);
    agree(&former, B, START + 20);
    agree(&next, B, START + 20);
    break_link(&next, B, START + 30);
    change_over(START + 40);
    assert_false(service_is_open(next.service, SERVICE_ROLE_MASTER));
    end();
}

static void test_what_a_node_said(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&former, A, START);
    say_role(&former, A, NODE_ROLE_REPLICA, START);
    agree(&next, A, START);
    /* The next one would name it: it has not asked it yet. */
    assert_int_equal(decision()->state, SERVICE_OK);
    assert_int_equal(handover_lack(next.service, former.service, START), HANDOVER_UNPROBED);
    change_over(START + 1);
    assert_int_equal(decision()->state, SERVICE_NOT_MASTER);
    assert_null(decision()->server);
    /* A newer word of its own counts more. */
    say_role(&next, A, NODE_ROLE_MASTER, START + 2);
    assert_string_equal(decision()->server, A);
    end();
}

static void test_its_own_word_is_newer(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&former, A, START);
    say_role(&former, A, NODE_ROLE_REPLICA, START);
    agree(&next, A, START);
    say_role(&next, A, NODE_ROLE_MASTER, START + 1);
    assert_int_equal(handover_lack(next.service, former.service, START + 1), HANDOVER_READY);
    change_over(START + 2);
    assert_string_equal(decision()->server, A);
    end();
}

/* A majority holds the master to be down; the next one has votes, and no facts yet. */
static void test_what_sentinels_said(void **state)
{
    const struct sentinel_facts facts = {.is_o_down = true, .other_sentinels = 2, .quorum = 2};
    struct addr addr = addr_of(A);

    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&former, A, START);
    step_facts(former.service, 0, &addr, &facts, START);
    step_facts(former.service, 1, &addr, &facts, START);
    assert_int_equal(service_decision(former.service)->state, SERVICE_DOWN);
    agree(&next, A, START);
    change_over(START + 1);
    assert_int_equal(decision()->state, SERVICE_DOWN);
    /* One of the two takes it back: it was voter 0 of the former list. */
    const struct sentinel_facts well = {.other_sentinels = 2, .quorum = 2};
    step_facts(next.service, 0, &addr, &well, START + 2);
    assert_int_equal(decision()->state, SERVICE_DOWN);
    step_facts(next.service, 2, &addr, &well, START + 2);
    assert_int_equal(decision()->state, SERVICE_OK);
    end();
}

/* Links that were silent have gone down. What the next one was told by nodes goes on from that. */
static void test_links_that_are_down(void **state)
{
    const struct sentinel_facts silent = {.silent_ms = 9000, .owed_ms = 9000};
    const struct sentinel_facts down = {.is_link_down = true};
    struct addr addr = addr_of(A);

    (void)state;
    build((struct policy_config){.down_after_ms = 1500});
    agree(&former, A, START);
    for (unsigned i = 0; i < 2; i++) {
        step_facts(former.service, i, &addr, &silent, START);
        step_facts(former.service, i, &addr, &down, START + 1);
        assert_int_equal(service_silence_ms(former.service, i, START + 1), 9001);
    }
    agree(&next, A, START);
    step_facts(next.service, 2, &addr, &down, START);     /* voter 0 of the former list */
    step_facts(next.service, 1, &addr, &down, START + 2); /* voter 1 */
    change_over(START + 3);
    assert_int_equal(service_silence_ms(next.service, 2, START + 3), 9001);
    assert_int_equal(service_silence_ms(next.service, 1, START + 3), 9002);
    assert_int_equal(decision()->reason, SERVICE_BECAUSE_SILENT);
    end();
}

/* The Sentinels are silent: `park = auto` stays what it was, in the next one, too. */
static void test_park_that_follows_the_sentinels(void **state)
{
    const struct sentinel_facts facts = {.down_after_ms = 2500, .other_sentinels = 2, .quorum = 2};
    struct addr addr = addr_of(A);

    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    former.settings.park_ms = next.settings.park_ms = PARK_AUTO;
    agree(&former, A, START);
    step_facts(former.service, 0, &addr, &facts, START);
    agree(&next, A, START);
    service_review(former.service, START + F);
    assert_int_equal(service_decision(former.service)->park_ms, 4500);
    assert_int_equal(service_decision(next.service)->park_ms, PARK_AUTO_MAX_MS);
    change_over(START + F);
    assert_int_equal(decision()->park_ms, 4500);
    end();
}

/* HAProxy's time limit is below `park`: that stays true, and is not told again. */
static void test_the_alarm_about_the_time_limit(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&former, A, START);
    agree(&next, A, START);
    log_capture_begin(LOG_LEVEL_DEBUG);
    service_note_given_up(former.service, SERVICE_ROLE_MASTER, 500, START + 10);
    change_over(START + 20);
    assert_true(alarms_is_raised(service_alarms(next.service), ALARM_PARK_TIMEOUT));
    assert_int_equal(log_capture_count("alarm"), 1);
    assert_int_equal(log_capture_count("alarm-cleared"), 0);
    service_note_given_up(next.service, SERVICE_ROLE_MASTER, SERVICE_NOT_GIVEN_UP, START + 110);
    assert_string_equal(log_capture_last("alarm-cleared"),
                        "info alarm-cleared alarm=park-timeout service=m lasted-ms=100");
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    end();
}

/* Nobody can ask for a replica any more. */
static void test_the_alarm_about_replicas_that_are_gone(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&former, A, START);
    agree(&next, A, START);
    service_note_given_up(former.service, SERVICE_ROLE_REPLICA, 500, START + 10);
    next.settings.replicas.is_enabled = false;
    log_capture_begin(LOG_LEVEL_DEBUG);
    change_over(START + 20);
    assert_false(alarms_is_raised(service_alarms(next.service), ALARM_PARK_TIMEOUT));
    assert_int_equal(log_capture_count("alarm-cleared"), 1);
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    end();
}

/* A majority has not heard the master; the next one has votes, and no facts yet. The fence is told once. */
static void test_a_silent_master(void **state)
{
    const struct sentinel_facts silent = {
        .silent_ms = 1500, .owed_ms = 1500, .other_sentinels = 2, .quorum = 2};
    struct addr addr = addr_of(A);

    (void)state;
    build((struct policy_config){.down_after_ms = 1500});
    agree(&former, A, START);
    step_facts(former.service, 0, &addr, &silent, START);
    step_facts(former.service, 1, &addr, &silent, START);
    assert_int_equal(former.fences, 1);
    agree(&next, A, START);
    change_over(START + 1);
    assert_int_equal(decision()->reason, SERVICE_BECAUSE_SILENT);
    assert_true(decision()->is_fenced);
    assert_int_equal(next.fences, 0);
    /* What it said runs out, and nobody is named: it was silent, and is not trusted yet. */
    service_review(next.service, START + F);
    assert_int_equal(decision()->state, SERVICE_NO_QUORUM);
    assert_true(decision()->is_fenced);
    agree(&next, B, START + F);
    assert_false(decision()->is_fenced);
    end();
}

static void test_an_expected_failover(void **state)
{
    const struct policy_config policy = {
        .role_check = ROLE_CHECK_VETO, .early_fence = true, .early_fence_max_ms = 1000};
    struct addr addr = addr_of(A);

    (void)state;
    build(policy);
    agree(&former, A, START);
    agree(&next, A, START);
    (void)step_link(former.service, SERVICE_FAILOVER_BEGINS, &addr, 0, START + 10);
    assert_true(service_decision(former.service)->is_fenced);
    change_over(START + 20);
    assert_null(decision()->server);
    assert_true(decision()->is_fenced);
    assert_int_equal(next.changes, 0); /* all was told before */
    service_review(next.service, START + 10 + 1000);
    assert_string_equal(decision()->server, A);
    end();
}

/* Only the next one was told: the former one has no right to subscribe. */
static void test_a_failover_that_only_the_next_one_expects(void **state)
{
    const struct policy_config policy = {
        .role_check = ROLE_CHECK_VETO, .early_fence = true, .early_fence_max_ms = 1000};
    struct addr addr = addr_of(A);

    (void)state;
    build(policy);
    agree(&former, A, START);
    agree(&next, A, START);
    (void)step_link(next.service, SERVICE_FAILOVER_BEGINS, &addr, 0, START + 10);
    change_over(START + 20);
    assert_null(decision()->server);
    assert_int_equal(next.fences, 1);
    end();
}

/* The next one does not fence early any more. */
static void test_no_early_fence_any_more(void **state)
{
    const struct policy_config policy = {
        .role_check = ROLE_CHECK_VETO, .early_fence = true, .early_fence_max_ms = 1000};
    struct addr addr = addr_of(A);

    (void)state;
    build(policy);
    next.settings.policy.early_fence = false;
    agree(&former, A, START);
    agree(&next, A, START);
    (void)step_link(former.service, SERVICE_FAILOVER_BEGINS, &addr, 0, START + 10);
    change_over(START + 20);
    assert_string_equal(decision()->server, A);
    assert_false(decision()->is_fenced);
    end();
}

/* The fence of the next configuration is shorter: it is reached at the change-over. */
static void test_a_fence_that_the_next_one_reaches(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO, .fence_ms = 60000});
    next.settings.policy.fence_ms = FENCE;
    agree(&former, A, START);
    service_review(former.service, START + F);
    assert_int_equal(service_decision(former.service)->state, SERVICE_NO_QUORUM);
    service_review(next.service, START + F);
    change_over(START + F + FENCE);
    assert_int_equal(next.fences, 1);
    end();
}

static void test_replicas(void **state)
{
    struct addr addr = addr_of(A);
    const struct service_event view = {
        .kind = SERVICE_SAID_REPLICAS, .t_sent_ms = START, .addr = &addr, .servers = 0x6}; /* B and C */
    const int64_t offsets[REPLICAS_MAX] = {REPLICA_NOT_CONNECTED, 1000, 500};
    const struct service_event told = {
        .kind = SERVICE_SAID_OFFSETS, .t_sent_ms = START, .addr = &addr, .offset = 1000, .offsets = offsets};

    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&former, A, START);
    (void)step_as(former.service, 0, &view, START);
    (void)step_as(former.service, 1, &view, START);
    (void)service_step(former.service, &told, START);
    assert_int_equal(service_decision(former.service)->replicas, 0x2); /* B; C is too far behind */
    agree(&next, A, START);
    change_over(START + 1);
    assert_int_equal(decision()->replicas, 0x4); /* B, in the next map */
    assert_int_equal(next.changes, 0);
    end();
}

/* The next file has the master's alias as its main address, and not the former one: it is the same master. */
static void test_another_main_address(void **state)
{
    const struct addr alias = addr_of("redis-1:6379");
    struct service_event told = {.kind = SERVICE_SAID_ROLE, .t_sent_ms = START + 1, .role = NODE_ROLE_MASTER};

    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    former.servers[0].aliases = &alias;
    former.servers[0].alias_count = 1;
    next.servers[1].addr = alias;
    agree(&former, A, START);
    say_role(&former, A, NODE_ROLE_REPLICA, START);
    agree(&next, "redis-1:6379", START);
    assert_int_equal(handover_lack(next.service, former.service, START + 1), HANDOVER_UNPROBED);
    told.addr = &alias;
    (void)service_step(next.service, &told, START + 1);
    assert_int_equal(handover_lack(next.service, former.service, START + 1), HANDOVER_READY);
    change_over(START + 1);
    assert_string_equal(decision()->server, A); /* so it is called in both files */
    assert_int_equal(next.switches, 0);
    assert_int_equal(decision()->generation, 1);
    end();
}

static void test_other_sentinels(void **state)
{
    struct addr addr = addr_of(A);
    const struct sentinel_facts facts = {.is_o_down = true, .other_sentinels = 2, .quorum = 2};

    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&former, A, START);
    step_facts(former.service, 0, &addr, &facts, START);
    step_facts(former.service, 1, &addr, &facts, START);
    agree(&next, A, START);
    service_observe(next.service, &next.observer);
    handover(next.service, former.service, strangers, START + 1);
    assert_int_equal(decision()->state, SERVICE_OK); /* what strangers said is not theirs */
    end();
}

/* Kept from memory: the next one has the same memory once it takes over. */
static void test_kept_is_kept(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO, .keep_ms = 60000});
    agree(&former, A, START);
    service_review(former.service, START + F);
    assert_int_equal(service_decision(former.service)->state, SERVICE_KEPT);
    assert_int_equal(handover_lack(next.service, former.service, START + F), HANDOVER_STARTING);
    service_review(next.service, START + F);
    assert_int_equal(handover_lack(next.service, former.service, START + F), HANDOVER_READY);
    change_over(START + F);
    assert_string_equal(decision()->server, A);
    assert_int_equal(next.changes, 0);
    end();
}

/* Who waits was counted already, and the outage began before. */
static void test_outage(void **state)
{
    const struct service_waiting waiting = {.count = 2, .oldest_ms = START + F};

    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&former, A, START);
    service_review(former.service, START + F);
    service_note_waiting(former.service, SERVICE_ROLE_MASTER, &waiting);
    service_review(next.service, START + F + 1);
    change_over(START + F + 10);
    service_note_waiting(next.service, SERVICE_ROLE_MASTER, &waiting);
    agree(&next, B, START + F + 100);
    assert_int_equal(service_outage(next.service)->waited, 2);
    assert_int_equal(service_outage(next.service)->longest_wait_ms, 100);
    assert_true(addr_equals(&service_outage(next.service)->former, &former.servers[0].addr));
    assert_int_equal(service_outage_totals(next.service)->count, 1);
    assert_int_equal(service_outage_totals(next.service)->ms, 100);
    end();
}

/* What a new service went through before anybody could ask for it counts for nothing. */
static void test_a_new_service_had_no_outage(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&next, A, START);
    service_review(next.service, START + F);
    assert_true(service_outage(next.service)->is_running);
    handover(next.service, NULL, strangers, START + F + 100);
    assert_int_equal(service_outage_totals(next.service)->count, 0);
    assert_int_equal(service_outage_totals(next.service)->ms, 0);
    agree(&next, A, START + F + 200);
    assert_int_equal(service_outage_totals(next.service)->count, 1);
    assert_int_equal(service_outage_totals(next.service)->ms, 100);
    end();
}

/* What the nodes said, for the status: by server, whatever its place in the map. The newer word counts. */
static void test_words_of_nodes(void **state)
{
    const struct addr addrs[] = {addr_of(A), addr_of(B)};
    struct service_event word = {.kind = SERVICE_NODE_WORD,
                                 .addr = &addrs[0],
                                 .saying = NODE_REFUSES,
                                 .words = span_of_text("NOPERM")};

    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    (void)service_step(former.service, &word, START);
    word.addr = &addrs[1];
    (void)service_step(former.service, &word, START);
    word.saying = NODE_SAYS_LOADING;
    (void)service_step(next.service, &word, START + 10);
    change_over(START + 20);
    assert_int_equal(service_node_word(next.service, 1)->saying, NODE_REFUSES); /* A */
    assert_string_equal(node_word_text(service_node_word(next.service, 1)), "NOPERM");
    assert_int_equal(service_node_word(next.service, 1)->t_ms, START);
    assert_int_equal(service_node_word(next.service, 2)->saying, NODE_SAYS_LOADING); /* B */
    assert_int_equal(service_node_word(next.service, 0)->saying, NODE_NOT_ASKED);
    end();
}

/* A doubt about a master that is kept does not hide that it is kept. */
static void test_kept_in_doubt_is_kept(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO, .keep_ms = 60000});
    agree(&former, A, START);
    service_review(former.service, START + F);
    break_link(&former, A, START + F);
    assert_int_equal(service_decision(former.service)->state, SERVICE_DOUBTED);
    service_review(next.service, START + F);
    assert_int_equal(handover_lack(next.service, former.service, START + F), HANDOVER_READY);
    change_over(START + F);
    assert_string_equal(decision()->server, A);
    assert_int_equal(decision()->state, SERVICE_DOUBTED);
    assert_int_equal(decision()->ruled, SERVICE_KEPT);
    end();
}

/* The next one hears a voter that knows no such master: with that nobody is kept any more. */
static void test_kept_is_not_lost_to_a_dissent(void **state)
{
    const struct service_event unknown = {
        .kind = SERVICE_SAID_MASTER, .t_sent_ms = START + F, .ballot = QUORUM_UNKNOWN_NAME};

    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO, .keep_ms = 60000});
    agree(&former, A, START);
    service_review(former.service, START + F);
    (void)step_as(next.service, 0, &unknown, START + F);
    service_review(next.service, START + F + QUORUM_HOLD_MS);
    assert_int_equal(service_decision(next.service)->reason, SERVICE_BECAUSE_UNREACHABLE);
    assert_int_equal(handover_lack(next.service, former.service, START + F + QUORUM_HOLD_MS),
                     HANDOVER_UNNAMED);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_has_changed),
        cmocka_unit_test(test_a_switch_that_only_the_next_one_saw),
        cmocka_unit_test(test_a_switch_with_nobody_named_at_the_change_over),
        cmocka_unit_test(test_held_observers),
        cmocka_unit_test(test_a_new_service),
        cmocka_unit_test(test_a_new_service_keeps_nobody),
        cmocka_unit_test(test_doubt),
        cmocka_unit_test(test_a_newer_doubt_of_its_own),
        cmocka_unit_test(test_what_a_node_said),
        cmocka_unit_test(test_its_own_word_is_newer),
        cmocka_unit_test(test_what_sentinels_said),
        cmocka_unit_test(test_links_that_are_down),
        cmocka_unit_test(test_a_silent_master),
        cmocka_unit_test(test_park_that_follows_the_sentinels),
        cmocka_unit_test(test_the_alarm_about_the_time_limit),
        cmocka_unit_test(test_the_alarm_about_replicas_that_are_gone),
        cmocka_unit_test(test_an_expected_failover),
        cmocka_unit_test(test_a_failover_that_only_the_next_one_expects),
        cmocka_unit_test(test_no_early_fence_any_more),
        cmocka_unit_test(test_a_fence_that_the_next_one_reaches),
        cmocka_unit_test(test_replicas),
        cmocka_unit_test(test_another_main_address),
        cmocka_unit_test(test_other_sentinels),
        cmocka_unit_test(test_kept_is_kept),
        cmocka_unit_test(test_kept_in_doubt_is_kept),
        cmocka_unit_test(test_words_of_nodes),
        cmocka_unit_test(test_outage),
        cmocka_unit_test(test_a_new_service_had_no_outage),
        cmocka_unit_test(test_kept_is_not_lost_to_a_dissent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
