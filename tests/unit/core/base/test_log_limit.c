/* The rate limit of the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "spoa/core/base/log_limit.h"

#define BURST 3

static const uint64_t nothing;

static uint64_t service(const char *name)
{
    const struct log_field fields[] = {log_number("n", 1), log_text("service", name)};

    return log_limit_subject(fields, 2);
}

static void burst_passes_then_counts(void **state)
{
    struct log_limit limit = {.burst = BURST};
    uint64_t suppressed = 99;

    (void)state;
    for (int i = 0; i < BURST; i++) {
        assert_true(log_limit_pass(&limit, "a", nothing, false, 1000, &suppressed));
        assert_int_equal(suppressed, 0);
    }
    suppressed = 99;
    assert_false(log_limit_pass(&limit, "a", nothing, false, 1000, &suppressed));
    assert_false(log_limit_pass(&limit, "a", nothing, false, 1999, &suppressed));
    assert_int_equal(suppressed, 99);
    assert_true(log_limit_pass(&limit, "a", nothing, false, 2000, &suppressed));
    assert_int_equal(suppressed, 2);
    assert_true(log_limit_pass(&limit, "a", nothing, false, 2000, &suppressed));
    assert_int_equal(suppressed, 0);
}

static void events_are_apart(void **state)
{
    struct log_limit limit = {.burst = 1};
    char same[] = "a"; /* another address than the literal */
    uint64_t suppressed = 0;

    (void)state;
    assert_true(log_limit_pass(&limit, "a", nothing, false, 0, &suppressed));
    assert_false(log_limit_pass(&limit, same, nothing, false, 0, &suppressed));
    assert_true(log_limit_pass(&limit, "b", nothing, false, 0, &suppressed));
    assert_int_equal(suppressed, 0);
}

static void errors_always_pass(void **state)
{
    struct log_limit limit = {.burst = 1};
    uint64_t suppressed = 0;

    (void)state;
    assert_true(log_limit_pass(&limit, "a", nothing, false, 0, &suppressed));
    assert_false(log_limit_pass(&limit, "a", nothing, false, 0, &suppressed));
    assert_true(log_limit_pass(&limit, "a", nothing, true, 0, &suppressed));
    assert_int_equal(suppressed, 1);
    assert_true(log_limit_pass(&limit, "a", nothing, true, 0, &suppressed));
    assert_int_equal(suppressed, 0);
}

/* 60 services switch at once: each has its line. */
static void subjects_are_apart(void **state)
{
    static struct log_limit limit = {.burst = 2};
    char name[32];
    uint64_t suppressed = 0;

    (void)state;
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof(name), "service-%d", i);
        assert_true(log_limit_pass(&limit, "master-switch", service(name), false, 0, &suppressed));
    }
    assert_true(log_limit_pass(&limit, "master-switch", service("service-7"), false, 1, &suppressed));
    assert_false(log_limit_pass(&limit, "master-switch", service("service-7"), false, 1, &suppressed));
    assert_true(log_limit_pass(&limit, "fenced", service("service-7"), false, 1, &suppressed));
    assert_int_equal(suppressed, 0);
}

/* What a peer says makes no other subject; each field that the configuration names does. */
static void subject_is_what_the_configuration_names(void **state)
{
    const struct log_field one[] = {log_text("service", "a"), log_text("server", "R1"),
                                    log_text("error", "x")};
    const struct log_field same[] = {log_text("service", "a"), log_text("server", "R1"),
                                     log_text("error", "y")};
    const struct log_field other[] = {log_text("service", "a"), log_text("server", "R2"),
                                      log_text("error", "x")};
    const struct log_field named[] = {log_text("node", "s"), log_text("sentinel", "s"),
                                      log_text("sentinels", "")};
    const struct log_field alarm[] = {log_text("alarm", "park"), log_text("service", "a")};

    (void)state;
    assert_true(log_limit_subject(one, 3) == log_limit_subject(same, 3));
    assert_true(log_limit_subject(one, 3) != log_limit_subject(other, 3));
    assert_true(log_limit_subject(alarm, 1) != log_limit_subject(alarm, 2));
    /* By which key it is named counts, too, and where the key ends. */
    assert_true(log_limit_subject(&named[0], 1) != log_limit_subject(&named[1], 1));
    assert_true(log_limit_subject(&named[1], 1) != log_limit_subject(&named[2], 1));
}

/* What was held back is told even if no other line of the kind follows. */
static void what_is_held_back_is_told(void **state)
{
    struct log_limit limit = {.burst = 1};
    const char *event = "";
    uint64_t suppressed = 0;

    (void)state;
    assert_true(log_limit_pass(&limit, "a", nothing, false, 0, &suppressed));
    assert_false(log_limit_take(&limit, 0, &event, &suppressed));
    for (int i = 0; i < 5; i++)
        assert_false(log_limit_pass(&limit, "a", nothing, false, 0, &suppressed));
    assert_false(log_limit_take(&limit, 999, &event, &suppressed));
    assert_true(log_limit_take(&limit, 1000, &event, &suppressed));
    assert_string_equal(event, "a");
    assert_int_equal(suppressed, 5);
    assert_false(log_limit_take(&limit, 1000, &event, &suppressed));
}

/* Several are held back: each is told, and none twice. One that is told with a line of its own is not told again. */
static void several_are_held_back(void **state)
{
    static struct log_limit limit = {.burst = 1};
    static const char *const names[] = {"a", "b", "c"};
    const char *event = "";
    uint64_t suppressed = 0;
    unsigned told = 0;

    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (size_t times = 0; times < i + 2; times++)
            assert_int_equal(log_limit_pass(&limit, names[i], nothing, false, 0, &suppressed), times == 0);
    assert_true(log_limit_pass(&limit, "a", nothing, true, 1, &suppressed));
    assert_int_equal(suppressed, 1);
    while (log_limit_take(&limit, 1000, &event, &suppressed)) {
        assert_int_equal(suppressed, event[0] - 'a' + 1);
        told++;
    }
    assert_int_equal(told, 2);
    assert_int_equal(limit.suppressing, 0);
    /* In the next second as many lines pass as in the first one. */
    assert_true(log_limit_pass(&limit, "a", nothing, false, 1000, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_false(log_limit_pass(&limit, "a", nothing, false, 1001, &suppressed));
}

static void full_table_lets_pass(void **state)
{
    static struct log_limit limit = {.burst = 1};
    char name[32];
    const char *event;
    uint64_t suppressed = 0;
    unsigned passed = 0;

    (void)state;
    /* Twice each: the second line of a pair that has no place in the table passes as well. */
    for (int i = 0; i < 4 * LOG_LIMIT_ENTRIES; i++) {
        snprintf(name, sizeof(name), "s%d", i / 2);
        suppressed = 99;
        bool passes = log_limit_pass(&limit, "a", service(name), false, 0, &suppressed);
        assert_int_equal(suppressed, passes ? 0 : 99);
        passed += passes;
    }
    assert_in_range(passed, 2 * LOG_LIMIT_ENTRIES + LOG_LIMIT_ENTRIES, 4 * LOG_LIMIT_ENTRIES - 1);
    /* In the next second there is room again. */
    while (log_limit_take(&limit, 1000, &event, &suppressed))
        assert_string_equal(event, "a");
    assert_true(log_limit_pass(&limit, "b", nothing, false, 1000, &suppressed));
    assert_false(log_limit_pass(&limit, "b", nothing, false, 1000, &suppressed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subject_is_what_the_configuration_names),
        cmocka_unit_test(burst_passes_then_counts),
        cmocka_unit_test(events_are_apart),
        cmocka_unit_test(errors_always_pass),
        cmocka_unit_test(subjects_are_apart),
        cmocka_unit_test(what_is_held_back_is_told),
        cmocka_unit_test(several_are_held_back),
        cmocka_unit_test(full_table_lets_pass),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
