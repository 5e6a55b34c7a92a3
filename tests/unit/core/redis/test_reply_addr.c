/* Addresses and numbers as texts and as integers. */
#include "spoa/core/redis/reply_addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct reply text(const char *words)
{
    return (struct reply){.kind = REPLY_TEXT, .text = span_of_text(words)};
}

static struct reply number(int64_t value)
{
    return (struct reply){.kind = REPLY_INTEGER, .number = value};
}

static void test_numbers(void **state)
{
    const struct reply good[] = {text("7001"), number(7001)};
    const struct reply bad[] = {text("-1"), number(-1), text("x"), number(7002), {.kind = REPLY_NIL}};
    uint64_t value = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++, value = 0) {
        assert_true(reply_read_number(&good[i], 7001, &value));
        assert_int_equal(value, 7001);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(reply_read_number(&bad[i], 7001, &value));
    assert_int_equal(value, 0);
}

static void test_addresses(void **state)
{
    const struct reply host = text("10.0.0.1");
    const struct reply nil = {.kind = REPLY_NIL};
    const struct {
        struct reply host;
        struct reply port;
        enum reply_reading reading;
    } cases[] = {
        {host, text("6379"), REPLY_READ_OK},
        {host, number(6379), REPLY_READ_OK},
        {host, number(0), REPLY_READ_BAD_ADDRESS},
        {host, number(-6379), REPLY_READ_BAD_ADDRESS},
        {host, number(65536), REPLY_READ_BAD_ADDRESS},
        {host, number(INT64_MIN), REPLY_READ_BAD_ADDRESS},
        {text("?"), number(6379), REPLY_READ_BAD_ADDRESS},
        {text(""), number(6379), REPLY_READ_BAD_ADDRESS},
        {nil, number(6379), REPLY_READ_NONSENSE},
        {number(1), number(6379), REPLY_READ_NONSENSE},
        {host, nil, REPLY_READ_NONSENSE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct addr addr = {.port = 77};
        assert_int_equal(reply_read_addr(&cases[i].host, &cases[i].port, &addr), cases[i].reading);
        assert_int_equal(addr.port, cases[i].reading == REPLY_READ_OK ? 6379 : 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
