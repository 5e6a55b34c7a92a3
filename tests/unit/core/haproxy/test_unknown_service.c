/* The alarm about a service that HAProxy asks for and that is not configured. */
#include "tests/lib/log_capture.h"
#include "tests/unit/core/haproxy/spop_session_fixture.h"

#include <stdio.h>

static const struct unknown_service *unknown(void)
{
    return service_table_unknown(f.table);
}

static bool is_raised(void)
{
    return alarms_is_raised(&unknown()->alarms, ALARM_UNKNOWN_SERVICE);
}

static int set_up_session(void **state)
{
    int status = set_up(state);

    open_session();
    log_capture_begin(LOG_LEVEL_DEBUG);
    return status;
}

static int tear_down_session(void **state)
{
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    return tear_down(state);
}

/* A question that comes later than those of the session. */
static void ask_later(const char *service, const char *role, int64_t now_ms)
{
    uint8_t space[1000];
    struct sink payload = sink_of(space, sizeof(space));

    spop_name_write(&payload, span_of_text("find-master"));
    sink_put_byte(&payload, (uint8_t)((service != NULL) + (role != NULL)));
    if (service != NULL) {
        struct spop_value value = spop_text(span_of_text(service));
        spop_kv_write(&payload, "service", &value);
    }
    if (role != NULL) {
        struct spop_value value = spop_text(span_of_text(role));
        spop_kv_write(&payload, "role", &value);
    }
    assert_false(payload.full);
    service_table_note_unknown(f.table, span_of(space, (size_t)(payload.at - space)), now_ms);
}

static void test_a_misspelt_service(void **state)
{
    (void)state;
    (void)ask("mymaster", NULL);
    assert_false(is_raised());
    (void)ask("mymastre", NULL);
    assert_true(is_raised());
    assert_string_equal(unknown()->detail, "'mymastre' is asked for: did you mean 'mymaster'?");
    assert_non_null(strstr(log_capture_last("alarm"),
                           "alarm=unknown-service service=mymastre detail='mymastre' is "
                           "asked for: did you mean 'mymaster'?"));
    (void)ask("mymastre", NULL);
    assert_int_equal(log_capture_count("alarm"), 1);
}

static void test_what_is_wrong_is_told(void **state)
{
    static const struct {
        const char *service;
        const char *role;
        const char *detail;
    } questions[] = {
        {"other", NULL, "'other' is asked for"},
        {"mymaster", "replica", "'mymaster' has no replicas: write 'replicas = yes' in its section"},
        {"mymaster", "slave",
         "'mymaster' is asked for the role 'slave': only 'master' and 'replica' are known"},
        {NULL, "slave", "'mymaster' is asked for the role 'slave': only 'master' and 'replica' are known"},
        {NULL, "replica", "'mymaster' has no replicas: write 'replicas = yes' in its section"},
        {"", NULL, "the name in 'service' is empty: write 'service=str(NAME)'"},
        {"mymas\nter", NULL, "'mymas?ter' is asked for: did you mean 'mymaster'?"},
        {"other ~\x7f", NULL, "'other ~?' is asked for"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(questions) / sizeof(*questions); i++) {
        int64_t now_ms = NOW_MS + (int64_t)i * UNKNOWN_SERVICE_HOLD_MS;
        service_table_tick(f.table, now_ms);
        assert_false(is_raised());
        ask_later(questions[i].service, questions[i].role, now_ms);
        assert_true(is_raised());
        assert_string_equal(unknown()->detail, questions[i].detail);
    }
}

/* Half of a short name may be wrong, and three letters of a long one. */
static void test_which_service_is_meant(void **state)
{
    static const struct {
        const char *asked;
        const char *meant; /* NULL: none */
    } cases[] = {
        {"123aster", "mymaster"}, {"1234ster", NULL}, {"123ond", "second"}, {"1234nd", NULL}, {"12", NULL},
    };
    char expected[100];

    (void)state;
    add_service(1, "second", "R2", "127.0.0.1:7002");
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int64_t now_ms = NOW_MS + (int64_t)i * UNKNOWN_SERVICE_HOLD_MS;
        service_table_tick(f.table, now_ms);
        ask_later(cases[i].asked, NULL, now_ms);
        (void)snprintf(expected, sizeof(expected), "'%s' is asked for%s%s%s", cases[i].asked,
                       cases[i].meant != NULL ? ": did you mean '" : "",
                       cases[i].meant != NULL ? cases[i].meant : "", cases[i].meant != NULL ? "'?" : "");
        assert_string_equal(unknown()->detail, expected);
    }
}

static void test_one_of_several_must_be_named(void **state)
{
    (void)state;
    add_service(1, "second", "R2", "127.0.0.1:7002");
    (void)ask(NULL, NULL);
    assert_string_equal(unknown()->detail,
                        "no service is asked for, and there is more than one: write 'service=str(NAME)'");
}

/* The service is left out and the role is wrong: the alarm is about the only service there is. */
static void test_the_service_that_is_meant(void **state)
{
    struct service_question question;

    (void)state;
    ask_later(NULL, "slave", NOW_MS);
    assert_non_null(strstr(log_capture_last("alarm"), "alarm=unknown-service service=mymaster "));
    assert_true(unknown_service_question(unknown(), &question));
    assert_null(question.service.data);
    assert_true(span_equals_text(question.role, "slave"));
}

/* An empty name is a name: it is asked for again as such. */
static void test_an_empty_name(void **state)
{
    struct service_question question;

    (void)state;
    ask_later("", NULL, NOW_MS);
    assert_string_equal(unknown()->detail, "the name in 'service' is empty: write 'service=str(NAME)'");
    assert_true(unknown_service_question(unknown(), &question));
    assert_non_null(question.service.data);
    assert_int_equal(question.service.len, 0);
}

/* The one that is shown stays while it is asked; after that another one has its place. */
static void test_many_different_names(void **state)
{
    char name[400];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        int64_t now_ms = NOW_MS + i * INT64_C(100);
        snprintf(name, sizeof(name), "name-%d", i);
        ask_later(i == 0 || i == 300 ? "first" : name, NULL, now_ms);
        service_table_tick(f.table, now_ms);
        assert_true(is_raised());
        assert_string_equal(unknown()->name, i < 300 + 600 ? "first" : "name-900");
    }
    assert_int_equal(log_capture_count("alarm"), 1);
    assert_int_equal(unknown()->asked, 1000);
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    ask_later(name, name, NOW_MS + 1000000);
    assert_int_equal(strlen(unknown()->name), UNKNOWN_SERVICE_NAME_MAX);
    assert_int_equal(strlen(unknown()->role), UNKNOWN_SERVICE_ROLE_MAX);
    name[UNKNOWN_SERVICE_NAME_MAX - 1] = '\0'; /* what follows it in the question is no part of it */
    ask_later(name, "slave", NOW_MS + 2000000);
    assert_int_equal(strlen(unknown()->name), UNKNOWN_SERVICE_NAME_MAX - 1);
}

static void test_cleared_when_nobody_asks(void **state)
{
    (void)state;
    ask_later("other", NULL, NOW_MS);
    ask_later("other", NULL, NOW_MS + 5000);
    service_table_tick(f.table, NOW_MS + 5000 + UNKNOWN_SERVICE_HOLD_MS - 1);
    assert_true(is_raised());
    service_table_tick(f.table, NOW_MS + 5000 + UNKNOWN_SERVICE_HOLD_MS);
    assert_false(is_raised());
    assert_string_equal(log_capture_last("alarm-cleared"),
                        "info alarm-cleared alarm=unknown-service service=other lasted-ms=65000");
}

/* The table that has the service clears it, and one that has it not does not. */
static void test_cleared_by_a_reload(void **state)
{
    struct service_table *next[2] = {service_table_create(NULL), service_table_create(NULL)};

    (void)state;
    f.settings[1] = f.settings[0];
    f.settings[1].name = "second";
    f.services[1] = service_create(&f.settings[1], NOW_MS);
    assert_true(service_table_add(next[0], f.services[0]));
    assert_true(service_table_add(next[1], f.services[1]));
    ask_later("second", NULL, NOW_MS);
    service_table_change_over(f.table, next[0], NOW_MS + 1);
    assert_true(is_raised());
    service_table_change_over(f.table, next[1], NOW_MS + 2);
    assert_false(is_raised());
    service_table_destroy(next[0]);
    service_table_destroy(next[1]);
}

#define UNKNOWN_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_session, tear_down_session)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNKNOWN_TEST(test_a_misspelt_service),        UNKNOWN_TEST(test_what_is_wrong_is_told),
        UNKNOWN_TEST(test_the_service_that_is_meant), UNKNOWN_TEST(test_an_empty_name),
        UNKNOWN_TEST(test_which_service_is_meant),    UNKNOWN_TEST(test_one_of_several_must_be_named),
        UNKNOWN_TEST(test_many_different_names),      UNKNOWN_TEST(test_cleared_when_nobody_asks),
        UNKNOWN_TEST(test_cleared_by_a_reload),
    };

    return cmocka_run_group_tests_name("unknown_service", tests, NULL, NULL);
}
