/*
 * Time passes only when a test says so: the clocks that this program, its loop and our code read stand still but for that. So
 * a test sees what happens after ten seconds without waiting for them, and nothing happens early on a slow machine.
 */
#ifndef TESTS_UNIT_IO_CLOCK_FIXTURE_H
#define TESTS_UNIT_IO_CLOCK_FIXTURE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define CLOCKS 16
/* In real s. A test that waits for what never happens ends the program. */
#define TESTS_MAX_S 120

static int64_t skipped_us;
static int64_t look_us = 1; /* so long takes each look at a clock: a timer of 0 s needs some */

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int clock_gettime(clockid_t id, struct timespec *ret_now)
{
    static struct timespec first[CLOCKS];
    static bool is_known[CLOCKS];
    size_t index = (size_t)id % CLOCKS;

    if (!is_known[index] && syscall(SYS_clock_gettime, id, &first[index]) == -1)
        return -1;
    is_known[index] = true;
    skipped_us += look_us;
    int64_t us = first[index].tv_nsec / 1000 + skipped_us;
    *ret_now =
        (struct timespec){.tv_sec = first[index].tv_sec + us / 1000000, .tv_nsec = us % 1000000 * 1000};
    return 0;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int gettimeofday(struct timeval *restrict ret_now, void *restrict zone)
{
    struct timespec now = {.tv_sec = 0};

    (void)zone;
    int status = clock_gettime(CLOCK_REALTIME, &now);
    *ret_now = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return status;
}

/* Lets the loop do what can be done now. */
static inline void turn(struct ev_loop *loop)
{
    for (int i = 0; i < 20; i++)
        ev_run(loop, EVRUN_NOWAIT);
}

/* Lets that much time pass. */
static inline void skip_time(struct ev_loop *loop, int64_t ms)
{
    skipped_us += ms * 1000;
    turn(loop);
}

#endif
