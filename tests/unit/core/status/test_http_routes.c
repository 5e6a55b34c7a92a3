/*
 * Answers over HTTP: never by a decision that has run out, however late the timers are; and what they tell.
 */
#include "spoa/core/base/metrics.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/haproxy/runtime_health.h"
#include "spoa/core/observers/history.h"
#include "spoa/core/status/http_routes.h"
#include "spoa/core/status/page_cursor.h"
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

#define START 100000
#define LIFE 2000
#define DAY_MS ((int64_t)20000 * 86400000) /* of START, in Unix time */
#define IDENTITY "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct service_server servers[2];
static struct service_settings settings;
static struct service *service;
static uint8_t identities[1];
static struct voter_group *group;
static struct service_table *table;
static struct metrics metrics;
static struct history history;
static struct runtime_health api;
static struct addr api_addr;

static const char *name = "m"; /* of the service */

static int set_up(void **state)
{
    static const char *const names[] = {"s0"};

    (void)state;
    servers[0].name = "R1";
    servers[1].name = "R2";
    assert_true(addr_parse(span_of_text("10.0.0.1:6379"), &servers[0].addr));
    assert_true(addr_parse(span_of_text("10.0.0.2:6379"), &servers[1].addr));
    settings = (struct service_settings){
        .name = name,
        .monitor = "m",
        .servers = servers,
        .server_count = 2,
        .park_ms = 2500,
        .quorum = {.identities = identities,
                   .voters = 1,
                   .threshold = 1,
                   .reply_timeout_ms = 500,
                   .vote_life_ms = LIFE},
    };
    service = service_create(&settings, START);
    const struct voter_group_options options = {.name = "",
                                                .voter_count = 1,
                                                .voter_names = names,
                                                .services = &service,
                                                .service_count = 1,
                                                .identities = identities,
                                                .metrics = &metrics};
    group = voter_group_create(&options, START);
    assert_non_null(group);
    const struct service_event ballot = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_NAMES, .addr = &servers[0].addr, .t_sent_ms = START};
    voter_group_identify(group, 0, span_of_text(IDENTITY), START);
    (void)voter_group_step(group, 0, &ballot, START);
    table = service_table_create(NULL);
    assert_true(service_table_add(table, service));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    service_table_destroy(table);
    voter_group_destroy(group);
    service_destroy(service);
    return 0;
}

static bool is_limited; /* the client that asks */
static const char *token;
static const char *authorization;

/* The code of a GET at that time; what was answered goes to `text`, if it is wanted. */
static unsigned get_text(const char *path, int64_t now_ms, char *text, size_t size)
{
    const struct voter_group *const groups[] = {group};
    const struct status status = {.version = "",
                                  .revision = "",
                                  .metrics = &metrics,
                                  .history = &history,
                                  .table = table,
                                  .unknown = service_table_unknown(table),
                                  .groups = groups,
                                  .group_count = 1,
                                  .apis = &api,
                                  .api_count = 1,
                                  .is_reload_good = true,
                                  .now_unix_ms = now_ms - START + DAY_MS,
                                  .now_ms = now_ms};
    const struct http_request request = {.method = "GET",
                                         .path = path,
                                         .is_limited = is_limited,
                                         .token = token,
                                         .authorization = authorization};
    struct http_answer answer;

    struct page_cursor cursor = {.section = 0};

    http_respond(&status, &request, &answer);
    while (answer.page != HTTP_PAGE_NONE && http_page_write(answer.page, &status, &cursor, &answer.body))
        continue;
    if (text != NULL)
        snprintf(text, size, "%s", answer.body.data != NULL ? answer.body.data : "");
    text_finish(&answer.body);
    assert_true(answer.is_token_wanted == (answer.code == HTTP_UNAUTHORIZED));
    return answer.code;
}

static unsigned get(const char *path, int64_t now_ms)
{
    return get_text(path, now_ms, NULL, 0);
}

static int set_up_with_a_slash(void **state)
{
    name = "a/b";
    int status = set_up(state);
    name = "m";
    return status;
}

/* The name of a service may have a '/', that of a server has none. */
static void test_service_with_a_slash(void **state)
{
    (void)state;
    assert_int_equal(get("/master/a/b", START), HTTP_OK);
    assert_int_equal(get("/master/a/b/", START), HTTP_OK);
    assert_int_equal(get("/master/a/b/R1", START), HTTP_OK);
    assert_int_equal(get("/master/a/b/R2", START), HTTP_UNAVAILABLE);
    assert_int_equal(get("/replica/a/b", START), HTTP_UNAVAILABLE);
    assert_int_equal(get("/master/a", START), HTTP_NOT_FOUND);
    assert_int_equal(get("/master/b", START), HTTP_NOT_FOUND);
    assert_int_equal(get("/master/a/c/R1", START), HTTP_NOT_FOUND);
    assert_int_equal(get("/master/", START), HTTP_NOT_FOUND);
}

static void test_a_decision_that_has_run_out(void **state)
{
    static const char *const paths[] = {"/master/m", "/readyz"};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        assert_int_equal(get(paths[i], START + LIFE - 1), HTTP_OK);
        assert_int_equal(get(paths[i], START + LIFE), HTTP_UNAVAILABLE); /* nobody has reviewed it */
    }
    assert_int_equal(get("/master/m/R1", START + LIFE - 1), HTTP_OK);
    assert_int_equal(get("/master/m/R1", START + LIFE), HTTP_NOT_FOUND);
    assert_int_equal(get("/healthz", START + LIFE), HTTP_OK);
}

static void say_master(const char *addr_text, int64_t now_ms)
{
    struct addr addr;
    assert_true(addr_parse(span_of_text(addr_text), &addr));
    const struct service_event ballot = {
        .kind = SERVICE_SAID_MASTER, .ballot = QUORUM_NAMES, .addr = &addr, .t_sent_ms = now_ms};

    (void)voter_group_step(group, 0, &ballot, now_ms);
}

/* Where nobody is named the sessions to the server named last are left alone: 404. 503 is for sessions to the wrong node. */
static void test_nobody_is_named(void **state)
{
    const int64_t later = START + LIFE;

    (void)state;
    service_review(service, later);
    assert_int_equal(get("/master/m", later), HTTP_UNAVAILABLE);
    assert_int_equal(get("/master/m/R1", later), HTTP_NOT_FOUND);
    assert_int_equal(get("/master/m/R2", later), HTTP_UNAVAILABLE);
    assert_int_equal(get("/replica/m/R2", later), HTTP_NOT_FOUND);
    say_master("10.0.0.2:6379", later + 1);
    assert_int_equal(get("/master/m/R1", later + 1), HTTP_UNAVAILABLE);
    assert_int_equal(get("/master/m/R2", later + 1), HTTP_OK);
    say_master("10.0.0.9:6379", later + 2); /* no server has it, and R2 has been replaced */
    assert_int_equal(get("/master/m/R2", later + 2), HTTP_UNAVAILABLE);
}

static int set_up_with_a_fence(void **state)
{
    int status = set_up(state);
    settings.policy.fence_ms = 100;
    return status;
}

static void test_a_fence_closes(void **state)
{
    const int64_t later = START + LIFE;

    (void)state;
    service_review(service, later);
    assert_int_equal(get("/master/m/R1", later + 99), HTTP_NOT_FOUND);
    service_review(service, later + 100);
    assert_int_equal(get("/master/m/R1", later + 100), HTTP_UNAVAILABLE);
}

/* A HAProxy that cannot cut, in all forms of the status. */
static void test_apis_are_shown(void **state)
{
    static char text[64 * 1024];

    (void)state;
    assert_true(addr_parse(span_of_text("unix:/run/m.sock"), &api_addr));
    runtime_health_init(&api, &api_addr, true);
    runtime_health_note_trial(&api, NULL, 0, START);
    assert_int_equal(get_text("/status.txt", START, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "\nHAProxy\n    ● master:unix:/run/m.sock  sessions can be cut\n"));
    assert_int_equal(get_text("/metrics", START, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "\nredis_spoa_runtime_api_up{api=\"master:unix:/run/m.sock\"} 1\n"));
    runtime_health_note_trial(&api, "Permission denied", 2, START);
    runtime_health_note_trial(&api, "Permission denied", 2, START + 5000);
    assert_int_equal(get_text("/status.txt", START, text, sizeof(text)), HTTP_OK);
    assert_non_null(
        strstr(text, "\nHAProxy\n    ✖ master:unix:/run/m.sock  cannot cut sessions: Permission denied · "
                     "2 cuts owed\n    ▲ runtime-api: the agent cannot"));
    assert_int_equal(get_text("/status", START, text, sizeof(text)), HTTP_OK);
    assert_non_null(
        strstr(text, "\"apis\":[{\"api\":\"master:unix:/run/m.sock\",\"up\":false,\"reason\":\"Permission "
                     "denied\",\"owed\":2,\"alarms\":[{\"alarm\":\"runtime-api\""));
    assert_int_equal(get_text("/metrics", START, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "\nredis_spoa_runtime_api_up{api=\"master:unix:/run/m.sock\"} 0\n"));
    assert_non_null(strstr(text, "\nredis_spoa_runtime_api_owed{api=\"master:unix:/run/m.sock\"} 2\n"));
    assert_non_null(strstr(
        text, "\nredis_spoa_runtime_api_alarm{api=\"master:unix:/run/m.sock\",alarm=\"runtime-api\"} 1\n"));
}

/* A switch, when it was told, cut and first answered, in both forms of the status. */
static void test_switches_are_shown(void **state)
{
    static char text[32 * 1024];
    struct history_watch watch;

    (void)state;
    history = (struct history){.count = 0};
    history_watch_service(&watch, &history, service);
    const struct service_event ballot = {.kind = SERVICE_SAID_MASTER,
                                         .ballot = QUORUM_NAMES,
                                         .addr = &servers[1].addr,
                                         .t_sent_ms = START + 100};
    (void)voter_group_step(group, 0, &ballot, START + 100);
    history_note_cut(&history, "m", "R1", START + 105);
    service_note_first_answer(service, START + 120);
    assert_int_equal(get_text("/status", START + 200, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "\"park-ms\":2500"));
    assert_non_null(strstr(text, "10.0.0.2:6379"));
    assert_non_null(strstr(text, "\"R2\""));
    assert_int_equal(get_text("/status.txt", START + 200, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text,
                           "\nLast switches and outages\n    00:00:00 UTC, 100 ms ago  m: R1 → R2 in 0 ms, "
                           "sessions cut after 5 ms\n"));
}

/* Our own link to the master broke: that is said everywhere, and nothing is closed for it. */
static void test_a_doubt_is_shown(void **state)
{
    static char text[64 * 1024];

    (void)state;
    settings.park_ms = 500;
    (void)step_link(service, SERVICE_LINK_CLOSED, &servers[0].addr, 0, START + 10);
    assert_int_equal(get("/readyz", START + 20), HTTP_OK);
    assert_int_equal(get_text("/master/m/R1", START + 20, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "\"state\":\"doubted\""));
    assert_int_equal(get_text("/status", START + 20, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "\"state\":\"doubted\",\"reason\":\"closed\",\"server\":\"R1\""));
    assert_int_equal(get_text("/status.txt", START + 20, text, sizeof(text)), HTTP_OK);
    assert_memory_equal(text, "▲ m: R1 is not answering: clients wait\n", 40);
    assert_non_null(strstr(text, "\n    10.0.0.1:6379 · 1 of 1 votes, 1 needed · closed · since "));
    assert_int_equal(get_text("/status", START + 20, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "\"outage\":{\"felt\":false,\"state\":\"doubted\""));
    assert_int_equal(get_text("/metrics", START + 20, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "\nredis_spoa_service_state{service=\"m\",state=\"doubted\"} 1\n"));
    assert_non_null(strstr(text, "\nredis_spoa_service_state{service=\"m\",state=\"ok\"} 0\n"));
    assert_non_null(strstr(text, "\nredis_spoa_master_agreed{service=\"m\"} 1\n"));
    assert_non_null(strstr(text, "\nredis_spoa_master_info{service=\"m\",server=\"R1\""));
}

static void test_details_of_alarms_are_shown(void **state)
{
    static char text[64 * 1024];

    (void)state;
    service_note_given_up(service, SERVICE_ROLE_MASTER, 2000, START + 10);
    assert_int_equal(get_text("/status", START + 20, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "\"detail\":\"after about 2000 ms, 'park' may be"));
    assert_int_equal(get_text("/status.txt", START + 20, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "\n      after about 2000 ms, 'park' may be"));
}

/* Who waits, the outage that goes on, and the last one. */
static void test_outages_are_shown(void **state)
{
    static char text[64 * 1024];
    const struct service_waiting some = {.count = 2, .oldest_ms = START + 5000};
    const struct service_waiting none = {.count = 0};
    struct history_watch watch;

    (void)state;
    history = (struct history){.count = 0};
    history_watch_service(&watch, &history, service);
    service_review(service, START + LIFE);
    service_note_waiting(service, SERVICE_ROLE_MASTER, &some);
    service_note_refusal(service);
    assert_int_equal(get_text("/status", START + 6500, text, sizeof(text)), HTTP_OK);
    assert_non_null(
        strstr(text, "\"waiting\":2,\"oldest-wait-ms\":1500,\"replica-waiting\":0,"
                     "\"replica-oldest-wait-ms\":null,\"outage\":{\"felt\":true,\"state\":\"no-quorum\","));
    assert_non_null(strstr(text, "\"waited\":2,\"refused\":1,\"longest-wait-ms\":1500}"));
    assert_non_null(strstr(text, "\"outages\":[]"));
    assert_int_equal(get_text("/status.txt", START + 6500, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text,
                           "✖ m: Too few Sentinels answer: 2 clients wait, the first for 1.5 s; each is "
                           "refused after 2.5 s\n    0 of 1 votes, 1 needed · unreachable · "
                           "1 client refused · since 00:00:02 UTC, for 4.5 s\n"));
    assert_int_equal(get_text("/metrics", START + 6500, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "\nredis_spoa_service_waiting{service=\"m\",role=\"master\"} 2\n"));
    assert_non_null(
        strstr(text, "\nredis_spoa_service_oldest_wait_seconds{service=\"m\",role=\"master\"} 1.500\n"));
    assert_non_null(strstr(text, "\nredis_spoa_service_outages_total{service=\"m\"} 0\n"));
    say_master("10.0.0.1:6379", START + 7000);
    service_note_waiting(service, SERVICE_ROLE_MASTER, &none);
    assert_int_equal(get_text("/status", START + 7500, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "\"waiting\":0,\"oldest-wait-ms\":null,"));
    assert_non_null(strstr(text, "\"outage\":null"));
    assert_non_null(
        strstr(text, "\"outages\":[{\"service\":\"m\",\"state\":\"no-quorum\",\"reason\":\"unreachable\","));
    assert_int_equal(get_text("/status.txt", START + 9000, text, sizeof(text)), HTTP_OK);
    assert_non_null(
        strstr(text, "\n    00:00:07 UTC, 2.0 s ago  m: 5.0 s without a master (no-quorum, unreachable), "
                     "2 clients waited, 2.0 s at most, 1 refused\n"));
    assert_int_equal(get_text("/metrics", START + 7500, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "\nredis_spoa_service_outages_total{service=\"m\"} 1\n"));
    assert_non_null(strstr(text, "\nredis_spoa_service_outage_seconds_total{service=\"m\"} 5.000\n"));
}

/* Why a Sentinel has no vote, and what each node said of itself, in both forms of the status. */
static void test_voters_and_nodes_are_shown(void **state)
{
    static char text[64 * 1024];
    const struct conversation_loss loss = {.reason = "Connection refused", .end = CONVERSATION_END_REFUSED};
    const struct service_event word = {.kind = SERVICE_NODE_WORD,
                                       .addr = &servers[1].addr,
                                       .saying = NODE_SAYS_REPLICA,
                                       .words = span_of_text("10.0.0.1:6379")};

    (void)state;
    voter_group_lost(group, 0, &loss, START + 100);
    (void)voter_group_step(group, 0, &word, START + 200);
    (void)voter_group_step(group, 0, &word, START + 300);
    assert_int_equal(get_text("/status", START + 400, text, sizeof(text)), HTTP_OK);
    assert_non_null(
        strstr(text, "\"fault\":\"Connection refused\",\"fault-ms\":300,\"addr\":\"10.0.0.1:6379\""));
    assert_non_null(strstr(text,
                           "\"nodes\":[{\"server\":\"R1\",\"addr\":\"10.0.0.1:6379\",\"says\":\"not-asked\","
                           "\"words\":\"\",\"age-ms\":null,\"since-ms\":null},"));
    assert_non_null(strstr(text, "{\"server\":\"R2\",\"addr\":\"10.0.0.2:6379\",\"says\":\"replica\","
                                 "\"words\":\"10.0.0.1:6379\",\"age-ms\":100,\"since-ms\":200}]"));
    assert_int_equal(get_text("/status.txt", START + 400, text, sizeof(text)), HTTP_OK);
    assert_non_null(
        strstr(text, "\n    ✖ s0                      names R1          400 ms ago, Connection refused, "
                     "for 300 ms\n"));
    assert_non_null(strstr(text, "\n    ● R1        10.0.0.1:6379           not asked\n"));
    assert_non_null(strstr(text,
                           "\n      R2        10.0.0.2:6379           replica of 10.0.0.1:6379, for 100 ms, "
                           "100 ms ago\n"));
    say_master("10.0.0.1:6379", START + 500);
    assert_int_equal(get_text("/status", START + 500, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "\"fault\":\"\",\"fault-ms\":null,"));
}

/* ---- many services ---- */

#define MANY 40

static const char *find(const char *text, const char *words)
{
    const char *found = strstr(text, words);

    if (found == NULL)
        print_message("'%s' is missing in:\n%s", words, text);
    assert_non_null(found);
    return found;
}

/* The text of so many services. The last but one has no master, the last one an alarm. */
static void get_many(size_t count, char *text, size_t size)
{
    static char many_names[MANY][24];
    static struct service_settings many_settings[MANY];
    struct service *many[MANY];
    static const char *const voters[] = {"s0"};
    struct voter_group *one_group = group;

    for (size_t i = 0; i < count; i++) {
        snprintf(many_names[i], sizeof(many_names[i]), "m%zu", i);
        many_settings[i] = settings;
        many_settings[i].name = many_names[i];
        many[i] = service_create(&many_settings[i], START);
    }
    const struct voter_group_options options = {.name = "",
                                                .voter_count = 1,
                                                .voter_names = voters,
                                                .services = many,
                                                .service_count = count,
                                                .identities = identities,
                                                .metrics = &metrics};
    group = voter_group_create(&options, START);
    voter_group_identify(group, 0, span_of_text(IDENTITY), START);
    for (size_t i = 0; i < count; i++) {
        const struct service_event ballot = {.kind = SERVICE_SAID_MASTER,
                                             .ballot = i + 2 == count ? QUORUM_UNKNOWN_NAME : QUORUM_NAMES,
                                             .addr = &servers[0].addr,
                                             .t_sent_ms = START};
        (void)voter_group_step(group, i, &ballot, START);
    }
    service_note_given_up(many[count - 1], SERVICE_ROLE_MASTER, 100, START);
    (void)get_text("/status.txt", START, text, size);
    voter_group_destroy(group);
    for (size_t i = 0; i < count; i++)
        service_destroy(many[i]);
    group = one_group;
}

/* Those in trouble come first and in full, then each has a line. */
static void test_many_services(void **state)
{
    static char text[64 * 1024];

    (void)state;
    get_many(MANY, text, sizeof(text));
    /* The sentence over everything is that of the only one in trouble. */
    const char *full = find(text, "▲ m38: The Sentinels know no master of this name: clients wait\n"
                                  "    0 of 1 votes");
    const char *alarms = find(text, "\nAlarms: what to do\n    ▲ voter-count (Sentinels): one Sentinel, ");
    (void)find(alarms, "\n    ▲ park-timeout (m39): HAProxy gives up clients");
    const char *first =
        find(text, "\nServices\n● m0                    R1 is the master · 1/1 votes\n● m1  ");
    const char *same = find(text, "\n▲ m38                   The Sentinels know no master of this name: "
                                  "clients wait");
    const char *last = find(text, "\n▲ m39                   R1 is the master · 1/1 votes · alarms: "
                                  "park-timeout\n\nWho is asked\n    ● s0");
    assert_true(full == text && full < alarms && alarms < first && first < same && same < last);
    assert_null(strstr(text, "m0:"));
    assert_null(strstr(alarms + 20, "what to do"));
}

/* Few are all shown in full. */
static void test_few_services(void **state)
{
    static char text[64 * 1024];

    (void)state;
    get_many(3, text, sizeof(text));
    const char *sum = find(text, "▲ m1: The Sentinels know no master of this name: clients wait\n");
    const char *first =
        find(text, "\n● m0: R1 is the master\n    10.0.0.1:6379 · 1 of 1 votes, 1 needed · since ");
    const char *last = find(text, "\n▲ m2: R1 is the master\n");
    const char *alarm = find(text, "\n    ▲ park-timeout: HAProxy gives up clients");
    assert_true(sum == text && sum < first && first < last && last < alarm);
    assert_null(strstr(text, "Who is asked"));
}

/* One service by its name, or all. */
static void test_explanations(void **state)
{
    static char text[64 * 1024];

    (void)state;
    assert_int_equal(get_text("/explain/m", START, text, sizeof(text)), HTTP_OK);
    assert_int_equal(strncmp(text, "m: R1 (10.0.0.1:6379) is the master.\n", 37), 0);
    assert_int_equal(get_text("/explain.txt", START, text, sizeof(text)), HTTP_OK);
    assert_int_equal(strncmp(text, "m: R1 (10.0.0.1:6379) is the master.\n", 37), 0);
    assert_int_equal(get_text("/explain/other", START, text, sizeof(text)), HTTP_NOT_FOUND);
    assert_string_equal(text, "no such service\n");
    assert_int_equal(get("/explain/", START), HTTP_NOT_FOUND);
    assert_int_equal(get("/explain", START), HTTP_NOT_FOUND);
}

static void test_other_paths_and_methods(void **state)
{
    (void)state;
    assert_int_equal(get("/nowhere", START), HTTP_NOT_FOUND);
    assert_int_equal(get("/master/other", START), HTTP_NOT_FOUND);
    assert_int_equal(get("/master/m/R9", START), HTTP_UNAVAILABLE);
    assert_int_equal(get("/master/m/R2", START), HTTP_UNAVAILABLE);
    assert_int_equal(get("/replica/m", START), HTTP_UNAVAILABLE);
    assert_int_equal(get("/metrics", START), HTTP_OK);
    assert_int_equal(get("/", START), HTTP_OK);
}

/* Health checks, and nothing that tells anything of the services. */
static void test_who_is_limited(void **state)
{
    static const char *const others[] = {"/explain.txt", "/explain/m",  "/",         "/metrics",
                                         "/status",      "/status.txt", "/master/m", "/replica/m",
                                         "/healthz/",    "/healthzz",   "/x",        ""};

    (void)state;
    is_limited = true;
    assert_int_equal(get("/healthz", START), HTTP_OK);
    assert_int_equal(get("/readyz", START), HTTP_OK);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        assert_int_equal(get(others[i], START), HTTP_FORBIDDEN);
    is_limited = false;
    assert_int_equal(get("/metrics", START), HTTP_OK);
}

/* Whoever does not send it is answered health checks only. */
static void test_a_token(void **state)
{
    static const char *const wrong[] = {
        NULL,
        "",
        "Bearer",
        "Bearer ",
        "Bearer secre",
        "Bearer secrets",
        "Bearer Secret",
        "Bearer xxxxxx",
        "Bearer  secret",
        "Basic secret",
        "secret",
    };

    (void)state;
    token = "secret";
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        authorization = wrong[i];
        assert_int_equal(get("/status", START), HTTP_UNAUTHORIZED);
        assert_int_equal(get("/x", START), HTTP_UNAUTHORIZED);
        assert_int_equal(get("/healthz", START), HTTP_OK);
        assert_int_equal(get("/readyz", START), HTTP_OK);
    }
    authorization = "Bearer secret";
    assert_int_equal(get("/status", START), HTTP_OK);
    assert_int_equal(get("/x", START), HTTP_NOT_FOUND);
    authorization = "bEARER secret";
    assert_int_equal(get("/metrics", START), HTTP_OK);
    is_limited = true;
    assert_int_equal(get("/metrics", START), HTTP_FORBIDDEN);
    is_limited = false;
    token = NULL;
    authorization = "Bearer whatever";
    assert_int_equal(get("/metrics", START), HTTP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_service_with_a_slash, set_up_with_a_slash, tear_down),
        cmocka_unit_test_setup_teardown(test_a_decision_that_has_run_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_fence_closes, set_up_with_a_fence, tear_down),
        cmocka_unit_test_setup_teardown(test_apis_are_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_doubt_is_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_details_of_alarms_are_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_voters_and_nodes_are_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_outages_are_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_switches_are_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_services, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_few_services, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_is_limited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_explanations, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_paths_and_methods, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
