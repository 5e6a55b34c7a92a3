/* Bytes kept from one event to the next. */
#include "spoa/io/net/buffer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void check_holds(const struct buffer *buffer, const char *text)
{
    assert_true(span_equals_text(buffer_span(buffer), text));
    assert_int_equal(buffer->len, strlen(text));
    assert_int_equal(buffer->data == NULL, text[0] == '\0'); /* empty it owns nothing */
}

static void store_and_consume(void **state)
{
    struct buffer buffer = {.data = NULL};

    (void)state;
    check_holds(&buffer, "");
    assert_true(buffer_store(&buffer, span_of_text("abcdef")));
    check_holds(&buffer, "abcdef");
    buffer_consume(&buffer, 0);
    check_holds(&buffer, "abcdef");
    buffer_consume(&buffer, 2);
    check_holds(&buffer, "cdef");
    buffer_consume(&buffer, 3);
    check_holds(&buffer, "f");
    buffer_consume(&buffer, 1);
    check_holds(&buffer, "");
}

static void store_replaces(void **state)
{
    struct buffer buffer = {.data = NULL};

    (void)state;
    assert_true(buffer_store(&buffer, span_of_text("first")));
    buffer_consume(&buffer, 1);
    assert_true(buffer_store(&buffer, span_of_text("second one")));
    check_holds(&buffer, "second one");
    assert_true(buffer_store(&buffer, span_of(NULL, 0)));
    check_holds(&buffer, "");
    buffer_finish(&buffer);
}

/* What is stored may be a part of what is there. */
static void store_of_its_own(void **state)
{
    struct buffer buffer = {.data = NULL};

    (void)state;
    assert_true(buffer_store(&buffer, span_of_text("0123456789")));
    buffer_consume(&buffer, 2);
    struct span part = buffer_span(&buffer);
    assert_true(buffer_store(&buffer, span_of(part.data + 3, 4)));
    check_holds(&buffer, "5678");
    assert_true(buffer_store(&buffer, span_of(buffer_span(&buffer).data, 0)));
    check_holds(&buffer, "");
}

static void finish(void **state)
{
    struct buffer buffer = {.data = NULL};

    (void)state;
    buffer_finish(&buffer);
    assert_true(buffer_store(&buffer, span_of_text("x")));
    buffer_finish(&buffer);
    check_holds(&buffer, "");
    buffer_finish(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_and_consume),
        cmocka_unit_test(store_replaces),
        cmocka_unit_test(store_of_its_own),
        cmocka_unit_test(finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
