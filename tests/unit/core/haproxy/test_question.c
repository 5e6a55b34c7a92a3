/* Where the client begins in a question: all before it is the same for every client. */
#include "spoa/core/haproxy/question.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LONG_NAME 240 /* the shortest length that takes two bytes: 0xf0 0x00 */

static void test_the_client_begins_with_src(void **state)
{
    static const char payload[] = "\1m\2\1k\10\1v\3src\6aaaa";

    (void)state;
    assert_int_equal(question_common_len(span_of(payload, sizeof(payload) - 1)), 8);
}

/* The length of the message's name takes two bytes. Whoever takes it for one finds "src" where it is not. */
static void test_a_long_name(void **state)
{
    uint8_t payload[2 + LONG_NAME + 8] = {LONG_NAME, 0};

    (void)state;
    memset(payload + 2, 2, LONG_NAME);
    memcpy(payload + 2 + LONG_NAME, "\3src", 4); /* three arguments, the name of the first has 's' bytes */
    assert_int_equal(question_common_len(span_of(payload, sizeof(payload))), sizeof(payload));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_client_begins_with_src),
                                       cmocka_unit_test(test_a_long_name)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
