/* The sentence over everything, its tone, and one entry for one alarm of many. */
#include "spoa/core/status/summary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "spoa/core/base/text.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/haproxy/runtime_health.h"
#include "spoa/core/status/status.h"
#include "spoa/core/voters/voter_group.h"

#define START 100000
#define SERVICES 5

static struct service_server servers[1];
static struct service_settings settings[SERVICES];
static uint8_t identities[3];
static struct service *services[SERVICES];
static struct voter_group *group;
static struct metrics metrics;
static struct unknown_service unknown;
static struct runtime_health api;
static struct status status;
static struct text out;

static int set_up(void **state)
{
    static const char *const names[SERVICES] = {"a", "b", "c", "d", "e"};
    static const char *const voters[] = {"s0", "s1", "s2"};

    (void)state;
    servers[0].name = "R1";
    assert_true(addr_parse(span_of_text("10.0.0.1:6379"), &servers[0].addr));
    for (size_t i = 0; i < SERVICES; i++) {
        settings[i] = (struct service_settings){.name = names[i],
                                                .monitor = names[i],
                                                .servers = servers,
                                                .server_count = 1,
                                                .park_ms = 3000,
                                                .quorum = {.identities = identities,
                                                           .voters = 3,
                                                           .threshold = 2,
                                                           .reply_timeout_ms = 500,
                                                           .vote_life_ms = 2000,
                                                           .hold_ms = QUORUM_HOLD_MS}};
        services[i] = service_create(&settings[i], START);
    }
    const struct voter_group_options options = {.name = "e",
                                                .voter_count = 3,
                                                .voter_names = voters,
                                                .services = services,
                                                .service_count = SERVICES,
                                                .identities = identities,
                                                .metrics = &metrics};
    group = voter_group_create(&options, START);
    assert_non_null(group);
    unknown = (struct unknown_service){.detail = ""};
    runtime_health_init(&api, &servers[0].addr, false);
    status = (struct status){.unknown = &unknown,
                             .apis = &api,
                             .api_count = 1,
                             .is_reload_good = true,
                             .now_ms = START,
                             .now_unix_ms = START};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    voter_group_destroy(group);
    for (size_t i = 0; i < SERVICES; i++)
        service_destroy(services[i]);
    text_finish(&out);
    return 0;
}

/* The services from `first` on, `end` not among them, have a master. */
static void name_some(size_t first, size_t end)
{
    static const char *const ids[] = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                      "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
                                      "cccccccccccccccccccccccccccccccccccccccc"};

    for (unsigned voter = 0; voter < 3; voter++) {
        const struct service_event event = {.kind = SERVICE_SAID_MASTER,
                                            .voter = voter,
                                            .ballot = QUORUM_NAMES,
                                            .addr = &servers[0].addr,
                                            .t_sent_ms = START};
        voter_group_identify(group, voter, span_of_text(ids[voter]), START);
        for (size_t i = first; i < end; i++)
            (void)voter_group_step(group, i, &event, START);
    }
}

static void name(size_t count)
{
    name_some(0, count);
}

/* Of the first `count` services, and all else. */
static struct summary sum_up(size_t count)
{
    struct summary summary = {.services = 0};

    for (size_t i = 0; i < count; i++)
        summary_add_service(&summary, group, services[i], START);
    summary_add_group(&summary, group);
    summary_add_agent(&summary, &status);
    return summary;
}

static void expect(size_t count, enum tone tone, const char *service, const char *headline)
{
    struct summary summary = sum_up(count);

    text_clear(&out);
    summary_add_headline(&out, &summary, &status);
    assert_string_equal(out.data, headline);
    assert_string_equal(summary_service(&summary), service);
    assert_int_equal(summary.tone, tone);
}

static void raise(struct alarms *alarms, enum alarm_kind kind)
{
    const struct alarm_subject subject = {.key = "service", .name = "x"};

    alarms_note(alarms, kind, true, &subject, NULL, START - 100000);
    alarms_note(alarms, kind, true, &subject, NULL, START);
}

static void test_services(void **state)
{
    (void)state;
    name(3);
    expect(1, TONE_GOOD, "a", "R1 is the master");
    expect(3, TONE_GOOD, "", "All 3 services have a master");
    expect(4, TONE_WAIT, "d", "The Sentinels are being asked for the first time: clients wait");
    expect(5, TONE_WAIT, "", "2 of 5 services are in trouble");
}

/* The one in trouble is found wherever it stands. */
static void test_the_first_is_in_trouble(void **state)
{
    (void)state;
    name_some(1, 3);
    struct summary summary = sum_up(3);
    assert_ptr_equal(summary.service, services[0]);
    assert_int_equal(summary.troubled, 1);
}

/* What else is wrong: it colours the whole, and is told where each service has a master. */
static void test_all_else(void **state)
{
    (void)state;
    name(3);
    status.is_reload_good = false;
    expect(1, TONE_WAIT, "a", "R1 is the master; the last reload failed");
    expect(5, TONE_WAIT, "", "2 of 5 services are in trouble");
    status.is_reload_good = true;
    status.is_stopping = true;
    expect(3, TONE_WAIT, "", "All 3 services have a master; the agent is stopping");
    status.is_stopping = false;
    raise(&unknown.alarms, ALARM_UNKNOWN_SERVICE);
    expect(3, TONE_BAD, "",
           "All 3 services have a master; HAProxy asks for a service that is not configured");
    unknown.alarms.raised = 0;
    raise(&api.alarms, ALARM_RUNTIME_API);
    expect(1, TONE_WAIT, "a", "R1 is the master; 1 alarm");
    service_note_given_up(services[0], SERVICE_ROLE_MASTER, 100, START);
    service_note_given_up(services[1], SERVICE_ROLE_MASTER, 100, START); /* the same alarm once more */
    expect(3, TONE_WAIT, "", "All 3 services have a master; 2 alarms");
}

static void test_alarms_of_groups(void **state)
{
    (void)state;
    name(3);
    voter_group_identify(group, 1, span_of_text("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), START);
    struct summary summary = sum_up(1);
    assert_int_equal(summary.tone, TONE_WAIT);
    assert_int_equal(summary.alarms[ALARM_SAME_SENTINEL].count, 1);
    summary_add_names(&out, &summary.alarms[ALARM_SAME_SENTINEL]);
    assert_string_equal(out.data, "Sentinels e");
}

static void test_names_of_an_alarm(void **state)
{
    (void)state;
    name(SERVICES);
    for (size_t i = 0; i < SERVICES; i++) {
        struct summary summary = sum_up(SERVICES);
        assert_int_equal(summary.alarms[ALARM_PARK_TIMEOUT].count, i);
        if (i == SUMMARY_NAMES) {
            summary_add_names(&out, &summary.alarms[ALARM_PARK_TIMEOUT]);
            assert_string_equal(out.data, "a, b, c");
            text_clear(&out);
        }
        service_note_given_up(services[i], SERVICE_ROLE_MASTER, 100, START);
    }
    struct summary summary = sum_up(SERVICES);
    summary_add_names(&out, &summary.alarms[ALARM_PARK_TIMEOUT]);
    assert_string_equal(out.data, "a, b, c and 2 more");
    text_clear(&out);
    raise(&api.alarms, ALARM_RUNTIME_API);
    raise(&unknown.alarms, ALARM_UNKNOWN_SERVICE);
    summary = sum_up(SERVICES);
    summary_add_names(&out, &summary.alarms[ALARM_RUNTIME_API]);
    text_add(&out, "; ");
    summary_add_names(&out, &summary.alarms[ALARM_UNKNOWN_SERVICE]);
    assert_string_equal(out.data, "HAProxy 10.0.0.1:6379; HAProxy");
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_services),         T(test_the_first_is_in_trouble), T(test_all_else),
        T(test_alarms_of_groups), T(test_names_of_an_alarm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
