/* A reload: what the next service still lacks before it may take over. */
#include "tests/unit/core/decision/handover_fixture.h"

static void test_what_it_lacks(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    assert_int_equal(handover_lack(next.service, NULL, START), HANDOVER_STARTING);
    agree(&former, A, START);
    assert_int_equal(handover_lack(next.service, former.service, START), HANDOVER_STARTING);
    service_review(next.service, START + F); /* nobody answers it */
    agree(&former, A, START + F);
    assert_int_equal(handover_lack(next.service, former.service, START + F), HANDOVER_UNNAMED);
    agree(&next, A, START + F);
    assert_int_equal(handover_lack(next.service, former.service, START + F), HANDOVER_READY);
    /* Neither names anybody: the next one is as good. */
    service_review(former.service, START + 2 * F);
    service_review(next.service, START + 2 * F);
    assert_int_equal(handover_lack(next.service, former.service, START + 2 * F), HANDOVER_READY);
    end();
}

/* What a node says of itself is waited for where both go by it. */
static void test_the_word_of_the_node(void **state)
{
    static const struct {
        enum role_check former;
        enum role_check next;
        enum handover_lack lack;
    } cases[] = {
        {ROLE_CHECK_VETO, ROLE_CHECK_VETO, HANDOVER_UNPROBED},
        {ROLE_CHECK_VETO, ROLE_CHECK_OFF, HANDOVER_READY},
        {ROLE_CHECK_OFF, ROLE_CHECK_VETO, HANDOVER_READY},
        {ROLE_CHECK_OFF, ROLE_CHECK_OFF, HANDOVER_READY},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        build((struct policy_config){.role_check = ROLE_CHECK_VETO});
        former.settings.policy.role_check = cases[i].former;
        next.settings.policy.role_check = cases[i].next;
        agree(&former, A, START);
        agree(&next, A, START);
        assert_int_equal(handover_lack(next.service, former.service, START), HANDOVER_READY);
        say_role(&former, A, NODE_ROLE_MASTER, START);
        assert_int_equal(handover_lack(next.service, former.service, START), cases[i].lack);
        say_role(&next, A, NODE_ROLE_MASTER, START);
        assert_int_equal(handover_lack(next.service, former.service, START), HANDOVER_READY);
        end();
    }
}

/* A voter says something else: the former one names nobody for a moment. */
static void dispute(int64_t now_ms)
{
    struct addr addr = addr_of(B);
    const struct service_event other = {
        .kind = SERVICE_SAID_MASTER, .t_sent_ms = now_ms, .addr = &addr, .ballot = QUORUM_NAMES};

    agree(&former, A, now_ms - 100);
    (void)step_as(former.service, 0, &other, now_ms);
    assert_int_equal(service_decision(former.service)->state, SERVICE_PENDING);
}

/* The next one has a wrong password, or asks for the master by a name that nobody knows. */
static void test_a_moment_without_a_name(void **state)
{
    const struct service_event unknown = {
        .kind = SERVICE_SAID_MASTER, .t_sent_ms = START + F, .ballot = QUORUM_UNKNOWN_NAME};

    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    for (unsigned i = 0; i < VOTERS; i++)
        (void)step_as(next.service, i, &unknown, START + F);
    dispute(START + F);
    assert_int_equal(handover_lack(next.service, former.service, START + F), HANDOVER_UNHEARD);
    /* Both are silent after a pause of the machine. The former one will hear its voters again. */
    service_review(next.service, START + 2 * F);
    assert_int_equal(handover_lack(next.service, former.service, START + 2 * F), HANDOVER_UNHEARD);
    end();
}

/* The next one worked before, and is cut off. */
static void test_a_moment_without_a_name_nor_voters(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&next, A, START);
    service_review(next.service, START + F);
    dispute(START + F);
    assert_int_equal(handover_lack(next.service, former.service, START + F), HANDOVER_UNHEARD);
    assert_int_equal(handover_lack(next.service, former.service, START + 2 * F), HANDOVER_READY);
    end();
}

/* After a pause of the machine the votes of the next one are too old, and its timer has not come yet. */
static void test_a_name_that_has_run_out(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&next, A, START);
    agree(&former, A, START + 10);
    service_review(next.service, START + F - 1);
    assert_int_equal(handover_lack(next.service, former.service, START + F - 1), HANDOVER_READY);
    assert_int_equal(handover_lack(next.service, former.service, START + F), HANDOVER_STARTING);
    service_review(next.service, START + F);
    assert_int_equal(handover_lack(next.service, former.service, START + F), HANDOVER_UNNAMED);
    end();
}

/* Nobody has named a master since the next one is there: it may be what mends that. */
static void test_as_silent_as_the_former_one(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&former, A, START - F);
    service_review(former.service, START + F);
    service_review(next.service, START + F);
    assert_int_equal(service_decision(next.service)->state, SERVICE_NO_QUORUM);
    assert_int_equal(handover_lack(next.service, former.service, START + F), HANDOVER_READY);
    end();
}

/* The next map does not have the master. */
static void test_a_moment_without_a_name_and_another_map(void **state)
{
    static const char *const other[SERVERS] = {C, C, C};
    const struct policy_config policy = {.role_check = ROLE_CHECK_VETO};

    (void)state;
    build(policy);
    service_destroy(next.service);
    make(&next, other, &policy);
    agree(&next, A, START + 100);
    assert_int_equal(service_decision(next.service)->state, SERVICE_UNKNOWN_ADDRESS);
    dispute(START + 100);
    assert_int_equal(handover_lack(next.service, former.service, START + 100), HANDOVER_UNHEARD);
    end();
}

/* A majority names an address that neither map has: the next one is as good. */
static void test_outside_both_maps(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&former, "10.0.0.9:6379", START);
    agree(&next, "10.0.0.9:6379", START);
    assert_int_equal(service_decision(former.service)->state, SERVICE_UNKNOWN_ADDRESS);
    assert_int_equal(handover_lack(next.service, former.service, START), HANDOVER_READY);
    end();
}

/* The third voter does not answer the next one. */
static void test_a_bare_majority_is_enough(void **state)
{
    struct addr addr = addr_of(A);
    const struct service_event vote = {
        .kind = SERVICE_SAID_MASTER, .t_sent_ms = START, .addr = &addr, .ballot = QUORUM_NAMES};

    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&former, A, START);
    for (unsigned i = 0; i < 4; i++)
        (void)step_as(next.service, i % 2, &vote, START);
    assert_int_equal(service_decision(next.service)->votes, 2);
    assert_int_equal(handover_lack(next.service, former.service, START), HANDOVER_READY);
    end();
}

/* The next one does not ask the node itself: it is told what the former one knows, once, with its date. */
static void test_told_by_the_former_one(void **state)
{
    struct service_event event;

    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    assert_false(handover_tell_role(next.service, former.service, &event)); /* it is about no node */
    agree(&former, A, START);
    agree(&next, A, START);
    assert_false(handover_tell_role(next.service, former.service, &event)); /* nobody was told anything */
    say_role(&former, B, NODE_ROLE_MASTER, START + 1);
    assert_false(handover_tell_role(next.service, former.service, &event)); /* of another node */
    say_role(&former, A, NODE_ROLE_REPLICA, START + 2);
    assert_int_equal(handover_lack(next.service, former.service, START + 3), HANDOVER_UNPROBED);
    assert_true(handover_tell_role(next.service, former.service, &event));
    assert_int_equal(event.role, NODE_ROLE_REPLICA);
    assert_int_equal(event.t_sent_ms, START + 2);
    (void)service_step(next.service, &event, START + 3);
    assert_int_equal(service_decision(next.service)->state, SERVICE_NOT_MASTER);
    assert_int_equal(handover_lack(next.service, former.service, START + 3), HANDOVER_READY);
    assert_false(handover_tell_role(next.service, former.service, &event)); /* it knows */
    say_role(&next, A, NODE_ROLE_MASTER, START + 4);
    assert_false(handover_tell_role(next.service, former.service, &event)); /* it knows more */
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_lacks),
        cmocka_unit_test(test_the_word_of_the_node),
        cmocka_unit_test(test_a_moment_without_a_name),
        cmocka_unit_test(test_a_moment_without_a_name_nor_voters),
        cmocka_unit_test(test_a_name_that_has_run_out),
        cmocka_unit_test(test_as_silent_as_the_former_one),
        cmocka_unit_test(test_a_moment_without_a_name_and_another_map),
        cmocka_unit_test(test_outside_both_maps),
        cmocka_unit_test(test_a_bare_majority_is_enough),
        cmocka_unit_test(test_told_by_the_former_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
