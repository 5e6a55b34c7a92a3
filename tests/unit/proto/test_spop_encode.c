/* What the agent sends: bytes, the way back through the readers, sinks that are too small. */
#include "proto/spop_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/guarded.h"

#define FRAME_MAX 4096

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

static void test_agent_disconnect_bytes(void **state)
{
    static const char expected[] =
        "\x00\x00\x00\x2f\x66\x00\x00\x00\x01\x00\x00\x0bstatus-code\x03\x03\x07message\x08\x10"
        "frame is too big";
    uint8_t out[64];
    struct sink sink = sink_of(out, sizeof(out));

    (void)state;
    spop_agent_disconnect_write(&sink, SPOP_STATUS_TOO_BIG, "frame is too big");
    assert_int_equal(sink.at - out, (int)sizeof(expected) - 1);
    assert_memory_equal(out, expected, sizeof(expected) - 1);
}

/* The numbers are HAProxy's (SPOE.txt 3.3), in the order of the map. */
static void test_disconnect_of_every_status(void **state)
{
    static const uint32_t codes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 99};
    static const enum spop_status statuses[] = {
#define X(name, code, text) SPOP_STATUS_##name,
        SPOP_STATUS_MAP(X)
#undef X
    };

    (void)state;
    assert_int_equal(sizeof(statuses) / sizeof(*statuses), sizeof(codes) / sizeof(*codes));
    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
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
        assert_int_equal(disconnect.status_code, codes[i]);
        assert_true(span_equals_text(disconnect.message, spop_status_text(statuses[i])));
    }
    assert_string_equal(spop_status_text((enum spop_status)50), spop_status_text(SPOP_STATUS_UNKNOWN));
}

/* The frame that was written from `out` to `end`, which must be one whole frame of this type. */
static struct spop_frame parse_written(const uint8_t *out, const uint8_t *end, uint32_t limit,
                                       enum spop_frame_type type)
{
    struct spop_frame frame = {.flags = 0};
    size_t len = (size_t)(end - out);

    assert_int_equal(spop_frame_parse(out, len, limit, &frame), (int)len);
    assert_int_equal(frame.type, type);
    assert_int_equal(frame.flags, SPOP_FLAG_FIN);
    return frame;
}

static void expect_text(struct span *cursor, const char *key, const char *text)
{
    struct span name;
    struct spop_value value;

    assert_true(spop_kv_read(cursor, &name, &value));
    assert_true(span_equals_text(name, key));
    assert_int_equal(value.type, SPOP_STRING);
    assert_true(span_equals_text(value.text, text));
}

static void check_agent_hello(uint32_t size, bool pipelining)
{
    uint8_t out[128];
    struct sink sink = sink_of(out, sizeof(out));
    struct span name;
    struct spop_value value;

    spop_agent_hello_write(&sink, size, pipelining);
    struct spop_frame frame = parse_written(out, sink.at, FRAME_MAX, SPOP_AGENT_HELLO);
    assert_true(frame.stream_id == 0 && frame.frame_id == 0);
    expect_text(&frame.payload, "version", "2.0");
    assert_true(spop_kv_read(&frame.payload, &name, &value));
    assert_true(span_equals_text(name, "max-frame-size"));
    assert_int_equal(value.type, SPOP_UINT32);
    assert_true(value.integer == size);
    expect_text(&frame.payload, "capabilities", pipelining ? "pipelining" : "");
    assert_int_equal(frame.payload.len, 0);
}

static void test_agent_hello_comes_back(void **state)
{
    static const uint32_t sizes[] = {256, 4096, 16380, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        check_agent_hello(sizes[i], true);
        check_agent_hello(sizes[i], false);
    }
}

/* The ids go back as they came, whatever they are. */
static void test_ack_ids(void **state)
{
    static const uint64_t ids[] = {0, 1, 239, 240, UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX};
    const size_t count = sizeof(ids) / sizeof(*ids);

    (void)state;
    for (size_t i = 0; i < count * count; i++) {
        uint8_t out[64];
        struct sink sink = sink_of(out, sizeof(out));
        spop_ack_write(&sink, ids[i / count], ids[i % count], span_of_text("A"));
        struct spop_frame frame = parse_written(out, sink.at, FRAME_MAX, SPOP_ACK);
        assert_true(frame.stream_id == ids[i / count]);
        assert_true(frame.frame_id == ids[i % count]);
        assert_true(span_equals_text(frame.payload, "A"));
    }
}

/* All the bytes of LEN are right: actions of up to 16 MB. */
static void test_ack_lengths(void **state)
{
    static const size_t lengths[] = {
        1, 248, 249, 250, 65528, 65529, 70000, (1u << 24) - 8, (1u << 24) + 70000};
    static uint8_t actions[(1u << 24) + 70000];
    static uint8_t out[sizeof(actions) + SPOP_LEN_BYTES + SPOP_HEADER_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        struct sink sink = sink_of(out, sizeof(out));
        spop_ack_write(&sink, 0, 1, span_of(actions, lengths[i]));
        struct spop_frame frame = parse_written(out, sink.at, sizeof(out), SPOP_ACK);
        assert_int_equal(frame.payload.len, lengths[i]);
    }
}

/* Takes the head of an action (SPOE.txt 3.2.7) off `cursor`. */
static void expect_action(struct span *cursor, uint8_t action, uint8_t args, uint8_t scope, const char *name)
{
    const uint8_t wanted[] = {action, args, scope};
    struct span head = span_of(NULL, 0);
    struct span found;

    assert_true(span_take(cursor, 3, &head));
    assert_true(span_equals(head, span_of(wanted, sizeof(wanted))));
    assert_true(spop_name_read(cursor, &found));
    assert_true(span_equals_text(found, name));
}

/* An ACK with a set-var and an unset-var in each scope. */
static void test_actions_of_every_scope(void **state)
{
    uint8_t actions[256];
    uint8_t out[256];
    struct sink made = sink_of(actions, sizeof(actions));
    struct sink sink = sink_of(out, sizeof(out));
    const struct spop_value port = spop_int64(6379);

    (void)state;
    for (enum spop_scope scope = SPOP_SCOPE_PROC; scope <= SPOP_SCOPE_RES; scope++) {
        spop_set_var_write(&made, scope, "port", &port);
        spop_unset_var_write(&made, scope, "master");
    }
    spop_ack_write(&sink, 1, 1, span_of(actions, (size_t)(made.at - actions)));
    struct spop_frame frame = parse_written(out, sink.at, FRAME_MAX, SPOP_ACK);
    for (uint8_t scope = 0; scope <= 4; scope++) {
        struct spop_value value;
        expect_action(&frame.payload, 1, 3, scope, "port");
        assert_true(spop_value_read(&frame.payload, &value));
        assert_int_equal(value.type, SPOP_INT64);
        assert_int_equal(value.integer, 6379);
        expect_action(&frame.payload, 2, 2, scope, "master");
    }
    assert_int_equal(frame.payload.len, 0);
}

static void write_hello(struct sink *sink)
{
    spop_agent_hello_write(sink, 4096, true);
}

static void write_disconnect(struct sink *sink)
{
    spop_agent_disconnect_write(sink, SPOP_STATUS_TOO_BIG, "frame is too big");
}

static void write_ack(struct sink *sink)
{
    spop_ack_write(sink, UINT64_MAX, 240, span_of_text("actions"));
}

static void write_set_var(struct sink *sink)
{
    const struct spop_value value = spop_text(span_of_text("R1"));

    spop_set_var_write(sink, SPOP_SCOPE_TXN, "master", &value);
}

static void write_unset_var(struct sink *sink)
{
    spop_unset_var_write(sink, SPOP_SCOPE_TXN, "master");
}

/* Writes into a sink of each size up to the one that is enough, behind which memory ends. */
static void check_sinks(void (*write)(struct sink *), bool is_frame)
{
    uint8_t whole[128];
    struct sink sink = sink_of(whole, sizeof(whole));

    write(&sink);
    assert_false(sink.full);
    size_t needed = (size_t)(sink.at - whole);
    for (size_t size = 0; size < needed; size++) {
        uint8_t *space = guarded_space(size);
        sink = sink_of(space, size);
        write(&sink);
        assert_true(sink.full);
        assert_true(sink.at <= sink.end);
        if (is_frame)
            assert_ptr_equal(sink.at, space);
        const uint8_t *at = sink.at;
        sink_put_byte(&sink, 0); /* would fit, but comes after one that did not */
        assert_ptr_equal(sink.at, at);
    }
    uint8_t *space = guarded_space(needed);
    sink = sink_of(space, needed);
    write(&sink);
    assert_false(sink.full);
    assert_ptr_equal(sink.at, sink.end);
    assert_memory_equal(space, whole, needed);
}

/*
 * What does not fit sets `full`; a frame then leaves the sink where it was. Nothing is written behind the
 * end.
 */
static void test_small_sinks(void **state)
{
    (void)state;
    check_sinks(write_hello, true);
    check_sinks(write_disconnect, true);
    check_sinks(write_ack, true);
    check_sinks(write_set_var, false);
    check_sinks(write_unset_var, false);
}

/* A frame that does not fit does no harm to those before it, and none is taken after it. */
static void test_frames_before_one_that_does_not_fit(void **state)
{
    uint8_t out[64];
    struct sink sink = sink_of(out, sizeof(out));

    (void)state;
    spop_ack_write(&sink, 1, 1, span_of_text("first"));
    const uint8_t *end = sink.at;
    write_hello(&sink);
    assert_true(sink.full);
    spop_ack_write(&sink, 3, 1, span_of_text("x"));
    assert_ptr_equal(sink.at, end);
    struct spop_frame frame = parse_written(out, end, FRAME_MAX, SPOP_ACK);
    assert_true(span_equals_text(frame.payload, "first"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agent_hello_bytes),
        cmocka_unit_test(test_ack_bytes),
        cmocka_unit_test(test_agent_disconnect_bytes),
        cmocka_unit_test(test_disconnect_of_every_status),
        cmocka_unit_test(test_agent_hello_comes_back),
        cmocka_unit_test(test_ack_ids),
        cmocka_unit_test(test_ack_lengths),
        cmocka_unit_test(test_actions_of_every_scope),
        cmocka_unit_test(test_small_sinks),
        cmocka_unit_test(test_frames_before_one_that_does_not_fit),
    };

    return cmocka_run_group_tests_name("spop_encode", tests, NULL, NULL);
}
