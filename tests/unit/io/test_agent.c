/* What is only right where the parts of the agent are put together. */
#include "tests/unit/io/whole_agent_fixture.h"

/* No reload was asked for: nothing is wrong. */
static void a_start_is_good(void **state)
{
    (void)state;
    start("", "");
    (void)wait_log("master-switch");
    assert_true(says("/status", "\"last-reload-good\":true"));
    assert_true(says("/status", "\"state\":\"ok\""));
}

/* A master that must say that it is one has the time of a connection and a reply for it. */
static void a_required_role_has_its_time(void **state)
{
    int64_t begin_ms = clock_ms();

    (void)state;
    start("", "role-check = require");
    wait_status("\"state\":\"not-master\"");
    assert_true(clock_ms() - begin_ms >= 600);
}

/* Each key alone. */
static void what_needs_a_restart(void **state)
{
    static const struct {
        const char *lines;
        const char *key;
    } cases[] = {
        {"user = nobody\n", "key=user"},
        {"user = root\ngroup = other\n", "key=user"},
        {"user = root\nsandbox = no\n", "key=sandbox"},
        {"user = root\npark-max = 7\n", "key=park-max"},
        {"user = root\n", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        start("user = root\n", "");
        (void)wait_log("master-switch");
        agent_reload(f.agent, make_config(cases[i].lines, ""));
        (void)wait_reload();
        assert_int_equal(log_capture_count("restart-needed"), cases[i].key != NULL);
        if (cases[i].key != NULL)
            assert_non_null(strstr(log_capture_last("restart-needed"), cases[i].key));
        agent_destroy(f.agent);
        f.agent = NULL;
        log_capture_begin(LOG_LEVEL_DEBUG);
    }
}

/* A server whose sessions are to be cut goes on being down to HAProxy. */
static void a_pulse_goes_on(void **state)
{
    (void)state;
    start("", "check-pulse = 1h");
    (void)wait_log("master-switch");
    log_capture_clear();
    sentinel.master = "*2\r\n$9\r\n127.0.0.1\r\n$1\r\n2\r\n";
    (void)wait_log("master-switch");
    assert_string_equal(check("m R1\n"), "down #its sessions are to be cut\n");
    agent_reload(f.agent, make_config("", "check-pulse = 1h"));
    wait_reload();
    assert_string_equal(check("m R1\n"), "down #its sessions are to be cut\n");
    assert_string_equal(check("m R2\n"), "up\n");
}

/* A reload adds the listener for agent-checks, and another one removes it. Whoever it let in before gets no answer then: a
 * wrong one would hold a server down. */
static void checks_come_and_go(void **state)
{
    char answer[16];

    (void)state;
    f.has_no_checks = true;
    start("", "");
    (void)wait_log("master-switch");
    f.has_no_checks = false;
    agent_reload(f.agent, make_config("", ""));
    wait_reloads(1);
    assert_string_equal(check("m R1\n"), "up\n");
    int fd = connect_and_send(f.folder, "check", "m ", 2);
    assert_int_not_equal(fd, -1);
    run_for(50);
    f.has_no_checks = true;
    agent_reload(f.agent, make_config("", ""));
    wait_reloads(2);
    assert_int_equal(send(fd, "R1\n", 3, MSG_NOSIGNAL), 3);
    run_for(50);
    assert_int_equal(recv(fd, answer, sizeof(answer), MSG_DONTWAIT), 0);
    close(fd);
}

/* A program gets the signals as they are by default, whatever we ignore. */
static void a_hook_ignores_no_signal(void **state)
{
    char program[64];
    char line[128];

    (void)state;
    (void)snprintf(program, sizeof(program), "%s/program", f.folder);
    FILE *file = fopen(program, "we");
    assert_non_null(file);
    (void)fputs("#!/bin/sh\ngrep SigIgn: /proc/$$/status\n", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(program, 0700), 0);
    (void)snprintf(line, sizeof(line), "on-switch = %s", program);
    (void)signal(SIGUSR2, SIG_IGN);
    start("", line);
    const char *ignored = strchr(wait_log("hook-output"), '\t'); /* "SigIgn:", a bit for each signal */
    assert_non_null(ignored);
    assert_int_equal(strtoull(ignored + 1, NULL, 16) >> (SIGUSR2 - 1) & 1, 0);
    (void)signal(SIGUSR2, SIG_DFL);
    (void)wait_log("hook-ended");
    assert_int_equal(unlink(program), 0);
}

static void a_hook_that_cannot_be_started(void **state)
{
    (void)state;
    start("", "on-switch = /nowhere/program");
    assert_non_null(strstr(wait_log("hook-failed"), "service=m reason=No such file or directory retry-ms="));
}

/* The retry of a program that the next file does not have is not awaited any more. */
static void a_hook_that_is_gone_is_not_run_again(void **state)
{
    (void)state;
    start("", "on-switch = /nowhere/program\non-switch-retry = 50ms");
    (void)wait_log("hook-failed");
    agent_reload(f.agent, make_config("", ""));
    wait_reload();
    const char *retry = strstr(log_capture_last("hook-failed"), "retry-ms=");
    assert_non_null(retry); /* it would have been run again */
    int64_t retry_ms = strtoll(retry + strlen("retry-ms="), NULL, 10);
    log_capture_begin(LOG_LEVEL_DEBUG); /* the reload has put the file's level in its place */
    run_for(retry_ms + 50);
    assert_int_equal(log_capture_count("hook-failed"), 0);
}

/* A fence that the log was told of before a reload is not told again, and its end is told after it. */
static void a_fence_goes_on_in_the_log(void **state)
{
    const char *master = sentinel.master;

    (void)state;
    start("", "fence = 100ms");
    (void)wait_log("master-switch");
    sentinel.master = "*-1\r\n";
    (void)wait_log("fenced");
    agent_reload(f.agent, make_config("", "fence = 100ms"));
    wait_reload();
    log_capture_begin(LOG_LEVEL_DEBUG);
    sentinel.master = master;
    (void)wait_log("fence-ended");
    assert_int_equal(log_capture_count("fenced"), 0);
    assert_int_equal(log_capture_count("master-switch"), 0);
}

/* What follows `words`, which must be there; "" where it is not. */
static const char *behind(const char *text, const char *words)
{
    const char *at = strstr(text, words);

    assert_non_null(at);
    return at != NULL ? at + strlen(words) : "";
}

/* Since when a Sentinel has no vote, in Unix time; 0 while nothing is wrong with it. */
static int64_t fault_since(const char *group)
{
    char key[64];
    const char *page = get("/status");

    (void)snprintf(key, sizeof(key), "\"group\":\"%s\"", group);
    const char *fault = behind(behind(page, key), "\"fault-ms\":");
    return *fault == 'n' ? 0 : strtoll(behind(page, "\"now\":"), NULL, 10) - strtoll(fault, NULL, 10);
}

/* A Sentinel that cannot be reached before and after a reload has been away all the time. */
static void a_fault_goes_on(void **state)
{
    static const char other[] =
        "[sentinels away]\naddress = unix:/nowhere/sentinel\nsubscribe = no\n"
        "poll = 100ms\nconnect-timeout = 400ms\nreply-timeout = 200ms\nvote-life = 1s\n"
        "[service n]\nsentinels = away\nserver = R1 127.0.0.1:1\n";
    int64_t deadline_ms = clock_ms() + ANSWER_DEADLINE_MS;

    (void)state;
    start("", other);
    (void)wait_log("master-switch");
    while (fault_since("away") == 0 && clock_ms() < deadline_ms)
        (void)usleep(1000);
    int64_t since_ms = fault_since("away");
    assert_true(since_ms > 0);
    run_for(20);
    agent_reload(f.agent, make_config("", other));
    wait_reload();
    assert_in_range(fault_since("away"), since_ms - 2, since_ms + 2); /* two clocks are read */
}

/* Only `early-fence` needs the events of a failover that begins, and the right to them. */
static void a_group_subscribes_to_what_it_needs(void **state)
{
    static const char *const lines[] = {"", "early-fence = yes\n"};

    (void)state;
    f.subscribes = true;
    for (size_t i = 0; i < 2; i++) {
        int64_t deadline_ms = clock_ms() + ANSWER_DEADLINE_MS;
        sentinel.subscribed[0] = '\0';
        start("", lines[i]);
        while (sentinel.subscribed[0] == '\0' && clock_ms() < deadline_ms)
            run_for(1);
        assert_non_null(strstr(sentinel.subscribed, "-odown"));
        assert_int_equal(strstr(sentinel.subscribed, "+try-failover") != NULL, i == 1);
        agent_destroy(f.agent);
        f.agent = NULL;
    }
}

/* It does not tell the service manager that it is ready again. */
static void an_end_takes_no_reload(void **state)
{
    (void)state;
    start("", "");
    agent_stop(f.agent);
    agent_reload_failed(f.agent, "the file is bad");
    assert_int_equal(log_capture_count("reload-failed"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_start_is_good),
        TEST(a_required_role_has_its_time),
        TEST(what_needs_a_restart),
        TEST(a_hook_that_is_gone_is_not_run_again),
        TEST(a_fence_goes_on_in_the_log),
        TEST(a_fault_goes_on),
        TEST(a_group_subscribes_to_what_it_needs),
        TEST(a_pulse_goes_on),
        TEST(checks_come_and_go),
        TEST(an_end_takes_no_reload),
        TEST(a_hook_ignores_no_signal),
        TEST(a_hook_that_cannot_be_started),
    };

    return cmocka_run_group_tests_name("agent", tests, NULL, NULL);
}
