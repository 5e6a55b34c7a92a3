/* The documentation has what the tables in the code have: the keywords, and the codes of `check`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/base/findings.h"
#include "tests/lib/reference.h"

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

/* What `make docs` writes; to be freed. */
static char *written(size_t index, FILE *in)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    if (!reference_write(index, in, out))
        fail_msg("%s lacks a mark where the keys of a section begin or end", reference_path(index));
    assert_int_equal(fclose(out), 0);
    return text;
}

static void check_document(size_t index, FILE *file)
{
    char *text = written(index, file);
    const char *expected = text;
    char line[4096];

    rewind(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(expected, line, strlen(line)) != 0)
            fail_msg("%s is not what `make docs` writes: %s", reference_path(index), line);
        expected += strlen(line);
    }
    assert_string_equal(expected, "");
    free(text);
}

/* The documents have of each keyword what the table of keywords has. */
static void test_keywords(void **state)
{
    (void)state;
    for (size_t i = 0; reference_path(i) != NULL; i++) {
        FILE *file = fopen(reference_path(i), "re");
        if (file == NULL) {
            fail_msg("%s cannot be read: the tests run in the tree's root", reference_path(i));
            return;
        }
        check_document(i, file);
        fclose(file);
    }
}

/* The manual page has every code of `check`. */
static void test_findings(void **state)
{
    static char words[TEXT_MAX];
    char row[128];

    (void)state;
    read_words("spoa/man/sentinel-spoa.1.scd", words);
    for (enum finding_code i = 0; i < FINDING_CODE_COUNT; i++) {
        (void)snprintf(row, sizeof(row), " %s ", finding_code_name(i));
        const char *findings = strstr(words, "# FINDINGS");
        if (findings == NULL || strstr(findings, row) == NULL)
            fail_msg("the manual page lacks '%s'", finding_code_name(i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keywords),
        cmocka_unit_test(test_findings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
