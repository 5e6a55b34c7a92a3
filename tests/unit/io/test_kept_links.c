/* The whole agent with a scripted Sentinel and a node: what a reload does to the connection to that node. */
#include <stdio.h>
#include <stdlib.h>

#include "spoa/agent.h"
#include "spoa/core/base/log.h"
#include "tests/unit/core/config/config_fixture.h"
#include "tests/unit/io/agent_fixture.h"
#include "tests/unit/io/node_fixture.h"

static const struct agent_build build = {.version = "1", .revision = "r"};

struct fixture {
    struct ev_loop *loop;
    struct agent *agent;
    struct scripted_node node;
    char folder[32];
    char master[64]; /* the Sentinel's reply */
    unsigned reloads;
};

static struct fixture f;

/* With these lines in [sentinels] and in [service m]. */
static struct config *make_config(const char *sentinel_lines, const char *service_lines)
{
    bool has_limit = strstr(sentinel_lines, "reply-timeout") != NULL;
    char text[2048];

    (void)snprintf(text, sizeof(text),
                   "[agent]\nlisten = unix:%s/spop\nhttp = unix:%s/http\nlog-level = error\n"
                   "[sentinels]\naddress = unix:%s/sentinel\nsubscribe = no\npoll = 100ms\n"
                   "connect-timeout = 400ms\nvote-life = 1s\n%s\n%s\n"
                   "[service m]\nserver = R1 127.0.0.1:%u\n%s\n",
                   f.folder, f.folder, f.folder, has_limit ? "" : "reply-timeout = 200ms", sentinel_lines,
                   f.node.port, service_lines);
    struct loaded loaded = load(text);
    for (size_t i = 0; i < loaded.errors.count; i++)
        print_error("%s\n", loaded.errors.texts[i]);
    assert_int_equal(loaded.errors.count, 0);
    config_errors_finish(&loaded.errors);
    return loaded.config;
}

static bool says(const char *path, const char *text)
{
    char question[128];

    (void)snprintf(question, sizeof(question), "GET %s HTTP/1.0\r\n\r\n", path);
    return strstr(ask_agent(f.loop, f.folder, "http", question), text) != NULL;
}

/* Runs until the metric has this value. */
static void wait_metric(const char *name, unsigned value)
{
    int64_t deadline_ms = clock_ms() + ANSWER_DEADLINE_MS;
    char text[96];

    (void)snprintf(text, sizeof(text), "\nredis_spoa_%s %u\n", name, value);
    while (!says("/metrics", text) && clock_ms() < deadline_ms)
        (void)usleep(1000);
    assert_true(says("/metrics", text));
}

/* Runs until the node was asked again, and has nothing but one connection. */
static void wait_one_link(void)
{
    unsigned asked = f.node.roles;
    int64_t deadline_ms = clock_ms() + ANSWER_DEADLINE_MS;

    while ((f.node.open != 1 || f.node.roles < asked + 2) && clock_ms() < deadline_ms)
        ev_run(f.loop, EVRUN_ONCE);
    assert_int_equal(f.node.open, 1);
    assert_true(f.node.roles >= asked + 2);
}

static void reload(const char *sentinel_lines, const char *service_lines)
{
    agent_reload(f.agent, make_config(sentinel_lines, service_lines));
    wait_metric("reloads_total", ++f.reloads);
    wait_one_link();
}

static bool is_named(void)
{
    return says("/master/m", " 200 ");
}

static int set_up(void **state)
{
    (void)state;
    memset(&f, 0, sizeof(f));
    (void)snprintf(f.folder, sizeof(f.folder), "/tmp/sentinel-spoa-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    f.loop = ev_default_loop(EVFLAG_AUTO);
    assert_non_null(f.loop);
    node_start(&f.node, f.loop);
    char port[8];
    int len = snprintf(port, sizeof(port), "%u", f.node.port);
    (void)snprintf(f.master, sizeof(f.master), "*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n", len, port);
    sentinel_start(f.loop, f.folder, f.master);
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    agent_destroy(f.agent);
    sentinel_stop();
    node_stop(&f.node);
    ev_loop_destroy(f.loop);
    assert_int_equal(rmdir(f.folder), 0);
    return 0;
}

static void start(const char *service_lines)
{
    f.agent = agent_create(f.loop, make_config("", service_lines), &build, -1);
    assert_non_null(f.agent);
    f.reloads = 0;
    wait_one_link();
    assert_int_equal(f.node.accepted, 1);
}

/* ---- tests ---- */

static void test_no_new_connection(void **state)
{
    static const char *const checks[] = {"role-check = veto", "role-check = require"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        start(checks[i]);
        for (int k = 0; k < 3; k++) {
            reload("", checks[i]);
            assert_true(is_named());
        }
        assert_int_equal(f.node.accepted, 1);
        agent_destroy(f.agent);
        f.agent = NULL;
        f.node.accepted = 0;
    }
}

/* Each of these is another link: it is made before the former one ends. */
static void test_other_settings(void **state)
{
    static const struct {
        const char *sentinel_lines;
        const char *service_lines;
    } cases[] = {
        {"", "password = one"},
        {"", "password = two"},
        {"", "username = other\npassword = two"},
        {"reply-timeout = 300ms", ""},
    };

    (void)state;
    start("");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        unsigned before = f.node.accepted;
        reload(cases[i].sentinel_lines, cases[i].service_lines);
        assert_int_equal(f.node.accepted, before + 1);
        assert_true(is_named());
    }
}

/* A check that begins or ends has a link, or none. */
static void test_the_check_is_switched(void **state)
{
    (void)state;
    start("");
    agent_reload(f.agent, make_config("", "role-check = off"));
    wait_metric("reloads_total", ++f.reloads);
    int64_t deadline_ms = clock_ms() + ANSWER_DEADLINE_MS;
    while (f.node.open > 0 && clock_ms() < deadline_ms)
        ev_run(f.loop, EVRUN_ONCE);
    assert_int_equal(f.node.open, 0);
    reload("", "");
    assert_int_equal(f.node.accepted, 2);
}

/* A file that never becomes good, and is then replaced, leaves the link alone. */
static void test_abandoned(void **state)
{
    (void)state;
    start("");
    agent_reload(f.agent, make_config("address = unix:/nowhere/1\naddress = unix:/nowhere/2", ""));
    wait_metric("reload_failures_total", 1);
    wait_one_link();
    reload("", "");
    assert_int_equal(f.node.accepted, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_no_new_connection),
        TEST(test_other_settings),
        TEST(test_the_check_is_switched),
        TEST(test_abandoned),
    };

    return cmocka_run_group_tests_name("kept_links", tests, NULL, NULL);
}
