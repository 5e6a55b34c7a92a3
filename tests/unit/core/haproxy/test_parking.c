/* Parked streams: who waits, who is woken when, and that nothing is lost or answered twice. */
#include "spoa/core/haproxy/parking.h"
#include "tests/lib/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define START 1000000
#define F 2000
#define PARK 500
#define MAX 4

/* Two services of one voter, two connections. */
struct fixture {
    struct service_server server;
    struct service_settings settings;
    struct service *services[2];
    struct parking *parking;
    struct answer answers[2];
    struct parking_queue queues[2];
    struct parking_client clients[2];
    struct client asker;         /* of the next stream that is parked */
    enum client_state states[8]; /* of the client with this src_port */
    unsigned looks;              /* clients looked at */
    size_t most;                 /* in one call */
    int64_t now_ms;
    unsigned wakes;
};

static struct fixture f;
static const uint8_t identities[1] = {0};

static void count_wake(void *context)
{
    struct fixture *own = context;

    own->wakes++;
}

static int set_up(void **state)
{
    (void)state;
    f = (struct fixture){.server = {.name = "R1"}, .now_ms = START};
    assert_true(addr_parse(span_of_text("10.0.0.1:6379"), &f.server.addr));
    f.settings = (struct service_settings){
        .name = "m",
        .monitor = "m",
        .servers = &f.server,
        .server_count = 1,
        .park_ms = PARK,
        .quorum = {.identities = identities,
                   .voters = 1,
                   .threshold = 1,
                   .reply_timeout_ms = 500,
                   .vote_life_ms = F,
                   .hold_ms = 150},
        .policy = {.role_check = ROLE_CHECK_VETO},
    };
    f.parking = parking_create(MAX, count_wake, &f);
    for (unsigned i = 0; i < 2; i++) {
        f.services[i] = service_create(&f.settings, START);
        assert_true(answer_init(&f.answers[i], f.services[i]));
        parking_queue_init(&f.queues[i], f.parking, &f.answers[i], SERVICE_ROLE_MASTER);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        parking_drop(&f.clients[i], f.parking);
        service_destroy(f.services[i]);
    }
    assert_int_equal(parking_count(f.parking), 0);
    parking_destroy(f.parking);
    return 0;
}

static void name(unsigned service)
{
    struct service_event ballot = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_NAMES, .addr = &f.server.addr, .t_sent_ms = f.now_ms};

    (void)step_as(f.services[service], 0, &ballot, f.now_ms);
}

static bool park(unsigned service, unsigned client, uint64_t stream_id)
{
    return parking_park(&f.queues[service], &f.clients[client], &f.asker, stream_id, 7, f.now_ms);
}

/* The id of the next stream that is due; 0 where none is. */
static uint64_t next(unsigned client, bool *ret_named)
{
    struct parking_answer answer;

    if (!parking_next(&f.clients[client], f.now_ms, &answer))
        return 0;
    assert_int_equal(answer.frame_id, 7);
    assert_true(answer.actions.len > 0);
    *ret_named = answer.is_named;
    return answer.stream_id;
}

static void expect_next(unsigned client, uint64_t stream_id, bool is_named)
{
    bool named = !is_named;

    assert_int_equal(next(client, &named), stream_id);
    if (stream_id != 0)
        assert_int_equal(named, is_named);
}

static void test_released_by_a_name(void **state)
{
    (void)state;
    assert_true(park(0, 0, 1));
    assert_true(park(1, 0, 2));
    assert_true(park(0, 1, 3));
    assert_true(park(0, 0, 4));
    assert_int_equal(parking_count(f.parking), 4);
    assert_null(parking_take_woken(f.parking));
    name(0);
    assert_int_equal(f.wakes, 1);
    assert_ptr_equal(parking_take_woken(f.parking), &f.clients[0]);
    assert_ptr_equal(parking_take_woken(f.parking), &f.clients[1]);
    assert_null(parking_take_woken(f.parking));
    expect_next(0, 1, true);
    expect_next(0, 4, true);
    expect_next(0, 0, false); /* the other service has no master yet */
    expect_next(1, 3, true);
    name(1);
    assert_int_equal(f.wakes, 2);
    assert_ptr_equal(parking_take_woken(f.parking), &f.clients[0]);
    expect_next(0, 2, true);
    assert_int_equal(f.clients[0].count, 0);
}

static void test_deadline(void **state)
{
    (void)state;
    assert_true(parking_wake_ms(f.parking) == INT64_MAX);
    assert_true(park(0, 0, 1));
    f.now_ms += 100;
    assert_true(park(1, 1, 2));
    assert_int_equal(parking_wake_ms(f.parking), START + PARK);
    f.now_ms = START + PARK - 1;
    parking_tick(f.parking, f.now_ms);
    expect_next(0, 0, false);
    f.now_ms++;
    parking_tick(f.parking, f.now_ms);
    assert_ptr_equal(parking_take_woken(f.parking), &f.clients[0]);
    assert_null(parking_take_woken(f.parking));
    expect_next(0, 1, false);
    assert_int_equal(parking_wake_ms(f.parking), START + 100 + PARK);
    f.now_ms += 100;
    parking_tick(f.parking, f.now_ms);
    expect_next(1, 2, false);
    parking_tick(f.parking, f.now_ms);
    assert_true(parking_wake_ms(f.parking) == INT64_MAX);
}

/* The name is gone again before the connection got its turn: it waits on. */
static void test_name_that_did_not_last(void **state)
{
    (void)state;
    assert_true(park(0, 0, 1));
    name(0);
    assert_ptr_equal(parking_take_woken(f.parking), &f.clients[0]);
    step_role(f.services[0], &f.server.addr, NODE_ROLE_REPLICA, f.now_ms);
    expect_next(0, 0, false);
    f.now_ms += PARK;
    parking_tick(f.parking, f.now_ms);
    assert_ptr_equal(parking_take_woken(f.parking), &f.clients[0]);
    expect_next(0, 1, false);
}

static void test_named_is_not_parked(void **state)
{
    (void)state;
    name(0);
    assert_false(park(0, 0, 1));
    f.settings.park_ms = 0;
    assert_false(park(1, 0, 1));
}

static void test_bound(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MAX; i++)
        assert_true(park(0, 0, i + 1));
    assert_false(park(0, 0, 99));
    parking_hurry(&f.clients[0]);
    for (unsigned i = 0; i < MAX; i++)
        expect_next(0, i + 1, false);
    assert_true(park(0, 0, 100)); /* the places are free again */
}

static void test_a_connection_takes_its_streams_with_it(void **state)
{
    (void)state;
    assert_true(park(0, 0, 1));
    assert_true(park(0, 1, 2));
    assert_true(park(0, 0, 3));
    name(0);
    parking_drop(&f.clients[0], f.parking); /* woken, and gone */
    assert_int_equal(parking_count(f.parking), 1);
    assert_ptr_equal(parking_take_woken(f.parking), &f.clients[1]);
    assert_null(parking_take_woken(f.parking));
    expect_next(0, 0, false);
    expect_next(1, 2, true);
}

/* Some are due and others wait when the connection is to be closed: all are answered, and who was woken is woken again. */
static void test_hurry(void **state)
{
    (void)state;
    assert_true(park(0, 0, 1));
    assert_true(park(1, 0, 2));
    assert_true(park(0, 0, 3));
    name(0);
    assert_ptr_equal(parking_take_woken(f.parking), &f.clients[0]);
    expect_next(0, 1, true);
    parking_hurry(&f.clients[0]);
    assert_ptr_equal(parking_take_woken(f.parking), &f.clients[0]);
    expect_next(0, 3, true);
    expect_next(0, 2, false);
    expect_next(0, 0, false);
    assert_true(park(1, 0, 4));
    assert_true(park(1, 0, 5));
    name(1);
    assert_ptr_equal(parking_take_woken(f.parking), &f.clients[0]);
    expect_next(0, 4, true);
    parking_hurry(&f.clients[0]); /* nothing waits, and something is due */
    assert_ptr_equal(parking_take_woken(f.parking), &f.clients[0]);
    assert_int_equal(f.clients[0].count, 1);
}

/* Our own link to the master broke: that delays, and changes nothing. */
static void test_doubt(void **state)
{
    (void)state;
    name(0);
    (void)step_link(f.services[0], SERVICE_LINK_CLOSED, &f.server.addr, 0, f.now_ms);
    assert_int_equal(service_decision(f.services[0])->state, SERVICE_OK);
    assert_true(park(0, 0, 1));
    step_role(f.services[0], &f.server.addr, NODE_ROLE_MASTER, f.now_ms);
    assert_ptr_equal(parking_take_woken(f.parking), &f.clients[0]);
    expect_next(0, 1, true);
    assert_false(park(0, 0, 2));
    (void)step_link(f.services[0], SERVICE_LINK_CLOSED, &f.server.addr, 0, f.now_ms);
    f.now_ms += 400;
    assert_true(park(0, 0, 3));
    f.now_ms += 100; /* the doubt is over, before that stream's time is */
    service_review(f.services[0], f.now_ms);
    assert_ptr_equal(parking_take_woken(f.parking), &f.clients[0]);
    expect_next(0, 3, true);
    assert_int_equal(service_decision(f.services[0])->generation, 1);
}

/* A doubt that is longer than `park`: each stream waits for a `park` of its own, and is told the name then. */
static void test_doubt_that_goes_on(void **state)
{
    const int64_t step_ms = PARK / MAX;

    (void)state;
    name(0);
    (void)step_link(f.services[0], SERVICE_LINK_CLOSED, &f.server.addr, 0, f.now_ms);
    for (unsigned i = 1; i <= 4 * MAX; i++) {
        assert_true(park(0, 0, i));
        assert_true(step_link(f.services[0], SERVICE_LINK_REFUSED, &f.server.addr, f.now_ms + 300, f.now_ms));
        f.now_ms += step_ms;
        parking_tick(f.parking, f.now_ms);
        if (i >= MAX)
            expect_next(0, i - MAX + 1, true);
        expect_next(0, 0, false);
        if (i % MAX == 0)
            name(0);
    }
    assert_true(service_decision(f.services[0])->is_doubtful);
    assert_int_equal(service_decision(f.services[0])->generation, 1);
    /* Not confirmed any more: the streams that still wait are answered at once. */
    f.now_ms += 300 - step_ms;
    service_review(f.services[0], f.now_ms);
    for (unsigned i = 3 * MAX + 2; i <= 4 * MAX; i++)
        expect_next(0, i, true);
    assert_false(park(0, 0, 99));
    assert_false(step_link(f.services[0], SERVICE_LINK_REFUSED, &f.server.addr, f.now_ms + 300, f.now_ms));
}

#define PARKING_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* ---- clients that go ---- */

static void look(void *context, const struct client *const *clients, size_t count,
                 enum client_state *ret_states)
{
    struct fixture *own = context;

    own->looks += (unsigned)count;
    own->most = count > own->most ? count : own->most;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(clients[i]->kind, CLIENT_TCP);
        ret_states[i] = own->states[clients[i]->src_port];
    }
}

/* The queues refuse those who have gone, and looks are possible. */
static int set_up_looks(void **state)
{
    (void)set_up(state);
    f.settings.refuses_gone = true;
    parking_look_with(f.parking, look, &f);
    for (unsigned i = 0; i < 8; i++)
        f.states[i] = CLIENT_STATE_THERE;
    for (unsigned i = 0; i < 2; i++)
        f.queues[i].sight_ms = INT64_MAX;
    return 0;
}

/* The stream's id is the port of its client. */
static void park_tcp(unsigned service, uint16_t stream_id)
{
    f.asker = (struct client){.kind = CLIENT_TCP, .src_port = stream_id, .dst_port = 6379};
    assert_true(park(service, 0, stream_id));
}

static void expect_gone(uint64_t stream_id)
{
    struct parking_answer answer;

    assert_true(parking_next(&f.clients[0], f.now_ms, &answer));
    assert_int_equal(answer.stream_id, stream_id);
    assert_true(answer.is_gone);
    assert_false(answer.is_named);
    assert_non_null(memmem(answer.actions.data, answer.actions.len, "client-gone", strlen("client-gone")));
}

static void test_one_that_goes_is_answered_at_once(void **state)
{
    (void)state;
    park_tcp(0, 1);
    park_tcp(0, 2);
    assert_int_equal(f.wakes, 1); /* for the first look */
    assert_false(parking_look(f.parking, f.now_ms));
    assert_int_equal(parking_wake_ms(f.parking), START + PARKING_LOOK_MS);
    f.states[1] = CLIENT_STATE_GONE;
    f.now_ms += PARKING_LOOK_MS - 1;
    parking_tick(f.parking, f.now_ms);
    assert_false(parking_look(f.parking, f.now_ms)); /* not yet */
    assert_int_equal(f.looks, 2);
    f.now_ms += 1;
    parking_tick(f.parking, f.now_ms);
    assert_int_equal(f.wakes, 2);
    assert_false(parking_look(f.parking, f.now_ms));
    assert_ptr_equal(parking_take_woken(f.parking), &f.clients[0]);
    expect_gone(1);
    expect_next(0, 0, false);
    assert_int_equal(parking_count(f.parking), 1);
    name(0);
    (void)parking_look(f.parking, f.now_ms);
    expect_next(0, 2, true);
}

static void test_looked_at_before_it_is_named(void **state)
{
    (void)state;
    park_tcp(0, 1);
    park_tcp(0, 2);
    park_tcp(0, 3);
    (void)parking_look(f.parking, f.now_ms);
    f.states[1] = CLIENT_STATE_GONE;
    f.states[2] = CLIENT_STATE_ABSENT; /* it was there: closed for good by now */
    name(0);
    expect_next(0, 0, false); /* nobody before the look */
    assert_false(parking_look(f.parking, f.now_ms));
    expect_gone(1);
    expect_gone(2);
    expect_next(0, 3, true);
}

/* A name that comes before the first look does not go by without one. */
static void test_first_look_and_name_at_once(void **state)
{
    (void)state;
    park_tcp(0, 1);
    park_tcp(0, 2);
    f.states[1] = CLIENT_STATE_GONE;
    name(0);
    expect_next(0, 0, false);
    (void)parking_look(f.parking, f.now_ms);
    expect_gone(1);
    expect_next(0, 2, true);
    assert_int_equal(f.looks, 2);
}

/* At the end of its time a stream may get the name of a master in doubt: after a look as well. */
static void test_looked_at_at_the_end_of_its_time(void **state)
{
    (void)state;
    park_tcp(0, 1);
    (void)parking_look(f.parking, f.now_ms);
    f.states[1] = CLIENT_STATE_GONE;
    f.now_ms += PARK;
    parking_tick(f.parking, f.now_ms);
    expect_next(0, 0, false);
    (void)parking_look(f.parking, f.now_ms);
    expect_gone(1);
}

/* HAProxy elsewhere, another network namespace: served as if nobody looked, and looked at once only. */
static void test_who_was_never_seen_is_served(void **state)
{
    (void)state;
    f.states[1] = CLIENT_STATE_ABSENT;
    park_tcp(0, 1);
    f.states[2] = CLIENT_STATE_UNKNOWN;
    park_tcp(0, 2);
    (void)parking_look(f.parking, f.now_ms);
    f.states[1] = CLIENT_STATE_GONE;
    name(0);
    (void)parking_look(f.parking, f.now_ms);
    expect_next(0, 1, true);
    expect_next(0, 2, true);
    assert_int_equal(f.looks, 3);
}

/* Without addresses, on a UNIX socket, or told not to look. */
static void test_who_cannot_be_looked_at_is_served(void **state)
{
    static const enum client_kind kinds[] = {CLIENT_NOT_GIVEN, CLIENT_LOCAL, CLIENT_ODD};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        f.asker = (struct client){.kind = kinds[i]};
        assert_true(park(0, 0, i + 1));
    }
    f.settings.refuses_gone = false;
    f.asker = (struct client){.kind = CLIENT_TCP, .src_port = 4, .dst_port = 1};
    assert_true(park(0, 0, 4));
    assert_false(parking_look(f.parking, f.now_ms));
    name(0);
    for (unsigned i = 0; i < 4; i++)
        expect_next(0, i + 1, true);
    assert_int_equal(f.looks, 0);
}

/* The name was gone again when it was due: it waits on, and is looked at again. */
static void test_watched_again_where_the_name_is_gone(void **state)
{
    (void)state;
    park_tcp(0, 1);
    name(0);
    (void)parking_look(f.parking, f.now_ms);
    step_role(f.services[0], &f.server.addr, NODE_ROLE_REPLICA, f.now_ms);
    expect_next(0, 0, false);
    assert_int_equal(parking_count(f.parking), 1);
    f.states[1] = CLIENT_STATE_GONE;
    f.now_ms += PARKING_LOOK_MS;
    (void)parking_look(f.parking, f.now_ms);
    expect_gone(1);
}

/* What is dropped or moved away is looked at no more, or under its new service. */
static void test_looks_follow_the_streams(void **state)
{
    (void)state;
    park_tcp(0, 1);
    parking_drop(&f.clients[0], f.parking);
    assert_false(parking_look(f.parking, f.now_ms));
    assert_int_equal(f.looks, 0);
    park_tcp(0, 2);
    (void)parking_look(f.parking, f.now_ms);
    name(1);
    parking_queue_move(&f.queues[0], &f.queues[1]);
    expect_next(0, 0, false);
    f.states[2] = CLIENT_STATE_GONE;
    (void)parking_look(f.parking, f.now_ms);
    expect_gone(2);
}

/* A stop: all are answered, after a look. */
static void test_hurry_looks(void **state)
{
    (void)state;
    park_tcp(0, 1);
    park_tcp(0, 2);
    (void)parking_look(f.parking, f.now_ms);
    f.states[2] = CLIENT_STATE_GONE;
    parking_hurry(&f.clients[0]);
    (void)parking_look(f.parking, f.now_ms);
    expect_next(0, 1, false);
    expect_gone(2);
}

/* ---- whether clients can be seen ---- */

/* One question in each millisecond, `count` of them. */
static void check_sight(enum client_kind kind, uint16_t port, unsigned count)
{
    struct client asker = {.kind = kind, .src_port = port, .dst_port = 1};

    for (unsigned i = 0; i < count; i++) {
        f.now_ms++;
        parking_check_sight(&f.queues[0], &asker, f.now_ms);
    }
}

static bool is_alarmed(void)
{
    return alarms_is_raised(service_alarms(f.services[0]), ALARM_GONE_CLIENTS_UNSEEN);
}

static void test_sight(void **state)
{
    (void)state;
    assert_int_equal(f.queues[0].sight, SERVICE_SIGHT_UNKNOWN);
    f.states[1] = CLIENT_STATE_ABSENT;
    check_sight(CLIENT_TCP, 1, 9);
    assert_int_equal(f.queues[0].sight, SERVICE_SIGHT_UNKNOWN); /* they may have gone just now */
    check_sight(CLIENT_TCP, 1, 1);
    assert_int_equal(f.queues[0].sight, SERVICE_SIGHT_ABSENT);
    assert_true(is_alarmed());
    check_sight(CLIENT_TCP, 2, 1);
    assert_int_equal(f.queues[0].sight, SERVICE_SIGHT_SEEN);
    assert_false(is_alarmed());
    check_sight(CLIENT_LOCAL, 0, 1);
    assert_int_equal(f.queues[0].sight, SERVICE_SIGHT_SEEN);
    check_sight(CLIENT_NOT_GIVEN, 0, 10);
    assert_int_equal(f.queues[0].sight, SERVICE_SIGHT_NOT_GIVEN);
    assert_true(is_alarmed());
    check_sight(CLIENT_LOCAL, 0, 1); /* given by now, and nobody to be looked at */
    assert_false(is_alarmed());
    parking_look_with(f.parking, NULL, NULL);
    check_sight(CLIENT_TCP, 2, 10);
    assert_int_equal(f.queues[0].sight, SERVICE_SIGHT_IMPOSSIBLE);
    assert_true(f.queues[0].sight_ms > f.now_ms);
}

/* However many services the questions of one read are about. */
static void test_one_look_for_sight_in_a_read(void **state)
{
    struct client asker = {.kind = CLIENT_TCP, .src_port = 1, .dst_port = 1};

    (void)state;
    for (unsigned i = 0; i < 2; i++)
        parking_check_sight(&f.queues[i], &asker, f.now_ms);
    assert_int_equal(f.looks, 1);
    parking_check_sight(&f.queues[1], &asker, f.now_ms + 1);
    assert_int_equal(f.looks, 2);
}

/* HAProxy took no answers for a while: what was seen before that does not count. */
static void test_a_stale_look_does_not_count(void **state)
{
    (void)state;
    park_tcp(0, 1);
    park_tcp(0, 2);
    name(0);
    (void)parking_look(f.parking, f.now_ms);
    f.now_ms += PARKING_STALE_MS + 1;
    f.states[1] = CLIENT_STATE_GONE;
    expect_next(0, 0, false);
    (void)parking_look(f.parking, f.now_ms);
    expect_gone(1);
    expect_next(0, 2, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PARKING_TEST(test_released_by_a_name),
        PARKING_TEST(test_deadline),
        PARKING_TEST(test_name_that_did_not_last),
        PARKING_TEST(test_named_is_not_parked),
        PARKING_TEST(test_bound),
        PARKING_TEST(test_a_connection_takes_its_streams_with_it),
        PARKING_TEST(test_hurry),
        PARKING_TEST(test_doubt),
        cmocka_unit_test_setup_teardown(test_one_that_goes_is_answered_at_once, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_looked_at_before_it_is_named, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_first_look_and_name_at_once, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_looked_at_at_the_end_of_its_time, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_who_was_never_seen_is_served, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_who_cannot_be_looked_at_is_served, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_watched_again_where_the_name_is_gone, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_looks_follow_the_streams, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_hurry_looks, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_sight, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_one_look_for_sight_in_a_read, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_a_stale_look_does_not_count, set_up_looks, tear_down),
        PARKING_TEST(test_doubt_that_goes_on),
    };

    return cmocka_run_group_tests_name("parking", tests, NULL, NULL);
}
