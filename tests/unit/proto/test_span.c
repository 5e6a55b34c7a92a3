/* Decimal numbers in bytes. */
#include "proto/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/guarded.h"

static struct span guarded(const char *text)
{
    size_t len = strlen(text);

    return span_of(guarded_copy(text, len), len);
}

static void check_read(const char *text, uint64_t max, uint64_t expected)
{
    uint64_t number = 77;

    if (!span_read_number(guarded(text), max, &number) || number != expected)
        fail_msg("'%s' up to %llu is read as %llu", text, (unsigned long long)max,
                 (unsigned long long)number);
}

static void check_refused(const char *text, uint64_t max)
{
    uint64_t number = 77;

    if (span_read_number(guarded(text), max, &number))
        fail_msg("'%s' up to %llu is taken", text, (unsigned long long)max);
    assert_int_equal(number, 77);
}

static void test_numbers(void **state)
{
    (void)state;
    check_read("0", 0, 0);
    check_read("0", 9, 0);
    check_read("9", 9, 9);
    check_read("65535", UINT16_MAX, UINT16_MAX);
    check_read("18446744073709551615", UINT64_MAX, UINT64_MAX);
    check_read("00000000000000000000000000000007", 7, 7);
}

static void test_what_is_over_the_limit(void **state)
{
    (void)state;
    check_refused("1", 0);
    check_refused("8", 7);
    check_refused("10", 9);
    check_refused("11", 10);
    check_refused("65536", UINT16_MAX);
    check_refused("100000", UINT16_MAX);
    check_refused("18446744073709551616", UINT64_MAX);
    check_refused("18446744073709551620", UINT64_MAX);
    check_refused("99999999999999999999", UINT64_MAX);
    check_refused("184467440737095516150", UINT64_MAX);
}

static void test_what_is_no_number(void **state)
{
    static const char *const texts[] = {"", "-1", "+1", " 1", "1 ", "x", "1x", "0x1", "1.0", "/", ":"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        check_refused(texts[i], UINT64_MAX);
}

/* Every number on both sides of a limit, and of each power of ten. */
static void test_all_near_a_limit(void **state)
{
    char text[32];

    (void)state;
    for (unsigned max = 0; max < 1200; max++)
        for (unsigned number = 0; number < 1200; number++) {
            struct span digits = span_of(text, 0);
            uint64_t read = 0;
            for (unsigned rest = number, at = sizeof(text); digits.len == 0 || rest > 0; rest /= 10) {
                text[--at] = (char)('0' + rest % 10);
                digits = span_of(text + at, digits.len + 1);
            }
            assert_int_equal(span_read_number(digits, max, &read), number <= max);
            assert_int_equal(read, number <= max ? number : 0);
        }
}

static void test_a_number_in_front(void **state)
{
    struct span cursor = guarded("100ms");
    uint64_t number;

    (void)state;
    assert_true(span_take_number(&cursor, 100, &number));
    assert_int_equal(number, 100);
    assert_true(span_equals_text(cursor, "ms"));
    assert_false(span_take_number(&cursor, 100, &number));
    assert_true(span_equals_text(cursor, "ms"));
    cursor = guarded("101ms");
    assert_false(span_take_number(&cursor, 100, &number));
    assert_true(span_equals_text(cursor, "101ms"));
    cursor = guarded("7");
    assert_true(span_take_number(&cursor, 100, &number));
    assert_int_equal(cursor.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),           cmocka_unit_test(test_what_is_over_the_limit),
        cmocka_unit_test(test_what_is_no_number), cmocka_unit_test(test_all_near_a_limit),
        cmocka_unit_test(test_a_number_in_front),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
