/* What connections keep from one event to the next, all together, and the guests beyond the limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <utlist.h>

#include "spoa/io/serve/spop_connection_struct.h"
#include "spoa/io/serve/spop_context.h"
#include "spoa/io/serve/spop_kept.h"
#include "tests/lib/log_capture.h"

#define KEPT_MAX ((size_t)16 * 1024 * 1024)

static uint8_t bytes[1000];

/* The account follows each of the two buffers, with what a buffer still holds of its memory. */
static void the_account(void **state)
{
    struct spop_context context = {.kept = 0};
    struct spop_connection one = {.context = &context};
    struct spop_connection two = {.context = &context};

    (void)state;
    assert_true(spop_kept_store(&one, &one.in, span_of(bytes, 100)));
    assert_true(spop_kept_store(&two, &two.out, span_of(bytes, 30)));
    assert_int_equal(context.kept, 130);
    assert_true(spop_kept_store(&one, &one.in, span_of(bytes, 70))); /* in place of the other */
    assert_int_equal(context.kept, 100);
    assert_true(spop_kept_store(&one, &one.out, span_of(bytes, 7)));
    assert_int_equal(context.kept, 107);
    spop_kept_consume(&one, &one.in, 69);
    assert_int_equal(context.kept, 107); /* its memory is in use until the last byte is gone */
    assert_int_equal(buffer_span(&one.in).len, 1);
    spop_kept_consume(&one, &one.in, 1);
    assert_int_equal(context.kept, 37);
    spop_kept_finish(&one);
    assert_int_equal(context.kept, 30);
    spop_kept_finish(&two);
    assert_int_equal(context.kept, 0);
}

/* The one that keeps the most is refused, and nobody else has to go for it. What it keeps already is no more. */
static void the_limit(void **state)
{
    struct spop_context context = {.kept = KEPT_MAX - 100};
    struct spop_connection one = {.context = &context};
    struct spop_connection two = {.context = &context};

    (void)state;
    log_capture_begin(LOG_LEVEL_DEBUG);
    DL_APPEND(context.connections, &one);
    DL_APPEND(context.connections, &two);
    assert_true(spop_kept_store(&one, &one.in, span_of(bytes, 90)));
    assert_true(spop_kept_store(&two, &two.in, span_of(bytes, 10)));
    assert_int_equal(context.kept, KEPT_MAX);
    assert_int_equal(log_capture_count("spop-memory-limit"), 0);
    assert_true(spop_kept_store(&one, &one.in, span_of(bytes, 90)));
    assert_false(spop_kept_store(&one, &one.in, span_of(bytes, 91)));
    assert_int_equal(log_capture_count("spop-memory-limit"), 1);
    assert_int_equal(context.kept, KEPT_MAX);
    assert_int_equal(buffer_span(&one.in).len, 90);
    assert_false(spop_kept_store(&two, &two.out, span_of(bytes, 80))); /* as much as the other has then */
    assert_int_equal(buffer_span(&one.in).len, 90);
    assert_true(spop_kept_store(&one, &one.in, span_of(bytes, 89)));
    assert_int_equal(context.kept, KEPT_MAX - 1);
    spop_kept_finish(&one);
    spop_kept_finish(&two);
    assert_int_equal(context.kept, KEPT_MAX - 100);
}

/* Guests do not count. The oldest goes first, whoever left before. */
static void guests(void **state)
{
    struct spop_context context = {.connections_max = 2, .connection_count = 1};
    struct spop_connection list[SPOP_GUESTS_MAX];

    (void)state;
    assert_false(spop_context_is_full(&context));
    context.connection_count = 2;
    assert_true(spop_context_is_full(&context));
    for (size_t i = 0; i < SPOP_GUESTS_MAX; i++) {
        assert_null(spop_context_oldest_guest(&context));
        spop_context_add_guest(&context, &list[i]);
        context.connection_count++;
        assert_true(spop_context_is_full(&context));
    }
    assert_ptr_equal(spop_context_oldest_guest(&context), &list[0]);
    context.connection_count--; /* one of the others */
    assert_false(spop_context_is_full(&context));
    spop_context_remove_guest(&context, &list[0]);
    spop_context_remove_guest(&context, &list[3]);
    spop_context_remove_guest(&context, &list[SPOP_GUESTS_MAX - 1]);
    assert_int_equal(context.guest_count, SPOP_GUESTS_MAX - 3);
    assert_ptr_equal(context.guests[0], &list[1]);
    assert_ptr_equal(context.guests[2], &list[4]);
    assert_ptr_equal(context.guests[SPOP_GUESTS_MAX - 4], &list[SPOP_GUESTS_MAX - 2]);
    context.connections_max = 0; /* there is no limit */
    context.connection_count = 100000;
    assert_false(spop_context_is_full(&context));
}

static void a_refusal_is_told(void **state)
{
    struct metrics metrics = {.refused_total = 4};
    const struct spop_context context = {.metrics = &metrics, .connection_count = 9, .guest_count = 2};

    (void)state;
    log_capture_begin(LOG_LEVEL_DEBUG);
    spop_context_note_refused(&context);
    assert_int_equal(metrics.refused_total, 5);
    assert_non_null(strstr(log_capture_last("connection-refused"), "connections=7"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_account),
        cmocka_unit_test(the_limit),
        cmocka_unit_test(guests),
        cmocka_unit_test(a_refusal_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
