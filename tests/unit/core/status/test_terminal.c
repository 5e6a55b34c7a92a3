/* The status on a screen: colours, wrapped lines, and what does not fit. */
#include "spoa/core/base/text.h"
#include "spoa/core/status/terminal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_painted(const struct terminal_look *look, const char *text, const char *expected)
{
    struct text out = {.data = NULL};

    terminal_paint(&out, look, text);
    assert_false(out.has_failed);
    assert_string_equal(out.data, expected);
    text_finish(&out);
}

static void test_colours(void **state)
{
    const struct terminal_look look = {.has_colours = true, .new_lines = SIZE_MAX};

    (void)state;
    assert_painted(
        &look, "● m: fine\n    ▲ s1  names R2\n    ✖ s2\n      R1\n\nHAProxy\n",
        "\033[1m\033[32m● m: fine\033[0m\n    \033[33m▲\033[0m s1  names R2\n    \033[31m✖\033[0m s2\n"
        "      R1\n\n\033[1mHAProxy\033[0m\n");
}

static void test_old_lines_are_dim(void **state)
{
    const struct terminal_look look = {.has_colours = true, .new_lines = 1};

    (void)state;
    assert_painted(&look, "✖ gone\n● m\n", "\033[1m\033[31m✖ gone\033[0m\n\033[2m● m\033[0m\n");
}

static void test_without_colours(void **state)
{
    const struct terminal_look look = {.new_lines = 0};
    const struct terminal_look low = {.columns = 20, .rows = 1};

    (void)state;
    assert_painted(&look, "x", "x\n");
    assert_painted(&low, "1\n2", "\033[H\033[K2 lines more: this window is too low");
    assert_painted(&look, "● m\n  x\n", "● m\n  x\n");
}

/* A peer's words must not move the cursor. */
static void test_control_bytes(void **state)
{
    const struct terminal_look look = {.has_colours = true, .new_lines = SIZE_MAX};

    (void)state;
    assert_painted(&look,
                   "    a\033[2J\r\x7f"
                   "b é\n",
                   "    a?[2J??b é\n");
}

static void test_a_screen(void **state)
{
    const struct terminal_look look = {.new_lines = SIZE_MAX, .columns = 20, .rows = 4};

    (void)state;
    assert_painted(&look, "one\ntwo\n", "\033[H\033[Kone\n\033[Ktwo\n\033[J");
    /* It is full: a line feed would scroll it. */
    assert_painted(&look, "1\n2\n3\n4\n", "\033[H\033[K1\n\033[K2\n\033[K3\n\033[K4");
    assert_painted(&look, "1\n2\n3\n4\n5\n",
                   "\033[H\033[K1\n\033[K2\n\033[K3\n\033[K2 lines more: this window is too low");
}

static void test_long_lines(void **state)
{
    const struct terminal_look look = {.new_lines = SIZE_MAX, .columns = 20, .rows = 3};

    (void)state;
    assert_painted(&look, "12345678901234567890\n", "\033[H\033[K12345678901234567890\n\033[J");
    assert_painted(&look, "1234567890 234567890 2345\n",
                   "\033[H\033[K1234567890 234567890\n\033[K        2345\n\033[J");
    assert_painted(&look, "    345678901234567 90 2\n",
                   "\033[H\033[K    345678901234567\n\033[K        90 2\n\033[J");
    assert_painted(&look, "1234567890123456789012\n",
                   "\033[H\033[K12345678901234567890\n\033[K        12\n\033[J");
    /* A character of several bytes takes one column. */
    assert_painted(&look, "●●●●●●●●●●●●●●●●●●●●\n", "\033[H\033[K●●●●●●●●●●●●●●●●●●●●\n\033[J");
    /* What is wrapped counts. */
    assert_painted(&look, "1\n2\n1234567890 234567890 2345\n",
                   "\033[H\033[K1\n\033[K2\n\033[K2 lines more: this window is too low");
}

/* The colour of a headline goes on in its next row, and the blanks in front have none. */
static void test_a_long_headline(void **state)
{
    const struct terminal_look look = {.has_colours = true, .new_lines = SIZE_MAX, .columns = 20, .rows = 3};

    (void)state;
    assert_painted(&look, "✖ 34567890 2345678901 3\n",
                   "\033[H\033[K\033[1m\033[31m✖ 34567890\033[0m\n"
                   "\033[K        \033[1m\033[31m2345678901 3\033[0m\n\033[J");
}

/* It ends, however small the screen is. */
static void test_tiny_screens(void **state)
{
    const struct terminal_look look = {.new_lines = SIZE_MAX, .columns = 1, .rows = 1};

    (void)state;
    assert_painted(&look, "●\n", "\033[H\033[K●");
    assert_painted(&look, "ab c\n", "\033[H\033[K3 lines more: this window is too low");
    assert_painted(&look, "", "\033[H\033[J");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_colours),         cmocka_unit_test(test_old_lines_are_dim),
        cmocka_unit_test(test_without_colours), cmocka_unit_test(test_control_bytes),
        cmocka_unit_test(test_a_screen),        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_a_long_headline), cmocka_unit_test(test_tiny_screens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
