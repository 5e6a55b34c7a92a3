/*
 * A watchdog: how long the loop does not look at its sockets, because a turn of it takes so long. A turn is all that
 * happens between two waits in the kernel. A process that is stopped while it waits has no stall.
 *
 * It also keeps turns short. The links to thousands of nodes have half a millisecond of each turn, and leave the
 * rest of their work to later ones. A question should not wait for all of them. Links to voters never wait, but do
 * less in a turn when there are many.
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
    int64_t links_us;  /* what the links that can wait had of this turn */
    int64_t voters_us; /* and those that never wait */
    int64_t *us;       /* the one of the two that is at work, */
    int64_t t_work_us; /* since then */
    int64_t now_ms;    /* in this turn; 0: nobody needed it */
    unsigned put_off;  /* timers in this turn */
    bool has_overdue;  /* a link that was put off for too long has worked in this turn */
};

/* Where a link was put off for so long, the links may have one and a half milliseconds of a turn. */
#define LOOP_STALLS_PUT_OFF_MS 250

/*
 * Counts each turn of `loop` in `metrics->loop_stalls` until loop_stalls_stop(), from the next one on. Both structs
 * are borrowed until then. A loop has one watchdog.
 */
void loop_stalls_start(struct loop_stalls *stalls, struct ev_loop *loop, struct metrics *metrics);

void loop_stalls_stop(struct ev_loop *loop);

/*
 * For a handler of a link's descriptor: true if the links have had their share of this turn. The handler just returns
 * then, for the loop tells the event again. `*io_since_ms` is 0 at first, and then this function's. After false the
 * handler works, and calls loop_stalls_has_worked() at its end. Always false without a watchdog.
 */
bool loop_stalls_puts_off(struct ev_loop *loop, int64_t *io_since_ms);

/*
 * The same for the handler of a link's `timer`, which has expired. If it returns true, it has started the timer
 * again. Many timers that are put off do not come back all at once.
 */
bool loop_stalls_puts_off_timer(struct ev_loop *loop, ev_timer *timer, int64_t *io_since_ms);

/*
 * For a handler of a link that never waits; it calls loop_stalls_has_worked() at its end. True if such links have had half
 * a millisecond of this turn. The handler should leave for later turns what it can. Always false without a watchdog.
 */
bool loop_stalls_hurries(struct ev_loop *loop);

/* The work is done that began when one of the first two said false, or with loop_stalls_hurries(). */
void loop_stalls_has_worked(struct ev_loop *loop);

#endif
