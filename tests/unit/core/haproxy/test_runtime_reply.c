/* Replies of HAProxy's runtime API and of its master CLI, as HAProxy 2.6 and 3.2 gave them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/haproxy/runtime_reply.h"

/* What was read: "PID", "PID old" or an answer each, with a semicolon behind it. */
static char seen[1024];

static void note(const char *text, const char *more)
{
    size_t len = strlen(seen);

    (void)snprintf(seen + len, sizeof(seen) - len, "%s%s;", text, more);
}

static void take_answer(void *context, const char *line)
{
    struct reply_answer *answer = context;

    if (reply_answer_take(answer, line))
        note(answer->text, "");
}

static void take_worker(void *context, const char *line)
{
    struct reply_workers *reader = context;
    unsigned pid = reply_workers_take(reader, line);
    char text[16];

    (void)snprintf(text, sizeof(text), "%u", pid);
    if (pid != 0)
        note(text, reader->is_old ? " old" : "");
}

static const char *read_all(const char *text, void (*take)(void *context, const char *line), void *context)
{
    struct reply_lines lines;

    seen[0] = '\0';
    reply_lines_init(&lines, take, context);
    reply_lines_take(&lines, text, strlen(text));
    return seen;
}

static const char *answers(const char *text)
{
    struct reply_answer answer = {.has_ended = false};

    return read_all(text, take_answer, &answer);
}

static const char *workers(const char *text)
{
    struct reply_workers reader = {.is_old = false};

    return read_all(text, take_worker, &reader);
}

static void test_answers(void **state)
{
    char long_line[REPLY_TEXT_MAX + 100];

    (void)state;
    assert_string_equal(answers("\n"), ";");
    assert_string_equal(answers("\n\n\n"), ";;;");
    assert_string_equal(answers("0 (initial 0)\n\nNo such server.\n\n\n"), "0 (initial 0);No such server.;;");
    assert_string_equal(answers("Unknown command: 'x'\n  help\n  quit\n\n\n"), "Unknown command: 'x';;");
    assert_string_equal(answers("No such server."), "");
    assert_string_equal(answers("No such server.\n"), "");
    memset(long_line, 'x', sizeof(long_line));
    memcpy(long_line + sizeof(long_line) - 4, "\n\n\n", 4);
    assert_int_equal(strlen(answers(long_line)), REPLY_TEXT_MAX - 1 + 2);
}

static void count_bytes(void *context, const char *line)
{
    *(size_t *)context = strlen(line);
}

/* Of a line that is too long, the beginning is kept: as much as there is room for. */
static void test_long_lines(void **state)
{
    static char text[REPLY_LINE_MAX + 100];
    size_t kept = 0;

    (void)state;
    for (size_t len = REPLY_LINE_MAX - 2; len <= REPLY_LINE_MAX + 1; len++) {
        memset(text, 'x', len);
        memcpy(text + len, "\n", 2);
        (void)read_all(text, count_bytes, &kept);
        assert_int_equal(kept, len < REPLY_LINE_MAX ? len : REPLY_LINE_MAX - 1);
    }
}

static void test_workers(void **state)
{
    (void)state;
    assert_string_equal(
        workers("#<PID>          <type>          <reloads>       <uptime>        <version>      \n"
                "16971           master          1 [failed: 0]   0d00h00m24s     2.6.12-1+deb12u4\n"
                "# workers\n"
                "19547           worker          0               0d00h00m02s     2.6.12-1+deb12u4\n"
                "# old workers\n"
                "17018           worker          1               0d00h00m23s     2.6.12-1+deb12u4\n"
                "17019           worker          2               0d00h00m23s     2.6.12-1+deb12u4\n"
                "# programs\n"
                "17020           worker          0               0d00h00m23s     -\n\n"),
        "19547;17018 old;17019 old;");
    assert_string_equal(workers("# workers\n\n# old workers\n12 worker 1\n# workers\n13\tworker\n"),
                        "12 old;13;");
    assert_string_equal(workers("Unknown command: 'show proc'\n12 worker 1\n\n"), "");
    assert_string_equal(workers("# workers\nx worker\n12 workers 1\n99999999999999 worker\n14\n"), "");
}

static void test_weights(void **state)
{
    unsigned weight = 7;

    (void)state;
    assert_true(reply_weight_read("0 (initial 100)", &weight));
    assert_int_equal(weight, 0);
    assert_true(reply_weight_read("256 (initial 1)", &weight));
    assert_int_equal(weight, 256);
    assert_true(reply_weight_read("7", &weight));
    assert_int_equal(weight, 7);
    assert_false(reply_weight_read("No such server.", &weight));
    assert_false(reply_weight_read("", &weight));
    assert_false(reply_weight_read("0x", &weight));
    assert_false(reply_weight_read("-1 (initial 1)", &weight));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_workers),
        cmocka_unit_test(test_weights),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
