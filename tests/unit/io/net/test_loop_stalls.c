/* How long a turn of the loop takes: the work counts, the wait does not. */
#include "spoa/io/net/loop_stalls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "spoa/io/net/loop.h"

#define WAIT_S 0.3
#define STALL_US 30000
#define NEXT_BOUND_US 250000 /* what a busy machine may add */

struct run {
    struct ev_loop *loop;
    ev_timer timer;
    struct metrics metrics;
    struct loop_stalls stalls;
};

static void sleep_in_turn(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)timer;
    (void)events;
    usleep(STALL_US);
}

static void do_nothing(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)timer;
    (void)events;
}

static void begin(struct run *run)
{
    *run = (struct run){.loop = ev_loop_new(EVFLAG_AUTO)};
    assert_non_null(run->loop);
    loop_stalls_start(&run->stalls, run->loop, &run->metrics);
}

static void end(struct run *run)
{
    loop_stalls_stop(run->loop);
    ev_loop_destroy(run->loop);
}

/* After a wait of `wait_s`, which ends a turn and begins another; a third wait counts that one. */
static void take_turn(struct run *run, void (*work)(struct ev_loop *, ev_timer *, int), double wait_s)
{
    ev_now_update(run->loop);
    ev_timer_init(&run->timer, work, wait_s, 0.0);
    ev_timer_start(run->loop, &run->timer);
    ev_run(run->loop, EVRUN_ONCE);
    ev_run(run->loop, EVRUN_NOWAIT);
}

static uint64_t count_over(const struct histogram *histogram, uint32_t bound_us)
{
    uint64_t count = histogram->counts[HISTOGRAM_BOUNDS];

    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++)
        if (metrics_stall_bounds_us[i] > bound_us)
            count += histogram->counts[i];
    return count;
}

static void counts_the_work(void **state)
{
    struct run run;

    (void)state;
    begin(&run);
    take_turn(&run, sleep_in_turn, 0.0);
    assert_int_equal(count_over(&run.metrics.loop_stalls, 25000), 1);
    assert_true(run.metrics.loop_stalls.sum_us >= STALL_US);
    end(&run);
}

static void counts_no_wait(void **state)
{
    struct run run;

    (void)state;
    begin(&run);
    int64_t t_begun_us = clock_us();
    take_turn(&run, do_nothing, WAIT_S);
    assert_true(clock_us() - t_begun_us >= NEXT_BOUND_US);
    assert_int_equal(count_over(&run.metrics.loop_stalls, NEXT_BOUND_US), 0);
    assert_true(count_over(&run.metrics.loop_stalls, 0) > 0);
    end(&run);
}

static void ends(void **state)
{
    struct run run;

    (void)state;
    begin(&run);
    loop_stalls_stop(run.loop);
    take_turn(&run, sleep_in_turn, 0.0);
    assert_int_equal(count_over(&run.metrics.loop_stalls, 0), 0);
    end(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_the_work),
        cmocka_unit_test(counts_no_wait),
        cmocka_unit_test(ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
