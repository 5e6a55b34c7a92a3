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

/* ---- what can wait for a later turn ---- */

#define WAITERS 3
/* More than the share, and less than what has waited too long may take. */
#define SHARE_US 700
/* More than that, too. */
#define SHARE_MAX_US 2000

struct waiter {
    ev_timer timer;
    int64_t since_ms;
    unsigned put_off;
    bool has_run;
};

static void run_if_there_is_time(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct waiter *waiter = timer->data;

    (void)events;
    if (loop_stalls_puts_off_timer(loop, timer, &waiter->since_ms))
        waiter->put_off++;
    else
        waiter->has_run = true;
}

static void start_waiter(struct run *run, struct waiter *waiter)
{
    *waiter = (struct waiter){.has_run = false};
    ev_timer_init(&waiter->timer, run_if_there_is_time, 0.0, 0.0);
    waiter->timer.data = waiter;
    ev_timer_start(run->loop, &waiter->timer);
}

/* Before what waits: the links have their share of the turn. */
static void use_share(struct ev_loop *loop, ev_timer *timer, int events)
{
    int64_t since_ms = 0;

    (void)timer;
    (void)events;
    assert_false(loop_stalls_puts_off(loop, &since_ms)); /* the first in its turn */
    usleep(SHARE_US);
    loop_stalls_has_worked(loop);
}

static void start_user(struct run *run)
{
    ev_timer_init(&run->timer, use_share, 0.0, 0.0);
    ev_set_priority(&run->timer, EV_MAXPRI);
    ev_timer_start(run->loop, &run->timer);
}

/* They run later, and not all in one turn. */
static void puts_timers_off(void **state)
{
    struct waiter waiters[WAITERS];
    struct run run;

    (void)state;
    begin(&run);
    for (size_t i = 0; i < WAITERS; i++)
        start_waiter(&run, &waiters[i]);
    start_user(&run);
    ev_run(run.loop, EVRUN_ONCE);
    double first_s = 1.0, last_s = -1.0;
    for (size_t i = 0; i < WAITERS; i++) {
        double due_s = ev_timer_remaining(run.loop, &waiters[i].timer);
        assert_int_equal(waiters[i].put_off, 1);
        assert_true(waiters[i].since_ms > 0);
        first_s = due_s < first_s ? due_s : first_s;
        last_s = due_s > last_s ? due_s : last_s;
    }
    assert_true(last_s - first_s > 30e-6);
    assert_true(first_s > 0.0);
    ev_run(run.loop, 0);
    for (size_t i = 0; i < WAITERS; i++) {
        assert_true(waiters[i].has_run);
        assert_int_equal(waiters[i].since_ms, 0);
    }
    end(&run);
}

/* What comes before the links does not count: they get on in each turn. */
static void shares_a_long_turn(void **state)
{
    struct waiter waiter;
    struct run run;

    (void)state;
    begin(&run);
    start_waiter(&run, &waiter);
    ev_timer_init(&run.timer, sleep_in_turn, 0.0, 0.0);
    ev_set_priority(&run.timer, EV_MAXPRI);
    ev_timer_start(run.loop, &run.timer);
    ev_run(run.loop, EVRUN_ONCE);
    assert_int_equal(waiter.put_off, 0);
    assert_true(waiter.has_run);
    end(&run);
}

/* Where no turn has time left it runs all the same. */
static void puts_nothing_off_for_ever(void **state)
{
    struct waiter waiter;
    struct run run;
    int64_t begun_ms = clock_ms();

    (void)state;
    begin(&run);
    start_waiter(&run, &waiter);
    while (!waiter.has_run) {
        start_user(&run);
        ev_run(run.loop, EVRUN_ONCE);
    }
    assert_true(waiter.put_off > 0);
    assert_true(clock_ms() - begun_ms >= LOOP_STALLS_PUT_OFF_MS);
    end(&run);
}

/* Uses up more than the share, with all that may be added to it. */
static void use_all(struct ev_loop *loop, ev_timer *timer, int events)
{
    int64_t since_ms = 0;

    (void)timer;
    (void)events;
    assert_false(loop_stalls_puts_off(loop, &since_ms));
    usleep(SHARE_MAX_US);
    loop_stalls_has_worked(loop);
}

static void take_full_turn(struct run *run)
{
    ev_timer_init(&run->timer, use_all, 0.0, 0.0);
    ev_set_priority(&run->timer, EV_MAXPRI);
    ev_timer_start(run->loop, &run->timer);
    ev_run(run->loop, EVRUN_ONCE);
}

/* Where each turn is full one of those that have waited too long works all the same, and only one. */
static void lets_one_work_in_a_full_turn(void **state)
{
    struct waiter waiters[2];
    struct run run;

    (void)state;
    begin(&run);
    for (size_t i = 0; i < 2; i++) {
        start_waiter(&run, &waiters[i]);
        waiters[i].since_ms = clock_ms() - LOOP_STALLS_PUT_OFF_MS;
    }
    take_full_turn(&run);
    assert_int_equal(waiters[0].has_run + waiters[1].has_run, 1);
    while (!waiters[0].has_run || !waiters[1].has_run)
        take_full_turn(&run);
    end(&run);
}

static void look_whether_it_hurries(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)timer;
    (void)events;
    assert_false(loop_stalls_hurries(loop)); /* others had their share, which is another one */
    usleep(SHARE_US);
    loop_stalls_has_worked(loop);
    assert_true(loop_stalls_hurries(loop));
    loop_stalls_has_worked(loop);
}

/* A link that never waits does less where its like has worked for long in this turn. */
static void says_who_hurries(void **state)
{
    struct run run;
    ev_timer timer;

    (void)state;
    begin(&run);
    for (unsigned i = 0; i < 2; i++) {
        start_user(&run);
        ev_timer_init(&timer, look_whether_it_hurries, 0.0, 0.0);
        ev_timer_start(run.loop, &timer);
        ev_run(run.loop, EVRUN_ONCE);
        assert_false(ev_is_active(&timer));
    }
    end(&run);
}

/* Other loops than the agent's have none. */
static void puts_nothing_off_without_a_watchdog(void **state)
{
    struct waiter waiter;
    struct run run;

    (void)state;
    begin(&run);
    loop_stalls_stop(run.loop);
    start_waiter(&run, &waiter);
    start_user(&run);
    ev_run(run.loop, EVRUN_ONCE);
    assert_true(waiter.has_run);
    ev_loop_destroy(run.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_the_work),
        cmocka_unit_test(counts_no_wait),
        cmocka_unit_test(ends),
        cmocka_unit_test(puts_timers_off),
        cmocka_unit_test(shares_a_long_turn),
        cmocka_unit_test(puts_nothing_off_for_ever),
        cmocka_unit_test(lets_one_work_in_a_full_turn),
        cmocka_unit_test(says_who_hurries),
        cmocka_unit_test(puts_nothing_off_without_a_watchdog),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
