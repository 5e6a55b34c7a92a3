/* The words of the status: numbers, durations, times, and what clients feel in each state. */
#include "spoa/core/base/text.h"
#include "spoa/core/observers/history.h"
#include "spoa/core/status/sentences.h"
#include "spoa/core/status/status.h"
#include "tests/lib/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

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
        {0, "1 Jan "},     {58, "28 Feb "},    {59, "1 Mar "},     {11015, "28 Feb "}, {11016, "29 Feb "},
        {11017, "1 Mar "}, {11382, "1 Mar "},  {19782, "29 Feb "}, {19783, "1 Mar "},  {20088, "31 Dec "},
        {20089, "1 Jan "}, {20783, "26 Nov "}, {47540, "28 Feb "}, {47541, "1 Mar "},
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_the_past),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
