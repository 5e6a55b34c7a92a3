#include "spoa/io/net/loop_stalls.h"

#include "spoa/io/net/loop.h"

#define NOT_AWAKE (-1)
#define LONG_US 1000
/* About what a timer's work takes: a command that is sent, or a connection that is begun. */
#define APART_S 20e-6

/*
 * libev calls these around the wait itself, and so the changes of watched descriptors belong to the turn. Watchers
 * for ev_prepare and ev_check would cost more and not see them.
 */
static void on_wait(struct ev_loop *loop)
{
    struct loop_stalls *stalls = ev_userdata(loop);

    if (stalls->t_woken_us != NOT_AWAKE)
        histogram_add(&stalls->metrics->loop_stalls, metrics_stall_bounds_us,
                      (uint64_t)(clock_us() - stalls->t_woken_us), 1);
}

static void on_woken(struct ev_loop *loop)
{
    struct loop_stalls *stalls = ev_userdata(loop);

    stalls->t_woken_us = clock_us();
    stalls->is_long = false;
    stalls->put_off = 0;
}

void loop_stalls_start(struct loop_stalls *stalls, struct ev_loop *loop, struct metrics *metrics)
{
    *stalls = (struct loop_stalls){.metrics = metrics, .t_woken_us = NOT_AWAKE};
    ev_set_userdata(loop, stalls);
    ev_set_loop_release_cb(loop, on_wait, on_woken);
}

void loop_stalls_stop(struct ev_loop *loop)
{
    ev_set_loop_release_cb(loop, NULL, NULL);
    ev_set_userdata(loop, NULL);
}

bool loop_stalls_is_long(struct ev_loop *loop)
{
    struct loop_stalls *stalls = ev_userdata(loop);

    if (stalls == NULL || stalls->t_woken_us == NOT_AWAKE)
        return false;
    if (!stalls->is_long)
        stalls->is_long = clock_us() - stalls->t_woken_us >= LONG_US;
    return stalls->is_long;
}

bool loop_stalls_puts_off(struct ev_loop *loop, ev_timer *timer)
{
    struct loop_stalls *stalls = ev_userdata(loop);

    if (!loop_stalls_is_long(loop))
        return false;
    ev_timer_stop(loop, timer);
    ev_timer_set(timer, ++stalls->put_off * APART_S, 0.0);
    ev_timer_start(loop, timer);
    return true;
}
