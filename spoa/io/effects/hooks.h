/*
 * Programs that are run at a switch, without a shell: one at a time for a service, and of those that would have to wait only
 * the newest. They outlive a reload, and the agent.
 */
#ifndef SPOA_IO_EFFECTS_HOOKS_H
#define SPOA_IO_EFFECTS_HOOKS_H

#include <ev.h>
#include <stdbool.h>

#include "proto/must_check.h"
#include "spoa/core/base/metrics.h"
#include "spoa/core/decision/service.h"

struct hook;
struct hooks;

/* One per service that has a program; the caller's memory. */
struct hook_watch {
    struct service_observer observer;
    struct hook *hook;
    const char *command;
    double timeout_s;
};

/* `loop` is the default one: no other learns of a child's end. `metrics` is borrowed. NULL where memory is short. */
MUST_CHECK struct hooks *hooks_create(struct ev_loop *loop, struct metrics *metrics);

/* What runs goes on. NULL is fine. */
void hooks_destroy(struct hooks *hooks);

/*
 * From now on `command` (see hook_request.h) is run at each switch of `service`, and killed, with all that it started, after
 * `timeout_ms`. `watch`, `command` and the service must stay. False where memory is short.
 */
MUST_CHECK bool hooks_watch(struct hooks *hooks, struct hook_watch *watch, struct service *service,
                            const char *command, unsigned timeout_ms);

#endif
