/* A peer's words: whatever they are, they fit, and a terminal can show them. */
#include "spoa/core/base/printable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/lib/guarded.h"

#define ROOM 6

/* Nothing that may be read stands behind the words, and what stands behind the room stays. */
static void check(const char *words, size_t len, const char *expected)
{
    char out[ROOM + 1];

    memset(out, '#', sizeof(out));
    printable_copy(span_of(guarded_copy(words, len), len), out, ROOM);
    assert_string_equal(out, expected);
    assert_int_equal(out[ROOM], '#');
}

static void test_room(void **state)
{
    (void)state;
    check("", 0, "");
    check("a", 1, "a");
    check("abcd", 4, "abcd");
    check("abcde", 5, "abcde");
    check("abcdef", 6, "abcde");
    check("abcdefghi", 9, "abcde");
}

static void test_other_bytes(void **state)
{
    (void)state;
    check(" ~", 2, " ~");
    check("\x1f\x7f\xff", 3, "???");
    check("a\0b\n", 4, "a?b?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_other_bytes),
    };

    return cmocka_run_group_tests_name("printable", tests, NULL, NULL);
}
