/* A connection from HAProxy: HELLO, health checks, the end, and every way to break the protocol. */
#include "tests/unit/core/haproxy/spop_session_fixture.h"

/* ---- HELLO ---- */

static void hello(void **state)
{
    struct span name;
    struct spop_value value;

    (void)state;
    spop_peer_hello(&f.in, 16380, false);
    feed_all();
    struct spop_frame frame = next_reply();
    assert_int_equal(frame.type, SPOP_AGENT_HELLO);
    assert_true(frame.stream_id == 0 && frame.frame_id == 0);
    assert_true(spop_kv_read(&frame.payload, &name, &value) && span_equals_text(name, "version"));
    assert_true(value.type == SPOP_STRING && span_equals_text(value.text, "2.0"));
    assert_true(spop_kv_read(&frame.payload, &name, &value) && span_equals_text(name, "max-frame-size"));
    assert_int_equal(value.integer, SPOP_SESSION_FRAME_MAX);
    assert_true(spop_kv_read(&frame.payload, &name, &value) && span_equals_text(name, "capabilities"));
    assert_true(span_equals_text(value.text, "pipelining"));
    assert_int_equal(frame.payload.len, 0);
    assert_int_equal(f.metrics.healthchecks_total, 0);
}

/* The smaller of both limits holds, in both directions. */
static void hello_with_a_small_frame_size(void **state)
{
    uint8_t payload[300] = {0};

    (void)state;
    spop_peer_hello(&f.in, 256, false);
    feed_all();
    next_reply();
    assert_int_equal(f.session.max_frame_size, 256);
    spop_peer_frame(&f.in, 50, 1, 1, span_of(payload, 256 - 7)); /* just fits */
    feed_all();
    assert_int_equal(f.session.phase, SPOP_SESSION_ACTIVE);
    spop_peer_frame(&f.in, 50, 1, 1, span_of(payload, 257 - 7));
    assert_int_equal(feed(), 0);
    check_closed(SPOP_STATUS_TOO_BIG);
}

/* A HELLO of hand-made keys; NULL and 0 leave one out. */
static void say_hello(const char *versions, int64_t max_frame_size, const char *capabilities)
{
    uint8_t *begin = spop_peer_begin(&f.in, SPOP_HAPROXY_HELLO, SPOP_FLAG_FIN, 0, 0);
    struct spop_value value;

    if (versions != NULL) {
        value = spop_text(span_of_text(versions));
        spop_kv_write(&f.in, "supported-versions", &value);
    }
    if (max_frame_size != 0) {
        value = spop_int64(max_frame_size);
        spop_kv_write(&f.in, "max-frame-size", &value);
    }
    if (capabilities != NULL) {
        value = spop_text(span_of_text(capabilities));
        spop_kv_write(&f.in, "capabilities", &value);
    }
    spop_peer_end(&f.in, begin);
}

static void check_hello(enum spop_status status, const char *versions, int64_t max_frame_size,
                        const char *capabilities)
{
    uint64_t errors = f.metrics.protocol_errors_total;

    reset_session();
    say_hello(versions, max_frame_size, capabilities);
    feed_all();
    if (status == SPOP_STATUS_NORMAL) {
        assert_int_equal(next_reply().type, SPOP_AGENT_HELLO);
        return;
    }
    check_closed(status);
    assert_int_equal(f.metrics.protocol_errors_total, errors + 1);
}

static void hello_refused(void **state)
{
    (void)state;
    check_hello(SPOP_STATUS_NORMAL, "2.0", 16380, "");
    check_hello(SPOP_STATUS_NORMAL, "1.0, 2.0", 256, "async,pipelining");
    check_hello(SPOP_STATUS_NO_VERSION, NULL, 16380, "");
    check_hello(SPOP_STATUS_NORMAL, "2.1", 16380, ""); /* answered with 2.0 */
    check_hello(SPOP_STATUS_BAD_VERSION, "1.0", 16380, "");
    check_hello(SPOP_STATUS_BAD_VERSION, "3.0", 16380, "");
    check_hello(SPOP_STATUS_BAD_VERSION, "", 16380, "");
    check_hello(SPOP_STATUS_NO_MAX_FRAME_SIZE, "2.0", 0, "");
    check_hello(SPOP_STATUS_BAD_MAX_FRAME_SIZE, "2.0", 255, "");
    check_hello(SPOP_STATUS_BAD_MAX_FRAME_SIZE, "2.0", -1, "");
    check_hello(SPOP_STATUS_BAD_MAX_FRAME_SIZE, "2.0", (int64_t)UINT32_MAX + 1, "");
    check_hello(SPOP_STATUS_NO_CAPABILITIES, "2.0", 16380, NULL);
}

static void hello_malformed(void **state)
{
    (void)state;
    spop_peer_frame(&f.in, SPOP_HAPROXY_HELLO, 0, 0, span_of_text("\x09 short"));
    feed_all();
    check_closed(SPOP_STATUS_INVALID);
}

static void check_hello_ids(uint64_t stream_id, uint64_t frame_id)
{
    struct span payload;

    reset_session();
    spop_peer_hello(&f.in, 16380, false);
    uint8_t copy[256];
    payload = span_of(copy, written().len - 11);
    memcpy(copy, f.in_space + 11, payload.len);
    f.in = sink_of(f.in_space, sizeof(f.in_space));
    spop_peer_frame(&f.in, SPOP_HAPROXY_HELLO, stream_id, frame_id, payload);
    feed_all();
    check_closed(SPOP_STATUS_INVALID);
}

static void hello_with_ids(void **state)
{
    (void)state;
    check_hello_ids(1, 0);
    check_hello_ids(0, 1);
}

static void second_hello(void **state)
{
    (void)state;
    open_session();
    spop_peer_hello(&f.in, 16380, false);
    feed_all();
    check_closed(SPOP_STATUS_INVALID);
}

static void first_frame_is_no_hello(void **state)
{
    (void)state;
    spop_peer_notify(&f.in, 1, 1, "mymaster", NULL);
    feed_all();
    check_closed(SPOP_STATUS_INVALID);
    reset_session();
    spop_peer_frame(&f.in, 50, 1, 1, span_of_text("what"));
    feed_all();
    check_closed(SPOP_STATUS_INVALID);
}

/* ---- health checks ---- */

static void health_check(void **state)
{
    (void)state;
    spop_peer_hello(&f.in, 16380, true);
    feed_all();
    assert_int_equal(next_reply().type, SPOP_AGENT_HELLO);
    assert_int_equal(f.session.phase, SPOP_SESSION_CHECKED);
    assert_int_equal(f.metrics.healthchecks_total, 1);
    spop_peer_notify(&f.in, 1, 1, "mymaster", NULL);
    feed_all();
    check_closed(SPOP_STATUS_INVALID);
    assert_int_equal(f.metrics.notifies_total, 0);
}

static void health_check_refused_while_starting(void **state)
{
    (void)state;
    add_service(1, "other", "R2", "127.0.0.1:7002"); /* has no votes yet */
    spop_peer_hello(&f.in, 16380, true);
    feed_all();
    check_closed(SPOP_STATUS_RESOURCE);
    assert_int_equal(f.metrics.healthchecks_total, 0);
    assert_int_equal(f.metrics.protocol_errors_total, 0);
    open_session(); /* a connection is taken all the same */
    struct spop_frame frame = ask("other", NULL);
    assert_true(spop_peer_says(&frame, "state", "starting"));
    vote(1);
    reset_session();
    spop_peer_hello(&f.in, 16380, true);
    feed_all();
    assert_int_equal(next_reply().type, SPOP_AGENT_HELLO);
}

static void health_check_refused_while_draining(void **state)
{
    (void)state;
    f.draining = true;
    spop_peer_hello(&f.in, 16380, true);
    feed_all();
    check_closed(SPOP_STATUS_RESOURCE);
    assert_int_equal(f.metrics.protocol_errors_total, 0);
}

/* ---- the end ---- */

/* One connection too many: HAProxy's check is answered, a connection for clients is not. */
static void a_guest(void **state)
{
    (void)state;
    f.session.is_guest = true;
    spop_peer_hello(&f.in, 16380, true);
    feed_all();
    assert_int_equal(next_reply().type, SPOP_AGENT_HELLO);
    assert_int_equal(f.session.phase, SPOP_SESSION_CHECKED);
    assert_false(f.session.is_refused);
    reset_session();
    f.session.is_guest = true;
    spop_peer_hello(&f.in, 16380, false);
    feed_all();
    check_closed(SPOP_STATUS_RESOURCE);
    assert_true(f.session.is_refused);
    assert_int_equal(f.metrics.protocol_errors_total, 0);
}

static void disconnect_by_haproxy(void **state)
{
    static const uint32_t codes[] = {0, 1, 2, 99, 4711};

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
        open_session();
        spop_peer_disconnect(&f.in, codes[i]);
        feed_all();
        check_closed(SPOP_STATUS_NORMAL);
    }
    assert_int_equal(f.metrics.protocol_errors_total, 0);
    open_session(); /* and what came before it is answered */
    spop_peer_notify(&f.in, 1, 1, "mymaster", NULL);
    spop_peer_disconnect(&f.in, 0);
    feed_all();
    assert_true(is_answered_with("ok"));
    check_closed(SPOP_STATUS_NORMAL);
}

static void nothing_is_taken_after_the_end(void **state)
{
    (void)state;
    open_session();
    spop_peer_disconnect(&f.in, 0);
    size_t len = written().len;
    spop_peer_notify(&f.in, 1, 1, "mymaster", NULL);
    assert_int_equal(feed(), len);
    check_closed(SPOP_STATUS_NORMAL);
    spop_peer_notify(&f.in, 1, 1, "mymaster", NULL);
    assert_int_equal(feed(), 0);
    assert_int_equal(f.replies.len, 0);
    assert_int_equal(f.metrics.notifies_total, 0);
}

static void close_by_us(void **state)
{
    (void)state;
    open_session();
    const uint8_t *before = f.out.at;
    spop_session_close(&f.session, SPOP_STATUS_NORMAL, &f.out);
    f.replies.len += (size_t)(f.out.at - before);
    check_closed(SPOP_STATUS_NORMAL);
    before = f.out.at;
    spop_session_close(&f.session, SPOP_STATUS_TIMEOUT, &f.out);
    assert_ptr_equal(f.out.at, before); /* once only */
    assert_int_equal(f.session.status, SPOP_STATUS_NORMAL);
}

static void check_len(uint32_t len, enum spop_status status)
{
    const uint8_t bytes[4] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};

    for (unsigned opened = 0; opened < 2; opened++) {
        reset_session();
        if (opened)
            open_session();
        sink_put(&f.in, bytes, sizeof(bytes));
        assert_int_equal(feed(), 0);
        check_closed(status);
    }
}

/* Known from the first four bytes. */
static void bad_len(void **state)
{
    (void)state;
    check_len(0, SPOP_STATUS_INVALID);
    check_len(1, SPOP_STATUS_INVALID);
    check_len(6, SPOP_STATUS_INVALID);
    check_len(SPOP_SESSION_FRAME_MAX + 1, SPOP_STATUS_TOO_BIG);
    check_len(UINT32_MAX, SPOP_STATUS_TOO_BIG);
    check_len(0x47455420, SPOP_STATUS_TOO_BIG); /* "GET " */
    assert_int_equal(f.metrics.protocol_errors_total, 12);
}

static void largest_frame(void **state)
{
    static const uint8_t payload[SPOP_SESSION_FRAME_MAX];

    (void)state;
    open_session();
    spop_peer_frame(&f.in, 50, 1, 1, span_of(payload, SPOP_SESSION_FRAME_MAX - 7));
    feed_all();
    assert_int_equal(f.session.phase, SPOP_SESSION_ACTIVE);
}

static void malformed_ids(void **state)
{
    (void)state;
    open_session();
    uint8_t *begin = f.in.at;
    sink_put(&f.in, "\0\0\0\0\x03\0\0\0\x01\xf0\xff", 11); /* a varint without its end */
    spop_peer_end(&f.in, begin);
    assert_int_equal(feed(), 0);
    check_closed(SPOP_STATUS_INVALID);
}

static void check_fragment(uint8_t type, uint32_t flags, bool opened)
{
    reset_session();
    if (opened)
        open_session();
    spop_peer_end(&f.in, spop_peer_begin(&f.in, type, flags, 1, 1));
    feed_all();
    check_closed(SPOP_STATUS_NO_FRAGMENTATION);
}

static void fragments(void **state)
{
    (void)state;
    check_fragment(SPOP_NOTIFY, 0, true);
    check_fragment(SPOP_NOTIFY, SPOP_FLAG_ABORT, true);
    check_fragment(SPOP_UNSET, 0, true);
    check_fragment(SPOP_UNSET, SPOP_FLAG_FIN, true);
    check_fragment(SPOP_HAPROXY_HELLO, 0, false);
}

static void frames_of_an_agent(void **state)
{
    (void)state;
    for (unsigned type = SPOP_AGENT_HELLO; type <= SPOP_ACK; type++) {
        open_session();
        spop_peer_frame(&f.in, (uint8_t)type, 0, 0, span_of(NULL, 0));
        feed_all();
        check_closed(SPOP_STATUS_INVALID);
    }
}

/* SPOE.txt 3.2: unknown frames may be skipped. */
static void unknown_types_are_skipped(void **state)
{
    (void)state;
    open_session();
    for (unsigned type = SPOP_NOTIFY + 1; type <= UINT8_MAX; type++)
        if (type < SPOP_AGENT_HELLO || type > SPOP_ACK)
            spop_peer_frame(&f.in, (uint8_t)type, 9, 9, span_of_text("\xff\xff"));
    feed_all();
    assert_int_equal(f.replies.len, 0);
    struct spop_frame frame = ask("mymaster", NULL);
    assert_true(spop_peer_says(&frame, "state", "ok"));
}

/* Another process has heard HELLO. */
static void resumed(void **state)
{
    uint8_t payload[300] = {0};

    (void)state;
    assert_false(spop_session_resume(&f.session, SPOP_FRAME_SIZE_MIN - 1));
    assert_false(spop_session_resume(&f.session, SPOP_SESSION_FRAME_MAX + 1));
    assert_int_equal(f.session.phase, SPOP_SESSION_HELLO);
    assert_true(spop_session_resume(&f.session, 256));
    spop_peer_frame(&f.in, 50, 1, 1, span_of(payload, 256 - 7));
    feed_all();
    assert_int_equal(f.session.phase, SPOP_SESSION_ACTIVE);
    spop_peer_frame(&f.in, 50, 1, 1, span_of(payload, 257 - 7));
    assert_int_equal(feed(), 0);
    check_closed(SPOP_STATUS_TOO_BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(hello),
        SESSION_TEST(hello_with_a_small_frame_size),
        SESSION_TEST(hello_refused),
        SESSION_TEST(hello_malformed),
        SESSION_TEST(hello_with_ids),
        SESSION_TEST(second_hello),
        SESSION_TEST(first_frame_is_no_hello),
        SESSION_TEST(health_check),
        SESSION_TEST(health_check_refused_while_starting),
        SESSION_TEST(health_check_refused_while_draining),
        SESSION_TEST(a_guest),
        SESSION_TEST(disconnect_by_haproxy),
        SESSION_TEST(nothing_is_taken_after_the_end),
        SESSION_TEST(close_by_us),
        SESSION_TEST(bad_len),
        SESSION_TEST(largest_frame),
        SESSION_TEST(malformed_ids),
        SESSION_TEST(fragments),
        SESSION_TEST(frames_of_an_agent),
        SESSION_TEST(unknown_types_are_skipped),
        SESSION_TEST(resumed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
