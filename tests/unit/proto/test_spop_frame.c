#include "proto/spop_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/guarded.h"

#define FRAME_MAX 4096

/* Real bytes of HAProxy. */
static const char health_check[] =
    "\x00\x00\x00\x4e\x01\x00\x00\x00\x01\x00\x00\x12supported-versions\x08\x03"
    "2.0\x0emax-frame-size\x03\xfc\xf0\x06\x0c"
    "capabilities\x08\x00\x0bhealthcheck\x11";
static const char notify[] = "\x00\x00\x00\x23\x03\x00\x00\x00\x01\x00\x01\x03who\x03\x02"
                             "fe\x08\x02"
                             "fe\x03src\x06\x7f\x00\x00\x01\x02sp\x04\xf2\xf3\x14";
static const char idle[] =
    "\x00\x00\x00\x31\x02\x00\x00\x00\x01\x00\x00\x0bstatus-code\x03\x02\x07message\x08\x12"
    "a timeout occurred";

static struct spop_frame parse_whole(const char *bytes, size_t len)
{
    struct spop_frame frame;

    assert_int_equal(spop_frame_parse(guarded_copy(bytes, len), len, FRAME_MAX, &frame), (int)len);
    return frame;
}

static void test_health_check(void **state)
{
    struct spop_frame frame = parse_whole(health_check, sizeof(health_check) - 1);
    struct spop_hello hello;

    (void)state;
    assert_int_equal(frame.type, SPOP_HAPROXY_HELLO);
    assert_int_equal(frame.flags, SPOP_FLAG_FIN);
    assert_int_equal(spop_hello_decode(frame.payload, &hello), SPOP_STATUS_NORMAL);
    assert_int_equal(hello.max_frame_size, 16380);
    assert_true(hello.healthcheck);
    assert_false(hello.pipelining);
    assert_int_equal(hello.engine_id.len, 0);
}

static void test_notify(void **state)
{
    struct spop_frame frame = parse_whole(notify, sizeof(notify) - 1);
    struct span cursor = frame.payload;
    struct spop_message message;
    struct spop_value value;
    struct span name;

    (void)state;
    assert_int_equal(frame.type, SPOP_NOTIFY);
    assert_int_equal(frame.stream_id, 0);
    assert_int_equal(frame.frame_id, 1);
    assert_int_equal(spop_message_read(&cursor, &message), 1);
    assert_true(span_equals_text(message.name, "who"));
    assert_int_equal(message.arg_count, 3);
    assert_true(spop_kv_read(&cursor, &name, &value));
    assert_true(span_equals_text(name, "fe") && value.type == SPOP_STRING &&
                span_equals_text(value.text, "fe"));
    assert_true(spop_kv_read(&cursor, &name, &value));
    assert_int_equal(value.type, SPOP_IPV4);
    assert_memory_equal(value.ipv4, "\x7f\x00\x00\x01", 4);
    assert_true(spop_kv_read(&cursor, &name, &value));
    assert_int_equal(value.type, SPOP_INT64);
    assert_int_equal(spop_message_read(&cursor, &message), 0);
}

static void test_disconnect(void **state)
{
    struct spop_frame frame = parse_whole(idle, sizeof(idle) - 1);
    struct spop_disconnect disconnect;

    (void)state;
    assert_int_equal(frame.type, SPOP_HAPROXY_DISCONNECT);
    assert_true(spop_disconnect_decode(frame.payload, &disconnect));
    assert_int_equal(disconnect.status_code, SPOP_STATUS_TIMEOUT);
    assert_true(span_equals_text(disconnect.message, "a timeout occurred"));
}

static void test_every_cut_needs_more(void **state)
{
    struct spop_frame frame;

    (void)state;
    for (size_t len = 0; len < sizeof(notify) - 1; len++)
        assert_int_equal(spop_frame_parse(guarded_copy(notify, len), len, FRAME_MAX, &frame), 0);
}

/*
 * The payload of a NOTIFY, cut at every length: never read past its end, and an error but at message borders.
 */
static void test_cut_payload(void **state)
{
    struct spop_frame frame = parse_whole(notify, sizeof(notify) - 1);
    char payload[64];
    size_t whole = frame.payload.len;

    (void)state;
    memcpy(payload, frame.payload.data, whole);
    for (size_t len = 1; len < whole; len++) {
        struct span cursor = span_of(guarded_copy(payload, len), len);
        struct spop_message message;
        struct spop_value value;
        struct span name;
        bool good = spop_message_read(&cursor, &message) == 1;
        for (unsigned i = 0; good && i < message.arg_count; i++)
            good = spop_kv_read(&cursor, &name, &value);
        assert_false(good);
    }
}

static void test_lengths_that_cannot_be(void **state)
{
    struct spop_frame frame;

    (void)state;
    for (char len = 0; len < SPOP_FRAME_MIN; len++) {
        const char bytes[] = {0, 0, 0, len};
        assert_int_equal(spop_frame_parse(guarded_copy(bytes, 4), 4, FRAME_MAX, &frame),
                         -SPOP_STATUS_INVALID);
    }
    assert_int_equal(spop_frame_parse(guarded_copy("\xff\xff\xff\xff", 4), 4, FRAME_MAX, &frame),
                     -SPOP_STATUS_TOO_BIG);
    assert_int_equal(spop_frame_parse(guarded_copy("\x00\x00\x10\x01", 4), 4, FRAME_MAX, &frame),
                     -SPOP_STATUS_TOO_BIG);
    assert_int_equal(spop_frame_parse(guarded_copy("\x00\x00\x10\x00", 4), 4, FRAME_MAX, &frame), 0);
    /* A varint of the header that does not end within the frame. */
    assert_int_equal(spop_frame_parse(guarded_copy("\x00\x00\x00\x07\x03\x00\x00\x00\x01\xff\xff", 11), 11,
                                      FRAME_MAX, &frame),
                     -SPOP_STATUS_INVALID);
}

/* Each byte of LEN counts, and nothing behind LEN is needed to refuse it. */
static void test_length_against_the_limit(void **state)
{
    (void)state;
    for (unsigned shift = 8; shift < 31; shift++) {
        struct spop_frame frame = {.type = 77};
        uint32_t size = (uint32_t)1 << shift;
        const uint8_t bytes[] = {(uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8),
                                 (uint8_t)size};
        const uint8_t *in = guarded_copy(bytes, 4);
        assert_int_equal(spop_frame_parse(in, 4, size - 1, &frame), -SPOP_STATUS_TOO_BIG);
        assert_int_equal(spop_frame_parse(in, 4, size, &frame), 0);
        assert_int_equal(frame.type, 77);
    }
}

/* The ids must end within the frame, even where bytes follow that would complete them. */
static void test_ids_that_do_not_end(void **state)
{
    static const char *const frames[] = {
        "\x00\x00\x00\x07\x03\x00\x00\x00\x01\xf0\x80\x00\x00", /* stream-id */
        "\x00\x00\x00\x07\x03\x00\x00\x00\x01\x00\xf0\x00\x00", /* frame-id */
        "\x00\x00\x00\x08\x03\x00\x00\x00\x01\xf0\x00\xf0\x00",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
        struct spop_frame frame = {.type = 77};
        assert_int_equal(spop_frame_parse(guarded_copy(frames[i], 13), 13, FRAME_MAX, &frame),
                         -SPOP_STATUS_INVALID);
        assert_int_equal(frame.type, 77);
    }
}

/* The longest header: ids of ten bytes; flags come as they are; a second frame behind it is left alone. */
static void test_longest_header(void **state)
{
    static const char bytes[] = "\x00\x00\x00\x1a\xc8\x81\x02\x03\x04\xff\xf0\xfe\xfe\xfe\xfe\xfe\xfe\xfe\x0e"
                                "\xfe\xf0\xfe\xfe\xfe\xfe\xfe\xfe\xfe\x0eX\x00\x00\x00\x07";
    const int size = SPOP_LEN_BYTES + SPOP_HEADER_MAX + 1;
    struct spop_frame frame = {.type = SPOP_UNSET};

    (void)state;
    const uint8_t *in = guarded_copy(bytes, sizeof(bytes) - 1);
    assert_int_equal(spop_frame_parse(in, sizeof(bytes) - 1, FRAME_MAX, &frame), size);
    assert_int_equal(frame.type, 200);
    assert_true(frame.flags == 0x81020304u);
    assert_true(frame.stream_id == UINT64_MAX);
    assert_true(frame.frame_id == UINT64_MAX - 1);
    assert_true(span_equals_text(frame.payload, "X"));
}

/* HAProxy 3.1 sends a NOTIFY without a message; a frame of the least length has no payload. */
static void test_empty_notify(void **state)
{
    struct spop_frame frame = parse_whole("\x00\x00\x00\x07\x03\x00\x00\x00\x01\x01\x01", 11);
    struct spop_message message = {.arg_count = 7};

    (void)state;
    assert_int_equal(frame.payload.len, 0);
    assert_int_equal(spop_message_read(&frame.payload, &message), 0);
    assert_int_equal(message.arg_count, 7);
}

static void expect_message(struct span *cursor, const char *name, unsigned arg_count)
{
    struct spop_message message;

    assert_int_equal(spop_message_read(cursor, &message), 1);
    assert_true(span_equals_text(message.name, name));
    assert_int_equal(message.arg_count, arg_count);
    for (unsigned i = 0; i < arg_count; i++) {
        struct span key;
        struct spop_value value;
        assert_true(spop_kv_read(cursor, &key, &value));
        assert_int_equal(key.len, 0); /* `args src` without a name */
        assert_int_equal(value.type, SPOP_NULL);
    }
}

/* Messages follow one another; none, or as many arguments as a byte can count. */
static void test_several_messages(void **state)
{
    static const uint8_t heads[] = {1, 'a', 0, 0, 1, 0, 0, 1, 'b', 255};
    uint8_t payload[sizeof(heads) + (size_t)255 * 2] = {0};

    (void)state;
    memcpy(payload, heads, sizeof(heads));
    struct span cursor = span_of(guarded_copy(payload, sizeof(payload)), sizeof(payload));
    expect_message(&cursor, "a", 0);
    expect_message(&cursor, "", 1);
    expect_message(&cursor, "b", 255);
    struct spop_message message;
    assert_int_equal(spop_message_read(&cursor, &message), 0);
}

static void test_malformed_message_heads(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } heads[] = {{"\x03", 1}, {"\x03wh", 3}, {"\x03who", 4}, {"\xf0", 1}, {"\xff\xff\xff\xff\xff\x7f", 6}};

    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
        struct span cursor = span_of(guarded_copy(heads[i].bytes, heads[i].len), heads[i].len);
        struct spop_message message = {.arg_count = 7};
        assert_int_equal(spop_message_read(&cursor, &message), -1);
        assert_int_equal(message.arg_count, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health_check),
        cmocka_unit_test(test_notify),
        cmocka_unit_test(test_disconnect),
        cmocka_unit_test(test_every_cut_needs_more),
        cmocka_unit_test(test_cut_payload),
        cmocka_unit_test(test_lengths_that_cannot_be),
        cmocka_unit_test(test_length_against_the_limit),
        cmocka_unit_test(test_ids_that_do_not_end),
        cmocka_unit_test(test_longest_header),
        cmocka_unit_test(test_empty_notify),
        cmocka_unit_test(test_several_messages),
        cmocka_unit_test(test_malformed_message_heads),
    };

    return cmocka_run_group_tests_name("spop_frame", tests, NULL, NULL);
}
