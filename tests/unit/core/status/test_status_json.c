/* The whole of /status, word for word: each field that a reader may rely on, with a value of its own. */
#include "tests/unit/core/status/status_fixture.h"

#include "spoa/core/base/text.h"

#define NOW (START + LIFE + 1500)

static struct addr api_addr;
static struct history_watch watch;

/* What stands before and behind the counters. */
static const char before[] =
    "{\"pid\":7,\"version\":\"1.2\",\"revision\":\"abc\",\"now\":1728000003500,"
    "\"started\":1728000000000,\"configured\":1728000000010,\"ready\":true,\"stopping\":false,"
    "\"reloads-asked\":5,\"reload-open\":true,\"last-reload-good\":false,"
    "\"last-reload-error\":\"line 7\",\"connections\":3,\"parked\":4,\"alarms\":[],\"counters\":{";

static const char behind[] =
    "},\"services\":[{\"service\":\"m\",\"tone\":\"good\",\"headline\":\"R2 is the master\","
    "\"state-sentence\":\"R2 is the master\",\"feeling\":\"\","
    "\"reasons\":\"10.0.0.2:6379 · 1 of 1 votes, 1 needed · since 00:00:03 UTC, for 500 ms\","
    "\"voters-are\":\"Sentinels\",\"monitor\":\"m\",\"state\":\"ok\",\"reason\":\"\",\"server\":\"R2\","
    "\"addr\":\"10.0.0.2:6379\",\"named\":true,\"waits\":false,\"fenced\":false,\"waiting\":0,"
    "\"oldest-wait-ms\":null,\"replica-waiting\":0,\"replica-oldest-wait-ms\":null,"
    "\"outage\":null,\"votes\":1,\"quorum\":1,\"voters\":1,\"generation\":2,\"vote-life-ms\":2000,"
    "\"park-ms\":2500,\"down-after-ms\":0,\"switched\":1728000003000,\"replicas\":[],\"nodes\":[{"
    "\"server\":\"R1\",\"addr\":\"10.0.0.1:6379\",\"says\":\"not-asked\",\"words\":\"\",\"age-ms\":null,"
    "\"since-ms\":null,\"named\":false},{\"server\":\"R2\",\"addr\":\"10.0.0.2:6379\","
    "\"says\":\"replica\",\"words\":\"10.0.0.1:6379\",\"age-ms\":400,\"since-ms\":400,\"named\":true}],"
    "\"alarms\":[],\"sentinels\":[{\"sentinel\":\"s0\",\"says\":\"names\",\"error\":\"\",\"fault\":\"\","
    "\"fault-ms\":null,\"addr\":\"10.0.0.2:6379\",\"server\":\"R2\",\"age-ms\":500,"
    "\"silence-ms\":null}]}],\"groups\":[{\"group\":\"\",\"voters-are\":\"Sentinels\",\"alarms\":[{"
    "\"alarm\":\"voter-count\","
    "\"meaning\":\"one Sentinel is configured, or an even number of them: the last one may fail, and adds no "
    "safety. Configure three or five\","
    "\"detail\":\"1 configured\"}],\"sentinels\":[{\"sentinel\":\"s0\",\"tone\":\"good\","
    "\"myid\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"up\":true,\"error\":\"\",\"fault\":\"\","
    "\"fault-ms\":null}]}],\"apis\":[{\"api\":\"10.0.0.9:9999\",\"up\":true,\"reason\":\"\",\"owed\":0,"
    "\"alarms\":[],\"tone\":\"good\",\"sentence\":\"sessions can be cut\"}],\"switches\":[{"
    "\"service\":\"m\",\"old-server\":\"R1\",\"new-server\":\"R2\",\"old-addr\":\"10.0.0.1:6379\","
    "\"new-addr\":\"10.0.0.2:6379\",\"generation\":2,\"suspected\":1728000002000,"
    "\"named\":1728000003000,\"cut\":1728000003005,\"first-answer\":1728000003020,"
    "\"sentence\":\"m: R1 → R2 in 1.0 s, 2 clients waited, 900 ms at most, 1 refused, sessions cut after 1.0 "
    "s\","
    "\"state\":\"no-quorum\",\"reason\":\"unreachable\"}],\"outages\":[{\"service\":\"m\","
    "\"state\":\"no-quorum\",\"reason\":\"unreachable\",\"old-server\":\"R1\",\"new-server\":\"R2\","
    "\"old-addr\":\"10.0.0.1:6379\",\"new-addr\":\"10.0.0.2:6379\",\"begun\":1728000002000,"
    "\"down\":null,\"ended\":1728000003000,\"waited\":2,\"refused\":1,\"longest-wait-ms\":900,"
    "\"sentence\":\"m: 1.0 s without a master (no-quorum, unreachable), 2 clients waited, 900 ms at most, 1 "
    "refused\"}],"
    "\"tone\":\"wait\",\"headline\":\"R2 is the master; 1 alarm; the last reload failed\","
    "\"headline-service\":\"m\",\"alarm-groups\":[{\"alarm\":\"voter-count\",\"tone\":\"wait\","
    "\"meaning\":\"one Sentinel is configured, or an even number of them: the last one may fail, and adds no "
    "safety. Configure three or five\","
    "\"count\":1,\"names\":[\"Sentinels\"]}],"
    "\"quarters\":"
    "\"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnw\","
    "\"newest-quarter-begun\":1727999900000,"
    "\"quarters-sentence\":\"1 outage since the agent started 3.5 s ago\"}\n";

/* Nobody answers for a second, in which clients wait and one is refused; then R2 is named, and R1's sessions are cut. */
static void live(void)
{
    const struct service_waiting waiting = {.count = 2, .oldest_ms = START + LIFE + 100};
    const struct service_waiting none = {.count = 0};
    const struct service_event word = {.kind = SERVICE_NODE_WORD,
                                       .addr = &servers[1].addr,
                                       .saying = NODE_SAYS_REPLICA,
                                       .words = span_of_text("10.0.0.1:6379")};

    history = (struct history){.count = 0};
    assert_true(addr_parse(span_of_text("10.0.0.9:9999"), &api_addr));
    runtime_health_init(&api, &api_addr, false);
    runtime_health_note_trial(&api, NULL, 0, START);
    history_watch_service(&watch, &history, service);
    service_review(service, START + LIFE);
    service_note_waiting(service, SERVICE_ROLE_MASTER, &waiting);
    service_note_refusal(service);
    say_master("10.0.0.2:6379", START + LIFE + 1000);
    service_note_waiting(service, SERVICE_ROLE_MASTER, &none);
    history_note_cut(&history, "m", "R1", START + LIFE + 1005);
    service_note_first_answer(service, START + LIFE + 1020);
    (void)voter_group_step(group, 0, &word, START + LIFE + 1100);
}

/* Each counter has a number of its own, from 1 on. */
static void count(struct text *expected)
{
    uint64_t number = 0;

#define X(name, help)                                                                                        \
    metrics.name = ++number;                                                                                 \
    text_printf(expected, "%s\"%s\":%llu", number > 1 ? "," : "", #name, (unsigned long long)number);
    METRICS_COUNTERS(X)
#undef X
}

static void test_the_whole_status(void **state)
{
    const struct voter_group *const groups[] = {group};
    struct page_cursor cursor = {.section = 0};
    struct text expected = {.data = NULL};
    struct text page = {.data = NULL};
    const struct status status = {.pid = 7,
                                  .version = "1.2",
                                  .revision = "abc",
                                  .metrics = &metrics,
                                  .history = &history,
                                  .table = table,
                                  .unknown = service_table_unknown(table),
                                  .groups = groups,
                                  .group_count = 1,
                                  .apis = &api,
                                  .api_count = 1,
                                  .process = {.t_start_unix_ms = DAY_MS},
                                  .reload_error = "line 7",
                                  .reloads_asked = 5,
                                  .is_reload_open = true,
                                  .connections = 3,
                                  .parked = 4,
                                  .t_loaded_ms = START + 10,
                                  .now_unix_ms = NOW - START + DAY_MS,
                                  .now_ms = NOW};

    (void)state;
    live();
    text_add(&expected, before);
    count(&expected);
    text_add(&expected, behind);
    while (http_page_write(HTTP_PAGE_STATUS, &status, &cursor, &page))
        continue;
    assert_string_equal(page.data, expected.data);
    text_finish(&page);
    text_finish(&expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_whole_status, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
