/* Small helpers around libev that every adapter uses. */
#ifndef SPOA_IO_NET_LOOP_H
#define SPOA_IO_NET_LOOP_H

#include <ev.h>
#include <stdint.h>

/* Milliseconds that go on while the machine sleeps (CLOCK_BOOTTIME): a vote must age then, too. */
int64_t clock_ms(void);

/* Microseconds of the same clock, for durations. */
int64_t clock_us(void);

/* Arms `timer` for the moment `wake_ms` (clock_ms() time; INT64_MAX: stops it). Never earlier than that. */
void loop_arm(struct ev_loop *loop, ev_timer *timer, int64_t wake_ms);

#endif
