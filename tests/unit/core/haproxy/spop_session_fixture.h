/* A session over one or two services, and the peer that talks to it. */
#ifndef TESTS_UNIT_CORE_HAPROXY_SPOP_SESSION_FIXTURE_H
#define TESTS_UNIT_CORE_HAPROXY_SPOP_SESSION_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spoa/core/haproxy/spop_session.h"
#include "tests/lib/events.h"
#include "tests/lib/spop_peer.h"

#define NOW_MS 1000000

struct fixture {
    struct service_server servers[2];
    struct service_settings settings[2];
    struct service *services[2];
    uint8_t identities[1];
    struct service_table *table;
    struct metrics metrics;
    bool draining;
    struct spop_session session;
    struct sink in; /* what the peer has written */
    struct sink out;
    struct span replies; /* what of `out` was not looked at yet */
    uint8_t in_space[64 * 1024];
    uint8_t out_space[512 * 1024];
};

static struct fixture f;

/* The one voter of the group names the server. */
static inline void vote(size_t service)
{
    const struct service_event ballot = {.kind = SERVICE_SAID_MASTER,
                                         .ballot = QUORUM_NAMES,
                                         .addr = &f.servers[service].addr,
                                         .t_sent_ms = NOW_MS};

    (void)step_as(f.services[service], 0, &ballot, NOW_MS);
}

static inline void add_service(size_t index, const char *name, const char *server, const char *addr)
{
    f.servers[index].name = server;
    assert_true(addr_parse(span_of_text(addr), &f.servers[index].addr));
    f.settings[index] = (struct service_settings){
        .name = name,
        .monitor = name,
        .servers = &f.servers[index],
        .server_count = 1,
        .quorum = {.identities = f.identities,
                   .voters = 1,
                   .threshold = 1,
                   .reply_timeout_ms = 500,
                   .vote_life_ms = 2000,
                   .hold_ms = QUORUM_HOLD_MS,
                   .suspect_interval_ms = QUORUM_SUSPECT_INTERVAL_MS},
    };
    f.services[index] = service_create(&f.settings[index], NOW_MS);
    assert_non_null(f.services[index]);
    assert_true(service_table_add(f.table, f.services[index]));
}

static inline void reset_session(void)
{
    spop_session_init(&f.session, f.table, &f.metrics, &f.draining);
    f.in = sink_of(f.in_space, sizeof(f.in_space));
    f.out = sink_of(f.out_space, sizeof(f.out_space));
    f.replies = span_of(f.out_space, 0);
}

/* Has one service with a master. */
static inline int set_up(void **state)
{
    (void)state;
    memset(&f, 0, sizeof(f));
    f.table = service_table_create(NULL);
    add_service(0, "mymaster", "R1", "127.0.0.1:7001");
    vote(0);
    reset_session();
    return f.table == NULL;
}

static inline int tear_down(void **state)
{
    (void)state;
    service_table_destroy(f.table);
    service_destroy(f.services[0]);
    service_destroy(f.services[1]);
    return 0;
}

static inline struct span written(void)
{
    return span_of(f.in_space, (size_t)(f.in.at - f.in_space));
}

/* Feeds all that the peer has written and returns how much was taken. */
static inline size_t feed(void)
{
    const uint8_t *out_before = f.out.at;
    struct span in = written();
    size_t taken = spop_session_feed(&f.session, in, NOW_MS, &f.out);

    f.in = sink_of(f.in_space, sizeof(f.in_space));
    f.replies.len += (size_t)(f.out.at - out_before);
    return taken;
}

static inline void feed_all(void)
{
    size_t len = written().len;

    assert_int_equal(feed(), len);
}

static inline struct spop_frame next_reply(void)
{
    struct spop_frame frame;

    assert_true(spop_peer_reply(&f.replies, &frame));
    return frame;
}

/* The last reply is AGENT-DISCONNECT with that status, and the session is over. */
static inline void check_closed(enum spop_status status)
{
    struct spop_frame frame = next_reply();

    assert_int_equal(spop_peer_status(&frame), status);
    assert_int_equal(f.replies.len, 0);
    assert_int_equal(f.session.phase, SPOP_SESSION_CLOSED);
    assert_int_equal(f.session.status, status);
}

static inline void open_session(void)
{
    reset_session();
    spop_peer_hello(&f.in, 16380, false);
    feed_all();
    assert_int_equal(next_reply().type, SPOP_AGENT_HELLO);
    assert_int_equal(f.session.phase, SPOP_SESSION_ACTIVE);
}

static inline struct spop_frame ask(const char *service, const char *role)
{
    spop_peer_notify(&f.in, 1, 1, service, role);
    feed_all();
    struct spop_frame frame = next_reply();
    assert_int_equal(frame.type, SPOP_ACK);
    assert_int_equal(f.replies.len, 0);
    return frame;
}

static inline bool is_answered_with(const char *state)
{
    struct spop_frame frame = next_reply();

    return spop_peer_says(&frame, "state", state);
}

#define SESSION_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
