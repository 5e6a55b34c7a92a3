/*
 * Whole pages of an agent with two groups, against those in tests/golden/pages/. With UPDATE=1 in the environment it writes
 * them: look at what changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/spop_data.h"
#include "proto/spop_frame.h"
#include "spoa/core/haproxy/runtime_health.h"
#include "spoa/core/observers/history.h"
#include "spoa/core/status/http_routes.h"
#include "spoa/core/status/page_cursor.h"
#include "spoa/core/status/status.h"
#include "spoa/core/voters/voter_group.h"

#define FOLDER "tests/golden/pages/"
#define START 100000
#define UNIX_MS ((int64_t)20000 * 86400000) /* of START */
#define LIFE 2000
#define PAGE_MAX ((size_t)128 * 1024)

enum { SENTINELS, NODES, GROUPS };
enum { VOTERS = 3, SERVERS = 6, SERVICES_MAX = 30, APIS = 2 };

static const char *const voter_names[GROUPS][VOTERS] = {
    {"10.0.0.1:26379", "10.0.0.2:26379", "s3.example.org:26379"},
    {"10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"}};
static const char *group_names[GROUPS] = {"", "east"};

/* The world. Each group has so many of the services, one after another. */
static struct service_server servers[SERVERS];
static struct service_settings settings[SERVICES_MAX];
static char service_names[SERVICES_MAX][24];
static struct service *services[SERVICES_MAX];
static size_t counts[GROUPS];
static uint8_t identities[GROUPS][VOTERS];
static struct voter_group *groups[GROUPS];
static struct service_table *table;
static struct metrics metrics;
static struct history history;
static struct history_watch watches[SERVICES_MAX];
static struct addr api_addrs[APIS];
static struct runtime_health apis[APIS];
static struct status status;

static struct addr addr_of(const char *text)
{
    struct addr addr;

    assert_true(addr_parse(span_of_text(text), &addr));
    return addr;
}

/* ---- the world ---- */

static void make_servers(void)
{
    static const char *const names[SERVERS] = {"R1", "R2", "R3", "R4", "R5", "a-long-name"};
    char text[32];

    for (unsigned i = 0; i < SERVERS; i++) {
        (void)snprintf(text, sizeof(text), "10.0.0.%u:6379", i + 1);
        servers[i] = (struct service_server){.name = names[i], .addr = addr_of(text), .weight = 1};
    }
}

static void make_service(size_t i, int group)
{
    (void)snprintf(service_names[i], sizeof(service_names[i]), "m%zu", i);
    settings[i] = (struct service_settings){
        .name = service_names[i],
        .monitor = i == 1 ? "other" : service_names[i],
        .servers = servers,
        .server_count = i == 0 ? SERVERS : 2,
        .park_ms = 2500,
        .quorum = {.identities = identities[group],
                   .voters = VOTERS,
                   .threshold = 2,
                   .reply_timeout_ms = 500,
                   .vote_life_ms = LIFE},
        .replicas = {.is_enabled = i == 0},
    };
    services[i] = service_create(&settings[i], START);
    assert_non_null(services[i]);
    history_watch_service(&watches[i], &history, services[i]);
    assert_true(service_table_add(table, services[i]));
}

static void make_group(int group, size_t first)
{
    const struct voter_group_options options = {
        .name = group_names[group],
        .source = group == SENTINELS ? VOTER_SOURCE_SENTINEL : VOTER_SOURCE_REPLICATION,
        .voter_count = VOTERS,
        .voter_names = voter_names[group],
        .services = &services[first],
        .service_count = counts[group],
        .identities = identities[group],
        .metrics = &metrics,
    };
    char identity[VOTER_IDENTITY_LEN + 1];

    groups[group] = voter_group_create(&options, START);
    assert_non_null(groups[group]);
    for (unsigned i = 0; i < VOTERS; i++) {
        memset(identity, "abc"[i], VOTER_IDENTITY_LEN);
        identity[VOTER_IDENTITY_LEN] = '\0';
        voter_group_identify(groups[group], i, span_of_text(identity), START);
    }
}

/* Each counter has a number of its own. */
static void count(void)
{
#define X(name, help) metrics.name = offsetof(struct metrics, name) / sizeof(metrics.name) + 1;
    METRICS_COUNTERS(X)
#undef X
    histogram_add(&metrics.answer_times, metrics_answer_bounds_us, 70, 11);
    histogram_add(&metrics.parked_times, metrics_parked_bounds_us, 800000, 12);
    histogram_add(&metrics.loop_stalls, metrics_stall_bounds_us, 3000, 13);
}

static void make_status(void)
{
    status = (struct status){
        .pid = 4711,
        .version = "1.2",
        .revision = "abc",
        .metrics = &metrics,
        .history = &history,
        .table = table,
        .unknown = service_table_unknown(table),
        .groups = (const struct voter_group *const *)groups,
        .group_count = GROUPS,
        .apis = apis,
        .api_count = APIS,
        .connections = 5,
        .is_reload_good = true,
        .reloads_asked = 3,
        .t_loaded_ms = START - 1000,
        .process = {.cpu_seconds = 1.5,
                    .resident_bytes = 1001,
                    .virtual_bytes = 1002,
                    .open_fds = 1003,
                    .max_fds = 1004,
                    .t_start_unix_ms = UNIX_MS - 90000},
    };
}

/* The groups have so many services. */
static void make_world(size_t of_sentinels, size_t of_nodes)
{
    metrics = (struct metrics){.connections_total = 0};
    history = (struct history){.count = 0};
    table = service_table_create(NULL);
    assert_non_null(table);
    make_servers();
    counts[SENTINELS] = of_sentinels;
    counts[NODES] = of_nodes;
    for (size_t i = 0; i < of_sentinels + of_nodes; i++)
        make_service(i, i < of_sentinels ? SENTINELS : NODES);
    make_group(SENTINELS, 0);
    make_group(NODES, of_sentinels);
    api_addrs[0] = addr_of("unix:/run/haproxy/admin.sock");
    api_addrs[1] = addr_of("127.0.0.1:9999");
    for (size_t i = 0; i < APIS; i++)
        runtime_health_init(&apis[i], &api_addrs[i], i == 1);
    make_status();
}

static int tear_down(void **state)
{
    (void)state;
    service_table_destroy(table);
    for (int group = 0; group < GROUPS; group++)
        voter_group_destroy(groups[group]);
    for (size_t i = 0; i < counts[SENTINELS] + counts[NODES]; i++)
        service_destroy(services[i]);
    return 0;
}

/* ---- what happens ---- */

static void tell(size_t i, const struct service_event *event, int64_t now_ms)
{
    bool is_sentinels = i < counts[SENTINELS];

    (void)voter_group_step(groups[is_sentinels ? SENTINELS : NODES], is_sentinels ? i : i - counts[SENTINELS],
                           event, now_ms);
}

/* Voters of service `i`, a bit each, name an address. */
static void vote(size_t i, unsigned voters, const char *text, int64_t now_ms)
{
    const struct addr addr = addr_of(text);

    for (unsigned voter = 0; voter < VOTERS; voter++) {
        const struct service_event event = {.kind = SERVICE_SAID_MASTER,
                                            .voter = voter,
                                            .t_sent_ms = now_ms,
                                            .addr = &addr,
                                            .ballot = QUORUM_NAMES};
        if ((voters >> voter & 1) != 0)
            tell(i, &event, now_ms);
    }
}

static void vote_for_none(size_t i, unsigned voter, enum quorum_ballot ballot, int64_t now_ms)
{
    const struct service_event event = {
        .kind = SERVICE_SAID_MASTER, .voter = voter, .t_sent_ms = now_ms, .ballot = ballot};

    tell(i, &event, now_ms);
}

static void say_facts(size_t i, unsigned voter, const char *text, uint32_t silent_ms, int64_t now_ms)
{
    const struct addr addr = addr_of(text);
    const struct sentinel_facts facts = {
        .down_after_ms = 5000, .silent_ms = silent_ms, .other_sentinels = 2, .quorum = 2};
    const struct service_event event = {
        .kind = SERVICE_SAID_FACTS, .voter = voter, .t_sent_ms = now_ms, .addr = &addr, .facts = &facts};

    tell(i, &event, now_ms);
}

static void say_replicas(size_t i, unsigned voter, const char *master, uint64_t up, int64_t now_ms)
{
    const struct addr addr = addr_of(master);
    const struct service_event event = {
        .kind = SERVICE_SAID_REPLICAS, .voter = voter, .t_sent_ms = now_ms, .addr = &addr, .servers = up};

    tell(i, &event, now_ms);
}

static void say_word(size_t i, unsigned server, enum node_saying saying, const char *words, int64_t now_ms)
{
    const struct service_event event = {.kind = SERVICE_NODE_WORD,
                                        .addr = &servers[server].addr,
                                        .saying = saying,
                                        .words = span_of_text(words)};

    tell(i, &event, now_ms);
}

/* Two voters turn out to be one. */
static void be_the_same(int group)
{
    char identity[VOTER_IDENTITY_LEN + 1];

    memset(identity, 'a', VOTER_IDENTITY_LEN);
    identity[VOTER_IDENTITY_LEN] = '\0';
    voter_group_identify(groups[group], 2, span_of_text(identity), START + 5000);
}

static void ask_stranger(const char *name, int64_t now_ms)
{
    const struct spop_value stranger = spop_text(span_of_text(name));
    uint8_t space[100];
    struct sink payload = sink_of(space, sizeof(space));

    spop_name_write(&payload, span_of_text("find-master"));
    sink_put_byte(&payload, 1);
    spop_kv_write(&payload, "service", &stranger);
    service_table_note_unknown(table, span_of(space, (size_t)(payload.at - space)), now_ms);
}

static const struct conversation_loss refused = {.reason = "Connection refused",
                                                 .end = CONVERSATION_END_REFUSED};

/* ---- the pages ---- */

/* Written with a line for each member, where it is JSON. */
static void write_page(enum http_page page, char *out)
{
    struct page_cursor cursor = {.section = 0};
    struct text text = {.data = NULL};
    size_t len = 0;

    while (http_page_write(page, &status, &cursor, &text))
        continue;
    assert_false(text.has_failed);
    for (size_t i = 0; i < text.len; i++) {
        assert_true(len + 2 < PAGE_MAX);
        out[len++] = text.data[i];
        if (page == HTTP_PAGE_STATUS && i + 1 < text.len && text.data[i] == ',' &&
            strchr("\"{", text.data[i + 1]) != NULL)
            out[len++] = '\n';
    }
    out[len] = '\0';
    text_finish(&text);
}

static void read_golden(const char *path, char *out)
{
    FILE *file = fopen(path, "re");

    if (file == NULL)
        fail_msg("%s cannot be read: the tests run in the tree's root", path);
    out[fread(out, 1, PAGE_MAX - 1, file)] = '\0';
    (void)fclose(file);
}

static void write_golden(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

/* The line in which two texts begin to differ. */
static void fail_at_line(const char *path, const char *text, const char *expected)
{
    unsigned line = 1;
    size_t begin = 0;
    size_t i = 0;

    for (; text[i] == expected[i]; i++)
        if (text[i] == '\n') {
            begin = i + 1;
            line++;
        }
    fail_msg("%s:%u:\n  %.*s\nis expected, and there is\n  %.*s\n(UPDATE=1 writes it)", path, line,
             (int)strcspn(expected + begin, "\n"), expected + begin, (int)strcspn(text + begin, "\n"),
             text + begin);
}

static void check_page(enum http_page page, const char *name)
{
    static char text[PAGE_MAX];
    static char expected[PAGE_MAX];
    char path[128];

    (void)snprintf(path, sizeof(path), FOLDER "%s", name);
    write_page(page, text);
    if (getenv("UPDATE") != NULL)
        write_golden(path, text);
    read_golden(path, expected);
    if (strcmp(text, expected) != 0)
        fail_at_line(path, text, expected);
}

static void look_at(int64_t now_ms)
{
    status.now_ms = now_ms;
    status.now_unix_ms = now_ms - START + UNIX_MS;
}

/* ---- scenes ---- */

/* Two services, and all is well. */
static void test_all_is_well(void **state)
{
    int64_t now_ms = START + 5000;

    (void)state;
    make_world(1, 1);
    for (size_t i = 0; i < APIS; i++)
        runtime_health_note_trial(&apis[i], NULL, 0, now_ms);
    voter_group_lost(groups[SENTINELS], 1, &refused, now_ms - 1000); /* that is over */
    vote_for_none(1, 2, QUORUM_UNKNOWN_NAME, now_ms + 9);
    for (unsigned i = 0; i < 2; i++) {
        vote(i, i == 0 ? 7 : 3, "10.0.0.1:6379", now_ms + 10 * i);
        say_word(i, 0, NODE_SAYS_MASTER, "", now_ms + 100);
        say_word(i, 1, NODE_SAYS_REPLICA, "10.0.0.1:6379", now_ms + 110);
    }
    for (unsigned voter = 0; voter < VOTERS; voter++) {
        say_facts(0, voter, "10.0.0.1:6379", SERVICE_WATCH_MS + 1 - voter, now_ms + 20);
        say_replicas(0, voter, "10.0.0.1:6379", 2, now_ms + 30);
    }
    look_at(now_ms + 400);
    check_page(HTTP_PAGE_STATUS_TEXT, "well.txt");
    check_page(HTTP_PAGE_EXPLANATION, "well.explain.txt");
    check_page(HTTP_PAGE_STATUS, "well.json");
    check_page(HTTP_PAGE_METRICS, "well.metrics");
    check_page(HTTP_PAGE_OPENMETRICS, "well.openmetrics");
}

/* Nobody has answered yet, and the kernel does not say since when the process is there. */
static void test_at_the_start(void **state)
{
    (void)state;
    make_world(1, 1);
    status.process.t_start_unix_ms = 0;
    look_at(START + 100);
    check_page(HTTP_PAGE_STATUS_TEXT, "start.txt");
    check_page(HTTP_PAGE_EXPLANATION, "start.explain.txt");
    check_page(HTTP_PAGE_STATUS, "start.json");
}

/* Of the first service all voters and nodes have something to say. The second one is switched. */
static void let_voters_and_nodes_speak(int64_t now_ms)
{
    static const struct {
        enum node_saying saying;
        const char *words;
    } sayings[SERVERS] = {{NODE_UNREACHABLE, "Connection refused"},
                          {NODE_SAYS_REPLICA, ""},
                          {NODE_SAYS_LOADING, "LOADING"},
                          {NODE_REFUSES, "NOAUTH Authentication required."},
                          {NODE_LISTED, ""},
                          {NODE_NOT_ASKED, ""}};

    vote(0, 7, "10.0.0.1:6379", now_ms);
    for (unsigned voter = 0; voter < VOTERS; voter++)
        say_facts(0, voter, "10.0.0.1:6379", 100 + 1100 * voter, now_ms + 10);
    for (unsigned server = 0; server < SERVERS; server++)
        if (sayings[server].saying != NODE_NOT_ASKED)
            say_word(0, server, sayings[server].saying, sayings[server].words, now_ms + 20);
    say_word(0, 0, NODE_UNREACHABLE, "Connection refused", now_ms + 320);
    voter_group_lost(groups[SENTINELS], 1, &refused, now_ms + 200);
    voter_group_note_words(groups[SENTINELS], 2, 0, span_of_text("NOPERM no right"), now_ms + 300);
}

static void test_much_is_wrong(void **state)
{
    int64_t now_ms = START + 5000;
    const struct service_waiting some = {.count = 2, .oldest_ms = now_ms + 2500};

    (void)state;
    make_world(2, 1);
    let_voters_and_nodes_speak(now_ms);
    vote(1, 7, "10.0.0.1:6379", now_ms);
    vote_for_none(2, 0, QUORUM_UNKNOWN_NAME, now_ms);
    vote_for_none(2, 1, QUORUM_INVALID, now_ms + 10);
    vote(1, 6, "10.0.0.2:6379", now_ms + 1000);
    service_note_first_answer(services[1], now_ms + 1100);
    vote(0, 1, "[2001:db8::9]:6379", now_ms + 1500);
    service_review(services[0], now_ms + 2400);
    service_note_waiting(services[0], SERVICE_ROLE_MASTER, &some);
    service_note_waiting(services[0], SERVICE_ROLE_REPLICA, &some);
    service_note_refusal(services[0]);
    service_note_given_up(services[1], SERVICE_ROLE_MASTER, 1000, now_ms + 2600);
    ask_stranger("m7", now_ms + 2700);
    be_the_same(NODES);
    runtime_health_note_trial(&apis[0], NULL, 0, now_ms);
    runtime_health_note_trial(&apis[1], "Permission denied", 2, now_ms);
    runtime_health_note_trial(&apis[1], "Permission denied", 2, now_ms + 60000);
    status.parked = 2;
    status.is_stopping = true;
    status.is_reload_good = false;
    status.is_reload_open = true;
    status.reload_error = "a.conf:3: no such key";
    count();
    look_at(now_ms + 2900);
    check_page(HTTP_PAGE_STATUS_TEXT, "wrong.txt");
    check_page(HTTP_PAGE_EXPLANATION, "wrong.explain.txt");
    check_page(HTTP_PAGE_STATUS, "wrong.json");
    check_page(HTTP_PAGE_METRICS, "wrong.metrics");
}

/* A switch that an outage led to, one without, and outages without a switch, in more than one service. */
static void test_the_past(void **state)
{
    int64_t now_ms = START + 5000;

    (void)state;
    make_world(2, 1);
    for (size_t i = 0; i < 3; i++)
        vote(i, 7, "10.0.0.1:6379", now_ms);
    vote(0, 7, "10.0.0.2:6379", now_ms + 100);
    history_note_cut(&history, "m0", "R1", now_ms + 130);
    service_note_first_answer(services[0], now_ms + 150);
    service_review(services[1], now_ms + LIFE);
    service_review(services[2], now_ms + LIFE);
    service_note_refusal(services[1]);
    service_note_refusal(services[2]);
    vote(1, 7, "10.0.0.2:6379",
         now_ms + 3000); /* a switch and, at the same time, the end of an outage without one */
    vote(2, 7, "10.0.0.1:6379", now_ms + 3000);
    service_review(services[1], now_ms + 3000 + LIFE);
    service_note_refusal(services[1]);
    vote(1, 7, "10.0.0.2:6379", now_ms + 6000);
    vote(0, 7, "[2001:db8::9]:6379", now_ms + 7000);
    vote(0, 7, "10.0.0.3:6379", now_ms + 8000);
    look_at(now_ms + 8100);
    check_page(HTTP_PAGE_STATUS_TEXT, "past.txt");
    check_page(HTTP_PAGE_STATUS, "past.json");
}

/* Names and words of one character are no empty ones. */
static void test_short_words(void **state)
{
    static const struct conversation_loss lost = {.reason = "?", .end = CONVERSATION_END_CLOSED};
    int64_t now_ms = START + 5000;

    (void)state;
    make_world(1, 1);
    for (size_t i = 0; i < 2; i++) {
        vote(i, 3, "10.0.0.1:6379", now_ms);
        say_word(i, 0, NODE_REFUSES, "E", now_ms + 10);
        say_word(i, 1, NODE_SAYS_LOADING, "L", now_ms + 20);
    }
    for (int group = 0; group < GROUPS; group++)
        voter_group_lost(groups[group], 0, &lost, now_ms + 30);
    voter_group_lost(groups[NODES], 2, &lost, now_ms + 30);
    voter_group_note_words(groups[SENTINELS], 2, 0, span_of_text("N"), now_ms + 40);
    be_the_same(SENTINELS);
    look_at(now_ms + 100);
    check_page(HTTP_PAGE_STATUS_TEXT, "short.txt");
    check_page(HTTP_PAGE_STATUS, "short.json");
    check_page(HTTP_PAGE_EXPLANATION, "short.explain.txt");
}

/* One client waits in each role, for a millisecond; one was refused. */
static void test_one_of_each(void **state)
{
    int64_t now_ms = START + 5000 + LIFE;
    const struct service_waiting one = {.count = 1, .oldest_ms = now_ms};

    (void)state;
    make_world(1, 1);
    vote(0, 7, "10.0.0.1:6379", now_ms - LIFE);
    service_review(services[0], now_ms);
    service_note_refusal(services[0]);
    service_note_waiting(services[0], SERVICE_ROLE_MASTER, &one);
    service_note_waiting(services[0], SERVICE_ROLE_REPLICA, &one);
    look_at(now_ms + 1);
    check_page(HTTP_PAGE_STATUS_TEXT, "one.txt");
    check_page(HTTP_PAGE_STATUS, "one.json");
    check_page(HTTP_PAGE_METRICS, "one.metrics");
}

/* More than are shown in full, and all is well. */
static void test_a_few_more_are_well(void **state)
{
    enum { MANY = 2 * PAGE_PIECE + 2 };
    const struct voter_group *many[MANY]; /* one of them again and again */
    int64_t now_ms = START + 5000;

    (void)state;
    group_names[NODES] = "e";
    make_world(4, 1);
    group_names[NODES] = "east";
    for (size_t i = 0; i < 5; i++)
        vote(i, 7, "10.0.0.1:6379", now_ms);
    look_at(now_ms + 100);
    check_page(HTTP_PAGE_STATUS_TEXT, "more.txt");
    for (size_t i = 0; i < MANY; i++)
        many[i] = groups[i == 0 ? SENTINELS : NODES];
    status.groups = many;
    status.group_count = MANY;
    be_the_same(NODES); /* an alarm that is counted for each */
    check_page(HTTP_PAGE_STATUS_TEXT, "groups.txt");
}

/* More than are shown in full. Some in the middle are in trouble, more than one has an alarm. */
static void test_many_services(void **state)
{
    int64_t now_ms = START + 5000;

    (void)state;
    make_world(SERVICES_MAX - 2, 2);
    for (size_t i = 0; i < SERVICES_MAX; i++) {
        if (i % 10 == 3)
            vote_for_none(i, 0, QUORUM_UNKNOWN_NAME, now_ms);
        else if (i % 10 != 5)
            vote(i, 7, "10.0.0.1:6379", now_ms);
        if (i % 7 == 0)
            service_note_given_up(services[i], SERVICE_ROLE_MASTER, (int64_t)(1000 + i), now_ms);
    }
    voter_group_lost(groups[NODES], 1, &refused, now_ms + 100);
    be_the_same(NODES);
    ask_stranger("x", now_ms + 100);
    runtime_health_note_trial(&apis[0], NULL, 0, now_ms);
    status.is_reload_good = false;
    look_at(now_ms + 500);
    check_page(HTTP_PAGE_STATUS_TEXT, "many.txt");
    check_page(HTTP_PAGE_EXPLANATION, "many.explain.txt");
    for (size_t i = 0; i < SERVICES_MAX; i++)
        vote_for_none(i, 1, QUORUM_UNKNOWN_NAME, now_ms);
    look_at(now_ms + LIFE);
    for (size_t i = 0; i < SERVICES_MAX; i++)
        service_review(services[i], now_ms + LIFE);
    check_page(HTTP_PAGE_STATUS_TEXT, "all-in-trouble.txt");
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_at_the_start), TEST(test_all_is_well),         TEST(test_much_is_wrong),
        TEST(test_the_past),     TEST(test_a_few_more_are_well), TEST(test_many_services),
        TEST(test_short_words),  TEST(test_one_of_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
