/* NOTIFY and ACK: what is asked, what is answered, in whatever pieces it comes. */
#include <dlfcn.h>
#include <stdlib.h>

#include "spoa/core/haproxy/actions.h"
#include "tests/lib/guarded.h"
#include "tests/unit/core/haproxy/spop_session_fixture.h"

#define ACK_FRAME_MAX 256

/* ---- counting allocations; a sanitizer has its own allocator, which must stay in place ---- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OWN_ALLOCATOR 0
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define OWN_ALLOCATOR 0
#endif
#if !defined(OWN_ALLOCATOR)
#define OWN_ALLOCATOR 1
#endif

#if OWN_ALLOCATOR
static volatile unsigned long allocations; /* the compiler knows malloc() to change nothing of ours */

static void *next_definition(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    if (found == NULL)
        abort();
    return found;
}

void *malloc(size_t size)
{
    static void *(*next)(size_t);

    if (next == NULL)
        *(void **)(void *)&next = next_definition("malloc");
    allocations++;
    return next(size);
}

void *calloc(size_t nmemb, size_t size)
{
    static void *(*next)(size_t, size_t);

    if (next == NULL)
        *(void **)(void *)&next = next_definition("calloc");
    allocations++;
    return next(nmemb, size);
}

void *realloc(void *ptr, size_t size)
{
    static void *(*next)(void *, size_t);

    if (next == NULL)
        *(void **)(void *)&next = next_definition("realloc");
    allocations++;
    return next(ptr, size);
}
#endif

/* ---- NOTIFY and ACK ---- */

static void notify(void **state)
{
    struct spop_value value;

    (void)state;
    open_session();
    struct spop_frame frame = ask("mymaster", NULL);
    assert_true(spop_peer_says(&frame, "state", "ok"));
    assert_true(spop_peer_says(&frame, "master", "R1"));
    assert_int_equal(spop_peer_variable(&frame, "addr", &value), 1);
    assert_int_equal(value.type, SPOP_IPV4);
    assert_memory_equal(value.ipv4, "\x7f\x00\x00\x01", 4);
    assert_int_equal(spop_peer_variable(&frame, "port", &value), 1);
    assert_int_equal(value.integer, 7001);
    assert_int_equal(f.metrics.notifies_total, 1);
    assert_int_equal(f.metrics.answers_named_total, 1);
    assert_int_equal(f.metrics.answers_unnamed_total, 0);
}

/* The answer is of the moment of the question: an expired vote names nobody. */
static void notify_after_the_vote_expired(void **state)
{
    (void)state;
    open_session();
    spop_peer_notify(&f.in, 1, 1, "mymaster", NULL);
    assert_int_equal(spop_session_feed(&f.session, written(), NOW_MS + 2000, &f.out), written().len);
    struct span replies = span_of(f.replies.data, (size_t)(f.out.at - f.replies.data));
    struct spop_frame frame;
    assert_true(spop_peer_reply(&replies, &frame));
    assert_true(spop_peer_says(&frame, "state", "no-quorum"));
    assert_int_equal(spop_peer_variable(&frame, "master", NULL), 0);
    assert_int_equal(f.metrics.answers_unnamed_total, 1);
}

static void notify_without_a_message(void **state)
{
    (void)state;
    open_session();
    spop_peer_frame(&f.in, SPOP_NOTIFY, 3, 1, span_of(NULL, 0));
    assert_int_equal(written().len, SPOP_LEN_BYTES + SPOP_FRAME_MIN);
    feed_all();
    struct spop_frame frame = next_reply();
    assert_int_equal(frame.stream_id, 3);
    assert_true(spop_peer_says(&frame, "state", "ok")); /* there is one service only */
}

static void notify_without_arguments(void **state)
{
    (void)state;
    open_session();
    struct spop_frame frame = ask(NULL, NULL);
    assert_true(spop_peer_says(&frame, "master", "R1"));
    add_service(1, "other", "R2", "127.0.0.1:7002");
    frame = ask(NULL, NULL);
    assert_true(spop_peer_says(&frame, "state", "unknown-service"));
    assert_int_equal(spop_peer_variable(&frame, "master", NULL), 0);
    frame = ask("other", NULL);
    assert_true(spop_peer_says(&frame, "state", "starting"));
    frame = ask("mymaster", NULL);
    assert_true(spop_peer_says(&frame, "master", "R1"));
}

static void unknown_service(void **state)
{
    static const char *const names[] = {"", "mymaste", "mymasterr", "MYMASTER"};

    (void)state;
    open_session();
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct spop_frame frame = ask(names[i], NULL);
        assert_true(spop_peer_says(&frame, "state", "unknown-service"));
    }
    assert_int_equal(f.metrics.answers_unnamed_total, 4);
}

static void role(void **state)
{
    (void)state;
    open_session();
    struct spop_frame frame = ask("mymaster", "master");
    assert_true(spop_peer_says(&frame, "master", "R1"));
    frame = ask("mymaster", "replica");
    assert_true(spop_peer_says(&frame, "state", "unknown-service"));
    frame = ask(NULL, "replica");
    assert_true(spop_peer_says(&frame, "state", "unknown-service"));
    frame = ask(NULL, "master");
    assert_true(spop_peer_says(&frame, "master", "R1"));
}

/* Among arguments that mean nothing to us, of every type, the one that does is found wherever it stands. */
static void many_arguments(void **state)
{
    static const struct spop_value fillers[] = {
        {.type = SPOP_NULL},
        {.type = SPOP_BOOL, .boolean = true},
        {.type = SPOP_INT64, .integer = -1},
        {.type = SPOP_IPV4, .ipv4 = {127, 0, 0, 1}},
        {.type = SPOP_IPV6, .ipv6 = {[15] = 1}},
        {.type = SPOP_BINARY, .text = {(const uint8_t *)"\0x", 2}},
    };
    struct spop_value service = spop_text(span_of_text("mymaster"));

    (void)state;
    add_service(1, "other", "R2", "127.0.0.1:7002");
    open_session();
    for (unsigned at = 0; at < 255; at += 127) {
        uint8_t *begin = spop_peer_begin(&f.in, SPOP_NOTIFY, SPOP_FLAG_FIN, at, 1);
        spop_peer_message(&f.in, "lookup", 255);
        for (unsigned i = 0; i < 255; i++)
            if (i == at)
                spop_kv_write(&f.in, "service", &service);
            else
                spop_kv_write(&f.in, i % 2 ? "" : "x", &fillers[i % 6]);
        spop_peer_end(&f.in, begin);
        feed_all();
        struct spop_frame frame = next_reply();
        assert_int_equal(frame.stream_id, at);
        assert_true(spop_peer_says(&frame, "master", "R1"));
    }
}

/* A sample that HAProxy did not have comes as NULL; other types name no service either. */
static void service_of_another_type(void **state)
{
    const struct spop_value values[] = {
        {.type = SPOP_NULL},
        {.type = SPOP_INT64, .integer = 1},
        {.type = SPOP_BINARY, .text = span_of_text("mymaster")},
    };

    (void)state;
    add_service(1, "other", "R2", "127.0.0.1:7002");
    open_session();
    for (size_t i = 0; i < 3; i++) {
        uint8_t *begin = spop_peer_begin(&f.in, SPOP_NOTIFY, SPOP_FLAG_FIN, 1, 1);
        spop_peer_message(&f.in, "lookup", 1);
        spop_kv_write(&f.in, "service", &values[i]);
        spop_peer_end(&f.in, begin);
        feed_all();
        assert_true(is_answered_with("unknown-service"));
    }
}

static void put_argument(const char *name, const char *text)
{
    struct spop_value value = spop_text(span_of_text(text));

    spop_kv_write(&f.in, name, &value);
}

/* Messages of others stand before and behind ours; nothing of theirs is taken for ours. */
static void several_messages(void **state)
{
    (void)state;
    add_service(1, "other", "R2", "127.0.0.1:7002");
    open_session();
    uint8_t *begin = spop_peer_begin(&f.in, SPOP_NOTIFY, SPOP_FLAG_FIN, 1, 1);
    spop_peer_message(&f.in, "theirs", 2);
    put_argument("role", "admin");
    put_argument("user", "mymaster");
    spop_peer_message(&f.in, "empty", 0);
    spop_peer_message(&f.in, "lookup", 1);
    put_argument("service", "mymaster");
    spop_peer_message(&f.in, "theirs", 2);
    put_argument("service", "other");
    put_argument("role", "admin");
    spop_peer_end(&f.in, begin);
    feed_all();
    struct spop_frame frame = next_reply();
    assert_true(spop_peer_says(&frame, "master", "R1"));
    assert_int_equal(f.replies.len, 0); /* one ACK for one NOTIFY */
}

/* Without any service a role other than "master" counts, in whichever message it stands. */
static void several_messages_without_a_service(void **state)
{
    (void)state;
    open_session();
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *begin = spop_peer_begin(&f.in, SPOP_NOTIFY, SPOP_FLAG_FIN, 1, 1);
        spop_peer_message(&f.in, "a", 1);
        put_argument("role", i == 0 ? "admin" : "master");
        spop_peer_message(&f.in, "b", 1);
        put_argument("role", i == 0 ? "master" : "admin");
        spop_peer_end(&f.in, begin);
        feed_all();
        assert_true(is_answered_with("unknown-service"));
    }
}

/*
 * Questions about several services that come by turns are looked up ahead, many at once: the answers are the
 * same, also where a question is not known, a frame of another type comes between, or the last one is cut
 * off.
 */
static void services_by_turns(void **state)
{
    static const char *const services[] = {"mymaster", "other", "nobody"};
    static const char *const states[] = {"ok", "starting", "unknown-service"};
    const size_t count = 100;

    (void)state;
    add_service(1, "other", "R2", "127.0.0.1:7002"); /* has no votes yet */
    open_session();
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < count; i++) {
            spop_peer_notify(&f.in, i, i + 1, services[i % 3], NULL);
            if (i % 45 == 44)
                spop_peer_frame(&f.in, 50, 1, 1, span_of_text("of a type that nobody knows"));
        }
        size_t whole = written().len;
        spop_peer_notify(&f.in, 1, 1, services[0], NULL);
        f.in.at--;
        assert_int_equal(feed(), whole);
        for (size_t i = 0; i < count; i++) {
            struct spop_frame frame = next_reply();
            assert_true(frame.stream_id == i && frame.frame_id == i + 1);
            assert_true(spop_peer_says(&frame, "state", states[i % 3]));
        }
        assert_int_equal(f.replies.len, 0);
    }
    assert_true(service_table_is_mixed(f.table));
    for (unsigned i = 0; i < 8; i++)
        spop_peer_notify(&f.in, 1, 1, services[0], NULL);
    feed_all();
    assert_false(service_table_is_mixed(f.table)); /* the same question again and again */
    for (unsigned i = 0; i < 8; i++)
        assert_true(is_answered_with("ok"));
    (void)ask("other", NULL);
    assert_true(service_table_is_mixed(f.table));
    (void)ask("other", NULL);
    assert_false(service_table_is_mixed(f.table));
}

/* After a malformed question nothing is answered, whatever was looked up ahead. */
static void services_by_turns_until_one_is_malformed(void **state)
{
    (void)state;
    add_service(1, "other", "R2", "127.0.0.1:7002");
    open_session();
    for (unsigned round = 0; round < 2; round++) {
        if (round == 1)
            assert_true(service_table_is_mixed(f.table));
        spop_peer_notify(&f.in, 1, 1, "mymaster", NULL);
        spop_peer_notify(&f.in, 2, 1, "other", NULL);
        if (round == 1)
            spop_peer_frame(&f.in, SPOP_NOTIFY, 3, 1, span_of_text("\x06lookup"));
        spop_peer_notify(&f.in, 4, 1, "mymaster", NULL);
        (void)feed();
        assert_true(is_answered_with("ok"));
        assert_true(is_answered_with("starting"));
        if (round == 0)
            assert_true(is_answered_with("ok"));
    }
    check_closed(SPOP_STATUS_INVALID);
}

static void malformed_notify(void **state)
{
    static const struct span payloads[] = {
        {(const uint8_t *)"\x06lookup", 7},         /* no count */
        {(const uint8_t *)"\x06look", 5},           /* name cut */
        {(const uint8_t *)"\x01m\x01", 3},          /* argument missing */
        {(const uint8_t *)"\x01m\x01\x01s\x0a", 6}, /* reserved type */
        {(const uint8_t *)"\x01m\x01\x01s\x08\x05"
                          "abcd",
         11}, /* string cut */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(payloads) / sizeof(*payloads); i++) {
        uint64_t errors = f.metrics.protocol_errors_total;
        open_session();
        spop_peer_frame(&f.in, SPOP_NOTIFY, 1, 1, payloads[i]);
        feed_all();
        check_closed(SPOP_STATUS_INVALID);
        assert_int_equal(f.metrics.protocol_errors_total, errors + 1);
    }
    assert_int_equal(f.metrics.notifies_total, 0);
}

static void ids_are_opaque(void **state)
{
    static const uint64_t ids[] = {0, 1, 239, 240, 2288, UINT32_MAX, UINT64_C(1) << 63, UINT64_MAX};
    const size_t count = sizeof(ids) / sizeof(*ids);

    (void)state;
    open_session();
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count; k++)
            spop_peer_notify(&f.in, ids[i], ids[k], "mymaster", NULL);
    feed_all();
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count; k++) {
            struct spop_frame frame = next_reply();
            assert_true(frame.type == SPOP_ACK && frame.stream_id == ids[i] && frame.frame_id == ids[k]);
        }
    assert_int_equal(f.replies.len, 0);
}

/* The longest name that the configuration takes, the longest address, the longest ids: the ACK must fit the
 * smallest frame size, and it is never without an action (HAProxy 3.1 hangs on that). */
static void longest_ack(void **state)
{
    char name[SERVER_NAME_MAX + 1];

    (void)state;
    memset(name, 'R', sizeof(name));
    name[SERVER_NAME_MAX] = '\0';
    add_service(1, "long", name, "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
    vote(1);
    open_session();
    for (unsigned i = 0; i < 3; i++) {
        spop_peer_notify(&f.in, UINT64_MAX, UINT64_MAX,
                         i == 0   ? "long"
                         : i == 1 ? "mymaster"
                                  : "nobody",
                         NULL);
        feed_all();
        size_t len = f.replies.len;
        struct spop_frame frame = next_reply();
        assert_true(len - SPOP_LEN_BYTES <= ACK_FRAME_MAX);
        assert_true(spop_peer_variable(&frame, "state", NULL) == 1);
        if (i == 0)
            assert_true(spop_peer_says(&frame, "master", name));
    }
}

/* ---- frames that come in pieces, and replies that find no room ---- */

#define BATCH 1000

static void write_batch(void)
{
    spop_peer_hello(&f.in, 16380, false);
    for (uint64_t i = 0; i < BATCH; i++)
        spop_peer_notify(&f.in, i * 7, i, i % 2 ? "mymaster" : NULL, NULL);
}

static void check_batch(struct span replies)
{
    struct spop_frame frame;

    assert_true(spop_peer_reply(&replies, &frame));
    assert_int_equal(frame.type, SPOP_AGENT_HELLO);
    for (uint64_t i = 0; i < BATCH; i++) {
        assert_true(spop_peer_reply(&replies, &frame));
        assert_true(frame.type == SPOP_ACK && frame.stream_id == i * 7 && frame.frame_id == i);
        assert_true(spop_peer_says(&frame, "master", "R1"));
    }
    assert_int_equal(replies.len, 0);
}

/*
 * As long as there is less than SPOP_SESSION_REPLY_MAX of room nothing is taken; nothing is lost or doubled.
 */
static void batch_into_small_sinks(void **state)
{
    static const size_t sizes[] = {SPOP_SESSION_REPLY_MAX, SPOP_SESSION_REPLY_MAX + 1, 1000, 4096};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct sink all = sink_of(f.out_space, sizeof(f.out_space));
        reset_session();
        write_batch();
        struct span in = written();
        while (in.len > 0) {
            uint8_t *space = guarded_space(sizes[i]);
            struct sink out = sink_of(space, sizes[i]);
            size_t taken = spop_session_feed(&f.session, in, NOW_MS, &out);
            assert_true(taken > 0 && !out.full);
            sink_put(&all, space, (size_t)(out.at - space));
            in = span_of(in.data + taken, in.len - taken);
        }
        assert_false(all.full);
        check_batch(span_of(f.out_space, (size_t)(all.at - f.out_space)));
    }
}

static void no_room_for_a_reply(void **state)
{
    uint8_t space[SPOP_SESSION_REPLY_MAX - 1];
    struct sink out = sink_of(space, sizeof(space));

    (void)state;
    spop_peer_hello(&f.in, 16380, false);
    assert_int_equal(spop_session_feed(&f.session, written(), NOW_MS, &out), 0);
    assert_ptr_equal(out.at, space);
    assert_int_equal(f.session.phase, SPOP_SESSION_HELLO);
}

/* Input in pieces of `size` bytes: what was not taken is offered again with the next piece. */
static void feed_in_pieces(struct span in, size_t size)
{
    size_t offered = 0;
    size_t taken = 0;

    while (offered < in.len) {
        offered = in.len - offered < size ? in.len : offered + size;
        taken += spop_session_feed(&f.session, span_of(in.data + taken, offered - taken), NOW_MS, &f.out);
        assert_true(taken <= offered);
    }
    assert_int_equal(taken, in.len);
}

static void batch_in_pieces(void **state)
{
    (void)state;
    for (size_t size = 1; size < 200; size++) {
        reset_session();
        write_batch();
        feed_in_pieces(written(), size);
        check_batch(span_of(f.out_space, (size_t)(f.out.at - f.out_space)));
    }
}

/* Cut anywhere, a frame's beginning is neither taken nor read beyond its end. */
static void cut_at_every_length(void **state)
{
    (void)state;
    spop_peer_hello(&f.in, 16380, false);
    size_t hello_len = written().len;
    spop_peer_notify(&f.in, 5, 6, "mymaster", "master");
    for (size_t len = 0; len <= written().len; len++) {
        struct spop_session session;
        struct sink out = sink_of(f.out_space, sizeof(f.out_space));
        spop_session_init(&session, f.table, &f.metrics, &f.draining);
        struct span in = span_of(guarded_copy(f.in_space, len), len);
        size_t taken = spop_session_feed(&session, in, NOW_MS, &out);
        assert_int_equal(taken, len < hello_len ? 0 : len < written().len ? hello_len : len);
        assert_int_equal(session.phase, len < hello_len ? SPOP_SESSION_HELLO : SPOP_SESSION_ACTIVE);
    }
    assert_int_equal(f.metrics.notifies_total, 1);
}

#if OWN_ALLOCATOR
static void notify_allocates_nothing(void **state)
{
    (void)state;
    const char *preload = getenv("LD_PRELOAD");
    if (preload != NULL && strstr(preload, "vgpreload") != NULL)
        skip(); /* valgrind has an allocator of its own, too */
    unsigned long none = allocations;
    service_table_destroy(service_table_create(NULL));
    assert_true(allocations > none); /* the definitions above are in use */
    write_batch();
    spop_peer_notify(&f.in, 1, 1, "nobody", "replica");
    unsigned long before = allocations;
    size_t taken = spop_session_feed(&f.session, written(), NOW_MS, &f.out);
    unsigned long after = allocations;
    assert_int_equal(taken, written().len);
    assert_int_equal(after - before, 0);
    assert_int_equal(f.metrics.notifies_total, BATCH + 1);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(notify),
        SESSION_TEST(notify_after_the_vote_expired),
        SESSION_TEST(notify_without_a_message),
        SESSION_TEST(notify_without_arguments),
        SESSION_TEST(unknown_service),
        SESSION_TEST(role),
        SESSION_TEST(many_arguments),
        SESSION_TEST(service_of_another_type),
        SESSION_TEST(several_messages),
        SESSION_TEST(several_messages_without_a_service),
        SESSION_TEST(services_by_turns),
        SESSION_TEST(services_by_turns_until_one_is_malformed),
        SESSION_TEST(malformed_notify),
        SESSION_TEST(ids_are_opaque),
        SESSION_TEST(longest_ack),
        SESSION_TEST(batch_into_small_sinks),
        SESSION_TEST(no_room_for_a_reply),
        SESSION_TEST(batch_in_pieces),
        SESSION_TEST(cut_at_every_length),
#if OWN_ALLOCATOR
        SESSION_TEST(notify_allocates_nothing),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
