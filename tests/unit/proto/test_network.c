/* Networks as text, and what is in them. */
#include "proto/network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static struct network network_of(const char *text)
{
    struct network network;

    if (network_parse(span_of_text(text), &network) != NETWORK_OK)
        fail_msg("%s is refused", text);
    return network;
}

static bool has(const char *network, const char *host)
{
    struct network made = network_of(network);
    struct addr addr;

    assert_true(addr_from_parts(span_of_text(host), span_of_text("80"), &addr));
    return network_has(&made, &addr);
}

static void test_edges(void **state)
{
    (void)state;
    assert_true(has("10.0.0.0/8", "10.0.0.0"));
    assert_true(has("10.0.0.0/8", "10.255.255.255"));
    assert_false(has("10.0.0.0/8", "11.0.0.0"));
    assert_false(has("10.0.0.0/8", "9.255.255.255"));
    assert_true(has("192.168.4.0/22", "192.168.7.255"));
    assert_false(has("192.168.4.0/22", "192.168.8.0"));
    assert_true(has("10.0.0.5", "10.0.0.5"));
    assert_false(has("10.0.0.5", "10.0.0.4"));
    assert_true(has("0.0.0.0/0", "255.1.2.3"));
    assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(has("::1", "::1"));
    assert_false(has("::1", "::2"));
}

static void test_families(void **state)
{
    (void)state;
    assert_false(has("::/0", "10.0.0.1"));
    assert_false(has("0.0.0.0/0", "::1"));
    assert_true(has("10.0.0.0/8", "::ffff:10.0.0.1"));
    assert_false(has("0.0.0.0/0", "redis.example.org"));
}

/* IPv4 in the form of IPv6 is IPv4, for networks as for addresses. */
static void test_mapped(void **state)
{
    static const char *const forms[][2] = {
        {"::ffff:10.0.0.0/104", "10.0.0.0/8"},
        {"::ffff:a00:0/104", "10.0.0.0/8"},
        {"::ffff:0:0/96", "0.0.0.0/0"},
        {"::ffff:10.0.0.5/128", "10.0.0.5/32"},
        {"::FFFF:10.0.0.5", "10.0.0.5/32"},
        {"0:0:0:0:0:ffff:192.168.0.0/112", "192.168.0.0/16"},
        {"::fffe:10.0.0.0/112", "::fffe:a00:0/112"},
    };
    static const char *const too_few[] = {"::ffff:10.0.0.0/95", "::ffff:0:0/80", "::ffff:0.0.0.0/0",
                                          "::ffff:10.0.0.0/8"};
    static const char *const bad[] = {"::ffff:10.0.0.0/129", "::ffff:10.0.0.0/102", "::ffff:10.0.0.1/104",
                                      "10.0.0.0/104"};
    struct network network;

    (void)state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        char text[NETWORK_TEXT_MAX];
        network = network_of(forms[i][0]);
        assert_string_equal(network_format(&network, text), forms[i][1]);
    }
    for (size_t i = 0; i < sizeof(too_few) / sizeof(*too_few); i++)
        assert_int_equal(network_parse(span_of_text(too_few[i]), &network), NETWORK_TOO_FEW_BITS);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(network_parse(span_of_text(bad[i]), &network), NETWORK_BAD);
    assert_true(has("::ffff:10.0.0.0/104", "10.1.2.3"));
    assert_true(has("::ffff:10.0.0.0/104", "::ffff:10.1.2.3"));
    assert_false(has("::ffff:10.0.0.0/104", "11.0.0.0"));
}

static void test_texts(void **state)
{
    char text[NETWORK_TEXT_MAX];
    struct network network = network_of("10.0.0.5");

    (void)state;
    assert_string_equal(network_format(&network, text), "10.0.0.5/32");
    network = network_of("2001:DB8:0::/32");
    assert_string_equal(network_format(&network, text), "2001:db8::/32");
}

static void test_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "/",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/8x",
        "10.0.0.1/8",
        "10.0.0.0/08 ",
        "10.0.0/8",
        "redis/8",
        "::/129",
        "2001:db8::1/64",
        "/8",
        "[::1]/128",
        "10.0.0.0/1000",
        "10.0.0.0/8/8",
        " 10.0.0.0/8",
    };
    struct network network;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (network_parse(span_of_text(texts[i]), &network) != NETWORK_BAD)
            fail_msg("'%s' is taken", texts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges), cmocka_unit_test(test_families), cmocka_unit_test(test_mapped),
        cmocka_unit_test(test_texts), cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
