#include "spoa/io/effects/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What cannot be added is not there. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "spoa/core/base/container_of.h"
#include "spoa/core/base/log.h"
#include "spoa/core/observers/hook_output.h"
#include "spoa/core/observers/hook_request.h"
#include "spoa/io/net/loop.h"

/* What is read at once. A pipe holds no more than READS_MAX of it when its program has ended. */
#define READ_MAX 4096
#define READS_MAX 32

/*
 * The pause after the start of a program, in times of what the start took. It holds up the loop: half a millisecond,
 * and longer on a busy machine. So a thousand programs take a quarter of the loop's time for a while, not all of it.
 */
#define PAUSE 3
/* In ms. A start may have taken long because we were stopped meanwhile. That says nothing about the next one. */
#define PAUSE_MAX 20

/* Descriptor of a program: the reading end of its own pipe. */
#define KEPT_FD 3

/* Instead of a time: a program that failed is not run again. */
#define NO_RETRY INT64_C(-1)

/* The program of one service. */
struct hook {
    UT_hash_handle hh; /* by `service` */
    struct hooks *hooks;
    char *service;
    ev_child child;
    ev_timer timeout; /* of the running program */
    ev_timer retry;
    bool is_running;
    bool is_waiting; /* `request` waits for the running program to end, or for its turn */
    bool is_queued;  /* in the list of those that wait for their turn */
    struct hook *next;
    struct hook *prev;
    bool is_ended; /* by us, because it took too long */
    bool is_gone;  /* it has ended, and what it started has not: that has until SIGKILL */
    int status;    /* with `is_gone` */
    bool has_request;
    int64_t t_begin_ms;
    char command[HOOK_COMMAND_MAX + 1]; /* these are of `request` */
    unsigned timeout_ms;
    unsigned retry_ms;
    unsigned failures;
    struct hook_request request;
    ev_io readable; /* the pipe of the program that was begun last; inactive: it is closed */
    struct hook_output output;
};

struct hooks {
    struct ev_loop *loop;
    struct metrics *metrics;
    struct hook *by_service; /* a hash */
    struct hook *queue;      /* wait for their turn */
    ev_timer pause;          /* active: nobody may start a program now */
};

/* ---- what it prints ---- */

static void close_pipe(struct hook *hook)
{
    if (!ev_is_active(&hook->readable))
        return;
    ev_io_stop(hook->hooks->loop, &hook->readable);
    close(hook->readable.fd);
    hook_output_end(&hook->output);
}

/* Whether more may be there. */
static bool read_pipe(struct hook *hook)
{
    char bytes[READ_MAX];
    ssize_t len = read(hook->readable.fd, bytes, sizeof(bytes));

    if (len > 0)
        hook_output_take(&hook->output, bytes, (size_t)len);
    else if (len == 0 || (errno != EAGAIN && errno != EINTR))
        close_pipe(hook);
    return len > 0;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    (void)read_pipe(container_of(watcher, struct hook, readable));
}

/* What the program has printed before its end. What it has started may print more later. */
static void read_rest(struct hook *hook)
{
    for (int i = 0; i < READS_MAX && ev_is_active(&hook->readable) && read_pipe(hook); i++)
        continue;
}

/* A pipe for the next program. What a former one has left behind prints for nobody from now on. */
static bool open_pipe(struct hook *hook, int ends[2])
{
    close_pipe(hook);
    if (pipe2(ends, O_CLOEXEC) == -1)
        return false;
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return true;
}

static void watch_pipe(struct hook *hook, int fd)
{
    hook_output_begin(&hook->output, hook->service);
    ev_io_set(&hook->readable, fd, EV_READ);
    ev_io_start(hook->hooks->loop, &hook->readable);
}

/* ---- one program ---- */

/* The program gets its own session, so that all that it starts can be killed with it. It gets default
 * signals. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t set;

    sigfillset(&set);
    int code = posix_spawnattr_setsigdefault(attributes, &set);
    sigemptyset(&set);
    if (code == 0)
        code = posix_spawnattr_setsigmask(attributes, &set);
    if (code == 0)
        code = posix_spawnattr_setflags(attributes,
                                        POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return code;
}

/*
 * The program reads its request. Its output goes to its pipe. It has the pipe's other end, too: it may outlive us, and
 * what it prints then must not end it. Our other descriptors close themselves.
 */
static int set_files(posix_spawn_file_actions_t *files, int input, const int ends[2])
{
    int code = posix_spawn_file_actions_adddup2(files, input, STDIN_FILENO);

    if (code == 0)
        code = posix_spawn_file_actions_adddup2(files, ends[1], STDOUT_FILENO);
    if (code == 0)
        code = posix_spawn_file_actions_adddup2(files, ends[1], STDERR_FILENO);
    return code == 0 ? posix_spawn_file_actions_adddup2(files, ends[0], KEPT_FD) : code;
}

/* A pipe from which the program reads its input. Returns -1 with errno. */
static int open_input(const struct hook_request *request)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) == -1)
        return -1;
    /* An empty pipe takes that much without waiting. */
    bool is_written = write(ends[1], request->input, request->input_len) == (ssize_t)request->input_len;
    close(ends[1]);
    if (is_written)
        return ends[0];
    close(ends[0]);
    errno = EIO;
    return -1;
}

/* Returns 0 or an errno. */
static int spawn_with(const struct hook_request *request, int input, const int ends[2], pid_t *ret_pid)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t files;

    int code = posix_spawnattr_init(&attributes);
    if (code != 0)
        return code;
    code = posix_spawn_file_actions_init(&files);
    if (code == 0) {
        code = set_attributes(&attributes);
        if (code == 0)
            code = set_files(&files, input, ends);
        if (code == 0)
            code = posix_spawn(ret_pid, request->argv[0], &files, &attributes, request->argv, request->envp);
        (void)posix_spawn_file_actions_destroy(&files);
    }
    (void)posix_spawnattr_destroy(&attributes);
    return code;
}

static int spawn(const struct hook_request *request, const int ends[2], pid_t *ret_pid)
{
    int input = open_input(request);

    if (input == -1)
        return errno;
    int code = spawn_with(request, input, ends, ret_pid);
    close(input);
    return code;
}

/* ---- failures ---- */

/* Counts it. Returns in how many ms the program is run again, or NO_RETRY. */
static int64_t note_failure(struct hook *hook)
{
    hook->hooks->metrics->hook_failures_total++;
    if (hook->is_waiting || !hook->has_request || hook->retry_ms == 0 || hook->failures == HOOK_RETRIES)
        return NO_RETRY;
    int64_t retry_ms = (int64_t)hook->retry_ms << hook->failures++;
    ev_timer_set(&hook->retry, (double)retry_ms / 1000., 0.);
    ev_timer_start(hook->hooks->loop, &hook->retry);
    return retry_ms;
}

/* It could not be started. */
static void tell_failure(struct hook *hook, const char *reason)
{
    struct log_field fields[3] = {log_text("service", hook->service), log_text("reason", reason)};
    int64_t retry_ms = note_failure(hook);

    fields[2] = log_number("retry-ms", retry_ms);
    log_emit(LOG_LEVEL_WARNING, EVENT_HOOK_FAILED, fields, retry_ms != NO_RETRY ? 3 : 2);
}

/* Starts the program of `hook->request`. None may be running. */
static void begin(struct hook *hook)
{
    struct hooks *hooks = hook->hooks;
    pid_t pid = 0;
    int ends[2];

    hook->is_waiting = false;
    hooks->metrics->hooks_total++;
    if (!open_pipe(hook, ends)) {
        tell_failure(hook, strerror(errno));
        return;
    }
    int code = spawn(&hook->request, ends, &pid);
    close(ends[1]);
    if (code != 0) {
        close(ends[0]);
        tell_failure(hook, strerror(code));
        return;
    }
    watch_pipe(hook, ends[0]);
    hook->is_running = true;
    hook->is_ended = false;
    hook->is_gone = false;
    hook->t_begin_ms = clock_ms();
    log_event(EVENT_HOOK_STARTED, log_text("service", hook->service),
              log_text("program", hook->request.argv[0]), log_number("pid", pid));
    ev_child_set(&hook->child, pid, 0);
    ev_child_start(hooks->loop, &hook->child);
    ev_timer_set(&hook->timeout, hook->timeout_ms / 1000., HOOK_GRACE_MS / 1000.);
    ev_timer_start(hooks->loop, &hook->timeout);
}

/* ---- one after another ---- */

/* Takes it out of the queue. */
static void leave(struct hook *hook)
{
    if (hook->is_queued)
        DL_DELETE(hook->hooks->queue, hook);
    hook->is_queued = false;
}

static void begin_and_pause(struct hook *hook)
{
    struct hooks *hooks = hook->hooks;
    int64_t begun_us = clock_us();

    leave(hook);
    begin(hook);
    ev_now_update(hooks->loop);
    double pause_ms = PAUSE * (double)(clock_us() - begun_us) / 1e3;
    ev_timer_set(&hooks->pause, (pause_ms < PAUSE_MAX ? pause_ms : PAUSE_MAX) / 1e3, 0.);
    ev_timer_start(hooks->loop, &hooks->pause);
}

/* Starts the program of `hook->request`: now, or when those before it have had their turn. */
static void begin_in_turn(struct hook *hook)
{
    if (!ev_is_active(&hook->hooks->pause)) {
        begin_and_pause(hook);
    } else if (!hook->is_queued) {
        DL_APPEND(hook->hooks->queue, hook);
        hook->is_queued = true;
    }
}

static void on_pause_over(struct ev_loop *loop, ev_timer *timer, int events)
{
    const struct hooks *hooks = container_of(timer, struct hooks, pause);

    (void)loop;
    (void)events;
    if (hooks->queue != NULL)
        begin_and_pause(hooks->queue);
}

/* ---- ends ---- */

static void tell_end(struct hook *hook, int status)
{
    struct log_field fields[5] = {log_text("service", hook->service)};
    bool is_good = !hook->is_ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    size_t count = 1;

    if (WIFEXITED(status))
        fields[count++] = log_number("status", WEXITSTATUS(status));
    else
        fields[count++] = log_number("signal", WTERMSIG(status));
    if (hook->is_ended || !WIFEXITED(status))
        fields[count++] = log_text("reason", hook->is_ended ? "on-switch-timeout" : "killed");
    fields[count++] = log_number("ms", clock_ms() - hook->t_begin_ms);
    int64_t retry_ms = is_good ? NO_RETRY : note_failure(hook);
    if (retry_ms != NO_RETRY)
        fields[count++] = log_number("retry-ms", retry_ms);
    log_emit(is_good ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, EVENT_HOOK_ENDED, fields, count);
}

static void finish(struct hook *hook, int status)
{
    ev_timer_stop(hook->hooks->loop, &hook->timeout);
    hook->is_running = false;
    read_rest(hook);
    tell_end(hook, status);
    if (hook->is_waiting)
        begin_in_turn(hook);
}

static void on_end(struct ev_loop *loop, ev_child *child, int events)
{
    struct hook *hook = container_of(child, struct hook, child);

    (void)events;
    ev_child_stop(loop, child);
    hook->is_gone = hook->is_ended && kill(-child->rpid, 0) == 0;
    hook->status = child->rstatus;
    if (!hook->is_gone)
        finish(hook, child->rstatus);
}

/* SIGTERM lets it clean up. What is left of it after that gets SIGKILL. */
static void on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct hook *hook = container_of(timer, struct hook, timeout);

    (void)loop;
    (void)events;
    (void)kill(-hook->child.pid, hook->is_ended ? SIGKILL : SIGTERM);
    hook->is_ended = true;
    if (hook->is_gone)
        finish(hook, hook->status);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    begin_in_turn(container_of(timer, struct hook, retry));
}

/* ---- switches ---- */

/* What is too long now would be too long again. What is left of it must not be run. */
static void refuse(struct hook *hook)
{
    leave(hook);
    hook->hooks->metrics->hook_failures_total++;
    log_event(EVENT_HOOK_FAILED, log_text("service", hook->service),
              log_text("reason", "too many arguments"));
}

static void on_changed(struct service_observer *self, const struct service *service,
                       const struct service_change *change)
{
    struct hook_watch *watch = container_of(self, struct hook_watch, observer);
    struct hook *hook = watch->hook;

    if (!change->switched)
        return;
    if (hook->is_waiting)
        log_event(EVENT_HOOK_SUPERSEDED, log_text("service", hook->service));
    ev_timer_stop(hook->hooks->loop, &hook->retry);
    (void)snprintf(hook->command, sizeof(hook->command), "%s", watch->program.command);
    hook->timeout_ms = watch->program.timeout_ms;
    hook->retry_ms = watch->program.retry_ms;
    hook->failures = 0;
    hook->has_request = hook_request_fill(&hook->request, watch->program.command, service, change);
    hook->is_waiting = hook->has_request;
    if (!hook->has_request)
        refuse(hook);
    else if (!hook->is_running)
        begin_in_turn(hook);
}

static struct hook *create_hook(struct hooks *hooks, const char *service)
{
    struct hook *hook = calloc(1, sizeof(*hook));
    unsigned before = HASH_COUNT(hooks->by_service);

    if (hook == NULL)
        return NULL;
    hook->service = strdup(service);
    if (hook->service != NULL)
        HASH_ADD_KEYPTR(hh, hooks->by_service, hook->service, strlen(service), hook);
    if (HASH_COUNT(hooks->by_service) == before) {
        free(hook->service);
        free(hook);
        return NULL;
    }
    hook->hooks = hooks;
    ev_child_init(&hook->child, on_end, 0, 0);
    ev_timer_init(&hook->timeout, on_timeout, 0., 0.);
    ev_init(&hook->readable, on_readable);
    ev_timer_init(&hook->retry, on_retry, 0., 0.);
    return hook;
}

/* The hook of a service goes on over a reload. */
static struct hook *find_hook(struct hooks *hooks, const char *service)
{
    struct hook *hook = NULL;

    HASH_FIND(hh, hooks->by_service, service, strlen(service), hook);
    return hook != NULL ? hook : create_hook(hooks, service);
}

bool hooks_watch(struct hooks *hooks, struct hook_watch *watch, struct service *service,
                 const struct hook_program *program)
{
    *watch = (struct hook_watch){
        .observer = {.changed = on_changed},
        .hook = find_hook(hooks, service_settings(service)->name),
        .program = *program,
    };
    if (watch->hook == NULL)
        return false;
    service_observe(service, &watch->observer);
    return true;
}

void hooks_inherit(const struct hook_watch *watch, const struct hook_watch *former)
{
    struct hook *hook = former->hook;

    if (hook == NULL || (watch->hook != NULL && watch->program.retry_ms != 0 &&
                         strcmp(watch->program.command, hook->command) == 0))
        return;
    hook->retry_ms = 0; /* of the program that runs, or waits for its turn after a switch */
    ev_timer_stop(hook->hooks->loop, &hook->retry);
    if (!hook->is_waiting)
        leave(hook);
}

struct hooks *hooks_create(struct ev_loop *loop, struct metrics *metrics)
{
    struct hooks *hooks = calloc(1, sizeof(*hooks));

    if (hooks == NULL)
        return NULL;
    hooks->loop = loop;
    hooks->metrics = metrics;
    ev_timer_init(&hooks->pause, on_pause_over, 0., 0.);
    return hooks;
}

void hooks_flush(struct hooks *hooks)
{
    if (hooks == NULL)
        return;
    while (hooks->queue != NULL) {
        struct hook *hook = hooks->queue;
        leave(hook);
        begin(hook);
    }
    for (struct hook *hook = hooks->by_service; hook != NULL; hook = hook->hh.next)
        close_pipe(hook);
}

void hooks_destroy(struct hooks *hooks)
{
    if (hooks == NULL)
        return;
    ev_timer_stop(hooks->loop, &hooks->pause);
    struct hook *hook = hooks->by_service;
    HASH_CLEAR(hh, hooks->by_service);
    while (hook != NULL) {
        struct hook *next = hook->hh.next;
        ev_child_stop(hooks->loop, &hook->child);
        ev_timer_stop(hooks->loop, &hook->timeout);
        close_pipe(hook);
        ev_timer_stop(hooks->loop, &hook->retry);
        free(hook->service);
        free(hook);
        hook = next;
    }
    free(hooks);
}
