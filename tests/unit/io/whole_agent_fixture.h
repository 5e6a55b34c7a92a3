/* The whole agent in one loop with a scripted Sentinel that names R1. Nobody listens at R1. */
#ifndef TESTS_UNIT_IO_WHOLE_AGENT_FIXTURE_H
#define TESTS_UNIT_IO_WHOLE_AGENT_FIXTURE_H

#include "spoa/agent.h"

#include <signal.h>
#include <sys/stat.h>

#include "spoa/core/base/log.h"
#include "tests/lib/log_capture.h"
#include "tests/unit/core/config/config_fixture.h"
#include "tests/unit/io/agent_fixture.h"

static const struct agent_build build = {.version = "1", .revision = "r"};

struct fixture {
    struct ev_loop *loop;
    struct agent *agent;
    bool subscribes;
    bool has_no_checks;
    char folder[32];
};

static struct fixture f;

/* ---- the agent ---- */

/* The configuration with these lines in [agent] and in [service m]. */
static inline struct config *make_config(const char *agent_lines, const char *service_lines)
{
    char text[2048];
    char listener[64] = "";
    struct config *config = config_create();
    struct config_errors errors = {.texts = NULL};
    struct config_reader reader;

    if (!f.has_no_checks)
        (void)snprintf(listener, sizeof(listener), "check = unix:%s/check\n", f.folder);
    (void)snprintf(text, sizeof(text),
                   "[agent]\nlisten = unix:%s/spop\nhttp = unix:%s/http\n%slog-level = error\n%s\n"
                   "[sentinels]\naddress = unix:%s/sentinel\nsubscribe = %s\npoll = 100ms\n"
                   "connect-timeout = 400ms\nreply-timeout = 200ms\nvote-life = 1s\n"
                   "[service m]\nserver = R1 127.0.0.1:1\nserver = R2 127.0.0.1:2\n%s\n",
                   f.folder, f.folder, listener, agent_lines, f.folder, f.subscribes ? "yes" : "no",
                   service_lines);
    assert_non_null(config);
    config_reader_init(&reader, config, FILE_NAME, no_variable, &errors);
    config_reader_feed(&reader, text, strlen(text));
    config_reader_end(&reader);
    config_finish(config, FILE_NAME, &errors);
    for (size_t i = 0; i < errors.count; i++)
        print_error("%s\n", errors.texts[i]);
    assert_int_equal(errors.count, 0);
    config_errors_finish(&errors);
    return config;
}

static inline void start(const char *agent_lines, const char *service_lines)
{
    f.agent = agent_create(f.loop, make_config(agent_lines, service_lines), &build, -1);
    assert_non_null(f.agent);
}

/* GET of `path`; the answer with its head. */
static inline const char *get(const char *path)
{
    char text[128];

    (void)snprintf(text, sizeof(text), "GET %s HTTP/1.0\r\n\r\n", path);
    const char *page = ask_agent(f.loop, f.folder, "http", text);
    assert_non_null(strstr(page, " 200 "));
    return page;
}

static inline const char *check(const char *question)
{
    return ask_agent(f.loop, f.folder, "check", question);
}

static inline bool says(const char *path, const char *text)
{
    return strstr(get(path), text) != NULL;
}

/* Runs the agent until the event was logged. */
static inline const char *wait_log(const char *event)
{
    int64_t deadline_ms = clock_ms() + ANSWER_DEADLINE_MS;

    while (log_capture_count(event) == 0 && clock_ms() < deadline_ms) {
        ev_run(f.loop, EVRUN_NOWAIT);
        (void)usleep(1000);
    }
    assert_true(log_capture_count(event) > 0);
    return log_capture_last(event);
}

static inline void run_for(int64_t ms)
{
    for (int64_t end_ms = clock_ms() + ms; clock_ms() < end_ms; (void)usleep(1000))
        ev_run(f.loop, EVRUN_NOWAIT);
}

/* Runs the agent until the status says so. */
static inline void wait_status(const char *text)
{
    int64_t begin_ms = clock_ms();

    while (!says("/status", text) && clock_ms() < begin_ms + ANSWER_DEADLINE_MS)
        (void)usleep(1000);
    assert_true(says("/status", text));
}

static inline void wait_reloads(unsigned count)
{
    int64_t begin_ms = clock_ms();
    char line[64];

    (void)snprintf(line, sizeof(line), "redis_spoa_reloads_total %u\n", count);
    while (!says("/metrics", line) && clock_ms() < begin_ms + ANSWER_DEADLINE_MS)
        (void)usleep(1000);
    assert_true(says("/metrics", line) && says("/status", "\"last-reload-good\":true"));
}

static inline void wait_reload(void)
{
    wait_reloads(1);
}

static inline int set_up(void **state)
{
    (void)state;
    memset(&f, 0, sizeof(f));
    (void)snprintf(f.folder, sizeof(f.folder), "/tmp/sentinel-spoa-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    f.loop = ev_default_loop(EVFLAG_AUTO); /* programs of hooks need it */
    assert_non_null(f.loop);
    sentinel_start(f.loop, f.folder, "*2\r\n$9\r\n127.0.0.1\r\n$1\r\n1\r\n");
    log_capture_begin(LOG_LEVEL_DEBUG);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    agent_destroy(f.agent);
    sentinel_stop();
    ev_loop_destroy(f.loop);
    assert_int_equal(rmdir(f.folder), 0);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
