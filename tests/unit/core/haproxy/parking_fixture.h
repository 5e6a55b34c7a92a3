/* For the tests of parking: two services of one voter, and two connections of HAProxy. */
#ifndef TESTS_UNIT_CORE_HAPROXY_PARKING_FIXTURE_H
#define TESTS_UNIT_CORE_HAPROXY_PARKING_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/haproxy/parking.h"
#include "tests/lib/events.h"

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

static inline void count_wake(void *context)
{
    struct fixture *own = context;

    own->wakes++;
}

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        parking_drop(&f.clients[i], f.parking, f.now_ms);
        service_destroy(f.services[i]);
    }
    assert_int_equal(parking_count(f.parking), 0);
    parking_destroy(f.parking);
    return 0;
}

static inline void name(unsigned service)
{
    struct service_event ballot = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_NAMES, .addr = &f.server.addr, .t_sent_ms = f.now_ms};

    (void)step_as(f.services[service], 0, &ballot, f.now_ms);
}

static inline bool park(unsigned service, unsigned client, uint64_t stream_id)
{
    return parking_park(&f.queues[service], &f.clients[client], &f.asker, stream_id, 7, f.now_ms);
}

/* The id of the next stream that is due; 0 where none is. */
static inline uint64_t next(unsigned client, bool *ret_named)
{
    struct parking_answer answer;

    if (!parking_next(&f.clients[client], f.now_ms, &answer))
        return 0;
    assert_int_equal(answer.frame_id, 7);
    assert_true(answer.actions.len > 0);
    *ret_named = answer.is_named;
    return answer.stream_id;
}

static inline void expect_next(unsigned client, uint64_t stream_id, bool is_named)
{
    bool named = !is_named;

    assert_int_equal(next(client, &named), stream_id);
    if (stream_id != 0)
        assert_int_equal(named, is_named);
}

#endif
