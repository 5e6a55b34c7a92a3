/* The alarm about a HAProxy that cannot be told to cut, and the log of cuts that failed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/haproxy/runtime_health.h"
#include "tests/lib/log_capture.h"

#define START 100000
#define HOLD 3000

static struct runtime_health begin(bool is_master)
{
    struct runtime_health health;
    struct addr addr;

    assert_true(addr_parse(span_of_text("unix:/run/admin.sock"), &addr));
    runtime_health_init(&health, &addr, is_master);
    log_capture_begin(LOG_LEVEL_INFO);
    return health;
}

static bool is_raised(const struct runtime_health *health)
{
    return alarms_is_raised(&health->alarms, ALARM_RUNTIME_API);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(begin(false).name, "unix:/run/admin.sock");
    assert_string_equal(begin(true).name, "master:unix:/run/admin.sock");
}

/* Raised by trials alone: before the first failover. */
static void test_trials(void **state)
{
    struct runtime_health health = begin(false);

    (void)state;
    assert_false(runtime_health_is_well(&health)); /* nobody knows */
    runtime_health_note_trial(&health, NULL, 2, START);
    assert_true(runtime_health_is_well(&health));
    assert_int_equal(health.owed, 2);
    runtime_health_note_trial(&health, "Permission denied", 2, START);
    assert_false(runtime_health_is_well(&health));
    assert_string_equal(runtime_health_reason(&health), "Permission denied");
    runtime_health_note_trial(&health, "Permission denied", 2, START + HOLD - 1);
    assert_false(is_raised(&health));
    runtime_health_note_trial(&health, "Permission denied", 2, START + HOLD);
    assert_true(is_raised(&health));
    assert_non_null(strstr(log_capture_last("alarm"),
                           "alarm=runtime-api api=unix:/run/admin.sock detail=Permission denied meaning="));
    assert_int_equal(log_capture_count("runtime-api-failed"), 0); /* nothing had to be cut */
    runtime_health_note_trial(&health, NULL, 2, START + 9000);
    assert_false(is_raised(&health));
    assert_int_equal(log_capture_count("alarm-cleared"), 1);
}

/* One line for a failure that goes on, another one for another. */
static void test_cuts(void **state)
{
    struct runtime_health health = begin(false);

    (void)state;
    runtime_health_note_trial(&health, NULL, 0, START);
    for (int64_t ms = 0; ms <= HOLD; ms += 500)
        runtime_health_note_cut(&health, "timeout", 1, START + ms);
    assert_true(is_raised(&health));
    assert_int_equal(log_capture_count("runtime-api-failed"), 1);
    assert_string_equal(log_capture_last("runtime-api-failed"),
                        "warning runtime-api-failed api=unix:/run/admin.sock reason=timeout");
    /* A trial that goes well does not make good a cut that did not, while it is owed. */
    runtime_health_note_trial(&health, NULL, 1, START + 4000);
    assert_true(is_raised(&health));
    runtime_health_note_cut(&health, "timeout", 1, START + 4000);
    runtime_health_note_cut(&health, "be/R1: No such server.", 1, START + 5000);
    assert_int_equal(log_capture_count("runtime-api-failed"), 2);
    runtime_health_note_cut(&health, "?", 3, START + 5500);
    assert_int_equal(health.owed, 3);
    assert_string_equal(runtime_health_reason(&health), "?");
    runtime_health_note_cut(&health, NULL, 1, START + 6000);
    assert_true(runtime_health_is_well(&health));
    assert_false(is_raised(&health));
    runtime_health_note_cut(&health, "timeout", 1, START + 7000);
    assert_int_equal(log_capture_count("runtime-api-failed"), 4);
    /* The debt was dropped. */
    runtime_health_note_trial(&health, NULL, 0, START + 8000);
    assert_true(runtime_health_is_well(&health));
}

/* A reload: nothing of it is the former one's, which goes. */
static void test_what_is_inherited_stays(void **state)
{
    struct runtime_health former = begin(false);
    struct runtime_health next = begin(false);

    (void)state;
    runtime_health_note_trial(&former, "Permission denied", 2, START);
    runtime_health_note_trial(&former, "Permission denied", 2, START + HOLD);
    runtime_health_inherit(&next, &former);
    memset(&former, 'x', sizeof(former));
    assert_true(is_raised(&next));
    assert_string_equal(alarms_detail(&next.alarms, ALARM_RUNTIME_API), "Permission denied");
    runtime_health_note_cut(&next, "timeout", 2, START + HOLD + 1);
    assert_string_equal(alarms_detail(&next.alarms, ALARM_RUNTIME_API), "timeout");
    runtime_health_note_trial(&next, NULL, 0, START + HOLD + 2);
    assert_null(alarms_detail(&next.alarms, ALARM_RUNTIME_API));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_trials),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_what_is_inherited_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
