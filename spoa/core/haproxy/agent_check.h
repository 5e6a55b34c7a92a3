/*
 * Answers HAProxy's agent-checks: which servers of a service are up. A replaced master is reported down for a
 * while, so that HAProxy cuts the sessions to it (`on-marked-down shutdown-sessions`). The checks do no more
 * than that: the answers to NOTIFYs decide where new connections go. Pure; all times in ms.
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
    /* The delay before a server is reported down. After it, no client is still connecting to that server. */
    int64_t delay_ms;
    int64_t pulse_ms; /* how long a server is reported down: longer than HAProxy takes to ask twice */
};

struct agent_checks;

MUST_CHECK struct agent_checks *agent_checks_create(void); /* NULL if memory is short */
void agent_checks_destroy(struct agent_checks *checks);    /* NULL is fine */

/* Begins to observe `service`, which is borrowed. The service must not change any more once the checks are
 * destroyed. False if memory is short. */
MUST_CHECK bool agent_checks_add(struct agent_checks *checks, struct service *service,
                                 const struct agent_check_settings *settings);

/* Takes over from `former`, the checks of another configuration, which servers of the service of this name are or will
 * be reported down for a while. Only servers that both have count. To be called before handover(). */
void agent_checks_inherit(struct agent_checks *checks, const struct agent_checks *former,
                          const char *service);

/*
 * The line that answers the question "SERVICE SERVER": "up", "down #reason", or "#starting" (HAProxy
 * configuration manual, "agent-check"). Question and line end with a newline. If a name is not known, the
 * line is "fail #reason" and `*ret_known` is false. HAProxy logs that and holds the server down, which is
 * right: we would never report it up. Another word would not do: HAProxy shows an unknown word only in its
 * statistics.
 */
struct span agent_checks_answer(const struct agent_checks *checks, struct span question, int64_t now_ms,
                                bool *ret_known);

#endif
