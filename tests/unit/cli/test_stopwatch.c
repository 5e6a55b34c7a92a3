/* The time is that of the kernel, to the millisecond, at any part of a second. */
#include "spoa/cli/stopwatch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <time.h>

static int64_t kernel_us(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void milliseconds(void **state)
{
    static const struct timespec pause = {.tv_nsec = 7300000};

    (void)state;
    for (int i = 0; i < 150; i++) {
        int64_t before_us = kernel_us();
        int64_t now_ms = stopwatch_ms();
        assert_true(now_ms >= before_us / 1000 && now_ms <= kernel_us() / 1000);
        (void)nanosleep(&pause, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(milliseconds)};

    return cmocka_run_group_tests_name("stopwatch", tests, NULL, NULL);
}
