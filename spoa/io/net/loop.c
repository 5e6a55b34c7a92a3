#include "spoa/io/net/loop.h"

#include <time.h>

int64_t clock_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + (int64_t)((uint32_t)now.tv_nsec / 1000);
}

int64_t clock_ms(void)
{
    return clock_us() / 1000;
}

void loop_arm(struct ev_loop *loop, ev_timer *timer, int64_t wake_ms)
{
    int64_t now_ms = clock_ms();

    /* The timer has expired. It runs in this turn, after the sockets. If each event of a socket put it off, it would
     * never run. */
    if (ev_is_pending(timer) && wake_ms <= now_ms)
        return;
    ev_timer_stop(loop, timer);
    if (wake_ms == INT64_MAX)
        return;
    /* The loop's own time may lag behind. Without the update the timer would fire early and spin. */
    ev_now_update(loop);
    double wait_s = wake_ms > now_ms ? (double)(wake_ms - now_ms) / 1000.0 : 0.0;
    ev_timer_set(timer, wait_s, 0.0);
    ev_timer_start(loop, timer);
}

void loop_put_first(ev_io *io)
{
    ev_set_priority(io, 1);
}
