/*
 * A watchdog: how long the loop does not look at its sockets, because a turn of it takes so long. A turn is all that
 * happens between two waits in the kernel. A process that is stopped while it waits has no stall.
 */
#ifndef SPOA_IO_NET_LOOP_STALLS_H
#define SPOA_IO_NET_LOOP_STALLS_H

#include <ev.h>
#include <stdbool.h>

#include "spoa/core/base/metrics.h"

/* A turn of the loop; the fields are its own. */
struct loop_stalls {
    struct metrics *metrics;
    int64_t t_woken_us;
    bool is_long;
    unsigned put_off; /* timers in this turn */
};

/*
 * Counts each turn of `loop` in `metrics->loop_stalls` until loop_stalls_stop(), from the next one on. Both structs
 * are borrowed until then. A loop has one watchdog.
 */
void loop_stalls_start(struct loop_stalls *stalls, struct ev_loop *loop, struct metrics *metrics);

void loop_stalls_stop(struct ev_loop *loop);

/*
 * Whether this turn has taken a millisecond. Links to thousands of nodes leave the rest of their work to the next turn
 * then, so that a question does not wait for all of them. A handler of a descriptor may just return: the loop tells it
 * again. False without a watchdog.
 */
bool loop_stalls_is_long(struct ev_loop *loop);

/*
 * For the handler of `timer`, which has expired: false in a short turn. In a long one it starts the timer again, for a later
 * turn, and returns true. Many timers that are put off do not come back all at once.
 */
bool loop_stalls_puts_off(struct ev_loop *loop, ev_timer *timer);

#endif
