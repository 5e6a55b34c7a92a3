/* Text that grows, and what is escaped in it; durations by buckets. */
#include "spoa/core/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/base/metrics.h"

static void test_growth(void **state)
{
    struct page page = {.text = NULL};

    (void)state;
    for (int i = 0; i < 10000; i++)
        page_printf(&page, "%d,", i % 10);
    assert_int_equal(page.len, 20000);
    assert_int_equal(strlen(page.text), 20000);
    assert_memory_equal(page.text + 19980, "0,1,2,3,4,5,6,7,8,9,", 20);
    assert_false(page.has_failed);
    page_finish(&page);
    assert_null(page.text);
    assert_int_equal(page.len, 0);
}

static void test_escapes(void **state)
{
    struct page page = {.text = NULL};

    (void)state;
    page_add_json(&page, "a\"b\\c\n\x01\x7f");
    page_add_json(&page, NULL);
    page_add_label(&page, "a\"b\\c\nd");
    assert_string_equal(page.text, "\"a\\\"b\\\\c\\u000a\\u0001\x7f\"nulla\\\"b\\\\c\\nd");
    page_finish(&page);
}

static void test_numbers(void **state)
{
    struct page page = {.text = NULL};

    (void)state;
    page_add_number(&page, 0);
    page_add(&page, " ");
    page_add_number(&page, 1090);
    page_add(&page, " ");
    page_add_number(&page, UINT64_MAX);
    assert_string_equal(page.text, "0 1090 18446744073709551615");
    page_finish(&page);
}

static void test_too_long_a_piece_shows(void **state)
{
    struct page page = {.text = NULL};

    (void)state;
    page_printf(&page, "%600d", 1);
    assert_true(page.has_failed);
    page_finish(&page);
}

static void test_histogram(void **state)
{
    struct histogram histogram = {.sum_us = 0};

    (void)state;
    histogram_add(&histogram, metrics_answer_bounds_us, 0, 1);
    histogram_add(&histogram, metrics_answer_bounds_us, 10, 2); /* a bound belongs to its bucket */
    histogram_add(&histogram, metrics_answer_bounds_us, 11, 1);
    histogram_add(&histogram, metrics_answer_bounds_us, 1000001, 4);
    assert_int_equal(histogram.counts[0], 3);
    assert_int_equal(histogram.counts[1], 1);
    assert_int_equal(histogram.counts[HISTOGRAM_BOUNDS], 4);
    assert_int_equal(histogram.sum_us, 20 + 11 + 4000004);
    for (size_t i = 1; i < HISTOGRAM_BOUNDS; i++) {
        assert_true(metrics_answer_bounds_us[i] > metrics_answer_bounds_us[i - 1]);
        assert_true(metrics_parked_bounds_us[i] > metrics_parked_bounds_us[i - 1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth),    cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_numbers),   cmocka_unit_test(test_too_long_a_piece_shows),
        cmocka_unit_test(test_histogram),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
