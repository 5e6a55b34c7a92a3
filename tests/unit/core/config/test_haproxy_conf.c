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
    const struct haproxy_conf_options options = {.version = version, .spoe_path = HAPROXY_CONF_SPOE_PATH};

    made = load_good(text);
    haproxy_conf_write(made.config, &options, &printed);
    assert_false(printed.has_failed);
    return printed.data;
}

static int tear_down(void **state)
{
    (void)state;
    text_finish(&printed);
    end(&made);
    made = (struct loaded){.config = NULL};
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
    has("    mode tcp\n    retries 0\n    no option redispatch\n    option spop-check\n");
    assert_null(strstr(printed.data, "redis-2"));
    assert_null(strstr(printed.data, "agent-check"));
    assert_null(strstr(printed.data, "txn.redis.replica"));
}

static void test_newer_versions_have_a_mode_for_it(void **state)
{
    (void)state;
    (void)written("[agent]\nlisten = unix:/run/spop.sock\n" GOOD, 302);
    has("\n    mode spop\n    retries 0\n");
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
    has("\n    stats socket /a.sock user haproxy group haproxy mode 660 level admin\n");
    has("    # Another HAProxy's, which has a file of its own:\n    # stats socket 10.0.0.5:9999 level "
        "admin\n");
    has("\nbackend be\n");
    end(&made);
    text_finish(&printed);
    (void)written("[haproxy]\nruntime-api = master:/m.sock\nbackend = be\n" GOOD, 302);
    has(bound);
    has("haproxy -W -S /m.sock,group,haproxy,mode,660\n");
    assert_null(strstr(printed.data, "stats socket"));
}

/* HAProxy is told of addresses that it can connect to. */
static void check_agent_address(const char *lines, const char *server)
{
    char text[1024];

    (void)snprintf(text, sizeof(text), "[agent]\n%s\n" GOOD, lines);
    (void)written(text, 206);
    has(server);
    end(&made);
    text_finish(&printed);
}

static void test_where_the_agent_is(void **state)
{
    (void)state;
    check_agent_address("listen = 0.0.0.0:9012", "\n    server agent1 127.0.0.1:9012\n");
    check_agent_address("listen = 10.0.0.1:9012 tls-cert=/c tls-key=/k",
                        "server agent1 10.0.0.1:9012 ssl verify required ca-file /etc/haproxy/ca.crt\n");
    check_agent_address(
        "listen = 10.0.0.1:9012 tls-cert=/c tls-key=/k tls-client-ca=/p",
        "mark-down\n    # ca.crt: who has signed the agent's certificate. Add 'verifyhost NAME' where it "
        "signs for others, too.\n    # haproxy.pem: HAProxy's own certificate and key.\n"
        "    # An agent on a UNIX socket: ");
    check_agent_address("listen = 10.0.0.1:9012 tls-cert=/c tls-key=/k tls-client-ca=/p",
                        " ca-file /etc/haproxy/ca.crt crt /etc/haproxy/haproxy.pem\n");
    check_agent_address("listen = [::]:9012", "\n    server agent1 [::1]:9012\n");
    check_agent_address("listen = 0.0.0.0:9012",
                        "on another host: its address there.\n    # An agent on a UNIX");
    check_agent_address("listen = 127.0.0.1:0\nlisten = [2001:db8::1]:9012",
                        "spop.sock\"\n    server agent1 [2001:db8::1]:9012\n");
    check_agent_address("listen = unix:/a$b\nlisten = unix:/a'b", "\n    server agent1 unix@/a\\'b\n");
    check_agent_address("listen = 127.0.0.1:0", "give it a port, or a shorter path without ',' and '$'.\n"
                                                "    server agent1 127.0.0.1:9012\n");
    /* Clients connect by the family of the agent. */
    check_agent_address("listen = [::1]:9012", "\n    bind [::1]:6379\n");
    check_agent_address("listen = [::]:9012", "\n    bind 127.0.0.1:6379\n");
    check_agent_address("listen = 127.0.0.1:6379\nhttp = 0.0.0.0:6380", "\n    bind 127.0.0.1:6381\n");
    check_agent_address("http = 10.0.0.1:6379", "\n    bind 127.0.0.1:6379\n");
    for (int is_ipv6 = 0; is_ipv6 < 2; is_ipv6++)
        check_agent_address(is_ipv6 ? "check = [::]:9013" : "check = unix:/c.sock\ncheck = 0.0.0.0:9013",
                            is_ipv6 ? "agent-addr ::1 agent-port 9013"
                                    : "agent-addr 127.0.0.1 agent-port 9013");
}

/* An agent-check that HAProxy cannot make: it goes without. */
static void test_checks_on_a_unix_socket(void **state)
{
    (void)state;
    (void)written("[agent]\ncheck = unix:/run/check.sock\n" GOOD, 206);
    assert_null(strstr(printed.data, "agent-check"));
    assert_null(strstr(printed.data, "agent-send"));
    assert_null(strstr(printed.data, "on-marked-down"));
    has("default-server weight 0 check inter 1s");
}

static void test_odd_addresses_of_servers(void **state)
{
    (void)state;
    (void)written(SENTINELS
                  "[service m]\nserver = R1 redis-1.:6379\nserver = R2 unix:/r#2.sock\nserver = R3 unix:/$3\n"
                  "server = R4 [::ffff:10.0.0.4]:1\n",
                  206);
    has("resolvers system\n    parse-resolv-conf\n");
    has("rise 1 resolvers system init-addr last,libc,none\n");
    has("    server R1 redis-1:6379 tcp-ut 3s\n    server R2 unix@/r\\#2.sock\n");
    has("without '$'.\n    # server R3 unix@/$3\n    server R4 10.0.0.4:1 tcp-ut 3s\n");
    end(&made);
    text_finish(&printed);
    (void)written(GOOD, 206);
    assert_null(strstr(printed.data, "resolvers"));
}

static unsigned count_lines(const char *line)
{
    unsigned count = 0;

    for (const char *at = printed.data; (at = strstr(at, line)) != NULL; at++)
        count++;
    return count;
}

/* Each section has a name of its own, of characters that HAProxy takes. */
static void test_names_meet(void **state)
{
    (void)state;
    (void)written(SENTINELS "[service sentinel_spoa]\nserver = R1 10.0.0.1:1\n"
                            "[service a]\nserver = R1 10.0.0.1:1\nreplicas = yes\nbackend = be_b\n"
                            "[service a_read]\nserver = R1 10.0.0.1:1\nbackend = be_b other\n"
                            "[service b]\nserver = R1 10.0.0.1:1\n"
                            "[service x/y]\nserver = R1 10.0.0.1:1\n"
                            "[service x_y]\nserver = R1 10.0.0.1:1\n",
                  206);
    const char *const once[] = {
        "be_sentinel_spoa", "be_sentinel_spoa-2", "be_b", "be_b_read", "be_a_read", "be_b-2", "be_x_y",
        "be_x_y-2"};
    for (size_t i = 0; i < sizeof(once) / sizeof(*once); i++) {
        char line[128];
        (void)snprintf(line, sizeof(line), "\nbackend %s\n", once[i]);
        if (count_lines(line) != 1)
            fail_msg("%s in:\n%s", line, printed.data);
    }
    assert_int_equal(count_lines("\nbackend "), 8);
    has("frontend fe_a_read\n");
    has("frontend fe_a_read-2\n");
    has("default_backend be_x_y-2\n");
    has("set-var(sess.service) str(x/y)\n");
    text_finish(&printed);
    haproxy_conf_write_spoe(made.config, 206, &printed);
    has("use-backend be_sentinel_spoa\n");
    end(&made);
    text_finish(&printed);
    (void)written("[haproxy]\nbackend = be_sentinel_spoa\n" GOOD, 206);
    has("use-server %[var(txn.redis.master)]");
    has("\nbackend be_sentinel_spoa-2\n    # mode tcp");
    text_finish(&printed);
    haproxy_conf_write_spoe(made.config, 206, &printed);
    has("use-backend be_sentinel_spoa-2\n");
    has("nbsrv(be_sentinel_spoa-2) ge 1");
}

/* One name for the backends of two services: HAProxy needs two, and the agent has to know the second. */
static void test_backends_that_the_agent_does_not_know(void **state)
{
    (void)state;
    (void)written("[haproxy]\nruntime-api = /a.sock\nbackend = be\n" GOOD
                  "[service n]\nserver = R1 10.0.0.1:1\nbackend = be_n\n",
                  206);
    has("# The agent cuts sessions here only with 'backend = be_m' in [service m].\nbackend be_m\n");
    has("\n\nbackend be_n\n");
    end(&made);
    text_finish(&printed);
    (void)written("[haproxy]\nbackend = be\n" GOOD "[service n]\nserver = R1 10.0.0.1:1\n", 206);
    assert_null(strstr(printed.data, "cuts sessions here"));
}

/* What the line's parser and the sample's parser read is the name again: seen with HAProxy 2.6, 3.0 and 3.2. */
static void test_odd_names_of_services(void **state)
{
    (void)state;
    (void)written("[agent]\ncheck = 127.0.0.1:9013\n" SENTINELS
                  "[service a,b)c\"d'e\\f#g$h]\nserver = R1 10.0.0.1:1\n",
                  206);
    has("set-var(sess.service) str(\\\"a,b)c\\\\\\\"d\\'e\\\\\\\\f\\#g$h\\\")\n");
    has("agent-send \"a,b)c\\\"d'e\\\\f#g\\$h R1\\n\"\n");
}

static void test_a_backend_stands_by_itself(void **state)
{
    (void)state;
    (void)written(GOOD, 206);
    has("backend be_redis\n    mode tcp\n    timeout connect 500ms\n");
    has("    timeout queue 500ms\n    timeout server 1h\n");
    has("    retries 0\n    no option redispatch\n    no option persist\n");
    has("    mode tcp\n    timeout client 1h\n");
    has("    option clitcpka\n    clitcpka-idle 1m\n");
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

/* spoe.conf names the only service, where its name needs no quotes; else each frontend names its own. */
static void test_who_names_the_service(void **state)
{
    static const char *const many[] = {SENTINELS "[service a,b]\nserver = R1 10.0.0.1:1\n",
                                       GOOD "[service n]\nserver = R1 10.0.0.1:1\n"};

    (void)state;
    (void)written(GOOD, 206);
    assert_null(strstr(printed.data, "sess.service"));
    text_finish(&printed);
    haproxy_conf_write_spoe(made.config, 206, &printed);
    has("    args service=str(m) role=str(master) ");
    for (size_t i = 0; i < sizeof(many) / sizeof(*many); i++) {
        end(&made);
        text_finish(&printed);
        (void)written(many[i], 206);
        has("tcp-request session set-var(sess.service) str(");
        text_finish(&printed);
        haproxy_conf_write_spoe(made.config, 206, &printed);
        has("    args service=var(sess.service) role=str(master) ");
    }
}

/* The first lines say what the file is for. */
static void check_head(const char *text, const char *head)
{
    (void)written(text, 206);
    if (strncmp(printed.data, head, strlen(head)) != 0)
        fail_msg("'%s' is not the head of:\n%s", head, printed.data);
    end(&made);
    text_finish(&printed);
}

static void test_the_head(void **state)
{
    static const char nodes[] =
        "[nodes n]\nsource = replication\n[service r]\nnodes = n\nserver = A 10.0.0.1:1\n"
        "server = B 10.0.0.2:1\nserver = C 10.0.0.3:1\n";
    char both[1024];

    (void)state;
    check_head(GOOD "replicas = yes\n",
               "# HAProxy in front of a Redis master that a majority of Sentinels names.\n"
               "# One more port leads to the replicas, by turns.\n# Valid");
    check_head(
        "[agent]\ncheck = 127.0.0.1:9013\n" GOOD,
        "# HAProxy in front of a Redis master that a majority of Sentinels names.\n"
        "# At a switch the agent has the sessions to the old master cut by way of agent-checks.\n# Valid");
    check_head(nodes, "# HAProxy in front of a Redis master that a majority of the nodes names.\n# Valid");
    (void)snprintf(both, sizeof(both), "%s%s", GOOD, nodes);
    check_head(both, "# HAProxy in front of 2 Redis masters, each with a port of its own, that a majority of "
                     "Sentinels or nodes names.\n# Valid");
}

static bool is_own_host(const struct addr *addr)
{
    char ip[ADDR_IP_TEXT_MAX];

    return strcmp(addr_host(addr, ip), "10.0.0.1") == 0;
}

/* The second file is elsewhere, and the ports of a node on HAProxy's own host are taken. */
static void test_another_place_and_host(void **state)
{
    const struct haproxy_conf_options options = {
        .version = 206, .spoe_path = "/home/a b/spoe.conf", .is_own_host = is_own_host};

    (void)state;
    made = load_good(GOOD);
    haproxy_conf_write(made.config, &options, &printed);
    has("    bind 127.0.0.1:6380\n");
    has("    filter spoe engine sentinel config /home/a\\ b/spoe.conf\n");
}

/* Whatever has a port on this host: clients get the next one. */
static void test_ports_that_are_taken(void **state)
{
    static const char *const texts[] = {
        "[agent]\nlisten = 127.0.0.1:1\nlisten = 127.0.0.1:6379\n" GOOD,
        "[agent]\ncheck = 127.0.0.1:6379\n" GOOD,
        "[agent]\nhttp = 127.0.0.1:6379\n" GOOD,
        "[agent]\nhttp = 127.0.0.1:1\nhttp = 0.0.0.0:6379\n" GOOD,
        SENTINELS "address = 127.0.0.1:6379\n" SERVICE,
        "[sentinels]\naddress = 127.0.0.1:6379\naddress = a:1\naddress = b:1\n" SERVICE,
        GOOD "server = R2 127.0.0.1:6379\n",
        SENTINELS "[service m]\nserver = R1 127.0.0.1:6379\n",
        "[haproxy]\nruntime-api = 127.0.0.1:6379\nbackend = be\n" GOOD,
        "[haproxy]\nruntime-api = /a\nruntime-api = 127.0.0.1:6379\nbackend = be\n" GOOD,
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        (void)tear_down(state);
        (void)written(texts[i], 206);
        has("    bind 127.0.0.1:6380\n");
    }
    (void)tear_down(state);
    (void)written(GOOD
                  "server = R2 127.0.0.1:6380\nserver = R3 127.0.0.1:6381\n[service n]\nserver = A a:6379\n"
                  "[service o]\nserver = A a:6379\n",
                  206);
    has("    bind 127.0.0.1:6379\n");
    has("    bind 127.0.0.1:6382\n");
    has("    bind 127.0.0.1:6383\n");
}

/* The last port goes to the first frontend: none is left for the second. */
static void test_no_port_is_left(void **state)
{
    const struct haproxy_conf_options options = {.version = 206, .spoe_path = HAPROXY_CONF_SPOE_PATH};

    (void)state;
    made = load_good(GOOD "[service n]\nserver = A a:1\n");
    struct config_haproxy *haproxy = &made.config->haproxy;
    haproxy->runtime_api_count = 65535 - 6379;
    haproxy->runtime_apis = calloc(haproxy->runtime_api_count, sizeof(*haproxy->runtime_apis));
    assert_non_null(haproxy->runtime_apis);
    for (size_t i = 0; i < haproxy->runtime_api_count; i++)
        haproxy->runtime_apis[i].addr =
            addr_from_ip((const uint8_t[]){127, 0, 0, 1}, ADDR_IPV4, (uint16_t)(6379 + i));
    haproxy_conf_write(made.config, &options, &printed);
    has("    bind 127.0.0.1:65535\n");
    has("    # No port is left: give it a 'bind'.\n");
    assert_int_equal(count_lines("    bind "), 1);
}

/* The first UNIX socket that is HAProxy's own, or else the first address; a master's is none of them. */
static void test_its_own_runtime_api(void **state)
{
    static const char *const cases[][2] = {
        {"10.0.0.5:1\nruntime-api = /a\nruntime-api = /b", "\n    stats socket /a user"},
        {"10.0.0.5:1\nruntime-api = 10.0.0.6:1", "\n    stats socket 10.0.0.5:1 level admin\n"},
        {"master:10.0.0.5:1\nruntime-api = 10.0.0.6:1", "\n    stats socket 10.0.0.6:1 level admin\n"},
        {"/a$b\nruntime-api = 10.0.0.6:1", "\n    stats socket 10.0.0.6:1 level admin\n"},
        {"/a$b",
         "    # HAProxy cannot take this path: a shorter one, without ',' and '$'.\n    # stats socket /a$b"},
        {"master:10.0.0.5:1", "rules this HAProxy.\n    # It is the master's: haproxy -W -S 10.0.0.5:1\n"},
        {"/a", "rules this HAProxy. The agent's user must be in the group.\n    stats socket /a user"},
    };
    char text[512];

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        (void)tear_down(state);
        (void)snprintf(text, sizeof(text), "[haproxy]\nruntime-api = %s\nbackend = be\n" GOOD, cases[i][0]);
        (void)written(text, 206);
        has(cases[i][1]);
    }
}

/* One service, or one server, of several has it. */
static void test_one_of_several(void **state)
{
    (void)state;
    (void)written(GOOD "server = R2 h:1\n[service n]\nserver = A 10.0.0.1:1\nreplicas = yes\n", 206);
    has("\nresolvers system\n");
    assert_int_equal(count_lines(" resolvers system init-addr"), 1);
    has("# One more port leads to the replicas");
    text_finish(&printed);
    haproxy_conf_write_spoe(made.config, 206, &printed);
    has("[sentinel-replica]\n");
    (void)tear_down(state);
    (void)written(SENTINELS "[service n]\nserver = A 10.0.0.1:1\n[service m]\nserver = R2 h:1\n", 206);
    has("\nresolvers system\n");
    assert_int_equal(count_lines(" resolvers system init-addr"), 1);
}

/* 2 s longer than the longest `park`; `auto` may come to 8 s. */
static void test_patience(void **state)
{
    (void)state;
    made = load_good(GOOD);
    haproxy_conf_write_spoe(made.config, 206, &printed);
    has("timeout processing 10s");
    end(&made);
    text_finish(&printed);
    made = load_good(GOOD "park = 2500ms\n");
    haproxy_conf_write_spoe(made.config, 206, &printed);
    has("timeout processing 4s");
    end(&made);
    text_finish(&printed);
    made = load_good(
        GOOD "park = 0\n[service n]\nserver = A a:1\npark = 3s\n[service o]\nserver = A a:1\npark = 1s\n");
    haproxy_conf_write_spoe(made.config, 206, &printed);
    has("timeout processing 5s");
    end(&made);
    text_finish(&printed);
    made = load_good(GOOD "park = 0\n");
    haproxy_conf_write_spoe(made.config, 206, &printed);
    has("timeout processing 2s");
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
        cmocka_unit_test(test_where_the_agent_is),
        cmocka_unit_test_teardown(test_checks_on_a_unix_socket, tear_down),
        cmocka_unit_test_teardown(test_odd_addresses_of_servers, tear_down),
        cmocka_unit_test_teardown(test_names_meet, tear_down),
        cmocka_unit_test_teardown(test_backends_that_the_agent_does_not_know, tear_down),
        cmocka_unit_test_teardown(test_odd_names_of_services, tear_down),
        cmocka_unit_test_teardown(test_a_backend_stands_by_itself, tear_down),
        cmocka_unit_test_teardown(test_spoe, tear_down),
        cmocka_unit_test_teardown(test_who_names_the_service, tear_down),
        cmocka_unit_test(test_the_head),
        cmocka_unit_test_teardown(test_another_place_and_host, tear_down),
        cmocka_unit_test_teardown(test_patience, tear_down),
        cmocka_unit_test_teardown(test_ports_that_are_taken, tear_down),
        cmocka_unit_test_teardown(test_no_port_is_left, tear_down),
        cmocka_unit_test_teardown(test_its_own_runtime_api, tear_down),
        cmocka_unit_test_teardown(test_one_of_several, tear_down),
        cmocka_unit_test(test_versions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
