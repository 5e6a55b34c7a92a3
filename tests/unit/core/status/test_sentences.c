/* The words of the status: numbers, durations, times, and what clients feel in each state. */
#include "spoa/core/base/text.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/haproxy/runtime_health.h"
#include "spoa/core/observers/history.h"
#include "spoa/core/status/sentences.h"
#include "spoa/core/status/status.h"
#include "spoa/core/voters/voter_group.h"
#include "tests/lib/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define SECOND_MS ((int64_t)1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

static struct text out;

/* What was added, and makes room for the next text. */
static void assert_added(const char *text)
{
    assert_false(out.has_failed);
    assert_string_equal(out.data, text);
    text_finish(&out);
}

static void test_counts(void **state)
{
    (void)state;
    sentences_add_count(&out, 1, "client", "waits");
    assert_added("1 client waits");
    sentences_add_count(&out, 2, "client", "waits");
    assert_added("2 clients wait");
    sentences_add_count(&out, 0, "client", "");
    assert_added("0 clients");
    sentences_add_count(&out, 1, "client", "");
    assert_added("1 client");
}

static void test_durations(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {-1, "0 ms"},
        {0, "0 ms"},
        {999, "999 ms"},
        {1000, "1.0 s"},
        {4249, "4.2 s"},
        {4250, "4.3 s"},
        {59949, "59.9 s"},
        {59950, "1 min"}, /* not "60.0 s" */
        {60000, "1 min"},
        {90 * MINUTE_MS - 1, "90 min"},
        {90 * MINUTE_MS, "2 h"},
        {2 * DAY_MS - 1, "48 h"},
        {2 * DAY_MS, "2 days"},
        {4 * DAY_MS + 11 * HOUR_MS, "4 days"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        sentences_add_duration(&out, cases[i].ms);
        assert_added(cases[i].text);
    }
}

static void test_times(void **state)
{
    static const struct {
        int64_t day; /* since 1970 */
        const char *text;
    } dates[] = {
        {0, "1 Jan "},      {58, "28 Feb "},    {59, "1 Mar "},     {11015, "28 Feb "}, {11016, "29 Feb "},
        {11017, "1 Mar "},  {11382, "1 Mar "},  {19782, "29 Feb "}, {19783, "1 Mar "},  {20088, "31 Dec "},
        {20089, "1 Jan "},  {18808, "30 Jun "}, {18809, "1 Jul "},  {18961, "30 Nov "}, {18962, "1 Dec "},
        {20783, "26 Nov "}, {47540, "28 Feb "}, {47541, "1 Mar "},
    };
    char expected[64];

    (void)state;
    for (size_t i = 0; i < sizeof(dates) / sizeof(*dates); i++) {
        const struct status status = {.now_ms = 2 * DAY_MS, .now_unix_ms = (dates[i].day + 1) * DAY_MS};
        sentences_add_time(&out, &status, 2 * DAY_MS - 1);
        snprintf(expected, sizeof(expected), "%s23:59:59 UTC", dates[i].text);
        assert_added(expected);
    }
    const struct status status = {.now_ms = DAY_MS, .now_unix_ms = 20000 * DAY_MS + 13 * HOUR_MS};
    sentences_add_time(&out, &status, DAY_MS - 12 * MINUTE_MS - 5 * SECOND_MS);
    assert_added("12:47:55 UTC, 12 min ago");
}

static void test_the_past(void **state)
{
    struct history_switch entry = {.service = "m",
                                   .old_server = "R1",
                                   .new_addr = "10.0.0.9:6379",
                                   .t_suspected_ms = 1000,
                                   .t_named_ms = 4800,
                                   .t_cut_ms = HISTORY_NEVER};
    struct history_outage outage = {
        .service = "m", .state = SERVICE_DOUBTED, .reason = "closed", .t_ended_ms = 900};

    (void)state;
    sentences_add_switch(&out, &entry, NULL);
    assert_added("m: R1 → 10.0.0.9:6379 in 3.8 s");
    entry.t_cut_ms = 4900;
    sentences_add_switch(&out, &entry, &outage);
    assert_added("m: R1 → 10.0.0.9:6379 in 3.8 s, nobody waited, nobody refused, sessions cut after 3.9 s");
    entry.old_server[0] = '\0';
    sentences_add_switch(&out, &entry, NULL);
    assert_added("m: first master 10.0.0.9:6379");
    outage.refused = 50;
    sentences_add_switch(&out, &entry, &outage);
    assert_added("m: first master 10.0.0.9:6379 after 3.8 s, nobody waited, 50 refused");
    outage.refused = 0;
    sentences_add_outage(&out, &outage);
    assert_added(
        "m: 900 ms without an answer of the master (doubted, closed), nobody waited, nobody refused");
    outage = (struct history_outage){.service = "m",
                                     .state = SERVICE_DOWN,
                                     .reason = "",
                                     .t_ended_ms = 26000,
                                     .waited = 1,
                                     .refused = 3,
                                     .longest_wait_ms = 4000};
    sentences_add_outage(&out, &outage);
    assert_added("m: 26.0 s without a master (down), 1 client waited, 4.0 s at most, 3 refused");
}

/* A name of one character is no empty one. */
static void test_short_names(void **state)
{
    struct history_switch entry = {.service = "m",
                                   .old_server = "A",
                                   .old_addr = "10.0.0.1:1",
                                   .new_server = "B",
                                   .new_addr = "10.0.0.2:1",
                                   .t_named_ms = 2,
                                   .t_cut_ms = 3};
    const struct history_outage outage = {.service = "m", .state = SERVICE_DOWN, .reason = "r"};

    (void)state;
    sentences_add_switch(&out, &entry, NULL);
    assert_added("m: A → B in 2 ms, sessions cut after 3 ms");
    sentences_add_outage(&out, &outage);
    assert_added("m: 0 ms without a master (down, r), nobody waited, nobody refused");
    entry.old_server[0] = '\0';
    entry.new_server[0] = '\0';
    sentences_add_switch(&out, &entry, &outage);
    assert_added(
        "m: 10.0.0.1:1 → 10.0.0.2:1 in 2 ms, nobody waited, nobody refused, sessions cut after 3 ms");
}

/* ---- states ---- */

/* Reasons that a state comes with (decision/policy.c). */
static const struct {
    enum service_state state;
    enum service_reason reason;
} pairs[] = {
    {SERVICE_STARTING, SERVICE_BECAUSE_NONE},
    {SERVICE_OK, SERVICE_BECAUSE_NONE},
    {SERVICE_DOUBTED, SERVICE_BECAUSE_NONE},
    {SERVICE_WITNESSED, SERVICE_BECAUSE_UNREACHABLE},
    {SERVICE_WITNESSED, SERVICE_BECAUSE_REFUSED},
    {SERVICE_WITNESSED, SERVICE_BECAUSE_REFUSED_US},
    {SERVICE_KEPT, SERVICE_BECAUSE_UNREACHABLE},
    {SERVICE_KEPT, SERVICE_BECAUSE_REFUSED},
    {SERVICE_KEPT, SERVICE_BECAUSE_REFUSED_US},
    {SERVICE_PENDING, SERVICE_BECAUSE_SUSPECTED},
    {SERVICE_PENDING, SERVICE_BECAUSE_UNCONFIRMED},
    {SERVICE_PENDING, SERVICE_BECAUSE_FAILOVER},
    {SERVICE_PENDING, SERVICE_BECAUSE_UNREACHABLE},
    {SERVICE_PENDING, SERVICE_BECAUSE_REFUSED},
    {SERVICE_PENDING, SERVICE_BECAUSE_REFUSED_US},
    {SERVICE_PENDING, SERVICE_BECAUSE_DISAGREE},
    {SERVICE_PENDING, SERVICE_BECAUSE_UNKNOWN_NAME},
    {SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNREACHABLE},
    {SERVICE_NO_QUORUM, SERVICE_BECAUSE_REFUSED},
    {SERVICE_NO_QUORUM, SERVICE_BECAUSE_REFUSED_US},
    {SERVICE_NO_QUORUM, SERVICE_BECAUSE_DISAGREE},
    {SERVICE_NO_QUORUM, SERVICE_BECAUSE_UNKNOWN_NAME},
    {SERVICE_DOWN, SERVICE_BECAUSE_O_DOWN},
    {SERVICE_DOWN, SERVICE_BECAUSE_SILENT},
    {SERVICE_NOT_MASTER, SERVICE_BECAUSE_REPLICA},
    {SERVICE_NOT_MASTER, SERVICE_BECAUSE_LOADING},
    {SERVICE_NOT_MASTER, SERVICE_BECAUSE_UNCONFIRMED},
    {SERVICE_UNKNOWN_ADDRESS, SERVICE_BECAUSE_NONE},
};

/* Each pair has a sentence of its own, and whatever comes has one. */
static void test_each_state_has_a_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(sentences_state_text(pairs[i].state, pairs[i].reason),
                                    sentences_state_text(pairs[k].state, pairs[k].reason));
    for (enum service_state one = SERVICE_STARTING; one < SERVICE_STATE_COUNT; one++)
        for (enum service_reason reason = SERVICE_BECAUSE_NONE; reason < SERVICE_REASON_COUNT; reason++) {
            const char *text = sentences_state_text(one, reason);
            assert_true(text != NULL && text[0] != '\0');
            assert_null(strpbrk(text, "0123456789"));
            assert_null(strstr(text, "entinel")); /* nodes may vote */
        }
}

#define START 100000
#define LIFE 2000

static struct service_server servers[1];
static struct service_settings settings;
static uint8_t identities[3];
static struct service *service;
static struct voter_group *group;
static struct metrics metrics;
static enum voter_source source;

static int set_up(void **state)
{
    static const char *const names[] = {"s0", "s1", "s2"};

    (void)state;
    servers[0].name = "R1";
    assert_true(addr_parse(span_of_text("[2001:db8::1]:6379"), &servers[0].addr));
    settings = (struct service_settings){
        .name = "m",
        .monitor = "m",
        .servers = servers,
        .server_count = 1,
        .park_ms = 3000,
        .quorum = {.identities = identities,
                   .voters = 3,
                   .threshold = 2,
                   .reply_timeout_ms = 500,
                   .vote_life_ms = LIFE,
                   .hold_ms = QUORUM_HOLD_MS},
    };
    service = service_create(&settings, START);
    const struct voter_group_options options = {.name = "",
                                                .source = source,
                                                .voter_count = 3,
                                                .voter_names = names,
                                                .services = &service,
                                                .service_count = 1,
                                                .identities = identities,
                                                .metrics = &metrics};
    group = voter_group_create(&options, START);
    assert_non_null(group);
    return 0;
}

static int set_up_nodes(void **state)
{
    source = VOTER_SOURCE_REPLICATION;
    int result = set_up(state);
    source = VOTER_SOURCE_SENTINEL;
    return result;
}

static int tear_down(void **state)
{
    (void)state;
    voter_group_destroy(group);
    service_destroy(service);
    return 0;
}

/* All voters name the node at `addr_text`. */
static void name_all(const char *addr_text, int64_t now_ms)
{
    static const char *const ids[] = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                      "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
                                      "cccccccccccccccccccccccccccccccccccccccc"};
    struct addr addr;

    assert_true(addr_parse(span_of_text(addr_text), &addr));
    for (unsigned i = 0; i < 3; i++) {
        const struct service_event event = {.kind = SERVICE_SAID_MASTER,
                                            .voter = i,
                                            .ballot = QUORUM_NAMES,
                                            .addr = &addr,
                                            .t_sent_ms = now_ms};
        voter_group_identify(group, i, span_of_text(ids[i]), now_ms);
        (void)voter_group_step(group, 0, &event, now_ms);
    }
}

static void assert_headline(const char *text, int64_t now_ms)
{
    sentences_add_headline(&out, group, service, now_ms);
    assert_added(text);
}

static void assert_state(const char *text)
{
    sentences_add_state(&out, group, service);
    assert_added(text);
}

static void assert_beginning(const char *text)
{
    sentences_add_beginning(&out, group, service, service_outage(service));
    assert_added(text);
}

/* Who comes while nobody is named waits for `park`. Then only those whose time is over are refused. */
static void test_a_majority_is_lost(void **state)
{
    const int64_t lost = START + LIFE;
    const struct service_waiting waiting = {.count = 2, .oldest_ms = lost};

    (void)state;
    name_all("[2001:db8::1]:6379", START);
    assert_int_equal(service_tone(service, START), TONE_GOOD);
    assert_headline("R1 is the master", START);
    sentences_add_feeling(&out, service, START);
    assert_int_equal(out.len, 0);
    service_review(service, lost);
    assert_state("Too few Sentinels answer");
    assert_beginning("Too few Sentinels answer");
    assert_int_equal(service_tone(service, lost + 2999), TONE_WAIT);
    assert_headline("Too few Sentinels answer: clients wait", lost + 2999);
    assert_int_equal(service_tone(service, lost + 3000), TONE_BAD);
    assert_headline("Too few Sentinels answer: each client is refused after 3.0 s", lost + 3000);
    service_note_waiting(service, SERVICE_ROLE_MASTER, &waiting);
    assert_headline("Too few Sentinels answer: 2 clients wait, the first for 1.0 s; each is refused after "
                    "3.0 s",
                    lost + 1000);
    assert_state("Too few Sentinels answer");
}

/* What does not pass by itself is bad at once. */
static void test_tones(void **state)
{
    const struct addr *addr = &servers[0].addr;
    const struct service_event none = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_UNKNOWN_NAME, .t_sent_ms = START + 30};

    (void)state;
    settings.policy.role_check = ROLE_CHECK_VETO;
    assert_int_equal(service_decision(service)->state, SERVICE_STARTING);
    assert_int_equal(service_tone(service, START), TONE_WAIT);
    name_all("10.9.9.9:6379", START);
    assert_int_equal(service_decision(service)->state, SERVICE_UNKNOWN_ADDRESS);
    assert_int_equal(service_tone(service, START), TONE_BAD);
    name_all("[2001:db8::1]:6379", START + 10);
    step_role(service, addr, NODE_ROLE_REPLICA, START + 10);
    assert_int_equal(service_decision(service)->state, SERVICE_NOT_MASTER);
    assert_int_equal(service_tone(service, START + 10), TONE_WAIT);
    assert_int_equal(service_tone(service, START + 10 + 3000), TONE_BAD);
    step_role(service, addr, NODE_ROLE_MASTER, START + 20);
    assert_int_equal(service_tone(service, START + 20), TONE_GOOD);
    (void)step_link(service, SERVICE_LINK_CLOSED, addr, 0, START + 20);
    assert_int_equal(service_decision(service)->state, SERVICE_DOUBTED);
    assert_int_equal(service_tone(service, START + 20), TONE_WAIT);
    step_role(service, addr, NODE_ROLE_MASTER, START + 30);
    (void)step_as(service, 0, &none, START + 30);
    assert_int_equal(service_decision(service)->state, SERVICE_PENDING);
    assert_int_equal(service_tone(service, START + 30), TONE_WAIT);
    assert_int_equal(service_tone(service, START + 30 + 3000), TONE_BAD);
}

static void test_nobody_waits_without_park(void **state)
{
    (void)state;
    settings.park_ms = 0;
    name_all("[2001:db8::1]:6379", START);
    service_review(service, START + LIFE);
    assert_int_equal(service_tone(service, START + LIFE), TONE_BAD);
    assert_headline("Too few Sentinels answer: clients are refused", START + LIFE);
}

/* It is named, and somebody should look at it. */
static void test_a_master_that_is_kept(void **state)
{
    (void)state;
    settings.policy.keep_ms = 60000;
    settings.policy.keep_when = KEEP_WHEN_UNREACHABLE;
    name_all("[2001:db8::1]:6379", START);
    service_review(service, START + LIFE);
    assert_state("R1 stays the master for a while: too few Sentinels answer");
    assert_int_equal(service_tone(service, START + LIFE), TONE_WAIT);
}

static void test_nodes_are_no_sentinels(void **state)
{
    (void)state;
    assert_string_equal(sentences_voters(group), "nodes");
    assert_headline("The nodes are being asked for the first time: clients wait", START);
    name_all("[2001:db8::1]:6379", START);
    service_review(service, START + LIFE);
    assert_headline("Too few nodes answer: clients wait", START + LIFE);
}

/* A node that is no master by its own word. The outage's sentence stays when another one is named meanwhile. */
static void test_a_master_that_loads(void **state)
{
    (void)state;
    settings.policy.role_check = ROLE_CHECK_VETO;
    name_all("[2001:db8::1]:6379", START);
    step_role(service, &servers[0].addr, NODE_ROLE_LOADING, START);
    assert_state("A majority names R1, which is loading its data");
    assert_beginning("A majority names a node, which is loading its data");
    name_all("[2001:db8::2]:6379", START + 1000);
    assert_state("A majority names [2001:db8::2]:6379, which no server of the configuration has");
    assert_beginning("A majority names a node, which is loading its data");
}

/* The master that was named before is what a doubt, or its end, is about. */
static void test_a_master_that_dies(void **state)
{
    const struct sentinel_facts facts = {.is_o_down = true};

    (void)state;
    name_all("[2001:db8::1]:6379", START);
    (void)step_link(service, SERVICE_LINK_CLOSED, &servers[0].addr, 0, START + 10);
    assert_headline("R1 is not answering: clients wait", START + 10);
    assert_beginning("R1 is not answering");
    for (unsigned i = 0; i < 3; i++)
        step_facts(service, i, &servers[0].addr, &facts, START + 20);
    assert_headline("R1 is down: clients wait", START + 20);
    assert_beginning("R1 is down");
    service_review(service, START + 20 + LIFE);
    assert_state("Too few Sentinels answer");
    assert_beginning("R1 is down");
}

static void test_a_failover_is_told(void **state)
{
    const struct service_event begins = {.kind = SERVICE_FAILOVER_BEGINS, .addr = &servers[0].addr};

    (void)state;
    settings.policy.early_fence = true;
    settings.policy.early_fence_max_ms = 1000;
    name_all("[2001:db8::1]:6379", START);
    (void)service_step(service, &begins, START + 10);
    assert_headline("A failover has begun: clients wait", START + 10);
    assert_beginning("A failover has begun");
}

static void test_voters_are_heard(void **state)
{
    const struct conversation_loss loss = {.reason = "Connection refused", .end = CONVERSATION_END_REFUSED};

    (void)state;
    assert_int_equal(voter_tone(group, 0, START), TONE_WAIT); /* not asked yet */
    name_all("[2001:db8::1]:6379", START);
    assert_int_equal(voter_tone(group, 0, START), TONE_GOOD);
    voter_group_lost(group, 0, &loss, START + 100);
    assert_int_equal(voter_tone(group, 0, START + LIFE), TONE_BAD);
    assert_int_equal(voter_tone(group, 1, START + LIFE), TONE_WAIT);
}

/* ---- all else ---- */

static void assert_api(const struct runtime_health *api, enum tone tone, const char *text)
{
    assert_int_equal(api_tone(api), tone);
    sentences_add_api(&out, api);
    assert_added(text);
}

static void test_an_api(void **state)
{
    struct runtime_health api;

    (void)state;
    runtime_health_init(&api, &servers[0].addr, false);
    assert_api(&api, TONE_WAIT, "not tried yet");
    runtime_health_note_trial(&api, NULL, 0, START);
    assert_api(&api, TONE_GOOD, "sessions can be cut");
    runtime_health_note_trial(&api, NULL, 1, START);
    assert_api(&api, TONE_WAIT, "1 cut owed");
    runtime_health_note_cut(&api, "Permission denied", 2, START);
    assert_api(&api, TONE_BAD, "cannot cut sessions: Permission denied · 2 cuts owed");
    runtime_health_note_cut(&api, "?", 0, START);
    assert_api(&api, TONE_BAD, "cannot cut sessions: ?");
    runtime_health_note_cut(&api, "?", 1, START);
    assert_api(&api, TONE_BAD, "cannot cut sessions: ? · 1 cut owed");
}

static void test_a_day(void **state)
{
    static struct history history;
    struct status status = {.history = &history, .now_ms = 2 * DAY_MS, .now_unix_ms = 20000 * DAY_MS};

    (void)state;
    status.process.t_start_unix_ms = status.now_unix_ms - 4000;
    sentences_add_day(&out, &status, 0);
    assert_added("no outage since the agent started 4.0 s ago");
    status.process.t_start_unix_ms = status.now_unix_ms - DAY_MS;
    sentences_add_day(&out, &status, 0);
    assert_added("no outage in 24 hours");
    quarters_note(&history.quarters, QUARTER_REFUSED, status.now_ms, status.now_ms);
    sentences_add_day(&out, &status, 0);
    assert_added("no outage in 24 hours, but clients were refused");
    sentences_add_day(&out, &status, 1);
    assert_added("1 outage in 24 hours");
    history.outages[history.outage_count++].t_ended_ms = status.now_ms - DAY_MS - 1;
    history.outages[history.outage_count++].t_ended_ms = status.now_ms - DAY_MS;
    sentences_add_day(&out, &status, 1);
    assert_added("2 outages in 24 hours");
    while (history.outage_count < HISTORY_LENGTH + 2)
        history.outages[history.outage_count++ % HISTORY_LENGTH].t_ended_ms = status.now_ms;
    sentences_add_day(&out, &status, 0);
    assert_added("at least 32 outages in 24 hours");
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_the_past),
        cmocka_unit_test(test_short_names),
        cmocka_unit_test(test_each_state_has_a_sentence),
        T(test_a_majority_is_lost),
        T(test_tones),
        T(test_nobody_waits_without_park),
        T(test_a_master_that_is_kept),
        cmocka_unit_test_setup_teardown(test_nodes_are_no_sentinels, set_up_nodes, tear_down),
        T(test_a_master_that_loads),
        T(test_a_master_that_dies),
        T(test_a_failover_is_told),
        T(test_voters_are_heard),
        T(test_an_api),
        cmocka_unit_test(test_a_day),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
