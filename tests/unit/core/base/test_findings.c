/* Findings: one for each cause, in text and in JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/base/findings.h"
#include "spoa/core/base/json.h"
#include "spoa/core/base/text.h"

static struct findings findings;
static struct text out;

static int begin(void **state)
{
    (void)state;
    findings = (struct findings){.list = NULL};
    out = (struct text){.data = NULL};
    return 0;
}

static int end(void **state)
{
    (void)state;
    findings_finish(&findings);
    text_finish(&out);
    return 0;
}

static const struct finding_place nowhere = {.file = NULL};
static const struct finding_place here = {.file = "a.conf", .line = 1};

static void check_text(const char *expected)
{
    text_finish(&out);
    findings_write_text(&findings, &out);
    assert_false(out.has_failed || findings.out_of_memory);
    assert_string_equal(out.data, expected);
}

static void test_counts(void **state)
{
    (void)state;
    check_text("0 findings\n");
    findings_add(&findings, FINDING_RETRIES, nowhere, NULL, NULL, "one");
    check_text("error: one [retries]\n1 finding\n");
    findings_add(&findings, FINDING_RETRIES, nowhere, NULL, NULL, "two");
    check_text("error: one [retries]\nerror: two [retries]\n2 findings\n");
}

static void test_one_cause_is_one_finding(void **state)
{
    (void)state;
    findings_add(&findings, FINDING_VOTER_PASSWORD, here, "S1", "set it", "%s", "refused");
    findings_add(&findings, FINDING_VOTER_PASSWORD, here, "S2", "set it", "refused");
    findings_add(&findings, FINDING_VOTER_PASSWORD, here, "S2", "set it", "refused");
    findings_add(&findings, FINDING_VOTER_PASSWORD, here, "S3", "set it", "refused");
    check_text("error: a.conf:1: S1, S2 and S3: refused [voter-password]\n  -> set it\n1 finding\n");
    assert_true(findings_have(&findings, FINDING_VOTER_PASSWORD, "S2"));
    assert_true(findings_have(&findings, FINDING_VOTER_PASSWORD, NULL));
    assert_false(findings_have(&findings, FINDING_VOTER_PASSWORD, "S4"));
    assert_false(findings_have(&findings, FINDING_NODE_PASSWORD, NULL));
}

/* Another code, place, fix or message is another cause. */
static void test_other_causes(void **state)
{
    const struct finding_place other_line = {.file = "a.conf", .line = 8};
    const struct finding_place other_file = {.file = "b.conf", .line = 1};

    (void)state;
    findings_add(&findings, FINDING_RETRIES, here, "S1", "x", "m");
    findings_add(&findings, FINDING_PERSIST, here, "S1", "x", "m");
    findings_add(&findings, FINDING_RETRIES, other_line, "S1", "x", "m");
    findings_add(&findings, FINDING_RETRIES, other_file, "S1", "x", "m");
    findings_add(&findings, FINDING_RETRIES, nowhere, "S1", "x", "m");
    findings_add(&findings, FINDING_RETRIES, here, "S1", "y", "m");
    findings_add(&findings, FINDING_RETRIES, here, "S1", NULL, "m");
    findings_add(&findings, FINDING_RETRIES, here, "S1", "x", "n");
    assert_int_equal(findings.count, 8);
}

static void test_places(void **state)
{
    const struct finding_place whole = {.file = "a.conf"};

    (void)state;
    findings_add(&findings, FINDING_UNREADABLE_FILE, whole, "S1", NULL, "m\033[31m \x7f\x1f~");
    check_text("error: a.conf: S1: m?[31m ??~ [unreadable-file]\n1 finding\n");
}

static void test_a_subject_of_one_letter(void **state)
{
    (void)state;
    findings_add(&findings, FINDING_RETRIES, nowhere, "m", NULL, "one");
    check_text("error: m: one [retries]\n1 finding\n");
}

static void test_json(void **state)
{
    struct json json = json_of(&out);

    (void)state;
    findings_add(&findings, FINDING_VOTER_PASSWORD, here, "S1", "set \"it\"", "m");
    findings_add(&findings, FINDING_NO_MEMORY, nowhere, NULL, NULL, "n");
    json_begin_object(&json, NULL);
    findings_write_json(&findings, &json, "findings");
    json_end(&json);
    assert_string_equal(
        out.data,
        "{\"findings\":[{\"code\":\"voter-password\",\"severity\":\"error\",\"file\":\"a.conf\",\"line\":1,"
        "\"subject\":[\"S1\"],\"message\":\"m\",\"fix\":\"set \\\"it\\\"\"},"
        "{\"code\":\"no-memory\",\"severity\":\"error\",\"file\":null,\"line\":null,\"subject\":[],"
        "\"message\":\"n\",\"fix\":null}]}");
}

/* A code is never two findings' name, and is written in small letters. */
static void test_codes(void **state)
{
    (void)state;
    for (enum finding_code i = 0; i < FINDING_CODE_COUNT; i++) {
        const char *name = finding_code_name(i);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
        for (enum finding_code k = 0; k < i; k++)
            assert_string_not_equal(name, finding_code_name(k));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_counts, begin, end),
        cmocka_unit_test_setup_teardown(test_one_cause_is_one_finding, begin, end),
        cmocka_unit_test_setup_teardown(test_other_causes, begin, end),
        cmocka_unit_test_setup_teardown(test_places, begin, end),
        cmocka_unit_test_setup_teardown(test_a_subject_of_one_letter, begin, end),
        cmocka_unit_test_setup_teardown(test_json, begin, end),
        cmocka_unit_test(test_codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
