/* What the log says of a service: every switch, every lasting change, and no passing suspicion. */
#include "spoa/core/observers/decision_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/events.h"
#include "tests/lib/log_capture.h"

enum { VOTERS = 3, F = 2000 };
#define START 100000

static const uint8_t identities[VOTERS] = {0, 1, 2};

struct fixture {
    struct metrics metrics;
    struct service_server server;
    struct service_settings settings;
    struct service *service;
    struct decision_log log;
};

static void begin(struct fixture *f)
{
    *f = (struct fixture){
        .server = {.name = "R1"},
        .settings = {.name = "mymaster",
                     .monitor = "mymaster",
                     .server_count = 1,
                     .quorum = {.identities = identities,
                                .voters = VOTERS,
                                .threshold = 2,
                                .reply_timeout_ms = 500,
                                .vote_life_ms = F,
                                .hold_ms = QUORUM_HOLD_MS,
                                .suspect_interval_ms = QUORUM_SUSPECT_INTERVAL_MS}},
    };
    assert_true(addr_parse(span_of_text("10.0.0.1:6379"), &f->server.addr));
    f->settings.servers = &f->server;
    f->service = service_create(&f->settings, START);
    assert_non_null(f->service);
    decision_log_watch(&f->log, &f->metrics, f->service);
    log_capture_begin(LOG_LEVEL_DEBUG);
}

/* Answers come 3 ms after they were asked for. */
static void vote(struct fixture *f, unsigned voter, const char *address, int64_t at_ms)
{
    struct addr addr;
    const struct service_event ballot = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_NAMES, .addr = &addr, .t_sent_ms = at_ms};

    assert_true(addr_parse(span_of_text(address), &addr));
    (void)step_as(f->service, voter, &ballot, at_ms + 3);
}

/* The first dissent makes all be asked again: what counts is the second round. */
static void agree(struct fixture *f, const char *address, int64_t at_ms)
{
    for (unsigned i = 0; i < 2 * VOTERS; i++)
        vote(f, i % VOTERS, address, i < VOTERS ? at_ms : at_ms + 3);
}

static void test_a_switch_is_one_line(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    agree(&f, "10.0.0.1:6379", START + 10);
    assert_int_equal(log_capture_count(NULL), 1);
    assert_string_equal(
        log_capture_last("master-switch"),
        "info master-switch service=mymaster old=none new=10.0.0.1:6379 old-server=none new-server=R1 "
        "votes=2 quorum=2 age-ms=3 generation=1 outage-ms=0 waited=0 refused=0");
    assert_int_equal(f.metrics.switches_total, 1);
    service_destroy(f.service);
}

static void test_loss_and_return_are_told_and_suspicions_are_not(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    agree(&f, "10.0.0.1:6379", START + 10);
    log_capture_clear();
    vote(&f, 0, "10.0.0.9:6379", START + 100); /* pending */
    assert_int_equal(log_capture_count(NULL), 0);
    vote(&f, 1, "10.0.0.1:6379", START + 110);
    vote(&f, 2, "10.0.0.1:6379", START + 110); /* ok, as before */
    assert_int_equal(log_capture_count(NULL), 0);
    service_review(f.service, START + 110 + F);
    assert_string_equal(log_capture_last("quorum-lost"),
                        "warning quorum-lost service=mymaster reason=unreachable old=ok quorum=2 voters=3");
    vote(&f, 1, "10.0.0.1:6379", START + 5000);
    vote(&f, 2, "10.0.0.1:6379", START + 5000);
    assert_string_equal(
        log_capture_last("state-change"),
        "info state-change service=mymaster old=no-quorum new=ok reason= node=10.0.0.1:6379 votes=2");
    assert_string_equal(log_capture_last("outage-over"),
                        "info outage-over service=mymaster state=no-quorum reason=unreachable old-server=R1 "
                        "new-server=R1 outage-ms=2893 waited=0 longest-wait-ms=0 refused=0");
    assert_int_equal(log_capture_count(NULL), 3);
    assert_int_equal(f.metrics.switches_total, 1);
    service_destroy(f.service);
}

static void test_an_address_outside_the_map_is_told(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    agree(&f, "10.0.0.9:6379", START + 10);
    assert_string_equal(log_capture_last("address-not-in-map"),
                        "warning address-not-in-map service=mymaster address=10.0.0.9:6379 votes=2");
    assert_int_equal(log_capture_count("address-not-in-map"), 1);
    agree(&f, "10.0.0.8:6379", START + 300);
    assert_string_equal(log_capture_last("address-not-in-map"),
                        "warning address-not-in-map service=mymaster address=10.0.0.8:6379 votes=2");
    assert_int_equal(log_capture_count("address-not-in-map"), 2);
    assert_int_equal(f.metrics.switches_total, 0);
    service_destroy(f.service);
}

static void link_fails(struct fixture *f, enum service_event_kind kind, int64_t at_ms)
{
    const struct service_event event = {.kind = kind, .addr = &f->server.addr};

    (void)service_step(f->service, &event, at_ms);
}

static void test_a_doubt_is_told_with_its_cause(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    f.settings.park_ms = 2 * F;
    agree(&f, "10.0.0.1:6379", START + 10);
    link_fails(&f, SERVICE_LINK_SILENT, START + 100);
    assert_string_equal(log_capture_last("master-doubted"),
                        "info master-doubted service=mymaster state=ok reason=silent");
    link_fails(&f, SERVICE_SAID_ANYTHING, START + 200);
    assert_string_equal(log_capture_last("master-trusted"), "info master-trusted service=mymaster state=ok");
    link_fails(&f, SERVICE_LINK_CLOSED, START + 300);
    assert_string_equal(log_capture_last("master-doubted"),
                        "info master-doubted service=mymaster state=ok reason=closed");
    /* It is over because nobody is named any more: that is told. */
    service_review(f.service, START + 13 + F);
    assert_int_equal(log_capture_count("master-trusted"), 1);
    assert_int_equal(log_capture_count("master-doubted"), 2);
    service_destroy(f.service);
}

/* What `auto` comes to is told once; a time that stands in the file is not. */
static void test_the_park_that_is_in_effect_is_told(void **state)
{
    const struct sentinel_facts facts = {.down_after_ms = 2500, .quorum = 2};
    struct fixture f;

    (void)state;
    begin(&f);
    agree(&f, "10.0.0.1:6379", START + 10);
    step_facts(f.service, 0, &f.server.addr, &facts, START + 20);
    assert_int_equal(log_capture_count("park"), 0);
    f.settings.park_ms = PARK_AUTO;
    step_facts(f.service, 0, &f.server.addr, &facts, START + 30);
    step_facts(f.service, 0, &f.server.addr, &facts, START + 40);
    assert_string_equal(log_capture_last("park"), "info park service=mymaster park-ms=4500");
    assert_int_equal(log_capture_count("park"), 1);
    service_destroy(f.service);
}

/* What clients felt: in the line of the switch, and in one of its own, which is a warning if somebody was refused. */
static void test_what_clients_felt_is_told(void **state)
{
    struct fixture f;
    const struct service_waiting waiting = {.count = 2, .oldest_ms = START + F + 100};

    (void)state;
    begin(&f);
    agree(&f, "10.0.0.1:6379", START + 10);
    service_review(f.service, START + F + 20);
    service_note_waiting(f.service, SERVICE_ROLE_MASTER, &waiting);
    service_note_refusal(f.service);
    agree(&f, "10.0.0.1:6379", START + F + 120);
    assert_string_equal(
        log_capture_last("outage-over"),
        "warning outage-over service=mymaster state=no-quorum reason=unreachable old-server=R1 "
        "new-server=R1 outage-ms=103 waited=2 longest-wait-ms=23 refused=1");
    assert_int_equal(log_capture_count("outage-over"), 1);
    service_destroy(f.service);
}

/* Why sessions are cut is told once, and in which state that ends. */
static void test_a_fence_is_told(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    f.settings.policy.fence_ms = 1000;
    agree(&f, "10.0.0.1:6379", START + 10);
    service_review(f.service, START + 13 + F);
    assert_int_equal(log_capture_count("fenced"), 0);
    service_review(f.service, START + 1013 + F);
    service_review(f.service, START + 1014 + F);
    assert_string_equal(log_capture_last("fenced"), "warning fenced service=mymaster reason=unreachable");
    assert_int_equal(log_capture_count("fenced"), 1);
    assert_int_equal(log_capture_count("fence-ended"), 0);
    agree(&f, "10.0.0.1:6379", START + 5000);
    assert_string_equal(log_capture_last("fence-ended"), "info fence-ended service=mymaster state=ok");
    assert_int_equal(log_capture_count("fence-ended"), 1);
    service_destroy(f.service);
}

/* A master that is named and is none, or is down, is a veto. So it is once, and not where nobody was named. */
static void test_a_veto_is_counted(void **state)
{
    const struct sentinel_facts down = {.is_o_down = true, .quorum = 2};
    struct fixture f;

    (void)state;
    begin(&f);
    f.settings.policy.role_check = ROLE_CHECK_VETO;
    agree(&f, "10.0.0.1:6379", START + 10);
    step_role(f.service, &f.server.addr, NODE_ROLE_REPLICA, START + 20);
    assert_string_equal(log_capture_last("state-change"),
                        "warning state-change service=mymaster old=ok new=not-master reason=replica "
                        "node=10.0.0.1:6379 votes=3");
    assert_int_equal(f.metrics.vetoes_total, 1);
    step_facts(f.service, 0, &f.server.addr, &down, START + 30);
    step_facts(f.service, 1, &f.server.addr, &down, START + 30);
    assert_int_equal(service_decision(f.service)->state, SERVICE_DOWN);
    assert_int_equal(f.metrics.vetoes_total, 1);
    step_role(f.service, &f.server.addr, NODE_ROLE_MASTER, START + 40);
    f.settings.quorum.vote_life_ms = F / 2; /* what was said is forgotten before the votes are */
    service_review(f.service, START + 5000);
    agree(&f, "10.0.0.1:6379", START + 5000);
    assert_int_equal(service_decision(f.service)->state, SERVICE_OK);
    step_facts(f.service, 0, &f.server.addr, &down, START + 5010);
    step_facts(f.service, 1, &f.server.addr, &down, START + 5010);
    assert_int_equal(f.metrics.vetoes_total, 2);
    service_destroy(f.service);
}

#define LONG_NAME 300 /* two of them have no room in a line */

/* Whom clients may read from, by name. What has no room is left out. */
static void test_replicas_are_told(void **state)
{
    static char names[3][LONG_NAME + 1];
    struct service_server servers[4] = {{.name = "R1", .weight = 1}};
    char expected[600];
    struct fixture f;

    (void)state;
    begin(&f);
    service_destroy(f.service);
    for (size_t i = 0; i < 3; i++) {
        memset(names[i], 'a' + (int)i, LONG_NAME);
        servers[i + 1] = (struct service_server){.name = i == 0 ? "R2" : names[i], .weight = 1};
    }
    for (size_t i = 0; i < 4; i++) {
        char text[ADDR_TEXT_MAX];
        (void)snprintf(text, sizeof(text), "10.0.0.%zu:6379", i + 1);
        assert_true(addr_parse(span_of_text(text), &servers[i].addr));
    }
    f.settings.servers = servers;
    f.settings.server_count = 4;
    f.settings.replicas.is_enabled = true;
    f.service = service_create(&f.settings, START);
    assert_non_null(f.service);
    decision_log_watch(&f.log, &f.metrics, f.service);
    agree(&f, "10.0.0.1:6379", START + 10);
    for (unsigned i = 0; i < 2; i++) {
        const struct service_event up = {
            .kind = SERVICE_SAID_REPLICAS, .addr = &servers[0].addr, .servers = 2, .t_sent_ms = START + 20};
        (void)step_as(f.service, i, &up, START + 20);
    }
    assert_string_equal(log_capture_last("replicas"), "info replicas service=mymaster up=R2");
    for (unsigned i = 0; i < 2; i++) {
        const struct service_event up = {
            .kind = SERVICE_SAID_REPLICAS, .addr = &servers[0].addr, .servers = 14, .t_sent_ms = START + 30};
        (void)step_as(f.service, i, &up, START + 30);
    }
    (void)snprintf(expected, sizeof(expected), "info replicas service=mymaster up=R2 %s %.207s", names[1],
                   names[2]);
    assert_string_equal(log_capture_last("replicas"), expected);
    service_destroy(f.service);
}

/* A reload goes on where the log is. */
static void test_a_reload_tells_nothing_anew(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    f.settings.policy.fence_ms = 1000;
    agree(&f, "10.0.0.9:6379", START + 10);
    struct decision_log former = f.log;
    decision_log_watch(&f.log, &f.metrics, f.service);
    decision_log_inherit(&f.log, &former);
    assert_int_equal(f.log.told_state, SERVICE_UNKNOWN_ADDRESS);
    assert_int_equal(f.log.told_reason, SERVICE_BECAUSE_NONE);
    assert_true(addr_equals(&f.log.told_addr, &former.told_addr));
    former.told_fenced = true;
    former.told_reason = SERVICE_BECAUSE_SILENT;
    former.told_park_ms = 4500;
    decision_log_inherit(&f.log, &former);
    assert_true(f.log.told_fenced);
    assert_int_equal(f.log.told_reason, SERVICE_BECAUSE_SILENT);
    assert_int_equal(f.log.told_park_ms, 4500);
    service_destroy(f.service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_switch_is_one_line),
        cmocka_unit_test(test_loss_and_return_are_told_and_suspicions_are_not),
        cmocka_unit_test(test_an_address_outside_the_map_is_told),
        cmocka_unit_test(test_a_doubt_is_told_with_its_cause),
        cmocka_unit_test(test_the_park_that_is_in_effect_is_told),
        cmocka_unit_test(test_what_clients_felt_is_told),
        cmocka_unit_test(test_a_fence_is_told),
        cmocka_unit_test(test_a_veto_is_counted),
        cmocka_unit_test(test_replicas_are_told),
        cmocka_unit_test(test_a_reload_tells_nothing_anew),
    };

    return cmocka_run_group_tests_name("decision_log", tests, NULL, NULL);
}
