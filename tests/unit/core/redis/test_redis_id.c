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

static void test_replies(void **state)
{
    struct reply reply = {.kind = REPLY_TEXT,
                          .text = span_of_text("0123456789abcdefABCDEF0123456789abcdef01")};
    struct span id = span_of(NULL, 0);

    (void)state;
    assert_int_equal(redis_id_read(&reply, &id), REPLY_READ_OK);
    assert_true(span_equals(id, reply.text));
    id = span_of(NULL, 0);
    reply.kind = REPLY_ERROR;
    assert_int_equal(redis_id_read(&reply, &id), REPLY_READ_ERROR);
    reply.kind = REPLY_NIL;
    assert_int_equal(redis_id_read(&reply, &id), REPLY_READ_NONSENSE);
    reply = (struct reply){.kind = REPLY_TEXT, .text = span_of_text("OK")};
    assert_int_equal(redis_id_read(&reply, &id), REPLY_READ_NONSENSE);
    assert_int_equal(id.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_replies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
