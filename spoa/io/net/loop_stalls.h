/*
 * A watchdog: how long the loop does not look at its sockets, because a turn of it takes so long. A turn is all that
 * happens between two waits in the kernel. A process that is stopped while it waits has no stall.
 */
#ifndef SPOA_IO_NET_LOOP_STALLS_H
#define SPOA_IO_NET_LOOP_STALLS_H

#include <ev.h>

#include "spoa/core/base/metrics.h"

/* A turn's beginning; the fields are its own. */
struct loop_stalls {
    struct metrics *metrics;
    int64_t t_woken_us;
};

/*
 * Counts each turn of `loop` in `metrics->loop_stalls` until loop_stalls_stop(), from the next one on. Both structs
 * are borrowed until then. A loop has one watchdog.
 */
void loop_stalls_start(struct loop_stalls *stalls, struct ev_loop *loop, struct metrics *metrics);

void loop_stalls_stop(struct ev_loop *loop);

#endif
