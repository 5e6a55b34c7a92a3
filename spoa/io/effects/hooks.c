#include "spoa/io/effects/hooks.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utlist.h>

#include "spoa/core/base/container_of.h"
#include "spoa/core/base/log.h"
#include "spoa/core/observers/hook_request.h"
#include "spoa/io/net/loop.h"

/* The program of one service. */
struct hook {
    struct hook *next;
    struct hooks *hooks;
    char *service;
    ev_child child;
    ev_timer timeout;
    bool is_running;
    bool is_waiting; /* `request` waits for the running program to end */
    bool is_killed;
    int64_t t_begin_ms;
    double timeout_s; /* of `request` */
    struct hook_request request;
};

struct hooks {
    struct ev_loop *loop;
    struct metrics *metrics;
    struct hook *list;
};

/* ---- one program ---- */

/* The program gets its own session, so that all that it starts can be killed with it. It gets default
 * signals. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none;
    sigset_t all;

    sigemptyset(&none);
    sigfillset(&all);
    int code = posix_spawnattr_setsigmask(attributes, &none);
    if (code == 0)
        code = posix_spawnattr_setsigdefault(attributes, &all);
    if (code == 0)
        code = posix_spawnattr_setflags(attributes,
                                        POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return code;
}

/* The program reads nothing. Its output goes to our stderr. Our other descriptors close themselves. */
static int set_files(posix_spawn_file_actions_t *files)
{
    int code = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

    return code == 0 ? posix_spawn_file_actions_adddup2(files, STDERR_FILENO, STDOUT_FILENO) : code;
}

/* Returns 0 or an errno. */
static int spawn(const struct hook_request *request, pid_t *ret_pid)
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
            code = set_files(&files);
        if (code == 0)
            code = posix_spawn(ret_pid, request->argv[0], &files, &attributes, request->argv, request->envp);
        (void)posix_spawn_file_actions_destroy(&files);
    }
    (void)posix_spawnattr_destroy(&attributes);
    return code;
}

static void tell_failure(const struct hook *hook, const char *reason)
{
    hook->hooks->metrics->hook_failures_total++;
    log_event(LOG_LEVEL_WARNING, "hook-failed", log_text("service", hook->service),
              log_text("reason", reason));
}

/* Starts the program of `hook->request`. None may be running. */
static void begin(struct hook *hook)
{
    struct hooks *hooks = hook->hooks;
    pid_t pid = 0;

    hook->is_waiting = false;
    hooks->metrics->hooks_total++;
    int code = spawn(&hook->request, &pid);
    if (code != 0) {
        tell_failure(hook, strerror(code));
        return;
    }
    hook->is_running = true;
    hook->is_killed = false;
    hook->t_begin_ms = clock_ms();
    log_event(LOG_LEVEL_INFO, "hook-started", log_text("service", hook->service),
              log_text("program", hook->request.argv[0]), log_number("pid", pid));
    ev_child_set(&hook->child, pid, 0);
    ev_child_start(hooks->loop, &hook->child);
    ev_timer_set(&hook->timeout, hook->timeout_s, 0.);
    ev_timer_start(hooks->loop, &hook->timeout);
}

static void tell_end(const struct hook *hook, int status)
{
    bool is_good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    enum log_level level = is_good ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING;
    int64_t took_ms = clock_ms() - hook->t_begin_ms;

    if (!is_good)
        hook->hooks->metrics->hook_failures_total++;
    if (WIFEXITED(status))
        log_event(level, "hook-ended", log_text("service", hook->service),
                  log_number("status", WEXITSTATUS(status)), log_number("ms", took_ms));
    else
        log_event(
            level, "hook-ended", log_text("service", hook->service), log_number("signal", WTERMSIG(status)),
            log_text("reason", hook->is_killed ? "on-switch-timeout" : "killed"), log_number("ms", took_ms));
}

static void on_end(struct ev_loop *loop, ev_child *child, int events)
{
    struct hook *hook = container_of(child, struct hook, child);

    (void)events;
    ev_child_stop(loop, child);
    ev_timer_stop(loop, &hook->timeout);
    hook->is_running = false;
    tell_end(hook, child->rstatus);
    if (hook->is_waiting)
        begin(hook);
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct hook *hook = container_of(timer, struct hook, timeout);

    (void)loop;
    (void)events;
    hook->is_killed = true;
    (void)kill(-hook->child.pid, SIGKILL);
}

/* ---- switches ---- */

static void on_changed(struct service_observer *self, const struct service *service,
                       const struct service_change *change)
{
    struct hook_watch *watch = container_of(self, struct hook_watch, observer);
    struct hook *hook = watch->hook;

    if (!change->switched)
        return;
    if (hook->is_waiting)
        log_event(LOG_LEVEL_INFO, "hook-superseded", log_text("service", hook->service));
    hook->timeout_s = watch->timeout_s;
    hook->is_waiting = hook_request_fill(&hook->request, watch->command, service, change);
    if (!hook->is_waiting)
        tell_failure(hook, "too many arguments");
    else if (!hook->is_running)
        begin(hook);
}

static struct hook *find_hook(struct hooks *hooks, const char *service)
{
    for (struct hook *hook = hooks->list; hook != NULL; hook = hook->next)
        if (strcmp(hook->service, service) == 0)
            return hook;
    struct hook *hook = calloc(1, sizeof(*hook));
    if (hook == NULL)
        return NULL;
    hook->service = strdup(service);
    if (hook->service == NULL) {
        free(hook);
        return NULL;
    }
    hook->hooks = hooks;
    ev_child_init(&hook->child, on_end, 0, 0);
    ev_timer_init(&hook->timeout, on_timeout, 0., 0.);
    LL_PREPEND(hooks->list, hook);
    return hook;
}

bool hooks_watch(struct hooks *hooks, struct hook_watch *watch, struct service *service, const char *command,
                 unsigned timeout_ms)
{
    *watch = (struct hook_watch){
        .observer = {.changed = on_changed},
        .hook = find_hook(hooks, service_settings(service)->name),
        .command = command,
        .timeout_s = timeout_ms / 1000.,
    };
    if (watch->hook == NULL)
        return false;
    service_observe(service, &watch->observer);
    return true;
}

struct hooks *hooks_create(struct ev_loop *loop, struct metrics *metrics)
{
    struct hooks *hooks = calloc(1, sizeof(*hooks));

    if (hooks == NULL)
        return NULL;
    hooks->loop = loop;
    hooks->metrics = metrics;
    return hooks;
}

void hooks_destroy(struct hooks *hooks)
{
    struct hook *hook;
    struct hook *next;

    if (hooks == NULL)
        return;
    LL_FOREACH_SAFE (hooks->list, hook, next) {
        ev_child_stop(hooks->loop, &hook->child);
        ev_timer_stop(hooks->loop, &hook->timeout);
        free(hook->service);
        free(hook);
    }
    free(hooks);
}
