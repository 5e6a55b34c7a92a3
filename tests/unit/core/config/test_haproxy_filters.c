/* Which filter is ours, what it asks, and backends that leave clients hanging: sets of files that differ in more than a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/core/config/haproxy_rules_fixture.h"

/* ---- what leaves clients hanging ---- */

/* The frontend and the agent's backend around a backend `b`. */
#define HANGING_TAIL                                                                                         \
    "frontend fe_redis\n    mode tcp\n    filter spoe engine sentinel config "                               \
    "/etc/haproxy/spoe.conf\n" REJECT "    default_backend b\n"                                              \
    "backend be_sentinel_spoa\n    server agent1 127.0.0.1:9012\n"

/* Checks the sections in place of the recipe's backend: the lines that are found, counted from the first of them. */
static void check_hanging(const char *sections, const char *expected)
{
    char *text = files.text[HAPROXY];
    char lines[128] = "";

    read_recipe("haproxy-conf/runtime-api", &files);
    char *begin = strstr(text, "frontend fe_redis");
    assert_non_null(begin);
    (void)snprintf(begin, FILE_SIZE - (size_t)(begin - text), "%s%s", sections, HANGING_TAIL);
    unsigned above = 0;
    for (const char *at = text; at < begin; at++)
        above += *at == '\n';
    for (unsigned hangs = 0; hangs <= 1; hangs++) {
        struct findings findings = check(&files, hangs == 1);
        for (size_t i = 0; i < findings.count; i++) {
            size_t len = strlen(lines);
            if (findings.list[i].code != FINDING_HANGING_CLIENTS)
                continue;
            assert_int_equal(hangs, 1);
            (void)snprintf(lines + len, sizeof(lines) - len, "%u ", findings.list[i].line - above);
        }
        findings_finish(&findings);
    }
    assert_string_equal(lines, expected);
}

#define PAIR "check on-marked-down shutdown-sessions"

static void test_hanging(void **state)
{
    (void)state;
    check_hanging("backend b\n    default-server weight 0 " PAIR "\n    server R1 a:1\n    server R2 a:2\n",
                  "2 ");
    check_hanging("backend b\n    server R1 a:1 " PAIR
                  "\n    server R2 a:2 check # on-marked-down shutdown-sessions\n"
                  "    server-template R 3 r:1 " PAIR "\r\n",
                  "2 4 ");
    check_hanging("defaults\n    default-server on-marked-down shutdown-sessions\n"
                  "backend b\n    server R1 a:1\n    server R2 a:2 check\ndefaults\nbackend c\n    server R1 "
                  "a:1 check\n",
                  "5 ");
    check_hanging("backend b\n    default-server check\n    server R1 a:1 on-marked-down shutdown-sessions\n",
                  "3 ");
    check_hanging("backend b\n    default-server " PAIR " addr 10.0.0.9\n    server R1 a:1\n", "");
    check_hanging("backend b\n    default-server " PAIR " no-check\n    server R1 a:1\n", "");
    check_hanging("backend b\n    server R1 a:1 " PAIR " on-marked-down none\n", "");
    check_hanging("backend b\n    server R1 a:1\nbackend d\n    server R1 a:1 " PAIR "\n", "");
}

/* ---- files that never ask ---- */

static void check_no_filter(const char *haproxy, unsigned line)
{
    read_recipe("haproxy-conf", &files);
    (void)snprintf(files.text[HAPROXY], FILE_SIZE, "%s", haproxy);
    struct findings findings = check(&files, true);
    assert_int_equal(findings.count, 1);
    assert_string_equal(finding_code_name(findings.list[0].code), "no-filter");
    assert_string_equal(findings.list[0].file, names[HAPROXY]);
    assert_int_equal(findings.list[0].line, line);
    findings_finish(&findings);
}

static void test_no_filter(void **state)
{
    (void)state;
    check_no_filter("", 0);
    check_no_filter("global\n    maxconn 10\n", 0);
    check_no_filter("frontend other\n    bind :1\nfrontend redis_in\n    bind :6379\n    default_backend be\n"
                    "backend be\n    server R1 10.0.0.11:6379\n    server R2 10.0.0.12:6379 backup\n",
                    3);
    check_no_filter("listen redis_in\n    bind :6379\n    server one 10.0.0.11:6379\n", 1);
    check_no_filter("frontend f\n    filter spoe engine coraza config coraza.conf\n"
                    "frontend g\n    filter spoe engine coraza config coraza.conf\n",
                    0);
}

/* A name that its file does not have is our business where the file is ours. */
static void test_unknown_engines(void **state)
{
    const struct mistake ours = {HAPROXY,           "engine sentinel",
                                 "engine sentinal", FINDING_UNKNOWN_ENGINE,
                                 HAPROXY,           "filter spoe engine sentinal",
                                 "sentinal",        "sentinel"};

    (void)state;
    read_recipe("haproxy-conf/runtime-api", &files);
    edit(files.text[HAPROXY], "frontend fe_redis\n", WEBSITE "frontend fe_redis\n");
    edit(files.text[HAPROXY], "engine coraza", "engine corazza");
    check_none("the engine of another program", &files);
    check_mistake(&ours);
}

/* A group of messages is another way to ask: a rule sends it, so it needs no event. */
static void test_group(void **state)
{
    (void)state;
    read_recipe("haproxy-conf/runtime-api", &files);
    edit(files.text[SPOE], "    messages find-master\n", "    groups all\n");
    edit(files.text[SPOE], "    event on-client-session if",
         "spoe-group all\n    messages find-master\n    #");
    check_none("a group", &files);
    edit(files.text[HAPROXY], REJECT, "");
    struct findings findings = check(&files, true);
    assert_int_equal(findings.count, 1);
    assert_int_equal(findings.list[0].code, FINDING_NO_REJECT);
    findings_finish(&findings);
}

/* A filter in a backend hears the events of backends alone. */
static void test_filter_in_a_backend(void **state)
{
    const struct mistake wrong = {HAPROXY, "fe_redis", "fe_redis",    FINDING_NO_EVENT,
                                  SPOE,    "event",    "find-master", "`event on-backend-tcp-request`"};
    static const char line[] = "    filter spoe engine sentinel config /etc/haproxy/spoe.conf\n";

    (void)state;
    read_recipe("haproxy-conf/runtime-api", &files);
    edit(files.text[HAPROXY], line, "");
    edit(files.text[HAPROXY], REJECT, "");
    edit(files.text[HAPROXY], "backend be_redis\n    mode tcp\n",
         "backend be_redis\n    mode tcp\n    filter spoe engine sentinel config "
         "/etc/haproxy/spoe.conf\n" REJECT);
    check_mistake(&wrong);
    edit(files.text[SPOE], "on-client-session", "on-backend-tcp-request");
    check_none("a filter in a backend", &files);
}

/* What is to be written says `listen` where it is one. */
static void test_listen(void **state)
{
    const struct mistake wrong = {HAPROXY,
                                  "    server R2 10.0.0.12:6379 tcp-ut 3s\n",
                                  "",
                                  FINDING_MISSING_SERVER,
                                  HAPROXY,
                                  "listen be_redis",
                                  "be_redis/R2",
                                  "tcp-ut 3s` in listen be_redis"};

    (void)state;
    read_recipe("haproxy-conf/runtime-api", &files);
    edit(files.text[HAPROXY], "backend be_redis\n    mode", "listen be_redis\n    mode");
    check_mistake(&wrong);
}

static void test_replicas_that_are_not_named(void **state)
{
    const struct mistake wrong = {AGENT,     "replicas = yes\nmax-lag = 10s\n",
                                  "",        FINDING_UNKNOWN_ROLE,
                                  SPOE,      "args",
                                  "replica", "write `replicas = yes` in [service mymaster]"};

    (void)state;
    read_recipe("haproxy-conf/read-write-split", &files);
    edit(files.text[AGENT],
         "; Reads that may not be older than this; without it a replica counts as long as its link to the "
         "master "
         "works.\n",
         "");
    edit(files.text[AGENT], "replica-fallback = master\n", "");
    check_mistake(&wrong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hanging),
        cmocka_unit_test(test_no_filter),
        cmocka_unit_test(test_unknown_engines),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_filter_in_a_backend),
        cmocka_unit_test(test_listen),
        cmocka_unit_test(test_replicas_that_are_not_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
