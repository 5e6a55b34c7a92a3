/* The rate limit of the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "spoa/core/base/log_limit.h"

#define BURST 3

static void burst_passes_then_counts(void **state)
{
    struct log_limit limit = {.burst = BURST};
    uint64_t suppressed = 99;

    (void)state;
    for (int i = 0; i < BURST; i++) {
        assert_true(log_limit_pass(&limit, "a", false, 1000, &suppressed));
        assert_int_equal(suppressed, 0);
    }
    suppressed = 99;
    assert_false(log_limit_pass(&limit, "a", false, 1000, &suppressed));
    assert_false(log_limit_pass(&limit, "a", false, 1999, &suppressed));
    assert_int_equal(suppressed, 99);
    assert_true(log_limit_pass(&limit, "a", false, 2000, &suppressed));
    assert_int_equal(suppressed, 2);
    assert_true(log_limit_pass(&limit, "a", false, 2000, &suppressed));
    assert_int_equal(suppressed, 0);
}

static void events_are_apart(void **state)
{
    struct log_limit limit = {.burst = 1};
    char same[] = "a"; /* another address than the literal */
    uint64_t suppressed = 0;

    (void)state;
    assert_true(log_limit_pass(&limit, "a", false, 0, &suppressed));
    assert_false(log_limit_pass(&limit, same, false, 0, &suppressed));
    assert_true(log_limit_pass(&limit, "b", false, 0, &suppressed));
    assert_int_equal(suppressed, 0);
}

static void errors_always_pass(void **state)
{
    struct log_limit limit = {.burst = 1};
    uint64_t suppressed = 0;

    (void)state;
    assert_true(log_limit_pass(&limit, "a", false, 0, &suppressed));
    assert_false(log_limit_pass(&limit, "a", false, 0, &suppressed));
    assert_true(log_limit_pass(&limit, "a", true, 0, &suppressed));
    assert_int_equal(suppressed, 1);
    assert_true(log_limit_pass(&limit, "a", true, 0, &suppressed));
    assert_int_equal(suppressed, 0);
}

static void full_table_lets_pass(void **state)
{
    struct log_limit limit = {.burst = 1};
    static char names[LOG_LIMIT_EVENTS_MAX][16];
    uint64_t suppressed = 0;

    (void)state;
    for (int i = 0; i < LOG_LIMIT_EVENTS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "e%d", i);
        assert_true(log_limit_pass(&limit, names[i], false, 0, &suppressed));
    }
    suppressed = 99;
    assert_true(log_limit_pass(&limit, "beyond", false, 0, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_true(log_limit_pass(&limit, "beyond", false, 0, &suppressed));
    assert_false(log_limit_pass(&limit, names[LOG_LIMIT_EVENTS_MAX - 1], false, 0, &suppressed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(burst_passes_then_counts),
        cmocka_unit_test(events_are_apart),
        cmocka_unit_test(errors_always_pass),
        cmocka_unit_test(full_table_lets_pass),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
