/* Programs at a switch: when they start. */
#include "tests/unit/io/effects/hooks_fixture.h"

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

/* What a program printed before the end is logged before the end, its last line without a newline, too. */
static void test_flush_ends_the_output(void **state)
{
    (void)state;
    start.runs = true;
    start.stays = true;
    start.text = "one\ntwo";
    watch(0, &f.watches[0], "/a", 0);
    switch_master(0);
    await_log("hook-output", 1);
    hooks_flush(f.hooks);
    assert_int_equal(log_capture_count("hook-output"), 2);
}

/* In a session of its own, with the signals of a program that a shell starts. It reads its request, and prints to us. */
static void test_how_it_is_started(void **state)
{
    static const int numbers[] = {SIGPIPE, SIGTERM, SIGINT, SIGUSR1, SIGCHLD};

    (void)state;
    memset(start.files, -1, sizeof(start.files));
    watch(0, &f.watches[0], "/a", 0);
    switch_master(0);
    assert_int_equal(start.count, 1);
    assert_int_equal(start.flags, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        assert_int_equal(sigismember(&start.blocked, numbers[i]), 0);
        assert_int_equal(sigismember(&start.defaults, numbers[i]), 1);
    }
    for (size_t i = 0; i < 4; i++)
        assert_int_not_equal(start.files[i], -1);
    assert_int_equal(start.files[STDOUT_FILENO], start.files[STDERR_FILENO]);
    assert_int_not_equal(start.files[STDIN_FILENO], start.files[3]);
    assert_int_not_equal(start.files[STDOUT_FILENO], start.files[3]);
}

/* Only one that ends by itself, and with 0, is well. */
static void test_how_it_ended(void **state)
{
    (void)state;
    start.runs = true;
    start.status = 0;
    watch(0, &f.watches[0], "/a", 0);
    switch_master(0);
    await_log("hook-ended", 1);
    assert_non_null(strstr(log_capture_last("hook-ended"), "info hook-ended service=a status=0 ms="));
    assert_int_equal(f.metrics.hook_failures_total, 0);
    start.status = 3;
    switch_master(0);
    await_log("hook-ended", 2);
    assert_non_null(strstr(log_capture_last("hook-ended"), "warning hook-ended service=a status=3 ms="));
    start.stays = true;
    switch_master(0);
    await_log("hook-started", 3);
    assert_int_equal(kill(start.pid, SIGKILL), 0);
    await_log("hook-ended", 3);
    assert_non_null(strstr(log_capture_last("hook-ended"), " signal=9 reason=killed ms="));
    assert_int_equal(f.metrics.hook_failures_total, 2);
    start.stays = false;
}

/* One that takes too long is told to end. That it ends well then makes nothing good. */
static void test_one_that_takes_too_long(void **state)
{
    const struct hook_program program = {.command = "/a", .timeout_ms = 20};

    (void)state;
    start.runs = true;
    start.stays = true;
    assert_true(hooks_watch(f.hooks, &f.watches[0], f.services[0], &program));
    switch_master(0);
    await_log("hook-ended", 1);
    assert_non_null(strstr(log_capture_last("hook-ended"), " signal=15 reason=on-switch-timeout ms="));
    start.is_polite = true;
    switch_master(0);
    await_log("hook-ended", 2);
    assert_non_null(strstr(log_capture_last("hook-ended"),
                           "warning hook-ended service=a status=0 reason=on-switch-timeout ms="));
    assert_int_equal(f.metrics.hook_failures_total, 2);
    start.stays = false;
}

static void test_only_a_switch_starts_it(void **state)
{
    (void)state;
    watch(0, &f.watches[0], "/a", 0);
    tell_change(0, false);
    assert_int_equal(start.count, 0);
    switch_master(0);
    assert_int_equal(start.count, 1);
}

/* Its retry waits for its turn when the next configuration comes, which has another program. */
static void test_a_former_program_leaves_the_queue(void **state)
{
    struct hook_watch next = {.hook = NULL};

    (void)state;
    watch(0, &f.watches[0], "/a", 200);
    watch(1, &f.watches[1], "/b", 0);
    ev_now_update(f.loop);
    switch_master(0);
    usleep(210000); /* the pause is over, and the retry is due */
    start.delay_ms = 20;
    switch_master(1);
    ev_run(f.loop, EVRUN_NOWAIT);
    assert_int_equal(start.count, 2);
    assert_string_equal(start.last, "/b");
    hooks_inherit(&next, &f.watches[0]);
    expect_no_start();
}

/* A switch that the former configuration saw, and whose program waits for its turn, is not lost. */
static void test_a_switch_keeps_its_turn_over_a_reload(void **state)
{
    struct hook_watch next = {.hook = NULL};

    (void)state;
    watch(0, &f.watches[0], "/a", 0);
    watch(1, &f.watches[1], "/b", 0);
    start.delay_ms = 20;
    switch_master(1);
    switch_master(0);
    hooks_inherit(&next, &f.watches[0]);
    await_starts(2);
    assert_string_equal(start.last, "/a");
}

/* The program of the switch before must not run in its place: that one knows an older master. */
static void test_a_switch_with_too_many_arguments(void **state)
{
    static const char words[] =
        "/a 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30";

    (void)state;
    watch(0, &f.watches[0], "/a", 0);
    watch(1, &f.watches[1], "/b", 0);
    start.delay_ms = 20;
    switch_master(1);
    switch_master(0);
    f.watches[0].program.command = words;
    uint64_t failures = f.metrics.hook_failures_total;
    switch_master(0);
    assert_int_equal(f.metrics.hook_failures_total, failures + 1);
    assert_string_equal(log_capture_last("hook-failed"),
                        "warning hook-failed service=a reason=too many arguments");
    expect_no_start();
}

/* Each pause is twice as long as the one before. Another switch has all attempts again. */
static void test_retries(void **state)
{
    (void)state;
    watch(0, &f.watches[0], "/a", 1);
    for (unsigned i = 0; i < 2; i++) {
        unsigned before = start.count;
        switch_master(0);
        await_starts(before + 1);
        assert_non_null(strstr(log_capture_last("hook-failed"), " retry-ms=1"));
        await_starts(before + 3);
        assert_non_null(strstr(log_capture_last("hook-failed"), " retry-ms=4"));
        await_starts(before + 1 + HOOK_RETRIES);
        assert_null(strstr(log_capture_last("hook-failed"), "retry-ms"));
        expect_no_start();
    }
}

/* The retry was of the switch before. The program of this one is running, and does not fail. */
static void test_a_switch_ends_the_retries_of_the_one_before(void **state)
{
    (void)state;
    watch(0, &f.watches[0], "/a", 100);
    switch_master(0);
    start.runs = true;
    start.status = 0;
    switch_master(0);
    await_starts(2);
    expect_no_start();
    assert_int_equal(log_capture_count("hook-ended"), 1);
}

/* Of the switches that come while it runs the newest has its turn after it. */
static void test_switches_while_it_runs(void **state)
{
    (void)state;
    start.runs = true;
    start.stays = true;
    watch(0, &f.watches[0], "/a", 0);
    for (unsigned i = 0; i < 3; i++)
        switch_master(0);
    assert_int_equal(log_capture_count("hook-superseded"), 1);
    expect_no_start();
    start.stays = false;
    (void)kill(start.pid, SIGKILL);
    await_starts(2);
    await_log("hook-ended", 2);
    expect_no_start();
}

/* Whoever is in the queue already keeps its place there, and so do all others. */
static void test_switches_while_it_waits_for_its_turn(void **state)
{
    (void)state;
    watch(0, &f.watches[0], "/a", 0);
    watch(1, &f.watches[1], "/b", 0);
    start.delay_ms = 20;
    switch_master(1);
    switch_master(0);
    switch_master(1);
    switch_master(0);
    await_starts(3);
    assert_string_equal(start.last, "/b");
    expect_no_start();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_pause_is_bounded),
        TEST(a_retry_outlives_a_reload_that_is_abandoned),
        TEST(the_same_program_is_run_again_after_a_reload),
        TEST(a_former_program_is_not_run_again),
        TEST(a_former_program_that_still_runs_is_not_run_again),
        TEST(flush),
        TEST(flush_ends_the_output),
        TEST(how_it_is_started),
        TEST(how_it_ended),
        TEST(one_that_takes_too_long),
        TEST(only_a_switch_starts_it),
        TEST(a_former_program_leaves_the_queue),
        TEST(a_switch_keeps_its_turn_over_a_reload),
        TEST(a_switch_with_too_many_arguments),
        TEST(retries),
        TEST(a_switch_ends_the_retries_of_the_one_before),
        TEST(switches_while_it_runs),
        TEST(switches_while_it_waits_for_its_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
