/* Text that grows, and what is escaped in it; durations by buckets. */
#include "spoa/core/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/base/metrics.h"

/* A request that is too large fails under AddressSanitizer, too, as it does without. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void test_growth(void **state)
{
    struct text out = {.data = NULL};

    (void)state;
    for (int i = 0; i < 10000; i++)
        text_printf(&out, "%d,", i % 10);
    assert_int_equal(out.len, 20000);
    assert_int_equal(strlen(out.data), 20000);
    assert_memory_equal(out.data + 19980, "0,1,2,3,4,5,6,7,8,9,", 20);
    assert_false(out.has_failed);
    text_finish(&out);
    assert_null(out.data);
    assert_int_equal(out.len, 0);
}

/* A text does not move for what there is room for. */
static void test_room_that_was_asked_for(void **state)
{
    struct text out = {.data = NULL};

    (void)state;
    text_reserve(&out, 100000);
    const char *data = out.data;
    assert_non_null(data);
    for (int i = 0; i < 10000; i++)
        text_add(&out, "0123456789");
    assert_ptr_equal(out.data, data);
    assert_int_equal(out.len, 100000);
    text_reserve(&out, SIZE_MAX / 4); /* there is no such room, and no need for it */
    assert_false(out.has_failed);
    text_add(&out, "!");
    assert_int_equal(out.len, 100001);
    text_finish(&out);
}

static void test_escapes(void **state)
{
    struct text out = {.data = NULL};

    (void)state;
    text_add_label(&out, "a\"b\\c\nd");
    assert_string_equal(out.data, "a\\\"b\\\\c\\nd");
    text_finish(&out);
}

static void test_numbers(void **state)
{
    struct text out = {.data = NULL};

    (void)state;
    text_add_number(&out, 0);
    text_add(&out, " ");
    text_add_number(&out, 1090);
    text_add(&out, " ");
    text_add_number(&out, UINT64_MAX);
    assert_string_equal(out.data, "0 1090 18446744073709551615");
    text_finish(&out);
}

static void test_too_long_a_piece_shows(void **state)
{
    struct text out = {.data = NULL};

    (void)state;
    text_printf(&out, "%600d", 1);
    assert_true(out.has_failed);
    text_finish(&out);
}

/* A piece of the greatest length is added. After a longer piece nothing is added: a text with a gap would look whole. */
static void test_the_longest_piece(void **state)
{
    struct text out = {.data = NULL};

    (void)state;
    text_printf(&out, "%511d", 1);
    assert_int_equal(out.len, 511);
    assert_false(out.has_failed);
    text_printf(&out, "%512d", 1);
    assert_true(out.has_failed);
    text_add(&out, "x");
    assert_int_equal(out.len, 511);
    text_finish(&out);
    assert_false(out.has_failed);
}

/* There is always room for the NUL. */
static void test_room(void **state)
{
    static const char bytes[4096];
    struct text out = {.data = NULL};

    (void)state;
    text_add_bytes(&out, bytes, 0);
    assert_int_equal(out.size, 4096);
    text_add_bytes(&out, bytes, 4095);
    assert_int_equal(out.size, 4096);
    text_add_bytes(&out, bytes, 1);
    assert_int_equal(out.size, 8192);
    text_finish(&out);
    text_add_bytes(&out, bytes, 4096);
    assert_int_equal(out.size, 8192);
    text_finish(&out);
}

static void test_cleared(void **state)
{
    struct text out = {.data = NULL};

    (void)state;
    text_clear(&out);
    assert_null(out.data);
    text_add(&out, "first");
    text_clear(&out);
    assert_int_equal(out.len, 0);
    assert_string_equal(out.data, "");
    assert_int_equal(out.size, 4096); /* its room stays */
    text_add(&out, "2");
    assert_string_equal(out.data, "2");
    text_finish(&out);
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
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_room_that_was_asked_for),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_too_long_a_piece_shows),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_the_longest_piece),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_cleared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
