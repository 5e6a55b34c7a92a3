/* Outages of a service: when one runs, what clients felt of it, and which are counted. */
#include "tests/unit/core/decision/policy_fixture.h"

#include "spoa/core/decision/outage.h"

static const struct outage *outage(void)
{
    return service_outage(f.service);
}

static void pass(int64_t ms)
{
    f.now_ms += ms;
    service_review(f.service, f.now_ms);
}

/* So many clients wait for the master, the first of them since `oldest_ms`. */
static void wait_for(size_t count, int64_t oldest_ms)
{
    const struct service_waiting waiting = {.count = count, .oldest_ms = oldest_ms};

    service_note_waiting(f.service, SERVICE_ROLE_MASTER, &waiting);
}

static void break_link(void)
{
    (void)step_link(f.service, SERVICE_LINK_CLOSED, &f.servers[0].addr, 0, f.now_ms);
}

/* An outage that is a doubt has the cause of the doubt that began it. */
static void test_the_cause_of_a_doubt(void **state)
{
    static const enum service_event_kind kinds[] = {SERVICE_LINK_CLOSED, SERVICE_LINK_SILENT};
    static const char *const causes[] = {"closed", "silent"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        begin((struct policy_config){.role_check = ROLE_CHECK_VETO});
        service_destroy(f.service);
        f.settings.park_ms = 1000;
        f.service = service_create(&f.settings, START);
        assert_non_null(f.service);
        agree(3, R1);
        (void)step_link(f.service, kinds[i], &f.servers[0].addr, 0, f.now_ms);
        assert_int_equal(outage()->state, SERVICE_DOUBTED);
        assert_string_equal(outage_reason_text(outage()), causes[i]);
        end();
    }
}

static void test_the_start_is_none(void **state)
{
    (void)state;
    begin((struct policy_config){.role_check = ROLE_CHECK_VETO});
    wait_for(1, START);
    service_note_refusal(f.service);
    pass(100);
    const struct service_event ballot = {.kind = SERVICE_SAID_MASTER,
                                         .ballot = QUORUM_NAMES,
                                         .addr = &f.servers[0].addr,
                                         .t_sent_ms = f.now_ms - 3};
    for (unsigned i = 0; i < VOTERS; i++)
        (void)step_as(f.service, i, &ballot, f.now_ms);
    expect(SERVICE_PENDING, SERVICE_BECAUSE_SUSPECTED, NULL);
    assert_false(outage()->is_running); /* the first master is being asked for */
    f.now_ms += 3;
    agree(2, R1);
    expect_ok("R1");
    assert_false(outage()->is_running);
    assert_int_equal(outage()->waited, 0);
    assert_int_equal(service_outage_totals(f.service)->count, 0);
    end();
}

static void test_a_majority_that_is_lost(void **state)
{
    (void)state;
    begin((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(2, R1);
    pass(F);
    assert_true(outage()->is_running);
    assert_int_equal(outage()->t_begun_ms, f.now_ms);
    assert_int_equal(outage()->state, SERVICE_NO_QUORUM);
    assert_string_equal(outage_reason_text(outage()), "unreachable");
    assert_true(addr_equals(&outage()->former, &f.servers[0].addr));
    wait_for(1, f.now_ms);
    wait_for(3, f.now_ms);
    pass(700);
    service_note_wait(f.service, SERVICE_ROLE_REPLICA, 5000); /* another question */
    service_note_wait(f.service, SERVICE_ROLE_MASTER, 700);
    wait_for(2, f.now_ms - 600);
    service_note_refusal(f.service);
    pass(300);
    assert_int_equal(
        outage_longest_wait_ms(outage(), service_waiting(f.service, SERVICE_ROLE_MASTER), f.now_ms), 900);
    assert_int_equal(outage_length_ms(outage(), f.now_ms), 1000);
    agree(2, R2);
    assert_false(outage()->is_running);
    assert_int_equal(outage()->waited, 3);
    assert_int_equal(outage()->refused, 1);
    assert_int_equal(outage()->longest_wait_ms, 900); /* two are answered now */
    assert_int_equal(outage_length_ms(outage(), f.now_ms + 5000), 1000);
    assert_int_equal(service_outage_totals(f.service)->count, 1);
    assert_int_equal(service_outage_totals(f.service)->ms, 1000);
    end();
}

/* What nobody felt is not counted: a doubt without clients. */
static void test_a_doubt_counts_where_clients_waited(void **state)
{
    (void)state;
    begin((struct policy_config){.role_check = ROLE_CHECK_VETO});
    f.settings.park_ms = 1000;
    agree(2, R1);
    break_link();
    assert_true(outage()->is_running);
    pass(1000);
    assert_false(outage()->is_running);
    assert_false(outage_is_felt(outage()));
    assert_int_equal(service_outage_totals(f.service)->count, 0);
    break_link();
    assert_int_equal(outage()->state, SERVICE_DOUBTED);
    assert_string_equal(outage_reason_text(outage()), "closed");
    wait_for(1, f.now_ms);
    say_role(R1, NODE_ROLE_MASTER);
    assert_true(outage_is_felt(outage()));
    assert_int_equal(service_outage_totals(f.service)->count, 1);
    end();
}

/* With `debounce` the first state is a wait for better news. It is not what the outage was about. */
static void test_a_debounced_loss_is_a_loss(void **state)
{
    (void)state;
    begin((struct policy_config){.role_check = ROLE_CHECK_VETO, .debounce_ms = 500});
    agree(2, R1);
    pass(F);
    expect(SERVICE_PENDING, SERVICE_BECAUSE_UNREACHABLE, NULL);
    assert_int_equal(outage()->state, SERVICE_PENDING);
    pass(500);
    assert_int_equal(outage()->state, SERVICE_NO_QUORUM);
    assert_string_equal(outage_reason_text(outage()), "unreachable");
    end();
}

/* First our link breaks, then the majority is lost: the loss is what it was about. */
static void test_a_doubt_that_was_right(void **state)
{
    (void)state;
    begin((struct policy_config){.role_check = ROLE_CHECK_VETO});
    f.settings.park_ms = 10000;
    agree(2, R1);
    break_link();
    assert_int_equal(outage()->state, SERVICE_DOUBTED);
    pass(F);
    assert_int_equal(outage()->state, SERVICE_NO_QUORUM);
    agree(2, R1);
    assert_true(outage()->is_running); /* the doubt goes on */
    assert_int_equal(outage()->state, SERVICE_NO_QUORUM);
    end();
}

/* A voter disagrees, and all are asked: that is over within a round trip. */
static void test_a_suspicion_counts_where_clients_waited(void **state)
{
    (void)state;
    begin((struct policy_config){.role_check = ROLE_CHECK_VETO});
    for (unsigned i = 0; i < 2; i++) {
        agree(3, R1);
        pass(60);
        vote(0, R2);
        expect(SERVICE_PENDING, SERVICE_BECAUSE_SUSPECTED, NULL);
        assert_true(outage()->is_running);
        if (i > 0)
            wait_for(1, f.now_ms);
        f.now_ms += 3;
        agree(3, R1);
        assert_false(outage()->is_running);
        assert_int_equal(service_outage_totals(f.service)->count, i);
    }
    assert_int_equal(service_outage_totals(f.service)->ms, 3);
    end();
}

/* One outage, whatever states it goes through, and it is told by its first. */
static void test_keeps_the_state_that_it_began_with(void **state)
{
    (void)state;
    begin((struct policy_config){.role_check = ROLE_CHECK_VETO});
    f.settings.park_ms = 1000;
    agree(2, R1);
    break_link();
    pass(10);
    assert_int_equal(outage()->t_down_ms, INT64_MIN);
    int64_t t_down_ms = f.now_ms;
    for (unsigned i = 0; i < 2; i++)
        say_down(i, R1, true);
    expect(SERVICE_DOWN, SERVICE_BECAUSE_O_DOWN, NULL);
    f.now_ms += 10;
    for (unsigned i = 0; i < 2; i++)
        say_down(i, R1, true);
    assert_int_equal(outage()->t_down_ms, t_down_ms); /* the first time counts */
    for (unsigned i = 0; i < 2; i++)
        say_down(i, R1, false);
    say_role(R1, NODE_ROLE_REPLICA);
    expect(SERVICE_NOT_MASTER, SERVICE_BECAUSE_REPLICA, NULL);
    assert_int_equal(outage()->t_down_ms, t_down_ms); /* and is kept */
    assert_int_equal(outage()->state, SERVICE_DOWN);  /* it proves the doubt right */
    f.now_ms += 10;
    say_role(R1, NODE_ROLE_MASTER);
    expect_ok("R1");
    assert_int_equal(service_outage_totals(f.service)->count, 1);
    assert_int_equal(service_outage_totals(f.service)->ms, 30);
    end();
}

/* The first dissent leads to a question, and that says nothing to an operator. */
static void test_a_question_is_not_what_it_began_with(void **state)
{
    (void)state;
    begin((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(3, R1);
    pass(60);
    vote(0, R2);
    assert_int_equal(outage()->state, SERVICE_PENDING);
    assert_false(outage()->is_grave);
    pass(F);
    assert_int_equal(outage()->state, SERVICE_NO_QUORUM);
    assert_true(outage()->is_grave);
    f.now_ms += 10;
    agree(3, R1);
    assert_int_equal(outage()->state, SERVICE_NO_QUORUM);
    assert_int_equal(service_outage_totals(f.service)->ms, F + 10);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_start_is_none),
        cmocka_unit_test(test_the_cause_of_a_doubt),
        cmocka_unit_test(test_a_majority_that_is_lost),
        cmocka_unit_test(test_a_doubt_counts_where_clients_waited),
        cmocka_unit_test(test_a_debounced_loss_is_a_loss),
        cmocka_unit_test(test_a_doubt_that_was_right),
        cmocka_unit_test(test_a_suspicion_counts_where_clients_waited),
        cmocka_unit_test(test_keeps_the_state_that_it_began_with),
        cmocka_unit_test(test_a_question_is_not_what_it_began_with),
    };

    return cmocka_run_group_tests_name("outage", tests, NULL, NULL);
}
