/* Sets of services: each mark once, the first one first, over several words. */
#include "spoa/core/voters/marks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define WORDS 3

static void test_each_once_in_order(void **state)
{
    static const size_t order[] = {0, 63, 64, 127, 128, 191};
    uint64_t words[WORDS] = {0};
    struct marks marks = {.words = words};

    (void)state;
    for (size_t times = 0; times < 2; times++)
        for (size_t i = 6; i-- > 0;)
            marks_add(&marks, order[i]);
    assert_int_equal(marks.count, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_true(marks_has(&marks, order[i]));
        assert_int_equal(marks_take(&marks), order[i]);
        assert_false(marks_has(&marks, order[i]));
    }
    assert_false(marks_has(&marks, 1));
    assert_int_equal(marks.count, 0);
}

/* One is added before those that are taken already. */
static void test_an_earlier_one(void **state)
{
    uint64_t words[WORDS] = {0};
    struct marks marks = {.words = words};

    (void)state;
    marks_add(&marks, 130);
    marks_add(&marks, 190);
    assert_int_equal(marks_take(&marks), 130);
    marks_add(&marks, 3);
    assert_int_equal(marks_take(&marks), 3);
    assert_int_equal(marks_take(&marks), 190);
}

static void test_all_of_another(void **state)
{
    uint64_t words[WORDS] = {0};
    uint64_t other_words[WORDS] = {0};
    struct marks marks = {.words = words};
    struct marks other = {.words = other_words};

    (void)state;
    marks_add(&marks, 150);
    marks_add(&marks, 151);
    assert_int_equal(marks_take(&marks), 150);
    marks_add_all(&marks, &other, WORDS); /* none */
    assert_int_equal(marks.count, 1);
    marks_add(&other, 0);
    marks_add(&other, 151);
    marks_add(&other, 152);
    marks_add_all(&marks, &other, WORDS);
    assert_int_equal(marks.count, 3); /* one was there */
    assert_int_equal(marks_take(&marks), 0);
    assert_int_equal(marks_take(&marks), 151);
    assert_int_equal(marks_take(&marks), 152);
    assert_int_equal(other.count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_once_in_order),
        cmocka_unit_test(test_an_earlier_one),
        cmocka_unit_test(test_all_of_another),
    };

    return cmocka_run_group_tests_name("marks", tests, NULL, NULL);
}
