/* What the status says, as text and as JSON: of one service, of few and of many. */
#include "tests/unit/core/status/status_fixture.h"

#include "proto/spop_data.h"
#include "proto/spop_frame.h"
#include "spoa/core/status/sentences.h"

#define MANY 40

/* With what the outage began that the switch ended. */
static void test_a_switch_after_an_outage(void **state)
{
    static char text[64 * 1024];
    struct history_watch watch;

    (void)state;
    history = (struct history){.count = 0};
    history_watch_service(&watch, &history, service);
    service_review(service, START + LIFE);
    say_master("10.0.0.2:6379", START + LIFE + 1000);
    assert_int_equal(get_text("/status", START + LIFE + 1000, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "\"sentence\":\"m: R1 → R2 in 1.0 s, nobody waited, nobody refused\","
                                 "\"state\":\"no-quorum\",\"reason\":\"unreachable\"}],\"outages\":["));
    assert_non_null(strstr(text, "\"sentence\":\"m: 1.0 s without a master (no-quorum, unreachable), nobody "
                                 "waited, nobody refused\"}],\"tone\":"));
}

/* The page of so many services. The last but one has no master, the last one an alarm. */
static void get_page_of_many(const char *path, size_t count, char *text, size_t size)
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
    (void)get_text(path, START, text, size);
    voter_group_destroy(group);
    for (size_t i = 0; i < count; i++)
        service_destroy(many[i]);
    group = one_group;
}

static void get_many(size_t count, char *text, size_t size)
{
    get_page_of_many("/status.txt", count, text, size);
}

/* Nobody has asked for them: the table has no counters of theirs. */
static void test_services_that_nobody_counts(void **state)
{
    static char text[64 * 1024];

    (void)state;
    get_page_of_many("/metrics", 2, text, sizeof(text));
    (void)find(text, "\nredis_spoa_service_answers_total{service=\"m1\",role=\"master\",outcome=\"ok\"} 0\n");
    (void)find(text,
               "\nredis_spoa_service_answers_total{service=\"m1\",role=\"replica\",outcome=\"ok\"} 0\n");
}

/* A master that no server has is among the nodes. */
static void test_any_address(void **state)
{
    static char text[64 * 1024];

    (void)state;
    settings.allow_any_address = true;
    say_master("[2001:db8::9]:6379", START + 10);
    assert_int_equal(get_text("/status", START + 10, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "{\"server\":\"\",\"addr\":\"[2001:db8::9]:6379\",\"says\":\"not-asked\","
                                 "\"words\":\"\",\"age-ms\":null,\"since-ms\":null,\"named\":true}]"));
    assert_null(strstr(strstr(text, "\"nodes\":["), "\"named\":true},"));
    say_master("10.0.0.2:6379", START + 20);
    assert_int_equal(get_text("/status", START + 20, text, sizeof(text)), HTTP_OK);
    assert_non_null(strstr(text, "\"since-ms\":null,\"named\":true}],\"alarms\":"));
    assert_null(strstr(text, "{\"server\":\"\""));
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
    const char *alarms =
        find(text, "\nAlarms: what to do\n    ▲ voter-count (Sentinels): one Sentinel is configured");
    const char *timeout = find(alarms, "\n    ▲ park-timeout (m39): HAProxy gives up clients");
    (void)find(timeout, ", too\n      after about 100 ms, 'park' may be ");
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

/* All of them are in the JSON, which has more than a piece. */
static void test_many_services_as_data(void **state)
{
    static char text[512 * 1024];

    (void)state;
    get_page_of_many("/status", MANY, text, sizeof(text));
    const char *last = find(text, "{\"service\":\"m39\",");
    (void)find(last, "\"quarters-sentence\":");
    assert_string_equal(text + strlen(text) - 2, "}\n");
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
    assert_null(strstr(text, "\n\n\n"));
    assert_int_not_equal(text[strlen(text) - 2], '\n'); /* nothing stands behind an empty line */
}

/* HAProxy asks for a service that is not there. */
static void ask_stranger(void)
{
    const struct spop_value stranger = spop_text(span_of_text("stranger"));
    uint8_t space[100];
    struct sink payload = sink_of(space, sizeof(space));

    spop_name_write(&payload, span_of_text("find-master"));
    sink_put_byte(&payload, 1);
    spop_kv_write(&payload, "service", &stranger);
    service_table_note_unknown(table, span_of(space, (size_t)(payload.at - space)), START);
}

/* What is asked for is told with what to do, among few services and among many. */
static void test_an_unknown_service(void **state)
{
    static const char *const names[] = {"\n    ✖ unknown-service: HAProxy asks for",
                                        "\n    ✖ unknown-service (HAProxy): HAProxy asks for"};
    static const size_t counts[] = {1, MANY};
    static char text[64 * 1024];

    (void)state;
    ask_stranger();
    for (size_t i = 0; i < 2; i++) {
        get_many(counts[i], text, sizeof(text));
        const char *alarm = find(text, names[i]);
        const char *detail = find(alarm, "[service NAME]\n      'stranger' is asked for");
        assert_null(strstr(detail, "unknown-service"));
        assert_true(strstr(text, "stranger") > alarm);
    }
}

/* Above the services, be they few or many. */
static void test_faults_of_the_agent(void **state)
{
    static const size_t counts[] = {1, MANY};
    static char text[64 * 1024];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        is_stopping = true;
        reload_error = "line 7: no such key";
        get_many(counts[i], text, sizeof(text));
        const char *stopping = find(text, "\n▲ The agent is stopping\n");
        (void)find(stopping, "\n▲ The last reload failed: line 7: no such key\n\n");
        is_stopping = false;
        reload_error = NULL;
        get_many(counts[i], text, sizeof(text));
        assert_null(strstr(text, "The agent is stopping"));
        assert_null(strstr(text, "reload failed"));
    }
}

/* An empty line between two services, and none elsewhere. */
static void test_explanations_of_some(void **state)
{
    static char text[64 * 1024];

    (void)state;
    get_page_of_many("/explain.txt", 3, text, sizeof(text));
    assert_memory_equal(text, "m0: ", 4);
    (void)find(text, "    1 of 1 Sentinel names it, 1 is needed.");
    const char *second = find(text, "\n\nm1: ");
    const char *third = find(second, "\n\nm2: ");
    assert_ptr_equal(strstr(text, "\n\n"), second);
    assert_ptr_equal(strstr(second + 2, "\n\n"), third);
    assert_null(strstr(third + 2, "\n\n"));
}

/* What may be over soon is no fault before the first client has waited for as long as it may. */
static void test_tones(void **state)
{
    (void)state;
    service_review(service, START + LIFE);
    assert_int_equal(service_tone(service, START + LIFE + 2499), TONE_WAIT);
    assert_int_equal(service_tone(service, START + LIFE + 2500), TONE_BAD);
    say_master("10.0.0.1:6379", START + LIFE + 3000);
    assert_int_equal(service_tone(service, START + LIFE + 3000), TONE_GOOD);
    say_master("10.0.0.9:6379", START + LIFE + 3001); /* the map lacks it: that does not end by itself */
    assert_int_equal(service_tone(service, START + LIFE + 3001), TONE_BAD);
}

/* The next section begins at the beginning, wherever the last one ended. */
static void test_a_cursor(void **state)
{
    struct page_cursor cursor = {.section = 2, .group = 0, .service = 1};

    (void)state;
    assert_false(page_cursor_is_first(&cursor));
    cursor = (struct page_cursor){.section = 2, .group = 1, .service = 0};
    assert_false(page_cursor_is_first(&cursor));
    cursor.service = 1;
    page_cursor_next_section(&cursor);
    assert_int_equal(cursor.section, 3);
    assert_int_equal(cursor.group, 0);
    assert_int_equal(cursor.service, 0);
    assert_true(page_cursor_is_first(&cursor));
}

static void test_methods(void **state)
{
    static const char *const others[] = {"POST", "PUT", "DELETE", "get", "GET ", ""};

    (void)state;
    assert_true(http_is_allowed("GET") && http_is_allowed("HEAD") && http_is_allowed("OPTIONS"));
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        assert_false(http_is_allowed(others[i]));
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_switch_after_an_outage),
        T(test_services_that_nobody_counts),
        T(test_any_address),
        T(test_many_services),
        T(test_many_services_as_data),
        T(test_few_services),
        T(test_an_unknown_service),
        T(test_faults_of_the_agent),
        T(test_explanations_of_some),
        T(test_tones),
        T(test_a_cursor),
        T(test_methods),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
