/* The parser of replies: every kind, every cut, every limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

#include "spoa/io/redis/reply_parser.h"

static struct reply_parser *parser;

static int create_parser(void **state)
{
    (void)state;
    parser = reply_parser_create(1024);
    return parser != NULL ? 0 : -1;
}

static int destroy_parser(void **state)
{
    (void)state;
    reply_parser_destroy(parser);
    parser = NULL;
    return 0;
}

/* From memory that ends there and is gone afterwards: the parser must have copied it. */
static void feed(const void *bytes, size_t len)
{
    void *exact = malloc(len > 0 ? len : 1);

    assert_non_null(exact);
    memcpy(exact, bytes, len);
    reply_parser_feed(parser, span_of(exact, len));
    free(exact);
}

static void feed_text(const char *text)
{
    feed(text, strlen(text));
}

static const struct reply *next_reply(void)
{
    const struct reply *reply = NULL;

    assert_int_equal(reply_parser_next(parser, &reply), REPLY_PARSER_REPLY);
    return reply;
}

static void check_needs_more(void)
{
    const struct reply *reply = NULL;

    assert_int_equal(reply_parser_next(parser, &reply), REPLY_PARSER_NEEDS_MORE);
    assert_null(reply);
}

static void check_failed(const char *reason)
{
    const struct reply *reply = NULL;

    assert_int_equal(reply_parser_next(parser, &reply), REPLY_PARSER_FAILED);
    assert_null(reply);
    if (strstr(reply_parser_error(parser), reason) == NULL)
        fail_msg("error is '%s', expected '%s'", reply_parser_error(parser), reason);
    /* For ever. */
    feed_text("+OK\r\n");
    assert_int_equal(reply_parser_next(parser, &reply), REPLY_PARSER_FAILED);
}

static void check_text(const struct reply *reply, enum reply_kind kind, const char *text)
{
    assert_int_equal(reply->kind, kind);
    assert_true(span_equals_text(reply->text, text));
}

static void scalars(void **state)
{
    (void)state;
    feed_text("+OK\r\n-NOAUTH Authentication required.\r\n:-42\r\n$5\r\na\r\nbc\r\n$0\r\n\r\n$-1\r\n*-1\r\n");
    check_text(next_reply(), REPLY_TEXT, "OK");
    check_text(next_reply(), REPLY_ERROR, "NOAUTH Authentication required.");
    const struct reply *reply = next_reply();
    assert_int_equal(reply->kind, REPLY_INTEGER);
    assert_int_equal(reply->number, -42);
    check_text(next_reply(), REPLY_TEXT, "a\r\nbc");
    check_text(next_reply(), REPLY_TEXT, "");
    assert_int_equal(next_reply()->kind, REPLY_NIL);
    assert_int_equal(next_reply()->kind, REPLY_NIL);
    check_needs_more();
}

static const char nested[] =
    "*4\r\n*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n*0\r\n:7\r\n*2\r\n$-1\r\n*1\r\n-ERR x\r\n";

static void check_nested(const struct reply *reply)
{
    assert_int_equal(reply->kind, REPLY_ARRAY);
    assert_int_equal(reply->count, 4);
    assert_int_equal(reply->elements[0].kind, REPLY_ARRAY);
    assert_int_equal(reply->elements[0].count, 2);
    check_text(&reply->elements[0].elements[0], REPLY_TEXT, "127.0.0.1");
    check_text(&reply->elements[0].elements[1], REPLY_TEXT, "6379");
    assert_int_equal(reply->elements[1].kind, REPLY_ARRAY);
    assert_int_equal(reply->elements[1].count, 0);
    assert_int_equal(reply->elements[2].number, 7);
    const struct reply *last = &reply->elements[3];
    assert_int_equal(last->count, 2);
    assert_int_equal(last->elements[0].kind, REPLY_NIL);
    check_text(&last->elements[1].elements[0], REPLY_ERROR, "ERR x");
}

static void nested_at_every_cut(void **state)
{
    size_t len = strlen(nested);

    (void)state;
    for (size_t cut = 1; cut < len; cut++) {
        feed(nested, cut);
        check_needs_more();
        feed(nested + cut, len - cut);
        check_nested(next_reply());
        check_needs_more();
    }
}

static void nested_byte_by_byte(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i + 1 < strlen(nested); i++) {
            feed(nested + i, 1);
            check_needs_more();
        }
        feed(nested + strlen(nested) - 1, 1);
        check_nested(next_reply());
    }
}

/* Longer than the parser's own memory, again and again: it is given back, and never adds up to the limit. */
static void large_replies_in_a_row(void **state)
{
    static char text[200000];
    char head[32];

    (void)state;
    memset(text, 'x', sizeof(text));
    snprintf(head, sizeof(head), "*2\r\n$%zu\r\n", sizeof(text));
    for (int i = 0; i < 20; i++) {
        feed_text(head);
        feed(text, sizeof(text));
        feed_text("\r\n+end\r\n");
        const struct reply *reply = next_reply();
        assert_int_equal(reply->count, 2);
        assert_true(span_equals(reply->elements[0].text, span_of(text, sizeof(text))));
        check_text(&reply->elements[1], REPLY_TEXT, "end");
    }
}

static void many_elements(void **state)
{
    (void)state;
    feed_text("*5000\r\n");
    for (int i = 0; i < 5000; i++) {
        char item[32];
        check_needs_more();
        snprintf(item, sizeof(item), "$5\r\n%05d\r\n", i);
        feed_text(item);
    }
    const struct reply *reply = next_reply();
    assert_int_equal(reply->count, 5000);
    check_text(&reply->elements[0], REPLY_TEXT, "00000");
    check_text(&reply->elements[4999], REPLY_TEXT, "04999");
}

static void garbage(void **state)
{
    (void)state;
    feed_text("HTTP/1.1 400 Bad Request\r\n");
    check_failed("Protocol error");
}

static void bad_lengths(void **state)
{
    static const char *const bad[] = {
        "$x\r\n", "*1x\r\n", ":1.5\r\n", "$-2\r\n", "*-2\r\n", "$99999999999999999999\r\n", "*\r\n", "$\r\n"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        feed_text(bad[i]);
        check_failed("");
        destroy_parser(state);
        assert_int_equal(create_parser(state), 0);
    }
}

/* A header promises more than comes: nothing is allocated for it, and what comes is bounded. */
static void huge_bulk(void **state)
{
    static const char *const headers[] = {"$2000000000\r\n", "$9223372036854775807\r\n",
                                          "$9223372036854775800\r\n", "$4294967280\r\n"};
    char filler[4096];

    memset(filler, 'x', sizeof(filler));
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        feed_text(headers[i]);
        for (size_t fed = sizeof(filler); fed < REPLY_PARSER_BYTES_MAX; fed += sizeof(filler)) {
            check_needs_more();
            feed(filler, sizeof(filler));
        }
        check_needs_more();
        feed(filler, sizeof(filler));
        check_failed("reply too large");
        destroy_parser(state);
        assert_int_equal(create_parser(state), 0);
    }
}

static void endless_line(void **state)
{
    char filler[4096];

    (void)state;
    memset(filler, 'x', sizeof(filler));
    feed_text("+");
    for (size_t fed = sizeof(filler); fed < REPLY_PARSER_BYTES_MAX; fed += sizeof(filler))
        feed(filler, sizeof(filler));
    check_needs_more();
    feed(filler, sizeof(filler));
    check_failed("reply too large");
}

static void huge_arrays(void **state)
{
    static const char *const headers[] = {"*2147483647\r\n", "*1000000\r\n", "*10000\r\n*10000\r\n*10000\r\n",
                                          "*3\r\n*10000\r\n:1\r\n"};

    for (size_t i = 0; i < 3; i++) {
        feed_text(headers[i]);
        check_failed("reply too large");
        destroy_parser(state);
        assert_int_equal(create_parser(state), 0);
    }
    feed_text(headers[3]);
    check_needs_more();
}

static void deep_nesting(void **state)
{
    (void)state;
    for (int i = 0; i < REPLY_PARSER_DEPTH_MAX; i++)
        feed_text("*1\r\n");
    feed_text(":1\r\n");
    const struct reply *reply = next_reply();
    for (int i = 0; i < REPLY_PARSER_DEPTH_MAX; i++) {
        assert_int_equal(reply->kind, REPLY_ARRAY);
        reply = &reply->elements[0];
    }
    assert_int_equal(reply->number, 1);
    for (int i = 0; i <= REPLY_PARSER_DEPTH_MAX; i++)
        feed_text("*1\r\n");
    check_failed("nested");
}

static void resp3_is_refused(void **state)
{
    static const char *const types[] = {",1.5\r\n",     "#t\r\n",   "%1\r\n+a\r\n+b\r\n", "~1\r\n+a\r\n",
                                        ">1\r\n+a\r\n", "(123\r\n", "=5\r\ntxt:a\r\n",    "*1\r\n#t\r\n"};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        feed_text(types[i]);
        check_failed(HIREDIS_MAJOR < 1 ? "Protocol error" : "RESP3");
        destroy_parser(state);
        assert_int_equal(create_parser(state), 0);
    }
}

/* ---- with a filter ---- */

/* Keeps integers that are multiples of `step`, and arrays that begin with one. */
static bool keeps(void *context, const struct reply *element)
{
    const int64_t *step = context;
    int64_t number =
        element->kind == REPLY_ARRAY && element->count > 0 ? element->elements[0].number : element->number;

    return number % *step == 0;
}

static void set_filter(int64_t *step)
{
    reply_parser_set_filter(parser, (struct reply_filter){.keeps = keeps, .context = step});
}

static void filtered_elements(void **state)
{
    int64_t step = 2;

    (void)state;
    set_filter(&step);
    feed_text("*5\r\n:1\r\n:2\r\n*2\r\n:4\r\n*1\r\n+deep\r\n*1\r\n:7\r\n:8\r\n+text\r\n*0\r\n*1\r\n:3\r\n");
    const struct reply *reply = next_reply();
    assert_int_equal(reply->kind, REPLY_ARRAY);
    assert_int_equal(reply->count, 3);
    assert_int_equal(reply->elements[0].number, 2);
    assert_int_equal(reply->elements[1].elements[0].number, 4);
    assert_true(span_equals_text(reply->elements[1].elements[1].elements[0].text, "deep"));
    assert_int_equal(reply->elements[2].number, 8);
    reply = next_reply();
    assert_int_equal(reply->kind, REPLY_TEXT);
    assert_true(span_equals_text(reply->text, "text"));
    assert_int_equal(next_reply()->count, 0);
    assert_int_equal(next_reply()->count, 0);
}

/* CLUSTER SLOTS of a cluster with 16384 ranges and two replicas each: over 5 MiB. What is kept takes little. */
static void all_ranges_of_a_cluster(void **state)
{
    int64_t step = 1024;

    (void)state;
    set_filter(&step);
    feed_text("*16384\r\n");
    for (int slot = 0; slot < 16384; slot++) {
        char range[512];
        int len = snprintf(range, sizeof(range), "*5\r\n:%d\r\n:%d\r\n", slot, slot);
        for (int i = 0; i < 3; i++)
            len += snprintf(range + len, sizeof(range) - (size_t)len,
                            "*4\r\n$8\r\n10.0.0.%d\r\n:7001\r\n$40\r\n%040d\r\n*2\r\n$8\r\nhostname\r\n$"
                            "7\r\nredis-%d\r\n",
                            i + 1, slot, i + 1);
        check_needs_more();
        feed(range, (size_t)len);
    }
    const struct reply *reply = next_reply();
    assert_int_equal(reply->count, 16);
    for (size_t i = 0; i < reply->count; i++) {
        const struct reply *range = &reply->elements[i];
        assert_int_equal(range->elements[0].number, i * 1024);
        assert_true(span_equals_text(range->elements[2].elements[0].text, "10.0.0.1"));
        assert_true(span_equals_text(range->elements[4].elements[3].elements[1].text, "redis-3"));
    }
}

/* Between two complete elements, or replies, there may be as many bytes as the limit says, and no more. */
static void as_much_as_the_limit(void **state)
{
    static char filler[REPLY_PARSER_BYTES_MAX];

    (void)state;
    memset(filler, 'x', sizeof(filler));
    feed_text(":1\r\n");
    (void)next_reply();
    feed_text("+");
    feed(filler, sizeof(filler) - 1);
    check_needs_more();
    feed(filler, 1);
    check_failed("reply too large");
    destroy_parser(state);
    assert_int_equal(create_parser(state), 0);
    int64_t step = 1;
    set_filter(&step);
    feed_text("*3\r\n:1\r\n:2\r\n");
    check_needs_more();
    feed_text("+");
    feed(filler, sizeof(filler) - 1);
    check_needs_more();
}

/* What is kept has a limit, and so has each element. */
static void filtered_too_large(void **state)
{
    static const char text[16 * 1024 + 1] = "";
    int64_t step = 1;

    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        destroy_parser(state);
        assert_int_equal(create_parser(state), 0);
        set_filter(&step);
        feed_text(round == 0 ? "*16384\r\n" : "*1\r\n$2000000\r\n");
        const struct reply *reply = NULL;
        enum reply_parser_result result = REPLY_PARSER_NEEDS_MORE;
        for (unsigned i = 0; i < 100 && result == REPLY_PARSER_NEEDS_MORE; i++) {
            if (round == 0)
                feed_text("$16384\r\n");
            feed(text, 16384);
            if (round == 0)
                feed_text("\r\n");
            result = reply_parser_next(parser, &reply);
        }
        assert_int_equal(result, REPLY_PARSER_FAILED);
        assert_string_equal(reply_parser_error(parser), "reply too large");
    }
}

/* Any bytes: an answer or an error, never a crash. The sanitizers look on. */
static void random_bytes(void **state)
{
    static const char alphabet[] = "*$+-:0123456789\r\n\r\n\r\nab";
    uint64_t random = 88172645463325252u;

    for (int round = 0; round < 20000; round++) {
        char bytes[48];
        const struct reply *reply = NULL;
        for (size_t i = 0; i < sizeof(bytes); i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            bytes[i] = alphabet[random % (sizeof(alphabet) - 1)];
        }
        feed(bytes, sizeof(bytes));
        enum reply_parser_result result = reply_parser_next(parser, &reply);
        while (result == REPLY_PARSER_REPLY)
            result = reply_parser_next(parser, &reply);
        if (result == REPLY_PARSER_FAILED) {
            destroy_parser(state);
            assert_int_equal(create_parser(state), 0);
        }
    }
}

/* Between two replies another parser may go on. Within one it would lose what was read. */
static void idle_between_replies_only(void **state)
{
    static const char text[] = "*2\r\n+a\r\n$3\r\nabc\r\n";

    (void)state;
    assert_true(reply_parser_is_idle(parser));
    for (size_t i = 0; i < sizeof(text) - 2; i++) {
        feed(text + i, 1);
        check_needs_more();
        assert_false(reply_parser_is_idle(parser));
    }
    feed_text("\n");
    (void)next_reply();
    check_needs_more();
    assert_true(reply_parser_is_idle(parser));
    /* The next one has begun: of an array only the head is there, and it was taken. */
    feed_text("+a\r\n*1\r\n");
    (void)next_reply();
    check_needs_more();
    assert_false(reply_parser_is_idle(parser));
    feed_text("+b\r\n+c\r\n");
    (void)next_reply();
    assert_false(reply_parser_is_idle(parser));
    (void)next_reply();
    assert_true(reply_parser_is_idle(parser));
    feed_text("?");
    check_failed("");
    assert_false(reply_parser_is_idle(parser));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(scalars, create_parser, destroy_parser),
        cmocka_unit_test_setup_teardown(idle_between_replies_only, create_parser, destroy_parser),
        cmocka_unit_test_setup_teardown(nested_at_every_cut, create_parser, destroy_parser),
        cmocka_unit_test_setup_teardown(nested_byte_by_byte, create_parser, destroy_parser),
        cmocka_unit_test_setup_teardown(large_replies_in_a_row, create_parser, destroy_parser),
        cmocka_unit_test_setup_teardown(many_elements, create_parser, destroy_parser),
        cmocka_unit_test_setup_teardown(garbage, create_parser, destroy_parser),
        cmocka_unit_test_setup_teardown(bad_lengths, create_parser, destroy_parser),
        cmocka_unit_test_setup_teardown(huge_bulk, create_parser, destroy_parser),
        cmocka_unit_test_setup_teardown(endless_line, create_parser, destroy_parser),
        cmocka_unit_test_setup_teardown(as_much_as_the_limit, create_parser, destroy_parser),
        cmocka_unit_test_setup_teardown(huge_arrays, create_parser, destroy_parser),
        cmocka_unit_test_setup_teardown(deep_nesting, create_parser, destroy_parser),
        cmocka_unit_test_setup_teardown(resp3_is_refused, create_parser, destroy_parser),
        cmocka_unit_test_setup_teardown(filtered_elements, create_parser, destroy_parser),
        cmocka_unit_test_setup_teardown(all_ranges_of_a_cluster, create_parser, destroy_parser),
        cmocka_unit_test_setup_teardown(filtered_too_large, create_parser, destroy_parser),
        cmocka_unit_test_setup_teardown(random_bytes, create_parser, destroy_parser),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
