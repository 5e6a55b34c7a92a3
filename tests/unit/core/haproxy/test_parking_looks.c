/* Parked streams whose clients are looked at: those that have gone get no name. */
#include "tests/lib/log_capture.h"
#include "tests/unit/core/haproxy/parking_fixture.h"

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
    parking_drop(&f.clients[0], f.parking, f.now_ms);
    assert_false(parking_look(f.parking, f.now_ms));
    assert_int_equal(f.looks, 0);
    park_tcp(0, 2);
    (void)parking_look(f.parking, f.now_ms);
    name(1);
    parking_queue_move(&f.queues[0], &f.queues[1], f.now_ms);
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

/* Soon while it is not clear, later once it is. One that is seen is counted from the beginning. */
static void test_when_sight_is_checked(void **state)
{
    (void)state;
    f.states[1] = CLIENT_STATE_ABSENT;
    for (int i = 0; i < 2; i++) {
        check_sight(CLIENT_TCP, 1, 9);
        assert_int_equal(f.queues[0].sight_ms, f.now_ms + 100);
        assert_int_not_equal(f.queues[0].sight, SERVICE_SIGHT_ABSENT);
        check_sight(CLIENT_TCP, 2, 1);
        assert_int_equal(f.queues[0].sight_ms, f.now_ms + 10000);
        assert_int_equal(f.queues[0].sight, SERVICE_SIGHT_SEEN);
    }
    check_sight(CLIENT_TCP, 1, 10);
    assert_int_equal(f.queues[0].sight_ms, f.now_ms + 1000);
    assert_int_equal(f.queues[0].sight, SERVICE_SIGHT_ABSENT);
    check_sight(CLIENT_TCP, 1, 1);
    assert_int_equal(f.queues[0].sight_ms, f.now_ms + 1000);
    check_sight(CLIENT_LOCAL, 0, 1);
    assert_int_equal(f.queues[0].sight_ms, f.now_ms + 10000);
    f.states[3] = CLIENT_STATE_UNKNOWN; /* the look has failed */
    check_sight(CLIENT_TCP, 3, 1);
    assert_int_equal(f.queues[0].sight, SERVICE_SIGHT_IMPOSSIBLE);
}

/* Only where clients are parked, and refused if they have gone. */
static void test_whose_sight_is_checked(void **state)
{
    struct parking_queue queue;

    (void)state;
    parking_queue_init(&queue, NULL, &f.answers[0], SERVICE_ROLE_MASTER);
    assert_int_equal(queue.sight_ms, INT64_MAX);
    f.settings.park_ms = 0;
    parking_queue_init(&queue, NULL, &f.answers[0], SERVICE_ROLE_MASTER);
    assert_int_equal(queue.sight_ms, INT64_MAX);
    struct service *service = service_create(&f.settings, START);
    struct answer answer;
    assert_true(answer_init(&answer, service));
    parking_queue_init(&queue, f.parking, &answer, SERVICE_ROLE_MASTER);
    assert_int_equal(queue.sight_ms, INT64_MAX);
    service_destroy(service);
    f.settings.park_ms = PARK;
    service = service_create(&f.settings, START);
    assert_true(answer_init(&answer, service));
    parking_queue_init(&queue, f.parking, &answer, SERVICE_ROLE_MASTER);
    assert_true(queue.sight_ms < START);
    service_destroy(service);
}

/* So many at once, and the others in the next call: each for the first time, each before it is answered. */
static void test_many_looks(void **state)
{
    enum { MANY = CLIENT_LOOK_MAX + 2 };
    struct parking *parking = parking_create(MANY, count_wake, &f);
    struct parking_client client = {.count = 0};
    struct parking_queue queue;
    struct parking_answer answer;

    (void)state;
    assert_non_null(parking);
    parking_look_with(parking, look, &f);
    struct service *service = service_create(&f.settings, START);
    struct answer words;
    assert_true(answer_init(&words, service));
    parking_queue_init(&queue, parking, &words, SERVICE_ROLE_MASTER);
    f.asker = (struct client){.kind = CLIENT_TCP, .src_port = 1, .dst_port = 6379};
    for (uint64_t i = 0; i < MANY; i++)
        assert_true(parking_park(&queue, &client, &f.asker, i, 7, f.now_ms));
    assert_int_equal(f.wakes, 1);
    assert_true(parking_look(parking, f.now_ms));
    assert_int_equal(f.looks, CLIENT_LOOK_MAX);
    assert_false(parking_look(parking, f.now_ms));
    assert_int_equal(f.looks, MANY);
    f.now_ms += PARKING_LOOK_MS;
    assert_true(parking_look(parking, f.now_ms));
    assert_false(parking_look(parking, f.now_ms));
    assert_int_equal(f.looks, 2 * MANY);
    parking_hurry(&client);
    f.wakes = 0;
    parking_tick(parking, f.now_ms); /* some wait for a look before they are answered */
    assert_true(f.wakes > 0);
    assert_true(parking_look(parking, f.now_ms));
    assert_false(parking_look(parking, f.now_ms));
    size_t told = 0;
    while (parking_next(&client, f.now_ms, &answer))
        told++;
    assert_int_equal(told, MANY);
    assert_int_equal(f.most, CLIENT_LOOK_MAX);
    service_destroy(service);
    parking_destroy(parking);
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

/* ---- HAProxy gives up ---- */

/* A stream is parked at `t_parked_ms`, and HAProxy closes its client's connection after `age_ms`. */
static void give_up(uint16_t stream_id, int64_t t_parked_ms, int64_t age_ms)
{
    f.now_ms = t_parked_ms;
    f.states[stream_id] = CLIENT_STATE_THERE;
    park_tcp(0, stream_id);
    (void)parking_look(f.parking, f.now_ms);
    f.states[stream_id] = CLIENT_STATE_GIVEN_UP;
    f.now_ms += age_ms;
    (void)parking_look(f.parking, f.now_ms);
    expect_gone(stream_id);
}

static bool is_told(void)
{
    return alarms_is_raised(service_alarms(f.services[0]), ALARM_PARK_TIMEOUT);
}

static void test_two_that_waited_for_the_same_time(void **state)
{
    (void)state;
    f.settings.park_ms = 8000;
    service_review(f.services[0], f.now_ms);
    log_capture_begin(LOG_LEVEL_DEBUG);
    give_up(1, START, 5200);
    assert_false(is_told()); /* an operator may have shut it */
    give_up(2, START + PARKING_APART_MS - 1, 5000);
    assert_false(is_told()); /* both may have been shut together */
    give_up(3, START + PARKING_APART_MS, 5000);
    assert_true(is_told());
    assert_non_null(strstr(log_capture_last("alarm"),
                           "alarm=park-timeout service=m detail=after about 5000 ms, 'park' may be 8000 ms: "
                           "set 'timeout processing' and 'timeout client' to 10000ms or more"));
    give_up(4, START + 60000, 300); /* another end changes nothing */
    assert_true(is_told());
    /* HAProxy was corrected: the next one that waits for longer shows it. */
    f.now_ms = START + 90000;
    f.states[5] = CLIENT_STATE_THERE;
    park_tcp(0, 5);
    f.now_ms += 5000 + PARKING_ALIKE_MS - 1;
    (void)parking_look(f.parking, f.now_ms);
    assert_true(is_told());
    f.now_ms += PARKING_LOOK_MS;
    (void)parking_look(f.parking, f.now_ms);
    assert_false(is_told());
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
}

/* A stream that is parked at `t_parked_ms` is still there after `age_ms`. */
static void be_patient(uint16_t stream_id, int64_t t_parked_ms, int64_t age_ms)
{
    f.states[stream_id] = CLIENT_STATE_THERE;
    f.now_ms = t_parked_ms;
    park_tcp(0, stream_id);
    f.now_ms += age_ms;
    (void)parking_look(f.parking, f.now_ms);
    f.states[stream_id] = CLIENT_STATE_GONE;
    f.now_ms += PARKING_LOOK_MS;
    (void)parking_look(f.parking, f.now_ms);
    expect_gone(stream_id);
}

/* Two frontends, and HAProxy gives up the clients of one of them only. */
static void test_a_patient_client_of_another_frontend(void **state)
{
    (void)state;
    f.settings.park_ms = 20000;
    service_review(f.services[0], f.now_ms);
    f.now_ms = START;
    park_tcp(0, 7); /* waits for as long as it may */
    give_up(1, START, 2000);
    give_up(2, START + 2500, 2000);
    assert_true(is_told());
    f.now_ms += PARKING_LOOK_MS;
    (void)parking_look(f.parking, f.now_ms);
    assert_true(is_told());
    /* Parked after the last one that was given up. */
    be_patient(3, START + 5000, 3000);
    assert_true(is_told());
    /* This one was given up together with another one: it counts all the same. */
    give_up(4, START + 50000, 2000);
    be_patient(5, START + 4500 + PARKING_GIVEN_UP_HOLD_MS, 3000);
    assert_true(is_told());
    be_patient(6, START + 52000 + PARKING_GIVEN_UP_HOLD_MS, 3000);
    assert_false(is_told());
}

/* A patient client that asks for a replica says nothing about those that ask for the master. */
static void test_the_roles_have_their_own_limits(void **state)
{
    (void)state;
    service_note_given_up(f.services[0], SERVICE_ROLE_MASTER, 2000, f.now_ms);
    service_note_given_up(f.services[0], SERVICE_ROLE_REPLICA, 2000, f.now_ms);
    service_note_given_up(f.services[0], SERVICE_ROLE_REPLICA, SERVICE_NOT_GIVEN_UP, f.now_ms);
    assert_true(is_told());
    service_note_given_up(f.services[0], SERVICE_ROLE_MASTER, SERVICE_NOT_GIVEN_UP, f.now_ms);
    assert_false(is_told());
}

/* With `auto` the advice does not depend on what is in effect now: that may grow. */
static void test_advice_for_auto(void **state)
{
    const struct sentinel_facts facts = {.down_after_ms = 2500, .quorum = 1};

    (void)state;
    f.settings.park_ms = PARK_AUTO;
    name(0);
    step_facts(f.services[0], 0, &f.server.addr, &facts, f.now_ms);
    assert_int_equal(service_decision(f.services[0])->park_ms, 4500);
    log_capture_begin(LOG_LEVEL_DEBUG);
    service_note_given_up(f.services[0], SERVICE_ROLE_MASTER, 2000, f.now_ms);
    assert_non_null(strstr(log_capture_last("alarm"), "'timeout client' to 10000ms or more"));
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
}

/* They are told nobody: the outage counts them. */
static void test_who_is_given_up_is_refused(void **state)
{
    (void)state;
    f.settings.park_ms = 8000;
    name(0);
    f.now_ms += F;
    service_review(f.services[0], f.now_ms);
    assert_true(service_outage(f.services[0])->is_running);
    give_up(1, f.now_ms, 2000);
    assert_int_equal(service_outage(f.services[0])->refused, 1);
    f.queues[0].role = SERVICE_ROLE_REPLICA;
    give_up(2, f.now_ms, 3000);
    f.queues[0].role = SERVICE_ROLE_MASTER;
    assert_int_equal(service_outage(f.services[0])->refused, 1);
}

/* What was seen stays true across a reload, unless `park` is shorter than that. */
static void test_a_reload_keeps_what_was_seen(void **state)
{
    (void)state;
    f.settings.park_ms = 8000;
    service_review(f.services[0], f.now_ms);
    service_review(f.services[1], f.now_ms);
    give_up(1, START, 5000);
    give_up(2, START + 6000, 5000);
    assert_true(is_told());
    parking_queue_move(&f.queues[0], &f.queues[1], f.now_ms);
    assert_true(f.queues[1].given_up.is_told);
    /* And back again, with a park that ends before HAProxy's limit. */
    service_note_given_up(f.services[1], SERVICE_ROLE_MASTER, 5000, f.now_ms);
    f.settings.park_ms = 4000;
    service_review(f.services[0], f.now_ms);
    parking_queue_move(&f.queues[1], &f.queues[0], f.now_ms);
    assert_false(f.queues[0].given_up.is_any);
    assert_false(is_told());
}

static void test_two_that_waited_for_different_times(void **state)
{
    (void)state;
    f.settings.park_ms = 8000;
    service_review(f.services[0], f.now_ms);
    give_up(1, START, 5000);
    give_up(2, START + 2000, 5000 + PARKING_ALIKE_MS);
    give_up(3, START + 4000, 5000);
    assert_false(is_told());
}

/* Clients that give up themselves, always after the same time. */
static void test_clients_that_give_up_prove_nothing(void **state)
{
    (void)state;
    f.settings.park_ms = 8000;
    service_review(f.services[0], f.now_ms);
    for (uint16_t i = 1; i < 4; i++) {
        park_tcp(0, i);
        (void)parking_look(f.parking, f.now_ms);
        f.states[i] = CLIENT_STATE_GONE;
        f.now_ms += 5000;
        (void)parking_look(f.parking, f.now_ms);
        expect_gone(i);
    }
    assert_false(is_told());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_that_goes_is_answered_at_once, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_looked_at_before_it_is_named, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_first_look_and_name_at_once, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_looked_at_at_the_end_of_its_time, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_who_was_never_seen_is_served, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_two_that_waited_for_the_same_time, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_two_that_waited_for_different_times, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_a_patient_client_of_another_frontend, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_the_roles_have_their_own_limits, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_advice_for_auto, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_who_is_given_up_is_refused, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_a_reload_keeps_what_was_seen, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_clients_that_give_up_prove_nothing, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_who_cannot_be_looked_at_is_served, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_watched_again_where_the_name_is_gone, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_looks_follow_the_streams, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_hurry_looks, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_sight, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_when_sight_is_checked, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_whose_sight_is_checked, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_many_looks, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_one_look_for_sight_in_a_read, set_up_looks, tear_down),
        cmocka_unit_test_setup_teardown(test_a_stale_look_does_not_count, set_up_looks, tear_down),
    };

    return cmocka_run_group_tests_name("parking-looks", tests, NULL, NULL);
}
