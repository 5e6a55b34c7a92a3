/* The last switches: when each was suspected, named, cut and told for the first time. */
#include "spoa/core/haproxy/answer.h"
#include "spoa/core/observers/history.h"
#include "tests/lib/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define START 100000

static const uint8_t identities[1] = {0};

static struct service_server servers[2];
static struct service_settings settings;
static struct service *service;
static struct history history;
static struct history_watch watch;
static struct answer answer;

static int set_up(void **state)
{
    (void)state;
    servers[0].name = "R1";
    servers[1].name = "R2";
    assert_true(addr_parse(span_of_text("10.0.0.1:6379"), &servers[0].addr));
    assert_true(addr_parse(span_of_text("10.0.0.2:6379"), &servers[1].addr));
    settings = (struct service_settings){
        .name = "m",
        .monitor = "m",
        .servers = servers,
        .server_count = 2,
        .quorum = {.identities = identities,
                   .voters = 1,
                   .threshold = 1,
                   .reply_timeout_ms = 500,
                   .vote_life_ms = 2000},
    };
    service = service_create(&settings, START);
    assert_non_null(service);
    history = (struct history){.count = 0};
    history_watch_service(&watch, &history, service);
    assert_true(answer_init(&answer, service));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    service_destroy(service);
    return 0;
}

static void name(size_t server, int64_t now_ms)
{
    const struct service_event ballot = {.kind = SERVICE_SAID_MASTER,
                                         .ballot = QUORUM_NAMES,
                                         .addr = &servers[server].addr,
                                         .t_sent_ms = now_ms};

    (void)step_as(service, 0, &ballot, now_ms);
}

static void tell(int64_t now_ms)
{
    answer_note(&answer, SERVICE_ROLE_MASTER, true, now_ms);
}

static void test_the_first_master(void **state)
{
    (void)state;
    assert_null(history_get(&history, 0));
    name(0, START);
    const struct history_switch *first = history_get(&history, 0);
    assert_string_equal(first->service, "m");
    assert_string_equal(first->old_server, "");
    assert_string_equal(first->new_server, "R1");
    assert_string_equal(first->new_addr, "10.0.0.1:6379");
    assert_int_equal(first->t_suspected_ms, START); /* starting is no suspicion */
    assert_int_equal(first->t_named_ms, START);
    assert_true(first->t_first_ms == HISTORY_NEVER);
    assert_null(history_get(&history, 1));
}

static void test_a_switch_in_steps(void **state)
{
    (void)state;
    name(0, START);
    tell(START + 5);
    tell(START + 6);
    assert_int_equal(history_get(&history, 0)->t_first_ms, START + 5);
    service_review(service, START + 2000); /* nobody is heard any more */
    name(1, START + 3000);
    history_note_cut(&history, "m", "R2", START + 3001); /* not the one that was replaced */
    history_note_cut(&history, "other", "R1", START + 3001);
    assert_true(history_get(&history, 0)->t_cut_ms == HISTORY_NEVER);
    history_note_cut(&history, "m", "R1", START + 3002);
    history_note_cut(&history, "m", "R1", START + 3100); /* told again by the next HAProxy */
    tell(START + 3004);
    const struct history_switch *last = history_get(&history, 0);
    assert_string_equal(last->old_server, "R1");
    assert_string_equal(last->old_addr, "10.0.0.1:6379");
    assert_string_equal(last->new_server, "R2");
    assert_int_equal(last->generation, 2);
    assert_int_equal(last->t_suspected_ms, START + 2000);
    assert_int_equal(last->t_named_ms, START + 3000);
    assert_int_equal(last->t_cut_ms, START + 3002);
    assert_int_equal(last->t_first_ms, START + 3004);
    assert_string_equal(history_get(&history, 1)->new_server, "R1");
}

static void test_only_the_last_are_kept(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * HISTORY_LENGTH; i++)
        name((size_t)i % 2, START + i);
    assert_int_equal(history_get(&history, 0)->generation, 2 * HISTORY_LENGTH);
    assert_int_equal(history_get(&history, HISTORY_LENGTH - 1)->generation, HISTORY_LENGTH + 1);
    assert_null(history_get(&history, HISTORY_LENGTH));
}

/* An outage is kept although no switch came of it. */
static void test_an_outage_without_a_switch(void **state)
{
    const struct service_waiting waiting = {.count = 1, .oldest_ms = START + 2500};

    (void)state;
    name(0, START);
    assert_null(history_get_outage(&history, 0));
    service_review(service, START + 2000);
    assert_null(history_get_outage(&history, 0)); /* it goes on */
    service_note_waiting(service, SERVICE_ROLE_MASTER, &waiting);
    answer_note(&answer, SERVICE_ROLE_MASTER, false, START + 2600);
    name(0, START + 3000);
    const struct history_outage *last = history_get_outage(&history, 0);
    assert_string_equal(last->service, "m");
    assert_int_equal(last->state, SERVICE_NO_QUORUM);
    assert_string_equal(last->reason, "unreachable");
    assert_string_equal(last->old_server, "R1");
    assert_string_equal(last->old_addr, "10.0.0.1:6379");
    assert_string_equal(last->new_server, "R1");
    assert_string_equal(last->new_addr, "10.0.0.1:6379");
    assert_int_equal(last->t_begun_ms, START + 2000);
    assert_int_equal(last->t_down_ms, HISTORY_NEVER);
    assert_int_equal(last->t_ended_ms, START + 3000);
    assert_int_equal(last->waited, 1);
    assert_int_equal(last->refused, 1);
    assert_int_equal(last->longest_wait_ms, 500);
    assert_int_equal(history_get(&history, 0)->generation, 1);
}

static void test_only_the_last_outages_are_kept(void **state)
{
    (void)state;
    for (int i = 0; i <= 2 * HISTORY_LENGTH; i++) {
        name((size_t)i % 2, START + 3000 * i);
        service_review(service, START + 3000 * i + 2000);
    }
    assert_int_equal(history_get_outage(&history, 0)->t_begun_ms,
                     START + 3000 * (2 * HISTORY_LENGTH - 1) + 2000);
    assert_non_null(history_get_outage(&history, HISTORY_LENGTH - 1));
    assert_null(history_get_outage(&history, HISTORY_LENGTH));
}

/* What the agent does several times a second. */
static void tick(int64_t now_ms)
{
    struct history_felt felt = {.is_any = false};

    if (history_wants_outages(&history))
        history_felt_add(&felt, service_outage(service));
    history_tick(&history, &felt, now_ms);
}

static void assert_newest_quarters(const char *letters, int64_t now_ms)
{
    char text[QUARTERS + 1];

    (void)quarters_format(&history.quarters, now_ms, text);
    assert_string_equal(text + QUARTERS - strlen(letters), letters);
}

/* An outage over several quarters: nobody is named, then one client is refused, then it ends. */
static void test_a_long_outage_in_quarters(void **state)
{
    int64_t now_ms = 1000 * QUARTER_MS;

    (void)state;
    name(0, now_ms);
    tick(now_ms);
    assert_false(history_wants_outages(&history));
    service_review(service, now_ms + 2000);
    assert_true(history_wants_outages(&history));
    tick(now_ms + 2000);
    assert_newest_quarters("nw", now_ms);
    tick(now_ms += QUARTER_MS);
    answer_note(&answer, SERVICE_ROLE_MASTER, false, now_ms + 1);
    tick(now_ms + 1);
    tick(now_ms += QUARTER_MS); /* nobody came in this one */
    assert_newest_quarters("nwbw", now_ms);
    name(0, now_ms + 1);
    tick(now_ms + 1);
    assert_false(history_wants_outages(&history));
    tick(now_ms += QUARTER_MS);
    assert_newest_quarters("nwbwg", now_ms);
}

/* It began and ended between two ticks. What clients felt stays. */
static void test_a_short_outage_in_quarters(void **state)
{
    int64_t now_ms = 1000 * QUARTER_MS;

    (void)state;
    name(0, now_ms);
    service_review(service, now_ms + 2000);
    name(0, now_ms + 2001);
    tick(now_ms + 2002);
    assert_newest_quarters("nw", now_ms);
    now_ms += QUARTER_MS;
    name(0, now_ms);
    service_review(service, now_ms + 2000);
    answer_note(&answer, SERVICE_ROLE_MASTER, false, now_ms + 2000);
    name(0, now_ms + 2001);
    tick(now_ms + 2002);
    assert_newest_quarters("nwb", now_ms);
    tick(now_ms += QUARTER_MS);
    assert_newest_quarters("nwbg", now_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_first_master, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_switch_in_steps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_only_the_last_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_outage_without_a_switch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_only_the_last_outages_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_long_outage_in_quarters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_short_outage_in_quarters, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
