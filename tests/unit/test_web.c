/* Answers over HTTP never rest on a decision that has run out, however late the timers are. */
#include "spoa/core/web.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define START 100000
#define LIFE 2000
#define IDENTITY "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct service_server server;
static struct service_settings settings;
static struct service *service;
static struct voter_group *group;
static struct metrics metrics;
static struct history history;

static int set_up(void **state)
{
    static const char *const names[] = {"s0"};

    (void)state;
    server.name = "R1";
    assert_true(addr_parse(span_of_text("10.0.0.1:6379"), &server.addr));
    settings = (struct service_settings){
        .name = "m",
        .monitor = "m",
        .servers = &server,
        .server_count = 1,
        .quorum = {.voters = 1, .threshold = 1, .reply_timeout_ms = 500, .vote_life_ms = LIFE},
    };
    service = service_create(&settings, START);
    const struct voter_group_options options = {.name = "",
                                                .voter_count = 1,
                                                .voter_names = names,
                                                .services = &service,
                                                .service_count = 1,
                                                .metrics = &metrics};
    group = voter_group_create(&options, START);
    assert_non_null(group);
    const struct service_ballot ballot = {.ballot = QUORUM_NAMES, .addr = &server.addr, .t_sent_ms = START};
    voter_group_identify(group, 0, span_of_text(IDENTITY), START);
    (void)voter_group_vote(group, 0, 0, &ballot, START);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    voter_group_destroy(group);
    service_destroy(service);
    return 0;
}

/* The code of a GET at that time. */
static unsigned get(const char *path, int64_t now_ms)
{
    const struct voter_group *const groups[] = {group};
    const struct status status = {.version = "",
                                  .revision = "",
                                  .metrics = &metrics,
                                  .history = &history,
                                  .groups = groups,
                                  .group_count = 1,
                                  .now_ms = now_ms};
    const struct web_request request = {.method = "GET", .path = path};
    struct web_answer answer;

    web_respond(&status, &request, &answer);
    page_finish(&answer.page);
    return answer.code;
}

static void test_a_decision_that_has_run_out(void **state)
{
    static const char *const paths[] = {"/master/m", "/master/m/R1", "/readyz"};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        assert_int_equal(get(paths[i], START + LIFE - 1), WEB_OK);
        assert_int_equal(get(paths[i], START + LIFE), WEB_UNAVAILABLE); /* nobody has reviewed it */
    }
    assert_int_equal(get("/healthz", START + LIFE), WEB_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_decision_that_has_run_out, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
