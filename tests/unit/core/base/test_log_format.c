/* Log lines: both formats, escaping, cutting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "spoa/core/base/log_format.h"

#define TIME "2026-11-20T22:41:00.123Z"

static char written[8192];

/* The line of `fields` as text, in `written`. */
static const char *format_fields(enum log_format format, const struct log_field *fields, size_t count,
                                 size_t size)
{
    struct log_line line = {
        .time = TIME, .level = LOG_LEVEL_INFO, .event = "e", .fields = fields, .count = count};
    uint8_t *out = malloc(size); /* exactly: a write beyond it is seen by the sanitizer */

    assert_non_null(out);
    size_t len = log_format_line(format, &line, out, size);
    assert_true(len <= size);
    memcpy(written, out, len);
    written[len] = '\0';
    free(out);
    return written;
}

static void check_value(struct span value, const char *logfmt, const char *json)
{
    char expected[4096];
    struct log_field field = log_span("k", value);

    snprintf(expected, sizeof(expected), "ts=" TIME " level=info event=e k=%s\n", logfmt);
    assert_string_equal(format_fields(LOG_FORMAT_LOGFMT, &field, 1, 4096), expected);
    snprintf(expected, sizeof(expected),
             "{\"ts\":\"" TIME "\",\"level\":\"info\",\"event\":\"e\",\"k\":%s}\n", json);
    assert_string_equal(format_fields(LOG_FORMAT_JSON, &field, 1, 4096), expected);
}

static void check_text(const char *value, const char *logfmt, const char *json)
{
    check_value(span_of_text(value), logfmt, json);
}

static void whole_line(void **state)
{
    const struct log_field fields[] = {log_text("address", "127.0.0.1:9012"), log_number("votes", -2)};

    (void)state;
    assert_string_equal(format_fields(LOG_FORMAT_LOGFMT, fields, 2, 4096),
                        "ts=" TIME " level=info event=e address=127.0.0.1:9012 votes=-2\n");
    assert_string_equal(format_fields(LOG_FORMAT_JSON, fields, 2, 4096),
                        "{\"ts\":\"" TIME "\",\"level\":\"info\",\"event\":\"e\","
                        "\"address\":\"127.0.0.1:9012\",\"votes\":-2}\n");
}

static void no_fields(void **state)
{
    (void)state;
    assert_string_equal(format_fields(LOG_FORMAT_LOGFMT, NULL, 0, 4096), "ts=" TIME " level=info event=e\n");
    assert_string_equal(format_fields(LOG_FORMAT_JSON, NULL, 0, 4096),
                        "{\"ts\":\"" TIME "\",\"level\":\"info\",\"event\":\"e\"}\n");
}

static void number_edges(void **state)
{
    const struct log_field fields[] = {log_number("a", INT64_MIN), log_number("b", INT64_MAX),
                                       log_number("c", 0)};

    (void)state;
    assert_string_equal(format_fields(LOG_FORMAT_LOGFMT, fields, 3, 4096),
                        "ts=" TIME " level=info event=e a=-9223372036854775808 b=9223372036854775807 c=0\n");
}

static void quoting(void **state)
{
    (void)state;
    check_text("plain-Value_1.2:3/[x]", "plain-Value_1.2:3/[x]", "\"plain-Value_1.2:3/[x]\"");
    check_text("", "\"\"", "\"\"");
    check_text("two words", "\"two words\"", "\"two words\"");
    check_text("a=b", "\"a=b\"", "\"a=b\"");
    check_text("say \"hi\"", "\"say \\\"hi\\\"\"", "\"say \\\"hi\\\"\"");
    check_text("back\\slash", "\"back\\\\slash\"", "\"back\\\\slash\"");
}

static void control_bytes(void **state)
{
    (void)state;
    check_text("a\nlevel=error", "\"a\\nlevel=error\"", "\"a\\nlevel=error\"");
    check_text("\r\t", "\"\\r\\t\"", "\"\\r\\t\"");
    check_text("\x1b[2J", "\"\\x1b[2J\"", "\"\\u001b[2J\"");
    check_text("\x7f", "\"\\x7f\"", "\"\\u007f\"");
    check_value(span_of("a\0b", 3), "\"a\\x00b\"", "\"a\\u0000b\"");
}

static void utf8(void **state)
{
    (void)state;
    check_text("gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\"");
    check_text("\xe2\x82\xac", "\xe2\x82\xac", "\"\xe2\x82\xac\"");
    check_text("\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80", "\"\xed\x9f\xbf\xee\x80\x80\"");
    check_text("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
               "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"");
}

/* The first and the last second byte that may follow each first byte, and those beside them. */
static void utf8_edges(void **state)
{
    static const struct {
        uint8_t lead;
        uint8_t first;
        uint8_t last;
        size_t len;
    } ranges[] = {{0xC2, 0x80, 0xBF, 2}, {0xDF, 0x80, 0xBF, 2}, {0xE0, 0xA0, 0xBF, 3},
                  {0xE1, 0x80, 0xBF, 3}, {0xED, 0x80, 0x9F, 3}, {0xEF, 0x80, 0xBF, 3},
                  {0xF0, 0x90, 0xBF, 4}, {0xF1, 0x80, 0xBF, 4}, {0xF4, 0x80, 0x8F, 4}};

    (void)state;
    for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
        for (unsigned second = 0x7F; second <= 0xC0; second++) {
            const uint8_t bytes[] = {ranges[i].lead, (uint8_t)second, 0x80, 0xBF};
            const struct log_field field = log_span("k", span_of(bytes, ranges[i].len));
            bool is_whole = strchr(format_fields(LOG_FORMAT_LOGFMT, &field, 1, 4096), '\\') == NULL;
            assert_int_equal(is_whole, second >= ranges[i].first && second <= ranges[i].last);
        }
    check_text("\xe2\x82\x80\xe2\x82\xbf", "\xe2\x82\x80\xe2\x82\xbf", "\"\xe2\x82\x80\xe2\x82\xbf\"");
    check_text("\xe2\x82\xc0", "\"\\xe2\\x82\\xc0\"", "\"\\u00e2\\u0082\\u00c0\"");
    check_text("\xf1\x82\x80\x7e", "\"\\xf1\\x82\\x80~\"", "\"\\u00f1\\u0082\\u0080~\"");
}

static void invalid_utf8(void **state)
{
    (void)state;
    check_text("\xff", "\"\\xff\"", "\"\\u00ff\"");
    check_text("a\x80z", "\"a\\x80z\"", "\"a\\u0080z\"");
    check_text("\xc1\xbf", "\"\\xc1\\xbf\"", "\"\\u00c1\\u00bf\"");                 /* overlong */
    check_text("\xe0\x9f\xbf", "\"\\xe0\\x9f\\xbf\"", "\"\\u00e0\\u009f\\u00bf\""); /* overlong */
    check_text("\xed\xa0\x80", "\"\\xed\\xa0\\x80\"", "\"\\u00ed\\u00a0\\u0080\""); /* surrogate */
    check_text("\xf0\x8f\xbf\xbf", "\"\\xf0\\x8f\\xbf\\xbf\"",
               "\"\\u00f0\\u008f\\u00bf\\u00bf\""); /* overlong */
    check_text("\xf4\x90\x80\x80", "\"\\xf4\\x90\\x80\\x80\"",
               "\"\\u00f4\\u0090\\u0080\\u0080\""); /* > 10FFFF */
    check_text("\xf5\x80\x80\x80", "\"\\xf5\\x80\\x80\\x80\"", "\"\\u00f5\\u0080\\u0080\\u0080\"");
    check_text("\xe2\x82(", "\"\\xe2\\x82(\"", "\"\\u00e2\\u0082(\"");
}

/* A character that the end cuts, with nothing readable behind it. */
static void truncated_utf8(void **state)
{
    static const char euro[] = "\xe2\x82\xac";

    (void)state;
    for (size_t len = 1; len < 3; len++) {
        uint8_t *exact = malloc(len);
        assert_non_null(exact);
        memcpy(exact, euro, len);
        check_value(span_of(exact, len), len == 1 ? "\"\\xe2\"" : "\"\\xe2\\x82\"",
                    len == 1 ? "\"\\u00e2\"" : "\"\\u00e2\\u0082\"");
        free(exact);
    }
}

static void suppressed_count(void **state)
{
    uint8_t out[512];
    struct log_field field = log_text("k", "v");
    struct log_line line = {
        .time = TIME, .level = LOG_LEVEL_WARNING, .event = "e", .fields = &field, .count = 1};

    (void)state;
    line.suppressed = UINT64_MAX;
    out[log_format_line(LOG_FORMAT_LOGFMT, &line, out, sizeof(out))] = '\0';
    assert_string_equal((char *)out,
                        "ts=" TIME " level=warning event=e k=v suppressed=18446744073709551615\n");
    out[log_format_line(LOG_FORMAT_JSON, &line, out, sizeof(out))] = '\0';
    assert_string_equal((char *)out, "{\"ts\":\"" TIME "\",\"level\":\"warning\",\"event\":\"e\",\"k\":\"v\","
                                     "\"suppressed\":18446744073709551615}\n");
}

static void long_value_is_cut(void **state)
{
    char value[LOG_FORMAT_VALUE_MAX + 3];
    struct log_field field;
    const char *text = NULL;

    (void)state;
    memset(value, 'x', sizeof(value));
    field = log_span("k", span_of(value, LOG_FORMAT_VALUE_MAX));
    text = format_fields(LOG_FORMAT_LOGFMT, &field, 1, 4096);
    assert_null(strstr(text, "..."));
    assert_int_equal(strspn(strstr(text, "k=") + 2, "x"), LOG_FORMAT_VALUE_MAX);
    field = log_span("k", span_of(value, sizeof(value)));
    text = format_fields(LOG_FORMAT_LOGFMT, &field, 1, 4096);
    assert_int_equal(strspn(strstr(text, "k=\"") + 3, "x"), LOG_FORMAT_VALUE_MAX);
    assert_non_null(strstr(text, "x...\"\n"));
    /* A character across the limit is left out whole. */
    memcpy(value + LOG_FORMAT_VALUE_MAX - 2, "\xe2\x82\xac", 3);
    text = format_fields(LOG_FORMAT_LOGFMT, &field, 1, 4096);
    assert_int_equal(strspn(strstr(text, "k=\"") + 3, "x"), LOG_FORMAT_VALUE_MAX - 2);
    assert_non_null(strstr(text, "x...\"\n"));
}

/* Whatever the space: whole fields, a proper end, never beyond. */
static void long_line_is_cut(void **state)
{
    const struct log_field fields[] = {log_text("a", "0123456789012345678901234567890123456789"),
                                       log_text("b", "\x01\x01\x01\x01\x01\x01"), log_number("c", 1234567890),
                                       log_text("d", "0123456789012345678901234567890123456789")};
    size_t cut_count = 0;

    (void)state;
    for (size_t size = LOG_FORMAT_SIZE_MIN; size < 400; size++) {
        const char *text = format_fields(LOG_FORMAT_JSON, fields, 4, size);
        size_t len = strlen(text);
        assert_string_equal(text + len - 2, "}\n");
        if (strstr(text, "\"d\":\"0123456789012345678901234567890123456789\"}") == NULL) {
            assert_non_null(strstr(text, ",\"cut\":true}\n"));
            assert_null(strstr(text, "\"d\""));
            cut_count++;
        }
        text = format_fields(LOG_FORMAT_LOGFMT, fields, 4, size);
        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    }
    assert_true(cut_count >= 1 && cut_count <= 143);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_line),        cmocka_unit_test(no_fields),
        cmocka_unit_test(number_edges),      cmocka_unit_test(quoting),
        cmocka_unit_test(control_bytes),     cmocka_unit_test(utf8),
        cmocka_unit_test(invalid_utf8),      cmocka_unit_test(utf8_edges),
        cmocka_unit_test(truncated_utf8),    cmocka_unit_test(suppressed_count),
        cmocka_unit_test(long_value_is_cut), cmocka_unit_test(long_line_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
