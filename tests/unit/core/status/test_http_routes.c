/*
 * Answers over HTTP: never by a decision that has run out, however late the timers are; and what they tell.
 */
#include "tests/unit/core/status/status_fixture.h"

static struct addr api_addr;

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

static int set_up_with_replicas(void **state)
{
    has_replicas = true;
    servers[0].weight = servers[1].weight = 1;
    int result = set_up(state);
    has_replicas = false;
    return result;
}

static void say_replicas(uint64_t servers_up, int64_t now_ms)
{
    const struct service_event event = {
        .kind = SERVICE_SAID_REPLICAS, .t_sent_ms = now_ms, .addr = &servers[0].addr, .servers = servers_up};

    (void)voter_group_step(group, 0, &event, now_ms);
}

/* Only the servers that are replicas; with a fallback, and without any replica, the master. */
static void test_replicas(void **state)
{
    (void)state;
    say_replicas(2, START);
    assert_int_equal(get("/replica/m", START), HTTP_OK);
    assert_int_equal(get("/replica/m/R2", START), HTTP_OK);
    assert_int_equal(get("/replica/m/R1", START), HTTP_UNAVAILABLE);
    assert_int_equal(get("/replica/m/R9", START), HTTP_UNAVAILABLE);
    assert_int_equal(get("/master/m/R1", START), HTTP_OK);
    assert_int_equal(get("/master/m/R2", START), HTTP_UNAVAILABLE);
    say_replicas(0, START + 1);
    assert_int_equal(get("/replica/m/R2", START + 1), HTTP_UNAVAILABLE);
    assert_int_equal(get("/replica/m/R1", START + 1), HTTP_OK);
    assert_int_equal(get("/replica/m", START + 1), HTTP_OK);
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
    assert_non_null(strstr(text, "}],\"tone\":\"bad\",\"sentence\":\"cannot cut sessions: Permission denied "
                                 "· 2 cuts owed\"}]"));
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
    assert_non_null(strstr(text, "\"sentence\":\"m: R1 → R2 in 0 ms, sessions cut after 5 ms\","
                                 "\"state\":\"\",\"reason\":\"\"}]")); /* nobody felt it */
    assert_int_equal(get_text("/status.txt", START + 200, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "\nLast switches and outages: no outage in 24 hours\n    00:00:00 UTC, 100 "
                                 "ms ago  m: R1 → R2 in 0 ms, "
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
    assert_non_null(
        strstr(text, "\n    10.0.0.1:6379 · 1 of 1 votes, 1 needed · our connection to it ended · since "));
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
    assert_non_null(strstr(text,
                           "{\"service\":\"m\",\"tone\":\"bad\",\"headline\":\"Too few Sentinels "
                           "answer: 2 clients wait, the first for 1.5 s; each is refused after 2.5 s\","
                           "\"state-sentence\":\"Too few Sentinels answer\",\"feeling\":\"2 clients "
                           "wait, the first for 1.5 s; each is refused after 2.5 s\",\"reasons\":\"0 of "
                           "1 votes, 1 needed · 1 client refused · since 00:00:02 UTC, for "
                           "4.5 s\",\"voters-are\":\"Sentinels\","));
    assert_non_null(strstr(text, "\"sentence\":\"Too few Sentinels answer\",\"begun\":"));
    assert_non_null(
        strstr(text, ",\"tone\":\"bad\",\"headline\":\"Too few Sentinels answer: 2 clients wait"));
    assert_non_null(strstr(text, "\"headline-service\":\"m\",\"alarm-groups\":[{\"alarm\":\"voter-count\","
                                 "\"tone\":\"wait\",\"meaning\":\"one Sentinel is configured"));
    assert_non_null(strstr(text, "\"count\":1,\"names\":[\"Sentinels\"]}"));
    assert_non_null(strstr(text, "}],\"quarters\":\"nnnn"));
    assert_non_null(strstr(text, "\"quarters-sentence\":\"1 outage in 24 hours\"}\n"));
    assert_int_equal(get_text("/status.txt", START + 6500, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text,
                           "✖ m: Too few Sentinels answer: 2 clients wait, the first for 1.5 s; each is "
                           "refused after 2.5 s\n    0 of 1 votes, 1 needed · "
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
                           "\"words\":\"\",\"age-ms\":null,\"since-ms\":null,\"named\":true},"));
    assert_non_null(strstr(text,
                           "{\"server\":\"R2\",\"addr\":\"10.0.0.2:6379\",\"says\":\"replica\","
                           "\"words\":\"10.0.0.1:6379\",\"age-ms\":100,\"since-ms\":200,\"named\":false}]"));
    assert_int_equal(get_text("/status.txt", START + 400, text, sizeof(text)), HTTP_OK);
    assert_non_null(
        strstr(text, "\n    ▲ s0                      names R1          400 ms ago, Connection refused, "
                     "for 300 ms\n")); /* it still counts */
    assert_non_null(strstr(text, "\n    ● R1        10.0.0.1:6379           not asked\n"));
    assert_non_null(strstr(text,
                           "\n      R2        10.0.0.2:6379           replica of 10.0.0.1:6379, for 100 ms, "
                           "100 ms ago\n"));
    assert_int_equal(get_text("/status.txt", START + LIFE, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "\n    ✖ s0                      names R1          2.0 s ago, expired, "
                                 "Connection refused, for 1.9 s\n"));
    say_master("10.0.0.1:6379", START + 500);
    assert_int_equal(get_text("/status", START + 500, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "\"fault\":\"\",\"fault-ms\":null,"));
}

/* ---- many services ---- */

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

#define JSON "application/json"
#define TEXT "text/plain; charset=utf-8"
#define MASTER "{\"service\":\"m\",\"state\":\"ok\",\"master\":\"R1\",\"generation\":1}\n"

/* The type, the page or the body, and the header Allow of each answer. */
static void test_what_each_answer_is(void **state)
{
    static const struct {
        const char *method;
        const char *path;
        const char *accept;
        unsigned code;
        const char *type;
        enum http_page page;
        const char *body;
        bool is_methods_allowed;
    } cases[] = {
        {"GET", "/", NULL, HTTP_OK, "text/html; charset=utf-8", HTTP_PAGE_NONE, status_page, false},
        {"GET", "/healthz", NULL, HTTP_OK, TEXT, HTTP_PAGE_NONE, "ok\n", false},
        {"HEAD", "/readyz", NULL, HTTP_OK, JSON, HTTP_PAGE_NONE,
         "{\"ready\":true,\"service\":null,\"reason\":null}\n", false},
        {"GET", "/metrics", NULL, HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", HTTP_PAGE_METRICS, "",
         false},
        {"GET", "/metrics", "text/plain", HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
         HTTP_PAGE_METRICS, "", false},
        {"GET", "/metrics", "a, application/openmetrics-text;version=1.0.0", HTTP_OK,
         "application/openmetrics-text; version=1.0.0; charset=utf-8", HTTP_PAGE_OPENMETRICS, "", false},
        {"GET", "/status", NULL, HTTP_OK, JSON, HTTP_PAGE_STATUS, "", false},
        {"GET", "/status.txt", NULL, HTTP_OK, TEXT, HTTP_PAGE_STATUS_TEXT, "", false},
        {"GET", "/explain.txt", NULL, HTTP_OK, TEXT, HTTP_PAGE_EXPLANATION, "", false},
        {"GET", "/explain/x", NULL, HTTP_NOT_FOUND, TEXT, HTTP_PAGE_NONE, "no such service\n", false},
        {"GET", "/master/m", NULL, HTTP_OK, JSON, HTTP_PAGE_NONE, MASTER, false},
        {"GET", "/replica/m", NULL, HTTP_UNAVAILABLE, JSON, HTTP_PAGE_NONE, MASTER, false},
        {"GET", "/master/x", NULL, HTTP_NOT_FOUND, TEXT, HTTP_PAGE_NONE, "no such service\n", false},
        {"GET", "/replica/x", NULL, HTTP_NOT_FOUND, TEXT, HTTP_PAGE_NONE, "no such service\n", false},
        {"GET", "/x", NULL, HTTP_NOT_FOUND, TEXT, HTTP_PAGE_NONE, "not found\n", false},
        {"OPTIONS", "/x", NULL, HTTP_OK, TEXT, HTTP_PAGE_NONE, "", true},
        {"POST", "/", NULL, HTTP_METHOD_NOT_ALLOWED, TEXT, HTTP_PAGE_NONE, "method not allowed\n", true},
        {"POST", "/healthz", NULL, HTTP_METHOD_NOT_ALLOWED, TEXT, HTTP_PAGE_NONE, "method not allowed\n",
         true},
    };
    const struct voter_group *const groups[] = {group};
    const struct status status = {.groups = groups, .group_count = 1, .now_ms = START};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct http_request request = {
            .method = cases[i].method, .path = cases[i].path, .accept = cases[i].accept};
        struct http_answer answer;
        http_respond(&status, &request, &answer);
        assert_int_equal(answer.code, cases[i].code);
        assert_string_equal(answer.type, cases[i].type);
        assert_int_equal(answer.page, cases[i].page);
        assert_string_equal(answer.body.data != NULL ? answer.body.data : "", cases[i].body);
        assert_int_equal(answer.is_methods_allowed, cases[i].is_methods_allowed);
        text_finish(&answer.body);
    }
}

/* A page that does not exist has nothing to write. */
static void test_no_page(void **state)
{
    const struct status status = {.now_ms = START};
    struct page_cursor cursor = {.section = 0};
    struct text out = {.data = NULL};

    (void)state;
    assert_false(http_page_write(HTTP_PAGE_NONE, &status, &cursor, &out));
    assert_int_equal(out.len, 0);
}

/* A counter's family has its whole name for Prometheus. */
static void test_families_of_metrics(void **state)
{
    static char text[64 * 1024];

    (void)state;
    assert_int_equal(get_text("/metrics", START, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "\n# TYPE redis_spoa_votes_total counter\nredis_spoa_votes_total "));
}

/* Health checks, and nothing that tells anything of the services. */
static void test_who_is_limited(void **state)
{
    static const char *const others[] = {"/explain.txt", "/explain/m",  "/",         "/metrics",
                                         "/status",      "/status.txt", "/master/m", "/replica/m",
                                         "/healthz/",    "/healthzz",   "/x",        ""};
    char text[128];

    (void)state;
    is_limited = true;
    assert_int_equal(get("/healthz", START), HTTP_OK);
    assert_int_equal(get("/readyz", START), HTTP_OK);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        assert_int_equal(get_text(others[i], START, text, sizeof(text)), HTTP_FORBIDDEN);
    assert_string_equal(text,
                        "'allow' does not have this address: it may only ask for /healthz and /readyz\n");
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
    char text[256];

    (void)state;
    token = "secret";
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        authorization = wrong[i];
        assert_int_equal(get_text("/status", START, text, sizeof(text)), HTTP_UNAUTHORIZED);
        assert_memory_equal(text, "a token is asked for: ", 22);
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
        cmocka_unit_test_setup_teardown(test_replicas, set_up_with_replicas, tear_down),
        cmocka_unit_test_setup_teardown(test_a_fence_closes, set_up_with_a_fence, tear_down),
        cmocka_unit_test_setup_teardown(test_apis_are_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_doubt_is_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_details_of_alarms_are_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_voters_and_nodes_are_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_outages_are_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_switches_are_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_families_of_metrics, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_is_limited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_explanations, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_each_answer_is, set_up, tear_down),
        cmocka_unit_test(test_no_page),
        cmocka_unit_test_setup_teardown(test_other_paths_and_methods, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
