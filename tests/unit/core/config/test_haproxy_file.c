/* The pair that leaves clients hanging on HAProxy 3.0 is found wherever it stands, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "spoa/core/config/haproxy_file.h"

/* The numbers of the lines that are found, "3 7 ". */
static const char *found(const char *text)
{
    static char numbers[256];
    struct haproxy_file file;
    char copy[2048];
    unsigned number = 0;
    char *rest = copy;

    numbers[0] = '\0';
    haproxy_file_init(&file);
    (void)snprintf(copy, sizeof(copy), "%s", text);
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        size_t len = strlen(numbers);
        number++;
        if (haproxy_file_take(&file, line))
            (void)snprintf(numbers + len, sizeof(numbers) - len, "%u ", number);
    }
    return numbers;
}

static void test_one_finding_for_each_cause(void **state)
{
    (void)state;
    assert_string_equal(found("backend b\n"
                              "    default-server weight 0 check inter 1s on-marked-down shutdown-sessions\n"
                              "    server R1 10.0.0.1:6379\n"
                              "    server R2 10.0.0.2:6379\n"),
                        "2 ");
    assert_string_equal(found("backend b\n"
                              "    server R1 10.0.0.1:6379 check on-marked-down shutdown-sessions\n"
                              "\tserver R2 10.0.0.2:6379 check # on-marked-down shutdown-sessions\n"
                              "    server-template R 3 r:6379 check on-marked-down shutdown-sessions\r\n"),
                        "2 4 ");
}

static void test_the_halves_may_stand_apart(void **state)
{
    (void)state;
    assert_string_equal(found("defaults\n    default-server on-marked-down shutdown-sessions\n"
                              "backend b\n    server R1 10.0.0.1:6379\n    server R2 10.0.0.2:6379 check\n"
                              "defaults\n"
                              "backend c\n    server R1 10.0.0.1:6379 check\n"),
                        "5 ");
    assert_string_equal(
        found("listen l\n    default-server check\n    server R1 a:1 on-marked-down shutdown-sessions\n"),
        "3 ");
}

static void test_what_is_harmless(void **state)
{
    (void)state;
    assert_string_equal(found("backend b\n    default-server check inter 1s\n    server R1 10.0.0.1:6379\n"),
                        "");
    assert_string_equal(
        found("backend b\n    default-server on-marked-down shutdown-sessions agent-check agent-port 9013\n"
              "    server R1 10.0.0.1:6379 agent-send \"m R1\\n\"\n"),
        "");
    assert_string_equal(found("backend b\n    default-server check addr 127.0.0.1 port 9912 on-marked-down "
                              "shutdown-sessions\n    server R1 10.0.0.1:6379\n"),
                        "");
    assert_string_equal(
        found("backend b\n    server R1 10.0.0.1:6379 check no-check on-marked-down shutdown-sessions\n"
              "    option check\n\n#\n   on-marked-down shutdown-sessions check\n"),
        "");
    assert_string_equal(found("server R1 10.0.0.1:6379 check on-marked-down\n"), "");
}

static void test_long_lines(void **state)
{
    char line[1500] = "server R1 10.0.0.1:6379";
    struct haproxy_file file;

    (void)state;
    for (size_t len = strlen(line); len + 3 < sizeof(line); len += 2)
        (void)snprintf(line + len, sizeof(line) - len, " x");
    haproxy_file_init(&file);
    assert_false(haproxy_file_take(&file, line));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_finding_for_each_cause),
        cmocka_unit_test(test_the_halves_may_stand_apart),
        cmocka_unit_test(test_what_is_harmless),
        cmocka_unit_test(test_long_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
