/* Programs at a switch: when they start. The start itself is ours: it takes as long as a test says. */
#include "spoa/io/effects/hooks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "spoa/io/net/loop.h"
#include "tests/lib/log_capture.h"

#define SERVICES 2
/* Far beyond what any of this takes: only a defect gets there. */
#define DEADLINE_MS 20000

static struct {
    unsigned delay_ms;
    bool runs; /* the program starts, and fails; false: it cannot be started */
    unsigned count;
    char last[32]; /* what was started */
} start;

struct fixture {
    struct ev_loop *loop;
    struct hooks *hooks;
    struct metrics metrics;
    struct service *services[SERVICES];
    struct hook_watch watches[SERVICES];
};

static struct fixture f;

static const struct service_settings settings[SERVICES] = {
    {.name = "a",
     .monitor = "a",
     .quorum = {.voters = 1, .threshold = 1, .reply_timeout_ms = 500, .vote_life_ms = 2000}},
    {.name = "b",
     .monitor = "b",
     .quorum = {.voters = 1, .threshold = 1, .reply_timeout_ms = 500, .vote_life_ms = 2000}},
};

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *files,
                const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
    (void)files;
    (void)attributes;
    (void)argv;
    (void)envp;
    start.count++;
    (void)snprintf(start.last, sizeof(start.last), "%s", path);
    usleep(start.delay_ms * 1000);
    if (!start.runs)
        return ENOENT;
    *pid = fork();
    if (*pid == 0)
        _exit(1);
    return *pid == -1 ? errno : 0;
}

static int set_up(void **state)
{
    (void)state;
    memset(&start, 0, sizeof(start));
    log_capture_begin(LOG_LEVEL_INFO);
    f = (struct fixture){.loop = ev_default_loop(EVFLAG_AUTO)};
    f.hooks = hooks_create(f.loop, &f.metrics);
    assert_non_null(f.hooks);
    for (size_t i = 0; i < SERVICES; i++) {
        f.services[i] = service_create(&settings[i], 0);
        assert_non_null(f.services[i]);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hooks_destroy(f.hooks);
    for (size_t i = 0; i < SERVICES; i++)
        service_destroy(f.services[i]);
    return 0;
}

static void watch(size_t index, struct hook_watch *watch, const char *command, unsigned retry_ms)
{
    const struct hook_program program = {.command = command, .timeout_ms = 1000, .retry_ms = retry_ms};

    assert_true(hooks_watch(f.hooks, watch, f.services[index], &program));
}

static void switch_master(size_t index)
{
    struct addr to;
    struct service_observer *observer = &f.watches[index].observer;

    assert_true(addr_parse(span_of_text("10.0.0.2:6380"), &to));
    const struct service_decision after = {.addr = &to, .generation = 1};
    const struct service_change change = {.after = &after, .switched = true};
    observer->changed(observer, f.services[index], &change);
}

/* Runs the loop until so many programs were started. */
static void await_starts(unsigned count)
{
    int64_t deadline_ms = clock_ms() + DEADLINE_MS;

    while (start.count < count && clock_ms() < deadline_ms) {
        ev_run(f.loop, EVRUN_NOWAIT);
        usleep(1000);
    }
    assert_int_equal(start.count, count);
}

/* A machine that stood still during a start holds up the other programs no longer than a busy one. */
static void test_the_pause_is_bounded(void **state)
{
    (void)state;
    watch(0, &f.watches[0], "/a", 0);
    watch(1, &f.watches[1], "/b", 0);
    start.delay_ms = 500;
    switch_master(0);
    int64_t begun_ms = clock_ms();
    switch_master(1);
    assert_int_equal(start.count, 1);
    start.delay_ms = 0;
    await_starts(2);
    assert_true(clock_ms() < begun_ms + 1000);
}

/* Runs the loop for a while: nothing may be started. */
static void expect_no_start(void)
{
    unsigned count = start.count;

    for (int64_t end_ms = clock_ms() + 150; clock_ms() < end_ms; usleep(1000))
        ev_run(f.loop, EVRUN_NOWAIT);
    assert_int_equal(start.count, count);
}

/* A configuration that is not in use yet changes nothing. */
static void test_a_retry_outlives_a_reload_that_is_abandoned(void **state)
{
    struct hook_watch next;

    (void)state;
    watch(0, &f.watches[0], "/a", 20);
    switch_master(0);
    watch(0, &next, "/other", 20);
    await_starts(2);
    assert_string_equal(start.last, "/a");
}

static void test_the_same_program_is_run_again_after_a_reload(void **state)
{
    struct hook_watch next;

    (void)state;
    watch(0, &f.watches[0], "/a", 20);
    switch_master(0);
    watch(0, &next, "/a", 20);
    hooks_inherit(&next, &f.watches[0]);
    await_starts(2);
}

static void test_a_former_program_is_not_run_again(void **state)
{
    struct hook_watch next = {.hook = NULL};

    (void)state;
    watch(0, &f.watches[0], "/a", 20);
    switch_master(0);
    hooks_inherit(&next, &f.watches[0]);
    expect_no_start();
}

static void test_a_former_program_that_still_runs_is_not_run_again(void **state)
{
    struct hook_watch next;

    (void)state;
    start.runs = true;
    watch(0, &f.watches[0], "/a", 20);
    switch_master(0);
    watch(0, &next, "/other", 20);
    hooks_inherit(&next, &f.watches[0]);
    expect_no_start();
    assert_int_equal(log_capture_count("hook-ended"), 1);
}

/* What waits for its turn at the end is started, and counted, before the totals are logged. */
static void test_flush(void **state)
{
    (void)state;
    watch(0, &f.watches[0], "/a", 0);
    watch(1, &f.watches[1], "/b", 0);
    start.delay_ms = 20;
    switch_master(0);
    switch_master(1);
    assert_int_equal(f.metrics.hooks_total, 1);
    hooks_flush(f.hooks);
    assert_int_equal(f.metrics.hooks_total, 2);
    assert_string_equal(start.last, "/b");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_pause_is_bounded),
        TEST(a_retry_outlives_a_reload_that_is_abandoned),
        TEST(the_same_program_is_run_again_after_a_reload),
        TEST(a_former_program_is_not_run_again),
        TEST(a_former_program_that_still_runs_is_not_run_again),
        TEST(flush),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
