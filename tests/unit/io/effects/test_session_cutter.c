/* When HAProxy is called, also while services move from one configuration to the next. */
#include "spoa/io/effects/session_cutter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "spoa/core/base/metrics.h"
#include "spoa/core/config/config.h"
#include "spoa/core/observers/history.h"
#include "spoa/io/net/loop.h"
#include "tests/lib/events.h"

/* Longer than a cutter waits after a change. */
#define WAIT_S 0.05

static const uint8_t identities[1] = {0};
static struct metrics metrics;
static struct history history;

/* One Sentinel, two servers, one HAProxy. */
struct fixture {
    struct ev_loop *loop;
    int haproxy;
    struct sockaddr_un path;
    struct config_runtime_api api;
    struct service_server servers[2];
    struct service_settings settings;
    struct service *service;
    struct session_cutter *cutter;
};

static void listen_as_haproxy(struct fixture *f, size_t number)
{
    char text[sizeof(f->path.sun_path) + sizeof("unix:")];

    f->path.sun_family = AF_UNIX;
    (void)snprintf(f->path.sun_path, sizeof(f->path.sun_path), "/tmp/test-cutter-%d-%zu", (int)getpid(),
                   number);
    (void)unlink(f->path.sun_path);
    f->haproxy = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_return_code(bind(f->haproxy, (struct sockaddr *)&f->path, sizeof(f->path)), 0);
    assert_return_code(listen(f->haproxy, 1), 0);
    (void)snprintf(text, sizeof(text), "unix:%s", f->path.sun_path);
    assert_true(addr_parse(span_of_text(text), &f->api.addr));
}

static struct session_cutter *create_cutter(struct fixture *f, struct service *service)
{
    static char backend[] = "be";
    static char *list[] = {backend};
    const struct config_names backends = {.list = list, .count = 1};
    const struct config_haproxy haproxy = {.runtime_apis = &f->api, .runtime_api_count = 1};
    struct session_cutter *cutter = session_cutter_create(f->loop, &haproxy, &metrics, &history);

    assert_non_null(cutter);
    assert_true(session_cutter_watch(cutter, service, &backends));
    return cutter;
}

static void begin(struct fixture *f)
{
    f->loop = ev_loop_new(EVFLAG_AUTO);
    assert_non_null(f->loop);
    listen_as_haproxy(f, 0);
    f->servers[0].name = "R1";
    f->servers[1].name = "R2";
    assert_true(addr_parse(span_of_text("10.0.0.1:6379"), &f->servers[0].addr));
    assert_true(addr_parse(span_of_text("10.0.0.2:6379"), &f->servers[1].addr));
    f->settings = (struct service_settings){
        .name = "m",
        .monitor = "m",
        .servers = f->servers,
        .server_count = 2,
        .quorum = {.identities = identities,
                   .voters = 1,
                   .threshold = 1,
                   .reply_timeout_ms = 500,
                   .vote_life_ms = 2000},
    };
    f->service = service_create(&f->settings, clock_ms());
    assert_non_null(f->service);
    f->cutter = create_cutter(f, f->service);
    session_cutter_begin(f->cutter, NULL);
}

static void end(struct fixture *f)
{
    service_destroy(f->service);
    session_cutter_destroy(f->cutter);
    (void)close(f->haproxy);
    (void)unlink(f->path.sun_path);
    ev_loop_destroy(f->loop);
}

/* One of the servers is the master. */
static void decide(const struct fixture *f, size_t server)
{
    const struct service_event ballot = {.kind = SERVICE_SAID_MASTER,
                                         .ballot = QUORUM_NAMES,
                                         .addr = &f->servers[server].addr,
                                         .t_sent_ms = clock_ms()};

    (void)step_as(f->service, 0, &ballot, clock_ms());
    assert_string_equal(service_decision(f->service)->server, f->servers[server].name);
}

static void on_time(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)timer;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

/* Whether HAProxy is called soon. */
static bool is_called(const struct fixture *f)
{
    ev_timer timer;

    ev_timer_init(&timer, on_time, WAIT_S, 0.0);
    ev_now_update(f->loop);
    ev_timer_start(f->loop, &timer);
    ev_run(f->loop, 0);
    int fd = accept(f->haproxy, NULL, NULL);
    if (fd != -1)
        (void)close(fd);
    return fd != -1;
}

static void test_a_decision_calls(void **state)
{
    struct fixture f = {.loop = NULL};

    (void)state;
    begin(&f);
    decide(&f, 0);
    assert_true(is_called(&f));
    end(&f);
}

/* Services move to a next configuration. Until all have, the former cutter calls, whichever of the two decides. */
static void test_a_decision_of_a_service_that_has_moved_calls(void **state)
{
    struct fixture f = {.loop = NULL};

    (void)state;
    begin(&f);
    struct service *moved = service_create(&f.settings, clock_ms());
    struct session_cutter *next = create_cutter(&f, moved);
    assert_non_null(moved);
    assert_true(is_called(&f)); /* the trial at the start */
    assert_false(is_called(&f));
    session_cutter_follow(next, f.cutter);
    service_destroy(f.service);
    f.service = moved;
    decide(&f, 0);
    assert_true(is_called(&f));
    session_cutter_destroy(next);
    end(&f);
}

static struct fixture *flooded;

/* Another decision in each turn of the loop. */
static void on_flood(struct ev_loop *loop, ev_io *io, int events)
{
    static unsigned turns;
    const struct service_event ballot = {.kind = SERVICE_SAID_MASTER,
                                         .ballot = QUORUM_NAMES,
                                         .addr = &flooded->servers[turns++ % 2].addr,
                                         .t_sent_ms = clock_ms()};

    (void)loop;
    (void)io;
    (void)events;
    (void)step_as(flooded->service, 0, &ballot, clock_ms());
}

/* Decisions change all the time. HAProxy is called in the midst of it, not after it. */
static void test_a_flood_of_decisions_calls(void **state)
{
    struct fixture f = {.loop = NULL};
    int ends[2];
    ev_io flood;

    (void)state;
    begin(&f);
    assert_true(is_called(&f)); /* the trial at the start */
    flooded = &f;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    ev_io_init(&flood, on_flood, ends[0], EV_READ);
    loop_put_first(&flood);
    ev_io_start(f.loop, &flood);
    assert_true(is_called(&f));
    ev_io_stop(f.loop, &flood);
    (void)close(ends[0]);
    (void)close(ends[1]);
    end(&f);
}

/* The next configuration has no HAProxy to call. */
static void test_the_next_one_calls_nobody(void **state)
{
    struct fixture f = {.loop = NULL};

    (void)state;
    begin(&f);
    session_cutter_follow(NULL, f.cutter);
    assert_false(is_called(&f));
    decide(&f, 0);
    assert_false(is_called(&f));
    session_cutter_follow(NULL, f.cutter);
    session_cutter_begin(NULL, f.cutter);
    end(&f);
}

/* Waits until HAProxy is called. Nothing was said to it yet, unless it was before the connection was there. */
static int accept_call(const struct fixture *f)
{
    int fd;

    while ((fd = accept(f->haproxy, NULL, NULL)) == -1)
        ev_run(f->loop, EVRUN_ONCE);
    return fd;
}

/* What is said until the end of a line, or the end of the call. */
static const char *hear(const struct fixture *f, int fd)
{
    static char said[256];
    size_t len = 0;

    while (len == 0 || said[len - 1] != '\n') {
        ssize_t got = recv(fd, said + len, sizeof(said) - 1 - len, MSG_DONTWAIT);
        if (got == 0)
            break;
        if (got > 0)
            len += (size_t)got;
        else
            ev_run(f->loop, EVRUN_ONCE);
    }
    said[len] = '\0';
    return said;
}

/* A server becomes the master again when HAProxy is called already: what is said then is chosen then. */
static void test_the_master_is_spared_at_the_last_moment(void **state)
{
    static const char info[] = "Name: HAProxy\nVersion: 2.6.12\n\n";
    struct fixture f = {.loop = NULL};

    (void)state;
    begin(&f);
    assert_true(is_called(&f)); /* the trial at the start */
    decide(&f, 0);
    int fd = accept_call(&f);
    assert_string_equal(hear(&f, fd), "show info\n");
    assert_int_equal(send(fd, info, strlen(info), 0), strlen(info));
    (void)close(fd);
    fd = accept_call(&f);
    decide(&f, 1);
    assert_string_equal(hear(&f, fd), "");
    (void)close(fd);
    end(&f);
}

/* A reload while HAProxy is told to cut: the cut goes on, of the next configuration. */
static void test_a_reload_during_a_cut(void **state)
{
    static const char info[] = "Name: HAProxy\nVersion: 2.6.12\n\n";
    struct fixture f = {.loop = NULL};
    size_t count;

    (void)state;
    begin(&f);
    assert_true(is_called(&f)); /* the trial at the start */
    decide(&f, 0);
    int fd = accept_call(&f);
    assert_string_equal(hear(&f, fd), "show info\n");
    struct service *moved = service_create(&f.settings, clock_ms());
    struct session_cutter *next = create_cutter(&f, moved);
    session_cutter_follow(next, f.cutter);
    assert_true(session_cutter_inherit(next, f.cutter));
    session_cutter_begin(next, f.cutter);
    session_cutter_destroy(f.cutter);
    service_destroy(f.service);
    f.cutter = next;
    f.service = moved;
    assert_int_equal(session_cutter_health(next, &count)->owed, 1);
    assert_int_equal(send(fd, info, strlen(info), 0), strlen(info));
    (void)close(fd);
    fd = accept_call(&f);
    assert_string_equal(hear(&f, fd), "shutdown sessions server be/R2\n");
    (void)close(fd);
    end(&f);
}

/* Whether this HAProxy was tried. It has closed without an answer. */
static bool was_tried(const struct session_cutter *cutter, size_t index)
{
    size_t count;
    const struct runtime_health *health = &session_cutter_health(cutter, &count)[index];

    assert_string_equal(health->trial, health->is_tried ? "closed before all was answered" : "");
    return health->is_tried;
}

/* A HAProxy, and the master of another one, through a reload: each is asked in its own words. The ends of calls are told. */
static void test_each_haproxy_is_asked_in_its_words(void **state)
{
    static const char *const lines[2] = {"show info\n", "show proc;quit\n"};
    struct fixture of[2] = {{.loop = NULL}, {.loop = NULL}};
    struct config_runtime_api apis[2];
    struct session_cutter *cutters[2];
    size_t count;

    (void)state;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    for (size_t i = 0; i < 2; i++) {
        of[i].loop = loop;
        listen_as_haproxy(&of[i], i);
        apis[i] = (struct config_runtime_api){.addr = of[i].api.addr, .is_master = i == 1};
    }
    const struct config_haproxy haproxy = {.runtime_apis = apis, .runtime_api_count = 2};
    for (size_t i = 0; i < 2; i++)
        cutters[i] = session_cutter_create(loop, &haproxy, &metrics, &history);
    session_cutter_begin(cutters[0], NULL);
    for (size_t i = 0; i < 2; i++) {
        int fd = accept_call(&of[i]);
        assert_string_equal(hear(&of[i], fd), lines[i]);
        (void)close(fd);
    }
    while (!was_tried(cutters[0], 0) || !was_tried(cutters[0], 1))
        ev_run(loop, EVRUN_ONCE);
    session_cutter_begin(cutters[1], cutters[0]);
    for (size_t i = 0; i < 2; i++) {
        int fd = accept_call(&of[i]);
        assert_string_equal(hear(&of[i], fd), lines[i]);
        (void)close(fd);
    }
    assert_ptr_equal(session_cutter_health(NULL, &count), NULL);
    assert_int_equal(count, 0);
    assert_non_null(session_cutter_health(cutters[1], &count));
    assert_int_equal(count, 2);
    for (size_t i = 0; i < 2; i++) {
        session_cutter_destroy(cutters[i]);
        (void)close(of[i].haproxy);
        (void)unlink(of[i].path.sun_path);
    }
    ev_loop_destroy(loop);
}

/* Without a HAProxy there is nothing to cut. */
static void test_no_haproxy(void **state)
{
    const struct config_haproxy haproxy = {.runtime_api_count = 0};

    (void)state;
    assert_null(session_cutter_create(NULL, &haproxy, &metrics, &history));
    session_cutter_destroy(NULL);
    session_cutter_follow(NULL, NULL);
    session_cutter_begin(NULL, NULL);
    assert_true(session_cutter_inherit(NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_decision_calls),
        cmocka_unit_test(test_a_decision_of_a_service_that_has_moved_calls),
        cmocka_unit_test(test_a_flood_of_decisions_calls),
        cmocka_unit_test(test_the_next_one_calls_nobody),
        cmocka_unit_test(test_the_master_is_spared_at_the_last_moment),
        cmocka_unit_test(test_each_haproxy_is_asked_in_its_words),
        cmocka_unit_test(test_a_reload_during_a_cut),
        cmocka_unit_test(test_no_haproxy),
    };

    (void)alarm(60); /* s; a test that waits for what never happens */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
