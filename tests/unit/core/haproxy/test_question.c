/* Where the client begins in a question: all before it is the same for every client. Which of several messages counts. */
#include "spoa/core/haproxy/question.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/spop_frame.h"

#define LONG_NAME 240 /* the shortest length that takes two bytes: 0xf0 0x00 */

static void test_the_client_begins_with_src(void **state)
{
    static const char payload[] = "\1m\2\1k\10\1v\3src\6aaaa";

    (void)state;
    assert_int_equal(question_common_len(span_of(payload, sizeof(payload) - 1)), 8);
}

/* The length of the message's name takes two bytes. Whoever takes it for one finds "src" where it is not. */
static void test_a_long_name(void **state)
{
    uint8_t payload[2 + LONG_NAME + 8] = {LONG_NAME, 0};

    (void)state;
    memset(payload + 2, 2, LONG_NAME);
    memcpy(payload + 2 + LONG_NAME, "\3src", 4); /* three arguments, the name of the first has 's' bytes */
    assert_int_equal(question_common_len(span_of(payload, sizeof(payload))), sizeof(payload));
}

static size_t common_len(const char *payload, size_t len)
{
    return question_common_len(span_of(payload, len));
}

#define assert_common(payload, wanted) assert_int_equal(common_len(payload, sizeof(payload) - 1), wanted)

/* Only the argument "src" of the first message is its client, and only texts are passed over. */
static void test_where_no_client_begins(void **state)
{
    (void)state;
    assert_common("\1m\2\1k\10\1v\3src", 8);
    assert_common("\1m\1\1k\10\1v\3src\6aaaa", 17); /* one argument, and no more */
    assert_common("\1m\2\1k\10\1v\3srX\6aaaa", 17);
    assert_common("\1m\2\1k\4\0\3src\6aaaa", 16); /* an integer */
}

/* Nothing is read behind the end, wherever that is: the sanitizer looks at it. */
static void test_cut_off_anywhere(void **state)
{
    static const char payload[] = "\1m\2\7service\10\1v\1l\10\1w\3src\6aaaa";

    (void)state;
    for (size_t len = 0; len < sizeof(payload) - 1; len++) {
        uint8_t *bytes = malloc(len + 1);
        assert_non_null(bytes);
        memcpy(bytes + 1, payload, len);
        (void)question_common_len(span_of(bytes + 1, len));
        free(bytes);
    }
}

static void add_message(struct sink *out, const char *service, const char *role)
{
    struct spop_value name = spop_text(span_of_text(service != NULL ? service : ""));
    struct spop_value kind = spop_text(span_of_text(role != NULL ? role : ""));

    spop_name_write(out, span_of_text("m"));
    sink_put_byte(out, (uint8_t)((service != NULL) + (role != NULL)));
    if (service != NULL)
        spop_kv_write(out, "service", &name);
    if (role != NULL)
        spop_kv_write(out, "role", &kind);
}

/* Of several messages the first with a service counts, with its role. Without any, the last role that is not the usual
 * one. */
static void test_several_messages(void **state)
{
    static const struct {
        const char *messages[3][2];
        const char *service;
        const char *role;
    } cases[] = {
        {{{"a", NULL}, {"b", "replica"}, {NULL, "replica"}}, "a", NULL},
        {{{NULL, "replica"}, {"b", NULL}, {"a", "replica"}}, "b", NULL},
        {{{NULL, "replica"}, {NULL, NULL}, {NULL, "master"}}, NULL, "replica"},
        {{{NULL, "master"}, {NULL, NULL}, {NULL, NULL}}, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint8_t space[200];
        struct sink out = sink_of(space, sizeof(space));
        struct service_question question;
        for (size_t k = 0; k < 3; k++)
            add_message(&out, cases[i].messages[k][0], cases[i].messages[k][1]);
        assert_true(question_read(span_of(space, (size_t)(out.at - space)), &question));
        assert_int_equal(question.service.data != NULL, cases[i].service != NULL);
        if (cases[i].service != NULL && question.service.data != NULL)
            assert_true(span_equals_text(question.service, cases[i].service));
        assert_int_equal(question.role.data != NULL, cases[i].role != NULL);
        if (cases[i].role != NULL && question.role.data != NULL)
            assert_true(span_equals_text(question.role, cases[i].role));
    }
}

/* Without any service, the last client that is given counts. */
static void test_the_client_of_several_messages(void **state)
{
    static const char local[] = "\1m\4\3src\0\10src_port\0\3dst\0\10dst_port\0";
    uint8_t space[200];
    struct sink out = sink_of(space, sizeof(space));
    struct service_question question;

    (void)state;
    sink_put(&out, local, sizeof(local) - 1);
    add_message(&out, NULL, "replica");
    assert_true(question_read(span_of(space, (size_t)(out.at - space)), &question));
    assert_int_equal(question.client.kind, CLIENT_LOCAL);
    add_message(&out, "m", NULL);
    assert_true(question_read(span_of(space, (size_t)(out.at - space)), &question));
    assert_int_equal(question.client.kind, CLIENT_NOT_GIVEN); /* that of the service's message */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_client_begins_with_src),
                                       cmocka_unit_test(test_a_long_name),
                                       cmocka_unit_test(test_where_no_client_begins),
                                       cmocka_unit_test(test_cut_off_anywhere),
                                       cmocka_unit_test(test_several_messages),
                                       cmocka_unit_test(test_the_client_of_several_messages)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
