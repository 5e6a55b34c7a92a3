/* Bytes compared and copied sixteen at a time: of every length, each byte counts, and no byte more is touched. */
#include "proto/chunk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/guarded.h"

#define LEN_MAX 200

static void fill(uint8_t *bytes)
{
    for (size_t i = 0; i < LEN_MAX; i++)
        bytes[i] = (uint8_t)(i * 7 + 1);
}

static void equal(void **state)
{
    uint8_t bytes[LEN_MAX];

    (void)state;
    fill(bytes);
    for (size_t len = 0; len <= LEN_MAX; len++) {
        assert_true(chunks_equal(bytes, guarded_copy(bytes, len), len));
        for (size_t i = 0; i < len; i++) {
            uint8_t other[LEN_MAX];
            fill(other);
            other[i] ^= (uint8_t)(1U << i % 8);
            assert_false(chunks_equal(guarded_copy(bytes, len), other, len));
        }
    }
}

static void copied(void **state)
{
    uint8_t bytes[LEN_MAX];

    (void)state;
    fill(bytes);
    for (size_t len = 0; len <= LEN_MAX; len++) {
        uint8_t *space = guarded_space(len + 1); /* a byte before, and the end of memory behind */
        space[0] = 0xee;
        chunks_copy(space + 1, bytes, len);
        assert_int_equal(space[0], 0xee);
        assert_memory_equal(space + 1, bytes, len);
        uint8_t out[LEN_MAX] = {0};
        chunks_copy(out, guarded_copy(bytes, len), len);
        assert_memory_equal(out, bytes, len);
    }
}

static void zero(void **state)
{
    uint8_t bytes[CHUNK_BYTES] = {0};

    (void)state;
    assert_true(chunk_is_zero(chunk_at(bytes)));
    for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
        bytes[bit / 8] = (uint8_t)(1U << bit % 8);
        assert_false(chunk_is_zero(chunk_at(bytes)));
        bytes[bit / 8] = 0;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal),
        cmocka_unit_test(copied),
        cmocka_unit_test(zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
