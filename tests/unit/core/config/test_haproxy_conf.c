/* What is written for HAProxy fits the configuration; whether HAProxy takes it is seen by test_recipes.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spoa/core/base/text.h"
#include "spoa/core/config/haproxy_conf.h"
#include "spoa/core/haproxy/haproxy_version.h"
#include "tests/unit/core/config/config_fixture.h"

static struct loaded made;
static struct text printed;

static const char *written(const char *text, unsigned version)
{
    made = load_good(text);
    haproxy_conf_write(made.config, version, &printed);
    assert_false(printed.has_failed);
    return printed.data;
}

static int tear_down(void **state)
{
    (void)state;
    text_finish(&printed);
    end(&made);
    return 0;
}

static void has(const char *part)
{
    if (strstr(printed.data, part) == NULL)
        fail_msg("'%s' is not in:\n%s", part, printed.data);
}

static void test_servers_and_rules(void **state)
{
    (void)state;
    (void)written(GOOD "server = R2 10.0.0.2:6379 alias=redis-2:6379\n", 206);
    has("    server R1 10.0.0.1:6379 tcp-ut 3s\n    server R2 10.0.0.2:6379 tcp-ut 3s\n");
    has("    use-server %[var(txn.redis.master)] if { var(txn.redis.master) -m found }\n");
    has("default-server weight 0 ");
    has("reject unless { var(txn.redis.master) -m found }");
    has("    server agent1 127.0.0.1:9012\n");
    has("    mode tcp\n    option spop-check\n");
    assert_null(strstr(printed.data, "redis-2"));
    assert_null(strstr(printed.data, "agent-check"));
    assert_null(strstr(printed.data, "txn.redis.replica"));
}

static void test_newer_versions_have_a_mode_for_it(void **state)
{
    (void)state;
    (void)written("[agent]\nlisten = unix:/run/spop.sock\n" GOOD, 302);
    has("    mode spop\n    option spop-check\n");
    has("    server agent1 unix@/run/spop.sock\n");
}

static void test_agent_checks_replicas_and_any_address(void **state)
{
    (void)state;
    (void)written("[agent]\ncheck = 127.0.0.1:9013\n[haproxy]\nruntime-api = /run/haproxy/admin.sock\n"
                  "backend = be\n" GOOD "replicas = yes\n"
                  "[service any]\nallow-any-address = yes\nbackend = be_any\n",
                  206);
    has("agent-check agent-addr 127.0.0.1 agent-port 9013");
    has("agent-send \"m R1\\n\"");
    has("use-server %[var(txn.redis.replica)]");
    has("    server any 0.0.0.0:0 tcp-ut 3s\n");
    has("set-dst");
    has("/run/haproxy/admin.sock");
}

/* A health check that shuts sessions leaves clients hanging on HAProxy 3.0. */
static void test_what_shuts_sessions(void **state)
{
    (void)state;
    (void)written(GOOD, 300);
    has("default-server weight 0 check ");
    assert_null(strstr(printed.data, "on-marked-down"));
    end(&made);
    text_finish(&printed);
    (void)written("[agent]\ncheck = 127.0.0.1:9013\n" GOOD, 300);
    has("default-server weight 0 on-marked-down shutdown-sessions agent-check ");
    end(&made);
    text_finish(&printed);
    (void)written("[agent]\ncheck = 127.0.0.1:9013\n[haproxy]\nruntime-api = /run/haproxy/admin.sock\n"
                  "backend = be\n" GOOD,
                  300);
    assert_null(strstr(printed.data, "on-marked-down"));
}

/* What cuts has a bound for the processes that it does not reach, and a socket of the right kind. */
static void test_processes_that_a_reload_leaves(void **state)
{
    static const char bound[] = "    hard-stop-after 30s\n";

    (void)state;
    (void)written(GOOD, 302);
    assert_null(strstr(printed.data, bound));
    end(&made);
    text_finish(&printed);
    (void)written("[agent]\ncheck = 127.0.0.1:9013\n" GOOD, 302);
    has(bound);
    end(&made);
    text_finish(&printed);
    (void)written("[haproxy]\nruntime-api = /a.sock\nruntime-api = 10.0.0.5:9999\nbackend = be other\n" GOOD,
                  302);
    has(bound);
    has("    stats socket /a.sock mode 600 level admin\n");
    has("    stats socket 10.0.0.5:9999 level admin\n");
    has("\nbackend be\n");
    end(&made);
    text_finish(&printed);
    (void)written("[haproxy]\nruntime-api = master:/m.sock\nbackend = be\n" GOOD, 302);
    has(bound);
    has("haproxy -W -S /m.sock,mode,600\n");
    assert_null(strstr(printed.data, "stats socket"));
}

static void test_a_backend_stands_by_itself(void **state)
{
    (void)state;
    (void)written(GOOD, 206);
    has("backend be_m\n    mode tcp\n    timeout connect 500ms\n    timeout server 1h\n    retries 0\n"
        "    no option redispatch\n    no option persist\n");
    has("    mode tcp\n    option tcplog\n    timeout client 1h\n    bind ");
}

static void test_spoe(void **state)
{
    (void)state;
    made = load_good(GOOD "replicas = yes\npark = 8s\n");
    haproxy_conf_write_spoe(made.config, 206, &printed);
    has("[sentinel]\n");
    has("[sentinel-replica]\n");
    has("role=str(replica)");
    has("timeout processing 10s");
    has("no option async");
    text_finish(&printed);
    haproxy_conf_write_spoe(made.config, 301, &printed);
    assert_null(strstr(printed.data, "no option async"));
}

static void test_versions(void **state)
{
    (void)state;
    assert_int_equal(haproxy_version("2.6"), 206);
    assert_int_equal(haproxy_version("3.2.1"), 302);
    assert_int_equal(haproxy_version("2.4"), 0);
    assert_int_equal(haproxy_version("three"), 0);
    assert_int_equal(haproxy_version(""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_servers_and_rules, tear_down),
        cmocka_unit_test_teardown(test_newer_versions_have_a_mode_for_it, tear_down),
        cmocka_unit_test_teardown(test_agent_checks_replicas_and_any_address, tear_down),
        cmocka_unit_test_teardown(test_what_shuts_sessions, tear_down),
        cmocka_unit_test_teardown(test_processes_that_a_reload_leaves, tear_down),
        cmocka_unit_test_teardown(test_a_backend_stands_by_itself, tear_down),
        cmocka_unit_test_teardown(test_spoe, tear_down),
        cmocka_unit_test(test_versions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
