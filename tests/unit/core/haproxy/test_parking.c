/* Parked streams: who waits, who is woken when, and that nothing is lost or answered twice. */
#include "tests/unit/core/haproxy/parking_fixture.h"

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
    service_review(f.services[1], f.now_ms);
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
    parking_drop(&f.clients[0], f.parking, f.now_ms); /* woken, and gone */
    assert_int_equal(parking_count(f.parking), 1);
    assert_ptr_equal(parking_take_woken(f.parking), &f.clients[1]);
    assert_null(parking_take_woken(f.parking));
    expect_next(0, 0, false);
    expect_next(1, 2, true);
}

/*
 * Some are due and others wait when the connection is to be closed: all are answered, and who was woken is
 * woken again.
 */
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
    assert_int_equal(service_decision(f.services[0])->state, SERVICE_DOUBTED);
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

static void expect_waiting(size_t count, int64_t oldest_ms)
{
    const struct service_waiting *waiting = service_waiting(f.services[0], SERVICE_ROLE_MASTER);

    assert_int_equal(waiting->count, count);
    if (count > 0)
        assert_int_equal(waiting->oldest_ms, oldest_ms);
}

/* The service knows who waits, since when, and what came of it. */
static void test_the_service_knows_who_waits(void **state)
{
    (void)state;
    name(0);
    f.now_ms += F;
    service_review(f.services[0], f.now_ms);
    int64_t lost_ms = f.now_ms;
    expect_waiting(0, 0);
    assert_true(park(0, 0, 1));
    f.now_ms += 100;
    assert_true(park(0, 1, 2));
    assert_true(park(1, 1, 3)); /* of another service */
    expect_waiting(2, lost_ms);
    f.now_ms += PARK - 100;
    parking_tick(f.parking, f.now_ms);
    expect_next(0, 1, false);
    expect_waiting(1, lost_ms + 100);
    assert_int_equal(service_outage(f.services[0])->longest_wait_ms, PARK);
    assert_true(park(0, 0, 4));
    parking_drop(&f.clients[1], f.parking, f.now_ms); /* its HAProxy has gone */
    expect_waiting(1, f.now_ms);
    f.now_ms += 50;
    name(0);
    expect_next(0, 4, true);
    expect_waiting(0, 0);
    assert_int_equal(service_outage(f.services[0])->waited, 3);
    assert_int_equal(service_outage(f.services[0])->longest_wait_ms, PARK);
}

/*
 * A doubt that is longer than `park`: each stream waits for a `park` of its own, and is told the name then.
 */
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
    assert_true(service_decision(f.services[0])->state == SERVICE_DOUBTED);
    assert_int_equal(service_decision(f.services[0])->generation, 1);
    /* Not confirmed any more: the streams that still wait are answered at once. */
    f.now_ms += 300 - step_ms;
    service_review(f.services[0], f.now_ms);
    for (unsigned i = 3 * MAX + 2; i <= 4 * MAX; i++)
        expect_next(0, i, true);
    assert_false(park(0, 0, 99));
    assert_false(step_link(f.services[0], SERVICE_LINK_REFUSED, &f.server.addr, f.now_ms + 300, f.now_ms));
}

#define PARKING_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

/* The wait of a client whose HAProxy closes the connection to us counts, too. */
static void test_a_wait_that_ends_with_the_connection(void **state)
{
    (void)state;
    name(0);
    f.now_ms += F;
    service_review(f.services[0], f.now_ms);
    assert_true(park(0, 0, 1));
    f.now_ms += 300;
    assert_true(park(0, 0, 2));
    f.now_ms += 100;
    parking_drop(&f.clients[0], f.parking, f.now_ms);
    assert_int_equal(service_outage(f.services[0])->longest_wait_ms, 400);
}

/*
 * A reload with a shorter park: who waits already waits no longer than the next configuration says, and stays
 * in front.
 */
static void test_a_reload_cuts_the_wait(void **state)
{
    struct service_settings shorter = f.settings;
    struct answer answer;
    struct parking_queue queue;

    (void)state;
    shorter.park_ms = PARK / 5;
    struct service *next_service = service_create(&shorter, f.now_ms);
    assert_true(answer_init(&answer, next_service));
    parking_queue_init(&queue, f.parking, &answer, SERVICE_ROLE_MASTER);
    assert_true(park(0, 0, 1));
    f.now_ms += 10;
    parking_queue_move(&f.queues[0], &queue, f.now_ms);
    assert_int_equal(f.wakes, 1);
    assert_int_equal(service_waiting(next_service, SERVICE_ROLE_MASTER)->count, 1);
    assert_int_equal(service_waiting(next_service, SERVICE_ROLE_MASTER)->oldest_ms, START);
    assert_int_equal(parking_wake_ms(f.parking), START + PARK / 5);
    assert_true(parking_park(&queue, &f.clients[1], &f.asker, 2, 7, f.now_ms));
    f.now_ms = START + PARK / 5;
    parking_tick(f.parking, f.now_ms);
    expect_next(0, 1, false);
    expect_next(1, 0, false);
    f.now_ms += 10;
    parking_tick(f.parking, f.now_ms);
    expect_next(1, 2, false);
    service_destroy(next_service);
}

/* A reload makes park longer. Clients that wait already keep their deadline. The next reload takes it back. */
static void test_a_reload_there_and_back(void **state)
{
    struct service_settings longer = f.settings;
    struct answer answer;
    struct parking_queue queue;

    (void)state;
    longer.park_ms = 2 * PARK;
    struct service *next_service = service_create(&longer, f.now_ms);
    assert_true(answer_init(&answer, next_service));
    parking_queue_init(&queue, f.parking, &answer, SERVICE_ROLE_MASTER);
    assert_true(park(0, 0, 1));
    f.now_ms += 10;
    parking_queue_move(&f.queues[0], &queue, f.now_ms);
    assert_int_equal(f.queues[0].count, 0);
    assert_int_equal(queue.count, 1);
    assert_int_equal(f.wakes, 0);
    assert_int_equal(parking_wake_ms(f.parking), START + PARK);
    parking_queue_move(&queue, &f.queues[0], f.now_ms);
    assert_int_equal(queue.count, 0);
    assert_int_equal(f.queues[0].count, 1);
    assert_true(park(1, 1, 2));
    f.now_ms = START + PARK;
    parking_tick(f.parking, f.now_ms);
    expect_next(0, 1, false);
    expect_next(1, 0, false);
    f.now_ms += 10;
    parking_tick(f.parking, f.now_ms);
    expect_next(1, 2, false);
    service_destroy(next_service);
}

/* A wait that a reload cuts may still end later than that of another service. */
static void test_a_reload_cuts_to_a_later_time(void **state)
{
    struct service_settings shorter = f.settings;
    struct answer answer;
    struct parking_queue queue;

    (void)state;
    shorter.park_ms = PARK / 2;
    struct service *next_service = service_create(&shorter, f.now_ms);
    assert_true(answer_init(&answer, next_service));
    parking_queue_init(&queue, f.parking, &answer, SERVICE_ROLE_MASTER);
    assert_true(park(1, 1, 2));
    f.now_ms += PARK * 3 / 4;
    assert_true(park(0, 0, 1));
    parking_queue_move(&f.queues[0], &queue, f.now_ms);
    assert_int_equal(f.wakes, 0);
    assert_int_equal(parking_wake_ms(f.parking), START + PARK);
    f.now_ms = START + PARK;
    parking_tick(f.parking, f.now_ms);
    expect_next(1, 2, false);
    f.now_ms = START + PARK * 5 / 4 - 1;
    parking_tick(f.parking, f.now_ms);
    expect_next(0, 0, false);
    f.now_ms += 1;
    parking_tick(f.parking, f.now_ms);
    expect_next(0, 1, false);
    service_destroy(next_service);
}

/* Where nobody can look, there is nothing to look at. */
static void test_no_looks(void **state)
{
    (void)state;
    f.settings.refuses_gone = true;
    f.asker = (struct client){.kind = CLIENT_TCP, .src_port = 1, .dst_port = 6379};
    assert_true(park(0, 0, 1));
    assert_int_equal(f.wakes, 0);
    assert_false(parking_look(f.parking, f.now_ms));
    assert_int_equal(parking_wake_ms(f.parking), START + PARK);
}

/* `park = auto`, and a Sentinel tells of a shorter failover while somebody waits: the order of deadlines stays. */
static void test_park_that_becomes_shorter(void **state)
{
    const struct sentinel_facts facts = {.down_after_ms = 1000, .quorum = 1};

    (void)state;
    f.settings.park_ms = PARK_AUTO;
    service_review(f.services[0], f.now_ms);
    assert_true(park(0, 0, 1));
    name(0);
    expect_next(0, 1, true);
    step_role(f.services[0], &f.server.addr, NODE_ROLE_REPLICA, f.now_ms);
    assert_true(park(0, 0, 2));
    step_facts(f.services[0], 0, &f.server.addr, &facts, f.now_ms);
    assert_int_equal(service_decision(f.services[0])->park_ms, 3000);
    f.now_ms += 10;
    assert_true(park(0, 1, 3));
    assert_int_equal(parking_wake_ms(f.parking), START + PARK_AUTO_MAX_MS);
    f.now_ms = START + PARK_AUTO_MAX_MS;
    parking_tick(f.parking, f.now_ms);
    expect_next(0, 2, false);
    expect_next(1, 3, false);
    assert_true(park(0, 0, 4));
    assert_int_equal(parking_wake_ms(f.parking), f.now_ms + 3000); /* it is not heard any more, and was */
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
        PARKING_TEST(test_the_service_knows_who_waits),
        PARKING_TEST(test_a_wait_that_ends_with_the_connection),
        PARKING_TEST(test_a_reload_cuts_the_wait),
        PARKING_TEST(test_a_reload_there_and_back),
        PARKING_TEST(test_a_reload_cuts_to_a_later_time),
        PARKING_TEST(test_no_looks),
        PARKING_TEST(test_doubt_that_goes_on),
        PARKING_TEST(test_park_that_becomes_shorter),
    };

    return cmocka_run_group_tests_name("parking", tests, NULL, NULL);
}
