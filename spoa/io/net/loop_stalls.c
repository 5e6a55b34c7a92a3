#include "spoa/io/net/loop_stalls.h"

#include "spoa/io/net/loop.h"

#define NOT_AWAKE (-1)
#define SHARE_US 500
/* All of them together, where some were put off for too long. One of those works in each turn, whatever the others took. */
#define SHARE_MAX_US 1500
/* About what a timer's work takes: a command that is sent, or a connection that is begun. */
#define APART_S 20e-6
#define APART_MAX 10000

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
    stalls->links_us = 0;
    stalls->voters_us = 0;
    stalls->now_ms = 0;
    stalls->put_off = 0;
    stalls->has_overdue = false;
}

void loop_stalls_start(struct loop_stalls *stalls, struct ev_loop *loop, struct metrics *metrics)
{
    *stalls = (struct loop_stalls){.metrics = metrics, .t_woken_us = NOT_AWAKE, .us = &stalls->links_us};
    ev_set_userdata(loop, stalls);
    ev_set_loop_release_cb(loop, on_wait, on_woken);
}

void loop_stalls_stop(struct ev_loop *loop)
{
    ev_set_loop_release_cb(loop, NULL, NULL);
    ev_set_userdata(loop, NULL);
}

static void begin_work(struct loop_stalls *stalls, int64_t *us)
{
    stalls->us = us;
    stalls->t_work_us = clock_us();
}

/* Whether the links have had their share, and this one has not waited for so long that it has to work now. */
static bool is_put_off(struct loop_stalls *stalls, int64_t *io_since_ms)
{
    if (stalls->links_us < SHARE_US)
        return false;
    if (stalls->now_ms == 0)
        stalls->now_ms = clock_ms();
    if (*io_since_ms == 0)
        *io_since_ms = stalls->now_ms;
    if (stalls->now_ms - *io_since_ms < LOOP_STALLS_PUT_OFF_MS ||
        (stalls->links_us >= SHARE_MAX_US && stalls->has_overdue))
        return true;
    stalls->has_overdue = true;
    return false;
}

bool loop_stalls_puts_off(struct ev_loop *loop, int64_t *io_since_ms)
{
    struct loop_stalls *stalls = ev_userdata(loop);

    if (stalls == NULL)
        return false;
    if (is_put_off(stalls, io_since_ms))
        return true;
    *io_since_ms = 0;
    begin_work(stalls, &stalls->links_us);
    return false;
}

bool loop_stalls_hurries(struct ev_loop *loop)
{
    struct loop_stalls *stalls = ev_userdata(loop);

    if (stalls == NULL)
        return false;
    begin_work(stalls, &stalls->voters_us);
    return stalls->voters_us >= SHARE_US;
}

void loop_stalls_has_worked(struct ev_loop *loop)
{
    struct loop_stalls *stalls = ev_userdata(loop);

    if (stalls != NULL)
        *stalls->us += clock_us() - stalls->t_work_us;
}

bool loop_stalls_puts_off_timer(struct ev_loop *loop, ev_timer *timer, int64_t *io_since_ms)
{
    struct loop_stalls *stalls = ev_userdata(loop);

    if (!loop_stalls_puts_off(loop, io_since_ms))
        return false;
    if (stalls->put_off == 0)
        ev_now_update(loop); /* a timer counts from the loop's time, which lags behind in a long turn */
    if (stalls->put_off < APART_MAX)
        stalls->put_off++;
    ev_timer_stop(loop, timer);
    ev_timer_set(timer, stalls->put_off * APART_S, 0.0);
    ev_timer_start(loop, timer);
    return true;
}
