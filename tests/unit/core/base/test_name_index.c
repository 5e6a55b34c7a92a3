/* Names among thousands. */
#include "spoa/core/base/name_index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#define COUNT 1000

struct text {
    char bytes[8];
};

static struct text names[COUNT];

static const char *name_at(const void *list, size_t place)
{
    const struct text *texts = list;

    return texts[place].bytes;
}

static void test_many(void **state)
{
    struct name_index index;

    (void)state;
    assert_true(name_index_init(&index, name_at, COUNT));
    assert_int_equal(index.mask, 2047);
    for (size_t i = 0; i < COUNT; i++) {
        (void)snprintf(names[i].bytes, sizeof(names[i].bytes), "s%zu", i);
        assert_int_equal(name_index_find(&index, names, names[i].bytes), NAME_INDEX_NONE);
        assert_int_equal(name_index_add(&index, names, i), i);
    }
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(name_index_find(&index, names, names[i].bytes), i);
    assert_int_equal(name_index_find(&index, names, ""), NAME_INDEX_NONE);
    name_index_finish(&index);
}

static void test_twice(void **state)
{
    static const struct text twice[] = {{"a"}, {"b"}, {"a"}};
    struct name_index index;

    (void)state;
    assert_true(name_index_init(&index, name_at, 3));
    assert_int_equal(name_index_add(&index, twice, 0), 0);
    assert_int_equal(name_index_add(&index, twice, 1), 1);
    assert_int_equal(name_index_add(&index, twice, 2), 0);
    assert_int_equal(name_index_find(&index, twice, "a"), 0);
    name_index_finish(&index);
}

/* Names that are added one by one, in as little room as it takes. */
static void test_growth(void **state)
{
    struct name_index index = {.slots = NULL};

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        (void)snprintf(names[i].bytes, sizeof(names[i].bytes), "s%zu", i);
        assert_true(name_index_reserve(&index, name_at, names, i + 1));
        assert_true(index.mask >= i && index.mask <= 4 * i + 16);
        assert_int_equal(name_index_add(&index, names, i), i);
    }
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(name_index_find(&index, names, names[i].bytes), i);
    name_index_finish(&index);
}

/* Half of the places stay empty, so that a name is found, or missed, soon. */
static void test_how_many_places(void **state)
{
    static const struct {
        size_t count;
        size_t places;
    } sizes[] = {{0, 16}, {8, 16}, {9, 32}, {16, 32}, {17, 64}};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct name_index index = {.slots = NULL};
        assert_true(name_index_reserve(&index, name_at, names, sizes[i].count));
        assert_int_equal(index.mask + 1, sizes[i].places);
        name_index_finish(&index);
        assert_null(index.slots);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_how_many_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
