/* What the next service is told before the change-over, and what it knows afterwards of those who wait. */
#include "tests/unit/core/decision/handover_fixture.h"

static bool is_told(struct service_event *ret_event)
{
    return handover_tell_role(next.service, former.service, ret_event);
}

/* What the node said of itself to the former one, if that is news: by the node's address, with its own date. */
static void test_the_role_of_the_node(void **state)
{
    struct addr addr = addr_of(B);
    struct service_event event;

    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    say_role(&former, B, NODE_ROLE_REPLICA, START + 1);
    assert_false(is_told(&event)); /* the next one is about nobody yet */
    agree(&next, B, START + 2);
    assert_true(is_told(&event));
    assert_int_equal(event.kind, SERVICE_SAID_ROLE);
    assert_int_equal(event.t_sent_ms, START + 1);
    assert_int_equal(event.role, NODE_ROLE_REPLICA);
    assert_true(addr_equals(event.addr, &addr));
    say_role(&next, B, NODE_ROLE_MASTER, START);
    assert_true(is_told(&event)); /* it was older */
    say_role(&next, B, NODE_ROLE_MASTER, START + 1);
    assert_false(is_told(&event));
    say_role(&former, B, NODE_ROLE_MASTER, START + 2);
    assert_true(is_told(&event));
    agree(&next, A, START + 3);
    assert_false(is_told(&event)); /* of that node the former one knows nothing */
    end();
}

/* Clients of the master go on waiting; those of replicas are not counted here. */
static void test_who_waits(void **state)
{
    const struct service_waiting waiting = {.count = 3, .oldest_ms = START + 5};

    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    service_note_waiting(former.service, SERVICE_ROLE_MASTER, &waiting);
    service_note_waiting(former.service, SERVICE_ROLE_REPLICA, &waiting);
    change_over(START + 10);
    assert_int_equal(service_waiting(next.service, SERVICE_ROLE_MASTER)->count, 3);
    assert_int_equal(service_waiting(next.service, SERVICE_ROLE_MASTER)->oldest_ms, START + 5);
    assert_int_equal(service_waiting(next.service, SERVICE_ROLE_REPLICA)->count, 0);
    end();
}

/* Who has had a majority, or missed one, is not starting. The next one is as far as the former one. */
static void test_who_is_starting(void **state)
{
    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    change_over(START + 10);
    assert_int_equal(decision()->state, SERVICE_STARTING);
    end();
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&former, A, START);
    change_over(START + 10);
    assert_int_equal(decision()->state, SERVICE_NO_QUORUM);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_role_of_the_node),
        cmocka_unit_test(test_who_waits),
        cmocka_unit_test(test_who_is_starting),
    };

    return cmocka_run_group_tests_name("handover_told", tests, NULL, NULL);
}
