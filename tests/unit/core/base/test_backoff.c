/* How long to wait before the next attempt. */
#include "spoa/core/base/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The numbers are those of Marsaglia's xorshift64 with the shifts 13, 7 and 17: they repeat after 2^64 - 1. */
static void test_the_numbers_behind_it(void **state)
{
    static const uint64_t numbers[] = {UINT64_C(1082269761), UINT64_C(1152992998833853505),
                                       UINT64_C(11177516664432764457), UINT64_C(17678023832001937445)};
    struct backoff backoff;

    (void)state;
    backoff_init(&backoff, 100, 2000, 1);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        (void)backoff_next(&backoff);
        assert_true(backoff.random == numbers[i]);
    }
    backoff_init(&backoff, 100, 2000, 0); /* 0 would stay 0 */
    (void)backoff_next(&backoff);
    assert_true(backoff.random == numbers[0]);
}

/* Each wait is between half of the ceiling and the ceiling; both are reached. */
static void test_each_wait_has_bounds(void **state)
{
    uint32_t least_ms = UINT32_MAX;
    uint32_t most_ms = 0;
    struct backoff backoff;

    (void)state;
    backoff_init(&backoff, 11, 2000, 7);
    for (unsigned i = 0; i < 1000; i++) {
        uint32_t wait_ms = backoff_next(&backoff);
        least_ms = wait_ms < least_ms ? wait_ms : least_ms;
        most_ms = wait_ms > most_ms ? wait_ms : most_ms;
        backoff_reset(&backoff);
    }
    assert_int_equal(least_ms, 5);
    assert_int_equal(most_ms, 11);
}

static void test_the_ceiling_doubles(void **state)
{
    static const uint32_t ceilings_ms[] = {100, 200, 400, 800, 1600, 2000, 2000};
    struct backoff backoff;

    (void)state;
    backoff_init(&backoff, 100, 2000, 7);
    for (size_t i = 0; i < sizeof(ceilings_ms) / sizeof(*ceilings_ms); i++) {
        assert_int_equal(backoff.ceiling_ms, ceilings_ms[i]);
        (void)backoff_next(&backoff);
    }
    backoff_reset(&backoff);
    assert_int_equal(backoff.ceiling_ms, 100);
    backoff_init(&backoff, UINT32_MAX / 2, UINT32_MAX, 7); /* without an overflow */
    (void)backoff_next(&backoff);
    assert_int_equal(backoff.ceiling_ms, UINT32_MAX - 1);
    (void)backoff_next(&backoff);
    assert_int_equal(backoff.ceiling_ms, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_numbers_behind_it),
        cmocka_unit_test(test_each_wait_has_bounds),
        cmocka_unit_test(test_the_ceiling_doubles),
    };

    return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
