/* The hash, by the vectors that its authors publish. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spoa/core/base/hash.h"

static void test_known_hashes(void **state)
{
    (void)state;
    assert_true(hash_add(HASH_EMPTY, "", 0) == UINT64_C(0xcbf29ce484222325));
    assert_true(hash_add(HASH_EMPTY, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(hash_add(HASH_EMPTY, "foobar", 6) == UINT64_C(0x85944171f73967e8));
}

static void test_bytes_may_come_in_pieces(void **state)
{
    (void)state;
    assert_true(hash_add(hash_add(HASH_EMPTY, "foo", 3), "bar", 3) == hash_add(HASH_EMPTY, "foobar", 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_hashes),
        cmocka_unit_test(test_bytes_may_come_in_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
