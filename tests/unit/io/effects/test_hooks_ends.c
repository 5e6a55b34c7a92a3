/* Programs at a switch: how long they may take, what is left of them, and what is made of calls that fail. */
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "tests/unit/io/clock_fixture.h"
#include "tests/unit/io/descriptors.h"
#include "tests/unit/io/effects/hooks_fixture.h"

#define TIMEOUT_MS 1000
/* The pause after a start, in times of it, and its limit. */
#define PAUSE 3
#define PAUSE_MAX_MS 20

static unsigned kills; /* signals that were sent, but for 0 */
static int last_signal;
static int kept_fd;  /* the end of its output that a program has left to another one */
static int calls[2]; /* what was made for starts, and released */
static int bad_call; /* the next call to prepare a start fails with it; 0: none does */

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int kill(pid_t pid, int number)
{
    kills += number != 0;
    last_signal = number != 0 ? number : last_signal;
    return (int)syscall(SYS_kill, pid, number);
}

static int prepare(void *bytes, size_t len, int *io_error)
{
    int error = *io_error;

    *io_error = 0;
    if (error != 0)
        return error;
    memset(bytes, 0, len);
    calls[0]++;
    return 0;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int posix_spawnattr_init(posix_spawnattr_t *attributes)
{
    return prepare(attributes, sizeof(*attributes), &bad_call);
}

static int bad_files; /* the same, of its descriptors */

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int posix_spawn_file_actions_init(posix_spawn_file_actions_t *files)
{
    return prepare(files, sizeof(*files), &bad_files);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int posix_spawnattr_destroy(posix_spawnattr_t *attributes)
{
    (void)attributes;
    calls[1]++;
    return 0;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int posix_spawn_file_actions_destroy(posix_spawn_file_actions_t *files)
{
    (void)files;
    calls[1]++;
    return 0;
}

static int set_up_ends(void **state)
{
    (void)set_up(state);
    skip_time(f.loop, 60000); /* nothing of the test before is left in the loop */
    kills = 0;
    kept_fd = -1;
    calls[0] = calls[1] = 0;
    bad_call = bad_files = 0;
    start.runs = true;
    start.status = 0;
    watch(0, &f.watches[0], "/a", 0);
    watch(1, &f.watches[1], "/b", 0);
    return 0;
}

/* Waits until the program has ended. It leaves the end for the loop to see, which may have seen it already. */
static void await_end(void)
{
    siginfo_t info;

    assert_true(waitid(P_PID, (id_t)start.pid, &info, WEXITED | WNOWAIT) == 0 || errno == ECHILD);
}

/* Runs the loop until the event was logged so often. No time passes. */
static void await_event(const char *event, size_t count)
{
    while (log_capture_count(event) < count) {
        turn(f.loop);
        (void)usleep(1000);
    }
    assert_int_equal(log_capture_count(event), count);
}

/* ---- its time ---- */

static void test_a_program_that_has_ended_gets_no_signal(void **state)
{
    (void)state;
    switch_master(0);
    await_event("hook-ended", 1);
    skip_time(f.loop, TIMEOUT_MS + 3 * HOOK_GRACE_MS);
    assert_int_equal(kills, 0);
}

/* SIGTERM when its time is over, SIGKILL for what is left of it after the grace. */
static void test_what_is_left_of_it(void **state)
{
    (void)state;
    start.stays = start.has_child = start.is_polite = true;
    switch_master(0);
    skip_time(f.loop, TIMEOUT_MS - 10);
    assert_int_equal(kills, 0);
    skip_time(f.loop, 20);
    assert_int_equal(last_signal, SIGTERM);
    await_end();
    for (int i = 0; i < 50; i++) {
        turn(f.loop);
        (void)usleep(1000);
    }
    skip_time(f.loop, HOOK_GRACE_MS - 30);
    assert_int_equal(kills, 1);
    assert_int_equal(log_capture_count("hook-ended"), 0);
    skip_time(f.loop, 40);
    assert_int_equal(kills, 2);
    assert_int_equal(last_signal, SIGKILL);
    assert_int_equal(log_capture_count("hook-ended"), 1);
    assert_non_null(strstr(log_capture_last("hook-ended"), " status=0 reason=on-switch-timeout ms="));
    /* Of the next one nothing is left: it is over when it has ended. */
    start.has_child = start.is_polite = false;
    skip_time(f.loop, 1000);
    switch_master(0);
    skip_time(f.loop, TIMEOUT_MS + 10);
    await_event("hook-ended", 2);
    assert_int_equal(kills, 3);
    assert_non_null(strstr(log_capture_last("hook-ended"), " signal=15 reason=on-switch-timeout ms=1"));
    start.stays = false;
}

static int64_t start_us; /* what the next start takes */

static void take_time(void)
{
    skipped_us += start_us;
}

/* Three times what the start took, and no more than its limit. The next one in the queue waits that long. */
static void test_pauses(void **state)
{
    static const int64_t starts_us[] = {4000, 500000};
    static const int64_t pauses_ms[] = {(int64_t)4 * PAUSE, PAUSE_MAX_MS};

    (void)state;
    start.before = take_time;
    start.runs = false;
    for (unsigned i = 0; i < 2; i++) {
        start_us = starts_us[i];
        switch_master(0);
        switch_master(1);
        assert_int_equal(start.count, 2 * i + 1);
        skip_time(f.loop, pauses_ms[i] - 1);
        assert_int_equal(start.count, 2 * i + 1);
        skip_time(f.loop, 2);
        assert_int_equal(start.count, 2 * i + 2);
        skip_time(f.loop, 1000);
    }
}

/* The first one after its time, and each later one after twice the time of the one before. */
static void test_the_time_of_retries(void **state)
{
    struct hook_watch with_retry;

    (void)state;
    watch(0, &with_retry, "/a", 100);
    f.watches[0].program = with_retry.program;
    start.runs = false;
    switch_master(0);
    for (unsigned i = 0; i < HOOK_RETRIES; i++) {
        skip_time(f.loop, (100 << i) - 5);
        assert_int_equal(start.count, i + 1);
        skip_time(f.loop, 10);
        assert_int_equal(start.count, i + 2);
        skip_time(f.loop, 0);
    }
    skip_time(f.loop, 100000);
    assert_int_equal(start.count, HOOK_RETRIES + 1);
    assert_int_equal(f.metrics.hook_failures_total, HOOK_RETRIES + 1);
}

/* ---- what is not run again ---- */

static void set_retry(unsigned retry_ms)
{
    f.watches[0].program.retry_ms = retry_ms;
}

/* One that fails while the next switch waits is not run again: the next one is. */
static void test_a_failure_while_another_one_waits(void **state)
{
    (void)state;
    set_retry(100);
    start.stays = true;
    switch_master(0);
    switch_master(0);
    skip_time(f.loop, 1);
    (void)kill(start.pid, SIGKILL);
    await_event("hook-ended", 1);
    assert_null(strstr(log_capture_last("hook-ended"), "retry-ms"));
    skip_time(f.loop, TIMEOUT_MS - 100);
    assert_int_equal(start.count, 2);
}

/* Nor is one that knows an older master than a switch whose program cannot be told of it. */
static void test_a_failure_after_a_switch_that_is_too_long(void **state)
{
    static const char words[] =
        "/a 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30";

    (void)state;
    set_retry(100);
    start.stays = true;
    switch_master(0);
    f.watches[0].program.command = words;
    switch_master(0);
    start.stays = false;
    (void)kill(start.pid, SIGKILL);
    await_event("hook-ended", 1);
    assert_null(strstr(log_capture_last("hook-ended"), "retry-ms"));
    skip_time(f.loop, 1000);
    assert_int_equal(start.count, 1);
}

/* The next configuration has the same program, and does not want it to be run again. */
static void test_a_failure_that_is_not_to_be_repeated_any_more(void **state)
{
    struct hook_watch next;

    (void)state;
    set_retry(100);
    start.runs = false;
    switch_master(0);
    watch(0, &next, "/a", 0);
    hooks_inherit(&next, &f.watches[0]);
    skip_time(f.loop, 1000);
    assert_int_equal(start.count, 1);
}

/* The former configuration had no program for this service. */
static void test_nothing_to_inherit(void **state)
{
    const struct hook_watch none = {.hook = NULL};

    (void)state;
    hooks_inherit(&f.watches[0], &none);
    hooks_inherit(&none, &none);
    switch_master(0);
    assert_int_equal(start.count, 1);
}

/* ---- its output ---- */

/* All that it has printed is logged before its end, however much it is. */
static void test_what_it_printed_before_its_end(void **state)
{
    static char text[50000];

    (void)state;
    memset(text, '\n', sizeof(text) - 1);
    memset(text + 100, 'x', sizeof(text) - 200);
    start.text = text;
    switch_master(0);
    await_end();
    await_event("hook-ended", 1);
    /* The long line is complete, and told. */
    assert_int_equal(log_capture_count("hook-output"), 1);
}

static char events[256]; /* the names of all, with a space behind each */

static void keep_event(void *context, enum log_level level, enum log_weight weight, const char *event,
                       const struct log_field *fields, size_t count)
{
    size_t len = strlen(events);

    (void)context;
    (void)level;
    (void)weight;
    (void)fields;
    (void)count;
    (void)snprintf(events + len, sizeof(events) - len, "%s ", event);
}

/* A single byte, and a line without its end, too. */
static void test_the_last_byte_comes_before_the_end(void **state)
{
    (void)state;
    events[0] = '\0';
    log_set_sink(keep_event, NULL, LOG_LEVEL_INFO);
    start.text = "x";
    switch_master(0);
    await_end();
    while (strstr(events, "hook-ended") == NULL) {
        turn(f.loop);
        (void)usleep(1000);
    }
    assert_string_equal(events, "hook-started hook-output hook-ended ");
}

static void keep_output(void)
{
    if (kept_fd == -1)
        kept_fd = dup(start.files[STDOUT_FILENO]);
}

/* What it has started may print after its end, until the next program is started. */
static void test_what_is_printed_after_its_end(void **state)
{
    (void)state;
    size_t before = count_descriptors();
    start.before = keep_output;
    start.text = "one\n";
    switch_master(0);
    await_event("hook-ended", 1);
    assert_int_equal(log_capture_count("hook-output"), 1);
    assert_int_equal(count_descriptors(), before + 2); /* ours, and the other one's */
    assert_int_equal(write(kept_fd, "two\n", 4), 4);
    await_event("hook-output", 2);
    assert_int_equal(write(kept_fd, "three", 5), 5);
    turn(f.loop);
    assert_int_equal(log_capture_count("hook-output"), 2);
    close(kept_fd);
    await_event("hook-output", 3);
    assert_int_equal(count_descriptors(), before);
    kept_fd = -1;
    skip_time(f.loop, 1000);
    start.text = NULL;
    switch_master(0);
    await_event("hook-ended", 2);
    start.before = NULL;
    skip_time(f.loop, 1000);
    switch_master(0);
    await_event("hook-ended", 3);
    (void)signal(SIGPIPE, SIG_IGN);
    assert_int_equal(write(kept_fd, "x", 1), -1);
    (void)signal(SIGPIPE, SIG_DFL);
    close(kept_fd);
    turn(f.loop);
    assert_int_equal(count_descriptors(), before);
}

/* ---- calls that fail ---- */

/* Lets a switch of `a` find only so many descriptors. */
static void switch_with_descriptors(int count)
{
    struct rlimit limit;
    int next = dup(STDIN_FILENO);

    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit less = {.rlim_cur = (rlim_t)(next + count), .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
    switch_master(0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Each of its two pipes. Nothing is left open. */
static void test_no_descriptors(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        size_t before = count_descriptors();
        skip_time(f.loop, 1000);
        switch_with_descriptors(2 * i);
        assert_int_equal(log_capture_count("hook-failed"), i + 1);
        assert_non_null(strstr(log_capture_last("hook-failed"), " reason=Too many open files"));
        assert_int_equal(count_descriptors(), before);
    }
    assert_int_equal(start.count, 0);
    assert_int_equal(f.metrics.hooks_total, 2);
    assert_int_equal(f.metrics.hook_failures_total, 2);
}

/* Memory is short, or the program is not there. What was prepared is released. */
static void test_a_start_that_fails(void **state)
{
    size_t before = count_descriptors();

    (void)state;
    bad_call = ENOMEM;
    switch_master(0);
    assert_non_null(strstr(log_capture_last("hook-failed"), " reason=Cannot allocate memory"));
    assert_int_equal(calls[0], 0);
    skip_time(f.loop, 1000);
    bad_files = ENOMEM;
    switch_master(0);
    assert_int_equal(calls[0], 1);
    assert_int_equal(calls[1], 1);
    skip_time(f.loop, 1000);
    start.runs = false;
    switch_master(0);
    assert_non_null(strstr(log_capture_last("hook-failed"), " reason=No such file or directory"));
    assert_int_equal(log_capture_count("hook-failed"), 3);
    assert_int_equal(calls[0], 3);
    assert_int_equal(calls[1], 3);
    assert_int_equal(count_descriptors(), before);
    start.runs = true;
    skip_time(f.loop, 1000);
    switch_master(0);
    await_event("hook-ended", 1);
    turn(f.loop);
    assert_int_equal(calls[1], 5);
    assert_int_equal(count_descriptors(), before);
}

/* ---- the end ---- */

/* One runs, one waits for its retry. Nothing of it is used again: the build with AddressSanitizer looks. */
static void test_an_end_in_the_midst(void **state)
{
    size_t before = count_descriptors();

    (void)state;
    start.stays = true;
    switch_master(0);
    pid_t pid = start.pid;
    f.watches[1].program.retry_ms = 100;
    skip_time(f.loop, 100);
    start.runs = false;
    switch_master(1);
    hooks_destroy(f.hooks);
    f.hooks = NULL;
    assert_int_equal(count_descriptors(), before);
    skip_time(f.loop, 100000);
    assert_int_equal(kills, 0); /* it outlives us */
    start.stays = false;
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, WNOHANG) == 0)
        turn(f.loop);
    turn(f.loop);
    hooks_destroy(NULL);
    hooks_flush(NULL);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up_ends, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_program_that_has_ended_gets_no_signal),
        TEST(what_is_left_of_it),
        TEST(pauses),
        TEST(the_time_of_retries),
        TEST(a_failure_while_another_one_waits),
        TEST(a_failure_after_a_switch_that_is_too_long),
        TEST(a_failure_that_is_not_to_be_repeated_any_more),
        TEST(nothing_to_inherit),
        TEST(what_it_printed_before_its_end),
        TEST(the_last_byte_comes_before_the_end),
        TEST(what_is_printed_after_its_end),
        TEST(no_descriptors),
        TEST(a_start_that_fails),
        TEST(an_end_in_the_midst),
    };

    (void)alarm(TESTS_MAX_S);
    return cmocka_run_group_tests_name("hooks_ends", tests, NULL, NULL);
}
