/* sentinel-spoa: command line, configuration, signals; the rest is agent.c. */
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "spoa/agent.h"
#include "spoa/core/config.h"
#include "spoa/core/log.h"
#include "spoa/io/config_file.h"
#include "spoa/io/log_sink.h"
#include "spoa/options.h"

#ifndef SENTINEL_SPOA_VERSION
#define SENTINEL_SPOA_VERSION "unknown"
#endif
#ifndef SENTINEL_SPOA_REVISION
#define SENTINEL_SPOA_REVISION "unknown"
#endif

static void on_stop(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    agent_stop(watcher->data);
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
        log_event(LOG_LEVEL_WARNING, "configuration-warning", log_text("warning", config->warnings.texts[i]));
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

static int run(const struct config *config)
{
    struct ev_loop *loop = ev_default_loop(EVFLAG_NOENV);
    ev_signal terminate;
    ev_signal interrupt;

    log_sink_open(STDERR_FILENO, config->agent.log_format, config->agent.log_level);
    if (loop == NULL) {
        fputs("cannot start the event loop\n", stderr);
        return EXIT_CODE_RUNTIME;
    }
    log_warnings(config);
    /* A peer that is gone is an error of write(), not a reason to die. */
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    struct agent *agent = agent_create(loop, config);
    if (agent == NULL)
        return EXIT_CODE_RUNTIME;
    ev_signal_init(&terminate, on_stop, SIGTERM);
    ev_signal_init(&interrupt, on_stop, SIGINT);
    terminate.data = agent;
    interrupt.data = agent;
    ev_signal_start(loop, &terminate);
    ev_signal_start(loop, &interrupt);
    ev_run(loop, 0);
    ev_signal_stop(loop, &terminate);
    ev_signal_stop(loop, &interrupt);
    agent_destroy(agent);
    ev_loop_destroy(loop);
    return EXIT_CODE_OK;
}

static bool load(const struct options *options, struct config *config, struct config_errors *errors)
{
    if (options->file != NULL)
        return config_file_load(options->file, config, errors);
    config_finish(config, "command line", errors);
    return errors->count == 0 && !errors->out_of_memory;
}

/* What the options ask for. */
static int act(const struct options *options, struct config *config, struct config_errors *errors)
{
    if (options->help) {
        options_print_help(stdout);
        return EXIT_CODE_OK;
    }
    if (options->version) {
        printf("sentinel-spoa %s (%s)\n", SENTINEL_SPOA_VERSION, SENTINEL_SPOA_REVISION);
        return EXIT_CODE_OK;
    }
    if (!load(options, config, errors))
        return EXIT_CODE_USAGE;
    if (!options->dump && !options->check)
        return run(config);
    if (options->dump) {
        config_dump(config, stdout);
        return EXIT_CODE_OK;
    }
    print_warnings(config);
    printf("%s: configuration is valid\n", options->file != NULL ? options->file : "command line");
    return EXIT_CODE_OK;
}

int main(int argc, char **argv)
{
    struct options options;
    struct config_errors errors = {.texts = NULL};
    struct config *config = config_create();
    int code = EXIT_CODE_USAGE;

    if (config == NULL) {
        fputs("out of memory\n", stderr);
        return EXIT_CODE_RUNTIME;
    }
    if (options_parse(argc, argv, &options, config, &errors))
        code = act(&options, config, &errors);
    print_errors(&errors);
    config_errors_finish(&errors);
    config_destroy(config);
    return code;
}
