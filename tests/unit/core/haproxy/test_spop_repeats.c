/*
 * Questions that repeat the last one, for other clients: most are. They are answered without being read, and
 * yet each as if it were the first.
 */
#include "tests/unit/core/haproxy/spop_session_fixture.h"

#include "proto/spop_frame.h"

#define MANY 40

static struct span state_of(const struct spop_frame *frame)
{
    struct spop_value value = spop_text(span_of_text(""));

    assert_int_equal(frame->type, SPOP_ACK);
    assert_int_equal(spop_peer_variable(frame, "state", &value), 1);
    return value.text;
}

static void expect(uint64_t stream_id, const char *state)
{
    struct spop_frame frame = next_reply();

    assert_true(frame.stream_id == stream_id && frame.frame_id == stream_id + 1);
    assert_true(span_equals_text(state_of(&frame), state));
}

/* The client's address is IPv6 where its port is odd. */
static void put_question(uint64_t stream_id, const char *service, const char *role, uint16_t src_port)
{
    const struct spop_value named = spop_text(span_of_text(service));
    const struct spop_value asked = spop_text(span_of_text(role));
    const struct spop_value addr = {.type = src_port % 2 == 0 ? SPOP_IPV4 : SPOP_IPV6,
                                    .ipv6 = {10, 0, 0, 7, 1, 2, 3}};
    const struct spop_value from = spop_int64(src_port);
    const struct spop_value to = spop_int64(6379);
    uint8_t *begin = spop_peer_begin(&f.in, SPOP_NOTIFY, SPOP_FLAG_FIN, stream_id, stream_id + 1);

    spop_peer_message(&f.in, "find-master", 6);
    spop_kv_write(&f.in, "service", &named);
    spop_kv_write(&f.in, "role", &asked);
    spop_kv_write(&f.in, "src", &addr);
    spop_kv_write(&f.in, "src_port", &from);
    spop_kv_write(&f.in, "dst", &addr);
    spop_kv_write(&f.in, "dst_port", &to);
    spop_peer_end(&f.in, begin);
}

static void put_many(size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_question(i, "mymaster", "master", (uint16_t)(40000 + i));
}

static void feed_at(int64_t now_ms)
{
    struct span in = written();
    const uint8_t *before = f.out.at;

    assert_int_equal(spop_session_feed(&f.session, in, now_ms, &f.out), in.len);
    f.in = sink_of(f.in_space, sizeof(f.in_space));
    f.replies.len += (size_t)(f.out.at - before);
}

/* The question is known from now on, and its answer is at hand: the first answer of all is a change that has been told. */
static void ask_first(void)
{
    open_session();
    for (unsigned i = 0; i < 2; i++) {
        put_many(1);
        feed_all();
        expect(0, "ok");
    }
}

static const struct answer_counters *counters(void)
{
    return service_table_counters(f.table, "mymaster");
}

static void each_has_its_own_ids(void **state)
{
    static const uint64_t ids[] = {1, 239, 240, 2287, 2288, UINT32_MAX, UINT64_MAX - 1};

    (void)state;
    ask_first();
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
        put_question(ids[i], "mymaster", "master", 40001);
    feed_all();
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
        expect(ids[i], "ok");
    assert_int_equal(f.replies.len, 0);
}

static void each_is_counted(void **state)
{
    (void)state;
    ask_first();
    put_many(MANY);
    feed_all();
    assert_int_equal(f.metrics.notifies_total, MANY + 2);
    assert_int_equal(f.metrics.answers_named_total, MANY + 2);
    assert_int_equal(f.metrics.answers_unnamed_total, 0);
    assert_int_equal(counters()->masters[SERVICE_OK], MANY + 2);
}

/* Ports of one and two bytes have other lengths. */
static void whatever_the_port(void **state)
{
    static const uint16_t ports[] = {40000, 1, 239, 240, 2287, 2288, 65535, 40001, 3, 0, 40002};
    const size_t count = sizeof(ports) / sizeof(*ports);

    (void)state;
    ask_first();
    for (size_t i = 0; i < count; i++)
        put_question(i, "mymaster", "master", ports[i]);
    feed_all();
    for (size_t i = 0; i < count; i++)
        expect(i, "ok");
}

/* Another question, one of the replicas, and a frame that is no question end a row of repeats. */
static void something_else_between(void **state)
{
    (void)state;
    add_service(1, "other", "R2", "127.0.0.1:7002"); /* has no votes yet */
    ask_first();
    for (unsigned round = 0; round < 3; round++) {
        put_many(5);
        put_question(5, "other", "master", 40000);
        put_question(6, "mymaster", "replica", 40000);
        put_question(7, "mymaster", "master", 40000);
        spop_peer_frame(&f.in, 50, 1, 1, span_of_text("of a type that nobody knows"));
        put_question(8, "mymaster", "master", 40000);
        put_question(9, "mymaster", "master", 40000);
        feed_all();
        for (uint64_t i = 0; i < 10; i++)
            expect(i, i == 5 ? "starting" : i == 6 ? "unknown-service" : "ok");
        assert_int_equal(f.replies.len, 0);
    }
    assert_int_equal(f.metrics.notifies_total, 32);
    assert_int_equal(f.metrics.answers_named_total, 26);
}

/* What a session must make of a frame, whatever it was asked before: the state, or NULL where there is no ACK. */
static const char *wanted_for(struct span in)
{
    struct spop_frame frame;
    struct service_question question;

    if (spop_frame_parse(in.data, in.len, SPOP_SESSION_FRAME_MAX, &frame) <= 0 || frame.type != SPOP_NOTIFY ||
        (frame.flags & SPOP_FLAG_FIN) == 0 || !question_read(frame.payload, &question))
        return NULL;
    return service_table_find(f.table, &question) != NULL ? "ok" : "unknown-service";
}

/* A question that is known but for one bit, whichever it is. */
static void no_bit_is_left_out(void **state)
{
    unsigned others = 0;

    (void)state;
    for (uint16_t port = 40000; port <= 40001; port++) {
        put_question(0, "mymaster", "master", port);
        size_t bits = 8 * written().len;
        for (size_t bit = 0; bit < bits; bit++) {
            ask_first();
            put_question(0, "mymaster", "master", port);
            f.in_space[bit / 8] ^= (uint8_t)(1U << bit % 8);
            const char *wanted = wanted_for(written());
            (void)feed();
            others += wanted == NULL || strcmp(wanted, "ok") != 0;
            if (wanted != NULL) {
                struct spop_frame frame = next_reply();
                assert_true(span_equals_text(state_of(&frame), wanted));
            } else if (f.replies.len > 0) {
                assert_int_equal(next_reply().type, SPOP_AGENT_DISCONNECT);
            }
        }
        reset_session();
    }
    assert_true(others > 500);
}

/* Also where several services are asked for by turns. */
static void by_turns_for_whatever_client(void **state)
{
    static const uint16_t ports[] = {40000, 40001, 1, 2, 240, 241, 2288, 2289};
    const size_t count = 4 * sizeof(ports) / sizeof(*ports);

    (void)state;
    add_service(1, "other", "R2", "127.0.0.1:7002"); /* has no votes yet */
    ask_first();
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < count; i++)
            put_question(i, i % 2 == 0 ? "mymaster" : "other", "master", ports[i / 4]);
        feed_all();
        for (size_t i = 0; i < count; i++)
            expect(i, i % 2 == 0 ? "ok" : "starting");
        assert_true(service_table_is_mixed(f.table));
    }
    assert_int_equal(counters()->masters[SERVICE_OK], 3 * count / 2 + 2);
    assert_int_equal(f.metrics.answers_unnamed_total, 3 * count / 2);
}

static void none_after_the_vote_expired(void **state)
{
    (void)state;
    ask_first();
    put_many(3);
    feed_at(NOW_MS + 1999);
    for (uint64_t i = 0; i < 3; i++)
        expect(i, "ok");
    put_many(3);
    feed_at(NOW_MS + 2000);
    for (uint64_t i = 0; i < 3; i++)
        expect(i, "no-quorum");
    assert_int_equal(f.metrics.answers_unnamed_total, 3);
    assert_int_equal(counters()->masters[SERVICE_OK], 5);
}

/* A change between two reads: the next repeat tells it. */
static void none_after_a_change(void **state)
{
    struct addr elsewhere;
    const struct service_event ballot = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_NAMES, .addr = &elsewhere, .t_sent_ms = NOW_MS};

    (void)state;
    assert_true(addr_parse(span_of_text("127.0.0.9:7001"), &elsewhere));
    ask_first();
    (void)step_as(f.services[0], 0, &ballot, NOW_MS);
    put_many(2);
    feed_all();
    expect(0, "unknown-address");
    expect(1, "unknown-address");
    vote(0);
    put_many(2);
    feed_all();
    expect(0, "ok");
    expect(1, "ok");
}

/* As many as there is room for; the rest is taken when there is room again. */
static void as_many_as_fit(void **state)
{
    uint8_t space[SPOP_SESSION_REPLY_MAX + 200];

    (void)state;
    ask_first();
    put_many(MANY);
    struct span in = written();
    uint64_t answered = 0;
    while (in.len > 0) {
        struct sink out = sink_of(space, sizeof(space));
        size_t taken = spop_session_feed(&f.session, in, NOW_MS, &out);
        struct span replies = span_of(space, (size_t)(out.at - space));
        struct spop_frame frame;
        assert_true(taken > 0 && !out.full && replies.len <= 400);
        for (; replies.len > 0; answered++) {
            assert_true(spop_peer_reply(&replies, &frame));
            assert_int_equal(frame.stream_id, answered);
        }
        in = span_of(in.data + taken, in.len - taken);
    }
    assert_int_equal(answered, MANY);
}

/* Another connection asks what is known, without HELLO or after a health check. */
static void none_before_hello(void **state)
{
    (void)state;
    ask_first();
    reset_session();
    put_many(1);
    (void)feed();
    check_closed(SPOP_STATUS_INVALID);
    reset_session();
    spop_peer_hello(&f.in, 16380, true);
    put_many(1);
    (void)feed();
    assert_int_equal(next_reply().type, SPOP_AGENT_HELLO);
    check_closed(SPOP_STATUS_INVALID);
}

/* ---- what needs more than the words ---- */

/* Each question for a replica gets the next one. */
static void replicas_take_turns(void **state)
{
    static const char *const names[] = {"A", "B", "C"};
    static struct service_server servers[3];
    static struct service_settings settings;

    (void)state;
    settings = f.settings[0]; /* the service borrows them until the end */
    for (size_t i = 0; i < 3; i++) {
        char text[] = "10.0.0.1:6379";
        text[7] = (char)('1' + i);
        servers[i] = (struct service_server){.name = names[i], .weight = 1};
        assert_true(addr_parse(span_of_text(text), &servers[i].addr));
    }
    settings.name = settings.monitor = "three";
    settings.servers = servers;
    settings.server_count = 3;
    settings.replicas.is_enabled = true;
    f.services[1] = service_create(&settings, NOW_MS);
    assert_true(service_table_add(f.table, f.services[1]));
    const struct service_event ballot = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_NAMES, .addr = &servers[0].addr, .t_sent_ms = NOW_MS};
    const struct service_event up = {
        .kind = SERVICE_SAID_REPLICAS, .t_sent_ms = NOW_MS, .addr = &servers[0].addr, .servers = 0x6};
    (void)step_as(f.services[1], 0, &ballot, NOW_MS);
    (void)service_step(f.services[1], &up, NOW_MS);
    open_session();
    for (unsigned i = 0; i < 2; i++) { /* the master's answer is at hand */
        put_question(0, "three", "master", 40000);
        feed_all();
        expect(0, "ok");
    }
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 6; i++)
            put_question(i, "three", "replica", 40000);
        feed_all();
        for (unsigned i = 0; i < 6; i++) {
            struct spop_frame frame = next_reply();
            assert_true(spop_peer_says(&frame, "replica", names[1 + i % 2]));
        }
    }
}

static unsigned looks;

static void count_look(void *context, const struct client *const *clients, size_t count,
                       enum client_state *ret_states)
{
    (void)context;
    looks += (unsigned)count;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(clients[i]->src_port, 40000 + looks - 1);
        ret_states[i] = CLIENT_STATE_THERE;
    }
}

static void ignore_wake(void *context)
{
    (void)context;
}

/* Whether clients can be seen is looked at when it is time, with the client of a repeat, too. */
static void a_client_that_is_to_be_looked_at(void **state)
{
    struct parking *parking = parking_create(4, ignore_wake, NULL);
    const struct service_question question = {.service = span_of_text("mymaster")};

    (void)state;
    tear_down(NULL);
    memset(&f, 0, sizeof(f));
    f.table = service_table_create(parking);
    parking_look_with(parking, count_look, NULL);
    add_service(0, "mymaster", "R1", "127.0.0.1:7001");
    vote(0);
    looks = 0;
    ask_first();
    struct parking_queue *queue = service_table_find(f.table, &question);
    assert_int_equal(looks, 0);
    for (unsigned i = 0; i < 3; i++) { /* the first one each time */
        queue->sight_ms = NOW_MS + i;
        put_question(i, "mymaster", "master", (uint16_t)(40000 + i));
        put_question(i, "mymaster", "master", 50000);
        feed_at(NOW_MS + i);
        assert_int_equal(looks, i + 1);
    }
    service_table_destroy(f.table);
    parking_destroy(parking);
    f.table = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(each_has_its_own_ids),
        SESSION_TEST(each_is_counted),
        SESSION_TEST(whatever_the_port),
        SESSION_TEST(something_else_between),
        SESSION_TEST(no_bit_is_left_out),
        SESSION_TEST(by_turns_for_whatever_client),
        SESSION_TEST(none_after_the_vote_expired),
        SESSION_TEST(none_after_a_change),
        SESSION_TEST(as_many_as_fit),
        SESSION_TEST(none_before_hello),
        SESSION_TEST(replicas_take_turns),
        SESSION_TEST(a_client_that_is_to_be_looked_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
