/* How much two words differ. */
#include "spoa/core/base/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_distance(void **state)
{
    static const char long_word[] = "a-word-of-more-than-thirty-one-bytes-for-sure";

    (void)state;
    assert_int_equal(words_distance("", ""), 0);
    assert_int_equal(words_distance("quorum", ""), 6);
    assert_int_equal(words_distance("", "quorum"), 6);
    assert_int_equal(words_distance("quorun", "quorum"), 1);
    assert_int_equal(words_distance("kitten", "sitting"), 3);
    assert_int_equal(words_distance("pol", "poll"), 1);
    assert_int_equal(words_distance(long_word, long_word), 0);
    assert_int_equal(words_distance(long_word, ""), 31);
    assert_int_equal(words_distance("", long_word), 31);
    assert_int_equal(words_distance("abc", "xbc"), 1);
    assert_int_equal(words_distance("abc", "bcd"), 2);
    assert_int_equal(words_distance("abc", "xyz"), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance),
    };

    return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
