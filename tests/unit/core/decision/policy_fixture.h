/*
 * A service with three voters and two servers, R1 and R2, under a policy: what is said of it, and what it
 * answers.
 */
#ifndef TESTS_UNIT_CORE_DECISION_POLICY_FIXTURE_H
#define TESTS_UNIT_CORE_DECISION_POLICY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spoa/core/decision/service.h"
#include "tests/lib/events.h"
#include "tests/lib/log_capture.h"

#define VOTERS 3
#define START 1000000
#define T 500
#define F 2000
#define R1 "10.0.0.1:6379"
#define R2 "10.0.0.2:6379"

struct fixture {
    struct service_server servers[2];
    struct service_settings settings;
    struct service *service;
    int64_t now_ms;
};

static struct fixture f;
static uint8_t identities[VOTERS];

static inline struct addr addr_of(const char *text)
{
    struct addr addr;

    assert_true(addr_parse(span_of_text(text), &addr));
    return addr;
}

static inline void begin(struct policy_config policy)
{
    f = (struct fixture){
        .servers = {{.name = "R1", .addr = addr_of(R1)}, {.name = "R2", .addr = addr_of(R2)}},
        .settings = {.name = "mymaster",
                     .monitor = "mymaster",
                     .server_count = 2,
                     .quorum = {.identities = identities,
                                .voters = VOTERS,
                                .threshold = 2,
                                .reply_timeout_ms = T,
                                .vote_life_ms = F,
                                .hold_ms = QUORUM_HOLD_MS,
                                .suspect_interval_ms = QUORUM_SUSPECT_INTERVAL_MS},
                     .policy = policy},
        .now_ms = START,
    };
    for (unsigned i = 0; i < VOTERS; i++)
        identities[i] = (uint8_t)i;
    f.settings.servers = f.servers;
    f.service = service_create(&f.settings, START);
    assert_non_null(f.service);
    log_capture_begin(LOG_LEVEL_DEBUG);
}

static inline void end(void)
{
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    service_destroy(f.service);
}

static inline void vote(unsigned voter, const char *address)
{
    struct addr addr = addr_of(address);
    struct service_event ballot = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_NAMES, .addr = &addr, .t_sent_ms = f.now_ms};

    (void)step_as(f.service, voter, &ballot, f.now_ms);
}

/* The first `voters` say so, and once more, for the first time may have been news. */
static inline void agree(unsigned voters, const char *address)
{
    for (unsigned i = 0; i < 2 * voters; i++)
        vote(i % voters, address);
}

static inline void say_role(const char *address, enum node_role role)
{
    struct addr addr = addr_of(address);

    step_role(f.service, &addr, role, f.now_ms);
}

static inline void say_facts(unsigned voter, const char *address, struct sentinel_facts facts)
{
    struct addr addr = addr_of(address);

    step_facts(f.service, voter, &addr, &facts, f.now_ms);
}

static inline void say_down(unsigned voter, const char *address, bool is_down)
{
    say_facts(voter, address,
              (struct sentinel_facts){.is_o_down = is_down, .other_sentinels = VOTERS - 1, .quorum = 2});
}

/* Looks at the decision as an answer does. */
static inline void expect(enum service_state state, enum service_reason reason, const char *server)
{
    if (f.now_ms >= service_decision(f.service)->review_ms)
        service_review(f.service, f.now_ms);
    const struct service_decision *decision = service_decision(f.service);
    assert_string_equal(service_state_text(decision->state), service_state_text(state));
    assert_string_equal(service_reason_text(decision->reason), service_reason_text(reason));
    if (server == NULL)
        assert_null(decision->server);
    else
        assert_string_equal(decision->server, server);
}

#define expect_ok(server) expect(SERVICE_OK, SERVICE_BECAUSE_NONE, server)

#endif
