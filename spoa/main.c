/* sentinel-spoa: command line, configuration, signals; the rest is agent.c. */
#include <ev.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/names.h"
#include "spoa/agent.h"
#include "spoa/cli/check.h"
#include "spoa/cli/commands.h"
#include "spoa/cli/init.h"
#include "spoa/cli/options.h"
#include "spoa/cli/rehearse.h"
#include "spoa/cli/reload_command.h"
#include "spoa/cli/status_command.h"
#include "spoa/cli/takeover_ask.h"
#include "spoa/core/base/log.h"
#include "spoa/core/config/config.h"
#include "spoa/io/net/tls.h"
#include "spoa/io/process/config_file.h"
#include "spoa/io/process/file_watch.h"
#include "spoa/io/process/log_sink.h"
#include "spoa/io/process/sandbox.h"
#include "spoa/io/process/service_manager.h"

#ifndef SENTINEL_SPOA_VERSION
#define SENTINEL_SPOA_VERSION "unknown"
#endif
#ifndef SENTINEL_SPOA_REVISION
#define SENTINEL_SPOA_REVISION "unknown"
#endif

static const struct agent_build build = {
    .version = SENTINEL_SPOA_VERSION,
    .revision = SENTINEL_SPOA_REVISION,
};

/*
 * Of a file that is read again: so many units in one turn of the loop. A unit takes up to a tenth of a millisecond, and
 * nobody should wait longer than a millisecond or two for an answer.
 */
#define LOAD_SLICE 4

/* A configuration that is read again; all NULL: none is. */
struct reading {
    struct config_load *load;
    struct config *config;
    struct config_errors errors;
};

/* What the signals' handlers need. */
struct running {
    struct ev_loop *loop;
    struct agent *agent;
    const struct options *options;
    struct file_watch *watch; /* for autoreload; NULL if memory was short */
    struct reading reading;
    ev_timer read_on;
};

static void on_stop(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    const struct running *running = watcher->data;

    agent_stop(running->agent);
}

static void print_errors(const struct config_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++)
        fprintf(stderr, "%s\n", errors->texts[i]);
    if (errors->out_of_memory)
        fputs("out of memory\n", stderr);
}

static void print_warnings(const struct config *config)
{
    for (size_t i = 0; i < config->warnings.count; i++)
        fprintf(stderr, "warning: %s\n", config->warnings.texts[i]);
}

static void log_warnings(const struct config *config)
{
    for (size_t i = 0; i < config->warnings.count; i++)
        log_event(EVENT_CONFIGURATION_WARNING, log_text("warning", config->warnings.texts[i]));
}

/* Every connection from HAProxy is a descriptor, and a HAProxy that reloads opens all its own anew. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* What we have inherited is not for the programs that we run. Where the kernel cannot (before Linux 5.11) it stays so. */
static void keep_descriptors(void)
{
#ifdef CLOSE_RANGE_CLOEXEC
    (void)close_range(STDERR_FILENO + 1, ~0U, (int)CLOSE_RANGE_CLOEXEC);
#endif
}

/* In place of a file's name, where options were given. */
#define NO_FILE "command line"

static bool load(const char *file, struct config *config, struct config_errors *errors)
{
    if (file != NULL)
        return config_file_load(file, config, errors);
    return config_file_finish(NO_FILE, config, errors);
}

/* Nobody has named this file: who does not know of it is told what else there is. */
static void explain_default(const struct options *options, struct config_errors *errors)
{
    const struct config_place whole = {.file = options->file};

    if (options->is_default_file && access(options->file, F_OK) == -1)
        config_error(
            errors, &whole,
            "it is read because no '-f FILE' names another; '--help' shows how to start without a file");
}

static const char *origin(const struct options *options)
{
    return options->file != NULL ? options->file : NO_FILE;
}

static void log_errors(const struct config_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++)
        log_event(EVENT_CONFIGURATION_ERROR, log_text("error", errors->texts[i]));
}

static void watch_file(void *context, const char *path)
{
    (void)file_watch_add(context, path);
}

/* For autoreload: the file, and those that it names. */
static void watch_files(const struct running *running, const struct config *config)
{
    if (running->watch == NULL || running->options->file == NULL)
        return;
    if (!config->agent.autoreload) {
        file_watch_clear(running->watch);
        return;
    }
    watch_file(running->watch, running->options->file);
    config_each_file(config, watch_file, running->watch);
}

/* The configuration stays. */
static void end_reading(struct running *running)
{
    ev_timer_stop(running->loop, &running->read_on);
    config_load_destroy(running->reading.load);
    config_errors_finish(&running->reading.errors);
    running->reading = (struct reading){.load = NULL};
}

static void drop_reading(struct running *running)
{
    config_destroy(running->reading.config);
    end_reading(running);
}

/* All or nothing. */
static void take(struct running *running)
{
    const struct reading *reading = &running->reading;
    struct config *config = reading->config;
    bool is_good = reading->load != NULL && config_load_is_good(reading->load);

    /* A file that is wrong may name one that only has to come, and turns nothing off. */
    if (is_good || (config != NULL && config->agent.autoreload))
        watch_files(running, config);
    if (is_good) {
        agent_reload(running->agent, config);
    } else {
        log_errors(&reading->errors);
        config_destroy(config);
        agent_reload_failed(running->agent,
                            reading->errors.count > 0 ? reading->errors.texts[0] : "out of memory");
    }
    end_reading(running);
}

static void read_on(struct running *running)
{
    size_t budget = LOAD_SLICE;

    if (running->reading.load == NULL || config_load_step(running->reading.load, &budget) == PROGRESS_DONE) {
        take(running);
        return;
    }
    ev_timer_set(&running->read_on, 0.0, 0.0);
    ev_timer_start(running->loop, &running->read_on);
}

static void on_read_on(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    read_on(timer->data);
}

static void reload(struct running *running)
{
    struct reading *reading = &running->reading;

    if (running->options->file == NULL) {
        agent_reload_failed(running->agent, "there is no file: it was started with options");
        return;
    }
    service_manager_reloading();
    /* Before they are read: what changes meanwhile is read again. */
    if (running->watch != NULL)
        file_watch_look(running->watch);
    drop_reading(running);
    reading->config = config_create();
    if (reading->config != NULL)
        reading->load = config_load_begin(running->options->file, reading->config, &reading->errors);
    read_on(running);
}

/* SIGHUP. */
static void on_reload(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    reload(watcher->data);
}

static void on_file_change(void *context, const char *path)
{
    log_event(EVENT_FILE_CHANGED, log_text("file", path));
    reload(context);
}

/*
 * Whether SIGHUP waits. One that comes before the agent watches for it must not be lost, nor end the process.
 */
static void hold_hangup(bool waits)
{
    sigset_t hangup;

    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    (void)sigprocmask(waits ? SIG_BLOCK : SIG_UNBLOCK, &hangup, NULL);
}

static void watch_signal(struct ev_loop *loop, ev_signal *watcher, int number,
                         void (*handler)(struct ev_loop *, ev_signal *, int), struct running *running)
{
    ev_signal_init(watcher, handler, number);
    watcher->data = running;
    ev_signal_start(loop, watcher);
}

/* All is open that needs more rights. */
static bool confine(const struct config *config, const char *file)
{
    char error[SANDBOX_ERROR_MAX];

    if (!sandbox_become(&config->agent, error)) {
        log_event(EVENT_CANNOT_START, log_text("error", error));
        return false;
    }
    sandbox_enter(config, file);
    return true;
}

/* Of these, a block has memory of its own: it grows without a copy, and shrinks and ends at once. */
#define LARGE_BLOCK (1024 * 1024)

/*
 * Keeps malloc() from standing still for milliseconds. free() joins small pieces at once: otherwise the first large piece
 * that is freed makes it join tens of thousands of them. And large blocks stay out of the heap, where they would be copied.
 */
static void tune_malloc(void)
{
#ifdef M_MXFAST /* glibc */
    (void)mallopt(M_MXFAST, 0);
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
#endif
}

/* `config` is the agent's. */
static int run(const struct options *options, struct config *config)
{
    struct ev_loop *loop = ev_default_loop(EVFLAG_NOENV);
    ev_signal signals[3];

    log_sink_choose(config->agent.syslog, config->agent.log_format, config->agent.log_level);
    if (loop == NULL) {
        fputs("cannot start the event loop\n", stderr);
        config_destroy(config);
        return EXIT_CODE_RUNTIME;
    }
    /*
     * First: a signal that comes while the agent starts is handled by the loop, and does not end the process.
     */
    struct running running = {.loop = loop, .options = options};
    ev_timer_init(&running.read_on, on_read_on, 0.0, 0.0);
    running.read_on.data = &running;
    watch_signal(loop, &signals[0], SIGTERM, on_stop, &running);
    watch_signal(loop, &signals[1], SIGINT, on_stop, &running);
    watch_signal(loop, &signals[2], SIGHUP, on_reload, &running);
    hold_hangup(false);
    log_event(EVENT_STARTING, log_text("configuration", origin(options)));
    log_warnings(config);
    tune_malloc();
    raise_descriptor_limit();
    keep_descriptors();
    sandbox_harden();
    int takeover_fd = -1;
    if (options->takeover && !takeover_ask(config, &takeover_fd)) {
        config_destroy(config);
        return EXIT_CODE_RUNTIME;
    }
    running.agent = agent_create(loop, config, &build, takeover_fd);
    if (running.agent == NULL)
        return EXIT_CODE_RUNTIME;
    if (!confine(config, options->file)) {
        agent_destroy(running.agent);
        return EXIT_CODE_RUNTIME;
    }
    running.watch = file_watch_create(loop, on_file_change, &running);
    watch_files(&running, config);
    ev_run(loop, 0);
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        ev_signal_stop(loop, &signals[i]);
    file_watch_destroy(running.watch);
    drop_reading(&running);
    agent_destroy(running.agent);
    ev_loop_destroy(loop);
    return EXIT_CODE_OK;
}

/* What is asked of a configuration beside running it. */
static void show(const struct options *options, const struct config *config)
{
    if (options->dump) {
        config_dump(config, stdout);
        return;
    }
    print_warnings(config);
    printf("%s: configuration is valid\n", origin(options));
}

static int run_command(const struct options *options, const struct config *config)
{
    hold_hangup(false); /* a command ends with its terminal */
    switch (options->command) {
    case COMMAND_STATUS:
        return command_status(config, options->json, options->watch);
    case COMMAND_EXPLAIN:
        return command_explain(config, options->service);
    case COMMAND_REHEARSE:
        return rehearse_run(config, options->service, options->through, options->yes);
    case COMMAND_RELOAD:
        return command_reload(config, options->pid);
    case COMMAND_CHECK:
        if (!options->json)
            print_warnings(config);
        return check_run(config, origin(options), options->haproxy_files, options->haproxy_file_count,
                         options->json);
    case COMMAND_HAPROXY_CONF:
        return command_haproxy_conf(config, options->haproxy, options->spoe);
    case COMMAND_RUN:
        break;
    }
    return EXIT_CODE_USAGE;
}

/* What the options ask for; `config` is ours. */
static int act(const struct options *options, struct config *config, struct config_errors *errors)
{
    int code = EXIT_CODE_OK;

    if (options->help) {
        options_print_help(stdout);
    } else if (options->version) {
        printf("sentinel-spoa %s (%s)\nTLS: %s\n", SENTINEL_SPOA_VERSION, SENTINEL_SPOA_REVISION,
               tls_version());
    } else if (!load(options->file, config, errors)) {
        explain_default(options, errors);
        code = EXIT_CODE_USAGE;
        if (options->command == COMMAND_CHECK && options->json)
            check_print_errors(options->file, errors);
    } else if (options->probe != NULL) {
        code = command_probe(config, options->probe);
    } else if (options->command != COMMAND_RUN) {
        code = run_command(options, config);
    } else if (!options->dump && !options->check) {
        return run(options, config);
    } else {
        show(options, config);
    }
    config_destroy(config);
    return code;
}

/* Signals that must never end the agent. */
static void prepare_signals(void)
{

    /* A peer that is gone is an error of write(). */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGUSR1, SIG_IGN);
    (void)signal(SIGUSR2, SIG_IGN);
    hold_hangup(true);
}

int main(int argc, char **argv)
{
    struct options options;
    struct config_errors errors = {.texts = NULL};
    int code = EXIT_CODE_USAGE;

    prepare_signals();
    /* It has options of its own, and no configuration yet. */
    if (argc > 1 && strcmp(argv[1], "init") == 0) {
        hold_hangup(false);
        return init_run(argc - 1, argv + 1);
    }
    struct config *config = config_create();
    if (config == NULL) {
        fputs("out of memory\n", stderr);
        return EXIT_CODE_RUNTIME;
    }
    if (options_parse(argc, argv, &options, config, &errors))
        code = act(&options, config, &errors);
    else
        config_destroy(config);
    print_errors(&errors);
    config_errors_finish(&errors);
    names_forget();
    return code;
}
