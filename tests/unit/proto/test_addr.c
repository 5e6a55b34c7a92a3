#include "proto/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/names.h"
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
        {"Redis-0.Redis.SVC.:6379", ADDR_NAME, "redis-0.redis.svc.:6379"},
        {"unix:/run/Redis.sock", ADDR_UNIX, "unix:/run/Redis.sock"},
        {"a_b-c.d:00080", ADDR_NAME, "a_b-c.d:80"},
        /*
         * RFC 5952: lower case, no leading zeros, the longest run of zeros, the first of two, never a single
         * one
         */
        {"[::]:1", ADDR_IPV6, "[::]:1"},
        {"[FE80:0:0:0:0:0:0:00A1]:1", ADDR_IPV6, "[fe80::a1]:1"},
        {"[1:0:0:2:0:0:0:3]:1", ADDR_IPV6, "[1:0:0:2::3]:1"},
        {"[1:0:0:2:3:0:0:4]:1", ADDR_IPV6, "[1::2:3:0:0:4]:1"},
        {"[1:2:0:4:5:6:7:8]:1", ADDR_IPV6, "[1:2:0:4:5:6:7:8]:1"},
        {"[abcd:abcd:abcd:abcd:abcd:abcd:192.168.100.200]:1", ADDR_IPV6,
         "[abcd:abcd:abcd:abcd:abcd:abcd:c0a8:64c8]:1"},
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
        "[:6379",
        "]:6379",
        "[host]:6379",
        "[10.0.0.1]:6379",
        "1.2.3:80",
        "256.1.1.1:80",
        "unix:",
        ".:80",
        "..:80",
        "a..:80",
        ".a:80",
        "a..b:80",
        "uniX:6", /* would be written as the path 6 */
        "1.2.3.4.:80",
        "01.2.3.4:80",
        "[fe80::1%lo]:80",
        "[::1:80",
        "[1:2:3:4:5:6:7:8:9]:80",
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
    /* Where numeric addresses are at their longest, a name may go on. */
    for (size_t len = 40; len < 50; len++) {
        memset(text, 'a', sizeof(text));
        memcpy(text + len, ":80", 4);
        assert_true(parse(text, &addr));
        assert_int_equal(addr.kind, ADDR_NAME);
    }
}

/* A NUL must not end a text early. */
static void test_nul_is_refused(void **state)
{
    struct addr addr;

    (void)state;
    assert_false(addr_parse(span_of("a\0b:80", 6), &addr));
    assert_false(addr_parse(span_of("10.0.0.1\0:80", 12), &addr));
    assert_false(addr_parse(span_of("[::1\0]:80", 9), &addr));
    assert_false(addr_parse(span_of("unix:/a\0b", 9), &addr));
    assert_false(addr_from_parts(span_of("10.0.0.1", 9), span_of_text("80"), &addr));
    assert_false(addr_from_parts(span_of_text("10.0.0.1"), span_of("80", 3), &addr));
}

/* Every beginning of a text is read within its bounds; what it gives comes back from its own text form. */
static void test_every_cut(void **state)
{
    static const char *const all[] = {"10.0.0.11:6379", "[2001:db8::1]:26379", "redis-0.redis.svc.:6379",
                                      "unix:/run/redis.sock"};

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        for (size_t len = 0; len <= strlen(all[i]); len++) {
            char text[ADDR_TEXT_MAX];
            struct addr addr;
            struct addr again;
            if (!addr_parse(span_of(guarded_copy(all[i], len), len), &addr))
                continue;
            assert_true(parse(addr_format(&addr, text), &again));
            assert_true(addr_equals(&addr, &again));
        }
    }
}

/* A final dot keeps the name out of the search list. It is the same name. */
static void test_final_dot(void **state)
{
    struct addr plain;
    struct addr absolute;

    (void)state;
    assert_true(parse("redis-0.test:6379", &plain));
    assert_true(parse("redis-0.test.:6379", &absolute));
    assert_false(plain.is_absolute);
    assert_true(absolute.is_absolute);
    assert_string_equal(absolute.name, "redis-0.test");
    assert_true(addr_equals(&plain, &absolute));
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

/* A peer could tell new names for ever. Of its names that nobody configured only so many are told apart. */
static void test_names_without_end(void **state)
{
    struct addr configured;
    struct addr told;
    struct addr first;
    struct addr one;
    struct addr other;
    char name[32];

    (void)state;
    names_forget();
    assert_true(parse("redis-0.test:6379", &configured));
    assert_true(addr_from_peer(span_of_text("first.test"), span_of_text("6379"), &first));
    for (int i = 1; i < NAMES_TOLD_MAX; i++) {
        snprintf(name, sizeof(name), "r%d.test", i);
        assert_true(addr_from_peer(span_of_text(name), span_of_text("6379"), &told));
        assert_string_equal(told.name, name);
    }
    assert_true(addr_from_peer(span_of_text("one.test"), span_of_text("6379"), &one));
    assert_true(addr_from_peer(span_of_text("other.test"), span_of_text("6379"), &other));
    assert_string_equal(one.name, ADDR_FORGOTTEN_NAME);
    assert_int_equal(one.kind, ADDR_NAME);
    assert_true(addr_equals(&one, &other) && !addr_equals(&one, &told) && !addr_equals(&one, &configured));
    /* Not even where somebody configured a name like that. */
    assert_true(parse(ADDR_FORGOTTEN_NAME ":6379", &other) && !addr_equals(&one, &other));
    /* What is known already, or has no name, is not affected, nor is what the operator writes. */
    assert_true(addr_from_peer(span_of_text("Redis-0.test."), span_of_text("6379"), &told));
    assert_true(addr_equals(&told, &configured));
    assert_true(addr_from_peer(span_of_text("FIRST.test"), span_of_text("6379"), &told));
    assert_true(addr_equals(&told, &first));
    assert_true(addr_from_peer(span_of_text("10.0.0.1"), span_of_text("6379"), &told));
    assert_int_equal(told.kind, ADDR_IPV4);
    assert_true(parse("one.test:6379", &configured) && !addr_equals(&one, &configured));
    assert_true(addr_from_peer(span_of_text("one.test"), span_of_text("6379"), &one));
    assert_true(addr_equals(&one, &configured));
    /* A name that is configured now counts no more: there is room for one. */
    assert_true(parse("first.test:6379", &configured) && addr_equals(&first, &configured));
    assert_true(addr_from_peer(span_of_text("two.test"), span_of_text("6379"), &told));
    assert_string_equal(told.name, "two.test");
    assert_true(addr_from_peer(span_of_text("three.test"), span_of_text("6379"), &told));
    assert_string_equal(told.name, ADDR_FORGOTTEN_NAME);
    names_forget();
    assert_true(addr_from_peer(span_of_text("three.test"), span_of_text("6379"), &told));
    assert_string_equal(told.name, "three.test");
    names_forget();
}

static void test_hosts_as_text(void **state)
{
    static const struct {
        const char *text;
        const char *host;
    } cases[] = {{"0.0.0.0:1", "0.0.0.0"},
                 {"9.10.99.100:1", "9.10.99.100"},
                 {"255.200.109.1:1", "255.200.109.1"},
                 {"[2001:DB8::1]:1", "2001:db8::1"},
                 {"Redis-0.test.:1", "redis-0.test"},
                 {"unix:/run/Redis.sock", "/run/Redis.sock"}};
    const struct addr none = {.kind = ADDR_NONE};
    char ip[ADDR_IP_TEXT_MAX];
    struct addr addr;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_true(parse(cases[i].text, &addr));
        memset(ip, '0', sizeof(ip));
        assert_string_equal(addr_host(&addr, ip), cases[i].host);
    }
    assert_string_equal(addr_host(&none, ip), "");
}

static void test_same_host(void **state)
{
    struct addr one;
    struct addr other;

    (void)state;
    assert_true(parse("redis.test:1", &one) && parse("redis.test:2", &other));
    assert_true(addr_is_same_host(&one, &other) && !addr_equals(&one, &other));
    assert_true(parse("10.0.0.1:1", &one) && !addr_is_same_host(&one, &other));
    assert_true(parse("10.0.0.1:2", &other) && addr_is_same_host(&one, &other));
    assert_true(parse("10.0.0.2:1", &other) && !addr_is_same_host(&one, &other));
}

static void test_different_addresses_differ(void **state)
{
    static const char *const
        all[] = {"10.0.0.1:1",     "10.0.0.2:1", "10.0.0.1:2", "[::1]:1", "[::2]:1",
                 "host:1",         "host:2",     "host2:1",    "unix:/a", "unix:/b",
                 "host.example:1", "unix:/A",    "[a00:1::]:1"}; /* begins with the bytes of 10.0.0.1 */

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

static void test_from_ip(void **state)
{
    static const uint8_t ipv4[] = {10, 0, 0, 1};
    static const uint8_t ipv6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
    static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
    static const struct {
        const uint8_t *ip;
        enum addr_kind kind;
        const char *text;
    } cases[] = {{ipv4, ADDR_IPV4, "10.0.0.1:6379"},
                 {ipv6, ADDR_IPV6, "[2001:db8::1]:6379"},
                 {mapped, ADDR_IPV6, "10.0.0.1:6379"}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char text[ADDR_TEXT_MAX];
        struct addr parsed;
        const struct addr addr = addr_from_ip(cases[i].ip, cases[i].kind, 6379);
        assert_string_equal(addr_format(&addr, text), cases[i].text);
        assert_true(parse(cases[i].text, &parsed) && addr_equals(&parsed, &addr));
    }
}

static void test_loopback(void **state)
{
    static const char *const loopback[] = {
        "127.0.0.1:1",          "127.9.0.1:1", "0.0.0.0:1",    "[::1]:1",       "[::]:1",
        "[::ffff:127.0.0.1]:1", "localhost:1", "LocalHost.:1", "a.localhost:1", "unix:/run/redis.sock"};
    static const char *const other[] = {"10.0.0.1:1",    "128.0.0.1:1",    "[::2]:1",          "[fe80::1]:1",
                                        "redis-1:1",     "notlocalhost:1", "localhost.test:1", "[100::1]:1",
                                        "[::1:0:0:1]:1", "[::7f00:1]:1",   "0.0.0.1:1"};
    struct addr addr;

    (void)state;
    for (size_t i = 0; i < sizeof(loopback) / sizeof(*loopback); i++)
        assert_true(parse(loopback[i], &addr) && addr_is_loopback(&addr));
    for (size_t i = 0; i < sizeof(other) / sizeof(*other); i++)
        assert_true(parse(other[i], &addr) && !addr_is_loopback(&addr));
    addr.kind = ADDR_NONE;
    assert_false(addr_is_loopback(&addr));
}

static void test_wildcards(void **state)
{
    static const char *const all[] = {"0.0.0.0:1", "[::]:1", "[::ffff:0.0.0.0]:1"};
    static const char *const others[] = {"0.0.0.1:1", "127.0.0.1:1", "[::1]:1", "name:1", "unix:/a"};
    struct addr addr;

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        assert_true(parse(all[i], &addr) && addr_is_wildcard(&addr));
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        assert_true(parse(others[i], &addr) && !addr_is_wildcard(&addr));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wildcards),         cmocka_unit_test(test_forms_and_their_normal_form),
        cmocka_unit_test(test_refused_forms),     cmocka_unit_test(test_limits_of_length),
        cmocka_unit_test(test_nul_is_refused),    cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_final_dot),         cmocka_unit_test(test_parts),
        cmocka_unit_test(test_names_without_end), cmocka_unit_test(test_hosts_as_text),
        cmocka_unit_test(test_same_host),         cmocka_unit_test(test_different_addresses_differ),
        cmocka_unit_test(test_from_ip),           cmocka_unit_test(test_loopback),
    };

    return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
