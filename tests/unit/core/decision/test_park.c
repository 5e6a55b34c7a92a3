/* The `park` that is in effect. */
#include "spoa/core/decision/park.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_a_time_is_that_time(void **state)
{
    (void)state;
    assert_int_equal(park_limit_ms(0, 5000), 0);
    assert_int_equal(park_limit_ms(3000, 5000), 3000);
    assert_int_equal(park_limit_ms(60000, 0), 60000);
}

static void test_auto_is_what_a_failover_takes(void **state)
{
    (void)state;
    assert_int_equal(park_limit_ms(PARK_AUTO, 1), 2001);
    assert_int_equal(park_limit_ms(PARK_AUTO, 2500), 4500);
    assert_int_equal(park_limit_ms(PARK_AUTO, 5000), 7000);
}

static void test_auto_has_a_limit(void **state)
{
    (void)state;
    assert_int_equal(park_limit_ms(PARK_AUTO, 5999), 7999);
    assert_int_equal(park_limit_ms(PARK_AUTO, 6001), 8000);
    assert_int_equal(park_limit_ms(PARK_AUTO, UINT32_MAX), 8000);
    assert_int_equal(park_limit_ms(PARK_AUTO, 0), 8000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_time_is_that_time),
        cmocka_unit_test(test_auto_is_what_a_failover_takes),
        cmocka_unit_test(test_auto_has_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
