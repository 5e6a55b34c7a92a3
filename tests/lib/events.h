/* Events as the tests tell them to a service: asked for and answered at one moment. */
#ifndef TESTS_LIB_EVENTS_H
#define TESTS_LIB_EVENTS_H

#include "spoa/core/decision/service.h"

/* The same event, told by `voter`. */
static inline bool step_as(struct service *service, unsigned voter, const struct service_event *event,
                           int64_t now_ms)
{
    struct service_event said = *event;

    said.voter = voter;
    return service_step(service, &said, now_ms);
}

/* The node at `addr` tells what it is. */
static inline void step_role(struct service *service, const struct addr *addr, enum node_role role,
                             int64_t now_ms)
{
    const struct service_event event = {
        .kind = SERVICE_SAID_ROLE, .t_sent_ms = now_ms, .addr = addr, .role = role};

    (void)service_step(service, &event, now_ms);
}

/* A Sentinel tells what else it knows of the master at `addr`. */
static inline void step_facts(struct service *service, unsigned voter, const struct addr *addr,
                              const struct sentinel_facts *facts, int64_t now_ms)
{
    const struct service_event event = {
        .kind = SERVICE_SAID_FACTS, .voter = voter, .t_sent_ms = now_ms, .addr = addr, .facts = facts};

    (void)service_step(service, &event, now_ms);
}

/* Our link to the node at `addr` was closed, or the attempt to connect was refused. */
static inline bool step_link(struct service *service, enum service_event_kind kind, const struct addr *addr,
                             int64_t until_ms, int64_t now_ms)
{
    const struct service_event event = {.kind = kind, .addr = addr, .until_ms = until_ms};

    return service_step(service, &event, now_ms);
}

/* Something that is so, or no longer so, of `voter`: see enum service_event_kind. */
static inline void step_voter(struct service *service, enum service_event_kind kind, unsigned voter,
                              bool is_so, int64_t now_ms)
{
    const struct service_event event = {.kind = kind, .voter = voter, .t_sent_ms = now_ms, .is_so = is_so};

    (void)service_step(service, &event, now_ms);
}

#endif
