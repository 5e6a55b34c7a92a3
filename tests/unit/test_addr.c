#include "proto/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/guarded.h"

static bool parse(const char *text, struct addr *addr)
{
    size_t len = strlen(text);

    return addr_parse(span_of(guarded_copy(text, len), len), addr);
}

static void test_forms_and_their_normal_form(void **state)
{
    static const struct {
        const char *text;
        enum addr_kind kind;
        const char *normal;
    } forms[] = {
        {"10.0.0.11:6379", ADDR_IPV4, "10.0.0.11:6379"},
        {"[::1]:26379", ADDR_IPV6, "[::1]:26379"},
        {"[2001:DB8:0:0:0:0:0:1]:1", ADDR_IPV6, "[2001:db8::1]:1"},
        {"[::ffff:10.0.0.1]:65535", ADDR_IPV4, "10.0.0.1:65535"},
        {"Redis-0.Redis.SVC.:6379", ADDR_NAME, "redis-0.redis.svc:6379"},
        {"unix:/run/Redis.sock", ADDR_UNIX, "unix:/run/Redis.sock"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        char text[ADDR_TEXT_MAX];
        struct addr addr;
        struct addr again;
        assert_true(parse(forms[i].text, &addr));
        assert_int_equal(addr.kind, forms[i].kind);
        assert_string_equal(addr_format(&addr, text), forms[i].normal);
        assert_true(parse(text, &again));
        assert_true(addr_equals(&addr, &again));
    }
}

static void test_refused_forms(void **state)
{
    static const char *const refused[] = {
        "",
        ":",
        ":6379",
        "host",
        "host:",
        "host:0",
        "host:-1",
        "host:65536",
        "host:99999999999",
        "host:6379x",
        "ho st:6379",
        "ho/st:6379",
        "::1:6379",
        "[::1]",
        "[::1]6379",
        "[]:6379",
        "[host]:6379",
        "[10.0.0.1]:6379",
        "1.2.3:80",
        "256.1.1.1:80",
        "unix:",
        ".:80",
    };
    struct addr addr = {.kind = ADDR_NONE, .port = 7};

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        if (parse(refused[i], &addr))
            fail_msg("'%s' was taken", refused[i]);
        assert_int_equal(addr.kind, ADDR_NONE);
        assert_int_equal(addr.port, 7);
    }
}

static void test_limits_of_length(void **state)
{
    char text[400];
    struct addr addr;

    (void)state;
    memset(text, 'a', sizeof(text));
    memcpy(text + 253, ":80", 4);
    assert_true(parse(text, &addr));
    memset(text, 'a', sizeof(text));
    memcpy(text + 254, ":80", 4);
    assert_false(parse(text, &addr));
    memset(text, 'a', sizeof(text));
    memcpy(text, "unix:", 5);
    text[5 + 107] = '\0';
    assert_true(parse(text, &addr));
    text[5 + 107] = 'a';
    text[5 + 108] = '\0';
    assert_false(parse(text, &addr));
    assert_false(addr_parse(span_of("a\0b:80", 6), &addr));
}

static void test_parts(void **state)
{
    struct addr parts;
    struct addr whole;

    (void)state;
    assert_true(addr_from_parts(span_of_text("::FFFF:10.0.0.1"), span_of_text("6379"), &parts));
    assert_true(parse("10.0.0.1:6379", &whole));
    assert_true(addr_equals(&parts, &whole));
    assert_true(addr_from_parts(span_of_text("fe80::1"), span_of_text("6379"), &parts));
    assert_int_equal(parts.kind, ADDR_IPV6);
    assert_false(addr_from_parts(span_of_text(""), span_of_text("6379"), &parts));
    assert_false(addr_from_parts(span_of_text("10.0.0.1"), span_of_text("0"), &parts));
    assert_false(addr_from_parts(span_of_text("10.0.0.1"), span_of_text(""), &parts));
}

static void test_different_addresses_differ(void **state)
{
    static const char *const all[] = {"10.0.0.1:1", "10.0.0.2:1", "10.0.0.1:2",     "[::1]:1",
                                      "[::2]:1",    "host:1",     "host:2",         "host2:1",
                                      "unix:/a",    "unix:/b",    "host.example:1", "unix:/A"};

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        for (size_t k = 0; k < sizeof(all) / sizeof(*all); k++) {
            struct addr a;
            struct addr b;
            assert_true(parse(all[i], &a) && parse(all[k], &b));
            assert_int_equal(addr_equals(&a, &b), i == k);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms_and_their_normal_form),
        cmocka_unit_test(test_refused_forms),
        cmocka_unit_test(test_limits_of_length),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_different_addresses_differ),
    };

    return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
