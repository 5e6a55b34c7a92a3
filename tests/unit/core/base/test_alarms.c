/* A set of alarms: the details of those that are raised. */
#include "spoa/core/base/alarms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct alarm_subject subject = {.key = "service", .name = "m"};

static void note(struct alarms *alarms, enum alarm_kind kind, bool holds, const char *detail, int64_t now_ms)
{
    alarms_note(alarms, kind, holds, &subject, detail, now_ms);
}

static void test_details_of_what_is_raised(void **state)
{
    struct alarms alarms = {.raised = 0};

    (void)state;
    note(&alarms, ALARM_VOTER_COUNT, true, "2 configured", 0);
    note(&alarms, ALARM_PARK, true, "first", 0);
    note(&alarms, ALARM_PARK, true, "second", 0); /* the last one counts */
    note(&alarms, ALARM_PARK, true, NULL, 0);
    note(&alarms, ALARM_DISAGREEMENT, true, "not yet", 0);
    assert_string_equal(alarms_detail(&alarms, ALARM_VOTER_COUNT), "2 configured");
    assert_string_equal(alarms_detail(&alarms, ALARM_PARK), "second");
    assert_null(alarms_detail(&alarms, ALARM_DISAGREEMENT));
    note(&alarms, ALARM_VOTER_COUNT, false, "2 configured", 1);
    assert_null(alarms_detail(&alarms, ALARM_VOTER_COUNT));
    assert_string_equal(alarms_detail(&alarms, ALARM_PARK), "second");
    note(&alarms, ALARM_PARK, false, NULL, 1);
    assert_null(alarms.details); /* nor is there room for any */
}

/* What was told first makes place, and a text that is too long is cut off. */
static void test_the_room_is_bounded(void **state)
{
    struct alarms alarms = {.raised = 0};
    char text[2 * ALARM_DETAILS_MAX];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    note(&alarms, ALARM_PARK, true, "park", 0);
    note(&alarms, ALARM_LOOPBACK, true, text + sizeof(text) - 1 - ALARM_DETAILS_MAX / 2, 0);
    assert_string_equal(alarms_detail(&alarms, ALARM_PARK), "park");
    note(&alarms, ALARM_DOWN_AFTER, true, text, 0);
    assert_null(alarms_detail(&alarms, ALARM_PARK));
    assert_null(alarms_detail(&alarms, ALARM_LOOPBACK));
    assert_int_equal(strlen(alarms_detail(&alarms, ALARM_DOWN_AFTER)), ALARM_DETAILS_MAX - 2);
    assert_int_equal(alarms.details->len, ALARM_DETAILS_MAX);
    assert_null(alarms_detail(&alarms, ALARM_PARK_TIMEOUT)); /* nothing is read behind the room */
    alarms_finish(&alarms);
}

static void test_a_detail_is_inherited(void **state)
{
    struct alarms former = {.raised = 0};
    struct alarms next = {.raised = 0};

    (void)state;
    note(&former, ALARM_PARK, true, "park", 5);
    note(&former, ALARM_LOOPBACK, true, "loopback", 5);
    alarms_inherit(&next, &former, ALARM_PARK);
    assert_true(alarms_is_raised(&next, ALARM_PARK));
    assert_int_equal(next.since_ms[ALARM_PARK], 5);
    assert_string_equal(alarms_detail(&next, ALARM_PARK), "park");
    assert_false(alarms_is_raised(&next, ALARM_LOOPBACK));
    alarms_finish(&former);
    alarms_finish(&next);
}

static void test_a_lasting_detail_takes_no_memory(void **state)
{
    struct alarms alarms = {.raised = 0};
    char lasting[] = "first";

    (void)state;
    alarms_note_lasting(&alarms, ALARM_RUNTIME_API, true, &subject, lasting, 0);
    assert_null(alarms_detail(&alarms, ALARM_RUNTIME_API)); /* it does not hold for long enough */
    alarms_note_lasting(&alarms, ALARM_RUNTIME_API, true, &subject, lasting, 3000);
    assert_ptr_equal(alarms_detail(&alarms, ALARM_RUNTIME_API), lasting);
    assert_null(alarms_detail(&alarms, ALARM_PARK));
    assert_null(alarms.details);
    note(&alarms, ALARM_PARK, true, "park", 3000);
    assert_string_equal(alarms_detail(&alarms, ALARM_PARK), "park");
    note(&alarms, ALARM_PARK, false, NULL, 3000);
    assert_string_equal(alarms_detail(&alarms, ALARM_RUNTIME_API), "first");
    alarms_note_lasting(&alarms, ALARM_RUNTIME_API, false, &subject, lasting, 3001);
    assert_null(alarms_detail(&alarms, ALARM_RUNTIME_API));
}

/* The room is made later; what is there already is used. */
static void test_no_memory_is_taken_to_answer(void **state)
{
    struct alarms alarms = {.is_answering = true};

    (void)state;
    note(&alarms, ALARM_PARK, true, "park", 0);
    assert_true(alarms_is_raised(&alarms, ALARM_PARK));
    assert_null(alarms.details);
    assert_null(alarms_detail(&alarms, ALARM_PARK));
    alarms.is_answering = false;
    note(&alarms, ALARM_PARK, true, "park", 1);
    assert_string_equal(alarms_detail(&alarms, ALARM_PARK), "park");
    alarms.is_answering = true;
    note(&alarms, ALARM_LOOPBACK, true, "loopback", 2);
    assert_string_equal(alarms_detail(&alarms, ALARM_LOOPBACK), "loopback");
    alarms_finish(&alarms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_details_of_what_is_raised),
        cmocka_unit_test(test_the_room_is_bounded),
        cmocka_unit_test(test_a_detail_is_inherited),
        cmocka_unit_test(test_a_lasting_detail_takes_no_memory),
        cmocka_unit_test(test_no_memory_is_taken_to_answer),
    };

    return cmocka_run_group_tests_name("alarms", tests, NULL, NULL);
}
