/* How an agent starts, what it tells the service manager and its own log, and how it ends. */
#include <sys/resource.h>

#include "tests/unit/io/descriptors.h"
#include "tests/unit/io/whole_agent_fixture.h"

static int manager = -1; /* the service manager's socket */
static char manager_path[128];

static void listen_as_manager(void)
{
    struct sockaddr_un address = unix_address(f.folder, "manager");

    (void)snprintf(manager_path, sizeof(manager_path), "%s", address.sun_path);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(manager, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", manager_path, 1), 0);
}

static void close_manager(void)
{
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    close(manager);
    (void)unlink(manager_path);
}

/* The next message to the service manager, for which the agent runs. */
static const char *next_message(void)
{
    static char text[1024];
    int64_t deadline_ms = clock_ms() + ANSWER_DEADLINE_MS;
    ssize_t len;

    while ((len = recv(manager, text, sizeof(text) - 1, 0)) == -1 && clock_ms() < deadline_ms) {
        ev_run(f.loop, EVRUN_NOWAIT);
        (void)usleep(1000);
    }
    text[len > 0 ? len : 0] = '\0';
    return text;
}

static void what_the_service_manager_is_told(void **state)
{
    (void)state;
    listen_as_manager();
    start("", "");
    assert_string_equal(next_message(), "READY=1\nSTATUS=1 services");
    agent_reload(f.agent, make_config("", ""));
    assert_string_equal(next_message(), "READY=1\nSTATUS=1 services");
    agent_reload_failed(f.agent, "the file is bad");
    assert_string_equal(next_message(), "READY=1\nSTATUS=the last reload failed: the file is bad");
    agent_stop(f.agent);
    assert_string_equal(next_message(), "STOPPING=1\nSTATUS=draining");
    run_for(50);
    assert_int_equal(recv(manager, (char[1]){0}, 1, 0), -1); /* nothing is told twice */
    close_manager();
}

/* It hears of us again and again. */
static void the_watchdog(void **state)
{
    (void)state;
    listen_as_manager();
    assert_int_equal(setenv("WATCHDOG_USEC", "100000", 1), 0);
    start("", "");
    for (unsigned count = 0; count < 3;) {
        const char *text = next_message();
        assert_string_not_equal(text, "");
        count += strcmp(text, "WATCHDOG=1") == 0;
    }
    close_manager();
}

/* Without descriptors for all that is wanted some are kept for the links. */
static void few_descriptors(void **state)
{
    static const struct {
        rlim_t limit;
        const char *words; /* of the log; NULL: it is enough */
    } cases[] = {
        {1000 + 262, NULL},
        {1000 + 261, "limit=1261 max-connections=1000 possible=999"},
        {600, "limit=600 max-connections=1000 possible=338"},
        {500, "limit=500 max-connections=1000 possible=250"},
    };
    struct rlimit before;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct rlimit limit = {.rlim_cur = cases[i].limit, .rlim_max = before.rlim_max};
        if (before.rlim_max < limit.rlim_cur)
            continue;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        start("max-connections = 1000", "");
        assert_int_equal(log_capture_count("few-descriptors"), cases[i].words != NULL);
        if (cases[i].words != NULL)
            assert_non_null(strstr(log_capture_last("few-descriptors"), cases[i].words));
        agent_destroy(f.agent);
        f.agent = NULL;
        log_capture_begin(LOG_LEVEL_DEBUG);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* How long each turn of its loop takes is among its metrics. */
static void turns_are_measured(void **state)
{
    (void)state;
    start("", "");
    run_for(20);
    assert_true(says("/metrics", "\nredis_spoa_loop_stall_seconds_count "));
    assert_false(says("/metrics", "\nredis_spoa_loop_stall_seconds_count 0\n"));
}

/* What it says of itself. */
static void the_status(void **state)
{
    char text[64];

    (void)state;
    start("", "");
    (void)wait_log("master-switch");
    assert_string_equal(log_capture_last("started"), "info started services=1 sentinel-groups=1");
    int fd = connect_and_send(f.folder, "spop", "", 0);
    run_for(20);
    (void)snprintf(text, sizeof(text), "\"pid\":%d,", (int)getpid());
    assert_true(says("/status", text));
    assert_true(says("/status", "\"version\":\"1\"") && says("/status", "\"revision\":\"r\""));
    assert_true(says("/status", "\"connections\":1,") && says("/status", "\"stopping\":false"));
    assert_true(says("/status", "\"parked\":0") && says("/status", "\"reloads-asked\":0"));
    assert_true(says("/status", "\"last-reload-error\":null"));
    agent_reload_failed(f.agent, "the file is bad");
    assert_true(says("/status", "\"reloads-asked\":1") && says("/status", "\"last-reload-good\":false"));
    assert_true(says("/status", "\"last-reload-error\":\"the file is bad\""));
    close(fd);
}

static void on_time(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)timer;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
    fail_msg("the loop does not end");
}

static int leaving = -1; /* a peer that closes when the agent stops */

static void on_stop(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)timer;
    (void)events;
    agent_stop(f.agent);
    if (leaving != -1)
        close(leaving);
    leaving = -1;
}

/* Stops the agent, and runs the loop until the agent ends it. Returns how long that took, in ms. */
static int64_t run_to_the_end(void)
{
    int64_t begin_ms = clock_ms();
    ev_timer timer;
    ev_timer stop;

    ev_timer_init(&stop, on_stop, 0.0, 0.0);
    ev_timer_start(f.loop, &stop);
    ev_timer_init(&timer, on_time, ANSWER_DEADLINE_MS / 1000.0, 0.0);
    ev_now_update(f.loop);
    ev_timer_start(f.loop, &timer);
    ev_run(f.loop, 0);
    ev_timer_stop(f.loop, &timer);
    return clock_ms() - begin_ms;
}

/* It ends when nobody is connected any more, and says what it has counted. */
static void an_end(void **state)
{
    (void)state;
    start("", "");
    leaving = connect_and_send(f.folder, "spop", "", 0);
    run_for(20);
    (void)run_to_the_end();
    assert_string_equal(log_capture_last("stopping"), "info stopping connections=1 drain-timeout-ms=5000");
    assert_int_equal(log_capture_count("drain-timeout"), 0);
    assert_int_equal(log_capture_count("stopped"), 0);
    agent_destroy(f.agent);
    f.agent = NULL;
    assert_non_null(strstr(log_capture_last("stopped"), " connections_total=1 "));
}

/* A peer that stays is left when the time is over. A second signal ends it at once. */
static void an_end_that_is_not_waited_for(void **state)
{
    (void)state;
    start("drain-timeout = 200ms", "");
    int fd = connect_and_send(f.folder, "spop", "", 0);
    run_for(20);
    assert_true(run_to_the_end() >= 190);
    assert_int_equal(connect_and_send(f.folder, "spop", "", 0), -1); /* nobody new is let in */
    assert_string_equal(log_capture_last("drain-timeout"), "warning drain-timeout connections=1");
    agent_destroy(f.agent);
    close(fd);
    log_capture_clear();
    start("drain-timeout = 60s", "");
    fd = connect_and_send(f.folder, "spop", "", 0);
    run_for(20);
    agent_stop(f.agent);
    agent_stop(f.agent);
    assert_int_equal(log_capture_count("stopping"), 1);
    close(fd);
}

/* An agent that was never told to stop has not stopped. Nothing of it is used again. */
static void one_that_is_destroyed(void **state)
{
    size_t before = count_descriptors();

    (void)state;
    start("", "");
    (void)wait_log("master-switch");
    agent_destroy(f.agent);
    f.agent = NULL;
    run_for(100);
    assert_int_equal(log_capture_count("stopped"), 0);
    assert_int_equal(count_descriptors(), before);
    agent_destroy(NULL);
}

/* The address is taken: it says so, and leaves nothing. */
static void one_that_cannot_listen(void **state)
{
    size_t before = count_descriptors();

    (void)state;
    start("", "");
    struct agent *first = f.agent;
    size_t with_one = count_descriptors();
    assert_null(agent_create(f.loop, make_config("", ""), &build, dup(STDIN_FILENO)));
    assert_int_equal(log_capture_count("cannot-listen"), 1);
    assert_int_equal(log_capture_count("started"), 1);
    assert_int_equal(count_descriptors(), with_one);
    assert_true(says("/status", "\"state\":"));
    agent_destroy(first);
    f.agent = NULL;
    run_for(50); /* the Sentinel closes, too */
    assert_int_equal(count_descriptors(), before);
}

/* A client that is there and one that wants our place, when we stop: it is not given. */
static void no_place_is_given_at_the_end(void **state)
{
    char line[96];

    (void)state;
    (void)snprintf(line, sizeof(line), "takeover = unix:%s/takeover", f.folder);
    start(line, "");
    int fd = connect_and_send(f.folder, "spop", "", 0);
    run_for(20);
    agent_stop(f.agent);
    int asking = connect_and_send(f.folder, "takeover", "", 0);
    assert_int_not_equal(asking, -1);
    run_for(20);
    assert_int_equal(recv(asking, (char[1]){0}, 1, MSG_DONTWAIT), 0);
    assert_int_equal(log_capture_count("takeover-refused"), 0);
    close(asking);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_the_service_manager_is_told),
        TEST(the_watchdog),
        TEST(few_descriptors),
        TEST(turns_are_measured),
        TEST(the_status),
        TEST(an_end),
        TEST(an_end_that_is_not_waited_for),
        TEST(one_that_is_destroyed),
        TEST(one_that_cannot_listen),
        TEST(no_place_is_given_at_the_end),
    };

    return cmocka_run_group_tests_name("agent_life", tests, NULL, NULL);
}
