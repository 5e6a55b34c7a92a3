/* HAProxy's files are split into the words and sections that HAProxy sees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/config/haproxy_file.h"
#include "tests/lib/guarded.h"

#define ONE_LINE "global\n"

/* Three variables are set. */
static char *some_variables(const char *name)
{
    static char values[2][16] = {"redis one", ""};

    if (strcmp(name, "HOST") == 0 || strcmp(name, "H") == 0)
        return values[0];
    return strcmp(name, "EMPTY") == 0 ? values[1] : NULL;
}

static struct haproxy_file read_text(const char *text)
{
    struct haproxy_file file = {.sections = NULL};

    haproxy_file_read(&file, "h.cfg", "h.cfg", text, strlen(text), some_variables);
    assert_false(file.out_of_memory);
    return file;
}

/* The words of a line in `global`, with '|' between them. */
static void check_words(const char *line, const char *expected)
{
    char text[512];
    char words[512] = "";

    (void)snprintf(text, sizeof(text), ONE_LINE "%s\n", line);
    struct haproxy_file file = read_text(text);
    assert_int_equal(file.count, 1);
    for (size_t i = 0; file.sections[0]->count > 0 && i < file.sections[0]->lines[0].count; i++) {
        size_t len = strlen(words);
        (void)snprintf(words + len, sizeof(words) - len, "%s%s", i > 0 ? "|" : "",
                       file.sections[0]->lines[0].words[i]);
    }
    assert_string_equal(words, expected);
    haproxy_file_finish(&file);
}

static void test_words(void **state)
{
    (void)state;
    check_words("    maxconn\t4000  ", "maxconn|4000");
    check_words("  stats socket /run/a\\ b.sock", "stats|socket|/run/a b.sock");
    check_words("a # b", "a");
    check_words("a \\# b", "a|#|b");
    check_words("# a", "");
    check_words("a b\r", "a|b");
    check_words("a\\\\b \\x", "a\\b|x");
    check_words("a\\tb", "a\tb");
    check_words("a\\", "a");
}

static void test_quotes(void **state)
{
    (void)state;
    check_words("a \"b c\" d", "a|b c|d");
    check_words("a 'b \"c' d", "a|b \"c|d");
    check_words("a \"b # c\"", "a|b # c");
    check_words("a b\"c d\"e", "a|bc de");
    check_words("a \"\" b", "a||b");
    check_words("a \"b \\\" \\$HOST\"", "a|b \" $HOST");
    check_words("a 'b\\n'", "a|b\\n");
    check_words("a \"b c", "a|b c"); /* HAProxy refuses it; nothing is lost here */
}

static void test_variables(void **state)
{
    (void)state;
    check_words("a \"$HOST:1\"", "a|redis one:1");
    check_words("a \"${HOST}x\"", "a|redis onex");
    check_words("a \"$H\"", "a|redis one");
    check_words("a \"b${EMPTY}c\"", "a|bc");
    check_words("a \"${NONE-other}\"", "a|other");
    check_words("a \"${NONE}:1\"", "a|${NONE}:1");
    check_words("a \"$NONE:1\"", "a|$NONE:1");
    check_words("a \"$\"", "a|$");
    check_words("a $HOST '$HOST'", "a|$HOST|$HOST");
}

/* A name that is too long for any variable stays as it is. One whose end is missing is taken as far as it goes. */
static void test_odd_variables(void **state)
{
    char line[512];
    char expected[512];
    char name[256];

    (void)state;
    for (size_t len = 120; len < 140; len++) {
        memset(name, 'N', len);
        name[len] = '\0';
        (void)snprintf(line, sizeof(line), "a \"${%s-x}\"", name);
        check_words(line, "a|x");
        (void)snprintf(line, sizeof(line), "a \"$%s\"", name);
        (void)snprintf(expected, sizeof(expected), "a|$%s", name);
        check_words(line, expected);
    }
    check_words("a \"${HOST", "a|redis one");
    check_words("a \"${NONE-b c", "a|b c");
    check_words("a \"${NONE", "a|${NONE");
    check_words("a \"${NONE-}\"", "a|");
    check_words("a \"${HOSTx-y}\"", "a|y");
    check_words("a \"${-y}\"", "a|y");
    check_words("a\\rb\\nc\\td", "a\rb\nc\td");
}

static void test_most_words(void **state)
{
    char text[2048] = "global\n";

    (void)state;
    size_t len = strlen(text);
    for (size_t i = 0; i < 300; i++)
        memcpy(text + len + 2 * i, "w ", 2);
    struct haproxy_file file = read_text(text);
    assert_int_equal(file.sections[0]->lines[0].count, 256);
    haproxy_file_finish(&file);
}

/* No byte behind the end is read, wherever the file ends. */
static void test_ends(void **state)
{
    static const char text[] = "global\n a \"$HOST ${HOST-b} \\\" c\" 'd' \\x\n[e]\n.if f\n";

    (void)state;
    for (size_t len = 0; len < sizeof(text); len++) {
        const uint8_t *copy = guarded_copy(text, len);
        struct haproxy_file file = {.sections = NULL};
        haproxy_file_read(&file, "h.cfg", "h.cfg", (const char *)copy, len, some_variables);
        assert_false(file.out_of_memory);
        haproxy_file_finish(&file);
    }
}

static void test_sections(void **state)
{
    struct haproxy_file file = read_text("ignored\n"
                                         "  backend b\n    server R1 a:1\n"
                                         "listen b2\nfrontend f\n\tbind :1\n\n\tbind :2\n");

    (void)state;
    assert_int_equal(file.count, 3);
    assert_string_equal(file.sections[0]->kind, "backend");
    assert_string_equal(file.sections[0]->name, "b");
    assert_int_equal(file.sections[0]->line, 2);
    assert_int_equal(file.sections[0]->lines[0].number, 3);
    assert_ptr_equal(haproxy_file_backend(&file, "b2"), file.sections[1]);
    assert_null(haproxy_file_backend(&file, "f"));
    assert_int_equal(file.sections[2]->count, 2);
    assert_int_equal(haproxy_section_last(file.sections[2], "bind")->number, 8);
    assert_null(haproxy_section_last(file.sections[2], "bind :1 x"));
    assert_true(haproxy_line_begins(&file.sections[2]->lines[0], "bind :1"));
    assert_false(haproxy_line_begins(&file.sections[2]->lines[0], "bind :"));
    assert_string_equal(haproxy_word(&file.sections[2]->lines[0], 7), "");
    haproxy_file_finish(&file);
}

static void test_defaults(void **state)
{
    struct haproxy_file file = read_text("defaults one\n    retries 1\n"
                                         "defaults two from one\n    mode tcp\n"
                                         "backend a\n"
                                         "backend b from one\n    mode http\n"
                                         "defaults\n"
                                         "backend c\n");

    (void)state;
    const struct haproxy_section *a = haproxy_file_backend(&file, "a");
    assert_int_equal(haproxy_section_last(a, "retries")->number, 2);
    assert_int_equal(haproxy_section_last(a, "mode")->number, 4);
    assert_string_equal(haproxy_section_of(a, haproxy_section_last(a, "retries"))->name, "one");
    const struct haproxy_section *b = haproxy_file_backend(&file, "b");
    assert_int_equal(haproxy_section_last(b, "mode")->number, 7);
    assert_ptr_equal(haproxy_section_of(b, haproxy_section_last(b, "mode")), b);
    assert_null(haproxy_section_last(haproxy_file_backend(&file, "c"), "retries"));
    haproxy_file_finish(&file);
}

/* What `global` sets comes before the environment, from there on. */
static void test_environment(void **state)
{
    static const char text[] =
        "global\n    a \"$HOST\"\n    setenv HOST two\n    presetenv HOST three\n    a \"$HOST\"\n"
        "    presetenv NEW four\n    a \"$NEW\"\n    unsetenv NEW HOST\n    a \"$NEW $HOST\"\n"
        "    setenv NEW five\nbackend b\n    setenv NEW six\n    a \"$NEW\"\n";
    static const struct {
        size_t section;
        size_t line;
        const char *word;
    } expected[] = {{0, 0, "redis one"}, {0, 3, "two"}, {0, 5, "four"}, {0, 7, "$NEW $HOST"}, {1, 1, "five"}};
    struct haproxy_file file = read_text(text);

    (void)state;
    assert_int_equal(file.count, 2);
    for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
        assert_true(expected[i].line < file.sections[expected[i].section]->count);
        assert_string_equal(file.sections[expected[i].section]->lines[expected[i].line].words[1],
                            expected[i].word);
    }
    haproxy_file_finish(&file);
}

/* Of each block the first branch is taken, whatever stands within the others. */
static void test_blocks(void **state)
{
    struct haproxy_file file =
        read_text("global\n.if a\n    one\n    .if b\n    two\n    .else\n    no\n    .endif\n"
                  ".elif c\n    no\n    .if d\n    no\n    .else\n    no\n    .endif\n    no\n"
                  ".else\n    no\n.endif\n    three\n");

    (void)state;
    assert_int_equal(file.sections[0]->count, 3);
    assert_string_equal(file.sections[0]->lines[0].words[0], "one");
    assert_string_equal(file.sections[0]->lines[1].words[0], "two");
    assert_string_equal(file.sections[0]->lines[2].words[0], "three");
    haproxy_file_finish(&file);
}

/* A word in brackets alone is a scope, and nothing else. */
static void test_words_that_are_no_scopes(void **state)
{
    static const char *const lines[] = {"x]", "[x", "[", "]", "[x] y", "x [y]"};
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        (void)snprintf(text, sizeof(text), "global\n%s\n[s]\nbackend b\n", lines[i]);
        struct haproxy_file file = read_text(text);
        assert_int_equal(file.count, 2);
        assert_int_equal(file.sections[0]->count, 1);
        assert_string_equal(file.sections[1]->scope, "s");
        haproxy_file_finish(&file);
    }
    struct haproxy_file file = read_text("[s]\nglobal\n x\n[]\n y\nbackend b\n");
    assert_int_equal(file.sections[0]->count, 1); /* a scope ends a section */
    assert_string_equal(file.sections[1]->scope, "");
    haproxy_file_finish(&file);
}

/* Files of SPOE have scopes. */
static void test_scopes(void **state)
{
    struct haproxy_file file = read_text("[one]\nspoe-agent a\n    messages m\n[two]\nspoe-agent a\n");

    (void)state;
    assert_int_equal(file.count, 2);
    assert_string_equal(file.sections[0]->scope, "one");
    assert_string_equal(file.sections[1]->scope, "two");
    assert_int_equal(file.sections[0]->count, 1);
    assert_true(haproxy_file_has(&file, "h.cfg"));
    assert_false(haproxy_file_has(&file, "other.cfg"));
    haproxy_file_finish(&file);
}

static void test_times(void **state)
{
    static const struct {
        const char *word;
        unsigned ms;
    } good[] = {{"500ms", 500},
                {"500", 500},
                {"5s", 5000},
                {"2m", 120000},
                {"1h", 3600000},
                {"1500us", 2},
                {"0", 0},
                {"5ms", 5},
                {"1us", 1},
                {"1000us", 1},
                {"1001us", 2},
                {"1d", 86400000},
                {"49d", 4233600000},
                {"4294967295", 4294967295},
                {"4294967s", 4294967000},
                {"9999999999us", 10000000}};
    static const char *const bad[] = {"",           "s",        "5 s", "5x",   "-1s",         "99999999999s",
                                      "4294967296", "4294968s", "50d", "1us ", "12345678901", "5ss"};
    unsigned ms = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_true(haproxy_read_time(good[i].word, &ms));
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(haproxy_read_time(bad[i], &ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),         cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_variables),     cmocka_unit_test(test_ends),
        cmocka_unit_test(test_odd_variables), cmocka_unit_test(test_most_words),
        cmocka_unit_test(test_sections),      cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_environment),   cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_scopes),        cmocka_unit_test(test_words_that_are_no_scopes),
        cmocka_unit_test(test_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
