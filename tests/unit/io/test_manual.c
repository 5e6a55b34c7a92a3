/*
 * What is written of the keywords, in the README, the manual page and the sample, is what the table of
 * keywords says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/base/findings.h"
#include "spoa/core/config/config.h"

#define TEXT_MAX ((size_t)256 * 1024)

/* A file without markup, its blanks made one: what is left are the words. */
static void read_words(const char *path, char words[TEXT_MAX])
{
    FILE *file = fopen(path, "re");
    size_t len = 0;
    bool is_behind_blank = true;
    int byte;

    if (file == NULL)
        fail_msg("%s cannot be read: the tests run in the tree's root", path);
    while ((byte = fgetc(file)) != EOF && len + 1 < TEXT_MAX) {
        bool is_blank = byte == ' ' || byte == '\n' || byte == '\t' || byte == '|' || byte == ';';
        if (byte == '*' || byte == '`' || byte == '\\' || (is_blank && is_behind_blank))
            continue;
        words[len++] = is_blank ? ' ' : (char)byte;
        is_behind_blank = is_blank;
    }
    words[len] = '\0';
    fclose(file);
}

/* The same of a text. */
static void strip(const char *text, char words[1024])
{
    size_t len = 0;
    bool is_behind_blank = true;

    for (; *text != '\0' && len < 1023; text++) {
        bool is_blank = *text == ' ' || *text == '|' || *text == ';';
        if (*text == '*' || *text == '`' || *text == '\\' || (is_blank && is_behind_blank))
            continue;
        words[len++] = is_blank ? ' ' : *text;
        is_behind_blank = is_blank;
    }
    words[len] = '\0';
}

struct manual {
    const char *path;
    char words[TEXT_MAX];
};

static void check_help(void *context, const struct config_keyword_info *info)
{
    const struct manual *manual = context;
    char words[1024];

    strip(info->help, words);
    if (strstr(manual->words, words) == NULL)
        fail_msg("%s does not say of '%s' in [%s]: %s", manual->path, info->key, info->section, words);
}

/* "key = preset" as the sample has it. */
static void check_preset(void *context, const struct config_keyword_info *info)
{
    const struct manual *manual = context;
    char line[256];

    snprintf(line, sizeof(line), " %s = %s", info->key, info->preset != NULL ? info->preset : "");
    if (strstr(manual->words, line) == NULL)
        fail_msg("%s lacks '%s'", manual->path, line);
}

static struct manual text_under_test;

static void check_file(const char *path)
{
    text_under_test.path = path;
    read_words(path, text_under_test.words);
    config_each_keyword(check_help, &text_under_test);
}

static void test_readme(void **state)
{
    (void)state;
    check_file("README.md");
}

static void test_man_page(void **state)
{
    (void)state;
    check_file("spoa/man/sentinel-spoa.conf.5.scd");
}

static void test_sample(void **state)
{
    (void)state;
    check_file("haproxy-conf/sample.conf");
    config_each_keyword(check_preset, &text_under_test);
}

/* The manual page has every code of `check`. */
static void test_findings(void **state)
{
    char row[128];

    (void)state;
    read_words("spoa/man/sentinel-spoa.1.scd", text_under_test.words);
    for (enum finding_code i = 0; i < FINDING_CODE_COUNT; i++) {
        (void)snprintf(row, sizeof(row), " %s ", finding_code_name(i));
        const char *findings = strstr(text_under_test.words, "# FINDINGS");
        if (findings == NULL || strstr(findings, row) == NULL)
            fail_msg("the manual page lacks '%s'", finding_code_name(i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readme),
        cmocka_unit_test(test_man_page),
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_findings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
