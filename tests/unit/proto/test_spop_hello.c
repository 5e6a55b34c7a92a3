/* The payloads of HAPROXY-HELLO and HAPROXY-DISCONNECT. */
#include "proto/spop_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/guarded.h"

/* Real bytes of HAProxy 2.6, with its default options. */
static const char hello_2_6[] = "\x00\x00\x00\x81\x01\x00\x00\x00\x01\x00\x00\x12supported-versions\x08\x03"
                                "2.0\x0emax-frame-size\x03\xfc\xf0\x06\x0c"
                                "capabilities\x08\x10pipelining,async\x09"
                                "engine-id\x08\x24"
                                "38cabf64-1cf9-4e02-968c-8bf6255b4911";

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
    assert_int_equal(judge(" ", NULL, NULL, &hello), SPOP_STATUS_BAD_VERSION); /* nothing is read behind it */
    assert_int_equal(judge("2.0", NULL, "", &hello), SPOP_STATUS_NO_MAX_FRAME_SIZE);
    assert_int_equal(judge("2.0", &less, "", &hello), SPOP_STATUS_BAD_MAX_FRAME_SIZE);
    assert_int_equal(judge("2.0", &huge, "", &hello), SPOP_STATUS_BAD_MAX_FRAME_SIZE);
    assert_int_equal(judge("2.0", &negative, "", &hello), SPOP_STATUS_BAD_MAX_FRAME_SIZE);
    assert_int_equal(judge("2.0", &text, "", &hello), SPOP_STATUS_INVALID);
    assert_int_equal(judge("2.0", &good, NULL, &hello), SPOP_STATUS_NO_CAPABILITIES);
    assert_int_equal(spop_hello_decode(span_of("\x05ver", 4), &hello), SPOP_STATUS_INVALID);
}

static void test_hello_of_haproxy_2_6(void **state)
{
    const size_t len = sizeof(hello_2_6) - 1;
    struct spop_frame frame = {.flags = 0};
    struct spop_hello hello;

    (void)state;
    assert_int_equal(spop_frame_parse(guarded_copy(hello_2_6, len), len, 256, &frame), (int)len);
    assert_int_equal(frame.type, SPOP_HAPROXY_HELLO);
    assert_int_equal(spop_hello_decode(frame.payload, &hello), SPOP_STATUS_NORMAL);
    assert_int_equal(hello.max_frame_size, 16380);
    assert_true(hello.pipelining);
    assert_false(hello.healthcheck);
    assert_true(span_equals_text(hello.engine_id, "38cabf64-1cf9-4e02-968c-8bf6255b4911"));
}

/* Where the payload may end between two keys, and what is missing then. Offsets into hello_2_6. */
static enum spop_status wanted_at(size_t end)
{
    switch (end) {
    case 11:
        return SPOP_STATUS_NO_VERSION;
    case 35:
        return SPOP_STATUS_NO_MAX_FRAME_SIZE;
    case 54:
        return SPOP_STATUS_NO_CAPABILITIES;
    case 85:
    case sizeof(hello_2_6) - 1:
        return SPOP_STATUS_NORMAL;
    default:
        return SPOP_STATUS_INVALID;
    }
}

static void test_every_cut_of_hello(void **state)
{
    const size_t head = 11;

    (void)state;
    for (size_t end = head; end < sizeof(hello_2_6); end++) {
        struct spop_hello hello = {.max_frame_size = 77};
        const uint8_t *in = guarded_copy(hello_2_6 + head, end - head);
        enum spop_status status = spop_hello_decode(span_of(in, end - head), &hello);
        if (status != wanted_at(end))
            fail_msg("cut at %zu: status %d", end, (int)status);
        assert_int_equal(hello.max_frame_size, status == SPOP_STATUS_NORMAL ? 16380 : 77);
    }
}

/* What HELLO says with this key and value behind the three that it must have. */
static enum spop_status judge_with(const char *key, struct spop_value value, struct spop_hello *hello)
{
    uint8_t payload[256];
    struct spop_value size = spop_uint32(16380);
    size_t len = make_hello(payload, "2.0", &size, "pipelining");
    struct sink sink = sink_of(payload + len, sizeof(payload) - len);

    spop_kv_write(&sink, key, &value);
    assert_false(sink.full);
    len = (size_t)(sink.at - payload);
    return spop_hello_decode(span_of(guarded_copy(payload, len), len), hello);
}

static void test_values_of_wrong_types(void **state)
{
    static const struct {
        const char *key;
        bool is_good[SPOP_BINARY + 1]; /* by enum spop_type */
    } keys[] = {
        {"supported-versions", {[SPOP_STRING] = true}},
        {"capabilities", {[SPOP_STRING] = true}},
        {"engine-id", {[SPOP_STRING] = true}},
        {"healthcheck", {[SPOP_BOOL] = true}},
        {"max-frame-size",
         {[SPOP_INT32] = true, [SPOP_UINT32] = true, [SPOP_INT64] = true, [SPOP_UINT64] = true}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        for (enum spop_type type = SPOP_NULL; type <= SPOP_BINARY; type++) {
            struct spop_hello hello = {.max_frame_size = 77};
            struct spop_value value = {.type = type};
            if (type >= SPOP_STRING)
                value.text = span_of_text("2.0");
            else if (type >= SPOP_INT32 && type <= SPOP_UINT64)
                value.integer = 16380;
            bool is_good = keys[i].is_good[type];
            if (judge_with(keys[i].key, value, &hello) !=
                (is_good ? SPOP_STATUS_NORMAL : SPOP_STATUS_INVALID))
                fail_msg("%s with type %d", keys[i].key, (int)type);
            assert_int_equal(hello.max_frame_size, is_good ? 16380 : 77);
        }
    }
}

/* A key that we know only by its beginning, or only in part, is one that we do not know. */
static void test_keys_are_compared_whole(void **state)
{
    static const char *const keys[] = {"",
                                       "x",
                                       "supported-version",
                                       "supported-versions2",
                                       "max-frame",
                                       "max-frame-size-2",
                                       "capabilities-x",
                                       "engine-id2",
                                       "healthchecks",
                                       "HEALTHCHECK"};

    (void)state;
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        struct spop_hello hello;
        assert_int_equal(judge_with(keys[i], (struct spop_value){.type = SPOP_BOOL, .boolean = true}, &hello),
                         SPOP_STATUS_NORMAL);
        assert_int_equal(hello.max_frame_size, 16380);
        assert_true(hello.pipelining);
        assert_false(hello.healthcheck);
        assert_int_equal(hello.engine_id.len, 0);
    }
}

static void test_healthcheck_says_which(void **state)
{
    struct spop_hello hello;
    struct spop_value value = {.type = SPOP_BOOL, .boolean = true};

    (void)state;
    assert_int_equal(judge_with("healthcheck", value, &hello), SPOP_STATUS_NORMAL);
    assert_true(hello.healthcheck);
    value.boolean = false;
    assert_int_equal(judge_with("healthcheck", value, &hello), SPOP_STATUS_NORMAL);
    assert_false(hello.healthcheck);
}

static void test_lists(void **state)
{
    struct spop_hello hello;
    struct spop_value size = spop_uint32(16380);

    (void)state;
    assert_int_equal(judge(" 2.0 ,1.0", &size, ",, pipelining ,", &hello), SPOP_STATUS_NORMAL);
    assert_true(hello.pipelining);
    assert_int_equal(judge("", &size, "", &hello), SPOP_STATUS_BAD_VERSION);
    assert_int_equal(judge("2", &size, "", &hello), SPOP_STATUS_BAD_VERSION);
    assert_int_equal(judge("2.0;1.0", &size, "", &hello), SPOP_STATUS_BAD_VERSION);
    assert_int_equal(judge("2.0", &size, "pipe lining", &hello), SPOP_STATUS_NORMAL);
    assert_false(hello.pipelining);
}

/* A later minor version includes the earlier ones. Another major one does not, and neither does what is no version. */
static void test_versions(void **state)
{
    static const char *const good[] = {
        "2.0",      "2.1",     "2.7",       "2.10",         "2.123456789012345678901",
        "1.0, 2.5", "3.0,2.1", "2.1 , 3.0", "nonsense, 2.1"};
    static const char *const bad[] = {"3.0",  "1.9",  "20.0", "12.1",  "22.1", "2",
                                      "2.",   "2.x",  "2.1x", "2.01",  ".2",   "-2.0",
                                      "2.-1", "2 .1", "2.1.", "2.1.0", "v2.1", "2.1;2.0"};
    struct spop_value size = spop_uint32(16380);
    struct spop_hello hello;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        if (judge(good[i], &size, "", &hello) != SPOP_STATUS_NORMAL)
            fail_msg("'%s' is refused", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (judge(bad[i], &size, "", &hello) != SPOP_STATUS_BAD_VERSION)
            fail_msg("'%s' is taken", bad[i]);
}

/* A DISCONNECT payload of this code, and how it is read. */
static bool decode_code(struct spop_value code, struct spop_disconnect *disconnect)
{
    uint8_t payload[64];
    struct sink sink = sink_of(payload, sizeof(payload));

    spop_kv_write(&sink, "status-code", &code);
    size_t len = (size_t)(sink.at - payload);
    return spop_disconnect_decode(span_of(guarded_copy(payload, len), len), disconnect);
}

static void test_disconnect_codes(void **state)
{
    static const struct spop_value bad[] = {
        {.type = SPOP_NULL},
        {.type = SPOP_BOOL},
        {.type = SPOP_STRING, .text = {(const uint8_t *)"2", 1}},
        {.type = SPOP_IPV6, .ipv6 = {2}}, /* 2, were it read as an integer */
        {.type = SPOP_INT32, .integer = -1},
        {.type = SPOP_UINT64, .integer = (int64_t)UINT32_MAX + 1}, /* would be 0 in 32 bits */
    };
    struct spop_disconnect disconnect = {.status_code = 77};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_false(decode_code(bad[i], &disconnect));
        assert_int_equal(disconnect.status_code, 77);
    }
    assert_false(spop_disconnect_decode(span_of(NULL, 0), &disconnect));
    assert_int_equal(disconnect.status_code, 77);
    assert_true(decode_code((struct spop_value){.type = SPOP_INT32, .integer = 50}, &disconnect));
    assert_int_equal(disconnect.status_code, 50);
    assert_int_equal(disconnect.message.len, 0);
    assert_true(decode_code((struct spop_value){.type = SPOP_UINT64, .integer = UINT32_MAX}, &disconnect));
    assert_true(disconnect.status_code == UINT32_MAX);
}

/* The order is free, unknown keys and a message that is no text are passed over; only whole items count. */
static void test_every_cut_of_disconnect(void **state)
{
    static const char payload[] = "\x07message\x09\x02no\x07message\x08\x03"
                                  "bye\x0bstatus-code\x03\x02\x01x\x07"
                                  "0123456789abcdef";
    const size_t code_end = 12 + 13 + 14;
    const size_t whole = sizeof(payload) - 1;

    (void)state;
    for (size_t len = 0; len <= whole; len++) {
        struct spop_disconnect disconnect = {.status_code = 77};
        bool is_good = len == code_end || len == whole;
        const uint8_t *in = guarded_copy(payload, len);
        if (spop_disconnect_decode(span_of(in, len), &disconnect) != is_good)
            fail_msg("cut at %zu", len);
        assert_int_equal(disconnect.status_code, is_good ? 2 : 77);
        assert_true(span_equals_text(disconnect.message, is_good ? "bye" : ""));
    }
}

/* A message of another type than text is not taken for one. */
static void test_disconnect_message_must_be_text(void **state)
{
    static const char payload[] = "\x0bstatus-code\x03\x01\x07message\x09\x03"
                                  "bye";
    struct spop_disconnect disconnect;

    (void)state;
    assert_true(spop_disconnect_decode(span_of(payload, sizeof(payload) - 1), &disconnect));
    assert_int_equal(disconnect.message.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello_statuses),
        cmocka_unit_test(test_hello_of_haproxy_2_6),
        cmocka_unit_test(test_every_cut_of_hello),
        cmocka_unit_test(test_values_of_wrong_types),
        cmocka_unit_test(test_keys_are_compared_whole),
        cmocka_unit_test(test_healthcheck_says_which),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_disconnect_codes),
        cmocka_unit_test(test_every_cut_of_disconnect),
        cmocka_unit_test(test_disconnect_message_must_be_text),
    };

    return cmocka_run_group_tests_name("spop_hello", tests, NULL, NULL);
}
