/* JSON: commas, quotes, escapes. */
#include "spoa/core/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spoa/core/base/text.h"

static struct text out;
static struct json json;

static int begin(void **state)
{
    (void)state;
    json = json_of(&out);
    return 0;
}

static int end(void **state)
{
    (void)state;
    text_finish(&out);
    return 0;
}

static void test_commas(void **state)
{
    (void)state;
    json_begin_object(&json, NULL);
    json_string(&json, "a", "b");
    json_number(&json, "n", INT64_MIN);
    json_begin_array(&json, "empty");
    json_end(&json);
    json_begin_array(&json, "list");
    json_bool(&json, NULL, true);
    json_bool(&json, NULL, false);
    json_null(&json, NULL);
    json_begin_object(&json, NULL);
    json_end(&json);
    json_begin_object(&json, NULL);
    json_null(&json, "x");
    json_number(&json, "y", 0);
    json_end(&json);
    json_number(&json, NULL, INT64_MAX);
    json_end(&json);
    json_string(&json, "last", NULL);
    json_end(&json);
    assert_string_equal(out.data,
                        "{\"a\":\"b\",\"n\":-9223372036854775808,\"empty\":[],\"list\":[true,false,null,{},"
                        "{\"x\":null,\"y\":0},9223372036854775807],\"last\":null}");
    assert_int_equal(json.depth, 0);
}

static void test_escapes(void **state)
{
    (void)state;
    json_begin_array(&json, NULL);
    json_string(&json, NULL, "a\"b\\c\n\x01\x7f\xc3\xa4");
    json_string(&json, NULL, " \x1f");
    json_string(&json, NULL, "");
    json_end(&json);
    assert_string_equal(out.data, "[\"a\\\"b\\\\c\\u000a\\u0001\x7f\xc3\xa4\",\" \\u001f\",\"\"]");
}

static void test_depth(void **state)
{
    (void)state;
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        json_begin_array(&json, NULL);
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        json_end(&json);
    assert_string_equal(out.data, "[[[[[[[[]]]]]]]]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_commas, begin, end),
        cmocka_unit_test_setup_teardown(test_escapes, begin, end),
        cmocka_unit_test_setup_teardown(test_depth, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
