/* Programs at a switch. The start itself is ours: it takes as long as a test says. */
#ifndef TESTS_UNIT_IO_EFFECTS_HOOKS_FIXTURE_H
#define TESTS_UNIT_IO_EFFECTS_HOOKS_FIXTURE_H

#include "spoa/io/effects/hooks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spoa/io/net/loop.h"
#include "tests/lib/log_capture.h"

#define SERVICES 2
/* Far beyond what any of this takes: only a defect gets there. */
#define DEADLINE_MS 20000

static struct {
    unsigned delay_ms;
    bool runs;        /* the program starts; false: it cannot be started */
    bool stays;       /* with `runs`: it ends when it is killed */
    int status;       /* with which it ends otherwise */
    const char *text; /* what it prints; NULL: nothing */
    bool is_polite;   /* with `stays`: it ends at SIGTERM, with 0 */
    int files[4];     /* its descriptors, as we have them */
    short flags;
    sigset_t blocked;
    sigset_t defaults;
    pid_t pid;
    unsigned count;
    char last[32];        /* what was started */
    void (*before)(void); /* is called at the start; NULL: nobody */
    bool has_child;       /* with `stays`: it has started another one, which only SIGKILL ends */
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
int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *files, int fd, int new_fd)
{
    (void)files;
    assert_in_range(new_fd, 0, 3);
    start.files[new_fd] = fd;
    return 0;
}

static inline void end_well(int number)
{
    (void)number;
    _exit(0);
}

/* Writes a byte to `ready` once it can be ended. */
static inline void live(int ready)
{
    (void)setsid();
    (void)signal(SIGTERM, start.is_polite ? end_well : SIG_DFL);
    if (start.has_child && fork() == 0)
        (void)signal(SIGTERM, SIG_IGN);
    if (write(ready, "", 1) != 1)
        _exit(99);
    if (start.text != NULL)
        (void)dprintf(start.files[STDOUT_FILENO], "%s", start.text);
    while (start.stays)
        pause();
    _exit(start.status);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *files,
                const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
    int ready[2];
    char byte;

    (void)files;
    (void)argv;
    (void)envp;
    start.count++;
    assert_int_equal(posix_spawnattr_getflags(attributes, &start.flags), 0);
    assert_int_equal(posix_spawnattr_getsigmask(attributes, &start.blocked), 0);
    assert_int_equal(posix_spawnattr_getsigdefault(attributes, &start.defaults), 0);
    (void)snprintf(start.last, sizeof(start.last), "%s", path);
    if (start.before != NULL)
        start.before();
    usleep(start.delay_ms * 1000);
    if (!start.runs)
        return ENOENT;
    assert_int_equal(pipe(ready), 0);
    *pid = start.pid = fork();
    if (*pid == 0)
        live(ready[1]);
    close(ready[1]);
    for (int i = 0; i < (start.has_child ? 2 : 1); i++)
        assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return *pid == -1 ? errno : 0;
}

static inline int set_up(void **state)
{
    (void)state;
    memset(&start, 0, sizeof(start));
    start.status = 1;
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

static inline int tear_down(void **state)
{
    (void)state;
    if (start.stays) { /* nobody else ends it and its child */
        (void)kill(-start.pid, SIGKILL);
        (void)waitpid(start.pid, NULL, 0);
    }
    hooks_destroy(f.hooks);
    for (size_t i = 0; i < SERVICES; i++)
        service_destroy(f.services[i]);
    return 0;
}

static inline void watch(size_t index, struct hook_watch *watch, const char *command, unsigned retry_ms)
{
    const struct hook_program program = {.command = command, .timeout_ms = 1000, .retry_ms = retry_ms};

    assert_true(hooks_watch(f.hooks, watch, f.services[index], &program));
}

static inline void tell_change(size_t index, bool switched)
{
    struct addr to;
    struct service_observer *observer = &f.watches[index].observer;

    assert_true(addr_parse(span_of_text("10.0.0.2:6380"), &to));
    const struct service_decision after = {.addr = &to, .generation = 1};
    const struct service_change change = {.after = &after, .switched = switched};
    observer->changed(observer, f.services[index], &change);
}

static inline void switch_master(size_t index)
{
    tell_change(index, true);
}

/* Runs the loop until so many programs were started. */
static inline void await_starts(unsigned count)
{
    int64_t deadline_ms = clock_ms() + DEADLINE_MS;

    while (start.count < count && clock_ms() < deadline_ms) {
        ev_run(f.loop, EVRUN_NOWAIT);
        usleep(1000);
    }
    assert_int_equal(start.count, count);
}

/* Runs the loop until the event was logged so often. */
static inline void await_log(const char *event, size_t count)
{
    int64_t deadline_ms = clock_ms() + DEADLINE_MS;

    while (log_capture_count(event) < count && clock_ms() < deadline_ms) {
        ev_run(f.loop, EVRUN_NOWAIT);
        usleep(1000);
    }
    assert_int_equal(log_capture_count(event), count);
}

/* Runs the loop for a while: nothing may be started. */
static inline void expect_no_start(void)
{
    unsigned count = start.count;

    for (int64_t end_ms = clock_ms() + 150; clock_ms() < end_ms; usleep(1000))
        ev_run(f.loop, EVRUN_NOWAIT);
    assert_int_equal(start.count, count);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

#endif
