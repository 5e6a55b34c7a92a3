#include "proto/spop_data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/guarded.h"

static const struct {
    const char *bytes;
    size_t len;
    enum spop_type type;
    int64_t integer;
} integers[] = {
    {"\x02\x05", 2, SPOP_INT32, 5},
    {"\x03\xfc\xf0\x06", 4, SPOP_UINT32, 16380},
    {"\x04\x00", 2, SPOP_INT64, 0},
    {"\x04\xfb\xf0\xfe\xfe\xfe\xfe\xfe\xfe\xfe\x0e", 11, SPOP_INT64, -5},
    {"\x05\xff\xf0\xfe\xfe\xfe\xfe\xfe\xfe\xfe\x0e", 11, SPOP_UINT64, -1},
};

static void test_integers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(integers) / sizeof(*integers); i++) {
        uint8_t out[16];
        struct span cursor = span_of(guarded_copy(integers[i].bytes, integers[i].len), integers[i].len);
        struct sink sink = sink_of(out, sizeof(out));
        struct spop_value value;
        assert_true(spop_value_read(&cursor, &value));
        assert_int_equal(value.type, integers[i].type);
        assert_true(value.integer == integers[i].integer);
        assert_int_equal(cursor.len, 0);
        spop_value_write(&sink, &value);
        assert_int_equal(sink.at - out, (int)integers[i].len);
        assert_memory_equal(out, integers[i].bytes, integers[i].len);
    }
}

/* A value, what it must be on the wire, and the same at every cut: refused, and nothing handed out. */
static void check_value(const struct spop_value *value, const char *bytes, size_t len)
{
    uint8_t out[64];
    struct sink sink = sink_of(out, sizeof(out));
    struct spop_value again;

    spop_value_write(&sink, value);
    assert_int_equal(sink.at - out, (int)len);
    assert_memory_equal(out, bytes, len);
    for (size_t cut = 0; cut <= len; cut++) {
        struct span cursor = span_of(guarded_copy(bytes, cut), cut);
        again.type = SPOP_UINT64;
        assert_int_equal(spop_value_read(&cursor, &again), cut == len);
        assert_int_equal(again.type, cut == len ? value->type : SPOP_UINT64);
    }
    sink = sink_of(out, sizeof(out));
    spop_value_write(&sink, &again);
    assert_memory_equal(out, bytes, len);
}

static void test_other_types(void **state)
{
    struct spop_value nothing = {.type = SPOP_NULL};
    struct spop_value yes = {.type = SPOP_BOOL, .boolean = true};
    struct spop_value no = {.type = SPOP_BOOL, .boolean = false};
    struct spop_value ipv4 = {.type = SPOP_IPV4, .ipv4 = {127, 0, 0, 1}};
    struct spop_value ipv6 = {.type = SPOP_IPV6, .ipv6 = {0xfe, 0x80, [15] = 1}};
    struct spop_value text = spop_text(span_of_text("R1"));
    struct spop_value binary = {.type = SPOP_BINARY, .text = span_of_text("")};

    (void)state;
    check_value(&nothing, "\x00", 1);
    check_value(&yes, "\x11", 1);
    check_value(&no, "\x01", 1);
    check_value(&ipv4, "\x06\x7f\x00\x00\x01", 5);
    check_value(&ipv6, "\x07\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", 17);
    check_value(&text, "\x08\x02R1", 4);
    check_value(&binary, "\x09\x00", 2);
}

static void test_booleans_are_flags(void **state)
{
    struct span cursor = span_of("\x11\x01", 2);
    struct spop_value value;

    (void)state;
    assert_true(spop_value_read(&cursor, &value) && value.boolean);
    assert_true(spop_value_read(&cursor, &value) && !value.boolean);
}

/*
 * Each of the 256 type bytes: of the four flags only the lowest means anything, and that to a boolean only.
 */
static void test_every_type_byte(void **state)
{
    static const size_t lengths[] = {0, 0, 1, 1, 1, 1, 4, 16, 1, 1}; /* of the content, all zero; by type */

    (void)state;
    for (unsigned head = 0; head < 256; head++) {
        const uint8_t bytes[17] = {(uint8_t)head};
        const unsigned type = head & 0x0f;
        struct span cursor = span_of(guarded_copy(bytes, sizeof(bytes)), sizeof(bytes));
        struct spop_value value = {.type = SPOP_UINT64, .integer = 77};
        if (spop_value_read(&cursor, &value) != (type <= SPOP_BINARY))
            fail_msg("type byte %02x", head);
        if (type > SPOP_BINARY) { /* reserved */
            assert_int_equal(value.type, SPOP_UINT64);
            assert_int_equal(value.integer, 77);
            continue;
        }
        assert_int_equal(value.type, type);
        assert_int_equal(cursor.len, sizeof(bytes) - 1 - lengths[type]);
        if (type == SPOP_BOOL)
            assert_int_equal(value.boolean, (head & 0x10) != 0);
    }
}

/* An item of a KV list at every cut; the last value has flag bits that mean nothing to a string. */
static void test_kv(void **state)
{
    static const char bytes[] = "\x07service\x88\x08mymaster";
    const size_t len = sizeof(bytes) - 1;
    struct span name = span_of_text("untouched");
    struct spop_value value = {.type = SPOP_UINT64};

    (void)state;
    for (size_t cut = 0; cut < len; cut++) {
        struct span cursor = span_of(guarded_copy(bytes, cut), cut);
        assert_false(spop_kv_read(&cursor, &name, &value));
        assert_true(span_equals_text(name, "untouched"));
        assert_int_equal(value.type, SPOP_UINT64);
    }
    struct span cursor = span_of(guarded_copy(bytes, len), len);
    assert_true(spop_kv_read(&cursor, &name, &value));
    assert_int_equal(cursor.len, 0);
    assert_true(span_equals_text(name, "service"));
    assert_int_equal(value.type, SPOP_STRING);
    assert_true(span_equals_text(value.text, "mymaster"));
}

/* Writers fill a sink to its last byte and never write behind it; what does not fit sets `full`. */
static void test_small_sinks(void **state)
{
    const struct spop_value values[] = {
        {.type = SPOP_NULL},
        {.type = SPOP_BOOL, .boolean = true},
        spop_uint32(16380),
        spop_int64(-1),
        {.type = SPOP_IPV4},
        {.type = SPOP_IPV6},
        spop_text(span_of_text("R1")),
        {.type = SPOP_BINARY, .text = span_of_text("\xff")},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        uint8_t whole[64];
        struct sink sink = sink_of(whole, sizeof(whole));
        spop_kv_write(&sink, "name", &values[i]);
        size_t needed = (size_t)(sink.at - whole);
        for (size_t size = 0; size <= needed; size++) {
            sink = sink_of(guarded_space(size), size);
            spop_kv_write(&sink, "name", &values[i]);
            assert_int_equal(sink.full, size < needed);
            assert_true(sink.at <= sink.end);
        }
        assert_memory_equal(sink.end - needed, whole, needed);
    }
}

static void test_names(void **state)
{
    struct span cursor = span_of("\x00\x02"
                                 "ab\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
                                 14);
    struct span name;

    (void)state;
    assert_true(spop_name_read(&cursor, &name) && name.len == 0);
    assert_true(spop_name_read(&cursor, &name) && span_equals_text(name, "ab"));
    assert_false(spop_name_read(&cursor, &name)); /* a length that overflows */
    /* A length far beyond the input must not wrap around. */
    static const char huge[] = "\xff\xf0\xfe\xfe\xfe\xfe\xfe\xfe\xfe\x0eX";
    cursor = span_of(guarded_copy(huge, 11), 11);
    assert_false(spop_name_read(&cursor, &name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_other_types),
        cmocka_unit_test(test_booleans_are_flags),
        cmocka_unit_test(test_every_type_byte),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_kv),
        cmocka_unit_test(test_small_sinks),
    };

    return cmocka_run_group_tests_name("spop_data", tests, NULL, NULL);
}
