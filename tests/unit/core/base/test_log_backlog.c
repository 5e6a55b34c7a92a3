/* Lines that wait: in their order, and as many as there is room for. */
#include "spoa/core/base/log_backlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/lib/guarded.h"

#define HALF (LOG_BACKLOG_BYTES / 2 - 2) /* two such lines fill it */

static struct log_backlog backlog;
static char text[LOG_BACKLOG_BYTES];

static int set_up(void **state)
{
    (void)state;
    memset(&backlog, 0, sizeof(backlog));
    return 0;
}

/* A line of that length, all of it this letter. */
static bool add(char letter, size_t len)
{
    memset(text, letter, len);
    return log_backlog_add(&backlog, span_of(text, len));
}

static void assert_oldest(char letter, size_t len)
{
    struct span line = log_backlog_oldest(&backlog);

    assert_int_equal(line.len, len);
    for (size_t i = 0; i < len; i++)
        if (line.data[i] != letter)
            fail_msg("byte %zu is %c", i, line.data[i]);
}

static void test_order(void **state)
{
    (void)state;
    assert_oldest('-', 0);
    assert_true(log_backlog_add(&backlog, span_of(guarded_copy("a", 1), 1)));
    assert_true(add('b', 255));
    assert_true(add('c', 256));
    assert_oldest('a', 1);
    log_backlog_drop(&backlog);
    assert_oldest('b', 255);
    assert_true(add('d', 2));
    log_backlog_drop(&backlog);
    assert_oldest('c', 256);
    log_backlog_drop(&backlog);
    assert_oldest('d', 2);
    log_backlog_drop(&backlog);
    assert_oldest('-', 0);
}

/* All of it is used, whatever was dropped before. */
static void test_room(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        assert_true(add('a', HALF));
        assert_true(add('b', HALF));
        assert_false(add('c', 0));
        log_backlog_drop(&backlog);
        assert_false(add('c', HALF + 1));
        assert_true(add('c', HALF));
        assert_oldest('b', HALF);
        log_backlog_drop(&backlog);
        assert_oldest('c', HALF);
        log_backlog_drop(&backlog);
        assert_oldest('-', 0);
        assert_true(add('d', round)); /* the next round begins elsewhere */
        log_backlog_drop(&backlog);
    }
}

static void test_longest(void **state)
{
    (void)state;
    assert_false(add('a', UINT16_MAX));
    assert_false(add('a', LOG_BACKLOG_BYTES - 1));
    assert_true(add('a', LOG_BACKLOG_BYTES - 2));
    assert_oldest('a', LOG_BACKLOG_BYTES - 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_order, set_up),
        cmocka_unit_test_setup(test_room, set_up),
        cmocka_unit_test_setup(test_longest, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
