/* What a program prints becomes lines of the log: cut anywhere, of any bytes, within limits. */
#include "spoa/core/observers/hook_output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "spoa/core/base/log.h"
#include "tests/lib/log_capture.h"

static struct hook_output output;

static int set_up(void **state)
{
    (void)state;
    log_capture_begin(LOG_LEVEL_DEBUG);
    hook_output_begin(&output, "m");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    return 0;
}

static void take(const char *text)
{
    hook_output_take(&output, text, strlen(text));
}

static void lines(void **state)
{
    (void)state;
    take("one\ntw");
    assert_int_equal(log_capture_count("hook-output"), 1);
    assert_string_equal(log_capture_last("hook-output"), "info hook-output service=m text=one");
    take("o\n\n\n");
    assert_int_equal(log_capture_count("hook-output"), 2);
    assert_string_equal(log_capture_last("hook-output"), "info hook-output service=m text=two");
    take("no newline");
    assert_int_equal(log_capture_count("hook-output"), 2);
    hook_output_end(&output);
    assert_string_equal(log_capture_last("hook-output"), "info hook-output service=m text=no newline");
    hook_output_end(&output);
    assert_int_equal(log_capture_count("hook-output"), 3);
    assert_int_equal(log_capture_count("hook-output-dropped"), 0);
}

static void byte_by_byte(void **state)
{
    static const char text[] = "first line\nsecond line\n";

    (void)state;
    for (size_t i = 0; i < strlen(text); i++)
        hook_output_take(&output, text + i, 1);
    assert_int_equal(log_capture_count("hook-output"), 2);
    assert_string_equal(log_capture_last("hook-output"), "info hook-output service=m text=second line");
}

/* The limit is that of one line, however it comes. */
static void long_lines(void **state)
{
    static const size_t pieces[] = {1, 7, HOOK_OUTPUT_LINE_MAX, 3 * HOOK_OUTPUT_LINE_MAX};
    char text[3 * HOOK_OUTPUT_LINE_MAX];
    char expected[HOOK_OUTPUT_LINE_MAX + 100];

    (void)state;
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
        for (size_t at = 0; at < sizeof(text); at += pieces[i])
            hook_output_take(&output, text + at,
                             sizeof(text) - at < pieces[i] ? sizeof(text) - at : pieces[i]);
        take("\n");
        (void)snprintf(expected, sizeof(expected), "info hook-output service=m text=%.*s cut-bytes=%d",
                       HOOK_OUTPUT_LINE_MAX, text, 2 * HOOK_OUTPUT_LINE_MAX);
        assert_int_equal(log_capture_count("hook-output"), i + 1);
        assert_string_equal(log_capture_last("hook-output"), expected);
    }
    hook_output_take(&output, text, HOOK_OUTPUT_LINE_MAX);
    take("\nshort\n");
    assert_string_equal(log_capture_last("hook-output"), "info hook-output service=m text=short");
}

/* Of one run. What is dropped is told at its end, once. */
static void many_lines(void **state)
{
    (void)state;
    for (int i = 0; i < HOOK_OUTPUT_LINES_MAX + 5; i++)
        take("x\n");
    assert_int_equal(log_capture_count("hook-output"), HOOK_OUTPUT_LINES_MAX);
    take("y");
    hook_output_end(&output);
    hook_output_end(&output);
    assert_int_equal(log_capture_count("hook-output"), HOOK_OUTPUT_LINES_MAX);
    assert_int_equal(log_capture_count("hook-output-dropped"), 1);
    assert_string_equal(log_capture_last("hook-output-dropped"),
                        "warning hook-output-dropped service=m lines=6");
    hook_output_begin(&output, "n");
    take("z\n");
    assert_string_equal(log_capture_last("hook-output"), "info hook-output service=n text=z");
}

/* One line too many is told, too. */
static void one_line_too_many(void **state)
{
    (void)state;
    for (int i = 0; i < HOOK_OUTPUT_LINES_MAX + 1; i++)
        take("x\n");
    hook_output_end(&output);
    assert_string_equal(log_capture_last("hook-output-dropped"),
                        "warning hook-output-dropped service=m lines=1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines), TEST(byte_by_byte), TEST(long_lines), TEST(many_lines), TEST(one_line_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
