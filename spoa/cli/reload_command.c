#include "spoa/cli/reload_command.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/addr.h"
#include "spoa/cli/http_client.h"
#include "spoa/cli/options.h"
#include "spoa/cli/stopwatch.h"
#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/status/http_routes.h"

#define LOOK_INTERVAL_MS 50
/* The agent decides within the longest life of a vote. This is for one that does not. */
#define PATIENCE_MS 60000
/* A new `http` address is open at once, or the reload has failed. */
#define SILENCE_MS 3000

/* What /status says of the process and its reloads. */
struct report {
    int code; /* of HTTP; -1: no answer */
    pid_t pid;
    int64_t asked; /* reloads */
    bool is_open;  /* the last one is not decided */
    bool is_good;
    char error[512];
};

/* ---- what the agent says ---- */

/* What stands behind the first `key` in our own JSON; "" where it is not there. */
static const char *value_of(const char *json, const char *key)
{
    char quoted[64];

    (void)snprintf(quoted, sizeof(quoted), "\"%s\":", key);
    const char *found = strstr(json, quoted);
    return found != NULL ? found + strlen(quoted) : "";
}

static bool is_true(const char *value)
{
    return strncmp(value, "true", 4) == 0;
}

/* A string without its quotes and backslashes; "" where it is none. */
static void copy_string(const char *value, char *out, size_t size)
{
    size_t len = 0;

    if (*value == '"')
        for (value++; *value != '"' && *value != '\0' && len + 1 < size; value++) {
            if (*value == '\\' && value[1] != '\0')
                value++;
            out[len++] = *value;
        }
    out[len] = '\0';
}

/* False where the agent does not say: `code` is that of HTTP then, or -1 with errno. */
static bool look(const struct config_listen *agent, struct report *ret_report)
{
    struct text body;
    int code = http_client_get(agent, "/status", &body);
    bool is_heard = code == HTTP_OK && body.data != NULL;

    *ret_report = (struct report){.code = code};
    if (is_heard) {
        ret_report->pid = (pid_t)strtol(value_of(body.data, "pid"), NULL, 10);
        ret_report->asked = strtoll(value_of(body.data, "reloads-asked"), NULL, 10);
        ret_report->is_open = is_true(value_of(body.data, "reload-open"));
        ret_report->is_good = is_true(value_of(body.data, "last-reload-good"));
        copy_string(value_of(body.data, "last-reload-error"), ret_report->error, sizeof(ret_report->error));
    }
    text_finish(&body);
    return is_heard && ret_report->pid > 0;
}

/* ---- whom to tell ---- */

/* An agent in a container names a process of that container. Where this cannot be read, kill() decides. */
static bool is_agent(pid_t pid)
{
    char path[64];
    char words[4096] = "";

    (void)snprintf(path, sizeof(path), "/proc/%ld/cmdline", (long)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return true;
    size_t len = fread(words, 1, sizeof(words) - 1, file);
    (void)fclose(file);
    for (size_t at = 0; at < len; at += strlen(words + at) + 1)
        if (strstr(words + at, "sentinel-spoa") != NULL)
            return true;
    return len == 0;
}

static bool tell(pid_t pid)
{
    if (!is_agent(pid)) {
        fprintf(stderr, "process %ld is no sentinel-spoa: is the agent in a container?\n", (long)pid);
        return false;
    }
    if (kill(pid, SIGHUP) == 0)
        return true;
    fprintf(stderr, "cannot signal process %ld: %s\n", (long)pid, strerror(errno));
    return false;
}

/* ---- what comes of it ---- */

static int fail(const char *reason)
{
    fprintf(stderr, "%s\n", reason);
    return EXIT_CODE_RUNTIME;
}

/* As where the configuration has no 'http'. */
static int leave_to_log(void)
{
    fputs(
        "SIGHUP was sent. 'allow' does not have this host, so the agent's log says what came of the reload\n",
        stderr);
    return EXIT_CODE_OK;
}

static int wait_decided(const struct config_listen *agent, pid_t pid, int64_t asked_before)
{
    const struct timespec pause = {.tv_nsec = LOOK_INTERVAL_MS * 1000000L};
    const int64_t told_ms = stopwatch_ms(); /* a look may take seconds, so looks are not counted */
    int64_t heard_ms = told_ms;
    struct report report = {.code = -1};

    while (stopwatch_ms() - told_ms < PATIENCE_MS) {
        bool is_heard = look(agent, &report) && report.pid == pid;
        bool is_decided = is_heard && report.asked > asked_before && !report.is_open;
        if (is_decided && report.is_good)
            return EXIT_CODE_OK;
        if (is_decided) {
            fputs("the reload failed: ", stderr);
            return fail(report.error);
        }
        if (kill(pid, 0) == -1 && errno == ESRCH)
            return fail("the agent has ended");
        if (is_heard)
            heard_ms = stopwatch_ms();
        if (report.code == HTTP_FORBIDDEN)
            return leave_to_log();
        bool is_silent = stopwatch_ms() - heard_ms >= SILENCE_MS;
        if (is_silent && report.code == HTTP_UNAUTHORIZED)
            return fail("SIGHUP was sent, and the agent does not take the token of the new file (HTTP 401): "
                        "its log says why it did not reload");
        if (is_silent)
            return fail(
                "SIGHUP was sent, and the agent does not answer now: its log says what came of the reload");
        (void)nanosleep(&pause, NULL);
    }
    return fail("the agent has not decided for a minute: its log says more");
}

static int reload_at(const struct config_listen *agent, pid_t pid)
{
    struct report before;
    char text[ADDR_TEXT_MAX];
    bool is_heard = look(agent, &before);

    if (!is_heard && pid == 0) {
        fprintf(stderr, "no answer from %s: ", addr_format(&agent->addr, text));
        if (before.code == -1)
            return fail(strerror(errno));
        fprintf(stderr, "it refuses /status (HTTP %d). ", before.code);
        return fail("Name the process: --pid");
    }
    if (is_heard && pid != 0 && before.pid != pid) {
        fprintf(stderr, "the agent at %s is process %ld, not %ld\n", addr_format(&agent->addr, text),
                (long)before.pid, (long)pid);
        return EXIT_CODE_RUNTIME;
    }
    if (pid == 0)
        pid = before.pid;
    return tell(pid) ? wait_decided(agent, pid, before.asked) : EXIT_CODE_RUNTIME;
}

int command_reload(const struct config *config, pid_t pid)
{
    if (config->agent.web.count > 0)
        return reload_at(&config->agent.web.list[0], pid);
    if (pid == 0)
        return fail("the configuration has no 'http' in [agent]: there is nobody to ask for the process");
    return tell(pid) ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
}
