/*
 * What HAProxy's agent-checks are told: which of a service's servers are up. A master that was replaced is told to be
 * down for a while, so that HAProxy cuts the sessions to it (`on-marked-down shutdown-sessions`). No more than that:
 * whom new connections go to is the business of the answers to NOTIFYs. Pure; all times in ms.
 */
#ifndef SPOA_CORE_HAPROXY_AGENT_CHECK_H
#define SPOA_CORE_HAPROXY_AGENT_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/must_check.h"
#include "proto/span.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/haproxy/check_mode.h"

struct agent_check_settings {
    enum check_mode mode;
    int64_t
        delay_ms; /* before a server is told to be down; until then no client is connecting to it any more */
    int64_t pulse_ms; /* longer than HAProxy takes to ask twice */
};

struct agent_checks;

MUST_CHECK struct agent_checks *agent_checks_create(void); /* NULL where memory is short */
void agent_checks_destroy(struct agent_checks *checks);    /* NULL is fine */

/* Begins to watch `service`, which is borrowed and must not change any more when the checks are destroyed. False where
 * memory is short. */
MUST_CHECK bool agent_checks_add(struct agent_checks *checks, struct service *service,
                                 const struct agent_check_settings *settings);

/* Takes over what `former`, of another configuration, was still saying of servers that both have. */
void agent_checks_inherit(struct agent_checks *checks, const struct agent_checks *former);

/*
 * The line for a question "SERVICE SERVER", both with the newline: "up" or "down #reason" (HAProxy configuration
 * manual, "agent-check"). Where one of the names is not known it is "fail #reason", and `*ret_known` false: HAProxy
 * logs that and holds the server down, of which we would never speak well. (A word that it does not know it would only
 * show in its statistics.)
 */
struct span agent_checks_answer(const struct agent_checks *checks, struct span question, int64_t now_ms,
                                bool *ret_known);

#endif
