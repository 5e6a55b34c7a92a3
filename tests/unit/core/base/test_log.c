/* Which events reach the sink. */
#include "spoa/core/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static unsigned count;
static enum log_level last;

static void keep(void *context, enum log_level level, enum log_weight weight, const char *event,
                 const struct log_field *fields, size_t field_count)
{
    (void)weight;
    assert_ptr_equal(context, &count);
    assert_string_equal(event, log_event_text(EVENT_ALARM));
    assert_null(fields);
    assert_int_equal(field_count, 0);
    count++;
    last = level;
}

/* Those of the chosen level and all that are graver. */
static void test_levels(void **state)
{
    (void)state;
    for (enum log_level max = LOG_LEVEL_ERROR; max <= LOG_LEVEL_DEBUG; max++) {
        count = 0;
        log_set_sink(keep, &count, max);
        for (enum log_level level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++)
            log_emit(level, EVENT_ALARM, NULL, 0);
        assert_int_equal(count, (unsigned)max - LOG_LEVEL_ERROR + 1);
        assert_int_equal(last, max);
    }
    log_set_sink(NULL, NULL, LOG_LEVEL_DEBUG);
    count = 0;
    log_emit(LOG_LEVEL_ERROR, EVENT_ALARM, NULL, 0);
    assert_int_equal(count, 0);
}

static void test_texts(void **state)
{
    (void)state;
    assert_string_equal(log_level_text(LOG_LEVEL_ERROR), "error");
    assert_string_equal(log_level_text(LOG_LEVEL_WARNING), "warning");
    assert_string_equal(log_level_text(LOG_LEVEL_INFO), "info");
    assert_string_equal(log_level_text(LOG_LEVEL_DEBUG), "debug");
    assert_int_equal(log_event_level(EVENT_FENCED), LOG_LEVEL_WARNING);
    assert_int_equal(log_event_level(EVENT_FENCE_ENDED), LOG_LEVEL_INFO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_texts),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
