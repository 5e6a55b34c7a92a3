/* When HAProxy is called: a cutter that pauses calls nobody, whatever its services decide. */
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

/* One Sentinel, one server, one HAProxy. */
struct fixture {
    struct ev_loop *loop;
    int haproxy;
    struct sockaddr_un path;
    struct config_runtime_api api;
    struct service_server server;
    struct service_settings settings;
    struct service *service;
    struct session_cutter *cutter;
};

static void listen_as_haproxy(struct fixture *f)
{
    char text[sizeof(f->path.sun_path) + sizeof("unix:")];

    f->path.sun_family = AF_UNIX;
    (void)snprintf(f->path.sun_path, sizeof(f->path.sun_path), "/tmp/test-cutter-%d", (int)getpid());
    (void)unlink(f->path.sun_path);
    f->haproxy = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_return_code(bind(f->haproxy, (struct sockaddr *)&f->path, sizeof(f->path)), 0);
    assert_return_code(listen(f->haproxy, 1), 0);
    (void)snprintf(text, sizeof(text), "unix:%s", f->path.sun_path);
    assert_true(addr_parse(span_of_text(text), &f->api.addr));
}

static void begin(struct fixture *f)
{
    static char backend[] = "be";
    static char *list[] = {backend};
    const struct config_names backends = {.list = list, .count = 1};
    const struct config_haproxy haproxy = {.runtime_apis = &f->api, .runtime_api_count = 1};

    f->loop = ev_loop_new(EVFLAG_AUTO);
    assert_non_null(f->loop);
    listen_as_haproxy(f);
    f->server.name = "R1";
    assert_true(addr_parse(span_of_text("10.0.0.1:6379"), &f->server.addr));
    f->settings = (struct service_settings){
        .name = "m",
        .monitor = "m",
        .servers = &f->server,
        .server_count = 1,
        .quorum = {.identities = identities,
                   .voters = 1,
                   .threshold = 1,
                   .reply_timeout_ms = 500,
                   .vote_life_ms = 2000},
    };
    f->service = service_create(&f->settings, clock_ms());
    assert_non_null(f->service);
    f->cutter = session_cutter_create(f->loop, &haproxy, &metrics, &history);
    assert_non_null(f->cutter);
    assert_true(session_cutter_watch(f->cutter, f->service, &backends));
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

static void decide(const struct fixture *f)
{
    const struct service_event ballot = {.kind = SERVICE_SAID_MASTER,
                                         .ballot = QUORUM_NAMES,
                                         .addr = &f->server.addr,
                                         .t_sent_ms = clock_ms()};

    (void)step_as(f->service, 0, &ballot, clock_ms());
    assert_string_equal(service_decision(f->service)->server, "R1");
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
    decide(&f);
    assert_true(is_called(&f));
    end(&f);
}

static void test_not_in_a_pause(void **state)
{
    struct fixture f = {.loop = NULL};

    (void)state;
    begin(&f);
    session_cutter_pause(f.cutter);
    assert_false(is_called(&f));
    decide(&f);
    assert_false(is_called(&f));
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_decision_calls),
        cmocka_unit_test(test_not_in_a_pause),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
