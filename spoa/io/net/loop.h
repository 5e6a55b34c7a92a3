/* Small helpers around libev that every adapter uses. */
#ifndef SPOA_IO_NET_LOOP_H
#define SPOA_IO_NET_LOOP_H

#include <ev.h>
#include <stdint.h>

/* Milliseconds of a clock that also runs while the machine sleeps (CLOCK_BOOTTIME), so that votes age
 * then, too. */
int64_t clock_ms(void);

/* Microseconds of the same clock, for durations. */
int64_t clock_us(void);

/* Arms `timer` for `wake_ms` (clock_ms() time); it never fires earlier. INT64_MAX stops it. A timer that
 * has expired and is still due runs in this turn of the loop. */
void loop_arm(struct ev_loop *loop, ev_timer *timer, int64_t wake_ms);

/*
 * Events of `io` come before the timers of the same turn of the loop. After the loop stood still, a reply that came in
 * time is read before a timer finds the peer late. Must be called before `io` is started.
 */
void loop_put_first(ev_io *io);

#endif
