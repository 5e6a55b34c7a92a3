/* A service, a voter that names R1, the probe, and its node at the level of commands and replies. */
#ifndef TESTS_UNIT_CORE_VOTERS_ROLE_PROBE_FIXTURE_H
#define TESTS_UNIT_CORE_VOTERS_ROLE_PROBE_FIXTURE_H

#include "spoa/core/base/progress.h"
#include "spoa/core/voters/role_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/events.h"
#include "tests/lib/log_capture.h"

#define START 5000000
#define INTERVAL 1000
#define PARK 3000
#define CONNECT_TIMEOUT 500
#define REPLY_TIMEOUT 500
#define FAILOVER 2000
#define IDENTITY "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* One service, one voter that names R1, and the probe. */
struct fixture {
    struct service_server servers[2];
    struct service_settings service_settings;
    struct service *service;
    struct metrics metrics;
    uint8_t identities[1];
    struct voter_group *group;
    struct role_probe_settings settings;
    struct role_probe probe;
    int64_t now_ms;
    char sent[96];
};

static struct fixture f;

static inline void name(unsigned server)
{
    struct service_event ballot = {.kind = SERVICE_SAID_MASTER,
                                   .ballot = QUORUM_NAMES,
                                   .addr = &f.servers[server].addr,
                                   .t_sent_ms = f.now_ms};

    (void)voter_group_step(f.group, 0, &ballot, f.now_ms);
}

static inline int set_up(void **state)
{
    static const char *const voter_names[] = {"s0"};

    (void)state;
    memset(&f, 0, sizeof(f));
    f.now_ms = START;
    f.servers[0].name = "R1";
    f.servers[1].name = "R2";
    assert_true(addr_parse(span_of_text("10.0.0.1:6379"), &f.servers[0].addr));
    assert_true(addr_parse(span_of_text("10.0.0.2:6379"), &f.servers[1].addr));
    f.service_settings = (struct service_settings){
        .name = "m",
        .monitor = "m",
        .servers = f.servers,
        .server_count = 2,
        .park_ms = PARK,
        .quorum = {.identities = f.identities,
                   .voters = 1,
                   .threshold = 1,
                   .reply_timeout_ms = REPLY_TIMEOUT,
                   .vote_life_ms = 2000,
                   .hold_ms = 150},
        .policy = {.role_check = ROLE_CHECK_VETO},
    };
    f.service = service_create(&f.service_settings, START);
    struct voter_group_options options = {.name = "",
                                          .voter_count = 1,
                                          .voter_names = voter_names,
                                          .services = &f.service,
                                          .service_count = 1,
                                          .identities = f.identities,
                                          .metrics = &f.metrics};
    f.group = voter_group_create(&options, START);
    voter_group_identify(f.group, 0, span_of_text(IDENTITY), START);
    f.settings = (struct role_probe_settings){
        .interval_ms = INTERVAL,
        .reply_timeout_ms = REPLY_TIMEOUT,
        .conversation = peer_times(CONNECT_TIMEOUT, INTERVAL, REPLY_TIMEOUT),
    };
    role_probe_init(&f.probe, &f.settings, f.group, 0, &f.metrics, 1);
    name(0);
    log_capture_begin(LOG_LEVEL_DEBUG);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    voter_group_destroy(f.group);
    service_destroy(f.service);
    return 0;
}

static inline struct conversation *talk(void)
{
    return &f.probe.conversation;
}

/* All commands that the probe has to send now, by their first words. */
static inline const char *sent(void)
{
    struct conversation_command command;
    size_t len = 0;

    f.sent[0] = '\0';
    while (conversation_next(talk(), f.now_ms, &command))
        len += (size_t)snprintf(f.sent + len, sizeof(f.sent) - len, "%s%.*s", len > 0 ? " " : "",
                                (int)command.args[0].len, (const char *)command.args[0].data);
    return f.sent;
}

static inline void aim_and_connect(unsigned server)
{
    role_probe_aim(&f.probe, &f.servers[server].addr, f.now_ms);
    assert_true(conversation_wake_ms(talk()) <= f.now_ms);
    assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_CONNECT);
    conversation_connected(talk(), f.now_ms);
}

static inline void reply(struct reply one)
{
    assert_int_equal(conversation_reply(talk(), &one, f.now_ms), CONVERSATION_NOTHING);
}

static inline struct reply text_reply(const char *text)
{
    return (struct reply){.kind = REPLY_TEXT, .text = span_of_text(text)};
}

static inline struct reply error_reply(const char *text)
{
    return (struct reply){.kind = REPLY_ERROR, .text = span_of_text(text)};
}

/* ROLE's reply begins with the role; the rest does not matter. */
static inline void reply_role(const char *role)
{
    struct reply element = text_reply(role);

    reply((struct reply){.kind = REPLY_ARRAY, .elements = &element, .count = 1});
}

static inline void greet(void)
{
    assert_string_equal(sent(), "CLIENT PING ROLE");
    reply(text_reply("OK"));
}

static inline void probe_once(const char *role)
{
    reply(text_reply("PONG"));
    reply_role(role);
}

static inline void expect(enum service_state state)
{
    assert_string_equal(service_state_text(service_decision(f.service)->state), service_state_text(state));
}

/* Time passes, in steps: the votes are renewed, and the group looks when it must. */
static inline void pass(int64_t ms)
{
    for (int64_t end_ms = f.now_ms + ms; f.now_ms < end_ms;) {
        int64_t wake_ms = voter_group_wake_ms(f.group);
        int64_t step_ms = wake_ms > f.now_ms && wake_ms < f.now_ms + 100 ? wake_ms - f.now_ms : 100;
        f.now_ms += f.now_ms + step_ms < end_ms ? step_ms : end_ms - f.now_ms;
        voter_group_tick(f.group, f.now_ms, PROGRESS_UNLIMITED);
        name(0);
    }
}

/* The next attempt, when it is due: ends so, 2 ms later. Returns for how long it was waited for. */
static inline int64_t attempt(enum conversation_end end)
{
    int64_t begin_ms = f.now_ms;
    int64_t wait_ms = conversation_wake_ms(talk()) - begin_ms;

    pass(wait_ms);
    assert_int_equal(conversation_tick(talk(), f.now_ms), CONVERSATION_CONNECT);
    pass(2);
    conversation_lost(talk(), "lost", end, f.now_ms);
    return wait_ms;
}

#define PROBE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
