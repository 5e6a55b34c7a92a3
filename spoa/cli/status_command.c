#include "spoa/cli/status_command.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "proto/addr.h"
#include "spoa/cli/commands.h"
#include "spoa/cli/http_client.h"
#include "spoa/cli/options.h"
#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/status/sentences.h"
#include "spoa/core/status/terminal.h"

/* Between two questions. */
static const struct timespec watch_interval = {.tv_sec = 1};
/* The same while the agent does not answer: its return is seen at once. */
static const struct timespec gone_interval = {.tv_nsec = 200000000};

#define HTTP_OK 200

/* What is on the screen. */
struct screen {
    const struct config_listen *where;
    const char *path;
    struct text picture; /* the last answer of the agent; empty: there was none */
    time_t gone_since;   /* when it did not answer for the first time; 0: it answers */
};

/* The value of a variable of the environment; "" where it is not set. */
static const char *environment(const char *variable)
{
    const char *value = getenv(variable);

    return value != NULL ? value : "";
}

/* Whether stdout obeys control sequences. */
static bool is_screen(void)
{
    const char *kind = environment("TERM");

    return isatty(STDOUT_FILENO) && kind[0] != '\0' && strcmp(kind, "dumb") != 0;
}

/* https://no-color.org */
static bool has_colours(bool is_json)
{
    return !is_json && is_screen() && environment("NO_COLOR")[0] == '\0';
}

static void print(const struct text *text)
{
    fputs(text->data != NULL && !text->has_failed ? text->data : "", stdout);
    fflush(stdout);
}

/* ---- once ---- */

static int print_in_colour(const struct config *config, const char *path)
{
    const struct terminal_look look = {.has_colours = true, .new_lines = SIZE_MAX};
    struct text body;
    struct text painted = {.data = NULL};
    int code = http_client_ask(config, path, &body);

    if (body.data != NULL)
        terminal_paint(&painted, &look, body.data);
    print(&painted);
    text_finish(&painted);
    text_finish(&body);
    return code == HTTP_OK ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
}

/* ---- a screen ---- */

/* Shows the cursor again, and lets the signal do what it does without us. */
static void on_end(int number)
{
    static const char show[] = TERMINAL_SHOW_CURSOR "\n";

    (void)!write(STDOUT_FILENO, show, sizeof(show) - 1);
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

/* The cursor is hidden again with the next picture. */
static void on_pause(int number)
{
    static const char show[] = TERMINAL_SHOW_CURSOR "\n";

    (void)number;
    (void)!write(STDOUT_FILENO, show, sizeof(show) - 1);
    (void)raise(SIGSTOP);
}

/* Only ends the pause between two pictures: the next one has the new size. */
static void on_new_size(int number)
{
    (void)number;
}

static void handle(int number, void (*handler)(int))
{
    const struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};

    (void)sigaction(number, &action, NULL);
}

static void handle_signals(void)
{
    handle(SIGINT, on_end);
    handle(SIGTERM, on_end);
    handle(SIGHUP, on_end);
    handle(SIGQUIT, on_end);
    handle(SIGTSTP, on_pause);
    handle(SIGWINCH, on_new_size);
}

/* "✖ No answer from 127.0.0.1:9912 since 21:40:12 UTC, for 4.2 s: Connection refused". */
static void add_gone(struct text *out, const struct screen *screen, const char *reason)
{
    char text[ADDR_TEXT_MAX];
    char moment[sizeof("00:00:00")] = "";
    struct tm utc;

    if (gmtime_r(&screen->gone_since, &utc) != NULL)
        strftime(moment, sizeof(moment), "%H:%M:%S", &utc);
    text_printf(out, "%s No answer from ", tone_mark(TONE_BAD));
    text_add(out, addr_format(&screen->where->addr, text));
    text_printf(out, " since %s UTC, for ", moment);
    sentences_add_duration(out, (int64_t)(time(NULL) - screen->gone_since) * 1000);
    text_printf(out, ": %s\n\n", reason);
}

/* Asks the agent. Returns NULL, or why the picture is an old one. */
static const char *update(struct screen *screen)
{
    struct text body;
    int code = http_client_get(screen->where, screen->path, &body);
    const char *reason = code == -1        ? strerror(errno)
                         : code == HTTP_OK ? NULL
                                           : "it refuses to tell its status";

    if (reason == NULL && body.data != NULL) {
        text_finish(&screen->picture);
        screen->picture = body;
        screen->gone_since = 0;
        return NULL;
    }
    text_finish(&body);
    if (screen->gone_since == 0)
        screen->gone_since = time(NULL);
    return reason;
}

static void draw(const struct screen *screen, bool has_colours, const char *reason)
{
    struct winsize size = {.ws_row = 0};
    struct text text = {.data = NULL};
    struct text painted = {.data = NULL};

    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    const struct terminal_look look = {.has_colours = has_colours,
                                       .new_lines = reason != NULL ? 2 : SIZE_MAX,
                                       .columns = size.ws_col > 0 ? size.ws_col : 80,
                                       .rows = size.ws_row > 0 ? size.ws_row : 24};
    if (reason != NULL)
        add_gone(&text, screen, reason);
    text_add(&text, screen->picture.data != NULL ? screen->picture.data : "");
    text_add(&painted, TERMINAL_HIDE_CURSOR);
    if (!text.has_failed)
        terminal_paint(&painted, &look, text.data);
    print(&painted);
    text_finish(&painted);
    text_finish(&text);
}

/* Until a signal ends it, or the terminal is gone. An agent that is away may come back. */
static void watch_screen(const struct config_listen *where, const char *path, bool has_colours)
{
    struct screen screen = {.where = where, .path = path};

    handle_signals();
    while (!ferror(stdout)) {
        const char *reason = update(&screen);
        draw(&screen, has_colours, reason);
        (void)nanosleep(reason != NULL ? &gone_interval : &watch_interval, NULL);
    }
    text_finish(&screen.picture);
}

int command_status(const struct config *config, bool is_json, bool watches)
{
    const char *path = is_json ? "/status" : "/status.txt";
    const struct config_listen *where = http_client_agent(config);

    if (where == NULL)
        return EXIT_CODE_RUNTIME;
    if (!watches)
        return has_colours(is_json) ? print_in_colour(config, path) : command_print(config, path);
    if (is_screen())
        watch_screen(where, path, has_colours(is_json));
    /* Until nobody reads it any more, as in `status --watch | head`. */
    while (!ferror(stdout)) {
        (void)command_print(config, path);
        (void)nanosleep(&watch_interval, NULL);
    }
    return EXIT_CODE_OK;
}
