/* The client's address in HAProxy's message: the usual form, any other order, and what is no address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/haproxy/question.h"

static uint8_t space[512];

static struct span written;

static void add(struct sink *out, const char *name, struct spop_value value)
{
    spop_kv_write(out, name, &value);
}

static struct spop_value ipv4(uint8_t last)
{
    return (struct spop_value){.type = SPOP_IPV4, .ipv4 = {10, 0, 0, last}};
}

static struct spop_value ipv6(uint8_t last)
{
    struct spop_value value = {.type = SPOP_IPV6, .ipv6 = {0xfd}};

    value.ipv6[15] = last;
    return value;
}

static const struct spop_value nothing = {.type = SPOP_NULL};

/* The four arguments as the recipes have them. */
static struct span usual(struct spop_value src, struct spop_value src_port, struct spop_value dst,
                         struct spop_value dst_port)
{
    struct sink out = sink_of(space, sizeof(space));

    add(&out, "src", src);
    add(&out, "src_port", src_port);
    add(&out, "dst", dst);
    add(&out, "dst_port", dst_port);
    written = span_of(space, (size_t)(out.at - space));
    return written;
}

/* The client in a question that has only the four arguments, in the usual form. */
static struct client client_in(struct span arguments)
{
    uint8_t question[sizeof(space)] = "\1m\4"; /* the message's name, and the count of its arguments */

    assert_true(client_is_usual(arguments));
    memcpy(question + 3, arguments.data, arguments.len);
    return question_client(span_of(question, 3 + arguments.len));
}

static void test_the_usual_form(void **state)
{
    (void)state;
    for (int64_t port = 1; port <= UINT16_MAX; port++) { /* of one, two and three bytes */
        struct client client = client_in(usual(ipv4(7), spop_int64(port), ipv4(9), spop_int64(65536 - port)));
        assert_int_equal(client.kind, CLIENT_TCP);
        assert_false(client.is_ipv6);
        assert_int_equal(client.src_port, port);
        assert_int_equal(client.dst_port, 65536 - port);
        assert_memory_equal(client.src, "\12\0\0\7", 4);
        assert_memory_equal(client.dst, "\12\0\0\11", 4);
    }
    struct client client = client_in(usual(ipv6(1), spop_int64(1), ipv6(2), spop_int64(2)));
    assert_true(client.is_ipv6);
    assert_int_equal(client.src[15], 1);
    assert_int_equal(client.dst[15], 2);
    assert_int_equal(client_in(usual(nothing, nothing, nothing, nothing)).kind, CLIENT_LOCAL);
}

static void test_any_other_form_is_not_usual(void **state)
{
    (void)state;
    struct span good = usual(ipv4(7), spop_int64(40000), ipv4(9), spop_int64(6379));
    for (size_t len = 0; len < good.len; len++)
        assert_false(client_is_usual(span_of(good.data, len)));
    assert_false(client_is_usual(span_of(good.data, good.len + 1)));
    assert_false(client_is_usual(usual(ipv4(7), spop_int64(-1), ipv4(9), spop_int64(6379))));
    assert_false(client_is_usual(usual(ipv4(7), spop_int64(1), ipv4(9), spop_int64(1 << 24))));
    assert_false(client_is_usual(usual(ipv4(7), spop_int64(1), ipv6(9), spop_int64(6379))));
    assert_false(client_is_usual(usual(nothing, spop_int64(1), ipv6(9), spop_int64(6379))));
}

/* Each bit of the usual form counts, but for those of the addresses and of the ports. */
static void check_bits(struct span form, size_t address_len)
{
    const size_t port_at = 5 + address_len + 10;
    const size_t half = form.len / 2;

    assert_int_equal(half, port_at + 3);
    assert_true(client_is_usual(form));
    for (size_t bit = 0; bit < 8 * form.len; bit++) {
        size_t at = bit / 8 % half;
        bool is_address = at >= 5 && at < 5 + address_len;
        bool is_port = (at == port_at && bit % 8 < 4) || (at > port_at && bit % 8 < 7);
        space[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(client_is_usual(form), is_address || is_port);
        if (is_address || is_port)
            assert_int_not_equal(client_in(form).kind, CLIENT_NOT_GIVEN);
        space[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

static void test_each_bit_of_the_usual_form(void **state)
{
    (void)state;
    check_bits(usual(ipv4(7), spop_int64(40000), ipv4(9), spop_int64(6379)), 4);
    check_bits(usual(ipv6(7), spop_int64(40000), ipv6(9), spop_int64(6379)), 16);
}

/* The form is usual, and the client is not: that is seen where the client matters. */
static void test_a_port_that_is_none(void **state)
{
    static const int64_t none[] = {0, UINT16_MAX + 1, 264431}; /* the last is the largest of three bytes */

    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
        assert_int_equal(client_in(usual(ipv4(7), spop_int64(none[i]), ipv4(9), spop_int64(6379))).kind,
                         CLIENT_ODD);
        assert_int_equal(client_in(usual(ipv6(7), spop_int64(6379), ipv6(9), spop_int64(none[i]))).kind,
                         CLIENT_ODD);
    }
}

/* ---- within a question ---- */

static struct sink begin(const char *service, uint8_t count)
{
    struct sink out = sink_of(space, sizeof(space));

    spop_name_write(&out, span_of_text("find-master"));
    sink_put_byte(&out, count);
    add(&out, "service", spop_text(span_of_text(service)));
    return out;
}

static struct client read_question(const struct sink *out)
{
    struct service_question question;

    written = span_of(space, (size_t)(out->at - space));
    assert_true(question_read(written, &question));
    assert_true(span_equals_text(question.service, "mymaster"));
    return question.client;
}

static void test_any_order(void **state)
{
    (void)state;
    struct sink out = begin("mymaster", 6);
    add(&out, "dst_port", spop_uint32(6379));
    add(&out, "src", ipv4(1));
    add(&out, "role", spop_text(span_of_text("master")));
    add(&out, "dst", ipv4(2));
    add(&out, "src_port", spop_int64(40000));
    struct client client = read_question(&out);
    assert_int_equal(client.kind, CLIENT_TCP);
    assert_int_equal(client.src_port, 40000);
    assert_int_equal(client.dst_port, 6379);
    assert_int_equal(question_common_len(written), written.len); /* a number comes first */
}

/* A port is an integer of any type, and nothing else. */
static void test_types_of_a_port(void **state)
{
    (void)state;
    for (enum spop_type type = SPOP_NULL; type <= SPOP_BINARY; type++) {
        const struct client_arguments arguments = {
            .given = 15,
            .src = ipv4(1),
            .dst = ipv4(2),
            .src_port = {.type = type, .integer = 40000},
            .dst_port = {.type = SPOP_INT64, .integer = 6379},
        };
        bool is_integer = type >= SPOP_INT32 && type <= SPOP_UINT64;
        assert_int_equal(client_of(&arguments).kind, is_integer ? CLIENT_TCP : CLIENT_ODD);
        assert_int_equal(client_of(&arguments).src_port, is_integer ? 40000 : 0);
    }
}

static void test_what_is_no_address(void **state)
{
    (void)state;
    struct sink out = begin("mymaster", 1);
    assert_int_equal(read_question(&out).kind, CLIENT_NOT_GIVEN);
    out = begin("mymaster", 2);
    add(&out, "src", ipv4(1));
    assert_int_equal(read_question(&out).kind, CLIENT_ODD);
    out = begin("mymaster", 5);
    add(&out, "src", ipv4(1));
    add(&out, "src_port", spop_int64(0));
    add(&out, "dst", ipv4(1));
    add(&out, "dst_port", spop_int64(1));
    assert_int_equal(read_question(&out).kind, CLIENT_ODD);
    out = begin("mymaster", 5);
    add(&out, "src", spop_text(span_of_text("10.0.0.1")));
    add(&out, "src_port", spop_int64(1));
    add(&out, "dst", spop_text(span_of_text("10.0.0.1")));
    add(&out, "dst_port", spop_int64(1));
    assert_int_equal(read_question(&out).kind, CLIENT_ODD);
    out = begin("mymaster", 5);
    add(&out, "src", nothing);
    add(&out, "src_port", spop_int64(0));
    add(&out, "dst", nothing);
    add(&out, "dst_port", nothing);
    assert_int_equal(read_question(&out).kind, CLIENT_LOCAL);
}

/* What all clients of a frontend have in common ends where the client's address begins. */
static void test_common_part(void **state)
{
    (void)state;
    struct sink out = begin("mymaster", 6);
    add(&out, "role", spop_text(span_of_text("src")));
    size_t len = (size_t)(out.at - space);
    add(&out, "src", ipv4(1));
    add(&out, "src_port", spop_int64(40000));
    add(&out, "dst", ipv4(2));
    add(&out, "dst_port", spop_int64(6379));
    assert_int_equal(read_question(&out).kind, CLIENT_TCP);
    assert_int_equal(question_common_len(written), len);
    for (size_t cut = 0; cut < written.len; cut++) { /* never beyond the end */
        size_t common = question_common_len(span_of(written.data, cut));
        assert_true(common <= cut);
        assert_true(common == cut || common == len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_usual_form),
        cmocka_unit_test(test_any_other_form_is_not_usual),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_types_of_a_port),
        cmocka_unit_test(test_what_is_no_address),
        cmocka_unit_test(test_common_part),
        cmocka_unit_test(test_each_bit_of_the_usual_form),
        cmocka_unit_test(test_a_port_that_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
