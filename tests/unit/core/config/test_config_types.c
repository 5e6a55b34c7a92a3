/* The table of keywords, and every type of value at its edges. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spoa/core/config/config_keywords.h"
#include "tests/unit/core/config/config_fixture.h"

static void test_durations(void **state)
{
    static const struct {
        const char *value;
        unsigned ms; /* 0: refused */
    } cases[] = {{"1", 1},
                 {"1ms", 1},
                 {"3s", 3000},
                 {"2m", 120000},
                 {"24h", 86400000},
                 {"86400000", 86400000},
                 {"86400s", 86400000},
                 {"25h", 0},
                 {"86400001", 0},
                 {"86401s", 0},
                 {"", 0},
                 {"s", 0},
                 {"-1", 0},
                 {"+1", 0},
                 {" 1", 0},
                 {"1.5s", 0},
                 {"1 s", 0},
                 {"1S", 0},
                 {"1d", 0},
                 {"0x10", 0},
                 {"99999999999999999999", 0}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        unsigned ms = 0;
        enum config_reading reading = config_type_duration.read(&ms, cases[i].value);
        assert_int_equal(reading, cases[i].ms != 0 ? CONFIG_READ_OK : CONFIG_READ_BAD);
        assert_int_equal(ms, cases[i].ms);
    }
}

static void test_park(void **state)
{
    int64_t park_ms = 1;

    (void)state;
    assert_int_equal(config_type_park.read(&park_ms, "auto"), CONFIG_READ_OK);
    assert_int_equal(park_ms, PARK_AUTO);
    assert_int_equal(config_type_park.read(&park_ms, "0"), CONFIG_READ_OK);
    assert_int_equal(park_ms, 0);
    assert_int_equal(config_type_park.read(&park_ms, "3s"), CONFIG_READ_OK);
    assert_int_equal(park_ms, 3000);
    assert_int_equal(config_type_park.read(&park_ms, "Auto"), CONFIG_READ_BAD);
    assert_int_equal(config_type_park.read(&park_ms, "-1"), CONFIG_READ_BAD);
    assert_int_equal(park_ms, 3000);
}

static void test_listens(void **state)
{
    static const char *const good[] = {
        "127.0.0.1:9012", "127.0.0.1:0", "127.0.0.1:10",   "[::1]:0",         "[::]:65535",
        "unix:/a",        "unix:/a:0",   "unix:/a mode=0", "unix:/a owner=u", "unix:/a mode=777 group=g",
    };
    static const char *const bad[] = {
        "",
        "9012",
        ":9012",
        "localhost:9012",
        "localhost:0",
        "127.0.0.1",
        "1.2.3.4:",
        "1.2.3.4:00",
        "1.2.3.4:65536",
        "::1:0",
        "unix:",
        "1.2.3.4:1 mode=660",
        ":0",
        "[]:0",
        "unix:/a mode=",
        "unix:/a mode=1000",
        "unix:/a mode=8",
        "unix:/a mode=-1",
        "unix:/a x",
        "unix:/a owner=",
        "unix:/a mod=660",
        "unix:/a allow=10.0.0.0/8",
        "127.0.0.1:1 mode=600",
        "127.0.0.1:1 allow=",
        "127.0.0.1:1 allow",
        "127.0.0.1:1 alow=10.0.0.0/8",
        "127.0.0.1:1 allow=10.0.0.0/8 allow=10.0.0.1/8",
    };
    struct config_listens listens = {.list = NULL};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        if (config_type_listens.read(&listens, good[i]) != CONFIG_READ_OK)
            fail_msg("refused: '%s'", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (config_type_listens.read(&listens, bad[i]) != CONFIG_READ_BAD)
            fail_msg("taken: '%s'", bad[i]);
    assert_int_equal(listens.count, sizeof(good) / sizeof(*good));
    assert_int_equal(listens.list[6].addr.port, 0); /* a path may end in ":0" */
    assert_string_equal(listens.list[6].addr.name, "/a:0");
    free(listens.list);
}

/* A name that is longer than its field, and one that just fits. */
static void test_account_length(void **state)
{
    char value[128] = "unix:/a owner=";
    struct config_listens listens = {.list = NULL};
    size_t prefix = strlen(value);

    (void)state;
    memset(value + prefix, 'u', CONFIG_ACCOUNT_MAX);
    assert_int_equal(config_type_listens.read(&listens, value), CONFIG_READ_BAD);
    value[prefix + CONFIG_ACCOUNT_MAX - 1] = '\0';
    assert_int_equal(config_type_listens.read(&listens, value), CONFIG_READ_OK);
    assert_int_equal(strlen(listens.list[0].owner), CONFIG_ACCOUNT_MAX - 1);
    free(listens.list);
}

static void test_lags(void **state)
{
    static const struct {
        const char *value;
        enum lag_unit unit;
        int64_t amount;
    } cases[] = {
        {"0", LAG_UNLIMITED, 0}, {"0s", LAG_UNLIMITED, 0}, {"0kb", LAG_BYTES, 0},
        {"77b", LAG_BYTES, 77},  {"2kb", LAG_BYTES, 2048}, {"4294967295gb", LAG_BYTES, 4294967295LL << 30},
        {"5s", LAG_MS, 5000},    {"2m", LAG_MS, 120000},   {"10mb", LAG_BYTES, 10 << 20},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct lag_limit lag = {.amount = 1};
        assert_int_equal(config_type_lag.read(&lag, cases[i].value), CONFIG_READ_OK);
        assert_int_equal(lag.unit, cases[i].unit);
        assert_int_equal(lag.amount, cases[i].amount);
    }
}

#define SERVER_FORM "NAME HOST:PORT, and perhaps alias=HOST:PORT (several) and weight=0 to weight=256"

static void test_bad_values(void **state)
{
    static const struct {
        const char *line; /* in [service m] behind GOOD: line 7 */
        const char *expected;
    } cases[] = {
        {"quorum = 0", "t.conf:7: bad value '0' for 'quorum': it takes a number, 1 or more"},
        {"quorum = 2x", "t.conf:7: bad value '2x' for 'quorum': it takes a number, 1 or more"},
        {"quorum = 4294967298",
         "t.conf:7: bad value '4294967298' for 'quorum': it takes a number, 1 or more"},
        {"allow-any-address = true",
         "t.conf:7: bad value 'true' for 'allow-any-address': it takes yes or no"},
        {"server = R2", "t.conf:7: bad value 'R2' for 'server': it takes " SERVER_FORM},
        {"server = R2 10.0.0.2:0", "t.conf:7: bad value 'R2 10.0.0.2:0' for 'server': it takes " SERVER_FORM},
        {"server = R2 h:1 weight=257",
         "t.conf:7: bad value 'R2 h:1 weight=257' for 'server': it takes " SERVER_FORM},
        {"server = R2 h:1 weight=",
         "t.conf:7: bad value 'R2 h:1 weight=' for 'server': it takes " SERVER_FORM},
        {"server = R2 h:1 weight=1 x",
         "t.conf:7: bad value 'R2 h:1 weight=1 x' for 'server': it takes " SERVER_FORM},
        {"server = R2 h:1 weight=1 weight=1",
         "t.conf:7: bad value 'R2 h:1 weight=1 weight=1' for 'server': it takes " SERVER_FORM},
        {"server = R2 h:1 alias=", "t.conf:7: bad value 'R2 h:1 alias=' for 'server': it takes " SERVER_FORM},
        {"server = R2 h:1 alias=x",
         "t.conf:7: bad value 'R2 h:1 alias=x' for 'server': it takes " SERVER_FORM},
        {"server = R2 h:1 alias=x:1 alias=y:0",
         "t.conf:7: bad value 'R2 h:1 alias=x:1 alias=y:0' for 'server': it takes " SERVER_FORM},
        {"server = R2 h:1 alias", "t.conf:7: bad value 'R2 h:1 alias' for 'server': it takes " SERVER_FORM},
        {"max-lag = 5", "t.conf:7: bad value '5' for 'max-lag': it takes bytes such as 512kb or 10mb, a "
                        "duration such as 5s, or 0"},
        {"max-lag = 5tb", "t.conf:7: bad value '5tb' for 'max-lag': it takes bytes such as 512kb or 10mb, a "
                          "duration such as 5s, or 0"},
        {"server = R2 h:1 x", "t.conf:7: bad value 'R2 h:1 x' for 'server': it takes " SERVER_FORM},
        {"monitor = ", "t.conf:7: bad value '' for 'monitor': it takes a text"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char text[512];
        snprintf(text, sizeof(text), GOOD "%s\n", cases[i].line);
        check_error(text, cases[i].expected);
    }
    check_errors(
        "[agent]\nlog-level = Info\nlog-format = xml\nlisten = x\n" GOOD,
        (const char *const[]){
            "t.conf:2: bad value 'Info' for 'log-level': it takes error, warning, info or debug",
            "t.conf:3: bad value 'xml' for 'log-format': it takes logfmt or json",
            "t.conf:4: bad value 'x' for 'listen': it takes IP:PORT or [IPv6]:PORT with "
            "allow=IP/BITS (several), tls-cert=FILE, tls-key=FILE, tls-client-ca=FILE and token-file=FILE, "
            "or unix:/path with mode=, owner= and group=",
            NULL});
    check_error("[sentinels]\naddress = s1:1\naddress = s2\n" SERVICE,
                "t.conf:3: bad value 's2' for 'address': it takes HOST:PORT, [IPv6]:PORT or unix:/path");
}

static bool is_one_of(const char *word, const char *words)
{
    struct span rest = span_of_text(words);

    for (struct span one = span_take_word(&rest); one.len > 0; one = span_take_word(&rest))
        if (span_equals_text(one, word))
            return true;
    return false;
}

/* Sentences, with backticks in pairs. */
static void check_help(const struct config_keyword *keyword)
{
    size_t len = strlen(keyword->help);
    unsigned ticks = 0;

    assert_true(len > 0 && keyword->help[len - 1] == '.');
    assert_true(isupper((unsigned char)keyword->help[0]) || keyword->help[0] == '`');
    for (size_t i = 0; i < len; i++) {
        ticks += keyword->help[i] == '`';
        assert_int_not_equal(keyword->help[i], '|'); /* it ends a cell of a table */
    }
    assert_int_equal(ticks % 2, 0);
}

/* What `see` names is there. */
static void check_see(const struct config_keyword *keyword)
{
    struct span rest = span_of_text(keyword->see != NULL ? keyword->see : "");

    for (struct span word = span_take_word(&rest); word.len > 0; word = span_take_word(&rest)) {
        const unsigned char *dot = memchr(word.data, '.', word.len);
        enum config_section_kind section = keyword->section;
        char key[64];
        if (dot != NULL) {
            size_t len = (size_t)(dot - word.data);
            for (section = 0; section < CONFIG_SECTIONS; section++)
                if (strlen(config_section_names[section]) == len &&
                    memcmp(config_section_names[section], word.data, len) == 0)
                    break;
            assert_int_not_equal(section, CONFIG_SECTIONS);
            word.data = dot + 1;
            word.len -= len + 1;
        }
        (void)snprintf(key, sizeof(key), "%.*s", (int)word.len, (const char *)word.data);
        if (config_keyword_find(section, key) == NULL)
            fail_msg("'%s' says see '%s', which is no key", keyword->key, key);
    }
}

/* The example is a good value. Where there is none the default is shown. */
static void check_example(const struct config_keyword *keyword)
{
    char text[256];

    assert_true(keyword->example != NULL || keyword->preset != NULL);
    if (keyword->example == NULL)
        return;
    (void)snprintf(text, sizeof(text), "[%s%s]\n%s = %s\n", config_section_names[keyword->section],
                   keyword->section == CONFIG_SERVICE ? " m" : "", keyword->key, keyword->example);
    struct loaded loaded = load(text);
    for (size_t i = 0; i < loaded.errors.count; i++)
        if (strstr(loaded.errors.texts[i], "bad value") != NULL)
            fail_msg("%s", loaded.errors.texts[i]);
    end(&loaded);
}

/* What follows "takes a time" in an error and in the documentation. */
static void test_ranges(void **state)
{
    const struct config_keyword any = {.key = "any"};
    const struct config_keyword least = {.key = "least", .least_ms = 100};
    const struct config_keyword least_or_none = {.key = "least", .least_ms = 100, .takes_zero = true};
    char text[CONFIG_RANGE_MAX] = "what was there";

    (void)state;
    assert_string_equal(config_keyword_range(&any, text), "");
    assert_string_equal(config_keyword_range(&least, text), ", 100 ms or more");
    assert_string_equal(config_keyword_range(&least_or_none, text), ", 100 ms or more, or 0");
}

static void test_keyword_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_keyword_count; i++) {
        const struct config_keyword *keyword = &config_keywords[i];
        assert_ptr_equal(config_keyword_find(keyword->section, keyword->key), keyword); /* no second one */
        assert_string_equal(config_keyword_nearest(keyword->section, keyword->key), keyword->key);
        assert_int_not_equal(config_keyword_bit(keyword), 0); /* it fits into the word */
        assert_int_equal(keyword->reload == CONFIG_RELOAD_RESTART,
                         is_one_of(keyword->key, "park-max user group sandbox"));
        assert_int_equal(
            keyword->repeatable,
            is_one_of(keyword->key, "listen check http allow address runtime-api backend server"));
        assert_true(keyword->least_ms == 0 || keyword->type == &config_type_duration);
        /* FULL has them all, so that the test of the dump tests them all. */
        char line[64];
        snprintf(line, sizeof(line), "\n%s = ", keyword->key);
        assert_non_null(strstr(FULL, line));
        check_help(keyword);
        check_see(keyword);
        check_example(keyword);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),  cmocka_unit_test(test_listens),
        cmocka_unit_test(test_park),       cmocka_unit_test(test_lags),
        cmocka_unit_test(test_ranges),     cmocka_unit_test(test_account_length),
        cmocka_unit_test(test_bad_values), cmocka_unit_test(test_keyword_table),
    };

    return cmocka_run_group_tests_name("config_types", tests, NULL, NULL);
}
