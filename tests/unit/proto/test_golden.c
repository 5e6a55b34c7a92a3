/*
 * Frames recorded from real HAProxys (tests/golden/README.md) are understood. Run from the top of the tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "proto/spop_frame.h"
#include "tests/lib/guarded.h"

static struct spop_frame read_frame(const char *version, const char *kind)
{
    char path[128];
    uint8_t bytes[4096];
    struct spop_frame frame = {.flags = 0};

    snprintf(path, sizeof(path), "tests/golden/haproxy-%s/%s.bin", version, kind);
    FILE *file = fopen(path, "rbe");
    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(spop_frame_parse(guarded_copy(bytes, cut), cut, sizeof(bytes), &frame), 0);
    assert_int_equal(spop_frame_parse(guarded_copy(bytes, len), len, sizeof(bytes), &frame), (int)len);
    assert_int_equal(frame.flags, SPOP_FLAG_FIN);
    return frame;
}

static void check_hello(const char *version)
{
    struct spop_hello hello;
    struct spop_frame frame = read_frame(version, "hello");

    assert_int_equal(frame.type, SPOP_HAPROXY_HELLO);
    assert_int_equal(spop_hello_decode(frame.payload, &hello), SPOP_STATUS_NORMAL);
    assert_int_equal(hello.max_frame_size, 16380);
    assert_true(hello.pipelining);
    assert_false(hello.healthcheck);
    assert_int_equal(hello.engine_id.len, 36);
    frame = read_frame(version, "healthcheck");
    assert_int_equal(frame.type, SPOP_HAPROXY_HELLO);
    assert_int_equal(spop_hello_decode(frame.payload, &hello), SPOP_STATUS_NORMAL);
    assert_true(hello.healthcheck);
    assert_int_equal(hello.engine_id.len, 0);
}

static void expect_argument(struct span *cursor, const char *name, const char *text)
{
    struct span found;
    struct spop_value value;

    assert_true(spop_kv_read(cursor, &found, &value));
    assert_true(span_equals_text(found, name));
    assert_int_equal(value.type, SPOP_STRING);
    assert_true(span_equals_text(value.text, text));
}

static void check_notify(const char *version)
{
    struct spop_frame frame = read_frame(version, "notify");
    struct span cursor = frame.payload;
    struct spop_message message;

    assert_int_equal(frame.type, SPOP_NOTIFY);
    assert_int_equal(frame.frame_id, 1);
    assert_int_equal(spop_message_read(&cursor, &message), 1);
    assert_true(span_equals_text(message.name, "find-master"));
    assert_int_equal(message.arg_count, 2);
    expect_argument(&cursor, "service", "mymaster");
    expect_argument(&cursor, "role", "master");
    assert_int_equal(spop_message_read(&cursor, &message), 0);
}

static void test_haproxy_2_6(void **state)
{
    struct spop_disconnect disconnect;

    (void)state;
    check_hello("2.6");
    check_notify("2.6");
    struct spop_frame frame = read_frame("2.6", "disconnect");
    assert_int_equal(frame.type, SPOP_HAPROXY_DISCONNECT);
    assert_true(spop_disconnect_decode(frame.payload, &disconnect));
    assert_int_equal(disconnect.status_code, SPOP_STATUS_TIMEOUT);
    assert_true(span_equals_text(disconnect.message, spop_status_text(SPOP_STATUS_TIMEOUT)));
}

static void test_haproxy_3_2(void **state)
{
    (void)state;
    check_hello("3.2");
    check_notify("3.2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_haproxy_2_6),
        cmocka_unit_test(test_haproxy_3_2),
    };

    return cmocka_run_group_tests_name("golden", tests, NULL, NULL);
}
