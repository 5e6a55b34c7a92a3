/*
 * A service before and after a reload: two configurations of it. The next map has the servers in another
 * order, and the next list of voters, too: nothing may go by number.
 */
#ifndef TESTS_UNIT_CORE_DECISION_HANDOVER_FIXTURE_H
#define TESTS_UNIT_CORE_DECISION_HANDOVER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/decision/handover.h"
#include "tests/lib/events.h"

enum { T = 500, F = 2000, VOTERS = 3, SERVERS = 3, PARK = 1000, FENCE = 400 };
#define START 100000
#define A "10.0.0.1:6379"
#define B "10.0.0.2:6379"
#define C "10.0.0.3:6379"

/* One configuration of the service. */
struct side {
    struct service_server servers[SERVERS];
    uint8_t identities[VOTERS];
    struct service_settings settings;
    struct service *service;
    struct service_observer observer;
    unsigned changes;
    unsigned switches;
    unsigned fences; /* fenced by a change */
    char replaced[ADDR_TEXT_MAX];
};

static struct side former;
static struct side next;
/* Voter i of the next list is voter 2 - i of the former one. */
static const int voters[VOTERS] = {2, 1, 0};
static const int strangers[VOTERS] = {-1, -1, -1};

static inline void remember(struct service_observer *self, const struct service *service,
                            const struct service_change *change)
{
    struct side *side = (struct side *)(void *)((char *)self - offsetof(struct side, observer));

    (void)service;
    side->changes++;
    side->fences += change->after->is_fenced && !change->before->is_fenced;
    if (!change->switched)
        return;
    side->switches++;
    side->replaced[0] = '\0';
    if (change->replaced != NULL)
        addr_format(change->replaced, side->replaced);
}

static inline struct addr addr_of(const char *text)
{
    struct addr addr;

    assert_true(addr_parse(span_of_text(text), &addr));
    return addr;
}

static inline void make(struct side *side, const char *const addresses[SERVERS],
                        const struct policy_config *policy)
{
    *side = (struct side){.observer = {.changed = remember}};
    for (size_t i = 0; i < SERVERS; i++)
        side->servers[i] =
            (struct service_server){.name = addresses[i], .addr = addr_of(addresses[i]), .weight = 1};
    for (unsigned i = 0; i < VOTERS; i++)
        side->identities[i] = (uint8_t)i;
    side->settings = (struct service_settings){
        .name = "m",
        .monitor = "m",
        .servers = side->servers,
        .server_count = SERVERS,
        .park_ms = PARK,
        .quorum = {.identities = side->identities,
                   .voters = VOTERS,
                   .threshold = 2,
                   .reply_timeout_ms = T,
                   .vote_life_ms = F,
                   .hold_ms = QUORUM_HOLD_MS,
                   .suspect_interval_ms = QUORUM_SUSPECT_INTERVAL_MS},
        .policy = *policy,
        .replicas = {.is_enabled = true, .max_lag = {.unit = LAG_BYTES, .amount = 100}},
    };
    side->service = service_create(&side->settings, START);
    assert_non_null(side->service);
}

static inline void build(struct policy_config policy)
{
    static const char *const before[SERVERS] = {A, B, C};
    static const char *const after[SERVERS] = {C, A, B};

    make(&former, before, &policy);
    make(&next, after, &policy);
    service_observe(former.service, &former.observer);
}

static inline void end(void)
{
    service_destroy(former.service);
    service_destroy(next.service);
}

static inline void agree(struct side *side, const char *address, int64_t now_ms)
{
    struct addr addr = addr_of(address);
    const struct service_event vote = {
        .kind = SERVICE_SAID_MASTER, .t_sent_ms = now_ms, .addr = &addr, .ballot = QUORUM_NAMES};

    for (unsigned i = 0; i < 2 * VOTERS; i++)
        (void)step_as(side->service, i % VOTERS, &vote, now_ms);
}

static inline void say_role(struct side *side, const char *address, enum node_role role, int64_t now_ms)
{
    struct addr addr = addr_of(address);

    step_role(side->service, &addr, role, now_ms);
}

static inline void break_link(struct side *side, const char *address, int64_t now_ms)
{
    struct addr addr = addr_of(address);

    (void)step_link(side->service, SERVICE_LINK_CLOSED, &addr, 0, now_ms);
}

/* The change-over, watched by an observer of the next service. */
static inline void change_over(int64_t now_ms)
{
    service_observe(next.service, &next.observer);
    handover(next.service, former.service, voters, now_ms);
}

static inline const struct service_decision *decision(void)
{
    return service_decision(next.service);
}

#endif
