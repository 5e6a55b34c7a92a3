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

/* The payload of a NOTIFY, cut at every length: never read past its end, and an error but at message borders. */
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

/* A HELLO payload of these keys; NULL leaves one out. */
static size_t make_hello(uint8_t out[256], const char *versions, const struct spop_value *size,
                         const char *capabilities)
{
    struct sink sink = sink_of(out, 256);
    struct spop_value text;

    if (versions != NULL) {
        text = spop_text(span_of_text(versions));
        spop_kv_write(&sink, "supported-versions", &text);
    }
    if (size != NULL)
        spop_kv_write(&sink, "max-frame-size", size);
    if (capabilities != NULL) {
        text = spop_text(span_of_text(capabilities));
        spop_kv_write(&sink, "capabilities", &text);
    }
    assert_false(sink.full);
    return (size_t)(sink.at - out);
}

static enum spop_status judge(const char *versions, const struct spop_value *size, const char *capabilities,
                              struct spop_hello *hello)
{
    uint8_t payload[256];
    size_t len = make_hello(payload, versions, size, capabilities);

    return spop_hello_decode(span_of(guarded_copy(payload, len), len), hello);
}

static void test_hello_statuses(void **state)
{
    struct spop_hello hello;
    struct spop_value good = spop_uint32(16380);
    struct spop_value least = spop_uint32(256);
    struct spop_value less = spop_uint32(255);
    struct spop_value huge = {.type = SPOP_UINT64, .integer = (int64_t)UINT32_MAX + 1};
    struct spop_value negative = spop_int64(-1);
    struct spop_value text = spop_text(span_of_text("16380"));

    (void)state;
    assert_int_equal(judge("1.0, 2.0", &good, "async,pipelining", &hello), SPOP_STATUS_NORMAL);
    assert_true(hello.pipelining);
    assert_false(hello.healthcheck);
    assert_int_equal(judge("2.0", &least, "pipeliningx", &hello), SPOP_STATUS_NORMAL);
    assert_false(hello.pipelining);
    assert_int_equal(judge(NULL, &good, "", &hello), SPOP_STATUS_NO_VERSION);
    assert_int_equal(judge("1.0,2.00", &good, "", &hello), SPOP_STATUS_BAD_VERSION);
    assert_int_equal(judge("2.0", NULL, "", &hello), SPOP_STATUS_NO_MAX_FRAME_SIZE);
    assert_int_equal(judge("2.0", &less, "", &hello), SPOP_STATUS_BAD_MAX_FRAME_SIZE);
    assert_int_equal(judge("2.0", &huge, "", &hello), SPOP_STATUS_BAD_MAX_FRAME_SIZE);
    assert_int_equal(judge("2.0", &negative, "", &hello), SPOP_STATUS_BAD_MAX_FRAME_SIZE);
    assert_int_equal(judge("2.0", &text, "", &hello), SPOP_STATUS_INVALID);
    assert_int_equal(judge("2.0", &good, NULL, &hello), SPOP_STATUS_NO_CAPABILITIES);
    assert_int_equal(spop_hello_decode(span_of("\x05ver", 4), &hello), SPOP_STATUS_INVALID);
}

static void test_agent_hello_bytes(void **state)
{
    static const char expected[] = "\x00\x00\x00\x40\x65\x00\x00\x00\x01\x00\x00\x07version\x08\x03"
                                   "2.0\x0emax-frame-size\x03\xf0\xf1\x00\x0c"
                                   "capabilities\x08\x0apipelining";
    uint8_t out[128];
    struct sink sink = sink_of(out, sizeof(out));

    (void)state;
    spop_agent_hello_write(&sink, 4096, true);
    assert_int_equal(sink.at - out, (int)sizeof(expected) - 1);
    assert_memory_equal(out, expected, sizeof(expected) - 1);
}

static void test_ack_bytes(void **state)
{
    static const char expected[] =
        "\x00\x00\x00\x1e\x67\x00\x00\x00\x01\x05\xf0\x00\x01\x03\x02\x06master\x08\x02R1"
        "\x02\x02\x02\x04"
        "addr";
    uint8_t actions[64];
    uint8_t out[64];
    struct sink made = sink_of(actions, sizeof(actions));
    struct sink sink = sink_of(out, sizeof(out));
    struct spop_value name = spop_text(span_of_text("R1"));

    (void)state;
    spop_set_var_write(&made, SPOP_SCOPE_TXN, "master", &name);
    spop_unset_var_write(&made, SPOP_SCOPE_TXN, "addr");
    spop_ack_write(&sink, 5, 240, span_of(actions, (size_t)(made.at - actions)));
    assert_int_equal(sink.at - out, (int)sizeof(expected) - 1);
    assert_memory_equal(out, expected, sizeof(expected) - 1);
}

static void test_disconnect_of_every_status(void **state)
{
    static const enum spop_status statuses[] = {
#define X(name, code, text) SPOP_STATUS_##name,
        SPOP_STATUS_MAP(X)
#undef X
    };

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
        uint8_t out[128];
        struct sink sink = sink_of(out, sizeof(out));
        struct spop_frame frame;
        struct spop_disconnect disconnect;
        spop_agent_disconnect_write(&sink, statuses[i], spop_status_text(statuses[i]));
        size_t len = (size_t)(sink.at - out);
        assert_int_equal(spop_frame_parse(out, len, FRAME_MAX, &frame), (int)len);
        assert_int_equal(frame.type, SPOP_AGENT_DISCONNECT);
        assert_int_equal(frame.flags, SPOP_FLAG_FIN);
        assert_true(spop_disconnect_decode(frame.payload, &disconnect));
        assert_int_equal(disconnect.status_code, statuses[i]);
        assert_true(span_equals_text(disconnect.message, spop_status_text(statuses[i])));
    }
    assert_string_equal(spop_status_text((enum spop_status)50), spop_status_text(SPOP_STATUS_UNKNOWN));
}

/* A frame that does not fit leaves the sink where it was, and nothing is written behind its end. */
static void test_small_sinks(void **state)
{
    uint8_t whole[128];
    struct sink enough = sink_of(whole, sizeof(whole));

    (void)state;
    spop_agent_hello_write(&enough, 4096, true);
    size_t needed = (size_t)(enough.at - whole);
    for (size_t size = 0; size < needed; size++) {
        uint8_t *space = guarded_space(size);
        struct sink sink = sink_of(space, size);
        spop_agent_hello_write(&sink, 4096, true);
        assert_true(sink.full);
        assert_ptr_equal(sink.at, space);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health_check),   cmocka_unit_test(test_notify),
        cmocka_unit_test(test_disconnect),     cmocka_unit_test(test_every_cut_needs_more),
        cmocka_unit_test(test_cut_payload),    cmocka_unit_test(test_lengths_that_cannot_be),
        cmocka_unit_test(test_hello_statuses), cmocka_unit_test(test_agent_hello_bytes),
        cmocka_unit_test(test_ack_bytes),      cmocka_unit_test(test_disconnect_of_every_status),
        cmocka_unit_test(test_small_sinks),
    };

    return cmocka_run_group_tests_name("spop_frame", tests, NULL, NULL);
}
