/* What is owed for servers that the configuration no longer has, when one of them is the master again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spoa/core/haproxy/cut_debts.h"
#include "tests/lib/log_capture.h"

#define START 100000

static const char *const api_names[] = {"A"};
static char first_backend[] = "be";
static char second_backend[] = "be2";
static char *const backends[] = {first_backend, second_backend};
static const struct service_server servers[] = {{.name = "R1"}, {.name = "R2"}};
static struct metrics metrics;

/* A configuration with this service, and so many backends of it. */
static struct cut_debts *begin(const char *name, size_t backend_count)
{
    const struct cut_service service = {.name = name,
                                        .servers = servers,
                                        .server_count = 2,
                                        .backends = backends,
                                        .backend_count = backend_count};
    struct cut_debts *debts = cut_debts_create(api_names, 1, &metrics);

    assert_non_null(debts);
    assert_true(cut_debts_add(debts, &service));
    return debts;
}

/* R1 is owed in both backends of "m", and the next configuration has this service instead. */
static struct cut_debts *begin_with_strays(const char *name, size_t backend_count)
{
    struct cut_debts *former = begin("m", 2);
    struct cut_debts *debts = begin(name, backend_count);

    log_capture_begin(LOG_LEVEL_ERROR);
    cut_debts_name(former, 0, "R2", START);
    assert_int_equal(cut_debts_owed(former, 0), 2);
    assert_true(cut_debts_inherit(debts, former, START));
    cut_debts_destroy(former);
    assert_int_equal(cut_debts_owed(debts, 0), 2);
    return debts;
}

/* The service is not in this configuration, and another part of the agent names its master. */
static void test_a_service_that_is_gone(void **state)
{
    struct cut_debts *debts = begin_with_strays("other", 1);

    (void)state;
    cut_debts_spare(debts, "m", "R2");
    cut_debts_spare(debts, "m", NULL);
    cut_debts_spare(debts, "other", "R1");
    assert_int_equal(cut_debts_owed(debts, 0), 2);
    cut_debts_spare(debts, "m", "R1");
    assert_int_equal(cut_debts_owed(debts, 0), 0);
    cut_debts_destroy(debts);
}

/* What is owed in a backend of the configuration stays: that is for cut_debts_name() to say. */
static void test_backends_that_are_there(void **state)
{
    struct cut_debts *debts = begin_with_strays("m", 1);

    (void)state;
    cut_debts_spare(debts, "m", "R1");
    assert_int_equal(cut_debts_owed(debts, 0), 1);
    cut_debts_destroy(debts);
}

/* R1 is the master again: its sessions are left alone, also in the backend that is gone. R2 is owed then. */
static void test_a_backend_that_is_gone(void **state)
{
    struct cut_debts *debts = begin_with_strays("m", 1);
    struct cut_items items;

    (void)state;
    cut_debts_name(debts, 0, "R1", START + 1000);
    assert_true(cut_debts_take(debts, 0, START + 1000, &items));
    assert_int_equal(items.count, 1);
    assert_string_equal(items.list[0].server, "R2");
    assert_string_equal(items.list[0].backend, "be");
    cut_debts_end(debts, 0, &items, START + 1000);
    cut_items_finish(&items);
    cut_debts_destroy(debts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_service_that_is_gone),
        cmocka_unit_test(test_backends_that_are_there),
        cmocka_unit_test(test_a_backend_that_is_gone),
    };

    return cmocka_run_group_tests_name("cut_strays", tests, NULL, NULL);
}
