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

/* Arms `timer` for `wake_ms` (clock_ms() time); it never fires earlier. INT64_MAX stops it. */
void loop_arm(struct ev_loop *loop, ev_timer *timer, int64_t wake_ms);

/*
 * Events of `io` come before timers that expire in the same turn of the loop. What a peer has said in time is then read
 * before a timer finds the peer late, also after the loop stood still. Must be called before `io` is started.
 */
void loop_put_first(ev_io *io);

#endif
