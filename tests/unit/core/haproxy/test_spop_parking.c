/* Questions that wait: when they are answered, what is counted of it, and what is left of a session that ends. */
#include <string.h>

#include "tests/unit/core/haproxy/spop_session_fixture.h"

#define PARK_MS 800

static struct parking *parking;
static unsigned wakes;
static enum client_state seen;

static void count_wake(void *context)
{
    (void)context;
    wakes++;
}

static void look(void *context, const struct client *const *clients, size_t count, enum client_state *states)
{
    (void)context;
    (void)clients;
    for (size_t i = 0; i < count; i++)
        states[i] = seen;
}

/* One service that parks, without a master yet. */
static int set_up_parking(void **state)
{
    (void)state;
    memset(&f, 0, sizeof(f));
    wakes = 0;
    seen = CLIENT_STATE_THERE;
    parking = parking_create(8, count_wake, NULL);
    assert_non_null(parking);
    parking_look_with(parking, look, NULL);
    f.table = service_table_create(parking);
    assert_non_null(f.table);
    add_service(0, "mymaster", "R1", "127.0.0.1:7001");
    f.settings[0].park_ms = PARK_MS;
    f.settings[0].refuses_gone = true;
    open_session();
    return 0;
}

static int tear_down_parking(void **state)
{
    spop_session_finish(&f.session, NOW_MS);
    assert_int_equal(parking_count(parking), 0);
    (void)tear_down(state);
    parking_destroy(parking);
    return 0;
}

/* A question of a client with an address. */
static void ask_for_client(uint64_t stream_id)
{
    uint8_t *begin = spop_peer_begin(&f.in, SPOP_NOTIFY, SPOP_FLAG_FIN, stream_id, 1);
    struct spop_value addr = {.type = SPOP_IPV4, .ipv4 = {10, 0, 0, 1}};
    struct spop_value port = spop_int64(6379);

    spop_peer_message(&f.in, "lookup", 4);
    spop_kv_write(&f.in, "src", &addr);
    spop_kv_write(&f.in, "src_port", &port);
    spop_kv_write(&f.in, "dst", &addr);
    spop_kv_write(&f.in, "dst_port", &port);
    spop_peer_end(&f.in, begin);
    feed_all();
}

static void release(int64_t now_ms)
{
    const uint8_t *before = f.out.at;

    spop_session_release(&f.session, now_ms, &f.out);
    f.replies.len += (size_t)(f.out.at - before);
}

static void test_a_wait_and_its_account(void **state)
{
    (void)state;
    for (uint64_t stream_id = 1; stream_id <= 2; stream_id++)
        spop_peer_notify(&f.in, stream_id, 5, NULL, NULL);
    feed_all();
    assert_int_equal(f.metrics.parked_total, 2);
    assert_int_equal(f.metrics.notifies_total, 0); /* they are counted when they are answered */
    release(NOW_MS);
    assert_int_equal(f.replies.len, 0);
    vote(0);
    assert_true(wakes > 0);
    release(NOW_MS + 7);
    for (uint64_t stream_id = 1; stream_id <= 2; stream_id++) {
        struct spop_frame frame = next_reply();
        assert_int_equal(frame.type, SPOP_ACK);
        assert_int_equal(frame.stream_id, stream_id);
        assert_int_equal(frame.frame_id, 5);
        assert_true(spop_peer_says(&frame, "master", "R1"));
    }
    assert_int_equal(f.replies.len, 0);
    assert_int_equal(f.metrics.notifies_total, 2);
    assert_int_equal(f.metrics.answers_named_total, 2);
    assert_int_equal(f.metrics.answers_unnamed_total, 0);
    assert_int_equal(f.metrics.clients_gone_total, 0);
    assert_int_equal(f.metrics.parked_times.sum_us, 2 * 7000);
    assert_int_equal(f.metrics.parked_times.counts[0] + f.metrics.parked_times.counts[1], 2);
    assert_int_equal(service_table_counters(f.table, "mymaster")->masters[SERVICE_OK], 2);
}

/* A client that has gone is told no state of the service, and none is counted. */
static void test_a_client_that_has_gone(void **state)
{
    (void)state;
    ask_for_client(1);
    (void)parking_look(parking, NOW_MS);
    seen = CLIENT_STATE_GONE;
    (void)parking_look(parking, NOW_MS + PARKING_LOOK_MS);
    release(NOW_MS + PARKING_LOOK_MS);
    assert_true(is_answered_with("client-gone"));
    assert_int_equal(f.metrics.clients_gone_total, 1);
    assert_int_equal(f.metrics.notifies_total, 1);
    assert_int_equal(f.metrics.answers_unnamed_total, 1);
    assert_int_equal(f.metrics.answers_named_total, 0);
    assert_int_equal(service_table_counters(f.table, "mymaster")->masters[SERVICE_STARTING], 0);
}

/* Where the output has no room for another answer, the rest waits until it has. */
static void test_released_as_there_is_room(void **state)
{
    uint8_t space[2 * SPOP_SESSION_REPLY_MAX - 1];
    struct sink tight = sink_of(space, sizeof(space));

    (void)state;
    for (uint64_t stream_id = 1; stream_id <= 8; stream_id++)
        spop_peer_notify(&f.in, stream_id, 5, NULL, NULL);
    feed_all();
    vote(0);
    spop_session_release(&f.session, NOW_MS, &tight);
    assert_false(tight.full);
    assert_true(sink_room(&tight) < SPOP_SESSION_REPLY_MAX);
    assert_in_range(f.metrics.notifies_total, 1, 7);
    release(NOW_MS);
    assert_int_equal(f.metrics.notifies_total, 8);
}

/* Nothing is said after AGENT-DISCONNECT. */
static void test_nothing_after_the_end(void **state)
{
    (void)state;
    spop_peer_notify(&f.in, 1, 5, NULL, NULL);
    feed_all();
    spop_session_close(&f.session, SPOP_STATUS_NORMAL, &f.out);
    vote(0);
    const uint8_t *end = f.out.at;
    release(NOW_MS);
    assert_ptr_equal(f.out.at, end);
    assert_int_equal(parking_count(parking), 1);
    spop_session_finish(&f.session, NOW_MS);
    assert_int_equal(parking_count(parking), 0);
}

#define PARKING_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_parking, tear_down_parking)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PARKING_TEST(test_a_wait_and_its_account),
        PARKING_TEST(test_a_client_that_has_gone),
        PARKING_TEST(test_released_as_there_is_room),
        PARKING_TEST(test_nothing_after_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
