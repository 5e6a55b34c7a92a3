/* What is an identity. */
#include "spoa/core/redis/redis_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool is_id(const char *text)
{
    return redis_is_id(span_of_text(text));
}

static void test_ids(void **state)
{
    (void)state;
    assert_true(is_id("0123456789abcdefABCDEF0123456789abcdef01"));
    assert_false(is_id(""));
    assert_false(is_id("0123456789abcdefABCDEF0123456789abcdef0"));
    assert_false(is_id("0123456789abcdefABCDEF0123456789abcdef012"));
    assert_false(is_id("0123456789abcdefABCDEF0123456789abcdeg01"));
    assert_false(is_id("-123456789abcdefABCDEF0123456789abcdef01"));
    assert_false(is_id(" 123456789abcdefABCDEF0123456789abcdef01"));
    assert_false(redis_is_id(span_of("0123456789abcdefABCDEF0123456789abcdef\0001", REDIS_ID_LEN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
