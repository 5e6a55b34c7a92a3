/* What a reload costs with thousands of services: texts that are compared are counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "spoa/core/haproxy/cut_debts.h"
#include "tests/lib/log_capture.h"

#define START 100000
#define MANY 1000
/* For each service. */
#define COMPARED_MAX 20

static const char *const api_names[] = {"A"};
static char backend[] = "be";
static char *const backends[] = {backend};
static const struct service_server servers[] = {{.name = "R1"}};
static struct metrics metrics;

static size_t compared; /* texts */

int __real_strcmp(const char *a, const char *b);
int __wrap_strcmp(const char *a, const char *b);

int __wrap_strcmp(const char *a, const char *b)
{
    compared++;
    return __real_strcmp(a, b);
}

/* Of each service R1 is owed. */
static struct cut_debts *begin_many(char names[MANY][8], bool is_reversed)
{
    struct cut_debts *debts = cut_debts_create(api_names, 1, &metrics);

    assert_non_null(debts);
    for (size_t i = 0; i < MANY; i++) {
        const struct cut_service service = {.name = names[is_reversed ? MANY - 1 - i : i],
                                            .servers = servers,
                                            .server_count = 1,
                                            .backends = backends,
                                            .backend_count = 1};
        assert_true(cut_debts_add(debts, &service));
        if (!is_reversed)
            cut_debts_name(debts, i, "R2", START);
    }
    return debts;
}

/* Thousands of services in another order, with a round under way that is about all of them, and then without any. */
static void test_inherit_many(void **state)
{
    static char names[MANY][8];
    struct cut_items items;

    (void)state;
    for (size_t i = 0; i < MANY; i++)
        (void)snprintf(names[i], sizeof(names[i]), "s%zu", i);
    log_capture_begin(LOG_LEVEL_ERROR); /* there is no room for so many lines */
    struct cut_debts *former = begin_many(names, false);
    struct cut_debts *debts = begin_many(names, true);
    struct cut_debts *none = cut_debts_create(api_names, 1, &metrics);
    assert_non_null(none);
    assert_true(cut_debts_take(former, 0, START, &items));
    assert_int_equal(items.count, MANY);
    compared = 0;
    assert_true(cut_debts_inherit(debts, former, START));
    cut_debts_adopt(debts, &items);
    assert_true(cut_debts_inherit(none, debts, START));
    cut_debts_adopt(none, &items);
    assert_in_range(compared, MANY, MANY * COMPARED_MAX); /* each is looked at, and not each with each */
    for (size_t i = 0; i < MANY; i++)
        assert_true(cut_debts_is_owed(none, 0, items.list[i].place));
    assert_int_equal(cut_debts_owed(none, 0), MANY);
    cut_items_finish(&items);
    cut_debts_destroy(former);
    cut_debts_destroy(debts);
    cut_debts_destroy(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inherit_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
