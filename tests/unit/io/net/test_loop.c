/* Timers and sockets of one turn. */
#include "spoa/io/net/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define TURNS 1000

struct fixture {
    struct ev_loop *loop;
    ev_io io; /* readable in every turn */
    int far_end;
    ev_timer timer;
    int64_t wake_ms; /* each event of `io` sets the timer to this */
    unsigned events;
    unsigned events_at_timer; /* so many there were before the timer expired; 0: it has not */
};

static struct fixture f;

static struct timespec set_time; /* what the clock says; 0: the true time */

/* In place of the C library's. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (clock != CLOCK_BOOTTIME || set_time.tv_sec == 0)
        return (int)syscall(SYS_clock_gettime, clock, now);
    *now = set_time;
    return 0;
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
    (void)io;
    (void)events;
    f.events++;
    loop_arm(loop, &f.timer, f.wake_ms);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)timer;
    (void)events;
    f.events_at_timer = f.events;
}

static int set_up(void **state)
{
    int ends[2];

    (void)state;
    f = (struct fixture){.loop = ev_loop_new(EVFLAG_AUTO)};
    if (f.loop == NULL || pipe(ends) == -1 || write(ends[1], "x", 1) != 1)
        return -1;
    f.far_end = ends[1];
    ev_io_init(&f.io, on_readable, ends[0], EV_READ);
    loop_put_first(&f.io);
    ev_io_start(f.loop, &f.io);
    ev_timer_init(&f.timer, on_timer, 0.0, 0.0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ev_io_stop(f.loop, &f.io);
    ev_timer_stop(f.loop, &f.timer);
    (void)close(f.io.fd);
    (void)close(f.far_end);
    ev_loop_destroy(f.loop);
    return 0;
}

/* Something that is due, and a socket that says so in each turn: it is done all the same, after the socket. */
static void what_is_due_is_not_put_off(void **state)
{
    (void)state;
    f.wake_ms = clock_ms();
    loop_arm(f.loop, &f.timer, f.wake_ms);
    for (unsigned i = 0; i < TURNS && f.events_at_timer == 0; i++)
        ev_run(f.loop, EVRUN_ONCE);
    assert_true(f.events_at_timer > 0);
}

/* What the socket says makes it due later: it is not done. */
static void what_is_due_later_waits(void **state)
{
    (void)state;
    f.wake_ms = clock_ms() + 3600000;
    loop_arm(f.loop, &f.timer, clock_ms());
    for (unsigned i = 0; i < TURNS; i++)
        ev_run(f.loop, EVRUN_ONCE);
    assert_int_equal(f.events, TURNS);
    assert_int_equal(f.events_at_timer, 0);
}

/* What is left of a microsecond, and of a millisecond, is cut. */
static void clocks(void **state)
{
    (void)state;
    set_time = (struct timespec){.tv_sec = 12, .tv_nsec = 5678999};
    assert_int_equal(clock_us(), 12005678);
    assert_int_equal(clock_ms(), 12005);
    set_time.tv_nsec = 999999999;
    assert_int_equal(clock_us(), 12999999);
    assert_int_equal(clock_ms(), 12999);
    set_time.tv_sec = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_due_is_not_put_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_due_later_waits, set_up, tear_down),
        cmocka_unit_test(clocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
