/*
 * Runs programs at a switch, without a shell. A service runs one program at a time. If several switches
 * happen while it runs, only the newest is run after it. A running program outlives a reload, and the agent. What it
 * prints comes through a pipe of its own and is logged, see hook_output.h; what it has started may print until the next
 * program of the service begins.
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

/* One per service that has a program. The caller owns the memory. */
struct hook_watch {
    struct service_observer observer;
    struct hook *hook;
    const char *command;
    double timeout_s;
};

/* `loop` must be the default loop: no other learns of a child's end. `metrics` is borrowed. NULL if memory
 * is short. */
MUST_CHECK struct hooks *hooks_create(struct ev_loop *loop, struct metrics *metrics);

/* Running programs go on. NULL is fine. */
void hooks_destroy(struct hooks *hooks);

/*
 * From now on runs `command` (see hook_request.h) at each switch of `service`. After `timeout_ms` it is
 * killed, with all that it started. `watch` and `command` are borrowed and must outlive the service's last
 * switch. False if memory is short.
 */
MUST_CHECK bool hooks_watch(struct hooks *hooks, struct hook_watch *watch, struct service *service,
                            const char *command, unsigned timeout_ms);

#endif
