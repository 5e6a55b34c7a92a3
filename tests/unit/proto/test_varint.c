#include "proto/varint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/guarded.h"

/* The first and the last value of every length (HAProxy's intops.h). */
static const struct {
    uint64_t value;
    size_t len;
    const char *bytes;
} edges[] = {
    {0, 1, "\x00"},
    {239, 1, "\xef"},
    {240, 2, "\xf0\x00"},
    {2287, 2, "\xff\x7f"},
    {2288, 3, "\xf0\x80\x00"},
    {264431, 3, "\xff\xff\x7f"},
    {264432, 4, "\xf0\x80\x80\x00"},
    {33818863, 4, "\xff\xff\xff\x7f"},
    {33818864, 5, "\xf0\x80\x80\x80\x00"},
    {4328786159, 5, "\xff\xff\xff\xff\x7f"},
    {4328786160, 6, "\xf0\x80\x80\x80\x80\x00"},
    {554084600047, 6, "\xff\xff\xff\xff\xff\x7f"},
    {70922828777711, 7, "\xff\xff\xff\xff\xff\xff\x7f"},
    {9078122083518703, 8, "\xff\xff\xff\xff\xff\xff\xff\x7f"},
    {1161999626690365679, 9, "\xff\xff\xff\xff\xff\xff\xff\xff\x7f"},
    {1161999626690365680, 10, "\xf0\x80\x80\x80\x80\x80\x80\x80\x80\x00"},
    {UINT64_MAX, 10, "\xff\xf0\xfe\xfe\xfe\xfe\xfe\xfe\xfe\x0e"},
    {16380, 3, "\xfc\xf0\x06"},
};

static void test_edges_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(edges) / sizeof(*edges); i++) {
        uint8_t out[VARINT_MAX_BYTES];
        uint64_t value = 1;
        assert_int_equal(varint_encode(edges[i].value, out), edges[i].len);
        assert_int_equal(varint_size(edges[i].value), edges[i].len);
        assert_memory_equal(out, edges[i].bytes, edges[i].len);
        const uint8_t *in = guarded_copy(edges[i].bytes, edges[i].len);
        assert_int_equal(varint_decode(in, edges[i].len, &value), (int)edges[i].len);
        assert_true(value == edges[i].value);
    }
}

/* Every beginning of an encoding asks for more, reads no further and leaves the value alone. */
static void test_every_cut_needs_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(edges) / sizeof(*edges); i++) {
        for (size_t len = 0; len < edges[i].len; len++) {
            uint64_t value = 77;
            assert_int_equal(varint_decode(guarded_copy(edges[i].bytes, len), len, &value), 0);
            assert_true(value == 77);
        }
    }
}

static void test_overflow_is_refused(void **state)
{
    static const char *const too_large[] = {
        "\xf0\xff\xfe\xfe\xfe\xfe\xfe\xfe\xfe\x0e", /* 2^64 */
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x0f",
        "\xf0\x80\x80\x80\x80\x80\x80\x80\x80\x10", /* only the bit that is shifted out is too much */
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        "\xf0\x80\x80\x80\x80\x80\x80\x80\x80\x80", /* would need an eleventh byte */
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(too_large) / sizeof(*too_large); i++) {
        uint64_t value = 77;
        assert_int_equal(varint_decode(guarded_copy(too_large[i], 10), 10, &value), -1);
        assert_true(value == 77);
    }
}

static void test_eleven_bytes_are_refused(void **state)
{
    uint64_t value = 77;

    (void)state;
    for (uint8_t last = 0; last < 2; last++) {
        uint8_t bytes[11] = {0xf0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, last};
        assert_int_equal(varint_decode(guarded_copy(bytes, 11), 11, &value), -1);
        assert_true(value == 77);
    }
}

/* What follows an encoding is not touched, whatever it is. */
static void test_bytes_behind_do_not_count(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(edges) / sizeof(*edges); i++) {
        uint8_t bytes[VARINT_MAX_BYTES + 1];
        uint64_t value = 1;
        memcpy(bytes, edges[i].bytes, edges[i].len);
        bytes[edges[i].len] = 0xff;
        const uint8_t *in = guarded_copy(bytes, edges[i].len + 1);
        assert_int_equal(varint_decode(in, edges[i].len + 1, &value), (int)edges[i].len);
        assert_true(value == edges[i].value);
    }
}

static void test_random_values_come_back(void **state)
{
    uint64_t random = 88172645463325252u;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        uint8_t out[VARINT_MAX_BYTES];
        uint64_t value = 0;
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint64_t wanted = random >> (i % 64);
        size_t len = varint_encode(wanted, out);
        assert_int_equal(varint_decode(out, len, &value), (int)len);
        assert_true(value == wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges_both_ways),           cmocka_unit_test(test_every_cut_needs_more),
        cmocka_unit_test(test_overflow_is_refused),       cmocka_unit_test(test_eleven_bytes_are_refused),
        cmocka_unit_test(test_bytes_behind_do_not_count), cmocka_unit_test(test_random_values_come_back),
    };

    return cmocka_run_group_tests_name("varint", tests, NULL, NULL);
}
