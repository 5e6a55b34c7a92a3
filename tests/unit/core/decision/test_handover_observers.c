/* Who is told what after a reload: observers that were held back, and those that come later. */
#include "tests/unit/core/decision/handover_fixture.h"

/* Whoever comes after the hand-over is told of the next change. */
static void test_a_later_observer(void **state)
{
    struct side held = {.observer = {.changed = remember}};
    struct side later = {.observer = {.changed = remember}};

    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    agree(&former, A, START);
    service_hold_observers(next.service);
    service_observe(next.service, &held.observer);
    agree(&next, A, START + 1);
    handover(next.service, former.service, voters, START + 2);
    service_observe(next.service, &later.observer);
    agree(&next, B, START + 3);
    assert_int_equal(later.switches, 1);
    assert_int_equal(held.switches, 1);
    end();
}

/* Observers that are held back once more: nobody is told twice. */
static void test_held_back_again(void **state)
{
    struct side first = {.observer = {.changed = remember}};
    struct side second = {.observer = {.changed = remember}};

    (void)state;
    build((struct policy_config){.role_check = ROLE_CHECK_VETO});
    service_hold_observers(next.service);
    service_observe(next.service, &first.observer);
    handover(next.service, NULL, strangers, START);
    service_hold_observers(next.service);
    service_observe(next.service, &second.observer);
    agree(&next, A, START + 1);
    assert_int_equal(first.switches, 1);
    assert_int_equal(second.switches, 0);
    handover(next.service, NULL, strangers, START + 2);
    assert_int_equal(first.switches, 2);
    assert_int_equal(second.switches, 1);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_later_observer),
        cmocka_unit_test(test_held_back_again),
    };

    return cmocka_run_group_tests_name("handover_observers", tests, NULL, NULL);
}
