/* The list of servers of a round: its order, and what is found in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spoa/core/haproxy/cut_items.h"

static void test_find(void **state)
{
    struct cut_item list[] = {{.backend = "be", .server = "R10", .place = 0},
                              {.backend = "be2", .server = "R1", .place = 1},
                              {.backend = "be", .server = "R1", .place = 3},
                              {.backend = "be", .server = "R1", .place = 2}};
    struct cut_items items = {.list = list, .count = 4};
    size_t first = 0;

    (void)state;
    cut_items_sort(&items);
    assert_int_equal(cut_items_find(&items, "be x", 2, "R1 ", 2, &first), 2);
    assert_int_equal(list[first].place, 2);
    assert_int_equal(list[first + 1].place, 3);
    assert_int_equal(cut_items_find(&items, "be", 2, "R10", 3, &first), 1);
    assert_int_equal(cut_items_find(&items, "be2", 3, "R1", 2, &first), 1);
    assert_int_equal(list[first].place, 1);
    assert_int_equal(cut_items_find(&items, "be2", 3, "R", 1, &first), 0);
    assert_int_equal(cut_items_find(&items, "b", 1, "R1", 2, &first), 0);
    assert_int_equal(cut_items_find(&items, "be3", 3, "R1", 2, &first), 0);
    items.count = 0;
    assert_int_equal(cut_items_find(&items, "be", 2, "R1", 2, &first), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
