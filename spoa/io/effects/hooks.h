/*
 * Runs programs at a switch, without a shell. A service runs one program at a time. If several switches
 * happen while it runs, only the newest is run after it. Programs of many services start one after another, with pauses in
 * between, so that the loop can do something else. A program that fails is run again, unless another switch
 * comes before. A running program outlives a reload, and the agent. What it prints comes through a pipe of its own and is
 * logged, see hook_output.h; what it has started may print until the next program of the service begins.
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

struct hook_program {
    const char *command; /* see hook_request.h; borrowed */
    unsigned timeout_ms; /* then it is ended, with all that it started */
    unsigned
        retry_ms; /* after a failure it is run again after this time, then after twice as long; 0: never */
};

/* How often a program that fails is run again. */
#define HOOK_RETRIES 5

/* Between SIGTERM and SIGKILL. */
#define HOOK_GRACE_MS 2000

/* One per service that has a program. The caller owns the memory. */
struct hook_watch {
    struct service_observer observer;
    struct hook *hook;
    struct hook_program program;
};

/* `loop` must be the default loop: no other learns of a child's end. `metrics` is borrowed. NULL if memory
 * is short. */
MUST_CHECK struct hooks *hooks_create(struct ev_loop *loop, struct metrics *metrics);

/* Starts the programs that wait for their turn, and reads no more of what any program prints: the loop ends. NULL is fine. */
void hooks_flush(struct hooks *hooks);

/* Running programs go on. Those that wait for their turn are not started: see hooks_flush(). NULL is fine. */
void hooks_destroy(struct hooks *hooks);

/*
 * From now on runs the program at each switch of `service`. `watch` and the command are borrowed and must outlive
 * the service's last switch. False if memory is short.
 */
MUST_CHECK bool hooks_watch(struct hooks *hooks, struct hook_watch *watch, struct service *service,
                            const struct hook_program *program);

/*
 * `watch` replaces `former`, that of the same service. A former program that fails is not run again, unless the new
 * one has the same command and retries. A watch that is zeroed has no program.
 */
void hooks_inherit(const struct hook_watch *watch, const struct hook_watch *former);

#endif
